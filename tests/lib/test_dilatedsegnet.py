"""DilatedSegNet against its released output, stored at every second row and column."""

import pytest
import torch

from lib import create_model, load_weights
from lib.dilatedsegnet import ChannelAttention, SpatialAttention
from tests.helpers import golden

pytestmark = pytest.mark.slow


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def published() -> dict[str, torch.Tensor]:
    return golden.published_state("dilatedsegnet")


@pytest.fixture(scope="module")
def model(published) -> torch.nn.Module:
    model = create_model("dilatedsegnet").eval()
    report = load_weights(model, published)
    assert len(report.loaded) == len(published) and report.ignored == []
    return model


@torch.no_grad()
def test_released_output(model):
    recorded = golden.load("dilatedsegnet")
    image = golden.golden_input(recorded["seed"], recorded["shape"])
    logit = model(image)["out"]
    assert logit.shape == (2, 1, *image.shape[-2:])
    assert golden.relative_error(logit[..., ::2, ::2], recorded["logit_every_2nd"]) < 1e-4


def test_size_of_the_published_network(model, published):
    trained = [v.numel() for k, v in published.items() if not k.endswith(("mean", "var", "tracked"))]
    assert sum(p.numel() for p in model.parameters()) == sum(trained) == 18_111_721


def test_gradient_reaches_every_parameter(published):
    # with running statistics: a bias in front of a batch normalisation has no gradient under batch statistics
    model = create_model("dilatedsegnet").eval()
    load_weights(model, published)
    for block in model.decode:  # down to two hidden units, which must not all be silent
        block.channel_attention.squeeze.weight.data.abs_()
    model(noise(1, 3, 48, 80))["out"].sin().sum().backward()
    assert [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()] == []


@torch.no_grad()
def test_images_of_a_batch_do_not_mix(model):
    image = noise(3, 3, 16, 48)
    torch.testing.assert_close(model(image)["out"][1:2], model(image[1:2])["out"], rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_attentions_by_hand():
    x = noise(1, 32, 3, 4)
    channel, spatial = ChannelAttention(32), SpatialAttention()
    squeeze, excite = channel.squeeze.weight[:, :, 0, 0], channel.excite.weight[:, :, 0, 0]
    assert squeeze.shape == (2, 32)
    flat = x[0].reshape(32, 12)
    both = sum(excite @ torch.clamp(squeeze @ pooled, min=0) for pooled in (flat.mean(1), flat.max(1).values))
    torch.testing.assert_close(channel(x)[0], x[0] * both.sigmoid()[:, None, None])
    spatial.conv.weight.zero_()
    spatial.conv.weight[0, 1, 3, 3] = 1  # the centre of the channel maximum
    torch.testing.assert_close(spatial(x)[0], x[0] * x[0].max(0).values.sigmoid())


@torch.no_grad()
def test_heat_map_is_the_channel_mean_of_the_last_block(model):
    image = noise(2, 3, 32, 48)
    features, heat = model.features(image), model.explain(model.features(image))
    assert features.shape == (2, 32, 32, 48) and heat.shape == (2, 1, 32, 48)
    torch.testing.assert_close(model.head(features), model(image)["out"])
    for each, block in zip(heat[:, 0], features, strict=True):
        mean = sum(block) / 32
        torch.testing.assert_close(each, mean / mean.max())
        assert each.min() >= 0 and each.max() == 1


@torch.no_grad()
def test_heat_map_of_a_silent_block_is_zero():
    silent = create_model("dilatedsegnet", backbone="resnet18").eval()
    for residual in silent.decode[-1].residuals:
        for layer in (residual.second, residual.shortcut):
            layer.bn.weight.zero_()
    assert torch.equal(silent.explain(silent.features(noise(1, 3, 16, 16))), torch.zeros(1, 1, 16, 16))
