"""Batch normalization over all processes on the CPU, where PyTorch has none, so that tests need no CUDA."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor, nn

import myTrain
from utils.runtime import process_group
from utils.runtime.process_group import World


class SumOverProcesses(torch.autograd.Function):
    """Sum a tensor over all processes; every process's loss depends on every part, so the gradients are summed too."""

    @staticmethod
    def forward(ctx, part: Tensor) -> Tensor:
        return reduced(part)

    @staticmethod
    def backward(ctx, grad: Tensor) -> Tensor:
        return reduced(grad)


def reduced(part: Tensor) -> Tensor:
    whole = part.clone()
    dist.all_reduce(whole)
    return whole


class SyncBatchNorm(nn.BatchNorm2d):
    """`nn.BatchNorm2d` whose training statistics are those of all processes' images; gradients run through them."""

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or not dist.is_initialized():
            return super().forward(x)
        axes, levels = (0, 2, 3), x.float()
        count = reduced(levels.new_tensor(x.numel() // x.shape[1]))
        mean = SumOverProcesses.apply(levels.sum(axes)) / count
        centered = levels - mean[:, None, None]
        variance = SumOverProcesses.apply(centered.square().sum(axes)) / count
        self._remember(mean.detach(), (variance * count / (count - 1)).detach())
        scale = self.weight * torch.rsqrt(variance + self.eps)
        return torch.addcmul(self.bias[:, None, None], centered, scale[:, None, None]).to(x.dtype)

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor) -> None:
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance, self.momentum)
        self.num_batches_tracked += 1


def synchronize_on_cpu(model: nn.Module, world: World) -> nn.Module:
    """Let every `nn.BatchNorm2d` of `model` normalize over all processes; stands in for `synchronize_norms`."""
    for module in model.modules():
        if type(module) is nn.BatchNorm2d:
            module.__class__ = SyncBatchNorm
    return model


def train(argv: list[str]) -> int:
    """`myTrain.main` with it, for a process of its own."""
    process_group.synchronize_norms = synchronize_on_cpu
    return myTrain.main(argv)
