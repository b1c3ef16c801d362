"""torch.compile that falls back: where it does not work here, training goes on eager, and a line says why."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn
from tqdm import tqdm

__all__ = ["compiled"]


def compiled(model: nn.Module, *, note: Callable[[str], None] = tqdm.write, **options: Any) -> nn.Module:
    """Compile `model` in place and return it; the names of its entries and its `forward` stay as they are.

    Nothing is compiled before the first call, which takes minutes, as does the first of every other input size (after
    two sizes PyTorch compiles for any). A call that cannot be compiled, for want of a C++ compiler or Triton or for an
    operation that cannot be traced, runs eager, and so do all that follow. Copies of the model are eager.

    Args:
        note: takes the line that says why the model runs eager.
        options: of torch.compile, such as `mode` or `backend`.
    """
    from torch._dynamo.exc import TorchDynamoException  # seconds to import: only for those who compile

    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return quick(*args, **kwargs)
        except TorchDynamoException as error:
            stay_eager(error)
            return model(*args, **kwargs)

    def stay_eager(error: Exception) -> nn.Module:
        model._compiled_call_impl = None
        note(f"torch.compile does not work here, going on without: {reason(error)}")
        return model

    try:
        model.compile(**options)
    except RuntimeError as error:  # this platform or version of Python is not supported
        return stay_eager(error)
    quick = model._compiled_call_impl
    model._compiled_call_impl = call  # what nn.Module.compile sets and every call of a module looks for
    return model


def reason(error: Exception) -> str:
    """One line: the kind and the beginning of what a compiler raised, without the layers of torch.compile above it."""
    inner = getattr(error, "inner_exception", error)
    return ": ".join((type(inner).__name__, *str(inner).splitlines()[:1]))
