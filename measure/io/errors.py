"""The one exception a user's input can cause in scoring and in everything that reads image folders."""

__all__ = ["InputError"]


class InputError(ValueError):
    """A mistake in what the user gave, told in one sentence: what came, what was expected, what to do.

    The command lines print it without a traceback and end with status 2.
    """
