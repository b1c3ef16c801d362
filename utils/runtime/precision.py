"""How exactly a device computes: mixed precision, TF32, and convolutions that are chosen by trial."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

__all__ = ["autocast", "kernels"]

AMP_TYPES = {"off": torch.bfloat16, "bf16": torch.bfloat16, "fp16": torch.float16}


def autocast(device: torch.device, amp: str) -> torch.autocast:
    """The context for a network's forward; `amp` is a key of `AMP_TYPES`, "off" changes nothing."""
    return torch.autocast(device.type, AMP_TYPES[amp], enabled=amp != "off")


@contextmanager
def kernels(*, tf32: bool, cudnn_benchmark: bool) -> Iterator[None]:
    """Allow faster CUDA kernels for the block; on a CPU nothing changes.

    Args:
        tf32: matrix products of float32 round their factors to 10 bits of mantissa, as convolutions do anyway.
        cudnn_benchmark: cuDNN tries its algorithms once for every shape of a convolution and keeps the fastest.
    """
    precision, benchmark = torch.get_float32_matmul_precision(), torch.backends.cudnn.benchmark
    torch.set_float32_matmul_precision("high" if tf32 else "highest")
    torch.backends.cudnn.benchmark = cudnn_benchmark
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(precision)
        torch.backends.cudnn.benchmark = benchmark
