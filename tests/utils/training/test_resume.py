"""What a resumed run may change and what it must keep; fresh runs from weights; ends in good order at any moment."""

import csv
import json
import os
import signal

import pytest
import torch

import myTrain
from lib import create_model
from measure.io import InputError
from tests.helpers.runs import state, train_quickly
from utils.commands import repeat
from utils.evaluation.images import ImageValidation
from utils.phantom import write_stills
from utils.training.run_files.run_log import RunLog
from utils.training.step import TrainStep

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def data(stills):
    return stills(count=10, seed=0, size=(64, 64))


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    assert train_quickly(data, folder, "--epoch", "1") == 0
    return folder


def go_on(run, folder, *flags):
    words = ["--load_checkpoint_path", run / "last.pth", "--train_model_save_path", folder, "--epoch", "2", *flags]
    return myTrain.main(list(map(str, words)))


@pytest.mark.parametrize(
    ("flags", "kept"),
    [
        (["--optimizer", "SGD"], "--optimizer SGD was given, but the run to go on with was trained with Adam"),
        (["--batch_size", "2"], "--batch_size 2 was given, but the run to go on with was trained with 4"),
        (["--best_by", "score"], "--best_by score was given, but the run to go on with was trained with Dice"),
        (["--model", "sepnet"], "--model sepnet was given, but the run to go on with was trained with scrnet"),
        (["--net_planes", "16"], "--net_planes 16 was given, but the run to go on with was trained with None"),
    ],
)
def test_what_a_resumed_run_must_keep_is_refused(run, tmp_path, capsys, flags, kept):
    assert go_on(run, tmp_path / "on", *flags) == 2
    told = capsys.readouterr().err
    assert kept in told and "start a fresh run with --init_weights" in told
    assert not (tmp_path / "on").exists()


@pytest.mark.parametrize(
    ("flag", "value", "message"),
    [
        ("batch_size", 2.5, "--batch_size 2.5 was given; it must be a whole number, at least 1 and at most 65536"),
        ("batch_size", 0, "--batch_size 0 was given; it must be at least 1"),
        ("lr", "fast", "--lr fast was given; it must be a number, at least 0 and at most 100"),
        ("tf32", "no", "--tf32 no was given; it must be true or false"),
        ("augment", [5], "--augment 5 was given; it must be a text"),
        ("augment", 5, "--augment 5 was given; it must be a list of values"),
    ],
)
def test_a_record_that_was_edited_by_hand_is_refused_by_what_is_wrong(run, tmp_path, capsys, flag, value, message):
    edited = state(run)
    edited["config"]["flags"][flag] = value
    torch.save(edited, tmp_path / "last.pth")
    (tmp_path / "config.json").write_text(json.dumps(edited["config"]))
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    told = f"error: the checkpoint's record of its run is damaged ({message}); start from its weights\n"
    assert myTrain.main(["--load_checkpoint_path", str(tmp_path / "last.pth"), "--epoch", "2"]) == 2
    assert capsys.readouterr().err == told
    assert repeat.main([str(tmp_path)]) == 2
    assert capsys.readouterr().err == told
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("model", [[], {"name": 5, "options": {}}, {"name": "scrnet", "options": []}])
def test_a_checkpoint_that_no_longer_says_its_network_is_refused(run, tmp_path, capsys, model):
    edited = state(run)
    edited["config"]["model"] = model
    torch.save(edited, tmp_path / "last.pth")
    words = ["--load_checkpoint_path", tmp_path / "last.pth", "--train_model_save_path", tmp_path / "on"]
    assert myTrain.main(list(map(str, words))) == 2
    assert "last.pth is a checkpoint whose config names no network and its options" in capsys.readouterr().err


def test_what_a_resumed_run_changes_is_done_and_said(run, tmp_path, capsys):
    assert go_on(run, tmp_path, "--weight_decay", "0.25", "--amp", "bf16", "--ema", "0.5") == 0
    told = capsys.readouterr().err
    assert "the resumed run changes" in told and "--weight_decay 0.25 (was 0.0001)" in told
    found = state(tmp_path)
    assert {group["weight_decay"] for group in found["optimizer_state_dict"]["param_groups"]} == {0.25}
    assert found["config"]["flags"]["weight_decay"] == 0.25 and "ema_state_dict" in found
    assert found["config"]["earlier"][0]["flags"]["weight_decay"] == 1e-4


@pytest.mark.parametrize("text", ["epoch;lr\n1;0.1\n", "epoch,lr\none,0.1\n", "epoch,lr\n,\n"])
def test_a_log_that_a_spreadsheet_has_changed_is_named(tmp_path, text):
    (tmp_path / "log.csv").write_text(text)
    with pytest.raises(InputError, match="log.csv is no table of epochs as a run writes it, separated by commas"):
        RunLog(tmp_path, config={}, last_epoch=1)
    assert (tmp_path / "log.csv").read_text() == text
    RunLog(tmp_path, config={}).close()  # a new run begins a table of its own


def test_a_fresh_run_starts_from_weights_alone(run, data, tmp_path, capsys):
    assert train_quickly(data, tmp_path, "--epoch", "1", "--init_weights", run / "best.pth") == 0
    assert f"a fresh run starts at epoch 1 from the weights of {run / 'best.pth'}" in capsys.readouterr().err
    assert state(tmp_path)["epoch"] == 1
    assert state(tmp_path)["config"]["weights"]["init_weights"]["path"] == str(run / "best.pth")


def test_heads_are_replaced_where_the_classes_differ(data, tmp_path, capsys):
    torch.save(create_model("scrnet").state_dict(), tmp_path / "binary.pth")
    flags = ["--classes", "low=1", "high=255", "--epoch", "1", "--init_weights", tmp_path / "binary.pth"]
    assert train_quickly(data, tmp_path / "run", *flags) == 0
    assert "its heads for 1 classes are replaced by new ones for 2" in capsys.readouterr().err


def test_best_follows_dice_or_the_released_score(data, tmp_path, monkeypatch, capsys):
    """Dice falls in the second epoch while Dice + IoU - MAE rises."""
    rows = [{"Dice": 0.6, "IoU": 0.3, "MAE": 0.3, "score": 0.6}, {"Dice": 0.5, "IoU": 0.4, "MAE": 0.1, "score": 0.8}]
    for by, best in (("Dice", 1), ("score", 2)):
        given = iter(rows)
        monkeypatch.setattr(ImageValidation, "scores", lambda *_, given=given: next(given))
        assert train_quickly(data, tmp_path / by, "--epoch", "2", "--best_by", by) == 0
        assert state(tmp_path / by, "best.pth")["epoch"] == best
        lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("epoch ")]
        assert [f"(best {by})" in line for line in lines] == [True, best == 2]


def test_images_without_polyp_are_told_apart(data, tmp_path, capsys):
    from PIL import Image

    empty = tmp_path / "val"
    write_stills(empty, count=3, seed=5, size=(64, 64))
    mask = sorted((empty / "masks").iterdir())[0]
    Image.new("L", Image.open(mask).size).save(mask)
    assert train_quickly(data, tmp_path / "run", "--epoch", "1", "--val_data_path", empty) == 0
    row = next(csv.DictReader((tmp_path / "run" / "log.csv").open()))
    assert float(row["Dice_polyp"]) * 2 / 3 <= float(row["Dice"])
    assert float(row["false_alarms"]) in (0.0, 1.0)
    assert "where there is a polyp" in capsys.readouterr().out


def test_a_signal_during_validation_keeps_the_epoch(data, tmp_path, monkeypatch):
    """It is saved before validation, and validation is left between two batches."""
    original = ImageValidation._rows

    def interrupted(self, *args):
        os.kill(os.getpid(), signal.SIGTERM)
        return original(self, *args)

    with monkeypatch.context() as patched:
        patched.setattr(ImageValidation, "_rows", interrupted)
        assert train_quickly(data, tmp_path / "run", "--epoch", "1") == 75
    found = state(tmp_path / "run")
    assert (found["epoch"], found["step"], found["scores"]) == (0, found["steps"], [])
    assert train_quickly(data, tmp_path / "run", "--epoch", "1", "--resume", "auto") == 0
    assert train_quickly(data, tmp_path / "straight", "--epoch", "1") == 0
    first, second = state(tmp_path / "run"), state(tmp_path / "straight")
    assert first["scores"] == second["scores"] and len(first["scores"]) == 1
    for name, tensor in first["model_state_dict"].items():
        assert torch.equal(tensor, second["model_state_dict"][name]), name


def test_a_signal_before_the_first_step_asks_to_be_run_again(data, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("utils.training.setup.build_model", signalled(myTrain.training.setup.build_model))
    assert train_quickly(data, tmp_path / "run", "--epoch", "1") == 75
    assert "before the first step" in capsys.readouterr().err
    assert not (tmp_path / "run" / "last.pth").exists()


def signalled(function):
    def with_signal(*args, **keywords):
        os.kill(os.getpid(), signal.SIGTERM)
        return function(*args, **keywords)

    return with_signal


def test_weights_that_are_not_finite_never_reach_a_checkpoint(data, run, tmp_path, monkeypatch, capsys):
    """The update after the last look at the loss spoils them: last.pth stays what it was."""
    original = TrainStep.__call__

    def spoiled(self, *args, **keywords):
        original(self, *args, **keywords)
        next(self.model.parameters()).data[0] = float("inf")

    monkeypatch.setattr(TrainStep, "__call__", spoiled)
    before = (run / "last.pth").read_bytes()
    flags = ["--load_checkpoint_path", run / "last.pth", "--epoch", "2", "--budget", "4steps"]
    assert myTrain.main(list(map(str, flags))) == 1
    assert "is not finite in epoch 2" in capsys.readouterr().err
    assert (run / "last.pth").read_bytes() == before


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--weight_decay", "inf"], "--weight_decay inf was given"),
        (["--lr", "1e30"], "--lr 1e30 was given; it must be at most 100"),
        (["--ema", "1"], "--ema 1 was given; it must be less than 1"),
        (["--loss_weights", "out=-1"], "--loss_weights out=-1 was given"),
        (["--cache_path", ""], "--cache_path"),
        (["--val_data_path", "{data}"], "is the training folder itself"),
        (["--mask_noise", "nan"], "--mask_noise nan was given"),
        (["--epoch", "9" * 20], "it must be at most"),
    ],
)
def test_values_that_cannot_be_meant_are_refused(data, tmp_path, capsys, flags, message):
    assert train_quickly(data, tmp_path / "run", *(word.format(data=data) for word in flags)) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
