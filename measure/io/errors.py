"""The exceptions whose message is for the user: a command prints it instead of a traceback."""

from __future__ import annotations

__all__ = ["CommandError", "InputError"]


class CommandError(Exception):
    """Work that failed or was stopped for a reason that the user should read.

    Attributes:
        status: exit status of the command, 1 to 255.
        label: how the line begins, before a colon; empty for a line that says it all.
    """

    status = 1
    label = "error"


class InputError(CommandError, ValueError):
    """A mistake in what the user gave; the message is one sentence: what came, what was expected, what to do.

    Raised by everything that reads flags, folders and files, in scoring, training and prediction alike.
    """

    status = 2
