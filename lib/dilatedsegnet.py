"""DilatedSegNet: A Deep Dilated Segmentation Network for Polyp Segmentation (Tomar, Jha, Bagci; MMM 2023).

https://arxiv.org/abs/2210.13595. Loads the weights published for github.com/nikhilroxtomar/DilatedSegNet.

(N, 3, H, W) normalized RGB, H and W multiples of 16 -> ordered dict with `out`, (N, K, H, W) logits of
K classes, one unless asked for.

Differs from the released code in:
- the encoder is any timm backbone with maps at strides 2, 4, 8, 16; names of entries are ours, and the published ones
  are mapped (`remap_published`);
- the heat map is made of what the head reads (`explain`) in place of a second result of `forward`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .backbones import NUMBERED_RESNET, Backbone, rename
from .base import ImageNetwork
from .modules.layers import ConvBN, ConvBNReLU, ParallelConv, resize_to

__all__ = ["DilatedSegNet", "DilatedSegNetConfig"]

STRIDES = (2, 4, 8, 16)
ATTENTION_REDUCTION = 16  # hidden width of the channel attention, as a divisor
ATTENTION_KERNEL = 7  # of the spatial attention


@dataclass(frozen=True)
class DilatedSegNetConfig:
    """Options of DilatedSegNet; the defaults are the released ones.

    Attributes:
        backbone: a short name of `lib.backbones.BACKBONES` or a timm model with strides 2, 4, 8, 16.
        classes: K, logits a pixel; each is a sigmoid of its own.
        channels: width of each dilated convolution pooling.
        dilations: dilations of the parallel convolutions of a pooling.
        decoder_channels: widths of the four decoder blocks, from stride 8 to stride 1.
    """

    backbone: str = "resnet50"
    classes: int = 1
    channels: int = 64
    dilations: tuple[int, ...] = (1, 3, 6, 9)
    decoder_channels: tuple[int, int, int, int] = (256, 128, 64, 32)


class Residual(nn.Module):
    """Two convolutions beside a projection. (N, in, H, W) -> (N, out, H, W)."""

    def __init__(self, in_channels: int, out_channels: int):
        super().__init__()
        self.first = ConvBNReLU(in_channels, out_channels, 3, bias=True)
        self.second = ConvBN(out_channels, out_channels, 3, bias=True)
        self.shortcut = ConvBN(in_channels, out_channels, 1, bias=True)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.second(self.first(x)) + self.shortcut(x))


class ChannelAttention(nn.Module):
    """Channel weights from the global average and maximum through the same two convolutions (CBAM, ECCV 2018)."""

    def __init__(self, channels: int):
        super().__init__()
        hidden = max(1, channels // ATTENTION_REDUCTION)
        self.squeeze = nn.Conv2d(channels, hidden, 1, bias=False)
        self.excite = nn.Conv2d(hidden, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        pooled = (x.mean(dim=(2, 3), keepdim=True), x.amax(dim=(2, 3), keepdim=True))  # (N, C, 1, 1) each
        average, maximum = (self.excite(F.relu(self.squeeze(p))) for p in pooled)
        return x * (average + maximum).sigmoid()


class SpatialAttention(nn.Module):
    """Pixel weights from the mean and the maximum over channels (CBAM, ECCV 2018)."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 1, ATTENTION_KERNEL, padding=ATTENTION_KERNEL // 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        pooled = torch.cat((x.mean(dim=1, keepdim=True), x.amax(dim=1, keepdim=True)), dim=1)  # (N, 2, H, W)
        return x * self.conv(pooled).sigmoid()


class DecoderBlock(nn.Module):
    """Double the size, take in the skip, attend. (N, in, H/2, W/2) and (N, skip, H, W) -> (N, out, H, W)."""

    def __init__(self, in_channels: int, skip_channels: int, out_channels: int):
        super().__init__()
        self.residuals = nn.Sequential(
            Residual(in_channels + skip_channels, out_channels), Residual(out_channels, out_channels)
        )
        self.channel_attention = ChannelAttention(out_channels)
        self.spatial_attention = SpatialAttention()

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        x = torch.cat((resize_to(x, skip, align_corners=True), skip), dim=1)
        return self.spatial_attention(self.channel_attention(self.residuals(x)))


# published name -> ours, applied in this order to every entry
PUBLISHED_NAMES = (
    *NUMBERED_RESNET,
    (r"^r([1-3])\.0\.", lambda m: f"pool.{int(m[1]) - 1}."),
    (r"^r4\.", "pool.3."),
    (r"^(pool\.\d)\.c5\.", r"\1.merge."),
    (r"^(pool\.\d)\.c(\d)\.", lambda m: f"{m[1]}.branches.{int(m[2]) - 1}."),
    (r"^d(\d)\.", lambda m: f"decode.{int(m[1]) - 1}."),
    (r"^(decode\.\d)\.r(\d)\.", lambda m: f"{m[1]}.residuals.{int(m[2]) - 1}."),
    (r"\.ca\.fc1\.", ".channel_attention.squeeze."),
    (r"\.ca\.fc2\.", ".channel_attention.excite."),
    (r"\.sa\.conv1\.", ".spatial_attention.conv."),
    (r"(\.residuals\.\d)\.conv\.([01])\.", r"\1.first.\2."),
    (r"(\.residuals\.\d)\.conv\.3\.", r"\1.second.0."),
    (r"(\.residuals\.\d)\.conv\.4\.", r"\1.second.1."),
    (r"\.(first|second|shortcut|merge|branches\.\d)\.0\.", r".\1.conv."),
    (r"\.(first|second|shortcut|merge|branches\.\d)\.1\.", r".\1.bn."),
    (r"^y\.", "head."),
)


class DilatedSegNet(ImageNetwork):
    """See the head of this file; `pretrained` loads the backbone's ImageNet weights through timm."""

    name = "dilatedsegnet"
    paper = "Tomar, Jha, Bagci: DilatedSegNet: A Deep Dilated Segmentation Network for Polyp Segmentation, MMM 2023"
    config_class = DilatedSegNetConfig
    divisor = smallest = max(STRIDES)
    train_size = 256

    def __init__(self, config: DilatedSegNetConfig, *, pretrained: bool = False):
        super().__init__()
        self.config = config
        self.encoder = Backbone(config.backbone, pretrained=pretrained, strides=STRIDES)
        # the paper's dilated convolution pooling; `features` pools what it returns
        fields = [(3, dilation) for dilation in config.dilations]
        self.pool = nn.ModuleList(
            ParallelConv(channels, config.channels, fields=fields, bias=True) for channels in self.encoder.channels
        )
        stem, layer1, layer2, _ = self.encoder.channels
        inputs = (len(STRIDES) * config.channels, *config.decoder_channels[:-1])
        self.decode = nn.ModuleList(
            DecoderBlock(*widths)
            for widths in zip(inputs, (layer2, layer1, stem, 3), config.decoder_channels, strict=True)
        )
        self.head = nn.Conv2d(config.decoder_channels[-1], config.classes, 1)

    def remap_published(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Published entry names -> ours; names of other kinds stay as they are."""
        return {rename(name, PUBLISHED_NAMES): value for name, value in state.items()}

    def features(self, image: Tensor) -> Tensor:
        """Return the last decoder block, (N, 32, H, W), never negative: what the head and the heat map read."""
        maps = self.encoder(image)
        pooled = [
            F.max_pool2d(pool(m), max(STRIDES) // stride)
            for pool, m, stride in zip(self.pool, maps, STRIDES, strict=True)
        ]
        x = torch.cat(pooled, dim=1)  # (N, 4 * channels, H/16, W/16)
        stem, layer1, layer2, _ = maps
        for decode, skip in zip(self.decode, (layer2, layer1, stem, image), strict=True):
            x = decode(x, skip)
        return x

    def explain(self, features: Tensor) -> Tensor:
        """Return the paper's heat map, (N, 1, H, W) in [0, 1]: the channel mean, divided by each image's maximum."""
        heat = features.mean(dim=1, keepdim=True)
        return heat / heat.amax(dim=(2, 3), keepdim=True).clamp_min(torch.finfo(heat.dtype).tiny)

    def forward(self, image: Tensor) -> OrderedDict[str, Tensor]:
        return OrderedDict(out=self.head(self.features(image)))
