"""Batch normalisation over the images of all processes of a run, on CUDA (PyTorch's own) and on the CPU (here)."""

from __future__ import annotations

import torch
import torch.distributed as dist
from timm.layers import convert_sync_batchnorm
from torch import Tensor, nn

from measure.io import InputError

__all__ = ["SyncBatchNorm", "synchronised"]


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
    """`nn.BatchNorm2d` whose training statistics are those of all processes' images; gradients run through them.

    PyTorch's own works on CUDA alone; this one is for the CPU, where speed is not what one comes for.
    """

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or not dist.is_initialized():
            return super().forward(x)
        axes, levels = (0, 2, 3), x.float()
        count = reduced(levels.new_tensor(x.numel() // x.shape[1]))
        mean = SumOverProcesses.apply(levels.sum(axes)) / count
        centred = levels - mean[:, None, None]
        variance = SumOverProcesses.apply(centred.square().sum(axes)) / count
        self._remember(mean.detach(), (variance * count / (count - 1)).detach())
        scale = self.weight * torch.rsqrt(variance + self.eps)
        return torch.addcmul(self.bias[:, None, None], centred, scale[:, None, None]).to(x.dtype)

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor) -> None:
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance, self.momentum)
        self.num_batches_tracked += 1


def synchronised(model: nn.Module) -> nn.Module:
    """Let `model` normalise over all processes; names and values of its entries stay.

    Raises:
        InputError: on the CPU, a batch normalisation of another kind than `nn.BatchNorm2d`.
    """
    if next(model.parameters()).is_cuda:
        return convert_sync_batchnorm(model)
    for module in model.modules():
        if type(module) is nn.BatchNorm2d:
            module.__class__ = SyncBatchNorm
        elif isinstance(module, nn.modules.batchnorm._BatchNorm) and not isinstance(module, SyncBatchNorm):
            raise InputError(
                f"{type(module).__name__} cannot be synchronised between processes on a CPU; use --sync_batchnorm off"
            )
    return model
