"""CRC, contextual representation calibration (SEPNet, IEEE TCSVT 2024): fuse two levels, then give back their details.

(N, M, H, W) low and (N, M, h, w) high -> (N, M, H, W).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .layers import ConvBN, ConvBNReLU, SqueezeExcite, divided, resize_to

__all__ = ["CRC"]

# hidden width of CRC's own channel weights, as a divisor; fixed in the released network
SE_REDUCTION = 8


class Fuse(nn.Module):
    """Attentional fusion of two maps: each pixel and channel weighs the first by w and the second by 1 - w."""

    def __init__(self, channels: int, *, reduction: int):
        super().__init__()
        hidden = divided(channels, reduction)
        self.local_context = nn.Sequential(
            nn.Conv2d(channels, hidden, 1),
            nn.BatchNorm2d(hidden),
            nn.ReLU(inplace=True),
            nn.Conv2d(hidden, channels, 1),
            nn.BatchNorm2d(channels),
        )
        self.global_context = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(channels, hidden, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(hidden, channels, 1),
        )

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        both = first + second
        weight = (self.local_context(both) + self.global_context(both)).sigmoid()
        return torch.lerp(second, first, weight)


class CRC(nn.Module):
    """Calibrate a low level by the level above it.

    Args:
        channels: M, of both inputs and the result.
        fuse_reductions: hidden widths of the two fusions (focus, result), as divisors of M.
    """

    def __init__(self, channels: int, *, fuse_reductions: tuple[int, int]):
        super().__init__()
        self.low = ConvBN(channels, channels, 3)
        self.high = ConvBN(channels, channels, 3)
        self.fuse_focus = Fuse(channels, reduction=fuse_reductions[0])
        self.focus = ConvBNReLU(channels, channels, 3)
        self.detail = ConvBNReLU(channels, channels, 3)
        self.fuse_result = Fuse(channels, reduction=fuse_reductions[1])
        self.result = ConvBNReLU(channels, channels, 3)
        self.se = SqueezeExcite(channels, reduction=SE_REDUCTION)

    def forward(self, low: Tensor, high: Tensor) -> Tensor:
        low_features = self.low(low)
        high_features = self.high(resize_to(high, low, align_corners=False))
        focus = self.focus(self.fuse_focus(low_features, high_features))
        detail = self.detail(low_features - high_features)
        result = self.result(self.fuse_result(focus, detail))
        return F.relu(self.se(result) + result)
