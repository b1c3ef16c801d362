"""Files of tensors: whole or not at all, and the system's own reason where they cannot be written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from measure.io import replace_when_whole

__all__ = ["tensors_when_whole"]


@contextmanager
def tensors_when_whole(path: str | Path) -> Iterator[BinaryIO]:
    """As `replace_when_whole`, for PyTorch to write into: yield a file, which is moved to `path` when the block ends.

    Given a path, PyTorch would not say why a write failed.

    Raises:
        InputError: the system refuses the write; a previous `path` is then untouched.
    """
    with replace_when_whole(path) as partial:
        try:
            with partial.open("wb") as file:
                yield file
        except RuntimeError as error:
            raise refusal_behind(error) from error


def refusal_behind(error: BaseException) -> BaseException:
    """The system's refusal before the complaint of PyTorch's zip writer that bytes are missing, or `error` itself."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, OSError):
        cause = cause.__context__
    return cause or error
