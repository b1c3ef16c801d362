"""How the commands that use PyTorch end: as `measure.io.run_command` says, with each problem told once by a run of
several processes."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from measure.io import run_command

__all__ = ["run"]


def run(main: Callable[[], int | None], *, interrupted: str = "interrupted") -> int:
    """Call `main` and return the exit status: 0 done, 1 not done, 2 the user's mistake, else what stopped it."""
    from lib.errors import ModelError

    return run_command(main, mistakes=(ModelError,), tell=_tell, interrupted=interrupted)


def _tell(line: str, error: BaseException) -> None:
    """Print the line, under torchrun with the number of the process."""
    alone = os.environ.get("WORLD_SIZE", "1") == "1"
    print(line if alone else f"process {os.environ.get('RANK', '0')}: {line}", file=sys.stderr)
