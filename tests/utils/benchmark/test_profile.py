"""What is counted of a GPU's work, on stand-ins for the profiler's events and the allocator."""

from types import SimpleNamespace

import torch
from torch.profiler import DeviceType

from utils.benchmark.command import main
from utils.benchmark.profile import count_events, peak_memory
from utils.benchmark.report import unrecorded
from utils.benchmark.train import Variant

CPU = torch.device("cpu")


def event(name, device, time=0.0, annotation=False):
    return SimpleNamespace(name=name, device_type=device, self_device_time_total=time, is_user_annotation=annotation)


def test_an_annotation_around_kernels_is_not_counted_beside_them():
    events = [
        event("cudaLaunchKernel", DeviceType.CPU),
        event("cudaLaunchKernel", DeviceType.CPU),
        event("Optimizer.step#AdamW.step", DeviceType.CUDA, time=50.0, annotation=True),
        event("adam", DeviceType.CUDA, time=20.0),
        event("adam", DeviceType.CUDA, time=22.0),
    ]
    calls, times = count_events(events)
    assert calls == {"cudaLaunchKernel": 2} and times == {"adam": 42.0}


def test_peak_memory_leaves_out_what_lay_there_before(monkeypatch):
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda device: None)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 700)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: 1000)
    with peak_memory(torch.device("cuda")) as found:
        pass
    assert found == [300]
    with peak_memory(CPU) as found:
        pass
    assert found == []


def test_a_step_that_is_not_recorded_has_no_times():
    """It runs as it is, and would stand in the table as if it were recorded."""
    recorded = SimpleNamespace(failure="")
    found = Variant("trainer, bf16, graph", lambda: None, quick=[recorded])
    found.measure(CPU, counts=True)
    assert len(found.seconds) == 1 and found.reason == "" and found.memory is None
    recorded.failure = "operation not permitted when stream is capturing"
    found.measure(CPU, counts=True)
    assert found.reason == recorded.failure


def test_a_step_that_fails_leaves_the_others_their_times():
    def failing():
        raise RuntimeError("no kernel image is available\nmore")

    found = Variant("trainer, fp16", failing)
    found.measure(CPU, counts=True)
    assert found.reason == "RuntimeError: no kernel image is available" and found.seconds == []


def test_forwards_that_are_not_recorded_are_told_below_the_table():
    rows = [SimpleNamespace(model="sepnet", not_recorded=""), SimpleNamespace(model="sali", not_recorded="a reason")]
    assert unrecorded(rows) == "\nsali: these times are without CUDA graphs: a reason\n"


def test_steps_are_not_recorded_on_a_cpu(tmp_path, capsys):
    words = ["train", "--rows", "bf16+graph", "--device", "cpu", "--out", str(tmp_path / "out")]
    assert main(words) == 2
    assert "--cuda_graphs was given for the device cpu" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
