"""Video in, video out: a clip, a folder or a camera through a network, with what it sees drawn in.

Three stages overlap: one thread decodes and resizes, the caller's thread runs the network, one draws and encodes. Each
may be a few frames ahead of the next and no more, so memory does not grow with the length of the video.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from lib import Network
from measure.io import InputError, make_folder

from ..data import normalize
from ..runtime import StopRequest, autocast, in_background, prefetch, stopped_by
from ..visualization import draw_prediction
from .inputs import Frame, Placement, Source, prepared
from .outputs import TemporalAverage, VideoWriter, cut
from .postprocess import as_grey, check_finite, largest, minmax_normalized, probabilities, write_map
from .streaming import WRITE_EVERY, stream_clips

__all__ = ["FrameTimes", "VideoOptions", "predict_video"]


AHEAD = 8  # frames that one stage may be ahead of the next
LATEST = 50  # frames that the rate in the picture is measured over


@dataclass(frozen=True)
class VideoOptions:
    """How a video is segmented and drawn.

    Attributes:
        size: input height and width of the network, pixels.
        minmax: stretch every frame's map to the full range, which shows a polyp in every frame.
        amp: "off", "bf16" or "fp16".
        write_every: a video network remembers every such frame.
        tint: color the picture by the probability.
        show_rate: write the frames a second into the corner.
        threshold: probability from which a pixel is polyp.
        min_region: share of the frame below which a region is left out.
        crop_border: see `inputs.cropping`.
        smoothing: share of the earlier frames in each map (`TemporalAverage`); None: none.
    """

    size: int = 352
    minmax: bool = False
    amp: str = "off"
    write_every: int = WRITE_EVERY
    tint: bool = False
    show_rate: bool = False
    threshold: float = 0.5
    min_region: float = 0.0
    crop_border: bool = False
    smoothing: float | None = None


@dataclass(frozen=True)
class VideoFiles:
    """Where what is made of frames goes; None: it is not asked for.

    Attributes:
        writer: the overlay's.
        masks: folder for `<frame>.png`, 0 or 255.
        maps: folder for `<frame>.png`, 255 x probability.
    """

    writer: VideoWriter | None
    masks: Path | None
    maps: Path | None


def predict_video(
    model: Network,
    source: Source,
    *,
    options: VideoOptions,
    device: torch.device,
    overlay: str | Path | None = None,
    masks: str | Path | None = None,
    maps: str | Path | None = None,
    times: FrameTimes | None = None,
) -> int:
    """Segment the frames of a source as they come.

    Args:
        overlay: video file to write, at the source's size, rate and times.
        masks: folder for `<frame>.png`, 0 or 255.
        maps: folder for `<frame>.png`, 255 x probability.
        times: is told how long frames take.

    Returns:
        The number of frames segmented; `source.skipped` has those that could not be decoded.

    Raises:
        InputError: a file cannot be written, or not one frame was decoded.
        ModelError: the network's output is not finite.
        Stopped: a signal asked for the end; the overlay holds the frames up to it and plays.
    """
    model = model.to(device, memory_format=torch.channels_last).eval()
    rate, count = FrameRate(), 0
    with ExitStack() as stack:
        # signals reach the main thread alone; in another one, a page's, whoever waits for the video is in charge
        is_main = threading.current_thread() is threading.main_thread()
        stop = stack.enter_context(StopRequest()) if is_main else None
        writer = stack.enter_context(VideoWriter(overlay, rate=source.rate)) if overlay else None
        files = VideoFiles(writer, *(make_folder(folder) if folder else None for folder in (masks, maps)))
        later = stack.enter_context(in_background(waiting=AHEAD))
        bar = stack.enter_context(tqdm(total=source.count or None, desc=source.name, unit="frame", disable=None))
        for arrival, grey in _maps(model, source, options, device):
            later(_finish, arrival, grey, files, options, rate.measure(), times)
            count += 1
            bar.update()
            if stop and stop.number:
                break
    if stop and stop.number:
        where = f"; {overlay} holds them and plays" if overlay and count else ""
        raise stopped_by(stop.number, f"after {count} frames{where}")
    if count == 0:
        raise InputError(f"no frame of {source.name} could be decoded; check the file")
    return count


class Arrival(NamedTuple):
    """A frame on its way.

    Attributes:
        frame: see `Frame`.
        placement: where the part that the network sees lies in it.
        image: that part, (3, S, S) normalized.
        since: when it was decoded, seconds of `time.perf_counter`.
    """

    frame: Frame
    placement: Placement
    image: Tensor
    since: float


def _maps(
    model: Network, source: Source, options: VideoOptions, device: torch.device
) -> Iterator[tuple[Arrival, np.ndarray]]:
    """Every frame with its (H, W) uint8 map."""
    clip = prefetch((_arrived(frame, options) for frame in source), AHEAD if source.count else 1)  # 1: a camera's
    amp = autocast(device, options.amp)
    smooth = TemporalAverage(options.smoothing) if options.smoothing else lambda image, logits: logits
    answers = stream_clips(
        model, [((arrival, arrival.image) for arrival in clip)], slots=1, write_every=options.write_every, amp=amp
    )
    for arrival, logits in answers:
        check_finite(logits[None], [arrival.frame.name])
        planes = probabilities(smooth(arrival.image, logits), arrival.placement.seen)
        probability = largest(arrival.placement.paste(planes))
        yield arrival, as_grey(minmax_normalized(probability) if options.minmax else probability)


def _arrived(frame: Frame, options: VideoOptions) -> Arrival:
    since = time.perf_counter()
    image, placement = prepared(frame.image, options.size, crop_border=options.crop_border)
    return Arrival(frame, placement, normalize(image[None])[0], since)


def _finish(
    arrival: Arrival,
    grey: np.ndarray,
    files: VideoFiles,
    options: VideoOptions,
    rate: float,
    times: FrameTimes | None,
) -> None:
    """Write what was asked for of one frame."""
    frame = arrival.frame
    mask = cut(grey, threshold=options.threshold, min_region=options.min_region)
    if files.maps:
        write_map(files.maps / f"{frame.name}.png", grey)
    if files.masks:
        write_map(files.masks / f"{frame.name}.png", mask)
    if files.writer:
        drawn = draw_prediction(frame.image, grey, mask, tint=options.tint, rate=rate if options.show_rate else None)
        files.writer.write(drawn, time=frame.time)
    if times:
        times.add(arrival.since)


class FrameTimes:
    """How long frames take: from decoded to written, waiting included, and from one finished frame to the next."""

    def __init__(self) -> None:
        self.latency: list[float] = []
        self.finished: list[float] = []

    def add(self, since: float) -> None:
        """Count a frame that was decoded at `since` and is finished now."""
        self.finished.append(time.perf_counter())
        self.latency.append(self.finished[-1] - since)

    def summary(self) -> dict[str, dict[str, float]]:
        """Milliseconds: of "latency" and "interval" the "median", "p95" and "p99"; empty without two frames."""
        if len(self.finished) < 2:
            return {}
        seconds = {"latency": self.latency, "interval": np.diff(self.finished)}
        points = {"median": 50, "p95": 95, "p99": 99}
        return {
            name: {point: round(1000 * float(np.percentile(values, rank)), 2) for point, rank in points.items()}
            for name, values in seconds.items()
        }


class FrameRate:
    """Frames a second over the last frames."""

    def __init__(self) -> None:
        self.times: deque[float] = deque(maxlen=LATEST)

    def measure(self) -> float:
        """Count a frame now; 0 for the first one."""
        self.times.append(time.perf_counter())
        passed = self.times[-1] - self.times[0]
        return (len(self.times) - 1) / passed if passed else 0.0
