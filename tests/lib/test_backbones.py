"""Encoders: strides asked from timm, published weight files renamed strictly."""

import re

import pytest
import torch

from lib import ModelError, load_backbone_weights
from lib.backbones import BACKBONES, Backbone

CHANNELS = {
    "pvt-v2-b0": [32, 64, 160, 256],
    "pvt-v2-b2": [64, 128, 320, 512],
    "resnet50": [256, 512, 1024, 2048],
    "res2net50": [256, 512, 1024, 2048],
    "efficientnet-b1": [24, 40, 112, 320],
    "efficientnet-b4": [32, 56, 160, 448],
}


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
