"""Weights for prediction alone: the same network at a fraction of the size."""

import dataclasses

import pytest
import torch

from lib import create_model, load_model
from measure.io import InputError
from utils.commands import export as command
from utils.prediction.runtimes.weights_file import export_weights
from utils.training.config import TrainConfig
from utils.training.run_files.checkpoint import read_run

pytestmark = pytest.mark.slow


@pytest.fixture
def checkpoint(tmp_path):
    """What a run leaves, its average at other weights than the network's own."""
    torch.manual_seed(0)
    model, average = (create_model("sepnet", backbone="test_resnet", channels=16) for _ in range(2))
    record = {
        "model": {"name": "sepnet", "options": dataclasses.asdict(model.config)},
        "flags": TrainConfig().flags(),
        "command": "python myTrain.py --train_data_path /home/somebody",
        "machine": {"name": "somebody's"},
    }
    content = {"format_version": 2, "epoch": 7, "config": record, "optimizer_state_dict": {"state": {}}}
    content |= {"model_state_dict": model.state_dict(), "ema_state_dict": average.state_dict()}
    torch.save(content, tmp_path / "best.pth")
    return tmp_path / "best.pth"


def test_the_average_is_kept_in_half_precision_without_the_training_branch(checkpoint, tmp_path):
    path = export_weights(checkpoint, tmp_path / "deep" / "out.pth")
    assert path.stat().st_size < checkpoint.stat().st_size / 4
    found, whole = load_model(path), load_model(checkpoint)
    assert not found.config.aux and not any(name.startswith("pse") for name in found.state_dict())
    for name, tensor in whole.state_dict().items():
        assert torch.equal(found.state_dict()[name], tensor.half().to(tensor.dtype)), name
    content = torch.load(path, weights_only=True)
    assert set(content["config"]) == {"model", "flags"} and content["epoch"] == 7
    assert read_run(path) is None, "it holds no run to go on with"


def test_numbers_that_half_precision_cannot_hold_are_refused(checkpoint, tmp_path):
    content = torch.load(checkpoint, weights_only=True)
    content["ema_state_dict"]["head1.1.bias"].fill_(1e6)
    torch.save(content, checkpoint)
    with pytest.raises(InputError, match="head1.1.bias has values beyond half precision"):
        export_weights(checkpoint, tmp_path / "out.pth")
    assert not (tmp_path / "out.pth").exists()
    assert load_model(export_weights(checkpoint, tmp_path / "out.pth", half=False)).head1[1].bias.item() == 1e6


@pytest.mark.parametrize(
    ("out", "message"), [("best.pth", "is the checkpoint itself"), ("out.txt", "weights are written as .pth")]
)
def test_mistakes(checkpoint, tmp_path, capsys, out, message):
    before = checkpoint.read_bytes()
    assert command.main(["--weights", str(checkpoint), "--out", str(tmp_path / out)]) == 2
    assert message in capsys.readouterr().err and checkpoint.read_bytes() == before


def test_a_name_that_no_file_can_have_is_told(checkpoint, tmp_path):
    with pytest.raises(InputError, match="cannot write .*File name too long"):
        export_weights(checkpoint, tmp_path / f"{'n' * 300}.pth")
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(("n", "."))]
