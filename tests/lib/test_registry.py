"""Networks by name, and what every registered image network promises."""

import pytest
import torch
from torch import nn

from lib import ModelError, create_model, list_models, model_entry

SMALL = {"sepnet": {"backbone": "pvt-v2-b0"}}
IMAGE_MODELS = list_models("image")


def build(name, **options):
    torch.manual_seed(0)
    return create_model(name, **SMALL.get(name, {}), **options)


def test_unknown_names_and_options_are_listed():
    with pytest.raises(ModelError, match="unknown model 'unet'; known are .*sepnet"):
        create_model("unet")
    with pytest.raises(ModelError, match="sepnet has no option bakbone; its options are backbone, aux"):
        create_model("sepnet", bakbone="pvt-v2-b0")


@pytest.mark.parametrize("name", IMAGE_MODELS)
def test_outputs_are_finite_logits_at_an_odd_but_legal_size(name):
    divisor = model_entry(name).divisor
    image = torch.randn(2, 3, 3 * divisor, 5 * divisor)
    outputs = build(name).eval()(image)
    assert next(iter(outputs)) == "out"
    for logits in outputs.values():
        assert logits.shape[:2] == (2, 1) and logits.isfinite().all()
    heights = [logits.shape[-2] for logits in outputs.values()]
    assert heights[0] == max(heights)


@pytest.mark.parametrize("name", IMAGE_MODELS)
def test_evaluation_is_deterministic_and_survives_a_round_trip(name):
    model, again = build(name).eval(), create_model(name, **SMALL.get(name, {})).eval()
    again.load_state_dict(model.state_dict())
    divisor = model_entry(name).divisor
    image = torch.randn(1, 3, 2 * divisor, 2 * divisor)
    with torch.no_grad():
        first, second, third = model(image)["out"], model(image)["out"], again(image)["out"]
    assert torch.equal(first, second) and torch.equal(first, third)


@pytest.mark.parametrize("name", IMAGE_MODELS)
def test_every_class_has_logits_of_its_own(name):
    """Three classes at every output; with the heads' first filter repeated, three times the single class's logit."""
    single, model = build(name).eval(), build(name, classes=3).eval()
    own = single.state_dict()
    model.load_state_dict(
        {key: own[key].expand_as(value) if value.ndim else own[key] for key, value in model.state_dict().items()}
    )
    divisor = model_entry(name).divisor
    image = torch.randn(2, 3, 2 * divisor, 3 * divisor)
    with torch.no_grad():
        expected, outputs = single(image), model(image)
    assert list(outputs) == list(expected)
    for output, logits in outputs.items():
        assert logits.shape[1] == 3
        torch.testing.assert_close(logits, expected[output].expand_as(logits), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("classes", [1, 3])
@pytest.mark.parametrize("name", IMAGE_MODELS)
def test_a_gradient_reaches_every_parameter(name, classes):
    model = build(name, classes=classes).train()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)  # a scale that starts at 0 would hide what lies before it
    divisor = model_entry(name).divisor
    outputs = model(torch.randn(2, 3, 3 * divisor, 2 * divisor))
    sum(logits.sin().sum() for logits in outputs.values()).backward()
    without = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert without == []


@pytest.mark.parametrize("name", IMAGE_MODELS)
def test_an_illegal_size_is_refused(name):
    divisor = model_entry(name).divisor
    with pytest.raises(ModelError, match=f"multiples of {divisor}"):
        build(name)(torch.zeros(1, 3, divisor + 1, divisor))
