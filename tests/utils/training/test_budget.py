"""Budgets end a run in good order; parts of a batch add up to the batch."""

import csv
import os
import signal
from functools import partial

import pytest
import torch
from torch import nn

import myTrain
from measure.io.errors import InputError
from tests.helpers.runs import state, train_quickly
from utils.evaluation.images import ImageValidation
from utils.training.config import TrainConfig
from utils.training.losses import DeepSupervision
from utils.training.schedule import Budget, parse_budget
from utils.training.step import TrainStep

pytestmark = pytest.mark.slow

train = partial(train_quickly, epoch=9)


@pytest.fixture(scope="module")
def data(stills):
    return stills(count=14, seed=0, size=(64, 64))


def test_budgets_are_read_with_their_unit():
    assert parse_budget("20epochs") == Budget(epochs=20)
    assert parse_budget("500 steps") == Budget(steps=500)
    assert parse_budget("2.5minutes") == Budget(minutes=2.5)
    assert parse_budget(None) == Budget()
    for text in ("20", "0steps", "-1epochs", "3hours", ""):
        with pytest.raises(InputError, match="write a number and a unit"):
            parse_budget(text)


@pytest.mark.parametrize(
    ("done", "spent"),
    [
        ({"epochs": 1, "steps": 99, "seconds": 599}, False),
        ({"epochs": 2, "steps": 0, "seconds": 0}, True),
        ({"epochs": 0, "steps": 100, "seconds": 0}, True),
        ({"epochs": 0, "steps": 0, "seconds": 600}, True),
    ],
)
def test_the_bound_reached_first_ends_a_run(done, spent):
    assert Budget(epochs=2, steps=100, minutes=10).is_spent(**done) is spent


def test_a_budget_of_steps_ends_within_an_epoch_with_its_scores(data, tmp_path):
    assert train(data, tmp_path, "--budget", "5steps") == 0  # an epoch has three: 13 images, the last one left out
    last = state(tmp_path)
    assert last["steps"] == 5 and last["epoch"] == 2 and last["step"] == 0 and len(last["scores"]) == 2
    rows = list(csv.DictReader((tmp_path / "log.csv").open()))
    assert [row["epoch"] for row in rows] == ["1", "2"]


def test_a_budget_of_minutes_counts_the_parts_before_a_resume(data, tmp_path):
    assert train(data, tmp_path, "--budget", "1steps") == 0
    seconds = state(tmp_path)["seconds"]
    flags = ["--load_checkpoint_path", str(tmp_path / "last.pth"), "--budget", f"{seconds / 60:.6f}minutes"]
    assert myTrain.main(flags) == 0
    assert state(tmp_path)["steps"] == 1


def test_what_cannot_be_shared_is_refused(data, tmp_path, capsys):
    assert train(data, tmp_path / "run", "--accumulate", "5") == 2
    assert "--batch_size 4 was given for 1 processes with --accumulate 5" in capsys.readouterr().err
    assert train(data, tmp_path / "run", "--budget", "soon") == 2
    assert "--budget soon was given" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


class Overwriting(DeepSupervision):
    """Returns its results in the same memory at every call, as what is compiled with CUDA graphs does."""

    def forward(self, outputs, mask):
        total, parts = super().forward(outputs, mask)
        self.kept = getattr(self, "kept", torch.zeros(()))
        self.kept.copy_(parts["out"])
        return total, {"out": self.kept}


def one_step(accumulate, supervision=DeepSupervision):
    """Gradients and losses of a step of a network without batch normalization."""
    torch.manual_seed(0)
    inputs, mask = {"image": torch.randn(7, 3, 32, 32)}, torch.rand(7, 1, 32, 32)
    step = TrainStep(
        Named(nn.Conv2d(3, 1, 3, padding=1)),
        supervision(lambda logits, mask: (logits - mask).square().mean(), {"out": 1.0}),
        config=TrainConfig(accumulate=accumulate, optimizer="SGD", gradient_clip=0.0),
        device=torch.device("cpu"),
    )
    step(inputs, mask, images=7)
    return [parameter.grad for parameter in step.model.parameters()], step.losses.means()


class Named(nn.Module):
    def __init__(self, head):
        super().__init__()
        self.head = head

    def forward(self, image):
        return {"out": self.head(image)}


@pytest.mark.parametrize("accumulate", [2, 3])
def test_a_batch_in_parts_has_the_gradients_of_the_whole(accumulate):
    (whole, losses), (parts, summed) = one_step(1), one_step(accumulate)
    for first, second in zip(whole, parts, strict=True):
        torch.testing.assert_close(second, first, rtol=1e-5, atol=1e-7)
    assert summed["loss"] == pytest.approx(losses["loss"], rel=1e-6)


def test_losses_of_a_part_are_kept_where_the_next_part_overwrites_them():
    (_, expected), (_, found) = one_step(3), one_step(3, Overwriting)
    assert found == expected and found["out"] == pytest.approx(found["loss"], rel=1e-6)


def test_a_budget_reached_before_an_unfinished_validation_is_not_passed_by_the_resume(data, tmp_path, monkeypatch):
    """The checkpoint from before validation stands in the midst of an epoch, its budget used up."""

    def interrupted(self, *args):
        os.kill(os.getpid(), signal.SIGTERM)
        return rows(self, *args)

    rows = ImageValidation._rows
    with monkeypatch.context() as patched:
        patched.setattr(ImageValidation, "_rows", interrupted)
        assert train(data, tmp_path, "--budget", "1steps") == 75
    assert (state(tmp_path)["step"], state(tmp_path)["scores"]) == (1, [])
    assert myTrain.main(["--load_checkpoint_path", str(tmp_path / "last.pth")]) == 0
    assert (state(tmp_path)["steps"], len(state(tmp_path)["scores"])) == (1, 1)
