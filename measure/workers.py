"""Running a function over many items in order, in this process or in several, holding only a few results at a time."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import islice
from typing import TypeVar

import cv2

from .errors import InputError

__all__ = ["available_cores", "map_in_order"]

Item = TypeVar("Item")
Result = TypeVar("Result")

CHUNK = 8
"""Items sent to a process at once."""

WAITING_CHUNKS = 4
"""Chunks per process that are under way, so that memory does not grow with the number of items."""


def available_cores() -> int:
    """Cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


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
    workers = min(workers, -(-len(items) // CHUNK))
    if workers <= 1:
        with _one_opencv_thread():
            for item in items:
                yield item, function(item)
        return
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), initializer=_prepare_process)
    try:
        yield from _stream(pool, function, items, workers * WAITING_CHUNKS)
    except BrokenProcessPool as error:
        raise InputError(
            f"one of {workers} scoring processes died, most often for want of memory; try a smaller --workers"
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _stream(pool: ProcessPoolExecutor, function: Callable, items: Iterable, waiting: int) -> Iterator[tuple]:
    chunks = iter(items)
    under_way: deque[tuple[list, Future]] = deque()
    while True:
        while len(under_way) < waiting and (chunk := list(islice(chunks, CHUNK))):
            under_way.append((chunk, pool.submit(_apply, function, chunk)))
        if not under_way:
            return
        chunk, future = under_way.popleft()
        yield from zip(chunk, future.result(), strict=True)


def _apply(function: Callable[[Item], Result], items: list[Item]) -> list[Result]:
    return [function(item) for item in items]


@contextmanager
def _one_opencv_thread() -> Iterator[None]:
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)


def _prepare_process() -> None:
    """In a new process: one OpenCV thread, Ctrl-C left to the parent, and an end when the parent ends."""
    cv2.setNumThreads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
