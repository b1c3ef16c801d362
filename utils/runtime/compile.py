"""torch.compile with a fallback: where it does not work, the network runs uncompiled, and a line says why."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn
from tqdm import tqdm

__all__ = ["compiled"]


def compiled(model: nn.Module, *, note: Callable[[str], None] = tqdm.write, **options: Any) -> nn.Module:
    """Compile `model` in place and return it; the names in its state dict and its `forward` stay the same.

    The first call compiles, which takes minutes, and so does the first call with every other input size; after two
    sizes PyTorch compiles for all sizes at once. Where a call cannot be compiled (no C++ compiler, no Triton, an
    operation that cannot be traced), it and all later calls run uncompiled. Copies of the model are not compiled.

    Args:
        note: takes the line that says why the model is not compiled.
        options: passed to torch.compile, such as `mode` or `backend`.
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
    """The type and the first line of the compiler's own exception, without those of torch.compile around it."""
    inner = getattr(error, "inner_exception", error)
    return ": ".join((type(inner).__name__, *str(inner).splitlines()[:1]))
