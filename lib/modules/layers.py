"""The small layers every network is put together from: convolutions with batch norm, squeeze-and-excitation, resizing.

Shapes are (N, C, H, W) throughout; every convolution keeps height and width.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import ModelError

__all__ = [
    "ConvBN",
    "ConvBNReLU",
    "ParallelConv",
    "SqueezeExcite",
    "check_kernel",
    "check_size",
    "divided",
    "in_layout_of",
    "resize_to",
]


class ConvBN(nn.Module):
    """Convolution, then batch normalization. (N, in, H, W) -> (N, out, H, W).

    Args:
        in_channels: of the input.
        out_channels: of the result.
        kernel: height and width, or one number for both, pixels; odd.
        dilation: distance of the pixels that the kernel looks at.
        bias: give the convolution the bias that the normalization would absorb, for published weights that have one.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int | tuple[int, int],
        *,
        dilation: int = 1,
        bias: bool = False,
    ):
        super().__init__()
        kernel_h, kernel_w = (kernel, kernel) if isinstance(kernel, int) else kernel
        check_kernel(kernel_h, kernel_w)
        padding = (dilation * (kernel_h // 2), dilation * (kernel_w // 2))
        self.conv = nn.Conv2d(
            in_channels, out_channels, (kernel_h, kernel_w), padding=padding, dilation=dilation, bias=bias
        )
        self.bn = nn.BatchNorm2d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.bn(self.conv(x))


class ConvBNReLU(ConvBN):
    """Convolution, batch normalization, ReLU. (N, in, H, W) -> (N, out, H, W)."""

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(super().forward(x), inplace=True)


class ParallelConv(nn.Module):
    """Convolutions of several receptive fields side by side, merged by a 1 x 1. (N, in, H, W) -> (N, out, H, W).

    Args:
        in_channels: of the input.
        out_channels: of each convolution and of the result.
        fields: (kernel, dilation) of each convolution.
        bias: as `ConvBN`.
    """

    def __init__(self, in_channels: int, out_channels: int, *, fields: Sequence[tuple[int, int]], bias: bool = False):
        super().__init__()
        self.branches = nn.ModuleList(
            ConvBNReLU(in_channels, out_channels, kernel, dilation=dilation, bias=bias) for kernel, dilation in fields
        )
        self.merge = ConvBNReLU(len(fields) * out_channels, out_channels, 1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.merge(torch.cat([branch(x) for branch in self.branches], dim=1))


class SqueezeExcite(nn.Module):
    """Channel weights from the global average (Hu et al., CVPR 2018), linear layers without bias."""

    def __init__(self, channels: int, *, reduction: int):
        super().__init__()
        hidden = max(1, channels // reduction)
        self.squeeze = nn.Linear(channels, hidden, bias=False)
        self.excite = nn.Linear(hidden, channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        weights = self.excite(F.relu(self.squeeze(x.mean(dim=(2, 3))))).sigmoid()  # (N, C)
        return x * weights[:, :, None, None]


def check_kernel(*sides: int) -> None:
    """Refuse a kernel that would change the size of a map.

    Raises:
        ModelError: an even side.
    """
    if any(side % 2 == 0 for side in sides):
        raise ModelError(f"a kernel was given as {' x '.join(map(str, sides))} pixels; its sides must be odd")


def divided(channels: int, divisor: int) -> int:
    """Return the width that a divisor leaves of a number of channels.

    Raises:
        ModelError: none is left.
    """
    if channels < divisor:
        raise ModelError(f"{channels} channels were given to be divided by {divisor}; give more, or a smaller divisor")
    return channels // divisor


def in_layout_of(reference: Tensor, x: Tensor) -> Tensor:
    """Lay `x` out in memory as `reference` is, channels last or not: what reads maps of both kinds copies them."""
    channels_last = reference.is_contiguous(memory_format=torch.channels_last)
    return x.contiguous(memory_format=torch.channels_last if channels_last else torch.contiguous_format)


def resize_to(x: Tensor, reference: Tensor, *, align_corners: bool) -> Tensor:
    """Resize `x` bilinearly to the height and width of `reference`."""
    return F.interpolate(x, size=reference.shape[-2:], mode="bilinear", align_corners=align_corners)


def check_size(image: Tensor, divisor: int, *, training: bool) -> None:
    """Refuse an image whose height or width a network cannot halve and double back, or a batch it cannot learn from.

    Args:
        image: (N, C, H, W).
        divisor: stride of the coarsest map, pixels.
        training: whether batch normalization takes its statistics from this batch.

    Raises:
        ModelError: a side is no multiple of `divisor`, or a single image is as small as that in training.
    """
    height, width = image.shape[-2:]
    if height % divisor or width % divisor:
        raise ModelError(f"the input is {height} x {width} pixels; height and width must be multiples of {divisor}")
    if training and len(image) * height * width == divisor**2:
        raise ModelError(
            f"a batch of one image of {height} x {width} pixels leaves batch normalization a single value a channel; "
            "train on larger images or more of them a batch"
        )
