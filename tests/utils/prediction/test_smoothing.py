"""The average over a video's maps: by the formula, moved with the image, and started again at a cut."""

import json

import numpy as np
import pytest
import torch

import myTest
from tests.helpers.weights import untrained
from utils.phantom import phantom_clip
from utils.prediction import MapOptions, Predictor
from utils.prediction.outputs import TemporalAverage, VideoWriter
from utils.prediction.video import FrameTimes


def texture(seed=0, size=64):
    noise = torch.rand(1, 1, 16, 16, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(noise, (size, size), mode="bicubic")[0].repeat(3, 1, 1) * 4 - 2


def square(top, left, size=64):
    logits = torch.full((1, size, size), -6.0)
    logits[:, top : top + 16, left : left + 16] = 6.0
    return logits


def test_a_still_image_is_averaged_by_the_formula():
    smooth, image = TemporalAverage(0.75), texture()
    first, second = torch.full((1, 64, 64), 2.0), torch.full((1, 64, 64), -1.0)
    assert torch.allclose(smooth(image, first), first, atol=1e-4)
    expected = 0.75 * first.sigmoid() + 0.25 * second.sigmoid()
    assert torch.allclose(smooth(image, second).sigmoid(), expected, atol=1e-4)


def test_the_average_moves_with_the_image():
    smooth = TemporalAverage(0.9)
    image = texture(size=80)
    smooth(image[:, 8:72, 8:72], square(20, 20))
    moved = smooth(image[:, 4:68, 2:66], square(24, 26)).sigmoid()  # the picture moves down by 4 and right by 6
    assert (moved[0, 26:38, 28:40] > 0.9).all() and (moved[0, :22] < 0.15).all()


def test_a_cut_starts_again():
    smooth = TemporalAverage(0.9)
    smooth(texture(seed=0), square(20, 20))
    assert torch.allclose(smooth(-texture(seed=0) + 3, square(40, 40)).sigmoid(), square(40, 40).sigmoid(), atol=1e-4)


def test_times_by_hand(monkeypatch):
    times, clock = FrameTimes(), iter([1.0, 1.04, 1.1])
    monkeypatch.setattr("utils.prediction.video.time.perf_counter", lambda: next(clock))
    assert times.summary() == {}
    for since in (0.9, 1.0, 1.0):
        times.add(since)
    found = times.summary()
    assert found["latency"]["median"] == pytest.approx(100) and found["interval"]["median"] == pytest.approx(50)
    assert found["interval"]["p95"] == pytest.approx(59) and set(found["latency"]) == {"median", "p95", "p99"}


@pytest.mark.slow
def test_videos_and_streams_are_smoothed_alike_and_their_times_recorded(tmp_path):
    weights = untrained("sepnet", tmp_path / "w.pth", size=64)
    frames = list(phantom_clip(seed=1, frames=6, size=(64, 96))[0])
    with VideoWriter(tmp_path / "clip.avi", rate=25) as writer:
        for frame in frames:
            writer.write(frame)
    words = [
        "--model_state_dict_path",
        weights,
        "--input",
        tmp_path / "clip.avi",
        "--device",
        "cpu",
        "--smoothing",
        0.8,
    ]
    assert myTest.main([str(word) for word in [*words, "--smoothing", 0.8, "--overlay", tmp_path / "seen.avi"]]) == 0
    record = json.loads((tmp_path / "seen.predict.json").read_text())
    assert record["options"]["smoothing"] == 0.8 and record["images"] == {"clip": 6}
    assert 0 < record["milliseconds"]["latency"]["median"] <= record["milliseconds"]["latency"]["p99"]
    plain, smooth = (
        list(Predictor.from_checkpoint(weights, device="cpu", options=MapOptions(smoothing=keep)).stream(frames))
        for keep in (None, 0.8)
    )
    assert np.abs(plain[0] - smooth[0]).max() < 1e-4

    def flicker(maps):
        return np.mean([np.abs(first - second).mean() for first, second in zip(maps[:-1], maps[1:], strict=True)])

    assert flicker(smooth) < flicker(plain)
