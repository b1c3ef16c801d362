"""`python -m utils benchmark VERB`: how fast things are.

Every verb is a module whose docstring says what is measured, with a class `Benchmark`: its options, and `run`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from measure.io import CommandParser

from ..runtime import add_flags, run

__all__ = ["VERBS", "main"]

# verb, which is a module here -> what it does
VERBS = {
    "predict": "time the prediction of images",
    "train": "time a training step beside a plain eager loop",
    "rates": "measure what the device can do at most",
    "ablation": "what changes of a training recipe are worth on another hospital's images",
    "loader": "time the loading of training samples",
    "runtimes": "compare what runs a network on this CPU: time, Dice, and what each loses",
    "video": "time and memory of video networks, frame by frame",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb and return the exit status."""
    return run(lambda: parse_args(argv).run())


def parse_args(argv: Sequence[str] | None = None) -> Any:
    """Parse the flags of the verb that is asked for into its `Benchmark`; only its module is loaded.

    Raises:
        InputError: a flag that cannot be used.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    parser = CommandParser(prog="python -m utils benchmark", description="How fast things are.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb, text in VERBS.items():
        flags = verbs.add_parser(verb, help=text)
        if verb in words[:1]:
            module = import_module(f".{verb}", __package__)
            flags.description = module.__doc__
            add_flags(flags, module.Benchmark)
            flags.set_defaults(benchmark=module.Benchmark)
    given = vars(parser.parse_args(words))
    return given["benchmark"].from_flags(given)
