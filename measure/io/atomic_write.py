"""Writing files so that no reader ever sees half of one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import InputError

__all__ = ["drop_partials", "make_folder", "replace_when_whole"]


def make_folder(folder: str | Path) -> Path:
    """Create `folder` with its parents where missing, and return it.

    Raises:
        InputError: the folder cannot be created or cannot be written to.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot create the folder {folder} ({error.strerror}); choose another one") from error
    if not os.access(folder, os.W_OK):
        raise InputError(f"the folder {folder} cannot be written to; choose another one or change its rights")
    return folder


@contextmanager
def replace_when_whole(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; move it there when the block ends, drop it when the block fails.

    The temporary name keeps the suffix, because image writers choose their format by it.

    Raises:
        InputError: the system refuses the write (no space, no permission); a former `path` is then untouched.
    """
    path = Path(path)
    partial = path.with_name(f".{path.stem}.{os.getpid()}.partial{path.suffix}")
    try:
        yield partial
        os.replace(partial, path)
    except OSError as error:
        raise InputError(
            f"cannot write {path} ({error.strerror or error}); free some space or choose another place"
        ) from error
    finally:
        partial.unlink(missing_ok=True)


def drop_partials(folder: Path) -> None:
    """Remove what `replace_when_whole` left behind where its process was killed; nobody may be writing there."""
    for path in folder.glob(".*.partial*"):
        path.unlink(missing_ok=True)
