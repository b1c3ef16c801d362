"""The small layers every network is put together from: convolutions with batch norm, squeeze-and-excitation, resizing.

Shapes are (N, C, H, W) throughout; every convolution keeps height and width.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["ConvBN", "ConvBNReLU", "SqueezeExcite", "resize_to"]


class ConvBN(nn.Module):
    """Convolution without bias, then batch normalisation. (N, in, H, W) -> (N, out, H, W)."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int | tuple[int, int], *, dilation: int = 1):
        super().__init__()
        kernel_h, kernel_w = (kernel, kernel) if isinstance(kernel, int) else kernel
        padding = (dilation * (kernel_h // 2), dilation * (kernel_w // 2))
        self.conv = nn.Conv2d(
            in_channels, out_channels, (kernel_h, kernel_w), padding=padding, dilation=dilation, bias=False
        )
        self.bn = nn.BatchNorm2d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.bn(self.conv(x))


class ConvBNReLU(ConvBN):
    """Convolution without bias, batch normalisation, ReLU. (N, in, H, W) -> (N, out, H, W)."""

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(super().forward(x), inplace=True)


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


def resize_to(x: Tensor, reference: Tensor, *, align_corners: bool) -> Tensor:
    """Resize `x` bilinearly to the height and width of `reference`."""
    return F.interpolate(x, size=reference.shape[-2:], mode="bilinear", align_corners=align_corners)
