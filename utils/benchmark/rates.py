"""What a device can do at most, as measured and as data sheets say."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from measure.io import markdown_table

from ..runtime import choose_device, kernels
from .options import RatesBenchmark
from .report import write_report
from .timing import device_name, time_calls

__all__ = ["Rate", "peak_flops", "start"]

KINDS = {"float32": torch.float32, "tf32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}

# TFLOP/s of the makers' data sheets by CUDA's name, dense: float32 without tensor cores, bf16 with. First match counts
PEAKS = {
    "H200": (67, 989),
    "H100 PCIe": (51, 756),
    "H100": (67, 989),
    "A100": (19.5, 312),
    "L40S": (91.6, 362),
    "L4": (30.3, 121),
    "RTX 4090": (82.6, 165),
    "RTX 3090": (35.6, 71),
}


def start(options: RatesBenchmark) -> None:
    """Measure, write and print."""
    device = choose_device(options.device, options.gpu_id)
    found = list(measure_rates(options, device))
    table = markdown_table(("what", "rate"), [(rate.name, f"{rate.value:.3g} {rate.unit}") for rate in found])
    text = f"Rates of {device_name(device)}, median of {options.repeats}.\n\n{table}\n"
    rows = [dataclasses.asdict(rate) for rate in found]
    write_report(Path(options.out), "rates", text=text, device=device, options=options.flags(), rates=rows)


@dataclass(frozen=True)
class Rate:
    """A measured rate.

    Attributes:
        name: of what.
        value: the median, in `unit`.
        unit: TB/s or TFLOP/s.
    """

    name: str
    value: float
    unit: str


def measure_rates(options: RatesBenchmark, device: torch.device) -> Iterator[Rate]:
    """Copy within the device's memory, then multiply in every precision it has."""
    seconds = time_copies(options, device)
    yield Rate("copy", 2 * options.megabytes * 1e6 / float(np.median(seconds)) / 1e12, "TB/s")
    for name, kind in KINDS.items():
        a, b = (torch.randn(options.side, options.side, device=device, dtype=kind) for _ in range(2))
        with kernels(tf32=name == "tf32", cudnn_benchmark=False):
            seconds = time_calls(lambda a=a, b=b: a @ b, device=device, warmup=2, repeats=options.repeats)
        yield Rate(f"matrix product, {name}", 2 * options.side**3 / float(np.median(seconds)) / 1e12, "TFLOP/s")


def time_copies(options: RatesBenchmark, device: torch.device) -> np.ndarray:
    source = torch.empty(options.megabytes * 10**6, dtype=torch.uint8, device=device).random_()
    target = torch.empty_like(source)
    return time_calls(lambda: target.copy_(source), device=device, warmup=2, repeats=options.repeats)


def peak_flops(device: torch.device, *, half: bool) -> float | None:
    """FLOP/s of a known GPU in float32, or with `half` in half precision; None of a CPU or an unknown GPU."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else ""
    known = (peaks for gpu, peaks in PEAKS.items() if re.search(rf"\b{gpu}\b", name))
    peaks = next(known, None)
    return peaks and 1e12 * peaks[half]
