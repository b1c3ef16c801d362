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
from measure.io import InputError, markdown_table, nonempty, path

from ..data import network_input
from ..phantom import phantom_clip
from ..prediction import WRITE_EVERY, Arrival, VideoSlots, open_source
from ..runtime import MachineOptions, add_flags, autocast, choose_device
from .bounds import FRAMES, REPEATS, SIDE
from .networks import parameters
from .report import conditions, write_report
from .timing import Timing, format_timing, summarize_times, time_calls

__all__ = ["VideoTimes", "add_verb_flags", "benchmark_video", "measure_video", "video_table"]

CYCLE = 48  # frames that are kept and shown over and over
SPAN = 100  # frames at either end that tell whether time grows


def add_verb_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags of `benchmark video`, and as `start` the function that takes them."""
    parser.description = __doc__
    parser.set_defaults(start=benchmark_video)
    parser.add_argument("--models", nargs="+", type=nonempty, metavar="NAME", help="networks (default: all of video)")
    parser.add_argument("--backbone", type=nonempty, metavar="NAME", help="of the networks (default: their own)")
    parser.add_argument("--size", type=SIDE, default=352, metavar="N", help="input height and width, pixels")
    parser.add_argument("--frames", type=REPEATS, default=500, metavar="N", help="length of the clip")
    parser.add_argument(
        "--memory_frames", type=FRAMES, metavar="N", help="frames that the memory keeps (default: the network's own)"
    )
    parser.add_argument(
        "--write_every", type=FRAMES, default=WRITE_EVERY, metavar="N", help="frames from one write to the next"
    )
    parser.add_argument("--warmup", type=FRAMES, default=5, metavar="N", help="frames before time is taken")
    parser.add_argument(
        "--input",
        type=nonempty,
        help=f"a video or a folder of frames, whose first {CYCLE} are repeated (default: a phantom clip)",
    )
    parser.add_argument("--out", type=path, default=Path("result/benchmark"), help="folder for video.json and video.md")
    add_flags(parser, MachineOptions)


def benchmark_video(args: argparse.Namespace) -> None:
    """Measure the networks as the flags say; write and print the table.

    Raises:
        InputError, ModelError: a flag or file that cannot be used.
    """
    device = choose_device(args.device, args.gpu_id)
    options = {"backbone": args.backbone, "memory_frames": args.memory_frames}
    options = {name: value for name, value in options.items() if value is not None}
    config = VideoBenchmarkConfig(args.size, args.frames, args.write_every, args.warmup, args.amp)
    frames = load_frames(args.input, args.size)
    times = [
        measure_video(name, frames, config=config, device=device, **options)
        for name in args.models or list_models("video")
    ]
    write_video_times(times, args.out, device=device, config=config, source=args.input or "phantom clip")


@dataclass(frozen=True)
class VideoBenchmarkConfig:
    """How a clip is streamed.

    Attributes:
        size: input height and width, pixels.
        frames: length of the clip.
        write_every: frames from one write to the memory to the next.
        warmup: frames of another clip before time is taken.
        amp: "off", "bf16" or "fp16".
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
        model: the network's name.
        options: its own, such as `backbone`.
        parameters: how many it has.
        filling: of the frames until the memory was trimmed for the first time.
        full: of all frames from then on.
        first: of the first hundred of these, or of half of them where there are fewer than 200.
        last: of the last hundred of these, or of half of them.
        frame_bytes: what one frame adds to the memory.
        peak_bytes: the most the memory held after a frame.
        trimmed_bytes: what it held after every trim.
        device_bytes: the most that tensors took on a CUDA device, the network's parameters included; None on a CPU.
        milliseconds: of every frame of the clip.
        memory_bytes: after every frame of the clip.
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
    images = (frame.image for frame in open_source(given)) if given else phantom_clip(seed=0, frames=CYCLE)[0]
    frames = [network_input(image, size) for image in islice(images, CYCLE)]
    if not frames:
        raise InputError(f"no frame of {given} could be decoded; check the file")
    return frames


def measure_video(
    name: str, frames: Sequence[Tensor], *, config: VideoBenchmarkConfig, device: torch.device, **options: Any
) -> VideoTimes:
    """Stream a clip through one network.

    Args:
        frames: (3, H, W) normalized RGB, repeated for as long as the clip is.
        config: how the clip is streamed.
        device: where the network runs.
        options: the network's own.

    Raises:
        ModelError: an unknown network or option, or a size it cannot take.
        InputError: a network of still images, or a clip too short to fill the memory.
    """
    if model_entry(name).kind != "video":
        raise InputError(
            f"{name} is a network of still images; networks of video are {', '.join(list_models('video'))}"
        )
    model = create_model(name, **options).to(device, memory_format=torch.channels_last).eval()
    least = (model.config.memory_frames + 1) * config.write_every
    if config.frames < least:
        raise InputError(
            f"--frames {config.frames} was given; give at least {least}, so that the memory of "
            f"{model.config.memory_frames} frames fills"
        )
    stream(model, frames, config.warmup, config=config, device=device)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    seconds, sizes = stream(model, frames, config.frames, config=config, device=device)
    return summarize_clip(
        seconds,
        sizes,
        write_every=config.write_every,
        model=name,
        options=options,
        parameters=parameters(model),
        device_bytes=torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None,
    )


def stream(
    model: nn.Module, frames: Sequence[Tensor], count: int, *, config: VideoBenchmarkConfig, device: torch.device
) -> tuple[np.ndarray, list[int]]:
    """Segment a clip of `count` frames. Returns seconds (count,) and the bytes of the memory after each frame."""
    slots = VideoSlots(model, amp=autocast(device, config.amp), write_every=config.write_every)
    arrivals = (Arrival(0, time, None, frames[time % len(frames)]) for time in range(count + 1))
    slots.advance([next(arrivals)])  # a frame is segmented when the one after it has arrived
    sizes = []
    bar = tqdm(total=count, desc=model.name, unit="frame", disable=None)

    def advance() -> None:
        slots.advance([next(arrivals)])
        sizes.append(slots.memory.nbytes)
        bar.update()

    with bar:
        return time_calls(advance, device=device, warmup=0, repeats=count), sizes


def summarize_clip(seconds: np.ndarray, sizes: Sequence[int], *, write_every: int, **known: Any) -> VideoTimes:
    """Summarize a clip: a write that adds less than a frame has trimmed the memory, which is full from then on."""
    writes = range(write_every, len(sizes), write_every)
    trims = [time for time in writes if sizes[time] < sizes[time - 1] + sizes[0]]
    full = seconds[trims[0] :]
    span = max(1, min(SPAN, len(full) // 2))
    return VideoTimes(
        **known,
        filling=summarize_times(seconds[: trims[0]], 1),
        full=summarize_times(full, 1),
        first=summarize_times(full[:span], 1),
        last=summarize_times(full[-span:], 1),
        frame_bytes=sizes[0],
        peak_bytes=max(sizes),
        trimmed_bytes=[sizes[time] for time in trims],
        milliseconds=(1000 * seconds).round(3).tolist(),
        memory_bytes=list(sizes),
    )


def video_table(times: Sequence[VideoTimes]) -> str:
    """A Markdown table, one network a row."""
    titles = (
        "network", "parameters", "memory filling", "memory full", "first of these", "last of these",
        "memory of a frame", "largest", "after trims",
    )  # fmt: skip
    rows = (
        (
            " ".join((row.model, *map(str, row.options.values()))),
            f"{row.parameters / 1e6:.2f} M",
            *(format_timing(found) for found in (row.filling, row.full, row.first, row.last)),
            f"{row.frame_bytes / 1e3:.0f} kB",
            f"{row.peak_bytes / 1e6:.2f} MB",
            f"{min(row.trimmed_bytes) / 1e6:.2f} to {max(row.trimmed_bytes) / 1e6:.2f} MB",
        )
        for row in times
    )
    return markdown_table(titles, rows) + "\n"


def write_video_times(
    times: Sequence[VideoTimes], out: Path, *, device: torch.device, config: VideoBenchmarkConfig, source: str
) -> None:
    """Write video.json and video.md, and print the table."""
    text = (
        f"{conditions(device, config.amp)}, a clip of {config.frames} frames at {config.size} x {config.size} "
        f"({source}), one in {config.write_every} remembered. Milliseconds a frame, median / 95th percentile; first "
        f"and last: {SPAN} frames, or half where there are fewer.\n\n" + video_table(times)
    )
    write_report(
        out,
        "video",
        text=text,
        device=device,
        config=dataclasses.asdict(config),
        source=source,
        unit="milliseconds a frame; memory in bytes",
        networks=[dataclasses.asdict(row) for row in times],
    )
