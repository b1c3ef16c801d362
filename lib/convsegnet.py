"""ConvSegNet: Automated Polyp Segmentation From Colonoscopy Using Context Feature Refinement With Multiple
Convolutional Kernel Sizes (Ige, Tomar, Aranuwa et al.; IEEE Access 2023).

https://www.researchgate.net/publication/368520240. Loads the weights of the released network.

(N, 3, H, W) normalized RGB, H and W multiples of 16 -> ordered dict with `out`, (N, K, H, W) logits of
K classes, one unless asked for.

Differs from the released code in:
- the released head ends in batch normalization and ReLU, so that no probability is under 0.5: here it is a plain
  convolution, and a published head is folded into one (its value before the ReLU). `head="released"` keeps theirs;
- the encoder is any timm backbone with maps at strides 2, 4, 8, 16; names of entries are ours, and the published ones
  are mapped (`remap_published`).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .backbones import NUMBERED_RESNET, Backbone, rename
from .base import ImageNetwork
from .errors import ModelError
from .modules.layers import ConvBNReLU, ParallelConv, resize_to

__all__ = ["ConvSegNet", "ConvSegNetConfig", "fold_head"]

STRIDES = (2, 4, 8, 16)


@dataclass(frozen=True)
class ConvSegNetConfig:
    """Options of ConvSegNet; the defaults are the paper's, but for the head.

    Attributes:
        backbone: a short name of `lib.backbones.BACKBONES` or a timm model with strides 2, 4, 8, 16.
        head: "plain", a 1 x 1 convolution; "released", the same without bias, then batch normalization and ReLU.
        classes: K, logits a pixel; each is a sigmoid of its own.
        channels: width of everything after the backbone.
        kernels: sizes of the parallel convolutions of a context feature refinement.
    """

    backbone: str = "resnet50"
    head: str = "plain"
    classes: int = 1
    channels: int = 64
    kernels: tuple[int, ...] = (1, 3, 7, 11)


def make_head(kind: str, channels: int, classes: int) -> nn.Module:
    """Return the last layer, (N, C, H, W) -> (N, K, H, W).

    Raises:
        ModelError: an unknown kind.
    """
    if kind == "plain":
        return nn.Conv2d(channels, classes, 1)
    if kind == "released":
        return ConvBNReLU(channels, classes, 1)
    raise ModelError(f"convsegnet has no head {kind!r}; choose plain or released")


# published name -> ours, applied in this order to every entry
PUBLISHED_NAMES = (
    *NUMBERED_RESNET,
    (r"^encoder\.c(\d)\.", lambda m: f"reduce.{int(m[1]) - 1}."),
    (r"^c(\d)\.", lambda m: f"refine.{int(m[1]) - 1}."),
    (r"^(refine\.\d)\.d(\d)\.", lambda m: f"{m[1]}.branches.{int(m[2]) - 1}."),
    (r"^(refine\.\d)\.c1\.", r"\1.merge."),
    (r"^s0\.", "reduce_image."),
    (r"^output\.", "head."),
    (r"\.conv\.1\.(?=\w+$)", ".bn."),
    (r"\.conv\.0\.(?=\w+$)", ".conv."),
)
# entries of a released head, of which each channel has one number or kernel
RELEASED_HEAD = (
    "head.conv.weight",
    *(f"head.bn.{entry}" for entry in ("weight", "bias", "running_mean", "running_var")),
)


def fold_head(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Turn a released head into a plain one that gives its value before the ReLU, with the running statistics.

    gamma (w x - mean) / sqrt(var + eps) + beta = (scale w) x + (beta - scale mean), scale = gamma / sqrt(var + eps).
    """
    released = {name: value for name, value in state.items() if name.startswith("head.")}
    folded = {name: value for name, value in state.items() if name not in released}
    weight = released["head.conv.weight"]
    gamma, beta, mean, var = (released[name].double() for name in RELEASED_HEAD[1:])
    scale = gamma / (var + nn.BatchNorm2d(1).eps).sqrt()
    folded["head.weight"] = (weight.double() * scale[:, None, None, None]).to(weight.dtype)
    folded["head.bias"] = (beta - scale * mean).to(weight.dtype)
    return folded


def has_released_head(state: Mapping[str, Tensor]) -> bool:
    """Whether a whole released head is there; other networks have entries of such names too."""
    head = [state[name] for name in RELEASED_HEAD if name in state]
    return len(head) == len(RELEASED_HEAD) and head[0].ndim == 4 and {x.shape for x in head[1:]} == {head[0].shape[:1]}


class ConvSegNet(ImageNetwork):
    """See the head of this file; `pretrained` loads the backbone's ImageNet weights through timm."""

    name = "convsegnet"
    paper = (
        "Ige et al.: ConvSegNet: Automated Polyp Segmentation From Colonoscopy Using Context Feature Refinement With "
        "Multiple Convolutional Kernel Sizes, IEEE Access 2023"
    )
    config_class = ConvSegNetConfig
    divisor = smallest = max(STRIDES)
    train_size = 256

    def __init__(self, config: ConvSegNetConfig, *, pretrained: bool = False):
        super().__init__()
        self.config = config
        width = config.channels
        self.head = make_head(config.head, width, config.classes)
        self.encoder = Backbone(config.backbone, pretrained=pretrained, strides=STRIDES)
        self.reduce = nn.ModuleList(ConvBNReLU(channels, width, 3) for channels in self.encoder.channels)
        self.reduce_image = ConvBNReLU(3, width, 3)
        # the paper's context feature refinement, from stride 8 to stride 1
        fields = [(kernel, 1) for kernel in config.kernels]
        self.refine = nn.ModuleList(ParallelConv(2 * width, width, fields=fields) for _ in STRIDES)

    def remap_published(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Published entry names -> ours; a released head is folded where this one is plain."""
        renamed = {rename(name, PUBLISHED_NAMES): value for name, value in state.items()}
        return fold_head(renamed) if self.config.head == "plain" and has_released_head(renamed) else renamed

    def features(self, image: Tensor) -> Tensor:
        """Return the map that the head reads, (N, channels, H, W)."""
        maps = [reduce(m) for reduce, m in zip(self.reduce, self.encoder(image), strict=True)]
        x = maps.pop()
        for refine, skip in zip(self.refine, (*reversed(maps), self.reduce_image(image)), strict=True):
            x = refine(torch.cat((resize_to(x, skip, align_corners=True), skip), dim=1))
        return x

    def forward(self, image: Tensor) -> OrderedDict[str, Tensor]:
        return OrderedDict(out=self.head(self.features(image)))
