"""Work beside the main thread, in bounded amounts: reading ahead of it, and finishing after it.

OpenCV, PyTorch and file access leave Python free, so threads are enough; nothing is copied between processes.
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
    """Yield `items` in order while a thread of its own draws up to `depth` of them ahead.

    What `items` raises is raised here, in its place. Closing the generator ends the thread after the item at hand.
    """
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
        LostProcess: a process of its was killed.
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
    """Yield `later(function, *args)`, which calls the function in a thread; with one thread the order is kept.

    More than `waiting` unfinished calls make the caller wait for the oldest. What a call raises is raised by a later
    `later` or at the end; leaving the block waits for all.
    """
    pending: deque[Future] = deque()
    with ThreadPoolExecutor(threads) as pool:

        def later(function: Callable[..., Any], *args: Any) -> None:
            pending.append(pool.submit(function, *args))
            if len(pending) > waiting:
                pending.popleft().result()

        yield later
        for future in pending:
            future.result()
