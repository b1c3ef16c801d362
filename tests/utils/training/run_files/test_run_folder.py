"""A run folder belongs to one run: nothing is replaced unasked, two runs at once are refused."""

import os
import shutil
from functools import partial
from pathlib import Path

import pytest
import torch

from measure.io import InputError
from tests.helpers.processes import in_a_process
from tests.helpers.runs import state, train_quickly
from utils.runtime.process_group import SINGLE_PROCESS
from utils.training.run_files.checkpoint import furthest_checkpoint
from utils.training.run_files.run_folder import claimed

pytestmark = pytest.mark.slow

train = partial(train_quickly, epoch=2)


@pytest.fixture(scope="module")
def data(stills):
    return stills(count=10, seed=0, size=(64, 64))


@pytest.fixture(scope="module")
def finished(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished")
    assert train(data, folder) == 0
    return folder


@pytest.fixture
def run(finished, tmp_path):
    return Path(shutil.copytree(finished, tmp_path / "run"))


def files_of(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if not path.name.startswith("events")}


def test_a_finished_run_is_not_replaced_unless_asked(data, run, capsys):
    before = files_of(run)
    assert train(data, run, "--seed", "5") == 2
    told = capsys.readouterr().err
    assert f"{run} holds a run already (best.pth, last.pth)" in told
    assert "--resume auto" in told and "--overwrite" in told
    assert files_of(run) == before
    assert train(data, run, "--seed", "5", "--epoch", "1", "--overwrite") == 0
    assert state(run)["epoch"] == 1 and state(run)["config"]["flags"]["seed"] == 5


def test_a_resumed_run_that_is_over_says_so_and_changes_nothing(data, run, capsys):
    before = (run / "last.pth").read_bytes()
    assert train(data, run, "--resume", "auto") == 0
    printed = capsys.readouterr().out
    assert "already at epoch 2 of 2" in printed and "--epoch N" in printed and "done" not in printed
    assert (run / "last.pth").read_bytes() == before


def test_going_on_into_another_runs_folder_is_refused(data, finished, run, capsys):
    assert train(data, run, "--load_checkpoint_path", finished / "last.pth", "--epoch", "3") == 2
    assert "holds a run already" in capsys.readouterr().err


def claim(folder, messages):
    try:
        with claimed(folder, resumed=None, overwrite=False, world=SINGLE_PROCESS):
            pass
    except InputError as error:
        messages.write_text(str(error))
        return 2
    return 0


def test_two_runs_at_once_in_a_folder_are_refused_and_a_dead_one_is_not(tmp_path):
    """Record locks hold between processes, so another one has to try."""
    run, messages = tmp_path / "run", tmp_path / "messages.txt"
    with claimed(run, resumed=None, overwrite=False, world=SINGLE_PROCESS):
        assert in_a_process(claim, run, messages) == 2
    assert f"process {os.getpid()} trains into {run} at this moment" in messages.read_text()
    assert in_a_process(claim, run, messages) == 0, "the file of the lock is there, and nobody holds it"


def test_the_furthest_run_is_gone_on_with_whatever_the_files_times(run):
    last = state(run)
    torch.save({**last, "epoch": 1, "step": 1}, run / "checkpoint_epoch_1.pth")
    os.utime(run / "last.pth", (1, 1))
    path, content = furthest_checkpoint(run)
    assert (path.name, content["epoch"]) == ("last.pth", 2)


def test_checkpoints_of_which_none_can_be_read_are_not_started_over(data, run, capsys):
    for path in run.glob("*.pth"):
        path.write_bytes(path.read_bytes()[:1000])
    assert train(data, run, "--resume", "auto") == 2
    told = capsys.readouterr().err.strip().splitlines()[-1]
    assert "no run can go on from the 2 checkpoints" in told and "is damaged" in told
    assert (run / "last.pth").stat().st_size == 1000


def test_a_dangling_link_is_named(run):
    for path in run.glob("*.pth"):
        path.unlink()
    (run / "last.pth").symlink_to(run / "gone.pth")
    with pytest.raises(InputError, match="no run can go on from the 1 checkpoint in"):
        furthest_checkpoint(run)


def test_overwriting_removes_a_run_and_no_other_weights(data, run):
    (run / "published.pth").write_bytes(b"somebody's")
    assert train(data, run, "--epoch", "1", "--overwrite") == 0
    assert (run / "published.pth").read_bytes() == b"somebody's"
    other = run / "others"
    other.mkdir()
    (other / "sepnet-starter.pth").write_bytes(b"weights that no run left")
    assert train(data, other, "--epoch", "1") == 0
