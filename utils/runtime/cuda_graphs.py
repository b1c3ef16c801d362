"""CUDA graphs: the kernels of a function are recorded once and then started all at once.

A training step or a forward starts thousands of kernels, and a processor often takes longer to start them than the GPU
to compute them. What is recorded costs one start.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten, tree_map_only, tree_unflatten
from tqdm import tqdm

from measure.io import InputError

__all__ = ["Recorded", "check_cuda_graphs", "record_calls"]

WARMUP = 3  # calls that are not recorded: libraries choose algorithms and take memory meanwhile


class Recording(NamedTuple):
    """Kernels that can be started again.

    Attributes:
        graph: of the kernels.
        inputs: what they read.
        outputs: what they write, in the function's own nest.
    """

    graph: torch.cuda.CUDAGraph
    inputs: list[Tensor]
    outputs: Any


class Recorded:
    """A function of CUDA tensors, recorded once for every set of shapes after a few plain calls.

    Where it cannot be recorded (it makes the host wait, or looks at a tensor's value), it runs as it is, and a line
    says why.

    Args:
        function: takes and returns any nests of tensors; all its effects must be those of CUDA kernels.
        before: called before it is recorded.
        copies: return copies; otherwise what is returned is overwritten by the next call.
        note: takes the line that says why it is not recorded.

    Attributes:
        failure: why it is not recorded; empty as long as it may be.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        before: Callable[[], None] = lambda: None,
        copies: bool = False,
        note: Callable[[str], None] = tqdm.write,
    ) -> None:
        self.function, self.before, self.copies, self.note = function, before, copies, note
        self.failure = ""
        self._side: torch.cuda.Stream | None = None
        self._calls: Counter[Hashable] = Counter()
        self._recordings: dict[Hashable, Recording] = {}

    def __call__(self, *args: Any) -> Any:
        """Return what the function returns for `args`, nests of tensors."""
        tensors, form = tree_flatten(args)
        key = (str(form), *precision(), *((each.shape, each.stride(), each.dtype) for each in tensors))
        self._calls[key] += 1
        if self.failure or self._calls[key] <= WARMUP:
            return self._plainly(args)
        if key not in self._recordings:
            try:
                self._recordings[key] = self._record(tensors, form)
            except RuntimeError as error:
                self.failure = str(error).splitlines()[0]
                self.note(f"no CUDA graph can be recorded here, going on without: {self.failure}")
                return self._plainly(args)
        recording = self._recordings[key]
        for own, tensor in zip(recording.inputs, tensors, strict=True):
            own.copy_(tensor, non_blocking=True)
        recording.graph.replay()
        return tree_map_only(Tensor, Tensor.clone, recording.outputs) if self.copies else recording.outputs

    def _record(self, tensors: Sequence[Tensor], form: Any) -> Recording:
        """Record the kernels; none of them runs meanwhile.

        Other threads of the process may use CUDA meanwhile: a loader's, for one, which takes pinned memory.
        """
        own = [tensor.clone() for tensor in tensors]
        graph = torch.cuda.CUDAGraph()
        self.before()
        with without_autocast_cache(), torch.cuda.graph(graph, capture_error_mode="thread_local"):
            outputs = self.function(*tree_unflatten(own, form))
        return Recording(graph, own, outputs)

    def _plainly(self, args: Sequence[Any]) -> Any:
        """Call the function on a stream of its own, always the same, as what is recorded later must have run before."""
        self._side = self._side or torch.cuda.Stream()
        self._side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._side):
            result = self.function(*args)
        torch.cuda.current_stream().wait_stream(self._side)
        return result


@contextmanager
def without_autocast_cache() -> Iterator[None]:
    """Let a recording cast weights by itself.

    Autocast keeps casts from one call to the next and frees them at the end of its block, where a recording that began
    in the midst of one (an alignment of SALI's second call, mirror images) would go on reading them.
    """
    before = torch.is_autocast_cache_enabled()
    torch.set_autocast_cache_enabled(False)
    try:
        yield
    finally:
        torch.set_autocast_cache_enabled(before)


def precision() -> tuple[Hashable, ...]:
    """What beside its inputs decides which kernels a forward starts."""
    return torch.is_inference_mode_enabled(), torch.is_autocast_enabled("cuda"), torch.get_autocast_dtype("cuda")


def record_calls(module: nn.Module, *, note: Callable[[str], None] = tqdm.write) -> Recorded:
    """Record a module's calls in evaluation and without gradients, in place; every other call runs as it did.

    Names in its state dict stay the same, and copies of it are not recorded. Hooks on what it is made of are called
    while its kernels are recorded, and not again.

    Args:
        module: on a CUDA device, called with nests of tensors.
        note: takes the line that says why nothing is recorded.
    """
    recorded = Recorded(module._call_impl, copies=True, note=note)

    def call(*args: Any, **kwargs: Any) -> Any:
        if module.training or torch.is_grad_enabled() or kwargs:
            return module._call_impl(*args, **kwargs)
        return recorded(*args)

    module._compiled_call_impl = call  # what every call of a module looks for, as torch.compile uses it
    return recorded


def check_cuda_graphs(wanted: bool, device: torch.device) -> None:
    """Refuse --cuda_graphs where nothing can be recorded.

    Raises:
        InputError: it was given for a device without CUDA.
    """
    if wanted and device.type != "cuda":
        raise InputError(f"--cuda_graphs was given for the device {device}; it needs a CUDA device: leave it out")
