"""The benchmarks: counts against known ones, times that make sense, and the files it leaves."""

import json
import re
import time

import pytest
import torch
from torch import nn

from lib import create_model
from utils.benchmark.__main__ import main
from utils.benchmark.networks import count_macs
from utils.benchmark.timing import timed
from utils.phantom import write_stills


def test_macs_of_a_convolution_and_a_product_by_hand():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 8, 3, stride=2, padding=1)
            self.grouped = nn.Conv2d(8, 8, 3, padding=1, groups=8)
            self.linear = nn.Linear(8, 5)

        def forward(self, x):
            return self.linear(self.grouped(self.conv(x)).flatten(2).transpose(1, 2))

    assert count_macs(Net(), 10) == 25 * (8 * 3 * 9 + 8 * 9 + 8 * 5)


@pytest.mark.parametrize(("aux", "giga"), [(True, 5.74), (False, 4.31)])
def test_macs_of_sepnet_are_the_known_ones(aux, giga):
    model = create_model("sepnet", backbone="pvt-v2-b0", aux=aux).eval()
    assert count_macs(model, 352) / 1e9 == pytest.approx(giga, abs=0.005)


def test_times_leave_the_warm_up_out():
    calls = []

    def slow_at_first():
        calls.append(1)
        time.sleep(0.05 if len(calls) <= 2 else 0.01)

    seconds = timed(slow_at_first, device=torch.device("cpu"), warmup=2, repeats=3)
    assert len(calls) == 5 and len(seconds) == 3
    assert (seconds >= 0.01).all() and seconds.min() < 0.05


def predict(tmp_path, *flags):
    few = ["--warmup", "0", "--repeats", "3", "--size", "64", "--device", "cpu", "--workers", "0"]
    return main(["predict", "--out", str(tmp_path / "out"), *few, *map(str, flags)])


def test_a_small_benchmark_prints_and_writes_sane_numbers(tmp_path, capsys):
    write_stills(tmp_path / "data", count=3, seed=0, size=(70, 90))
    images = tmp_path / "data" / "images"
    flags = ["--models", "scrnet", "sepnet", "--backbone", "pvt-v2-b0", "--batch_sizes", 2, "--images", images]
    assert predict(tmp_path, *flags) == 0
    content = json.loads((tmp_path / "out" / "times.json").read_text())
    scrnet, sepnet = content["networks"]
    assert (scrnet["model"], sepnet["model"]) == ("scrnet", "sepnet")
    assert scrnet["options"] == {} and sepnet["options"] == {"backbone": "pvt-v2-b0"}
    assert scrnet["parameters"] == sum(p.numel() for p in create_model("scrnet").parameters())
    assert scrnet["parameters"] == scrnet["training_parameters"]
    assert sepnet["parameters"] < sepnet["training_parameters"] and sepnet["macs"] < sepnet["training_macs"]
    for row in (scrnet, sepnet):
        assert row["forward"]["batch"] == row["files"]["batch"] == 1
        assert row["best_forward"]["batch"] in (1, 2) and row["best_forward"]["median"] <= row["forward"]["median"]
        for found in (row["forward"], row["best_forward"], row["files"]):
            assert 0 < found["median"] <= found["p95"] < 10_000
        assert 0 < row["best_files"] < 10_000
    assert content["images"] == 3 and content["course"]["repeats"] == 3
    written = (tmp_path / "out" / "times.md").read_text()
    assert written in capsys.readouterr().out
    assert "| scrnet | 64 | 0.83 M |" in written and "| sepnet pvt-v2-b0 | 64 | 4.43 M |" in written
    assert sorted(path.name for path in images.parent.parent.iterdir()) == ["data", "out"]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--models", "unet"], "unknown model 'unet'"),
        (["--models", "sali"], "sali is a video network"),
        (["--models", "sepnet", "--size", "100"], "--size 100 was given; sepnet needs a multiple of 32"),
        (["--repeats", "0"], "must be at least 1"),
        (["--models", "scrnet", "--images", "nowhere"], "no folder nowhere"),
    ],
)
def test_mistakes_end_in_one_line(tmp_path, capsys, flags, message):
    assert predict(tmp_path, *flags) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_training_step_is_timed_beside_a_plain_one(capsys):
    flags = ["--backbone", "pvt-v2-b0", "--size", "64", "--batch_size", "2", "--warmup", "0", "--repeats", "2"]
    assert main(["train", *flags, "--device", "cpu"]) == 0
    out = capsys.readouterr().out
    plain, ours, ratio = (float(found) for found in re.findall(r"(?:float32: |^)([\d.]+)(?: /| x)", out, re.MULTILINE))
    assert plain > 0 and ours > 0 and 0.1 < ratio < 10


@pytest.mark.gpu
def test_cuda_is_timed(tmp_path):
    assert predict(tmp_path, "--models", "scrnet", "--device", "cuda") == 0
