"""RFB, receptive field block (Liu et al., ECCV 2018), in the form of PraNet and SALI.

(N, C, H, W) backbone map -> (N, M, H, W).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .layers import ConvBN

__all__ = ["RFB"]

KERNELS = (3, 5, 7)  # of the three wide branches; also their dilations


def wide_branch(in_channels: int, channels: int, kernel: int) -> nn.Sequential:
    return nn.Sequential(
        ConvBN(in_channels, channels, 1),
        ConvBN(channels, channels, (1, kernel)),
        ConvBN(channels, channels, (kernel, 1)),
        ConvBN(channels, channels, 3, dilation=kernel),
    )


class RFB(nn.Module):
    """Four receptive fields side by side, merged, beside a shortcut."""

    def __init__(self, in_channels: int, channels: int):
        super().__init__()
        self.branches = nn.ModuleList(
            (
                nn.Sequential(ConvBN(in_channels, channels, 1)),
                *(wide_branch(in_channels, channels, kernel) for kernel in KERNELS),
            )
        )
        self.merge = ConvBN(len(self.branches) * channels, channels, 3)
        self.shortcut = ConvBN(in_channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        fields = torch.cat([branch(x) for branch in self.branches], dim=1)
        return F.relu(self.merge(fields) + self.shortcut(x))
