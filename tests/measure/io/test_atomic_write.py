"""Partly written files: those of killed processes go, those that are being written stay."""

import os
import subprocess
import sys

from measure.io import drop_partials, partial_path


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
