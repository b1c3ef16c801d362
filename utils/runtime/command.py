"""How the commands that use PyTorch end: as `measure.io.run_command` says, with each problem told once by a run of
several processes."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from lib import ModelError
from measure.io import run_command

__all__ = ["run"]


def run(main: Callable[[], int | None], *, interrupted: str = "interrupted") -> int:
    """Call `main` and return the exit status: 0 done, 1 not done, 2 the user's mistake, else what stopped it."""
    return run_command(main, mistakes=(ModelError,), tell=_tell, interrupted=interrupted)


def _tell(line: str, error: BaseException) -> None:
    """Print the line; under torchrun, with the number of the process that `join` chose to tell it.

    Before the processes are connected all of them make the same mistakes, and the first one speaks for them.
    """
    process = getattr(error, "process", None)
    if process is None and os.environ.get("RANK", "0") != "0":
        return
    if line:
        print(line if process is None else f"process {process}: {line}", file=sys.stderr)
