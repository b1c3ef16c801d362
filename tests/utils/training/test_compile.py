"""torch.compile in place, and the way back to eager. Real kernels take minutes, so tracing stands in for them."""

import copy
from collections.abc import Callable

import pytest
import torch
import torch._inductor.config as inductor
from torch import Tensor, nn

from lib.modules import PSE
from utils.runtime.compile import compiled

pytestmark = pytest.mark.slow


class Network(nn.Module):
    """A class of its own: older versions of PyTorch pass over a lone nn.Sequential."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.BatchNorm1d(3))

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


def gradients(model: nn.Module, *inputs: Tensor) -> list[Tensor]:
    model.zero_grad()
    (model(*inputs) ** 2).sum().backward()
    return [parameter.grad.clone() for parameter in model.parameters()]


def broken(graph: torch.fx.GraphModule, inputs: list[Tensor]) -> Callable:
    raise RuntimeError("no such kernel\nand many lines more")


@pytest.fixture(autouse=True)
def forget_what_was_traced():
    yield
    torch._dynamo.reset()


def test_a_compiled_network_gives_the_same_under_the_same_names():
    torch.manual_seed(0)
    eager = PSE(6, channels=8, expansion=2, kernel=3, hidden=4, guide_kernel=5)
    notes, calls = [], []
    model = copy.deepcopy(eager)
    compiled(model, note=notes.append, backend="aot_eager")
    model.layers[0].register_forward_hook(lambda *_: calls.append(1))
    inputs = torch.randn(2, 6, 8, 8), torch.randn(2, 1, 4, 4)
    for ours, expected in zip(gradients(model, *inputs), gradients(eager, *inputs), strict=True):
        assert torch.allclose(ours, expected, atol=1e-4)
    assert list(model.state_dict()) == list(eager.state_dict()) and notes == []
    model.load_state_dict(eager.state_dict())


def test_it_really_compiles():
    seen = []

    def backend(graph: torch.fx.GraphModule, inputs: list[Tensor]) -> Callable:
        seen.append(graph)
        return graph.forward

    model = compiled(Network(), backend=backend).model
    model(torch.randn(5, 4)), model(torch.randn(5, 4))
    assert len(seen) == 1


def test_what_cannot_be_compiled_runs_eager_and_says_so_once():
    torch.manual_seed(0)
    eager, notes = Network(), []
    model = compiled(copy.deepcopy(eager), note=notes.append, backend=broken).model
    image = torch.randn(5, 4)
    for _ in range(2):
        assert torch.equal(model(image), eager(image))
    (line,) = notes
    assert "going on without" in line and "no such kernel" in line and "\n" not in line
    assert model.layers[2].num_batches_tracked == 2


def test_a_machine_without_a_compiler_trains_on(monkeypatch, tmp_path):
    monkeypatch.setattr(inductor.cpp, "cxx", ("no-such-compiler",))
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    notes = []
    model = compiled(Network(), note=notes.append).model
    assert all(gradient.isfinite().all() for gradient in gradients(model, torch.randn(5, 4)))
    assert "No working C++ compiler" in notes[0]


def test_a_mistake_of_the_caller_is_the_error_it_would_be_without():
    with pytest.raises(RuntimeError, match="mat1 and mat2 shapes cannot be multiplied"):
        compiled(Network(), note=lambda line: None, backend="eager").model(torch.randn(5, 7))


def test_a_copy_is_eager():
    model = compiled(Network(), backend=broken).model
    assert copy.deepcopy(model)(torch.randn(5, 4)).shape == (5, 3)


def test_evaluation_and_odd_batches_run_uncompiled():
    seen = []

    def backend(graph: torch.fx.GraphModule, inputs: list[Tensor]) -> Callable:
        seen.append(graph)
        return graph.forward

    compilation = compiled(Network(), backend=backend)
    compilation.model.eval()(torch.randn(5, 4))
    compilation.active = False
    compilation.model.train()(torch.randn(3, 4))
    assert seen == []


def test_a_compilation_is_given_up_once():
    notes = []
    compilation = compiled(Network(), note=notes.append, backend="eager")
    assert compilation.give_up(RuntimeError("out of resources\nmore"))
    assert not compilation.give_up(RuntimeError("again"))
    assert notes == ["torch.compile does not work here, going on without: RuntimeError: out of resources"]
    assert compilation.model(torch.randn(5, 4)).shape == (5, 3)
