"""How times are taken: after a warm-up, with the device synchronised on both sides."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from lib import model_entry

__all__ = ["Course", "Timing", "device_name", "own_options", "shown", "timed", "timing"]


@dataclass(frozen=True)
class Course:
    """How times are taken.

    Attributes:
        size: input height and width, pixels; None: as the network's recipe trains it.
        batch_sizes: tried in this order for the best batch; what no longer fits in memory ends the trial.
        warmup, repeats: forwards before and while time is taken.
        amp: "off", "bf16" or "fp16". workers: processes that load images for the best batch with files.
    """

    size: int | None = None
    batch_sizes: tuple[int, ...] = (1, 2, 4, 8, 16, 32)
    warmup: int = 5
    repeats: int = 30
    amp: str = "off"
    workers: int = 1


@dataclass(frozen=True)
class Timing:
    """Milliseconds an image: median and 95th percentile over repetitions; `batch` images a forward."""

    batch: int
    median: float
    p95: float


def timed(function: Callable[[], Any], *, device: torch.device, warmup: int, repeats: int) -> np.ndarray:
    """Return the seconds of each of `repeats` calls, the device synchronised before and after each."""
    seconds = np.empty(repeats)
    for number in range(-warmup, repeats):
        synchronise(device)
        started = time.perf_counter()
        function()
        synchronise(device)
        if number >= 0:
            seconds[number] = time.perf_counter() - started
    return seconds


def synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def timing(seconds: np.ndarray, batch: int) -> Timing:
    """Summarise the seconds of forwards of `batch` images."""
    per_image = 1000 * seconds / batch
    return Timing(batch=batch, median=float(np.median(per_image)), p95=float(np.percentile(per_image, 95)))


def shown(found: Timing) -> str:
    """`median / 95th percentile`."""
    return f"{found.median:.1f} / {found.p95:.1f}"


def device_name(device: torch.device) -> str:
    """What stands above a table of times."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"


def own_options(name: str, backbone: str | None) -> dict[str, Any]:
    """The option `backbone` for a network that has it."""
    return {"backbone": backbone} if backbone and "backbone" in model_entry(name).options else {}
