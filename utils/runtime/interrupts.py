"""Stopping a run early without losing work: a signal is only noted, and the run acts on it between two steps."""

from __future__ import annotations

import os
import signal
from types import FrameType

from measure.io import CommandError

__all__ = ["Interrupted", "LostProcess", "NonFiniteLoss", "StopRequest", "Stopped", "own_process_group", "stopped_by"]

# what a batch scheduler reads as "run me again" (sysexits' EX_TEMPFAIL), and a shell as "ended by Ctrl-C"
EXIT_STATUS = {signal.SIGTERM: 75, signal.SIGINT: 130}


class Stopped(CommandError):
    """The run was asked to stop and has saved its state; `status` is the exit status."""

    label = ""

    def __init__(self, message: str, status: int):
        super().__init__(message)
        self.status = status


def stopped_by(number: int, what: str) -> Stopped:
    """The exception for the signal `number`; its message is the signal's name followed by `what`."""
    return Stopped(f"{signal.Signals(number).name} {what}", EXIT_STATUS[signal.Signals(number)])


class NonFiniteLoss(CommandError):
    """The loss became infinite or NaN; training cannot go on from here."""

    label = "stopped"


class LostProcess(CommandError):
    """Another process (one that loads images, or one of a distributed run) ended before its work was done."""


class Interrupted(Exception):
    """A signal came in the midst of work that may be left; whoever catches it saves what there is."""


class StopRequest:
    """Context in which the first SIGINT or SIGTERM only sets `number`; the second one has its usual effect.

    Attributes:
        number: of the signal that came, 0 before any.
    """

    def __init__(self) -> None:
        self.number = 0
        self._former: dict[signal.Signals, object] = {}

    def __enter__(self) -> StopRequest:
        for number in EXIT_STATUS:
            self._former[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *exception: object) -> None:
        self._restore()

    def check(self) -> None:
        """Leave the work at hand where a signal came.

        Raises:
            Interrupted: one came.
        """
        if self.number:
            raise Interrupted

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.number = number
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler)


def own_process_group(worker: int) -> None:
    """Take a loader worker out of the main process's group, so that Ctrl-C and a scheduler's signals reach the main
    process alone, which then ends its workers."""
    if hasattr(os, "setpgrp"):
        os.setpgrp()
