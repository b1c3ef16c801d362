"""Bit-identical results from run to run on one machine, where PyTorch would choose the fastest algorithm."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from lib import model_entry

__all__ = ["deterministic", "pool_by_product"]


@contextmanager
def deterministic(enabled: bool = True, *, model: str) -> Iterator[None]:
    """Choose deterministic algorithms for the block; enter it before anything is computed on a CUDA device.

    A CPU gives equal bits without it. On CUDA an operation without a deterministic version raises a RuntimeError. Only
    networks with `nondeterministic_ops` may use these: they train, and may differ in their last bits from run to run.

    Args:
        model: name of the network.
    """
    if not enabled:
        yield
        return
    nondeterministic = model_entry(model).network.nondeterministic_ops
    for name in nondeterministic:
        print(f"note: on CUDA the backward of {name}, in {model}, is not deterministic", file=sys.stderr)
    # cuBLAS reads it when it starts: eight workspaces of 4 MiB a stream instead of any number of them
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    chosen = torch.are_deterministic_algorithms_enabled()
    only_warned = torch.is_deterministic_algorithms_warn_only_enabled()
    timed = torch.backends.cudnn.benchmark
    # not warn_only for all: with it PyTorch's attention keeps its faster backward, which is not deterministic
    torch.use_deterministic_algorithms(True, warn_only=bool(nondeterministic))
    torch.backends.cudnn.benchmark = False
    try:
        with PoolByProduct():
            yield
    finally:
        torch.use_deterministic_algorithms(chosen, warn_only=only_warned)
        torch.backends.cudnn.benchmark = timed


class PoolByProduct(TorchFunctionMode):
    """Computes adaptive average pooling on CUDA by matrix products, because the backward of PyTorch's own adds
    overlapping windows in an order that changes from run to run."""

    def __torch_function__(
        self, func: Callable, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if func is F.adaptive_avg_pool2d and args[0].is_cuda:
            func = pool_by_product
        return func(*args, **(kwargs or {}))


def pool_by_product(input: Tensor, output_size: int | Sequence[int]) -> Tensor:
    """Average (N, C, H, W) over adaptive windows, as `F.adaptive_avg_pool2d` does. -> (N, C, *output_size).

    Sums of half-precision inputs are float32, as there.
    """
    rows, columns = (output_size, output_size) if isinstance(output_size, int) else output_size
    with torch.autocast(input.device.type, enabled=False):
        x = input.to(torch.promote_types(input.dtype, torch.float32))
        means = window_means(x.shape[-2], rows, x) @ x @ window_means(x.shape[-1], columns, x).T
    return means.to(input.dtype)


def window_means(size: int, count: int, like: Tensor) -> Tensor:
    """The (count, size) matrix of means over windows i: floor(i size / count) up to ceil((i + 1) size / count)."""
    at = torch.arange(size, device=like.device)
    window = torch.arange(count, device=like.device)[:, None]
    inside = (at >= window * size // count) & (at < -(-(window + 1) * size // count))
    return inside.to(like.dtype) / inside.sum(dim=1, keepdim=True)
