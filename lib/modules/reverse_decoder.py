"""SALI's decoder: a first segmentation from all levels, then reverse stages that refine it from coarse to fine.

Neighbour connection and group reversal are SINet-v2's (Fan et al., IEEE TPAMI 2022).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .layers import ConvBN, resize_to

__all__ = ["NeighbourConnection", "ReverseDecoder", "ReverseStage"]

GROUPS = (1, 4, 32)  # channel groups of the three blocks of a reverse stage, as released


class NeighbourConnection(nn.Module):
    """The global segmentation: each level is multiplied by the coarser ones. Three maps -> logit of the finest size."""

    def __init__(self, channels: int):
        super().__init__()
        self.up1 = ConvBN(channels, channels, 3)
        self.up2 = ConvBN(channels, channels, 3)
        self.up3 = ConvBN(channels, channels, 3)
        self.up4 = ConvBN(channels, channels, 3)
        self.up5 = ConvBN(2 * channels, 2 * channels, 3)
        self.merge2 = ConvBN(2 * channels, 2 * channels, 3)
        self.merge3 = ConvBN(3 * channels, 3 * channels, 3)
        self.smooth = ConvBN(3 * channels, 3 * channels, 3)
        self.head = nn.Conv2d(3 * channels, 1, 1)

    def forward(self, fine: Tensor, middle: Tensor, coarse: Tensor) -> Tensor:
        coarse_up = resize_to(coarse, middle, align_corners=True)
        gated_middle = self.up1(coarse_up) * middle
        middle_up, gated_up = (resize_to(x, fine, align_corners=True) for x in (middle, gated_middle))
        gated_fine = self.up2(gated_up) * self.up3(middle_up) * fine
        merged = self.merge2(torch.cat((gated_middle, self.up4(coarse_up)), dim=1))
        merged = self.up5(resize_to(merged, fine, align_corners=True))
        merged = self.merge3(torch.cat((gated_fine, merged), dim=1))
        return self.head(self.smooth(merged))


class GroupReversal(nn.Module):
    """Insert the guide after each group of channels, and refine both. (N, M, H, W), (N, 1, H, W) -> same."""

    def __init__(self, channels: int, *, groups: int):
        super().__init__()
        self.groups = groups
        self.merge = nn.Conv2d(channels + groups, channels, 3, padding=1)
        self.score = nn.Conv2d(channels, 1, 3, padding=1)

    def forward(self, x: Tensor, guide: Tensor) -> tuple[Tensor, Tensor]:
        parts = (part for group in x.chunk(self.groups, dim=1) for part in (group, guide))
        x = x + F.relu(self.merge(torch.cat(list(parts), dim=1)))
        return x, guide + self.score(x)


class ReverseStage(nn.Module):
    """Correct a coarse logit by looking where it is not. (N, M, H, W) map, (N, 1, H, W) logit -> (N, 1, H, W) logit."""

    def __init__(self, channels: int):
        super().__init__()
        self.blocks = nn.ModuleList(GroupReversal(channels, groups=groups) for groups in GROUPS)

    def forward(self, x: Tensor, logit: Tensor) -> Tensor:
        guide = 1 - logit.sigmoid()
        for block in self.blocks:
            x, guide = block(x, guide)
        return guide + logit


class ReverseDecoder(nn.Module):
    """Three maps, finest first -> four logits: of the stages at strides 8, 16, 32, and the global one at stride 8."""

    def __init__(self, channels: int):
        super().__init__()
        self.connection = NeighbourConnection(channels)
        self.stage3 = ReverseStage(channels)
        self.stage4 = ReverseStage(channels)
        self.stage5 = ReverseStage(channels)

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        fine, middle, coarse = maps
        whole = self.connection(fine, middle, coarse)
        logit5 = self.stage5(coarse, resize_to(whole, coarse, align_corners=False))
        logit4 = self.stage4(middle, resize_to(logit5, middle, align_corners=False))
        logit3 = self.stage3(fine, resize_to(logit4, fine, align_corners=False))
        return logit3, logit4, logit5, whole
