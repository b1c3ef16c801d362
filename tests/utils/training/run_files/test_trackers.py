"""--logger: what a tracker is told, going on with its run, and a package that is not there."""

import sys
from types import SimpleNamespace

import pytest

import myTrain
from measure.io import InputError
from tests.helpers.runs import QUICK
from utils.training.run_files.trackers import open_tracker, tell_tracker


class FakeWandB:
    def __init__(self):
        self.started, self.logged, self.finished = [], [], 0

    def init(self, **options):
        self.started.append(options)
        return SimpleNamespace(
            id=options["id"] or "new7", log=lambda values, step: self.logged.append((step, values)), finish=self.finish
        )

    def finish(self):
        self.finished += 1


class FakeMLflow:
    def __init__(self):
        self.calls = []

    def start_run(self, **options):
        self.calls.append(("start_run", options))
        return SimpleNamespace(info=SimpleNamespace(run_id=options["run_id"] or "m1"))

    def __getattr__(self, name):
        return lambda *args, **options: self.calls.append((name, *args, options))


def test_mlflow_gets_the_options_once_and_every_epoch(tmp_path, monkeypatch):
    mlflow = FakeMLflow()
    monkeypatch.setitem(sys.modules, "mlflow", mlflow)
    for resumed in (False, True):
        tracker = open_tracker("mlflow", tmp_path, {"lr": 0.1}, resumed=resumed)
        tracker.epoch(1 + resumed, {"val/Dice": 0.5, "val/Dice@0.5": 0.6})
        tracker.close()
    assert [call[0] for call in mlflow.calls] == [
        *("start_run", "log_params", "log_metrics", "end_run"),
        *("start_run", "log_metrics", "end_run"),
    ]
    assert [call[1]["run_id"] for call in mlflow.calls if call[0] == "start_run"] == [None, "m1"]
    assert mlflow.calls[5] == ("log_metrics", {"val/Dice": 0.5, "val/Dice_at_0.5": 0.6}, {"step": 2})


@pytest.mark.slow
def test_a_training_logs_to_wandb_and_goes_on_in_the_same_run(stills, tmp_path, monkeypatch):
    wandb = FakeWandB()
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    words = ["--train_data_path", str(stills(count=6, seed=0, size=(64, 80))), "--train_model_save_path", str(tmp_path)]
    words += [*QUICK, "--logger", "wandb"]
    assert myTrain.main([*words, "--epoch", "1"]) == 0
    assert myTrain.main([*words, "--epoch", "2", "--resume", "auto"]) == 0
    assert [options["id"] for options in wandb.started] == [None, "new7"] and wandb.finished == 2
    assert wandb.started[0]["config"]["lr"] == 1e-3 and wandb.started[0]["name"] == tmp_path.name
    assert [step for step, _ in wandb.logged] == [1, 2]
    assert {"loss/total", "val/Dice", "train/lr"} <= set(wandb.logged[0][1])


def test_a_tracker_that_refuses_is_told_and_one_that_fails_later_does_not_end_the_training(
    tmp_path, capsys, monkeypatch
):
    wandb = FakeWandB()
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    tracker = open_tracker("wandb", tmp_path, {}, resumed=False)
    tracker.run.log = lambda values, step: 1 / 0
    tell_tracker(tracker, 3, {"val/Dice": 0.5})
    assert capsys.readouterr().err == "note: WandB did not take epoch 3: division by zero\n"

    def refuse(**options):
        raise RuntimeError("api_key not configured\nmore lines")

    wandb.init = refuse
    with pytest.raises(InputError, match="--logger wandb cannot start a run: api_key not configured; set it up"):
        open_tracker("wandb", tmp_path, {}, resumed=False)


def test_a_missing_package_and_an_unknown_tracker_are_told(stills, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    words = ["--train_data_path", str(stills(count=6, seed=0, size=(64, 80))), "--train_model_save_path", str(tmp_path)]
    assert myTrain.main([*words, *QUICK, "--epoch", "1", "--logger", "mlflow"]) == 2
    assert "there is no package mlflow here: pip install mlflow" in capsys.readouterr().err
    assert myTrain.main([*words, *QUICK, "--logger", "comet"]) == 2
    assert "--logger comet was given; expected one of wandb, mlflow" in capsys.readouterr().err
