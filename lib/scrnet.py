"""SCR-Net: Precise Yet Efficient Semantic Calibration and Refinement in ConvNets for Real-time Polyp Segmentation from
Colonoscopy Videos (Wu, Zhong, Wang, Wen, Qin; AAAI 2021).

https://github.com/jiafuz/SCR-Net. Written from the paper; trained from scratch, so it loads only weights of its own.

(N, 3, H, W) normalized RGB, H and W multiples of 16 -> ordered dict with `out`, (N, K, H, W) logits of
K classes, one unless asked for.

Differs from the released code in:
- it runs: the released forward hands a tuple to a convolution, so the paper decides;
- logits, not probabilities; one value of `align_corners` throughout, so that a flow of zero moves nothing;
- the paper's ablation is two options, `scm` and `srm`.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .base import ImageNetwork
from .errors import ModelError
from .modules.layers import ConvBNReLU, check_size, resize_to

__all__ = ["SCM", "SRM", "PyramidPooling", "SCRNet", "SCRNetConfig", "warp"]

ALIGN_CORNERS = False  # the paper does not say; one value, so that upsampling and warping agree on where pixels are
DIVISOR = 16  # four poolings by two
BINS = (1, 2, 3, 6)  # cells along a side of the pyramid pooling (PSPNet, CVPR 2017)


@dataclass(frozen=True)
class SCRNetConfig:
    """Options of SCR-Net; the defaults are the whole network of the paper.

    Attributes:
        scm: calibrate the coarser level by a learned flow before adding it; False: bilinear upsampling alone.
        srm: weight each level by the global context of the coarser one before its head; False: the head reads it as is.
        classes: K, logits a pixel; each is a sigmoid of its own.
        encoder_channels: widths of X1 to X5, finest first.
        decoder_channels: widths of I1 to I4, finest first.
    """

    scm: bool = True
    srm: bool = True
    classes: int = 1
    encoder_channels: tuple[int, ...] = (16, 32, 64, 128, 128)
    decoder_channels: tuple[int, ...] = (8, 16, 32, 64)


def double_conv(in_channels: int, out_channels: int) -> nn.Sequential:
    """Twice a 3 x 3 convolution, batch normalization and ReLU."""
    return nn.Sequential(ConvBNReLU(in_channels, out_channels, 3), ConvBNReLU(out_channels, out_channels, 3))


class PyramidPooling(nn.Module):
    """Averages over grids of 1, 2, 3 and 6 cells a side, beside the map itself. (N, C, H, W) -> (N, C, H, W)."""

    def __init__(self, channels: int):
        super().__init__()
        width = max(1, channels // len(BINS))
        self.reduce = nn.ModuleList(nn.Conv2d(channels, width, 1, bias=False) for _ in BINS)
        self.merge = nn.Conv2d(channels + len(BINS) * width, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        context = [
            resize_to(reduce(F.adaptive_avg_pool2d(x, bins)), x, align_corners=ALIGN_CORNERS)
            for bins, reduce in zip(BINS, self.reduce, strict=True)
        ]
        return F.relu(self.merge(torch.cat((x, *context), dim=1)))


def warp(x: Tensor, flow: Tensor) -> Tensor:
    """Sample `x` bilinearly at each pixel's own place plus its flow; outside the border the border counts.

    Args:
        x: (N, C, H, W).
        flow: (N, 2, H, W), (x, y); it is divided by (W, H) and added in coordinates that run from -1 to 1 over the
            image, so 2 moves by one pixel.
    """
    height, width = x.shape[-2:]
    # positions lose whole pixels in half precision
    dtype = torch.promote_types(x.dtype, torch.float32)
    rows = (2 * torch.arange(height, dtype=dtype, device=x.device) + 1) / height - 1
    columns = (2 * torch.arange(width, dtype=dtype, device=x.device) + 1) / width - 1
    dx, dy = flow.to(dtype).unbind(dim=1)  # (N, H, W) each
    grid = torch.stack((columns + dx / width, rows[:, None] + dy / height), dim=-1)  # (N, H, W, 2)
    moved = F.grid_sample(x.to(dtype), grid, mode="bilinear", padding_mode="border", align_corners=ALIGN_CORNERS)
    return moved.to(x.dtype)


class Upsample(nn.Module):
    """Equation 1: the coarser level with the finer one's channels and size."""

    def __init__(self, channels: int, coarser_channels: int):
        super().__init__()
        self.project = nn.Conv2d(coarser_channels, channels, 1)

    def forward(self, x: Tensor, coarser: Tensor) -> Tensor:
        return resize_to(self.project(coarser), x, align_corners=ALIGN_CORNERS)


class SCM(Upsample):
    """Semantic calibration module, equations 1 to 3: the upsampled coarser level, moved by a flow that both predict.

    (N, C, H, W) x and (N, C', h, w) coarser -> (N, C, H, W), to be added to x.
    """

    def __init__(self, channels: int, coarser_channels: int):
        super().__init__(channels, coarser_channels)
        self.flow = nn.Conv2d(2 * channels, 2, 3, padding=1, bias=False)

    def forward(self, x: Tensor, coarser: Tensor) -> Tensor:
        upsampled = super().forward(x, coarser)
        return warp(upsampled, self.flow(torch.cat((upsampled, x), dim=1)))


class SRM(nn.Module):
    """Semantic refinement module, equations 4 to 7: weight a level by itself and the coarser one's global context.

    (N, C, H, W) x and (N, C', h, w) coarser -> (N, C, H, W).
    """

    def __init__(self, channels: int, coarser_channels: int):
        super().__init__()
        self.project = nn.Conv2d(coarser_channels, channels, 1)

    def forward(self, x: Tensor, coarser: Tensor) -> Tensor:
        context = F.relu(self.project(coarser.mean(dim=(2, 3), keepdim=True)))  # (N, C, 1, 1)
        return x * (x + context).sigmoid()


class Level(nn.Module):
    """One level of the decoder: take in the coarser level, and read a logit from the result.

    (N, X, H, W) skip and (N, C', h, w) coarser -> (N, C, H, W) for the next level and (N, K, H, W) logits.
    """

    def __init__(self, skip_channels: int, coarser_channels: int, channels: int, *, classes: int, scm: bool, srm: bool):
        super().__init__()
        self.upsample = (SCM if scm else Upsample)(skip_channels, coarser_channels)
        self.conv = double_conv(skip_channels, channels)
        self.refine = SRM(channels, coarser_channels) if srm else None
        self.head = nn.Conv2d(channels, classes, 1)

    def forward(self, skip: Tensor, coarser: Tensor) -> tuple[Tensor, Tensor]:
        x = self.conv(skip + self.upsample(skip, coarser))
        return x, self.head(self.refine(x, coarser) if self.refine is not None else x)


class SCRNet(ImageNetwork):
    """See the head of this file.

    Raises:
        ModelError: `pretrained`, as there is no backbone whose weights could be had; or widths of another number.
    """

    name = "scrnet"
    paper = (
        "Wu et al.: Precise Yet Efficient Semantic Calibration and Refinement in ConvNets for Real-time Polyp "
        "Segmentation from Colonoscopy Videos, AAAI 2021"
    )
    config_class = SCRNetConfig
    divisor = smallest = DIVISOR
    train_size = 448
    nondeterministic_ops = ("grid_sample",)

    def __init__(self, config: SCRNetConfig, *, pretrained: bool = False):
        super().__init__()
        if pretrained:
            raise ModelError(
                "scrnet has no backbone with ImageNet weights, it is trained from scratch; "
                "give pretrained=False (--net_pretrained_backbone_path none)"
            )
        check_widths(config)
        self.config = config
        encoder, decoder = config.encoder_channels, config.decoder_channels
        self.encode = nn.ModuleList(map(double_conv, (3, *encoder[:-1]), encoder))
        self.context = PyramidPooling(encoder[-1])
        # finest first, like the widths; the coarsest level reads the context
        self.levels = nn.ModuleList(
            Level(*widths, classes=config.classes, scm=config.scm, srm=config.srm)
            for widths in zip(encoder[:-1], (*decoder[1:], encoder[-1]), decoder, strict=True)
        )
        self.apply(init_kaiming)

    @property
    def head(self) -> nn.Conv2d:
        """Of the finest level: "out" is the sum of four heads."""
        return self.levels[0].head

    def forward(self, image: Tensor) -> OrderedDict[str, Tensor]:
        check_size(image, DIVISOR, training=self.training)
        maps = [self.encode[0](image)]  # X1 to X5
        for conv in self.encode[1:]:
            maps.append(conv(F.max_pool2d(maps[-1], 2)))
        x = self.context(maps.pop())
        logits = []
        for level, skip in zip(reversed(self.levels), reversed(maps), strict=True):
            x, logit = level(skip, x)
            logits.append(logit)
        size = image.shape[-2:]
        return OrderedDict(out=sum(F.interpolate(logit, size, mode="nearest") for logit in logits))


def check_widths(config: SCRNetConfig) -> None:
    """Refuse width tables that do not fit the five encoder and four decoder levels."""
    if len(config.encoder_channels) != 5 or len(config.decoder_channels) != 4:
        raise ModelError(
            f"scrnet was given encoder_channels {config.encoder_channels} and decoder_channels "
            f"{config.decoder_channels}; give five and four widths, finest first"
        )


def init_kaiming(module: nn.Module) -> None:
    """Start convolutions as the paper does (He et al., ICCV 2015): normal, variance 2 / fan in, biases zero."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)
