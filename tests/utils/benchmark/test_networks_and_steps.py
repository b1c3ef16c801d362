"""The benchmarks: counts against known ones, times that make sense, and the files it leaves."""

import copy
import json
import re
import time

import pytest
import torch
from torch import nn

from lib import create_model, load_weights
from lib.modules.pse import SelectRegion
from tests.helpers.golden import published_state
from utils.benchmark.command import main
from utils.benchmark.plain.step import SelectByMask, plain_form, plain_loss
from utils.benchmark.predict import count_macs
from utils.benchmark.rates import peak_flops
from utils.benchmark.timing import time_calls
from utils.phantom import write_stills
from utils.training.losses import DeepSupervision, structure_loss

pytestmark = pytest.mark.slow


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


def test_times_leave_the_warm_up_out(monkeypatch):
    clock, costs = [0.0], iter([50, 50, 1, 2, 4])

    def slow_at_first():
        clock[0] += next(costs)

    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])
    seconds = time_calls(slow_at_first, device=torch.device("cpu"), warmup=2, repeats=3)
    assert seconds.tolist() == [1, 2, 4] and not list(costs)


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
    assert content["images"] == 3 and content["config"]["repeats"] == 3
    written = (tmp_path / "out" / "times.md").read_text()
    assert written in capsys.readouterr().out
    cells = re.sub(" +", " ", written)
    assert "| scrnet | 64 | 0.83 M |" in cells and "| sepnet pvt-v2-b0 | 64 | 4.43 M |" in cells
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
def test_mistakes_end_in_one_line(stills, tmp_path, capsys, flags, message):
    assert predict(tmp_path, "--images", stills(count=6, seed=0, size=(64, 80)) / "images", *flags) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def no_compiler(model, **options):
    raise RuntimeError("no C++ compiler")


def test_training_steps_are_timed_beside_plain_ones(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(nn.Module, "compile", no_compiler)
    flags = ["--model", "scrnet", "--size", "64", "--batch_size", "2", "--warmup", "0", "--repeats", "2"]
    rows = ["--rows", "float32", "bf16", "float32+compile", "--out", str(tmp_path / "out")]
    assert main(["train", *flags, *rows, "--device", "cpu"]) == 0
    content = json.loads((tmp_path / "out" / "steps.json").read_text())
    plain, ours, half, quick = content["rows"]
    for row in (plain, ours, half):
        assert 0 < row["time"]["median"] <= row["time"]["p95"] and 0 < row["speedup"]
        assert row["images_per_second"] == pytest.approx(1000 / row["time"]["median"]) and row["peak_fraction"] is None
    assert plain["speedup"] == 1 and quick["time"] is None and quick["reason"] == "RuntimeError: no C++ compiler"
    assert (tmp_path / "out" / "steps.md").read_text() in capsys.readouterr().out


def test_the_plain_loop_computes_what_the_trainer_does():
    model = create_model("sepnet", backbone="pvt-v2-b0").train()
    load_weights(model, published_state("sepnet_pvt-v2-b0"))
    for module in model.modules():
        if type(module).__name__ == "DropPath":
            module.drop_prob = 0.0
    plain = plain_form(copy.deepcopy(model))
    rng = torch.Generator().manual_seed(0)
    image, mask = torch.randn(2, 3, 64, 64, generator=rng), torch.rand(2, 1, 64, 64, generator=rng)
    outputs = model.to(memory_format=torch.channels_last)(image.contiguous(memory_format=torch.channels_last))
    loss, _ = DeepSupervision(structure_loss, dict.fromkeys(outputs, 1.0))(outputs, mask)
    expected = plain_loss(plain(image), mask)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    loss.backward(), expected.backward()
    ours, theirs = (torch.cat([p.grad.flatten() for p in net.parameters()]) for net in (model, plain))
    assert (ours - theirs).norm() < 1e-3 * theirs.norm()


def test_the_plain_selection_is_the_formula_ours_simplifies():
    torch.manual_seed(0)
    regions, guide, grad = torch.randn(2, 2, 3, 4, 5), torch.rand(2, 2, 4, 5), torch.randn(2, 3, 4, 5)
    found = []
    for select in (SelectByMask, SelectRegion):
        inputs = regions.clone().requires_grad_(), guide.clone().requires_grad_()
        output = select.apply(*inputs)
        found.append((output, *torch.autograd.grad(output, inputs, grad)))
    for plain, ours in zip(*found, strict=True):
        assert torch.allclose(plain, ours, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("NVIDIA H200", (67e12, 989e12)),
        ("NVIDIA H100 PCIe", (51e12, 756e12)),
        ("NVIDIA H100 80GB HBM3", (67e12, 989e12)),
        ("NVIDIA A100-SXM4-80GB", (19.5e12, 312e12)),
        ("NVIDIA L40", (None, None)),
    ],
)
def test_peaks_are_found_by_name(monkeypatch, name, expected):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: name)
    device = torch.device("cuda")
    assert (peak_flops(device, half=False), peak_flops(device, half=True)) == expected


def test_a_cpu_has_no_known_peak():
    assert peak_flops(torch.device("cpu"), half=True) is None


@pytest.mark.gpu
def test_cuda_is_timed(tmp_path):
    assert predict(tmp_path, "--models", "scrnet", "--device", "cuda") == 0
