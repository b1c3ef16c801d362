"""Several seeds and folds: run after run, what they reach together, and going on where they were interrupted."""

import json
import signal

import pytest

import measure.__main__
import myTest
import myTrain
from tests.helpers.runs import QUICK, assert_equal, interrupt_after, state
from utils.commands.repeat import command_words
from utils.commands.series import best_epoch, summarise
from utils.phantom import write_stills
from utils.training.step import TrainStep

pytestmark = pytest.mark.slow

PARTS = ("train", "val", "test")


@pytest.fixture(scope="module")
def data(stills):
    return stills(count=6, seed=0, size=(64, 80))


def train(data, folder, *flags):
    where = ["--train_data_path", str(data), "--train_model_save_path", str(folder), "--epoch", "1"]
    return myTrain.main([*where, *QUICK, "--batch_size", "3", *flags])


def test_mean_and_sample_deviation_by_hand():
    rows = {
        4: {"epoch": 3, "Dice": 0.5, "IoU": 0.25, "MAE": 0.1, "score": 0.65},
        5: {"epoch": 9, "Dice": 0.7, "IoU": 0.25, "MAE": 0.2, "score": 0.75},
        6: {"epoch": 1, "Dice": 0.9, "IoU": 0.25, "MAE": 0.3, "score": 0.85},
    }
    summary = summarise(rows)
    assert summary["mean"] == pytest.approx({"Dice": 0.7, "IoU": 0.25, "MAE": 0.2, "score": 0.75})
    assert summary["standard deviation"] == pytest.approx({"Dice": 0.2, "IoU": 0.0, "MAE": 0.1, "score": 0.1})


def test_the_best_epoch_is_the_first_with_the_highest_score(tmp_path):
    rows = ["1,0.1,0.1,0.3,-0.1", "2,0.4,0.3,0.2,0.5", "3,0.5,0.25,0.25,0.5"]
    (tmp_path / "log.csv").write_text("\n".join(["epoch,Dice,IoU,MAE,score", *rows]) + "\n")
    assert best_epoch(tmp_path, by="score") == {"epoch": 2, "Dice": 0.4, "IoU": 0.3, "MAE": 0.2, "score": 0.5}


def test_interrupted_seeds_go_on_by_the_same_command(data, tmp_path, monkeypatch, capsys):
    with monkeypatch.context() as patched:
        interrupt_after(patched, 3, signal.SIGTERM)  # a seed has two steps
        assert train(data, tmp_path, "--seeds", "0", "1") == 75
    assert "seed_1/last.pth, or with all seeds by the same command" in capsys.readouterr().err
    assert json.loads((tmp_path / "seeds.json").read_text())["seeds"].keys() == {"0"}
    steps = []
    original = TrainStep.__call__
    with monkeypatch.context() as patched:
        patched.setattr(TrainStep, "__call__", lambda *a, **k: (steps.append(1), original(*a, **k)))
        assert train(data, tmp_path, "--seeds", "0", "1") == 0
    assert len(steps) == 1
    summary = json.loads((tmp_path / "seeds.json").read_text())
    for seed in "01":
        assert summary["seeds"][seed] == best_epoch(tmp_path / f"seed_{seed}", by="Dice")
    printed = capsys.readouterr().out
    assert printed.endswith((tmp_path / "seeds.md").read_text())
    assert f"| {summary['mean']['Dice']:.4f} |" in printed and "standard deviation" in printed

    held_out = [state(tmp_path / f"seed_{seed}")["config"]["data"]["validation"]["hash"] for seed in "01"]
    assert held_out[0] == held_out[1]
    alone = command_words(state(tmp_path / "seed_1")["config"], folder=tmp_path / "alone")
    assert myTrain.main(alone[2:]) == 0
    for entry in ("model_state_dict", "optimizer_state_dict", "scores"):
        assert_equal(state(tmp_path / "seed_1")[entry], state(tmp_path / "alone")[entry], entry)


@pytest.fixture(scope="module")
def one_seed(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("seeds")
    assert train(data, folder, "--seeds", "2") == 0
    return folder


def test_a_single_seed_has_no_deviation(one_seed):
    assert json.loads((one_seed / "seeds.json").read_text())["standard deviation"]["Dice"] is None
    assert (one_seed / "seeds.md").read_text().splitlines()[-1].split("|")[3].strip() == "–"


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--seeds", "2", "3", "--lr", "0.5"], "seed_2 was trained with other flags (--lr); choose another"),
        (["--seeds", "1", "1"], "--seeds 1 1 was given; name each seed once, from 0 on"),
        (["--seeds", "-1"], "--seeds -1 was given; it must be at least 0"),
        (["--seeds", "2", "--overwrite"], "--seeds and --overwrite were given; --seeds goes on with the runs in"),
        (["--seeds", "2", "--load_checkpoint_path", "seed_2/last.pth"], "last.pth is a run to go on with; drop one"),
    ],
)
def test_mistakes(data, one_seed, capsys, monkeypatch, flags, message):
    monkeypatch.chdir(one_seed)
    assert train(data, one_seed, *flags) == 2
    assert message in capsys.readouterr().err


def test_seeds_are_compared_on_the_same_data(data, one_seed, tmp_path, capsys):
    write_stills(tmp_path, count=6, seed=9, size=(64, 80))
    assert train(tmp_path, one_seed, "--seeds", "2", "3") == 2
    told = capsys.readouterr().err
    assert "12 files changed (images/phantom_0001.jpg" in told and "seeds are compared on the same data" in told
    assert not (one_seed / "seed_3").exists()


def test_folds_test_what_chose_nothing_and_go_on_by_the_same_command(data, tmp_path, monkeypatch, capsys):
    with monkeypatch.context() as patched:
        interrupt_after(patched, 3, signal.SIGTERM)  # a fold trains on 3 of 6 images: one step
        assert train(data, tmp_path, "--folds", "2", "--epoch", "2", "--batch_size", "4") == 75
    assert "fold_2/last.pth, or with all folds by the same command" in capsys.readouterr().err
    assert train(data, tmp_path, "--folds", "2", "--epoch", "2", "--batch_size", "4") == 0
    printed = capsys.readouterr().out
    assert printed.endswith((tmp_path / "folds.md").read_text())
    summary = json.loads((tmp_path / "folds.json").read_text())
    tested = set()
    for fold in "12":
        parts = {p: (tmp_path / "splits" / f"fold_{fold}" / f"{p}.txt").read_text().split() for p in PARTS}
        assert not set(parts["train"] + parts["val"]) & set(parts["test"])
        tested |= set(parts["test"])
        row = summary["folds"][fold]
        assert row["images"] == len(parts["test"]) == 3
        assert row["epoch"] == best_epoch(tmp_path / f"fold_{fold}", by="Dice")["epoch"]
        maps, out = tmp_path / "maps" / fold, tmp_path / "scores" / fold
        given = ["--model_state_dict_path", str(tmp_path / f"fold_{fold}" / "best.pth"), "--test_data_path", str(data)]
        given += ["--split", str(tmp_path / "splits" / f"fold_{fold}" / "test.txt"), "--pred_save_path", str(maps)]
        assert myTest.main([*given, "--device", "cpu", "--workers", "0"]) == 0
        words = ["--GT_root", str(data), "--pred_root", str(maps), "--out", str(out), "--partial", "--no-plots"]
        assert measure.__main__.main([*words, "--workers", "1"]) == 0
        (scores,) = json.loads((out / "scores.json").read_text())["datasets"].values()
        assert row["Dice"] == pytest.approx(scores["Dice"], abs=2e-3)  # maps are rounded to 8 bits
    assert len(tested) == 6
    assert summary["mean"]["Dice"] == pytest.approx(sum(summary["folds"][f]["Dice"] for f in "12") / 2)

    for flags, message in [
        (["--folds", "3"], "holds other names than would be drawn now"),
        (["--folds", "2", "--lr", "0.5"], "fold_1 was trained with other flags (--lr)"),
        (["--folds", "2", "--val_split", "x"], "--folds and --val_split were given"),
        (["--folds", "2", "--seeds", "1"], "--folds and --seeds were given"),
        (["--folds", "2", "--overwrite"], "--folds and --overwrite were given; --folds goes on with the runs in"),
        (["--groups", "x"], "groups were given without --folds"),
        (["--folds", "2", "--groups", "x", "--group_pattern", "y"], "one tells the groups: drop the other"),
        (["--folds", "1"], "--folds 1 was given; it must be at least 2"),
    ]:
        assert train(data, tmp_path, "--epoch", "2", "--batch_size", "4", *flags) == 2
        assert message in capsys.readouterr().err
