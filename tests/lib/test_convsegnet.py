"""ConvSegNet against its released outputs, stored at every second (logit) and fourth (decoder) row and column."""

import pytest
import timm
import torch

from lib import ModelError, create_model, load_backbone_weights, load_weights
from lib.backbones import Backbone
from tests.helpers import golden

pytestmark = pytest.mark.slow

TOLERANCE = 1e-4  # relative to the largest magnitude


@pytest.fixture(scope="module")
def published() -> dict[str, torch.Tensor]:
    return golden.published_state("convsegnet")


@pytest.fixture(scope="module")
def recorded() -> dict:
    return golden.load("convsegnet")


@pytest.fixture(scope="module")
def image(recorded) -> torch.Tensor:
    return golden.golden_input(recorded["seed"], recorded["shape"])


def loaded(state: dict[str, torch.Tensor], **options) -> torch.nn.Module:
    model = create_model("convsegnet", **options).eval()
    report = load_weights(model, state)
    assert report.loaded == list(model.state_dict()) and report.ignored == []
    return model


@pytest.fixture(scope="module")
def released(published) -> torch.nn.Module:
    return loaded(published, head="released")


@pytest.fixture(scope="module")
def plain(published) -> torch.nn.Module:
    return loaded(published)


@torch.no_grad()
def test_released_head_gives_the_released_outputs(released, published, recorded, image):
    assert len(released.state_dict()) == len(published)
    features = released.features(image)
    excerpt = features[:, :8, ::4, ::4]
    assert golden.relative_error(excerpt, recorded["decoder_output_first8_every_4th"]) < TOLERANCE
    logit = released.head(features)
    assert logit.shape == (2, 1, *image.shape[-2:])
    assert golden.relative_error(logit[..., ::2, ::2], recorded["logit_every_2nd"]) < TOLERANCE


@torch.no_grad()
def test_plain_head_gives_the_value_before_the_relu(plain, recorded, image):
    logit = plain(image)["out"][..., ::2, ::2]
    assert logit.min() < 0  # what the released ReLU loses
    assert golden.relative_error(logit.relu(), recorded["logit_every_2nd"]) < TOLERANCE


@torch.no_grad()
def test_folded_head_equals_convolution_and_normalisation(released, plain):
    x = torch.randn(2, 64, 5, 7, generator=torch.Generator().manual_seed(0))
    before_relu = released.head.bn(released.head.conv(x))
    torch.testing.assert_close(plain.head(x), before_relu, rtol=1e-5, atol=1e-6)
    # a checkpoint of ours with the released head folds too
    assert torch.equal(loaded(released.state_dict()).head.weight, plain.head.weight)


@torch.no_grad()
def test_released_head_of_several_classes_folds_too(image):
    options = {"backbone": "resnet18", "classes": 3}
    released = create_model("convsegnet", head="released", **options).eval()
    released.head.bn.running_mean.normal_()
    plain = create_model("convsegnet", **options).eval()
    load_weights(plain, released.state_dict())
    small = image[..., :32, :48]
    assert plain(small)["out"].shape == (2, 3, 32, 48)
    torch.testing.assert_close(plain(small)["out"].relu(), released(small)["out"], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("head", ["plain", "released"])
def test_gradient_reaches_every_parameter(published, image, head):
    model = loaded(published, head=head)
    model(image[:1, :, :48, :80])["out"].sin().sum().backward()
    assert [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()] == []


@torch.no_grad()
def test_images_of_a_batch_do_not_mix(plain, image):
    image = image[..., :32, :48]
    torch.testing.assert_close(plain(image)["out"][1:], plain(image[1:])["out"], rtol=1e-4, atol=1e-5)


def test_plain_weights_do_not_fit_the_released_head():
    plain = create_model("convsegnet", backbone="resnet18")
    with pytest.raises(ModelError, match=r"missing \(6\): head.conv.weight.*unexpected \(2\): head.weight"):
        load_weights(create_model("convsegnet", backbone="resnet18", head="released"), plain.state_dict())


def test_size_of_the_published_network(released, published):
    trained = [v.numel() for k, v in published.items() if not k.endswith(("mean", "var", "tracked"))]
    assert sum(p.numel() for p in released.parameters()) == sum(trained) == 15_581_122


def test_unknown_head_is_refused():
    with pytest.raises(ModelError, match="no head 'sigmoid'; choose plain or released"):
        create_model("convsegnet", head="sigmoid")


@torch.no_grad()
@pytest.mark.parametrize("backbone", ["resnet50", "efficientnet-b1", "mobilenetv3_small_100"])
def test_whole_backbone_file_loads_and_later_stages_are_ignored_by_name(backbone):
    encoder = Backbone(backbone, strides=(2, 4, 8, 16)).eval()
    whole = timm.create_model(encoder.timm_name).eval()
    report = load_backbone_weights(encoder, whole.state_dict())
    assert len(report.loaded) + len(report.ignored) == len(whole.state_dict())
    image = torch.randn(1, 3, 64, 32, generator=torch.Generator().manual_seed(0))
    _, expected = whole.forward_intermediates(image, indices=4)
    strides = [image.shape[-1] // m.shape[-1] for m in encoder(image)]
    assert strides == [2, 4, 8, 16]
    assert any(m.shape == encoder(image)[-1].shape and torch.equal(m, encoder(image)[-1]) for m in expected)


def test_misspelt_stage_is_not_ignored():
    encoder = Backbone("resnet18", strides=(2, 4, 8, 16))
    state = timm.create_model("resnet18").state_dict()
    state["layer4.9.conv1.weight"] = state.pop("layer4.0.conv1.weight")
    with pytest.raises(ModelError, match=r"unexpected \(1\): layer4.9.conv1.weight"):
        load_backbone_weights(encoder, state)


def test_every_parameter_of_a_shortened_efficientnet_is_used():
    model = create_model("convsegnet", backbone="efficientnet-b1").eval()
    model(torch.randn(1, 3, 32, 48))["out"].sum().backward()
    assert [n for n, p in model.named_parameters() if p.grad is None] == []


def test_backbone_without_stride_two_is_refused():
    with pytest.raises(ModelError, match="needed are .2, 4, 8, 16.: choose a timm model that has them"):
        create_model("convsegnet", backbone="pvt-v2-b0")
