"""Deformable alignment: bend the maps of one frame onto another, from the coarsest level to the finest.

The pyramid of EDVR (Wang et al., CVPR Workshops 2019) with modulated deformable convolution (Zhu et al., CVPR 2019),
as SALI (Hu et al., MICCAI 2024) uses it. `torchvision.ops.deform_conv2d` does the sampling: nothing to compile.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import deform_conv2d

from .layers import resize_to
from .precision import full_precision

__all__ = ["DeformableAlignment", "ModulatedDeformConv"]

GROUPS = 8  # channel groups with offsets of their own, as released
SLOPE = 0.1  # of the leaky ReLU, as released


def conv3(in_channels: int, out_channels: int) -> nn.Conv2d:
    return nn.Conv2d(in_channels, out_channels, 3, padding=1)


def activate(x: Tensor) -> Tensor:
    return F.leaky_relu(x, SLOPE)


class ModulatedDeformConv(nn.Conv2d):
    """A 3 x 3 convolution that samples where, and as strongly as, a second map says. (N, C, H, W) twice -> same.

    At the start offsets are 0 and strengths 1/2: half of a plain convolution.
    """

    def __init__(self, channels: int):
        super().__init__(channels, channels, 3, padding=1)
        self.offset = conv3(channels, 3 * GROUPS * 9)
        nn.init.zeros_(self.offset.weight)
        nn.init.zeros_(self.offset.bias)

    def forward(self, x: Tensor, guide: Tensor) -> Tensor:
        first, second, strength = self.offset(guide).chunk(3, dim=1)  # (N, 72, H, W) each
        offsets = torch.cat((first, second), dim=1)  # (dy, dx) pairs in pixels of this level
        x, offsets, strength = (full_precision(t) for t in (x, offsets, strength))  # not every device samples in half
        return deform_conv2d(x, offsets, self.weight, self.bias, padding=1, mask=strength.sigmoid())


class AlignedLevel(nn.Module):
    """Align one level, given what the level below it found.

    Args:
        channels: C, of every map.
        coarsest: there is no level below.
        finest: the aligned map stays linear.
    """

    def __init__(self, channels: int, *, coarsest: bool, finest: bool):
        super().__init__()
        self.finest = finest
        self.compare = conv3(2 * channels, channels)
        self.guide = conv3(channels if coarsest else 2 * channels, channels)
        self.deform = ModulatedDeformConv(channels)
        if not coarsest:
            self.refine = conv3(channels, channels)
            self.merge = conv3(2 * channels, channels)

    def forward(
        self, source: Tensor, reference: Tensor, coarser: tuple[Tensor, Tensor] | None
    ) -> tuple[Tensor, Tensor]:
        """Return the guide of the offsets and the aligned map, both (N, C, H, W); `coarser` is that pair below."""
        guide = activate(self.compare(torch.cat((source, reference), dim=1)))
        if coarser is None:
            guide = activate(self.guide(guide))
            aligned = self.deform(source, guide)
        else:
            coarse_guide, coarse = (resize_to(x, source, align_corners=False) for x in coarser)
            # an offset of one coarse pixel is one of two pixels here
            guide = activate(self.guide(torch.cat((guide, 2 * coarse_guide), dim=1)))
            guide = activate(self.refine(guide))
            aligned = self.merge(torch.cat((self.deform(source, guide), coarse), dim=1))
        return guide, aligned if self.finest else activate(aligned)


class DeformableAlignment(nn.Module):
    """Align the maps of a source with those of a reference. Per level, finest first: (N, C, H, W) twice -> same."""

    def __init__(self, channels: int, *, levels: int = 3):
        super().__init__()
        last = levels - 1
        self.levels = nn.ModuleList(
            AlignedLevel(channels, coarsest=level == last, finest=level == 0) for level in range(levels)
        )

    def forward(self, sources: Sequence[Tensor], references: Sequence[Tensor]) -> list[Tensor]:
        found, aligned = None, []
        for level, source, reference in zip(self.levels[::-1], sources[::-1], references[::-1], strict=True):
            found = level(source, reference, found)
            aligned.append(found[1])
        return aligned[::-1]
