"""Video in, video out: a clip, a folder or a camera through a network, with what it sees drawn in.

Three stages overlap: one thread decodes and resizes, the caller's thread runs the network and nothing else, one turns
its answers into maps, draws and encodes. Each may be a few frames ahead of the next and no more, so memory does not
grow with the length of the video. Where one core does all of it, a frame goes through the stages one after the other.
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
from measure.io import InputError, available_cores, make_folder

from ..data import normalize
from ..runtime import StopRequest, autocast, in_background, prefetch, stopped_by
from ..visualization import draw_prediction
from .config import WRITE_EVERY
from .inputs import Frame, Placement, Source, prepared
from .outputs import TemporalAverage, VideoWriter, cut
from .postprocess import as_grey, check_finite, largest, minmax_normalized, probabilities, write_map
from .streaming import stream_clips

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
    count, ahead = 0, frames_ahead(source, device)
    with ExitStack() as stack:
        # signals reach the main thread alone; in another one, a page's, whoever waits for the video is in charge
        is_main = threading.current_thread() is threading.main_thread()
        stop = stack.enter_context(StopRequest()) if is_main else None
        writer = stack.enter_context(VideoWriter(overlay, rate=source.rate)) if overlay else None
        folders = {kind: make_folder(path) for kind, path in (("masks", masks), ("maps", maps)) if path}
        finish = FrameFinisher(options, writer, times=times, **folders)
        later = stack.enter_context(in_background(threads=min(ahead, 1), waiting=AHEAD))
        bar = stack.enter_context(tqdm(total=source.count or None, desc=source.name, unit="frame", disable=None))
        for arrival, logits in _answers(model, source, options, device, ahead):
            later(finish, arrival, logits)
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


def frames_ahead(source: Source, device: torch.device) -> int:
    """Return how many frames are decoded ahead of the network, by another thread; 0: none, and without one."""
    if not source.count:
        return 1  # a camera's
    # stages that take turns on one core drive each other's data out of its cache: a tenth slower
    return 0 if device.type == "cpu" and available_cores() == 1 else AHEAD


def _answers(
    model: Network, source: Source, options: VideoOptions, device: torch.device, ahead: int
) -> Iterator[tuple[Arrival, Tensor]]:
    """Every frame with its (K, h, w) logits."""
    clip = prefetch((_arrived(frame, options) for frame in source), ahead)
    frames = ((arrival, arrival.image) for arrival in clip)
    amp = autocast(device, options.amp)
    yield from stream_clips(model, [frames], slots=1, write_every=options.write_every, amp=amp)


def _arrived(frame: Frame, options: VideoOptions) -> Arrival:
    since = time.perf_counter()
    image, placement = prepared(frame.image, options.size, crop_border=options.crop_border)
    return Arrival(frame, placement, normalize(image[None])[0], since)


class FrameFinisher:
    """Makes of a frame's logits what was asked for; called with every frame in order.

    Args:
        options: see `VideoOptions`.
        writer: the overlay's; None: there is none.
        masks: folder for `<frame>.png`, 0 or 255; None: not wanted.
        maps: folder for `<frame>.png`, 255 x probability; None: not wanted.
        times: is told how long frames take.
    """

    def __init__(
        self,
        options: VideoOptions,
        writer: VideoWriter | None,
        *,
        masks: Path | None = None,
        maps: Path | None = None,
        times: FrameTimes | None = None,
    ):
        self.options, self.writer, self.masks, self.maps, self.times = options, writer, masks, maps, times
        self.rate = FrameRate()
        self.smooth = TemporalAverage(options.smoothing) if options.smoothing else None

    def __call__(self, arrival: Arrival, logits: Tensor) -> None:
        """Finish a frame.

        Args:
            arrival: the frame.
            logits: (K, h, w) of it.

        Raises:
            InputError: a file cannot be written.
            ModelError: the logits are not finite.
        """
        frame, options = arrival.frame, self.options
        check_finite(logits[None], [frame.name])
        grey = self._map(arrival, self.smooth(arrival.image, logits) if self.smooth else logits)
        mask = cut(grey, threshold=options.threshold, min_region=options.min_region)
        if self.maps:
            write_map(self.maps / f"{frame.name}.png", grey)
        if self.masks:
            write_map(self.masks / f"{frame.name}.png", mask)
        if self.writer:
            rate = self.rate.measure() if options.show_rate else None
            drawn = draw_prediction(frame.image, grey, mask, tint=options.tint, rate=rate)
            self.writer.write(drawn, time=frame.time)
        if self.times:
            self.times.add(arrival.since)

    def _map(self, arrival: Arrival, logits: Tensor) -> np.ndarray:
        """(H, W) uint8, 255 x probability."""
        planes = probabilities(logits, arrival.placement.seen)
        probability = largest(arrival.placement.paste(planes))
        return as_grey(minmax_normalized(probability) if self.options.minmax else probability)


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
