"""Partly written files: those of killed processes go, those that are being written stay; inputs are not written to."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from measure.io import InputError, drop_partials, partial_path, refuse_outputs_in_inputs, write_text


def test_only_what_no_living_process_writes_is_dropped(tmp_path, monkeypatch):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    own = partial_path(tmp_path / "a.png")
    living, dead, without_suffix, endless = (
        tmp_path / name
        for name in (
            f".out.{os.getppid()}.partial.mp4",
            f".out.{ended.pid}.partial.mp4",
            f".out.{ended.pid}.partial",
            f".out.{10**30}.partial.png",
        )
    )
    others = [tmp_path / ".mine.partial.png", tmp_path / "a.1.png", tmp_path / ".hidden"]
    for path in (own, living, dead, without_suffix, endless, *others):
        path.write_bytes(b"half")
    drop_partials(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted([living, *others])


def test_places_in_what_is_read_are_refused_and_each_is_looked_up_once(tmp_path, monkeypatch):
    (tmp_path / "set").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "set")
    inputs, outside = [tmp_path / "set", tmp_path / "a.png"], tmp_path / "settings.png"
    for output, told in (
        ("a.png", "a.png is itself an input"),
        ("set", "set is itself an input"),
        ("set/deep/b.png", f"b.png lies in the input {tmp_path / 'set'}"),
        ("link/b.png", f"b.png lies in the input {tmp_path / 'set'}"),
    ):
        with pytest.raises(InputError, match=f"{told} and would be written to; choose another place"):
            refuse_outputs_in_inputs([outside, tmp_path / output], inputs)
    calls, resolve = [], Path.resolve
    monkeypatch.setattr(Path, "resolve", lambda self: calls.append(self) or resolve(self))
    refuse_outputs_in_inputs([tmp_path / f"{n}.png" for n in range(10)], [tmp_path / f"{n}.jpg" for n in range(10)])
    assert len(calls) == 20, "thousands of images take no minutes"


def test_devices_and_pipes_are_not_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/dev/null")
    for name in ("pipe", "link"):
        with pytest.raises(InputError, match=f"{name} is a device or a pipe, which cannot be replaced by a file"):
            write_text("x", tmp_path / name)
    assert (tmp_path / "pipe").is_fifo() and (tmp_path / "link").is_symlink()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "pipe"]
