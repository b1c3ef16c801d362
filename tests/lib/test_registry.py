"""Networks by name, and what every registered image network promises."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

import lib
from lib import ModelError, create_model, list_models, model_entry
from lib.base import Network

ROOT = Path(__file__).parents[2]
SMALL = {name: {"backbone": "pvt-v2-b0"} for name in ("sepnet", "sali", "lsinet")}
SMALL |= {name: {"backbone": "resnet18"} for name in ("convsegnet", "dilatedsegnet")}
IMAGE_MODELS = list_models("image")


def build(name, **options):
    torch.manual_seed(0)
    return create_model(name, **SMALL.get(name, {}), **options)


@pytest.mark.parametrize("name", list_models())
def test_a_network_says_what_the_table_says(name):
    network = model_entry(name).network
    assert issubclass(network, Network)
    assert (network.name, network.kind) == (name, model_entry(name).kind)
    assert network.smallest >= network.divisor and network.smallest % network.divisor == 0


@pytest.mark.parametrize("name", list_models())
def test_outputs_and_head_are_known_without_running_the_network(name):
    model, ran = build(name).eval(), []
    model.head.register_forward_hook(lambda _, inputs, output: ran.append(output))
    with torch.no_grad():
        outputs = model(*model.example_inputs(model.smallest))
    assert tuple(outputs) == model.output_names
    assert len(ran) == 1 and ran[0].shape[:2] == (1, 1)
    if "aux" in model.option_names():
        assert build(name, aux=False).output_names == ("out",)


def test_names_are_listed_without_pytorch_and_offered_names_exist():
    code = "import sys; from lib import list_models; list_models('image'); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60, cwd=ROOT)
    assert all(hasattr(lib, name) for name in lib.__all__)
    with pytest.raises(AttributeError, match="'lib' has no attribute 'creat_model'"):
        lib.creat_model  # noqa: B018


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


@pytest.mark.slow
@pytest.mark.parametrize("name", IMAGE_MODELS)
def test_evaluation_is_deterministic_and_survives_a_round_trip(name):
    model, again = build(name).eval(), create_model(name, **SMALL.get(name, {})).eval()
    again.load_state_dict(model.state_dict())
    divisor = model_entry(name).divisor
    image = torch.randn(1, 3, 2 * divisor, 2 * divisor)
    with torch.no_grad():
        first, second, third = model(image)["out"], model(image)["out"], again(image)["out"]
    assert torch.equal(first, second) and torch.equal(first, third)


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
@pytest.mark.parametrize("name", list_models())
def test_a_network_in_double_precision_runs_both_ways(name):
    model = build(name).eval()
    with torch.no_grad():
        inputs = model.example_inputs(model.smallest)
        inputs = tuple(torch.randn(x.shape, generator=torch.Generator().manual_seed(0)) for x in inputs)
        single = model(*inputs)["out"]
    outputs = model.double()(*(x.double() for x in inputs))
    assert all(logits.dtype == torch.float64 for logits in outputs.values())
    torch.testing.assert_close(outputs["out"].float(), single, rtol=1e-3, atol=1e-3)
    sum(logits.sum() for logits in outputs.values()).backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize("name", IMAGE_MODELS)
def test_a_single_smallest_image_is_refused_in_training_and_taken_in_evaluation(name):
    model = build(name)
    image = torch.zeros(1, 3, model.smallest, model.smallest)
    with pytest.raises(ModelError, match="leaves batch normalization a single value a channel"):
        model(image)
    with pytest.raises(ModelError, match=f"--train_size {model.smallest} was given with one image a forward"):
        model.check_side(model.smallest, flag="--train_size", batch=1)
    model.check_side(model.smallest, flag="--train_size", batch=2)
    model.check_side(model.smallest, flag="--test_size")
    assert model.eval()(image)["out"].isfinite().all()
