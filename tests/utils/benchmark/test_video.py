"""The benchmark of video networks: what is counted against known sizes, and what a summary makes of a clip."""

import json
import re

import numpy as np
import pytest

from lib import create_model
from utils.benchmark.command import main
from utils.benchmark.video import summarize_clip
from utils.phantom import write_clips

pytestmark = pytest.mark.slow

FRAME = (32 * 32 + 16 * 16 + 8 * 8) * 22 * 4  # bytes that a frame of 256 x 256 adds: entries of 22 float32


def benchmark(out, *flags):
    few = ["--backbone", "pvt-v2-b0", "--size", "256", "--warmup", "1", "--device", "cpu"]
    return main(["video", "--out", str(out), *few, *map(str, flags)])


def test_a_short_clip_is_timed_and_its_memory_counted(tmp_path, capsys):
    write_clips(tmp_path, split="Test", cases=1, frames=6, size=(64, 80))
    clip = tmp_path / "Test" / "Frame" / "case1"
    flags = ["--models", "sali", "--frames", 7, "--memory_frames", 2, "--write_every", 1, "--input", clip]
    assert benchmark(tmp_path / "out", *flags) == 0
    content = json.loads((tmp_path / "out" / "video.json").read_text())
    assert content["options"]["input"] == str(clip) and content["options"]["write_every"] == 1
    (row,) = content["networks"]
    model = create_model("sali", backbone="pvt-v2-b0")
    assert row["parameters"] == sum(parameter.numel() for parameter in model.parameters())
    assert row["frame_bytes"] == FRAME and row["memory_bytes"][:2] == [FRAME, 2 * FRAME]
    assert len(row["memory_bytes"]) == len(row["milliseconds"]) == 7
    assert row["trimmed_bytes"] and max(row["trimmed_bytes"]) <= 2 * FRAME
    assert row["peak_bytes"] == max(row["memory_bytes"]) < 3 * FRAME
    assert row["device_bytes"] is None
    for part in ("filling", "full", "first", "last"):
        assert 0 < row[part]["median"] <= row[part]["p95"]
    written = (tmp_path / "out" / "video.md").read_text()
    assert written in capsys.readouterr().out and "| sali pvt-v2-b0 2 | 4.65 M |" in re.sub(" +", " ", written)


def test_a_clip_is_summarised_by_hand():
    """Frames 0, 2, 4, ... are written, 10 bytes each; the third write trims to 15, the fifth to 20."""
    sizes = [10, 10, 20, 20, 15, 15, 25, 25, 20, 20]
    seconds = np.arange(1, 11) / 1000
    found = summarize_clip(seconds, sizes, write_every=2, model="sali", options={}, parameters=1, device_bytes=None)
    assert found.trimmed_bytes == [15, 20] and found.peak_bytes == 25 and found.frame_bytes == 10
    assert found.filling.median == pytest.approx(2.5) and found.full.median == pytest.approx(7.5)
    assert found.first.median == pytest.approx(6) and found.last.median == pytest.approx(9)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--models", "sepnet"], "sepnet is a network of still images; networks of video are lsinet, sali"),
        (["--models", "sali", "--frames", "100"], "--frames 100 was given; give at least 180"),
        (["--models", "sali", "--size", "224"], "no side may be under 256"),
        (["--write_every", "0"], "must be at least 1"),
        (["--cuda_graphs", "--device", "cpu"], "--cuda_graphs was given for the device cpu"),
        (["--models", "sali", "--input", "nowhere.mp4"], "there is no nowhere.mp4"),
    ],
)
def test_mistakes_end_in_one_line(tmp_path, capsys, flags, message):
    assert benchmark(tmp_path / "out", *flags) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.gpu
def test_cuda_is_measured(tmp_path):
    flags = ["--models", "sali", "--frames", "7", "--memory_frames", "2", "--write_every", "1", "--device", "cuda"]
    assert benchmark(tmp_path / "out", *flags) == 0
    (row,) = json.loads((tmp_path / "out" / "video.json").read_text())["networks"]
    assert row["device_bytes"] > row["peak_bytes"]
