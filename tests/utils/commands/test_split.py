"""Split files on disk: the same draw again, another one, and what lies beside it."""

import errno
import os
from pathlib import Path

import pytest

from tests.helpers.commands import run


@pytest.fixture
def split(stills, tmp_path, capsys):
    data = stills(count=20, seed=0, size=(64, 80))

    def ask(*words, out=tmp_path / "splits"):
        status = run("-m utils split", "--data", str(data), "--out", str(out), *words)
        return status, capsys.readouterr()

    return ask


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*.txt")}


@pytest.mark.parametrize("words", [["train=80%", "val=rest"], ["--folds", "3"]])
def test_another_draw_does_not_replace_the_files_unless_asked(split, tmp_path, words):
    out = tmp_path / "splits"
    assert split(*words)[0] == 0
    first = contents(out)
    status, told = split(*words)
    assert status == 0 and contents(out) == first, "the same draw is welcome"
    for name, text in first.items():
        (out / name).write_bytes(text.replace("\n", "\r\n").encode())  # as Windows writes them
    assert split(*words)[0] == 0
    status, told = split(*words, "--seed", "1")
    assert status == 2 and "holds other names than would be drawn now" in told.err
    assert "choose another --out, or add --overwrite to replace them" in told.err and contents(out) == first
    assert split(*words, "--seed", "1", "--overwrite")[0] == 0
    again = contents(out)
    assert again.keys() == first.keys() and again != first


def test_nothing_is_written_where_one_file_is_another(split, tmp_path):
    (tmp_path / "splits").mkdir()
    (tmp_path / "splits" / "val.txt").write_bytes(b"\xff of somebody else")
    assert split("train=80%", "val=rest")[0] == 2
    assert [path.name for path in (tmp_path / "splits").iterdir()] == ["val.txt"]
    assert (tmp_path / "splits" / "val.txt").read_bytes() == b"\xff of somebody else"


def test_no_file_is_replaced_where_one_cannot_be(split, tmp_path):
    assert split("train=80%", "val=10%", "test=rest")[0] == 0
    (tmp_path / "splits" / "test.txt").unlink()
    (tmp_path / "splits" / "test.txt").mkdir()
    first = {name: (tmp_path / "splits" / name).read_text() for name in ("train.txt", "val.txt")}
    status, told = split("train=80%", "val=10%", "test=rest", "--seed", "1", "--overwrite")
    assert status == 2 and "test.txt is a folder" in told.err and not told.out
    assert {name: (tmp_path / "splits" / name).read_text() for name in first} == first, "no parts of two draws"
    assert sorted(path.name for path in (tmp_path / "splits").iterdir()) == ["test.txt", "train.txt", "val.txt"]


def test_no_file_is_replaced_where_the_disk_is_full(split, tmp_path, monkeypatch):
    assert split("train=80%", "val=rest")[0] == 0
    first = contents(tmp_path / "splits")
    write_text = Path.write_text

    def full(self, *args, **options):
        if "val" in self.name:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write_text(self, *args, **options)

    monkeypatch.setattr(Path, "write_text", full)
    status, told = split("train=80%", "val=rest", "--seed", "1", "--overwrite")
    assert status == 2 and f"cannot write {tmp_path / 'splits' / 'val.txt'} (No space left on device)" in told.err
    assert contents(tmp_path / "splits") == first


@pytest.mark.parametrize("name", ["#1", " a", "b ", "c\nd"])
def test_names_that_would_be_read_otherwise_are_refused(name, tmp_path, capsys):
    for stem in ("x", "y", name):
        (tmp_path / "data").mkdir(exist_ok=True)
        (tmp_path / "data" / f"{stem}.png").write_bytes(b"")
    words = ("--data", str(tmp_path / "data"), "--out", str(tmp_path / "out"), "train=2", "test=rest")
    assert run("-m utils split", *words) == 2
    assert f"{name!r} cannot stand in" in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_a_folder_of_other_names_says_how_to_name_it(tmp_path, capsys):
    (tmp_path / "data" / "Original").mkdir(parents=True)
    (tmp_path / "data" / "Original" / "1.png").write_bytes(b"")
    words = ("--data", str(tmp_path / "data"), "--out", str(tmp_path / "out"), "train=1")
    assert run("-m utils split", *words) == 2
    told = capsys.readouterr().err
    assert "it holds the folder Original with 1 image; --images NAME names the one with the images" in told
    assert run("-m utils split", *words, "--images", "Original") == 0


def test_files_of_an_earlier_draw_are_told(split, tmp_path):
    assert "before" not in split("train=10", "test=rest")[1].err
    status, told = split("train=10", "val=rest", "--overwrite")
    assert status == 0 and "note: 1 file was in " in told.err and "before, first test.txt" in told.err
    split("--folds", "3", out=tmp_path / "folds")
    status, told = split("--folds", "2", "--overwrite", out=tmp_path / "folds")
    assert status == 0 and "3 files were in" in told.err and "first fold_3/test.txt" in told.err
