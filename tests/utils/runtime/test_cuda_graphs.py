"""Recorded functions, on stand-ins for streams and graphs: when they are recorded, what is copied, how they fail."""

from contextlib import contextmanager

import pytest
import torch
from torch import nn

from utils.runtime import Recorded, record_calls


class Stream:
    def wait_stream(self, other):
        pass


class Graph:
    """Replays by calling again what was called while it was recorded."""

    recording = None

    def replay(self):
        for operation in self.operations:
            operation()


@pytest.fixture(autouse=True)
def without_a_gpu(monkeypatch):
    @contextmanager
    def record(graph, *, capture_error_mode):
        assert capture_error_mode == "thread_local"  # a loader's thread pins memory meanwhile
        graph.operations, Graph.recording = [], graph
        yield
        Graph.recording = None

    @contextmanager
    def on(stream):
        yield

    for name, stand_in in {"Stream": Stream, "current_stream": Stream, "stream": on, "graph": record}.items():
        monkeypatch.setattr(torch.cuda, name, stand_in)
    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)


def doubled(calls):
    """A function of a dict, as a training step is."""

    def function(named):
        calls.append(len(calls))
        x = named["x"]
        result = torch.empty_like(x)
        operation = lambda: torch.mul(x, 2, out=result)  # noqa: E731
        if Graph.recording:
            Graph.recording.operations.append(operation)
        else:
            operation()
        return result

    return function


def test_a_recorded_function_gives_what_the_plain_one_does():
    calls, prepared = [], []
    recorded = Recorded(doubled(calls), before=lambda: prepared.append(1))
    for value in range(6):
        assert torch.equal(recorded({"x": torch.full((2,), float(value))}), torch.full((2,), 2.0 * value))
    assert len(calls) == 4 and prepared == [1]  # three plain calls and the one that is recorded


def test_a_recording_keeps_nothing_that_autocast_frees():
    found = []

    def function(named):
        found.append((Graph.recording is not None, torch.is_autocast_cache_enabled()))
        return named["x"] + 1

    recorded = Recorded(function)
    with torch.autocast("cpu", torch.bfloat16):
        for _ in range(4):
            recorded({"x": torch.ones(1)})
        assert torch.is_autocast_cache_enabled()
    assert found == [(False, True)] * 3 + [(True, False)]


def test_every_shape_is_recorded_once():
    calls = []
    recorded = Recorded(doubled(calls))
    for _ in range(5):
        for count in (2, 3):
            assert recorded({"x": torch.ones(count)}).tolist() == [2.0] * count
    assert len(calls) == 8


def test_what_cannot_be_recorded_runs_plainly_and_says_so_once():
    notes = []

    def function(named):
        if Graph.recording:
            Graph.recording = None
            raise RuntimeError("operation not permitted when stream is capturing\nmore")
        return named["x"] + 1

    recorded = Recorded(function, note=notes.append)
    for _ in range(6):
        assert recorded({"x": torch.zeros(1)}).item() == 1
    (line,) = notes
    assert "going on without: operation not permitted" in line and "\n" not in line


class Doubling(nn.Module):
    """Two tensors in a list, doubled."""

    def __init__(self):
        super().__init__()
        self.calls = []

    def forward(self, pair):
        return [doubled(self.calls)({"x": x}) for x in pair]


@torch.inference_mode()
def test_what_a_recorded_module_returns_stays_when_it_is_called_again():
    module = Doubling().eval()
    recorded = record_calls(module)
    found = [module([torch.full((2,), value), torch.full((3,), -value)]) for value in range(6)]
    assert [[tensor[0].item() for tensor in pair] for pair in found] == [[2 * v, -2 * v] for v in range(6)]
    assert len(module.calls) == 8 and recorded.failure == ""  # two tensors, three plain calls and the recorded one


def test_a_module_is_not_recorded_in_training_or_with_gradients():
    module = Doubling()
    record_calls(module)
    for mode, with_gradients in ((True, False), (False, True)):
        module.train(mode)
        with torch.set_grad_enabled(with_gradients):
            for value in range(6):
                assert module([torch.full((2,), value)])[0].tolist() == [2.0 * value] * 2
    assert len(module.calls) == 12
