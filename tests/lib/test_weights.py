"""Weight files: read safely, loaded strictly, refused in words."""

import pickle

import pytest
import torch

from lib import ModelError, create_model, load_weights, read_checkpoint
from tests.helpers.golden import published_state


@pytest.fixture(scope="module")
def model():
    return create_model("sepnet", backbone="pvt-v2-b0")


@pytest.fixture(scope="module")
def published():
    return published_state("sepnet_pvt-v2-b0")


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


def test_weights_of_another_backbone_are_refused(published):
    with pytest.raises(ModelError, match="does not fit the network"):
        load_weights(create_model("sepnet", backbone="pvt-v2-b1"), published)


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
