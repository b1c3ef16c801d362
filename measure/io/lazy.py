"""The names that a room offers, loaded from its files when they are first used.

`python myTrain.py --help` must not wait for PyTorch, and a command that finds a package missing must get as far as
saying so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any

__all__ = ["lazy_exports"]


def lazy_exports(
    room: str, files: Mapping[str, Sequence[str]]
) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """Return a package's `__getattr__`, `__dir__` and `__all__` (PEP 562).

    Args:
        room: the package's `__name__`.
        files: names to offer, by the module of the package that defines them; `metrics.scores` for one in a subpackage.
    """
    file_of = {name: file for file, names in files.items() for name in names}

    def get(name: str) -> Any:
        if name not in file_of:
            raise AttributeError(f"module {room!r} has no attribute {name!r}")
        return getattr(import_module(f"{room}.{file_of[name]}"), name)

    return get, lambda: sorted(file_of), sorted(file_of)
