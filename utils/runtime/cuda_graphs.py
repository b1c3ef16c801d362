"""CUDA graphs: the kernels of a function are recorded once and then started all at once.

A training step starts thousands of kernels, and a processor often takes longer to start them than the GPU to compute
them. A recorded step costs one start.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Mapping
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

__all__ = ["Recorded"]

WARMUP = 3  # calls that are not recorded: libraries choose algorithms and take memory meanwhile


class Recorded:
    """A function of CUDA tensors, recorded once for every set of shapes after a few plain calls.

    What it returns is overwritten by the next call. Where it cannot be recorded (it makes the host wait, or looks at a
    tensor's value), it runs as it is, and a line says why.

    Args:
        function: takes tensors by name, returns any nest of tensors; all its effects must be those of CUDA kernels.
        before: called before it is recorded.
        note: takes the line that says why it is not recorded.

    Attributes:
        failure: why it is not recorded; empty as long as it may be.
    """

    def __init__(
        self,
        function: Callable[[dict[str, Tensor]], Any],
        *,
        before: Callable[[], None] = lambda: None,
        note: Callable[[str], None] = tqdm.write,
    ) -> None:
        self.function, self.before, self.note = function, before, note
        self.failure = ""
        self._side: torch.cuda.Stream | None = None
        self._calls: Counter[Hashable] = Counter()
        self._records: dict[Hashable, tuple[torch.cuda.CUDAGraph, dict[str, Tensor], Any]] = {}

    def __call__(self, inputs: Mapping[str, Tensor]) -> Any:
        """Return what the function returns for `inputs`."""
        key = tuple((name, tensor.shape, tensor.stride(), tensor.dtype) for name, tensor in inputs.items())
        self._calls[key] += 1
        if self.failure or self._calls[key] <= WARMUP:
            return self._plainly(inputs)
        if key not in self._records:
            try:
                self._records[key] = self._record(inputs)
            except RuntimeError as error:
                self.failure = str(error).splitlines()[0]
                self.note(f"the step cannot be recorded as a CUDA graph, going on without: {self.failure}")
                return self._plainly(inputs)
        graph, own, outputs = self._records[key]
        for name, tensor in inputs.items():
            own[name].copy_(tensor, non_blocking=True)
        graph.replay()
        return outputs

    def _record(self, inputs: Mapping[str, Tensor]) -> tuple[torch.cuda.CUDAGraph, dict[str, Tensor], Any]:
        """Record the kernels; none of them runs meanwhile.

        Other threads of the process may use CUDA meanwhile: a loader's, for one, which takes pinned memory.
        """
        own = {name: tensor.clone() for name, tensor in inputs.items()}
        graph = torch.cuda.CUDAGraph()
        self.before()
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):
            outputs = self.function(dict(own))
        return graph, own, outputs

    def _plainly(self, inputs: Mapping[str, Tensor]) -> Any:
        """Call the function on a stream of its own, always the same, as what is recorded later must have run before."""
        self._side = self._side or torch.cuda.Stream()
        self._side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._side):
            result = self.function(dict(inputs))
        torch.cuda.current_stream().wait_stream(self._side)
        return result
