"""What a frame costs a video network: `python -m utils benchmark video`.

One clip is streamed as myTest.py does it, its frames on the host: a frame's time is that of bringing the next frame to
the device, encoding it, reading the memory, segmenting the frame and, every few frames, writing it to the memory. The
memory is counted after every frame. A frame is timed once the device has finished it, after a warm-up on another clip.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from lib import create_model, list_models, model_entry
from measure.io import InputError, markdown_table

from ..commands import add_device_flags
from ..data import network_input
from ..phantom import phantom_clip
from ..prediction import WRITE_EVERY, Arrival, VideoSlots, open_source
from ..runtime import autocast, choose_device
from .networks import parameters
from .report import conditions, write_report
from .timing import Timing, shown, timed, timing

__all__ = ["VideoTimes", "add_flags", "measure_video", "run", "table"]

CYCLE = 48  # frames that are kept and shown over and over
SPAN = 100  # frames at either end that tell whether time grows


def add_flags(verbs: argparse._SubParsersAction) -> None:
    """Add the verb `video`."""
    parser = verbs.add_parser(
        "video",
        help="time and memory of video networks, frame by frame",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    parser.add_argument("--models", nargs="+", help="networks (default: every one of video)")
    parser.add_argument("--backbone", help="of the networks (default: their own)")
    parser.add_argument("--size", type=int, default=352, help="input height and width, pixels (default: 352)")
    parser.add_argument("--frames", type=int, default=500, help="length of the clip (default: 500)")
    parser.add_argument("--memory_frames", type=int, help="frames that the memory keeps (default: the network's own)")
    parser.add_argument(
        "--write_every", type=int, default=WRITE_EVERY, help=f"frames from one write to the next ({WRITE_EVERY})"
    )
    parser.add_argument("--warmup", type=int, default=5, help="frames before time is taken (default: 5)")
    parser.add_argument(
        "--input", help=f"a video or a folder of frames, whose first {CYCLE} are repeated (default: a phantom clip)"
    )
    parser.add_argument("--out", type=Path, default=Path("result/benchmark"), help="folder for video.json and video.md")
    add_device_flags(parser)


def run(args: argparse.Namespace) -> None:
    """Measure the networks as the flags say; write and print the table.

    Raises:
        InputError, ModelError: a flag or file that cannot be used.
    """
    device = choose_device(args.device, args.gpu_id)
    if min(args.write_every, args.warmup) < 1:
        raise InputError("--write_every and --warmup must be at least 1")
    options = {"backbone": args.backbone, "memory_frames": args.memory_frames}
    options = {name: value for name, value in options.items() if value is not None}
    course = VideoCourse(args.size, args.frames, args.write_every, args.warmup, args.amp)
    frames = load_frames(args.input, args.size)
    times = [
        measure_video(name, frames, course=course, device=device, **options)
        for name in args.models or list_models("video")
    ]
    write(times, args.out, device=device, course=course, source=args.input or "phantom clip")


@dataclass(frozen=True)
class VideoCourse:
    """How a clip is streamed.

    Attributes:
        size: input height and width, pixels. frames: length of the clip. write_every: frames between two writes.
        warmup: frames of another clip before time is taken. amp: "off", "bf16" or "fp16".
    """

    size: int = 352
    frames: int = 500
    write_every: int = WRITE_EVERY
    warmup: int = 5
    amp: str = "off"


@dataclass(frozen=True)
class VideoTimes:
    """What a frame costs, at batch 1.

    Attributes:
        filling: frames until the memory was trimmed for the first time. full: all frames from then on.
        first, last: the first and last of `full`, a hundred each, or half of them where there are fewer than 200.
        frame_bytes: what one frame adds to the memory. peak_bytes: the most it held after a frame.
        trimmed_bytes: after every trim. device_bytes: the most that tensors took on a CUDA device, the network's
            parameters included; None on a CPU.
        milliseconds, memory_bytes: of every frame of the clip.
    """

    model: str
    options: dict[str, Any]
    parameters: int
    filling: Timing
    full: Timing
    first: Timing
    last: Timing
    frame_bytes: int
    peak_bytes: int
    trimmed_bytes: list[int]
    device_bytes: int | None
    milliseconds: list[float]
    memory_bytes: list[int]


def load_frames(given: str | None, size: int) -> list[Tensor]:
    """Read the first frames of a video or of a phantom clip, as a network takes them: (3, size, size) each.

    Raises:
        InputError: there is no such video, or not one frame of it can be decoded.
    """
    pictures = (shot.picture for shot in open_source(given)) if given else phantom_clip(seed=0, frames=CYCLE)[0]
    frames = [network_input(picture, size) for picture in islice(pictures, CYCLE)]
    if not frames:
        raise InputError(f"no frame of {given} could be decoded; check the file")
    return frames


def measure_video(
    name: str, frames: Sequence[Tensor], *, course: VideoCourse, device: torch.device, **options: Any
) -> VideoTimes:
    """Stream a clip through one network.

    Args:
        frames: (3, H, W) normalised RGB, repeated for as long as the clip is. options: the network's own.

    Raises:
        ModelError: an unknown network or option, or a size it cannot take.
        InputError: a network of still images, or a clip too short to fill the memory.
    """
    if model_entry(name).kind != "video":
        raise InputError(
            f"{name} is a network of still images; networks of video are {', '.join(list_models('video'))}"
        )
    model = create_model(name, **options).to(device, memory_format=torch.channels_last).eval()
    least = (model.config.memory_frames + 1) * course.write_every
    if course.frames < least:
        raise InputError(
            f"--frames {course.frames} was given; give at least {least}, so that the memory of "
            f"{model.config.memory_frames} frames fills"
        )
    stream(model, frames, course.warmup, course=course, device=device)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    seconds, sizes = stream(model, frames, course.frames, course=course, device=device)
    return summary(
        seconds,
        sizes,
        write_every=course.write_every,
        model=name,
        options=options,
        parameters=parameters(model),
        device_bytes=torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None,
    )


def stream(
    model: nn.Module, frames: Sequence[Tensor], count: int, *, course: VideoCourse, device: torch.device
) -> tuple[np.ndarray, list[int]]:
    """Segment a clip of `count` frames. Returns seconds (count,) and the bytes of the memory after each frame."""
    slots = VideoSlots(model, amp=autocast(device, course.amp), write_every=course.write_every)
    arrivals = (Arrival(0, time, None, frames[time % len(frames)]) for time in range(count + 1))
    slots.advance([next(arrivals)])  # a frame is segmented when the one after it has arrived
    sizes = []
    bar = tqdm(total=count, desc=model.name, unit="frame", disable=None)

    def advance() -> None:
        slots.advance([next(arrivals)])
        sizes.append(slots.memory.nbytes)
        bar.update()

    with bar:
        return timed(advance, device=device, warmup=0, repeats=count), sizes


def summary(seconds: np.ndarray, sizes: Sequence[int], *, write_every: int, **known: Any) -> VideoTimes:
    """Summarise a clip: a write that adds less than a frame has trimmed the memory, which is full from then on."""
    writes = range(write_every, len(sizes), write_every)
    trims = [time for time in writes if sizes[time] < sizes[time - 1] + sizes[0]]
    full = seconds[trims[0] :]
    span = max(1, min(SPAN, len(full) // 2))
    return VideoTimes(
        **known,
        filling=timing(seconds[: trims[0]], 1),
        full=timing(full, 1),
        first=timing(full[:span], 1),
        last=timing(full[-span:], 1),
        frame_bytes=sizes[0],
        peak_bytes=max(sizes),
        trimmed_bytes=[sizes[time] for time in trims],
        milliseconds=(1000 * seconds).round(3).tolist(),
        memory_bytes=list(sizes),
    )


def table(times: Sequence[VideoTimes]) -> str:
    """A Markdown table, one network a row."""
    titles = (
        "network", "parameters", "memory filling", "memory full", "first of these", "last of these",
        "memory of a frame", "largest", "after trims",
    )  # fmt: skip
    rows = (
        (
            " ".join((row.model, *map(str, row.options.values()))),
            f"{row.parameters / 1e6:.2f} M",
            *(shown(found) for found in (row.filling, row.full, row.first, row.last)),
            f"{row.frame_bytes / 1e3:.0f} kB",
            f"{row.peak_bytes / 1e6:.2f} MB",
            f"{min(row.trimmed_bytes) / 1e6:.2f} to {max(row.trimmed_bytes) / 1e6:.2f} MB",
        )
        for row in times
    )
    return markdown_table(titles, rows) + "\n"


def write(times: Sequence[VideoTimes], out: Path, *, device: torch.device, course: VideoCourse, source: str) -> None:
    """Write video.json and video.md, and print the table."""
    text = (
        f"{conditions(device, course.amp)}, a clip of {course.frames} frames at {course.size} x {course.size} "
        f"({source}), one in {course.write_every} remembered. Milliseconds a frame, median / 95th percentile; first "
        f"and last: {SPAN} frames, or half where there are fewer.\n\n" + table(times)
    )
    write_report(
        out,
        "video",
        text=text,
        device=device,
        course=dataclasses.asdict(course),
        source=source,
        unit="milliseconds a frame; memory in bytes",
        networks=[dataclasses.asdict(row) for row in times],
    )
