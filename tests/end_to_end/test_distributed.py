"""Two processes on the CPU: the numbers of one process, and under torchrun an orderly end when one of them dies."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import myTest
import myTrain
from lib import create_model
from tests.helpers import sync_batchnorm
from tests.helpers.processes import in_two_processes
from tests.helpers.runs import state
from tests.helpers.two_processes import report, write_report
from utils.runtime.process_group import SINGLE_PROCESS

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
# small steps of SGD: rounding differs with the number of processes and must not grow, as it does under Adam
SMALL = (
    "--model scrnet --train_size 64 --batch_size 6 --loss structure --optimizer SGD --lr 1e-4 --schedule constant "
    "--augment --lr_warmup_epoch 0 --device cpu --workers 0"
).split()


@pytest.fixture(scope="module")
def data(stills):
    return stills(count=19, seed=0, size=(64, 64))


def in_two(main, flags, folder):
    """Call a command's `main` in two processes, without the seconds that torchrun takes."""
    return in_two_processes(main, list(map(str, flags)), folder=folder)


def torchrun(script, *arguments, flags=()):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", *flags]
    return subprocess.run(
        [*command, script, *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=240,
    )


def rows(folder):
    return list(csv.DictReader((folder / "log.csv").open()))


def test_two_processes_cross_validate(data, tmp_path):
    flags = [*SMALL, "--train_data_path", data, "--epoch", "1", "--folds", "2"]
    run = tmp_path / "run"
    done = in_two(myTrain.main, [*flags, "--train_model_save_path", run], tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith((run / "folds.md").read_text())
    folds = json.loads((run / "folds.json").read_text())["folds"]
    assert sorted(row["images"] for row in folds.values()) == [9, 10]


def test_two_processes_train_as_one_does(data, tmp_path):
    flags = [*SMALL, "--train_data_path", data, "--epoch", "2", "--ema", "0.5"]
    done = in_two(sync_batchnorm.train, [*flags, "--train_model_save_path", tmp_path / "two"], tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("epoch 1/2") == 1
    assert myTrain.main([*map(str, flags), "--train_model_save_path", str(tmp_path / "one")]) == 0
    for one, two in zip(rows(tmp_path / "one"), rows(tmp_path / "two"), strict=True):
        for name in one.keys() - {"seconds"}:
            assert float(two[name]) == pytest.approx(float(one[name]), rel=5e-4, abs=5e-4), name
    one, two = state(tmp_path / "one"), state(tmp_path / "two")
    for name, value in one["model_state_dict"].items():
        torch.testing.assert_close(two["model_state_dict"][name], value, rtol=1e-3, atol=1e-3)
    assert two["steps"] == one["steps"] == 6 and len(two["generators"]) == 2


def test_two_processes_see_what_one_does(data, tmp_path):
    done = in_two_processes(write_report, str(data), str(tmp_path / "found.json"), folder=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "found.json").read_text())
    for gaps in found["gaps"]:
        assert max(gaps.values()) < 2e-4, gaps
    assert found["all_reduce_max"] == 11
    assert found["gather_in_order"] == [0, 10, 20, 30, 40]
    assert found["scores"] == report(data, SINGLE_PROCESS)["scores"]  # to the last bit


def test_a_killed_process_ends_the_run_and_a_restart_goes_on(data, tmp_path):
    flags = [*SMALL, "--train_data_path", data, "--epoch", "2", "--batch_size", "9", "--resume", "auto"]
    flags += ["--train_model_save_path", tmp_path]
    done = torchrun("tests/helpers/dying_process.py", *flags, flags=["--max-restarts=1"])
    assert done.returncode == 0, done.stderr
    assert "process 0: error: process 0 of 2 lost the others" in done.stderr
    assert done.stdout.count("epoch 1/2") == 1 and "epoch 2/2" in done.stdout
    assert state(tmp_path)["epoch"] == 2


def test_two_processes_write_the_maps_that_one_writes(data, tmp_path):
    model = create_model("scrnet")
    torch.save(model.state_dict(), tmp_path / "weights.pth")
    flags = ["--model", "scrnet", "--model_state_dict_path", tmp_path / "weights.pth", "--test_data_path", data]
    flags += ["--test_size", "32", "--batch_size", "4", "--device", "cpu", "--workers", "0"]
    done = in_two(myTest.main, [*flags, "--pred_save_path", tmp_path / "two"], tmp_path)
    assert done.returncode == 0, done.stderr
    assert "19 maps of 1 set" in done.stdout
    assert myTest.main([*map(str, flags), "--pred_save_path", str(tmp_path / "one")]) == 0
    names = sorted(path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*.png"))
    assert len(names) == 19 and len(list((tmp_path / "two").rglob("*.png"))) == 19
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    assert json.loads((tmp_path / "two" / "predict.json").read_text())["images"] == {data.name: 19}


def test_a_mistake_of_all_processes_is_reported_once(data, tmp_path):
    flags = [*SMALL, "--train_data_path", data, "--train_model_save_path", tmp_path / "run"]
    joined = in_two(myTrain.main, [*flags, "--accumulate", "9"], tmp_path)
    assert joined.stderr.count("error: ") == 1 and "--accumulate 9" in joined.stderr, joined.stderr
    before = in_two(myTrain.main, [*flags, "--loss", "l7"], tmp_path)
    assert before.stderr.count("error: --loss l7 was given") == 1, before.stderr


def test_without_cuda_every_process_keeps_its_own_statistics(data, tmp_path):
    flags = [*SMALL, "--train_data_path", data, "--epoch", "1", "--budget", "1steps"]
    done = in_two(myTrain.main, [*flags, "--train_model_save_path", tmp_path / "run"], tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("note: on CPUs every process normalizes its own part of a batch") == 1
    assert "Warning" not in done.stderr, "what only a programmer can mend"
