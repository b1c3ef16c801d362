"""Video in, video out: a clip, a folder or a camera through a network, with what it sees drawn in.

Three stages overlap: one thread decodes and resizes, the caller's thread runs the network, one draws and encodes. Each
may be a few frames ahead of the next and no more, so memory does not grow with the length of the video.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from lib import Network
from measure.io import InputError, make_folder

from ..data import network_input
from ..runtime import StopRequest, autocast, in_background, prefetch, stopped_by
from ..visualization import draw_prediction
from .postprocess import check_finite, grey_map, write_map
from .streaming import WRITE_EVERY, stream_clips
from .video_source import Frame, Source
from .video_writer import VideoWriter

__all__ = ["VideoOptions", "predict_video"]


AHEAD = 8  # frames that one stage may be ahead of the next
LATEST = 50  # frames that the rate in the picture is measured over
THRESHOLD = 128  # grey level from which a pixel belongs to the polyp


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
    """

    size: int = 352
    minmax: bool = False
    amp: str = "off"
    write_every: int = WRITE_EVERY
    tint: bool = False
    show_rate: bool = False


def predict_video(
    model: Network,
    source: Source,
    *,
    options: VideoOptions,
    device: torch.device,
    overlay: str | Path | None = None,
    masks: str | Path | None = None,
) -> int:
    """Segment the frames of a source as they come.

    Args:
        overlay: video file to write, at the source's size, rate and times.
        masks: folder for `<frame>.png`, 0 or 255.

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
        stop = stack.enter_context(StopRequest())
        writer = stack.enter_context(VideoWriter(overlay, rate=source.rate)) if overlay else None
        folder = make_folder(masks) if masks else None
        later = stack.enter_context(in_background(waiting=AHEAD))
        bar = stack.enter_context(tqdm(total=source.count or None, desc=source.name, unit="frame", disable=None))
        for frame, grey in _maps(model, source, options, device):
            later(_finish, frame, grey, writer, folder, options, rate.measure())
            count += 1
            bar.update()
            if stop.number:
                break
    if stop.number:
        where = f"; {overlay} holds them and plays" if overlay and count else ""
        raise stopped_by(stop.number, f"after {count} frames{where}")
    if count == 0:
        raise InputError(f"no frame of {source.name} could be decoded; check the file")
    return count


def _maps(
    model: Network, source: Source, options: VideoOptions, device: torch.device
) -> Iterator[tuple[Frame, np.ndarray]]:
    """Every frame with its (H, W) uint8 map."""
    clip = prefetch(((frame, network_input(frame.image, options.size)) for frame in source), AHEAD)
    amp = autocast(device, options.amp)
    for frame, logits in stream_clips(model, [clip], slots=1, write_every=options.write_every, amp=amp):
        check_finite(logits[None], [frame.name])
        yield frame, grey_map(logits, frame.image.shape[:2], minmax=options.minmax)


def _finish(
    frame: Frame,
    grey: np.ndarray,
    writer: VideoWriter | None,
    folder: Path | None,
    options: VideoOptions,
    rate: float,
) -> None:
    """Write what was asked for of one frame."""
    if folder:
        write_map(folder / f"{frame.name}.png", np.where(grey >= THRESHOLD, np.uint8(255), np.uint8(0)))
    if writer:
        drawn = draw_prediction(frame.image, grey, tint=options.tint, rate=rate if options.show_rate else None)
        writer.write(drawn, time=frame.time)


class FrameRate:
    """Frames a second over the last frames."""

    def __init__(self) -> None:
        self.times: deque[float] = deque(maxlen=LATEST)

    def measure(self) -> float:
        """Count a frame now; 0 for the first one."""
        self.times.append(time.perf_counter())
        passed = self.times[-1] - self.times[0]
        return (len(self.times) - 1) / passed if passed else 0.0
