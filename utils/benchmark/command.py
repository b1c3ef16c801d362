"""`python -m utils benchmark VERB`: how fast things are.

Every verb is a module with `add_verb`, which adds its parser and sets the function that it starts as `start`.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from measure.io import CommandParser

from ..runtime import run
from . import loader, predict, train, video

__all__ = ["main"]

VERBS = (predict, train, loader, video)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb and return the exit status."""
    return run(lambda: start(parse_args(argv)))


def start(args: argparse.Namespace) -> None:
    args.start(args)


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = CommandParser(prog="python -m utils benchmark", description="How fast things are.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb in VERBS:
        verb.add_verb(verbs)
    return parser.parse_args(argv)
