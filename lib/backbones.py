"""Encoders from timm: four (or other) maps of an image at known strides, with the weights their authors published.

(N, 3, H, W) normalized RGB, H and W multiples of the largest stride -> list of (N, C_k, H/s_k, W/s_k), finest first.

Widths and strides are asked from timm; the table below holds only names and weight naming. timm takes two seconds to
import and is imported where it is asked: networks without one of its encoders do without it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .errors import ModelError
from .modules.layers import check_size, in_layout_of
from .pretrained import cached_weights, refuse_without_network, ways_out

__all__ = ["BACKBONES", "NUMBERED_RESNET", "Backbone", "family_of", "remap_backbone", "rename"]

BACKBONES = {
    "pvt-v2-b0": "pvt_v2_b0",
    "pvt-v2-b1": "pvt_v2_b1",
    "pvt-v2-b2": "pvt_v2_b2",
    "pvt-v2-b3": "pvt_v2_b3",
    "pvt-v2-b4": "pvt_v2_b4",
    "pvt-v2-b5": "pvt_v2_b5",
    "resnet50": "resnet50",
    "res2net50": "res2net50d",  # the "v1b" form: three 3 x 3 convolutions in place of the 7 x 7
    "efficientnet-b1": "tf_efficientnet_b1",
    "efficientnet-b4": "tf_efficientnet_b4",
}

# pixels a side that the released EfficientNets pad for, whatever the input is; timm's pad for the input itself
NOMINAL_SIDES = {"efficientnet-b1": 240, "efficientnet-b4": 380}

State = Mapping[str, Tensor]
Rules = Sequence[tuple[str, str | Callable[[re.Match], str]]]

PVT_RULES: Rules = (
    (r"^patch_embed1\.", "patch_embed."),
    (r"^patch_embed(\d)\.", lambda m: f"stages.{int(m[1]) - 1}.downsample."),
    (r"^block(\d)\.", lambda m: f"stages.{int(m[1]) - 1}.blocks."),
    (r"^norm(\d)\.", lambda m: f"stages.{int(m[1]) - 1}.norm."),
    (r"\.dwconv\.dwconv\.", ".dwconv."),
)

# a ResNet kept as numbered parts, layer0 = (conv1, bn1, ReLU) and layer1 = (max-pool, layer1), in a network's `encoder`
NUMBERED_RESNET: Rules = (
    (r"^(?:encoder\.)?layer0\.0\.", "encoder.net.conv1."),
    (r"^(?:encoder\.)?layer0\.1\.", "encoder.net.bn1."),
    (r"^(?:encoder\.)?layer1\.1\.", "encoder.net.layer1."),
    (r"^(?:encoder\.)?layer([2-4])\.", r"encoder.net.layer\1."),
)


def rename(name: str, rules: Rules) -> str:
    """Apply (pattern, replacement) pairs to an entry name, one after the other."""
    for pattern, replacement in rules:
        name = re.sub(pattern, replacement, name)
    return name


def remap_pvt(state: State, names: Sequence[str]) -> dict[str, Tensor]:
    """The original PVT-v2 naming -> timm's."""
    return {rename(name, PVT_RULES): value for name, value in state.items()}


def remap_efficientnet(state: State, names: Sequence[str]) -> dict[str, Tensor]:
    """The lukemelas naming -> timm's: the same layers in the same order, so entries correspond one to one.

    Raises:
        ModelError: a file of the lukemelas naming that has not as many entries as the network.
    """
    if "_conv_stem.weight" not in state:
        return dict(state)
    body = {name: value for name, value in state.items() if not name.startswith(EFFICIENTNET_HEAD)}
    if len(body) != len(names):
        raise ModelError(
            f"an EfficientNet file with {len(body)} entries does not fit the network's {len(names)}; "
            "give the weights of the same variant"
        )
    head = {name: value for name, value in state.items() if name not in body}
    return dict(zip(names, body.values(), strict=True)) | head


def keep_names(state: State, names: Sequence[str]) -> dict[str, Tensor]:
    return dict(state)


@dataclass(frozen=True)
class Family:
    """How the weight files of a family of encoders are named, and what they hold beyond the four maps."""

    remap: Callable[[State, Sequence[str]], dict[str, Tensor]]
    head: tuple[str, ...]  # ignored by name
    drop_path: bool = False  # takes part in stochastic depth, as the released training of PVT-v2 does


EFFICIENTNET_HEAD = ("_conv_head.", "_bn1.", "_fc.")
FAMILIES = {
    "pvt_v2": Family(remap_pvt, ("head.",), drop_path=True),
    "tf_efficientnet": Family(remap_efficientnet, (*EFFICIENTNET_HEAD, "conv_head.", "bn2.", "classifier.")),
}
OTHER = Family(keep_names, ("head.", "fc.", "classifier."))


def family_of(timm_name: str) -> Family:
    """Return how the weights of a timm model are named."""
    return next((family for prefix, family in FAMILIES.items() if timm_name.startswith(prefix)), OTHER)


def remap_backbone(state: State, timm_name: str, names: Sequence[str]) -> dict[str, Tensor]:
    """Rename a published or timm weight file to the entry `names` of a `Backbone`'s network; the rest stays as it is.

    Beside the family's own naming this follows timm's flattening of nested stages (`stages.0.` -> `stages_0.`).
    """
    ours = frozenset(names)

    def flatten(name: str) -> str:
        flat = re.sub(r"^(\w+?)\.(\w+)\.", r"\1_\2.", name)
        return flat if name not in ours and flat.split(".")[0] in stages else name

    stages = {name.split(".")[0] for name in names}
    return {flatten(name): value for name, value in family_of(timm_name).remap(state, probe(timm_name)[1]).items()}


@cache
def probe(timm_name: str) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Ask timm for the strides of all maps of a model, and for the entry names of its feature extractor."""
    with torch.random.fork_rng(devices=[]):  # asking must not change what is drawn next
        net = build(timm_name, pretrained=False)
    return tuple(net.feature_info.reduction()), tuple(net.state_dict())


class Backbone(nn.Module):
    """A timm encoder that returns its maps at the given strides, finest first.

    Args:
        name: a short name of `BACKBONES` or any timm model with maps at these strides.
        pretrained: load ImageNet weights through timm.
        drop_path: stochastic depth rate in training, for the families that were trained with it (PVT-v2).
        strides: the strides asked for.

    Attributes:
        channels: channels of each map.
        divisor: height and width of an image must be multiples of it, pixels.
        ignored_prefixes: beginnings of entries that a weight file may have beyond the maps (stages, classifier heads).

    Raises:
        ModelError: unknown name, no maps at these strides, or weights that cannot be had.
    """

    def __init__(
        self,
        name: str,
        *,
        pretrained: bool = False,
        drop_path: float = 0.0,
        strides: tuple[int, ...] = (4, 8, 16, 32),
    ):
        super().__init__()
        self.timm_name = BACKBONES.get(name, name)
        indices = map_indices(self.timm_name, strides)
        family = family_of(self.timm_name)
        options = {"drop_path_rate": drop_path} if family.drop_path else {}
        self.net = build(self.timm_name, pretrained=pretrained, out_indices=indices, **options)
        drop_unused_blocks(self.net)
        if name in NOMINAL_SIDES:
            pad_for_nominal_side(self.net, NOMINAL_SIDES[name])
        self.channels: list[int] = self.net.feature_info.channels()
        self.divisor = max(strides)
        self.nhwc = str(getattr(self.net, "output_fmt", "")).endswith("NHWC")

    @cached_property
    def ignored_prefixes(self) -> tuple[str, ...]:
        import timm

        own = self.net.state_dict()
        with torch.random.fork_rng(devices=[]):
            whole = timm.create_model(self.timm_name).state_dict()
        beyond = [name for name in remap_backbone(whole, self.timm_name, list(own)) if name not in own]
        return (*family_of(self.timm_name).head, *beyond)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Return the maps in the image's memory format: timm's may lie otherwise, and every reader would copy them."""
        check_size(image, self.divisor, training=self.training)
        maps = (m.permute(0, 3, 1, 2) if self.nhwc else m for m in self.net(image))
        return [in_layout_of(image, m) for m in maps]


def map_indices(timm_name: str, strides: tuple[int, ...]) -> tuple[int, ...]:
    """Return which of a timm model's maps have the given strides, the last one where several have."""
    found, _ = probe(timm_name)
    if not set(strides) <= set(found):
        raise ModelError(
            f"the backbone {timm_name} has maps at strides {list(found)}; needed are {list(strides)}: "
            "choose a timm model that has them, such as resnet50"
        )
    return tuple(len(found) - 1 - found[::-1].index(stride) for stride in strides)


def drop_unused_blocks(net: nn.Module) -> None:
    """Cut off the blocks behind the last map, where timm keeps and runs them (EfficientNets, MobileNets)."""
    last = re.fullmatch(r"blocks\.(\d+)", net.feature_info.module_name()[-1])
    if last and isinstance(getattr(net, "blocks", None), nn.Sequential):
        net.blocks = net.blocks[: int(last[1]) + 1]


class PaddedConv2d(nn.Conv2d):
    """A convolution that pads each side of an image by a fixed number of zeros, more behind than before.

    Args:
        conv: the convolution whose weights and settings it takes over; its own padding is dropped.
        total: rows and columns of zeros to add; the odd one comes last.
    """

    def __init__(self, conv: nn.Conv2d, *, total: int):
        super().__init__(
            conv.in_channels,
            conv.out_channels,
            conv.kernel_size,
            stride=conv.stride,
            groups=conv.groups,
            bias=False,
            device="meta",  # draws no random numbers; the weight is the other's
        )
        self.weight, self.bias = conv.weight, conv.bias
        before = total // 2
        self.zeros = (before, total - before, before, total - before)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(F.pad(x, self.zeros))


def nominal_padding(side: int, kernel: int) -> int:
    """Zeros that a convolution of stride 2 needs to halve `side` pixels, rounded up."""
    return max((-(-side // 2) - 1) * 2 + kernel - side, 0)


def pad_for_nominal_side(net: nn.Module, side: int) -> None:
    """Make the stride-2 convolutions of an EfficientNet pad as for an image of `side` pixels, as released."""
    for name, conv in list(net.named_modules()):
        if isinstance(conv, nn.Conv2d) and conv.stride == (2, 2):
            parent, _, leaf = name.rpartition(".")
            padded = PaddedConv2d(conv, total=nominal_padding(side, conv.kernel_size[0]))
            setattr(net.get_submodule(parent), leaf, padded)
            side = -(-side // 2)


def build(timm_name: str, *, pretrained: bool, **options) -> nn.Module:
    """Create timm's feature extractor, telling apart an unknown name and weights that cannot be fetched."""
    import timm

    if not timm.is_model(timm_name.split(".")[0]):
        raise ModelError(f"unknown backbone {timm_name!r}; known are {', '.join(BACKBONES)}, or any timm model")
    if pretrained:
        file = cached_weights(timm_name)
        if file is None:
            refuse_without_network(timm_name)
        else:
            options["pretrained_cfg_overlay"] = {"file": str(file)}
    try:
        return timm.create_model(timm_name, features_only=True, pretrained=pretrained, **options)
    except (RuntimeError, OSError, ValueError) as error:
        if not pretrained:
            raise ModelError(f"timm cannot give maps of {timm_name!r}: {error}") from error
        raise ModelError(ways_out(timm_name, type(error).__name__)) from error
