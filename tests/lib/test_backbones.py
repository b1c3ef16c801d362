"""Encoders: strides asked from timm, published weight files renamed strictly."""

import math
import re

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lib import ModelError, load_backbone_weights
from lib.backbones import BACKBONES, Backbone, PaddedConv2d, nominal_padding
from tests.helpers.golden import relative_error

CHANNELS = {
    "pvt-v2-b0": [32, 64, 160, 256],
    "pvt-v2-b2": [64, 128, 320, 512],
    "resnet50": [256, 512, 1024, 2048],
    "res2net50": [256, 512, 1024, 2048],
    "efficientnet-b1": [24, 40, 112, 320],
    "efficientnet-b4": [32, 56, 160, 448],
}


@pytest.mark.slow
@pytest.mark.parametrize("name", [*BACKBONES, "convnext_atto"])
def test_four_maps_at_the_four_strides(name):
    backbone = Backbone(name).eval()
    with torch.no_grad():
        maps = backbone(torch.randn(1, 3, 96, 160))
    assert [tuple(m.shape[-2:]) for m in maps] == [(24, 40), (12, 20), (6, 10), (3, 5)]
    assert [m.shape[1] for m in maps] == backbone.channels == CHANNELS.get(name, backbone.channels)


def test_channels_last_models_give_channels_first_maps():
    backbone = Backbone("swin_tiny_patch4_window7_224").eval()
    with torch.no_grad():
        maps = backbone(torch.randn(1, 3, 224, 224))
    assert [tuple(m.shape[1:]) for m in maps] == [(96, 56, 56), (192, 28, 28), (384, 14, 14), (768, 7, 7)]


def test_unknown_and_unsuitable_models_are_refused():
    with pytest.raises(ModelError, match="unknown backbone 'pvt'; known are pvt-v2-b0, "):
        Backbone("pvt")
    with pytest.raises(ModelError, match=re.escape("maps at strides [16, 16, 16]; needed are [4, 8, 16, 32]")):
        Backbone("vit_tiny_patch16_224")


def original_pvt_name(name: str) -> str:
    """Our entry name -> the one of the original PVT-v2 files, written independently of the remap."""
    name = name.replace("patch_embed.", "patch_embed1.", 1) if name.startswith("patch_embed.") else name
    if match := re.match(r"stages_(\d)\.downsample\.(.*)", name):
        name = f"patch_embed{int(match[1]) + 1}.{match[2]}"
    elif match := re.match(r"stages_(\d)\.blocks\.(.*)", name):
        name = f"block{int(match[1]) + 1}.{match[2]}"
    elif match := re.match(r"stages_(\d)\.norm\.(.*)", name):
        name = f"norm{int(match[1]) + 1}.{match[2]}"
    return name.replace(".dwconv.", ".dwconv.dwconv.")


def lukemelas_name(name: str) -> str:
    """A timm EfficientNet entry name -> one that only keeps the order, as the lukemelas files number blocks through."""
    return "_" + name.replace("bn1.", "bn0.", 1) if name.startswith(("conv_stem.", "bn1.")) else f"_{name}"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "rename", "head"),
    [
        ("pvt-v2-b0", original_pvt_name, "head.weight"),
        ("resnet50", lambda name: name, "fc.weight"),
        ("res2net50", lambda name: f"module.{name}", "fc.bias"),
        ("efficientnet-b1", lukemelas_name, "_conv_head.weight"),
        ("convnext_atto", lambda name: re.sub(r"^(stem|stages)_", r"\1.", name), "head.fc.weight"),
    ],
)
def test_published_weights_load_and_heads_are_ignored_by_name(name, rename, head):
    torch.manual_seed(0)
    backbone, source = Backbone(name), Backbone(name)
    published = {rename(entry): value for entry, value in source.net.state_dict().items()}
    published[f"module.{head}" if name == "res2net50" else head] = torch.zeros(3)
    report = load_backbone_weights(backbone, published)
    assert report.ignored == [head]
    for entry, value in backbone.net.state_dict().items():
        assert torch.equal(value, source.net.state_dict()[entry]), entry


def test_weights_of_another_variant_are_refused():
    with pytest.raises(ModelError, match=r"missing: none; unexpected \(\d+\): .*stages_0.blocks.2"):
        load_backbone_weights(Backbone("pvt-v2-b1"), Backbone("pvt-v2-b2").net.state_dict())


def test_an_efficientnet_file_of_another_depth_is_refused():
    shallow = {lukemelas_name(n): v for n, v in Backbone("efficientnet-b1").net.state_dict().items()}
    with pytest.raises(ModelError, match="give the weights of the same variant"):
        load_backbone_weights(Backbone("efficientnet-b4"), shallow)


def by_hand(state, image, *, side):
    """The released EfficientNet, layer by layer: maps at strides 4, 8, 16, 32 of its four last strided stages.

    Stages as in the paper (Tan and Le, ICML 2019); `side` is the nominal input that strided layers are padded for.
    """

    def pad(x, kernel, stride):
        nonlocal side
        total = kernel - 1
        if stride == 2:
            halved = math.ceil(side / 2)
            total, side = max((halved - 1) * 2 + kernel - side, 0), halved
        return F.pad(x, (total // 2, total - total // 2) * 2)

    def conv(x, name, stride=1, depthwise=False):
        weight = state[f"{name}.weight"]
        x = pad(x, weight.shape[-1], stride)
        return F.conv2d(x, weight, state.get(f"{name}.bias"), stride, groups=x.shape[1] if depthwise else 1)

    def norm(x, name):
        return F.batch_norm(
            x, *(state[f"{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")), eps=1e-3
        )

    def squeeze_excite(x, name):
        hidden = F.silu(conv(x.mean((2, 3), keepdim=True), f"{name}.conv_reduce"))
        return x * conv(hidden, f"{name}.conv_expand").sigmoid()

    x, maps = F.silu(norm(conv(image, "conv_stem", 2), "bn1")), []
    for stage, stride in enumerate((1, 2, 2, 2, 1, 2, 1)):
        depth = len({name.split(".")[2] for name in state if name.startswith(f"blocks.{stage}.")})
        for block in range(depth):
            name, start, step = f"blocks.{stage}.{block}", x, stride if block == 0 else 1
            expands = f"{name}.conv_pwl.weight" in state
            if expands:
                x = F.silu(norm(conv(x, f"{name}.conv_pw"), f"{name}.bn1"))
            x = F.silu(norm(conv(x, f"{name}.conv_dw", step, True), f"{name}.bn{1 + expands}"))
            x = squeeze_excite(x, f"{name}.se")
            x = norm(conv(x, f"{name}.conv_pw{'l' * expands}"), f"{name}.bn{2 + expands}")
            x = x + start if step == 1 and x.shape == start.shape else x
        if stage in (1, 2, 4, 6):
            maps.append(x)
    return maps


@pytest.mark.slow
@pytest.mark.parametrize(("name", "side"), [("efficientnet-b1", 240), ("efficientnet-b4", 380)])
def test_efficientnets_pad_as_released_and_timm_names_as_timm(name, side):
    torch.manual_seed(0)
    ours, timms = Backbone(name).eval(), Backbone(BACKBONES[name]).eval()
    for module in ours.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.1)
    timms.load_state_dict(ours.state_dict())
    image = torch.randn(2, 3, 96, 160)
    with torch.no_grad():
        expected, maps, others = by_hand(ours.net.state_dict(), image, side=side), ours(image), timms(image)
    for found, wanted in zip(maps, expected, strict=True):
        assert relative_error(found, wanted.numpy()) < 1e-5
    assert relative_error(others[-1], expected[-1].numpy()) > 1e-3


@pytest.mark.parametrize(
    ("side", "kernel", "zeros"),
    # of b1 at 240, 120, 60, 30, 15 and of b4 at 380, 190, 95, 48, 24 pixels, worked by hand
    [(240, 3, 1), (120, 3, 1), (60, 5, 3), (30, 3, 1), (15, 5, 4), (380, 3, 1), (190, 3, 1), (95, 5, 4), (24, 5, 3)],
)
def test_padding_of_a_nominal_side(side, kernel, zeros):
    assert nominal_padding(side, kernel) == zeros


def test_an_efficientnet_pads_its_five_strided_layers():
    def layers(name):
        return [module.zeros for module in Backbone(name).modules() if isinstance(module, PaddedConv2d)]

    one, three, four = (0, 1, 0, 1), (1, 2, 1, 2), (2, 2, 2, 2)  # left, right, top, bottom
    assert layers("efficientnet-b1") == [one, one, three, one, four]
    assert layers("efficientnet-b4") == [one, one, four, one, three]
    assert layers("tf_efficientnet_b1") == []
