"""How times are taken: after a warm-up, with the device synchronized on both sides."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from lib import model_entry

__all__ = [
    "BenchmarkConfig",
    "Timing",
    "backbone_option",
    "device_name",
    "format_timing",
    "summarize_times",
    "time_calls",
]


@dataclass(frozen=True)
class BenchmarkConfig:
    """How times are taken.

    Attributes:
        size: input height and width, pixels; None: as the network's recipe trains it.
        batch_sizes: tried in this order for the best batch; what no longer fits in memory ends the trial.
        warmup: forwards (or steps) before time is taken.
        repeats: forwards (or steps) whose time is taken.
        amp: "off", "bf16" or "fp16".
        workers: processes that load images for the best batch with files.
        cuda_graphs: record the kernels of a forward, and start them all at once.
    """

    size: int | None = None
    batch_sizes: tuple[int, ...] = (1, 2, 4, 8, 16, 32)
    warmup: int = 5
    repeats: int = 30
    amp: str = "off"
    workers: int = 1
    cuda_graphs: bool = False


@dataclass(frozen=True)
class Timing:
    """Milliseconds an image, over repetitions.

    Attributes:
        batch: images a forward.
        median: milliseconds.
        p95: the 95th percentile, milliseconds.
    """

    batch: int
    median: float
    p95: float


def time_calls(function: Callable[[], Any], *, device: torch.device, warmup: int, repeats: int) -> np.ndarray:
    """Return the seconds of each of `repeats` calls, the device synchronized before and after each."""
    seconds = np.empty(repeats)
    for number in range(-warmup, repeats):
        synchronize(device)
        started = time.perf_counter()
        function()
        synchronize(device)
        if number >= 0:
            seconds[number] = time.perf_counter() - started
    return seconds


def synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def summarize_times(seconds: np.ndarray, batch: int) -> Timing:
    """Summarize the seconds of forwards of `batch` images."""
    per_image = 1000 * seconds / batch
    return Timing(batch=batch, median=float(np.median(per_image)), p95=float(np.percentile(per_image, 95)))


def format_timing(timing: Timing) -> str:
    """`median / 95th percentile`."""
    return f"{timing.median:.1f} / {timing.p95:.1f}"


def device_name(device: torch.device) -> str:
    """What stands above a table of times."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"


def backbone_option(name: str, backbone: str | None) -> dict[str, Any]:
    """The option `backbone` for a network that has it."""
    return {"backbone": backbone} if backbone and "backbone" in model_entry(name).options else {}
