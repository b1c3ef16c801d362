"""The benchmark of loading: every way is timed, in the state of a worker, and the plain loader does what it should."""

import re

import cv2
import torch

from utils.benchmark.command import main
from utils.benchmark.loader import as_in_a_worker, measure_loaders, write_png_pairs
from utils.benchmark.plain.sample import load_sample
from utils.data.pairs import find_pairs


def test_every_way_is_timed(tmp_path):
    write_png_pairs(tmp_path / "pairs", count=3, size=(264, 311))
    rows = measure_loaders(find_pairs(tmp_path / "pairs"), size=176, repeats=4, folder=tmp_path / "cache")
    decoding = rows[0]
    assert len(rows) == 5 and decoding.name == "decoding alone" and decoding.ratio == 1
    for row in rows:
        assert 0 < row.times.median <= row.times.p95
        assert abs(row.ratio * decoding.mean - row.mean) < 1e-6
    assert len(list((tmp_path / "cache").iterdir())) == 3


def test_times_are_taken_with_the_threads_of_a_worker():
    before = torch.get_num_threads(), cv2.getNumThreads()
    with as_in_a_worker():
        assert (torch.get_num_threads(), cv2.getNumThreads()) == (1, 1)
    assert (torch.get_num_threads(), cv2.getNumThreads()) == before


def test_the_command_prints_a_table_and_refuses_in_one_line(tmp_path, capsys):
    write_png_pairs(tmp_path, count=2, size=(132, 156))
    assert main(["loader", "--images", str(tmp_path), "--size", "64", "--repeats", "1"]) == 0
    out = capsys.readouterr().out
    assert "2 pairs, 1 samples of each at 64 x 64, one thread" in out
    assert len(re.findall(r"^\| [\w ,]+ \| +[\d.]+ / [\d.]+ \| +[\d.]+ \| +[\d.]+ \|$", out, re.MULTILINE)) == 5
    assert main(["loader", "--repeats", "0"]) == 2
    assert main(["loader", "--images", str(tmp_path / "nowhere")]) == 2
    assert "no folder" in capsys.readouterr().err


def test_the_plain_loader_draws_other_samples_every_time(tmp_path):
    write_png_pairs(tmp_path, count=1, size=(132, 156))
    samples = [load_sample(*find_pairs(tmp_path), 64) for _ in range(5)]
    assert all(image.shape == (3, 64, 64) and mask.shape == (1, 64, 64) for image, mask in samples)
    assert len({image.mean().item() for image, _ in samples}) == 5
    assert all(0 <= mask.min() <= mask.max() <= 1 and image.min() < 0 < image.max() for image, mask in samples)
