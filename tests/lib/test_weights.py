"""Weight files: read safely, loaded strictly, refused in words."""

import argparse
import dataclasses
import pickle

import numpy as np
import pytest
import torch

from lib import ModelError, create_model, load_backbone_weights, load_model, load_weights, model_from, read_checkpoint
from tests.helpers.golden import published_state


@pytest.fixture(scope="module")
def model():
    return create_model("sepnet", backbone="pvt-v2-b0")


@pytest.fixture(scope="module")
def published():
    return published_state("sepnet_pvt-v2-b0")


@pytest.mark.slow
def test_a_published_checkpoint_loads_whole(model, published, tmp_path):
    path = tmp_path / "SEPNet.pth"
    state = {f"module.{name}": value for name, value in published.items()}
    torch.save({"epoch": 87, "model_state_dict": state, "optimizer_state_dict": {}}, path)
    report = load_weights(model, path)
    assert len(report.loaded) == len(published) == len(model.state_dict())
    assert report.ignored == []
    ours = model.state_dict()
    assert torch.equal(ours["head1.1.bias"], published["get_logit1.getlogits.1.bias"])
    assert torch.equal(
        ours["pse3.layers.1.conv.predict.3.weight"],
        published["sc3_block.sc_3layer.sconv2.sconv.conv_kernel.3.weight"],
    )


def test_our_own_naming_and_an_averaged_state_come_first(model, tmp_path):
    average = {name: torch.zeros_like(value) for name, value in model.state_dict().items()}
    other = create_model("sepnet", backbone="pvt-v2-b0")
    load_weights(other, {"model_state_dict": model.state_dict(), "ema_state_dict": average})
    assert all(not value.any() for value in other.state_dict().values())


def test_missing_unexpected_and_misshaped_entries_are_three_lists(model, published):
    state = dict(published)
    del state["get_logit4.getlogits.bias"]
    state["stranger.weight"] = torch.zeros(2)
    state["get_logit3.getlogits.bias"] = torch.zeros(5)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(ModelError) as refused:
        load_weights(model, state)
    text = str(refused.value)
    assert "missing (1): head4.bias" in text
    assert "unexpected (1): stranger.weight" in text
    assert "mis-shaped (1): head3.bias (5,) instead of (1,)" in text
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_weights_of_another_backbone_or_network_are_refused_in_a_sentence(published):
    told = "does not fit the network: its entries are those of sepnet with pvt-v2-b0; the model is {}; give weights of"
    with pytest.raises(ModelError, match=told.format("sepnet with pvt-v2-b1")):
        load_weights(create_model("sepnet", backbone="pvt-v2-b1"), published)
    own = create_model("sepnet", backbone="pvt-v2-b2").state_dict()  # the default, in our naming
    with pytest.raises(ModelError, match="those of sepnet with pvt-v2-b2; the model is convsegnet with resnet50; give"):
        load_weights(create_model("convsegnet"), own)


@pytest.mark.parametrize("name", ["head.conv.weight", "output.conv.0.weight"])
def test_parts_of_convsegnets_released_head_in_other_weights_are_refused_as_all_else(model, name):
    strangers = {name: torch.zeros(3, 64, 1, 1), "head.bn.weight": torch.zeros(2)}
    for network in (model, create_model("convsegnet", backbone="resnet18")):
        with pytest.raises(ModelError, match=r"the given state dict does not fit the network: missing"):
            load_weights(network, strangers)


def test_a_whole_network_is_no_backbone(model):
    with pytest.raises(ModelError, match="the given state dict holds a whole sepnet, and a backbone's weights alone"):
        load_backbone_weights(model.encoder, trained(model))


class Arbitrary:
    """An object a weight file has no business to hold."""


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (lambda path: torch.save({"model": Arbitrary()}, path), "is no plain weight file"),
        (lambda path: path.write_bytes(pickle.dumps(Arbitrary())), "is no plain weight file"),
        (lambda path: path.write_bytes(b"these are no weights"), "is damaged, cut short or no weight file"),
        (lambda path: path.write_bytes(b""), "is damaged, cut short or no weight file"),
        (lambda path: torch.save([torch.zeros(1)], path), "holds a list; expected a state dict"),
        (lambda path: torch.save({"epoch": 3}, path), "holds no state dict"),
    ],
)
def test_files_that_are_no_weights_are_refused(model, content, message, tmp_path):
    path = tmp_path / "bad.pth"
    content(path)
    with pytest.raises(ModelError, match=message):
        load_weights(model, path)


def test_a_truncated_file_is_refused(model, tmp_path):
    path = tmp_path / "cut.pth"
    torch.save({"model_state_dict": model.state_dict()}, path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ModelError, match="is damaged, cut short or no weight file"):
        read_checkpoint(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ModelError, match="no weight file .*nowhere.pth"):
        read_checkpoint(tmp_path / "nowhere.pth")


def test_a_report_is_one_line(model):
    report = load_weights(create_model("sepnet", backbone="pvt-v2-b0", aux=False), model.state_dict())
    whole = f"{len(report.loaded)} entries loaded, {len(report.ignored)} ignored (of head2, head3, head4, pse2, pse3, "
    assert repr(report) == str(report) == whole + "deep_crc2, deep_crc3, deep_head2, deep_head3)"
    assert repr(load_weights(model, model.state_dict())) == f"{len(model.state_dict())} entries loaded, 0 ignored"


def trained(model, **extra):
    """A checkpoint as a training run writes it, as far as the network goes."""
    config = {"model": {"name": model.name, "options": dataclasses.asdict(model.config)}, "flags": {"train_size": 64}}
    return {"format_version": 2, "epoch": 3, "config": config, "model_state_dict": model.state_dict(), **extra}


@pytest.mark.slow
def test_a_checkpoint_alone_gives_its_network(model, tmp_path):
    torch.save(trained(model), tmp_path / "best.pth")
    image = torch.randn(1, 3, 64, 64)
    found, whole = load_model(tmp_path / "best.pth"), load_model(tmp_path / "best.pth", aux=True)
    assert not found.training and found.output_names == ("out",)
    assert whole.output_names == model.output_names
    with torch.no_grad():
        expected = model.eval()(image)["out"]
        assert torch.equal(found(image)["out"], expected) and torch.equal(whole(image)["out"], expected)


def test_weights_alone_do_not_say_their_network(model, tmp_path):
    torch.save(model.state_dict(), tmp_path / "weights.pth")
    with pytest.raises(ModelError, match="holds weights and does not say of which network"):
        load_model(tmp_path / "weights.pth")
    with pytest.raises(ModelError, match="x.pth holds sepnet, and scrnet was asked for"):
        model_from(trained(model), origin="x.pth", name="scrnet")


def test_a_misfit_first_tells_what_the_file_says(model):
    other = create_model("sepnet", backbone="pvt-v2-b1", channels=32)
    with pytest.raises(ModelError) as refused:
        load_weights(other, trained(model))
    says = "the file says sepnet with pvt-v2-b0, channels 64; the model is sepnet with pvt-v2-b1, channels 32; give"
    assert f"does not fit the network: {says}" in str(refused.value)
    with pytest.raises(ModelError, match="the file says sepnet; the model is scrnet; give"):
        load_weights(create_model("scrnet"), trained(model))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_are_not_finite_are_refused_by_name(model, value):
    state = {name: entry.clone() for name, entry in model.state_dict().items()}
    state["crc2.se.squeeze.weight"][1, 2] = value
    before = model.state_dict()["crc2.se.squeeze.weight"].clone()
    with pytest.raises(ModelError, match=r"values that are not finite.*entries \(1\): crc2.se.squeeze.weight"):
        load_weights(model, trained(model, model_state_dict=state))
    assert torch.equal(model.state_dict()["crc2.se.squeeze.weight"], before)
    encoder = {name.removeprefix("encoder.net."): v for name, v in state.items() if name.startswith("encoder.net.")}
    encoder["patch_embed.proj.bias"] = torch.full((32,), value)
    with pytest.raises(ModelError, match=r"entries \(1\): patch_embed.proj.bias"):
        load_backbone_weights(model.encoder, encoder)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (None, "config names no network and its options"),
        ([], "config names no network and its options"),
        ("sepnet", "config names no network and its options"),
        ({"model": "sepnet"}, "config names no network and its options"),
        ({"model": {"name": "sepnet", "options": None}}, "config names no network and its options"),
        ({"model": {"name": ["sepnet"], "options": {}}}, "config names no network and its options"),
        ({"model": {"name": "sepnet", "options": {3: 4}}}, "config names no network and its options"),
        ({"model": {"name": "unet", "options": {}}}, "cannot be built: unknown model 'unet'"),
        ({"model": {"name": "sepnet", "options": {"width": 4}}}, "cannot be built: sepnet has no option width"),
        ({"model": {"name": "sepnet", "options": {"name": "sali"}}}, "cannot be built: sepnet has no option name"),
        ({"model": {"name": "sepnet", "options": {"pretrained": True}}}, "sepnet has no option pretrained"),
        (
            {"model": {"name": "sepnet", "options": {"channels": "64"}}},
            "option channels is '64'; expected a whole number",
        ),
        ({"model": {"name": "sepnet", "options": {"channels": 10**9}}}, "a whole number from 1 to 65536"),
        (
            {"model": {"name": "sepnet", "options": {"channels": True}}},
            "option channels is True; expected a whole number",
        ),
        ({"model": {"name": "sepnet", "options": {"backbone": None}}}, "option backbone is None; expected a text"),
        ({"model": {"name": "sepnet", "options": {"fuse_reductions": [4]}}}, "expected 2 numbers, each a whole number"),
        ({"model": {"name": "convsegnet", "options": {"kernels": [4]}}}, "4 x 4 pixels; its sides must be odd"),
        ({"model": {"name": "sepnet", "options": {"channels": 2}}}, "2 channels were given to be divided by 4"),
        ({"model": {"name": "scrnet", "options": {"scm": 1}}}, "option scm is 1; expected True or False"),
        ({"model": {"name": "scrnet", "options": {"decoder_channels": [8]}}}, "give five and four widths"),
        ({"model": {"name": "sepnet", "options": {"channels": 60000}}}, r"has \d+\.\d G parameters; at most 2 G"),
        ({"model": {"name": "scrnet", "options": {"encoder_channels": [16, 32, 64, 128, 60000]}}}, "at most 2 G"),
    ],
)
def test_checkpoints_of_odd_configs_end_in_a_sentence(config, message, tmp_path):
    torch.save({"format_version": 2, "config": config, "model_state_dict": {"a": torch.zeros(1)}}, tmp_path / "odd.pth")
    with pytest.raises(ModelError, match=message) as refused:
        load_model(tmp_path / "odd.pth")
    assert "odd.pth" in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.skipif(not hasattr(torch.serialization, "safe_globals"), reason="needs PyTorch 2.5, which can allow them")
def test_numpy_numbers_are_read_as_python_numbers(tmp_path):
    values = [np.float64(0.25), np.float32(1.5), np.float16(2), np.int64(-7), np.uint8(200), np.bool_(True), 3]
    torch.save({"best": values, "weights": {"w": torch.ones(2)}}, tmp_path / "numbers.pth")
    found = read_checkpoint(tmp_path / "numbers.pth")["best"]
    assert found == [0.25, 1.5, 2.0, -7, 200, True, 3]
    assert [type(value) for value in found] == [float, float, float, int, int, bool, int]


@pytest.mark.parametrize("odd", [np.zeros(2), np.datetime64("2024-01-01"), np.array([None], object)])
def test_other_numpy_values_are_refused(odd, tmp_path):
    torch.save({"best": [np.float64(1), odd]}, tmp_path / "odd.pth")
    with pytest.raises(ModelError, match="is no plain weight file"):
        read_checkpoint(tmp_path / "odd.pth")


def test_a_blocked_type_is_named(tmp_path):
    torch.save({"args": argparse.Namespace(lr=1), "state_dict": {}}, tmp_path / "args.pth")
    with pytest.raises(ModelError, match=r"it holds an object of the type argparse\.Namespace, which is not read"):
        read_checkpoint(tmp_path / "args.pth")


def test_weights_lie_under_any_one_key_and_a_common_prefix_goes(model):
    state = {f"model.{name}": value for name, value in model.state_dict().items()}
    report = load_weights(model, {"epoch": 3, "net": state})
    assert len(report.loaded) == len(state)
    with pytest.raises(ModelError, match="and found epoch, optimizer, net"):
        load_weights(model, {"epoch": 3, "optimizer": {"state": {}}, "net": None})
