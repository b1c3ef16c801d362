"""`python -m measure`: score maps; `why` compares two score files, `benchmark` times scoring."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module

from .io import run_command

__all__ = ["main"]

VERBS = {"why": "compare", "benchmark": "benchmark"}


def main(argv: Sequence[str] | None = None) -> int:
    """Run a verb, or score where none is given; returns the exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    verb = VERBS.get(words[0]) if words else None
    # the modules import packages that may be missing
    return run_command(
        lambda: import_module(f".commands.{verb or 'score'}", __package__).main(words[1:] if verb else words)
    )


if __name__ == "__main__":
    sys.exit(main())
