"""Checkpoints are whole or not there, hold the run as it was when asked for, and are passed over where damaged."""

import resource
import signal
from contextlib import redirect_stderr

import pytest
import torch

import myTrain
from measure.io.errors import InputError
from tests.helpers.processes import in_a_process
from tests.helpers.runs import assert_equal, interrupt_after, state
from utils.training.run_files.checkpoint import FORMAT_VERSION, Saver, furthest_checkpoint, keep_left_course

pytestmark = pytest.mark.slow

COURSE = (
    "--model scrnet --train_size 32 --batch_size 4 --lr_warmup_epoch 0 --epoch 3 --device cpu --workers 0 --ema 0.5"
).split()


@pytest.fixture(scope="module")
def data(stills):
    return stills(count=10, seed=0, size=(64, 64))


def train(data, folder, *flags):
    return myTrain.main(
        ["--train_data_path", str(data), "--train_model_save_path", str(folder), "--resume", "auto", *COURSE, *flags]
    )


@pytest.fixture(scope="module")
def straight(data, tmp_path_factory):
    """A run of three epochs, two steps each, that nobody disturbed."""
    folder = tmp_path_factory.mktemp("straight")
    assert train(data, folder) == 0
    return folder


def train_until_killed(data, folder, steps):
    interrupt_after(pytest.MonkeyPatch(), steps, signal.SIGKILL)
    return train(data, folder)


def train_with_little_space(data, folder, messages):
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
    with messages.open("w") as sink, redirect_stderr(sink):
        return train(data, folder, "--budget", "9epochs")


def assert_same_run(first, second):
    first, second = state(first), state(second)
    for name in ("config", "generators", "seconds"):
        first.pop(name), second.pop(name)
    assert_equal(first, second)


@pytest.mark.parametrize("steps", [1, 2, 3, 5, 6])
def test_a_killed_run_goes_on_from_its_last_whole_checkpoint(data, straight, steps, tmp_path):
    assert in_a_process(train_until_killed, data, tmp_path, steps) == -signal.SIGKILL
    assert train(data, tmp_path) == 0
    assert_same_run(straight, tmp_path)
    assert not list(tmp_path.glob("*partial*"))


def test_a_full_disk_ends_the_run_and_leaves_the_former_checkpoint(data, straight, tmp_path):
    assert train(data, tmp_path, "--budget", "1epochs") == 0
    former, messages = (tmp_path / "last.pth").read_bytes(), tmp_path / "messages.txt"
    assert in_a_process(train_with_little_space, data, tmp_path, messages) == 2
    assert f"cannot write {tmp_path / 'last.pth'} (File too large); free some space" in messages.read_text()
    assert (tmp_path / "last.pth").read_bytes() == former
    assert train(data, tmp_path, "--budget", "9epochs") == 0
    assert_same_run(straight, tmp_path)


def damage(path, how):
    content = bytearray(path.read_bytes())
    if how == "cut short":
        content = content[: len(content) // 2]
    else:
        content[len(content) // 2] ^= 1  # one bit, which PyTorch itself does not notice
    path.write_bytes(content)


@pytest.mark.parametrize("how", ["cut short", "a flipped bit"])
def test_damaged_checkpoints_are_passed_over_with_a_warning(data, straight, how, tmp_path, capsys):
    assert train(data, tmp_path, "--budget", "2epochs", "--train_model_save_epoch", "1") == 0
    for name in ("last.pth", "best.pth", "checkpoint_epoch_2.pth"):
        content = (tmp_path / name).read_bytes()
        (tmp_path / name).unlink()  # the names may share their bytes
        (tmp_path / name).write_bytes(content)
        if state(tmp_path, name)["epoch"] == 2:
            damage(tmp_path / name, how)
    capsys.readouterr()
    assert train(data, tmp_path, "--budget", "9epochs") == 0
    assert (
        f"warning: {tmp_path / 'last.pth'} is passed over: {tmp_path / 'last.pth'} is damaged"
        in capsys.readouterr().err
    )
    assert_same_run(straight, tmp_path)


def test_a_run_folder_without_checkpoints_starts_anew(tmp_path):
    assert furthest_checkpoint(tmp_path) is None
    assert furthest_checkpoint(tmp_path / "missing") is None


def test_a_run_that_went_back_goes_on_from_where_it_is_and_not_from_the_course_it_left(tmp_path):
    for name, epoch, step in (("checkpoint_epoch_50.pth", 50, 0), ("checkpoint_epoch_80.pth", 80, 0)):
        torch.save({"format_version": FORMAT_VERSION, "config": {}, "epoch": epoch, "step": step}, tmp_path / name)
    assert furthest_checkpoint(tmp_path)[1]["epoch"] == 80
    torch.save({"format_version": FORMAT_VERSION, "config": {}, "epoch": 52, "step": 3}, tmp_path / "last.pth")
    assert furthest_checkpoint(tmp_path)[0].name == "last.pth"


def test_a_run_that_goes_back_keeps_what_it_had_reached(data, straight, tmp_path, capsys):
    assert train(data, tmp_path, "--train_model_save_epoch", "1") == 0
    reached = {path.name: path.read_bytes() for path in (*tmp_path.glob("*.pth"), tmp_path / "log.csv")}
    after_first = {name for name in reached if name.endswith(".pth") and state(tmp_path, name)["epoch"] > 1}
    assert {"last.pth", "checkpoint_epoch_2.pth", "checkpoint_epoch_3.pth"} <= after_first
    capsys.readouterr()
    for left in ("left_at_epoch_3", "left_at_epoch_3_2"):
        assert myTrain.main(["--load_checkpoint_path", str(tmp_path / "checkpoint_epoch_1.pth"), "--epoch", "3"]) == 0
        told = capsys.readouterr().err
        assert "the run had gone further than checkpoint_epoch_1.pth (to epoch 3)" in told
        assert f"log.csv are kept in {tmp_path / left}\n" in told and all(name in told for name in after_first)
        assert {path.name for path in (tmp_path / left).iterdir()} == {*after_first, "log.csv"}
    for name in (*after_first, "log.csv"):
        assert (tmp_path / "left_at_epoch_3" / name).read_bytes() == reached[name]
    assert_same_run(straight, tmp_path)
    assert (tmp_path / "best.pth").is_file()
    (tmp_path / "last.pth").unlink()
    assert myTrain.main(["--load_checkpoint_path", str(tmp_path / "checkpoint_epoch_3.pth")]) == 0
    assert not (tmp_path / "left_at_epoch_3_3").exists(), "nothing is further, and nothing is left to do"


def test_a_best_checkpoint_that_was_gone_back_to_is_the_best_one_again(tmp_path):
    for name, epoch in (("best.pth", 3), ("last.pth", 3), ("checkpoint_epoch_1.pth", 1)):
        torch.save({"format_version": FORMAT_VERSION, "config": {}, "epoch": epoch, "step": 0}, tmp_path / name)
    assert keep_left_course(tmp_path / "last.pth", is_best=True) == ""
    assert "its best.pth, last.pth are kept in" in keep_left_course(tmp_path / "checkpoint_epoch_1.pth", is_best=True)
    assert (tmp_path / "best.pth").read_bytes() == (tmp_path / "checkpoint_epoch_1.pth").read_bytes()


def test_a_checkpoint_of_another_format_is_refused(straight, tmp_path, capsys):
    torch.save({**state(straight), "format_version": FORMAT_VERSION - 1}, tmp_path / "old.pth")
    assert myTrain.main(["--load_checkpoint_path", str(tmp_path / "old.pth")]) == 2
    assert (
        f"has format {FORMAT_VERSION - 1} and this code goes on from format {FORMAT_VERSION}" in capsys.readouterr().err
    )


def test_a_checkpoint_is_what_the_run_was_when_it_was_asked_for(tmp_path):
    weights, saver = torch.zeros(1000), Saver()
    first = [tmp_path / "last.pth", tmp_path / "best.pth"]
    saver.save(first, {"weights": weights, "scores": [1.0]})
    weights += 1
    saver.wait()
    assert not state(tmp_path)["weights"].any() and not state(tmp_path, "best.pth")["weights"].any()
    saver.save(first[:1], {"weights": weights})
    saver.close()
    assert state(tmp_path)["weights"].all()
    assert not state(tmp_path, "best.pth")["weights"].any()


def test_a_write_that_failed_is_told_at_the_next(tmp_path):
    saver = Saver()
    saver.save([tmp_path / "no folder" / "last.pth"], {})
    with pytest.raises(InputError, match="cannot write"):
        saver.save([tmp_path / "last.pth"], {})
    saver.close()
