"""Work in other threads: reading inputs ahead of the main thread, and writing results behind it.

OpenCV, PyTorch and file access release Python's lock, so threads are enough and nothing is copied between processes.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

from torch.utils.data import DataLoader

from .interrupts import LostProcess

__all__ = ["in_background", "load_batches", "prefetch"]

Item = TypeVar("Item")
END = object()


def prefetch(items: Iterable[Item], depth: int) -> Iterator[Item]:
    """Yield `items` in order while another thread reads up to `depth` of them ahead; 0: each is read when it is due.

    An exception raised by `items` is raised here, at the position of the item that failed. Closing the generator stops
    the thread once it has finished the current item.
    """
    if depth == 0:
        yield from items
        return
    drawn = iter(items)
    pool = ThreadPoolExecutor(1)
    try:
        ahead = deque(pool.submit(next, drawn, END) for _ in range(depth))
        while (item := ahead.popleft().result()) is not END:
            ahead.append(pool.submit(next, drawn, END))
            yield item
    finally:
        pool.shutdown(cancel_futures=True)


def load_batches(loader: DataLoader) -> Iterator[Any]:
    """Yield the batches of a loader.

    Raises:
        LostProcess: one of the loader's worker processes was killed.
    """
    try:
        yield from loader
    except RuntimeError as error:
        if not re.search(r"DataLoader worker .*(killed|exited)", str(error)):
            raise
        raise LostProcess(
            "a process that loads images was killed, often for want of memory; lower --workers and run it again"
        ) from error


@contextmanager
def in_background(*, threads: int = 1, waiting: int = 16) -> Iterator[Callable[..., None]]:
    """Yield `later(function, *args)`, which calls the function in another thread.

    An exception of a call is raised by a following `later`, or when the block ends; the block ends after all calls.

    Args:
        threads: how many; with one, the calls run in the order they were given; 0: `later` itself makes the call.
        waiting: how many calls may be unfinished before `later` waits for the oldest.
    """
    if threads == 0:
        yield lambda function, *args: function(*args)
        return
    pending: deque[Future] = deque()
    with ThreadPoolExecutor(threads) as pool:

        def later(function: Callable[..., Any], *args: Any) -> None:
            pending.append(pool.submit(function, *args))
            if len(pending) > waiting:
                pending.popleft().result()

        yield later
        for future in pending:
            future.result()
