"""What the makers' data sheets say that a GPU can do at most, dense, without sparsity."""

from __future__ import annotations

import re

import torch

__all__ = ["peak_flops"]

# TFLOP/s by the name CUDA gives: float32 without tensor cores, bfloat16 with them. First match counts
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


def peak_flops(device: torch.device, *, half: bool) -> float | None:
    """FLOP/s of a known GPU in float32, or with `half` in half precision; None of a CPU or an unknown GPU."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else ""
    known = (peaks for gpu, peaks in PEAKS.items() if re.search(rf"\b{gpu}\b", name))
    peaks = next(known, None)
    return peaks and 1e12 * peaks[half]
