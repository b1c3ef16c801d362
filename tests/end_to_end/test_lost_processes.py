"""What is lost on the way ends a run with a sentence: processes that load images, and files that change under it."""

import os
import signal
from pathlib import Path

import pytest

import myTrain
from tests.helpers.runs import state
from utils.data.image_dataset import TrainingData
from utils.phantom import write_stills

pytestmark = pytest.mark.slow
SMALL = "--model scrnet --train_size 32 --batch_size 4 --device cpu --workers 1".split()


@pytest.fixture
def data(tmp_path):
    write_stills(tmp_path / "data", count=10, seed=0, size=(64, 64))
    return tmp_path / "data"


def train(data, folder, *flags):
    return myTrain.main(["--train_data_path", str(data), "--train_model_save_path", str(folder), *SMALL, *flags])


def in_epoch_two(monkeypatch, happen):
    """Let something happen in the process that loads the first sample of the second epoch."""
    original = TrainingData.__getitem__

    def load(self, draw):
        if draw[0] == 2:
            happen()
        return original(self, draw)

    monkeypatch.setattr(TrainingData, "__getitem__", load)


def test_a_killed_loader_ends_the_run_after_its_last_checkpoint(data, tmp_path, monkeypatch, capfd):
    in_epoch_two(monkeypatch, lambda: os.kill(os.getpid(), signal.SIGKILL))
    assert train(data, tmp_path / "run", "--epoch", "2") == 1
    assert "error: a process that loads images was killed" in capfd.readouterr().err
    assert state(tmp_path / "run")["epoch"] == 1


@pytest.mark.parametrize(
    "change", [Path.unlink, lambda path: path.write_bytes(path.read_bytes()[:100])], ids=["deleted", "cut short"]
)
def test_a_file_that_changes_under_a_run_ends_it_by_name(data, tmp_path, monkeypatch, capfd, change):
    victims: list[Path] = sorted((data / "images").iterdir())
    intact = {path: path.read_bytes() for path in victims}
    in_epoch_two(
        monkeypatch, lambda: [change(path) for path in victims if path.exists() and os.path.getsize(path) > 100]
    )
    assert train(data, tmp_path / "run", "--epoch", "2") == 2
    said = capfd.readouterr().err.strip().splitlines()[-1]
    assert said.startswith(f"error: cannot read {data / 'images'}"), said
    assert state(tmp_path / "run")["epoch"] == 1
    for path, content in intact.items():
        path.write_bytes(content)
    monkeypatch.undo()
    assert myTrain.main(["--load_checkpoint_path", str(tmp_path / "run" / "last.pth")]) == 0
    assert state(tmp_path / "run")["epoch"] == 2
