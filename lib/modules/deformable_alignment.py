"""Deformable alignment: bend the maps of one frame onto another, from the coarsest level to the finest.

The pyramid of EDVR (Wang et al., CVPR Workshops 2019) with modulated deformable convolution (Zhu et al., CVPR 2019),
as SALI (Hu et al., MICCAI 2024) uses it. `grid_sample` does the sampling: on a CPU it takes a third of the time of
torchvision's `deform_conv2d`, with gradients a sixth, and exporters to ONNX know it.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .layers import in_layout_of, resize_to
from .precision import full_precision

__all__ = ["DeformableAlignment", "ModulatedDeformConv"]

GROUPS = 8  # channel groups with offsets of their own, as released
SLOPE = 0.1  # of the leaky ReLU, as released


def conv3(in_channels: int, out_channels: int) -> nn.Conv2d:
    return nn.Conv2d(in_channels, out_channels, 3, padding=1)


def activate(x: Tensor) -> Tensor:
    return F.leaky_relu(x, SLOPE)


def deform_conv(x: Tensor, offsets: Tensor, strength: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Modulated deformable 3 x 3 convolution (Zhu et al., CVPR 2019, equation 1), zero outside the map.

    Args:
        x: (N, C, H, W), C a multiple of the G groups of channels that have offsets of their own.
        offsets: (N, 18 G, H, W), pixels: for each group and tap, in rows, (dy, dx).
        strength: (N, 9 G, H, W), for each group and tap.
        weight: (M, C, 3, 3).
        bias: (M,).

    Returns:
        (N, M, H, W).
    """
    batch, channels, height, width = x.shape
    groups = strength.shape[1] // 9
    like = {"dtype": x.dtype, "device": x.device}
    # grid_sample counts from -1 to 1, from the outer edge of the first pixel to that of the last
    taps = torch.arange(9, device=x.device)
    at_y = (torch.arange(height, **like) + 0.5 + (taps // 3 - 1)[:, None]) * (2 / height) - 1
    at_x = (torch.arange(width, **like) + 0.5 + (taps % 3 - 1)[:, None]) * (2 / width) - 1
    undisturbed = torch.stack(torch.broadcast_tensors(at_y[:, :, None], at_x[:, None]), dim=1)  # (9, 2, H, W)
    pixel = torch.stack((torch.full((), 2 / height, **like), torch.full((), 2 / width, **like)))[:, None, None]
    at = torch.addcmul(undisturbed, offsets.reshape(batch * groups, 9, 2, height, width), pixel)
    # (y, x) of a map is (x, y) of the map with its sides swapped, so that nothing is copied into another order
    swapped = x.reshape(batch * groups, channels // groups, height, width).transpose(2, 3)
    sampled = F.grid_sample(swapped, at.flatten(3).transpose(2, 3), align_corners=False)  # (N G, C / G, 9, H W)
    taken = sampled.view(batch, groups, channels // groups, 9, -1) * strength.reshape(batch, groups, 1, 9, -1)
    products = weight.flatten(1) @ taken.view(batch, channels * 9, -1)
    return products.view(batch, -1, height, width) + bias[:, None, None]


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
        # (N, 144, H, W), (dy, dx) pairs in pixels of this level, and (N, 72, H, W), each channel read by itself
        offsets, strength = self.offset(guide).contiguous().split((2 * GROUPS * 9, GROUPS * 9), dim=1)
        full, offsets, strength = (full_precision(t) for t in (x, offsets, strength))  # positions need all digits
        with torch.autocast(x.device.type, enabled=False):
            result = deform_conv(full, offsets, strength.sigmoid(), self.weight, self.bias)
        return in_layout_of(x, result)


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
