"""A folder that one process at a time works in."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import IO

from measure.io import InputError, make_folder

try:
    import fcntl
except ImportError:  # Windows has no such locks; two processes in one folder are not noticed there
    fcntl = None

__all__ = ["lock_folder", "release"]

LOCK = ".lock"


def lock_folder(folder: Path, *, doing: str, advice: str) -> IO[str] | None:
    """Lock a folder, which is made where missing; the system frees the lock when this process ends, however it ends.

    Args:
        folder: the folder.
        doing: what a process does there that holds the lock, as "trains into".
        advice: what the user can do then.

    Raises:
        InputError: another process holds it, or the folder cannot be written to.
    """
    make_folder(folder)
    if fcntl is None:
        return None
    try:
        lock = (folder / LOCK).open("a+")
    except OSError as error:
        raise InputError(f"cannot write into {folder} ({error.strerror}); choose another folder") from error
    try:
        fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # unlike flock's, not inherited by processes that load images
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EAGAIN):  # a file system without locks: two runs are not noticed
            return lock
        lock.seek(0)
        owner = lock.read().strip() or "unknown"
        lock.close()
        raise InputError(f"process {owner} {doing} {folder} at this moment; {advice}") from error
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()
    return lock


def release(lock: IO[str] | None) -> None:
    """Free what `lock_folder` returned."""
    if lock is not None:
        lock.close()
