"""MAP, multi-scale adaptive perception (SEPNet, IEEE TCSVT 2024): neighboring receptive fields feed one another.

(N, C, H, W) backbone map -> (N, M, H, W) with M channels, the same at every level.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .layers import ConvBN, ConvBNReLU, SqueezeExcite, divided

__all__ = ["MAP", "LowLevelMAP"]

# (kernel, dilation) of the four perception blocks, from the narrowest receptive field to the widest
PERCEPTION = ((3, 1), (3, 2), (5, 3), (7, 4))


def separable(channels: int, first: tuple[int, int], second: tuple[int, int]) -> nn.Sequential:
    """Two one-dimensional convolutions with bias, batch normalization, ReLU."""
    return nn.Sequential(
        nn.Conv2d(channels, channels, first, padding=(first[0] // 2, first[1] // 2)),
        nn.Conv2d(channels, channels, second, padding=(second[0] // 2, second[1] // 2)),
        nn.BatchNorm2d(channels),
        nn.ReLU(inplace=True),
    )


class Perception(nn.Module):
    """One receptive field: a row-column and a column-row branch, merged, weighted by channel, dilated."""

    def __init__(self, channels: int, *, kernel: int, dilation: int, se_reduction: int):
        super().__init__()
        self.left = separable(channels, (1, kernel), (kernel, 1))
        self.right = separable(channels, (kernel, 1), (1, kernel))
        self.merge = ConvBN(2 * channels, channels, 3)
        self.se = SqueezeExcite(channels, reduction=se_reduction)
        self.dilated = ConvBNReLU(channels, channels, 3, dilation=dilation)

    def forward(self, x: Tensor) -> Tensor:
        merged = self.merge(torch.cat((self.left(x), self.right(x)), dim=1))
        return self.dilated(self.se(merged))


class MAP(nn.Module):
    """Levels 2 to 4: four chained receptive fields, each fed by the next narrower one.

    Args:
        in_channels: channels of the backbone's map.
        channels: M, the channels of the result.
        reduction: M divided by this is the width of each receptive field.
        se_reduction: hidden width of the channel weights, as a divisor.
    """

    def __init__(self, in_channels: int, *, channels: int, reduction: int, se_reduction: int):
        super().__init__()
        width = divided(channels, reduction)
        self.reduce = nn.ModuleList(
            nn.Sequential(ConvBN(in_channels, 2 * width, 1), ConvBN(2 * width, width, 1)) for _ in PERCEPTION
        )
        self.perceive = nn.ModuleList(
            Perception(width, kernel=kernel, dilation=dilation, se_reduction=se_reduction)
            for kernel, dilation in PERCEPTION
        )
        self.merge = ConvBN(len(PERCEPTION) * width, channels, 3)
        self.se = SqueezeExcite(channels, reduction=se_reduction)
        self.shortcut = ConvBN(in_channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        x1, x2, x3, x4 = (reduce(x) for reduce in self.reduce)  # (N, width, H, W) each
        y1 = self.perceive[0](x1 + x2)
        y2 = self.perceive[1](y1 + x2 + x3)
        y3 = self.perceive[2](y2 + x3 + x4)
        y4 = self.perceive[3](y3 + x4)
        scales = self.merge(torch.cat((y1, y2, y3, y4), dim=1))
        return F.relu(self.se(scales) + self.shortcut(x))


class LowLevelMAP(nn.Module):
    """Level 1: at stride 4 one receptive field is enough."""

    def __init__(self, in_channels: int, *, channels: int, se_reduction: int):
        super().__init__()
        self.reduce = nn.Sequential(ConvBN(in_channels, channels, 1), ConvBN(channels, channels, 3))
        self.se = SqueezeExcite(channels, reduction=se_reduction)
        self.shortcut = ConvBN(in_channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.se(self.reduce(x)) + self.shortcut(x))
