"""The machine's cores, and OpenCV kept to itself: no remarks of its own, no more threads than it is given."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import cv2

__all__ = ["available_cores", "one_thread", "quiet_opencv"]

SILENT = 0  # OpenCV's log level for nothing at all


def available_cores() -> int:
    """Cores this process may run on: a container or a scheduler often allows fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def quiet_opencv() -> Iterator[None]:
    """Keep OpenCV's and FFmpeg's own lines off stderr; what went wrong with a file is told by us."""
    # FFmpeg reads it when a file is opened; without it every broken packet of a video prints a line
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    log = getattr(cv2.utils, "logging", cv2)  # where OpenCV 5 has it, and OpenCV 4
    previous = log.setLogLevel(SILENT)
    try:
        yield
    finally:
        log.setLogLevel(previous)


@contextmanager
def one_thread() -> Iterator[None]:
    """Let OpenCV work on the calling thread alone."""
    previous = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(previous)
