"""Running a function over many items in order, in this process or in several, holding only a few results at a time.

Each process has a pipe of its own. A pool that shares one queue for all results, as `concurrent.futures` does, waits
for ever when a process is killed while it writes a long one.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from typing import TypeVar

from .io import InputError, one_thread, quiet_opencv

__all__ = ["map_in_order"]

Item = TypeVar("Item")
Result = TypeVar("Result")

CHUNK = 8
"""Items sent to a process at once."""

QUEUED = 2
"""Chunks a process has at a time: one to work on, one to go on with."""

AHEAD = 4
"""Chunks per process that may be finished before an earlier one is, so that memory stays flat."""


def map_in_order(
    function: Callable[[Item], Result], items: Sequence[Item], *, workers: int = 1
) -> Iterator[tuple[Item, Result]]:
    """Yield (item, function(item)) in the items' order.

    Args:
        function: a module's function, or a partial of one: it is sent to the processes.
        workers: processes; with 1, or few items, everything runs in this one. OpenCV runs on one thread in each.

    Raises:
        InputError: a process died, most often for want of memory.
    """
    chunks = [items[start : start + CHUNK] for start in range(0, len(items), CHUNK)]
    workers = min(workers, len(chunks))
    if workers <= 1:
        with quiet_opencv(), one_thread():
            for item in items:
                yield item, function(item)
        return
    context = multiprocessing.get_context("spawn")
    pool = [_Worker(context, function) for _ in range(workers)]
    try:
        for chunk, results in zip(chunks, _results_in_order(pool, chunks), strict=True):
            yield from zip(chunk, results, strict=True)
    finally:
        for worker in pool:
            worker.end()


def _results_in_order(pool: Sequence[_Worker], chunks: Sequence[Sequence[Item]]) -> Iterator[list[Result]]:
    """Hand out chunks as processes become free; yield their results in order."""
    finished: dict[int, list[Result]] = {}
    given = 0
    for due in range(len(chunks)):
        while due not in finished:
            for worker in pool:
                while len(worker.queue) < QUEUED and given < min(len(chunks), due + AHEAD * len(pool)):
                    worker.give(given, chunks[given])
                    given += 1
            ready = wait([worker.connection for worker in pool if worker.queue])
            finished.update(worker.take() for worker in pool if worker.connection in ready)
        yield finished.pop(due)


class _Worker:
    """A process, the pipe to it, and the numbers of the chunks it was given and has not returned."""

    def __init__(self, context: multiprocessing.context.SpawnContext, function: Callable) -> None:
        self.queue: deque[int] = deque()
        self.connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, function), daemon=True)
        self._process.start()
        theirs.close()  # the process holds the only other end, so its death is seen as the end of the stream

    def give(self, number: int, chunk: Sequence[Item]) -> None:
        """Send a chunk."""
        self.queue.append(number)
        try:
            self.connection.send(chunk)
        except OSError as error:
            raise self._death() from error

    def take(self) -> tuple[int, list[Result]]:
        """Receive the oldest chunk's results; raises what the function raised."""
        try:
            results = self.connection.recv()
        except (EOFError, OSError) as error:
            raise self._death() from error
        if isinstance(results, Exception):
            raise results
        return self.queue.popleft(), results

    def end(self) -> None:
        """Stop the process, whatever it is doing."""
        self.connection.close()
        self._process.terminate()
        self._process.join()

    def _death(self) -> InputError:
        self._process.join(timeout=1)
        return InputError(
            f"a scoring process died (exit code {self._process.exitcode}), most often for want of memory; "
            "nothing was written, try fewer --workers"
        )


def _serve(connection: Connection, function: Callable[[Item], Result]) -> None:
    """In a worker process: answer chunks until the parent closes the pipe or dies; on Ctrl-C the parent ends it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with quiet_opencv(), one_thread(), suppress(EOFError, OSError):
        while True:
            chunk = connection.recv()
            try:
                answer = [function(item) for item in chunk]
            except Exception as error:
                answer = error
            connection.send(answer)
