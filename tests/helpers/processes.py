"""Other processes without the seconds that importing PyTorch takes: forked from a server that has imported it."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch.distributed as dist

__all__ = ["Ended", "in_a_process", "in_two_processes"]

PATIENCE = 240  # seconds


@dataclass(frozen=True)
class Ended:
    """How processes ended: the first status that is not 0, or 0, and what all of them wrote."""

    returncode: int
    stdout: str
    stderr: str


def in_a_process(work: Callable, *args) -> int:
    """Do `work` in a process and return the status it returned or ended with, negative for a signal.

    The server has no threads: what is forked beside the threads of other tests may hang.
    """
    return statuses_of([(with_status, work, *args)])[0]


def in_two_processes(work: Callable[..., int | None], *args, folder: Path) -> Ended:
    """Do `work` in two processes that see in their environment what torchrun would put there.

    Args:
        work: a function of a module, which returns its exit status as `main` does.
        args: its arguments.
        folder: for what the processes write to stdout and stderr.
    """
    store = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)  # torchrun's, which outlives them
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(store.port), "TORCHELASTIC_USE_AGENT_STORE": "True"}
    shared |= {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "TORCHELASTIC_RESTART_COUNT": "0"}
    sinks = [[str(folder / f"{name}_{rank}.txt") for name in ("stdout", "stderr")] for rank in range(2)]
    environments = [shared | {"RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(2)]
    statuses = statuses_of([(as_rank, *pair, work, args) for pair in zip(environments, sinks, strict=True)])
    told = ["".join(Path(files[stream]).read_text() for files in sinks) for stream in range(2)]
    return Ended(next((status for status in statuses if status), 0), *told)


def statuses_of(calls: Sequence[tuple]) -> list[int]:
    """Do all calls at once, a process each; none is left behind where one does not end."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["utils.training.setup", "lib.weights"])
    processes = [context.Process(target=work, args=args) for work, *args in calls]
    try:
        for process in processes:
            process.start()
        for process in processes:
            process.join(PATIENCE)
            if process.exitcode is None:
                raise TimeoutError(f"a process did not end within {PATIENCE} s")
        return [process.exitcode for process in processes]
    finally:
        for process in processes:
            if process.pid is not None:
                process.kill()


def with_status(work: Callable, *args) -> None:
    """Do `work` and end with the status that it returns."""
    sys.exit(work(*args))


def as_rank(environment: dict[str, str], sinks: Sequence[str], work: Callable[..., int | None], args: tuple) -> None:
    """Do `work` as one of several processes, what it writes going to files."""
    os.environ.update(environment)
    for number, path in enumerate(sinks, start=1):
        with open(path, "w") as sink:
            os.dup2(sink.fileno(), number)
    sys.exit(work(*args))
