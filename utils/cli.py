"""What the command lines share: one line and a status instead of a traceback, and the choice of a device."""

from __future__ import annotations

import sys
from collections.abc import Callable

import torch

from lib import ModelError
from measure.errors import InputError

from .distributed import world
from .stopping import LostProcess, NonFiniteLoss, Stopped

__all__ = ["choose_device", "run"]


def run(main: Callable[[], None]) -> int:
    """Call `main` and return the exit status: 0 done, 1 not done, 2 the user's mistake, else what stopped it."""
    try:
        main()
    except (InputError, ModelError) as error:
        # a loader worker's error arrives as its whole traceback, whose last line is the sentence
        sentence = str(error).strip().splitlines()[-1].removeprefix("measure.errors.InputError: ")
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


def choose_device(name: str, gpu_id: int) -> torch.device:
    """Return the device for "auto" (CUDA where there is one), "cpu" or "cuda", and make it the current one.

    Raises:
        InputError: CUDA is asked for and there is none, or not the one with this number.
    """
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "cpu" or (name == "auto" and count == 0):
        return torch.device("cpu")
    if gpu_id >= count:
        raise InputError(
            f"--device {name} --gpu_id {gpu_id} was asked for but {count} CUDA devices are there; "
            "use --device cpu or another --gpu_id"
        )
    torch.cuda.set_device(gpu_id)
    return torch.device("cuda", gpu_id)
