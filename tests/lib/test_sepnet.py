"""SEPNet equals the released network, trains whole, and its inference form is the same network."""

import numpy as np
import pytest
import torch
from torch import Tensor

from lib import create_model, load_weights
from lib.modules.pse import (
    SelectRegion,
    SemanticConv,
    convolve_by_products,
    convolve_in_groups,
    gaussian_kernel,
    region_guides,
)
from lib.sepnet import foreground
from tests.helpers.golden import golden_input, load, published_state, relative_error

pytestmark = pytest.mark.slow

RELEASED_NAMES = {
    "out": "logit1",
    "logit2": "logit2",
    "logit3": "logit3",
    "logit4": "logit4",
    "deep2": "deep_logit2",
    "deep3": "deep_logit3",
}


@pytest.fixture(scope="module", params=["pvt-v2-b0", "pvt-v2-b2"])
def released(request):
    """(model with the golden weights, golden input, golden arrays)."""
    golden = load(f"sepnet_{request.param}")
    model = create_model("sepnet", backbone=request.param).eval()
    load_weights(model, published_state(f"sepnet_{request.param}"))
    return model, golden_input(golden["seed"], golden["shape"]), golden


def test_all_outputs_equal_the_released_ones(released):
    model, image, golden = released
    with torch.no_grad():
        outputs = model(image)
    assert list(outputs) == list(RELEASED_NAMES)
    for name, released_name in RELEASED_NAMES.items():
        assert outputs[name].shape == golden[released_name].shape
        assert relative_error(outputs[name], golden[released_name]) < 1e-4, name


def test_encoder_maps_equal_the_released_ones(released):
    model, image, golden = released
    with torch.no_grad():
        maps = model.encoder(image)
    for level, features in enumerate(maps, start=1):
        assert relative_error(features[:, :8, :4, :4], golden[f"feature{level}_corner"]) < 1e-4
        assert features.mean().item() == pytest.approx(float(golden[f"feature{level}_mean"]), abs=1e-5)
        assert features.std().item() == pytest.approx(float(golden[f"feature{level}_std"]), rel=1e-5)


def test_gradients_through_the_surrogate_equal_the_released_ones(released):
    model, image, golden = released
    image = image.clone().requires_grad_()
    model.zero_grad()
    outputs = model(image)
    (outputs["deep2"].mean() + outputs["deep3"].mean()).backward()
    assert relative_error(image.grad[:, :, ::4, ::4], golden["grad_input_of_mean_deep_logits"]) < 1e-3
    assert relative_error(model.head4.weight.grad, golden["grad_logit4_head_weight"]) < 1e-3


def test_guide_kernel_starts_as_the_released_one(released):
    _, _, golden = released
    assert np.array_equal(gaussian_kernel(15).numpy(), golden["gaussian_kernel_init"])
    assert gaussian_kernel(15).sum().item() == pytest.approx(1, abs=1e-6)


def test_out_is_bit_identical_without_the_training_branch(released):
    model, image, _ = released
    small = create_model("sepnet", backbone=model.config.backbone, aux=False).eval()
    report = load_weights(small, model.state_dict())
    with torch.no_grad():
        outputs = small(image)
        assert list(outputs) == ["out"]
        assert torch.equal(outputs["out"], model(image)["out"])
    assert {name.split(".")[0] for name in report.ignored} == {
        *("pse2", "pse3", "deep_crc2", "deep_crc3"),
        *("head2", "head3", "head4", "deep_head2", "deep_head3"),
    }


def test_parameter_counts():
    count = {
        (name, aux): sum(p.numel() for p in create_model("sepnet", backbone=name, aux=aux).parameters())
        for name in ("pvt-v2-b0", "pvt-v2-b2")
        for aux in (True, False)
    }
    assert count["pvt-v2-b0", True] == 7_611_820
    assert count["pvt-v2-b2", True] == 29_195_404
    for name in ("pvt-v2-b0", "pvt-v2-b2"):
        dropped = create_model("sepnet", backbone=name)
        branch = sum(p.numel() for n, p in dropped.named_parameters() if n.startswith(dropped.TRAINING_ONLY))
        assert count[name, True] - count[name, False] == branch > 3_000_000


def test_stochastic_depth_is_on_in_training_only():
    torch.manual_seed(0)
    model = create_model("sepnet", backbone="pvt-v2-b0")
    rates = [m.drop_prob for m in model.encoder.modules() if type(m).__name__ == "DropPath"]
    assert max(rates) == pytest.approx(0.1)
    image = torch.randn(1, 3, 64, 64)
    model.eval()
    with torch.no_grad():
        assert torch.equal(model(image)["out"], model(image)["out"])


def test_mixed_precision_keeps_the_guide_in_float32():
    model = create_model("sepnet", backbone="pvt-v2-b0").eval()
    seen = []
    model.pse2.layers[0].conv.register_forward_hook(lambda module, inputs, output: seen.append(inputs[1].dtype))
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        model(torch.randn(1, 3, 64, 64))
    assert seen == [torch.float32]


def test_region_guide_by_hand():
    probability = torch.tensor([[[[0.0, 0.5], [0.9, 1.0]]]])
    guide = region_guides(probability, torch.ones(1, 1, 1, 1) * 0.5)[:, 0]  # smoothing by one weight only scales
    assert torch.allclose(guide[0, 0], torch.tensor([[0.0, 0.5], [0.9, 1.0]]), atol=1e-6)
    assert torch.allclose(guide[0, 0] + guide[0, 1], torch.ones(2, 2))


def test_selection_takes_the_region_with_the_larger_guide():
    regions = torch.tensor([[[[[1.0, 2.0, 3.0]]], [[[10.0, 20.0, 30.0]]]]])  # (1, 2, 1, 1, 3)
    guide = torch.tensor([[[[0.9, 0.1, 0.5]], [[0.1, 0.9, 0.5]]]])
    assert SelectRegion.apply(regions, guide).flatten().tolist() == [1.0, 20.0, 3.0]


def test_selection_backward_follows_its_formula():
    torch.manual_seed(1)
    regions = torch.randn(2, 2, 3, 4, 5, requires_grad=True)
    guide = torch.rand(2, 2, 4, 5, requires_grad=True)
    grad = torch.randn(2, 3, 4, 5)
    SelectRegion.apply(regions, guide).backward(grad)
    for n in range(2):
        for y in range(4):
            for x in range(5):
                _assert_pixel(regions, guide, grad, n, y, x)


def _assert_pixel(regions: Tensor, guide: Tensor, grad: Tensor, n: int, y: int, x: int) -> None:
    """One pixel's gradients, written out: s_r (G_r - sum_k s_k G_k) for the guide, g where chosen for the regions."""
    first, second = guide[n, :, y, x].tolist()
    share = np.exp([first, second]) / np.exp([first, second]).sum()
    gain = [(grad[n, :, y, x] * regions[n, r, :, y, x]).sum().item() for r in range(2)]
    mean = share[0] * gain[0] + share[1] * gain[1]
    for r in range(2):
        assert guide.grad[n, r, y, x].item() == pytest.approx(share[r] * (gain[r] - mean), abs=1e-5)
        chosen = (first >= second) == (r == 0)
        expected = grad[n, :, y, x] if chosen else torch.zeros(3)
        assert torch.equal(regions.grad[n, r, :, y, x], expected)


def test_the_guide_of_several_classes_is_their_largest_logit():
    one, several = torch.randn(2, 1, 4, 5), torch.randn(2, 3, 4, 5)
    assert foreground(one) is one, "a single class costs nothing"
    assert torch.equal(foreground(several), several.max(dim=1, keepdim=True).values)
    torch.manual_seed(0)
    model = create_model("sepnet", backbone="pvt-v2-b0", classes=2).eval()
    guides = []
    model.pse3.register_forward_hook(lambda module, inputs, output: guides.append(inputs[1]))
    outputs = model(torch.randn(1, 3, 64, 64))
    assert torch.equal(guides[0], outputs["logit4"].amax(dim=1, keepdim=True))


def test_semantic_convolution_uses_each_images_own_kernels():
    torch.manual_seed(0)
    conv = SemanticConv(4, 6, kernel=3, hidden=5, guide_kernel=3)
    images = torch.randn(3, 4, 7, 8)
    kernels = conv.predict(images).reshape(3, 2, 6, 4, 3, 3)
    regions = conv.convolve(images)
    for n in range(3):
        for r in range(2):
            expected = torch.nn.functional.conv2d(images[n : n + 1], kernels[n, r], padding=1)[0]
            assert torch.allclose(regions[n, r], expected, atol=1e-5)


def test_both_ways_to_convolve_by_predicted_kernels_agree():
    rng = torch.Generator().manual_seed(0)
    x = torch.randn(3, 5, 9, 7, dtype=torch.float64, generator=rng, requires_grad=True)
    kernels = torch.randn(3, 8, 5, 3, 3, dtype=torch.float64, generator=rng, requires_grad=True)
    found = []
    for convolve in (convolve_in_groups, convolve_by_products):
        result = convolve(x, kernels).reshape(3, 8, 9, 7)
        found.append((result, *torch.autograd.grad((result**2).sum(), (x, kernels))))
    for grouped, product in zip(*found, strict=True):
        assert torch.allclose(grouped, product, rtol=1e-12, atol=1e-12)
