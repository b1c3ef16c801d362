"""The one exception a caller can cause in building a network or loading its weights."""

__all__ = ["ModelError"]


class ModelError(ValueError):
    """An unknown model, option, backbone, an illegal input size or weights that do not fit, told in one sentence.

    The command lines print it without a traceback and end with status 2.
    """
