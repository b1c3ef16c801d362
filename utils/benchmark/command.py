"""`python -m utils benchmark VERB`: every verb is a module with `add_flags` and the `run` that it sets as default."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from ..runtime import run
from . import loader, predict, scaling, train, video

__all__ = ["main"]

VERBS = (predict, train, loader, video, scaling)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb and return the exit status."""
    args = parse_args(argv)
    return run(lambda: args.run(args))


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m utils benchmark", description="How fast things are.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb in VERBS:
        verb.add_flags(verbs)
    return parser.parse_args(argv)
