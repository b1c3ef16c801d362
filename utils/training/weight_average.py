"""The exponential moving average of a network's weights that --ema keeps."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

__all__ = ["WeightAverage"]


class WeightAverage:
    """An exponential moving average of weights and batch-norm statistics; counters follow the network's own.

    It begins with the weights after the first update; then average <- decay * average + (1 - decay) * weights after
    every one. One operation for all tensors of a type, and no wait for the device.

    Args:
        model: the network; its tensors must stay where they are.
        decay: from 0 to 1.

    Attributes:
        module: a copy of the network with the averaged weights.
        has_begun: whether it holds an average already.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay, self.has_begun = decay, False
        self.module = copy.deepcopy(model).requires_grad_(False)
        self._pairs = split_by_kind(self.module, model)

    @torch.no_grad()
    def update(self) -> None:
        """Take in the weights as they are now."""
        (averages, weights), (counters, own) = self._pairs
        torch._foreach_lerp_(averages, weights, 1 - self.decay if self.has_begun else 1.0)
        self.has_begun = True
        if counters:
            torch._foreach_copy_(counters, own)


def split_by_kind(average: nn.Module, model: nn.Module) -> tuple[tuple[list[Tensor], list[Tensor]], ...]:
    """Corresponding tensors of both networks: the floating ones, and the others."""
    pairs = list(zip(tensors_of(average), tensors_of(model), strict=True))
    floating = [pair for pair in pairs if pair[0].is_floating_point()]
    others = [pair for pair in pairs if not pair[0].is_floating_point()]
    return tuple(([first for first, _ in kind], [second for _, second in kind]) for kind in (floating, others))


def tensors_of(model: nn.Module) -> list[Tensor]:
    return [tensor.detach() for tensor in (*model.parameters(), *model.buffers())]
