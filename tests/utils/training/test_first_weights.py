"""What a fresh run takes from a file: all weights, those of an inference network, or another network's encoder."""

import dataclasses

import pytest
import torch

from lib import create_model
from measure.io import InputError
from utils.training.setup import load_first_weights


@pytest.fixture
def written(tmp_path):
    """Write a checkpoint of ours and return its network and path."""

    def write(name, **options):
        torch.manual_seed(7)
        model = create_model(name, **options)
        described = {"model": {"name": name, "options": dataclasses.asdict(model.config)}}
        torch.save({"config": described, "model_state_dict": model.half().state_dict()}, tmp_path / "w.pth")
        return model.float(), str(tmp_path / "w.pth")

    return write


def new(name, **options):
    torch.manual_seed(8)
    return create_model(name, **options)


def same(model, donor):
    """Names of the entries that are the donor's."""
    given = donor.state_dict()
    return {name for name, value in model.state_dict().items() if name in given and torch.equal(value, given[name])}


def test_a_video_network_starts_from_the_encoder_of_an_image_network(written, capsys):
    donor, path = written("sepnet", backbone="test_resnet", aux=False)
    model = new("sali", backbone="test_resnet")
    load_first_weights(model, path, {"backbone": "test_resnet"})
    encoder = {name for name in model.state_dict() if name.startswith("encoder.")}
    assert encoder <= same(model, donor)
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert (
        f"from the encoder of {path} (sepnet with test_resnet, {len(encoder)} entries); everything else is new" in told
    )


def test_a_training_network_starts_from_an_inference_network(written, capsys):
    donor, path = written("sepnet", backbone="test_resnet", aux=False)
    model = new("sepnet", backbone="test_resnet")
    load_first_weights(model, path, {"backbone": "test_resnet"})
    assert same(model, donor) == set(donor.state_dict())
    others = len(model.state_dict()) - len(donor.state_dict())
    assert f"what only training needs is new ({others} entries)" in capsys.readouterr().err


def test_a_video_network_starts_from_its_own_weights(written, capsys):
    donor, path = written("sali", backbone="test_resnet")
    model = new("sali", backbone="test_resnet")
    load_first_weights(model, path, {"backbone": "test_resnet"})
    assert same(model, donor) == set(model.state_dict())
    assert f"starts at epoch 1 from the weights of {path}\n" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("sali", {"backbone": "resnet18"}, "the run's sali has resnet18; add --net_backbone test_resnet to take the"),
        ("scrnet", {}, "holds sepnet, of which scrnet can take nothing; give weights of scrnet"),
    ],
)
def test_an_encoder_that_does_not_fit_is_told(written, name, options, message):
    _, path = written("sepnet", backbone="test_resnet", aux=False)
    with pytest.raises(InputError, match=message):
        load_first_weights(new(name, **options), path, options)
