"""torch.compile with a fallback: where it does not work, the network runs uncompiled, and a line says why."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn
from tqdm import tqdm

__all__ = ["Compilation", "compiled", "failure_reason"]


class Compilation:
    """A network that is compiled as long as that works.

    Args:
        model: the network, compiled in place.
        note: takes the line that says why the network is not compiled any more.

    Attributes:
        failure: why the network is not compiled any more; empty as long as it is.
        active: whether calls in training mode use the compiled code; those in evaluation mode never do, because each
            mode and each size is compiled anew.
    """

    def __init__(self, model: nn.Module, note: Callable[[str], None]) -> None:
        self.model, self.note = model, note
        self.failure, self.active = "", True

    def give_up(self, error: Exception) -> bool:
        """Let the network run uncompiled from now on; False where it does already."""
        if self.failure:
            return False
        self.failure = failure_reason(error)
        self.model._compiled_call_impl = None  # what nn.Module.compile sets and every call of a module looks for
        self.note(f"torch.compile does not work here, going on without: {self.failure}")
        return True


def compiled(
    model: nn.Module, *, note: Callable[[str], None] = tqdm.write, mode: str = "default", **options: Any
) -> Compilation:
    """Compile `model` in place; the names in its state dict and its `forward` stay the same.

    The first call compiles, which takes minutes, and so does the first call with every other input size; after two
    sizes PyTorch compiles for all sizes at once. Where a call cannot be compiled (no C++ compiler, no Triton, an
    operation that cannot be traced), it and all later calls run uncompiled. A failing backward is the caller's to catch
    (`Compilation.give_up`). Copies of the model are not compiled.

    Args:
        note: takes the line that says why the model is not compiled.
        mode: of torch.compile; "reduce-overhead" records CUDA graphs.
        options: passed to torch.compile, such as `backend`.
    """
    from torch._dynamo.exc import TorchDynamoException  # seconds to import: only for those who compile

    compilation = Compilation(model, note)

    def call(*args: Any, **kwargs: Any) -> Any:
        if not (compilation.active and model.training):
            return model._call_impl(*args, **kwargs)
        try:
            return quick(*args, **kwargs)
        except TorchDynamoException as error:
            compilation.give_up(error)
            return model(*args, **kwargs)

    try:
        model.compile(mode=mode, **options)
        quick, model._compiled_call_impl = model._compiled_call_impl, call
    except RuntimeError as error:  # this platform or version of Python is not supported
        compilation.give_up(error)
    return compilation


def failure_reason(error: Exception) -> str:
    """The type and the first line of the compiler's own exception, without those of torch.compile around it."""
    inner = getattr(error, "inner_exception", error)
    return ": ".join((type(inner).__name__, *str(inner).splitlines()[:1]))
