"""`python -m utils benchmark VERB`: how fast things are.

Every verb is a module with `add_verb_flags`, which also sets the function that takes them as `start`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module

from measure.io import CommandParser

from ..runtime import MachineOptions, run

__all__ = ["VERBS", "main"]

# verb, which is a module here -> what it does
VERBS = {
    "predict": "time the prediction of images",
    "train": "time a training step beside a plain eager loop",
    "rates": "measure what the device can do at most",
    "ablation": "what changes of a training recipe are worth on another hospital's images",
    "loader": "time the loading of training samples",
    "video": "time and memory of video networks, frame by frame",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb and return the exit status."""
    return run(lambda: start(parse_args(argv)))


def start(args: argparse.Namespace) -> None:
    MachineOptions.from_flags(vars(args))  # refuses what is none of the choices
    args.start(args)


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the flags of the verb that is asked for; only its module is loaded."""
    words = list(sys.argv[1:] if argv is None else argv)
    parser = CommandParser(prog="python -m utils benchmark", description="How fast things are.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb, text in VERBS.items():
        flags = verbs.add_parser(verb, help=text)
        if verb in words[:1]:
            import_module(f".{verb}", __package__).add_verb_flags(flags)
    return parser.parse_args(words)
