"""Writing files so that no reader ever sees half of one, and into a folder from one process at a time."""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from .errors import InputError

try:
    import fcntl
except ImportError:  # Windows has no such locks; two processes in one folder are not noticed there
    fcntl = None

__all__ = [
    "drop_partials",
    "locked_folder",
    "make_folder",
    "partial_path",
    "refuse_outputs_in_inputs",
    "replace_when_whole",
    "write_bytes",
    "write_json",
    "write_text",
]

LOCK = ".lock"
LONGEST_NAME = 255  # bytes, on all usual file systems
PARTIAL_NAME = re.compile(r"\.(\d+)\.partial(?:\.[^.]+)?$")  # see `partial_path`; the number of the process that writes


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


def partial_path(path: Path) -> Path:
    """Where a file is written until it is whole: beside `path`, hidden, with its suffix, of a length that can be."""
    name = f".{path.stem}.{os.getpid()}.partial{path.suffix}"
    if len(os.fsencode(name)) > LONGEST_NAME:
        short = hashlib.sha256(os.fsencode(path.stem)).hexdigest()[:32]
        name = f".{short}.{os.getpid()}.partial{path.suffix}"
    return path.with_name(name)


@contextmanager
def replace_when_whole(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; move it there when the block ends, drop it when the block fails.

    The temporary name keeps the suffix, because image writers choose their format by it.

    Raises:
        InputError: `path` is a folder, a device or a pipe, or the system refuses the write (no space, no permission); a
            previous `path` is then untouched.
    """
    path = Path(path)
    partial = partial_path(path)
    try:
        if path.is_dir():
            raise InputError(f"{path} is a folder, and a file of this name is to be written; choose another name")
        if path.exists() and not path.is_file():  # whoever may do all, as in a container, would lose /dev/null
            raise InputError(f"{path} is a device or a pipe, which cannot be replaced by a file; choose another name")
        yield partial
        os.replace(partial, path)
    except OSError as error:
        raise InputError(
            f"cannot write {path} ({error.strerror or error}); free some space or choose another place"
        ) from error
    finally:
        with suppress(OSError):  # a name that is too long, say, was never there
            partial.unlink(missing_ok=True)


def refuse_outputs_in_inputs(outputs: Iterable[str | Path], inputs: Iterable[str | Path]) -> None:
    """Refuse places to write to that are, or lie in, what is read; links are followed.

    Args:
        outputs: the files and folders that are going to be written, not a folder above them.
        inputs: files and folders that are read.

    Raises:
        InputError: an output is one of the inputs or lies in one.
    """
    sources = {Path(source).resolve(): source for source in inputs}
    for output in outputs:
        place = Path(output).resolve()
        found = next((above for above in (place, *place.parents) if above in sources), None)
        if found:
            where = "is itself an input" if found == place else f"lies in the input {sources[found]}"
            raise InputError(f"{output} {where} and would be written to; choose another place for the output")


def write_bytes(content: bytes, path: str | Path) -> None:
    """Write a file, whole or not at all.

    Raises:
        InputError: as `replace_when_whole`.
    """
    with replace_when_whole(path) as partial:
        partial.write_bytes(content)


def write_text(text: str, path: str | Path) -> Path:
    """Write a text file in UTF-8, whole or not at all, and return its path.

    Raises:
        InputError: as `replace_when_whole`.
    """
    with replace_when_whole(path) as partial:
        partial.write_text(text, encoding="utf-8", errors="backslashreplace")
    return Path(path)


def write_json(value: Any, path: str | Path) -> None:
    """Write dictionaries, lists, strings and numbers in full precision.

    Raises:
        InputError: the file cannot be written.
    """
    with replace_when_whole(path) as partial, partial.open("w", encoding="utf-8", errors="backslashreplace") as file:
        json.dump(_without_nan(value), file, indent=1, ensure_ascii=False, allow_nan=False)
        file.write("\n")


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_without_nan(inner) for inner in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def drop_partials(folder: Path) -> None:
    """Remove what `replace_when_whole` left behind where its process was killed; what another one writes now stays."""
    for path in folder.glob(".*.partial*"):
        writer = PARTIAL_NAME.search(path.name)
        if writer and not _is_another_alive(int(writer[1])):
            path.unlink(missing_ok=True)


def _is_another_alive(process: int) -> bool:
    """Whether a number is that of a process on this machine, other than this one. Only POSIX systems can tell."""
    if process == os.getpid() or os.name != "posix":
        return False
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # another user's
        pass
    return True


@contextmanager
def locked_folder(folder: str | Path, *, doing: str, advice: str, wait: bool = False) -> Iterator[bool]:
    """Keep other processes out of a folder for the block; it is made where missing.

    The system frees the lock when this process ends, however it ends.

    Args:
        folder: the folder.
        doing: what a process does there that holds the lock, as "trains into".
        advice: what the user can do then.
        wait: until the other process ends, instead of refusing.

    Yields:
        Whether it is locked: it is not where the system, or the folder's file system, has no locks.

    Raises:
        InputError: another process holds it (unless `wait`), or the folder cannot be written to.
    """
    folder = make_folder(folder)
    if fcntl is None:
        yield False
        return
    try:
        lock = (folder / LOCK).open("a+")
    except OSError as error:
        raise InputError(f"cannot write into {folder} ({error.strerror}); choose another folder") from error
    with lock:
        try:
            # unlike flock's, not inherited by processes that load images
            fcntl.lockf(lock, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EAGAIN):
                lock.seek(0)
                owner = lock.read().strip() or "unknown"
                raise InputError(f"process {owner} {doing} {folder} at this moment; {advice}") from error
            is_locked = False  # a file system without locks
        else:
            is_locked = True
            lock.truncate(0)
            lock.write(str(os.getpid()))
            lock.flush()
        yield is_locked
