"""How commands that use PyTorch run: see `measure.io.run_command`; several processes report a problem once."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from lib import ModelError
from measure.io import CommandError, run_command

from .cpu_memory import keep_freed_memory

__all__ = ["run"]


def run(main: Callable[[], int | None], *, interrupted: str = "interrupted") -> int:
    """Call `main` and return the exit status: 0 done, 1 not done, 2 the user's mistake, else what stopped it.

    The process keeps the memory that it frees from here on (`cpu_memory` says why).
    """
    keep_freed_memory()

    def within_memory() -> int | None:
        try:
            return main()
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            told = CommandError(
                "the memory of this machine or its GPU is too small for it; ask for smaller sizes or batches"
            )
            told.process = getattr(error, "process", None)
            raise told from error

    return run_command(within_memory, mistakes=(ModelError,), report=_report, interrupted=interrupted)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether Python, or PyTorch on the CPU or a GPU, has asked for memory that is not there."""
    told = str(error)
    return isinstance(error, MemoryError) or "can't allocate memory" in told or "out of memory" in told


def _report(message: str, error: BaseException) -> None:
    """Print the message to stderr; under torchrun with the number of the process that `join` chose for it.

    Before the processes are connected all of them meet the same problems, and only the first one prints.
    """
    process = getattr(error, "process", None)
    if process is None and os.environ.get("RANK", "0") != "0":
        return
    if message:
        print(message if process is None else f"process {process}: {message}", file=sys.stderr)
