"""Time what a frame costs a video network, and count its memory."""

from __future__ import annotations

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

from ..data import network_input
from ..phantom import phantom_clip
from ..prediction import Arrival, VideoSlots, open_source
from ..runtime import autocast, check_cuda_graphs, choose_device, record_calls
from .options import CYCLE, VideoBenchmark
from .predict import parameters
from .report import conditions, unrecorded, write_report
from .timing import Timing, format_timing, summarize_times, time_calls

__all__ = ["VideoTimes", "measure_video", "start", "video_table"]

SPAN = 100  # frames at either end that tell whether time grows


def start(options: VideoBenchmark) -> None:
    """Measure the networks; write and print the table.

    Raises:
        InputError, ModelError: an option or file that cannot be used.
    """
    device = choose_device(options.device, options.gpu_id)
    check_cuda_graphs(options.cuda_graphs, device)
    torch.manual_seed(options.seed)
    own = {"backbone": options.backbone, "memory_frames": options.memory_frames}
    own = {name: value for name, value in own.items() if value is not None}
    frames = load_frames(options.input, options.size, seed=options.seed)
    times = [
        measure_video(name, frames, options=options, device=device, **own)
        for name in options.models or list_models("video")
    ]
    write_video_times(times, options=options, device=device)


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
        not_recorded: why these times are without CUDA graphs, of some part at least, where they were asked for; ""
            where nothing went wrong.
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
    not_recorded: str = ""


def load_frames(given: str | None, size: int, *, seed: int) -> list[Tensor]:
    """Read the first frames of a video, or of a phantom clip drawn by `seed`: (3, size, size) each, normalized.

    Raises:
        InputError: there is no such video, or not one frame of it can be decoded.
    """
    images = (frame.image for frame in open_source(given)) if given else phantom_clip(seed=seed, frames=CYCLE)[0]
    frames = [network_input(image, size) for image in islice(images, CYCLE)]
    if not frames:
        raise InputError(f"no frame of {given} could be decoded; check the file")
    return frames


def measure_video(
    name: str, frames: Sequence[Tensor], *, options: VideoBenchmark, device: torch.device, **own: Any
) -> VideoTimes:
    """Stream a clip through one network.

    Args:
        frames: (3, H, W) normalized RGB, repeated for as long as the clip is.
        options: how the clip is streamed.
        device: where the network runs.
        own: the network's own options.

    Raises:
        ModelError: an unknown network or option, or a size it cannot take.
        InputError: a network of still images, or a clip too short to fill the memory.
    """
    if model_entry(name).kind != "video":
        raise InputError(
            f"{name} is a network of still images; networks of video are {', '.join(list_models('video'))}"
        )
    model = create_model(name, **own).to(device, memory_format=torch.channels_last).eval()
    least = (model.config.memory_frames + 1) * options.write_every
    if options.frames < least:
        raise InputError(
            f"--frames {options.frames} was given; give at least {least}, so that the memory of "
            f"{model.config.memory_frames} frames fills"
        )
    recorded = [record_calls(part) for part in model.steady_parts] if options.cuda_graphs else []
    stream(model, frames, options.warmup, options=options, device=device)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    seconds, sizes = stream(model, frames, options.frames, options=options, device=device)
    return summarize_clip(
        seconds,
        sizes,
        write_every=options.write_every,
        model=name,
        options=own,
        parameters=parameters(model),
        device_bytes=torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None,
        not_recorded=next((part.failure for part in recorded if part.failure), ""),
    )


def stream(
    model: nn.Module, frames: Sequence[Tensor], count: int, *, options: VideoBenchmark, device: torch.device
) -> tuple[np.ndarray, list[int]]:
    """Segment a clip of `count` frames. Returns seconds (count,) and the bytes of the memory after each frame."""
    slots = VideoSlots(model, amp=autocast(device, options.amp), write_every=options.write_every)
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


def write_video_times(times: Sequence[VideoTimes], *, options: VideoBenchmark, device: torch.device) -> None:
    """Write video.json and video.md, and print the table."""
    text = (
        f"{conditions(device, options.amp)}, a clip of {options.frames} frames at {options.size} x {options.size} "
        f"({options.input or 'phantom clip'}), one in {options.write_every} remembered. Milliseconds a frame, median / "
        f"95th percentile; first and last: {SPAN} frames, or half where there are fewer.\n\n"
        f"{video_table(times)}{unrecorded(times)}"
    )
    write_report(
        Path(options.out),
        "video",
        text=text,
        device=device,
        options=options.flags(),
        unit="milliseconds a frame; memory in bytes",
        networks=[dataclasses.asdict(row) for row in times],
    )
