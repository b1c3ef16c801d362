"""What the command lines share: one line and a status instead of a traceback, and the choice of a device."""

from __future__ import annotations

import sys
from collections.abc import Callable

from lib import ModelError
from measure.io import InputError

from .interrupts import LostProcess, NonFiniteLoss, Stopped
from .process_group import world

__all__ = ["run"]


def run(main: Callable[[], None]) -> int:
    """Call `main` and return the exit status: 0 done, 1 not done, 2 the user's mistake, else what stopped it."""
    try:
        main()
    except (InputError, ModelError) as error:
        # a loader worker's error arrives as its whole traceback, whose last line is the sentence
        sentence = str(error).strip().splitlines()[-1].removeprefix("measure.io.errors.InputError: ")
        return _end(f"error: {sentence}", 2)
    except NonFiniteLoss as error:
        return _end(f"stopped: {error}", 1)
    except LostProcess as error:
        return _end(f"error: {error}", 1)
    except Stopped as stop:
        return _end(str(stop), stop.status)
    except KeyboardInterrupt:
        return _end("interrupted", 130)
    return 0


def _end(line: str, status: int) -> int:
    processes = world()
    print(line if processes.size == 1 else f"process {processes.rank}: {line}", file=sys.stderr)
    return status
