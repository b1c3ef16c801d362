"""Ending a run early in good order: signals are noted at once and acted on between two steps."""

from __future__ import annotations

import os
import signal
from types import FrameType

from measure.io import CommandError

__all__ = ["LostProcess", "NonFiniteLoss", "StopRequest", "Stopped", "own_process_group", "stopped_by"]

# what a batch scheduler reads as "run me again" (sysexits' EX_TEMPFAIL), and a shell as "ended by Ctrl-C"
EXIT_STATUS = {signal.SIGTERM: 75, signal.SIGINT: 130}


class Stopped(CommandError):
    """The run was asked to stop and has saved its state; `status` is the exit status."""

    label = ""

    def __init__(self, message: str, status: int):
        super().__init__(message)
        self.status = status


def stopped_by(number: int, what: str) -> Stopped:
    """The exception for the signal `number`; `what` goes on after its name."""
    return Stopped(f"{signal.Signals(number).name} {what}", EXIT_STATUS[signal.Signals(number)])


class NonFiniteLoss(CommandError):
    """The loss became infinite or NaN; training cannot go on from here."""

    label = "stopped"


class LostProcess(CommandError):
    """A process that loads images, or another one of a distributed run, ended before its work was done."""


class StopRequest:
    """Context in which SIGINT and SIGTERM only set `number`, 0 until then; a second one acts as usual."""

    def __init__(self) -> None:
        self.number = 0
        self._former: dict[signal.Signals, object] = {}

    def __enter__(self) -> StopRequest:
        for number in EXIT_STATUS:
            self._former[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *exception: object) -> None:
        self._restore()

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.number = number
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler)


def own_process_group(worker: int) -> None:
    """For loader workers: what a terminal or a scheduler sends to the whole group ends the main process, and that one
    ends its workers."""
    if hasattr(os, "setpgrp"):
        os.setpgrp()
