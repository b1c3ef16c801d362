"""`python -m utils benchmark VERB`: how fast things are. What a verb can be asked for needs no PyTorch (`options`)."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Sequence
from importlib import import_module

from measure.io import CommandParser

from ..runtime import Options, add_flags, run
from .options import (
    AblationBenchmark,
    LoaderBenchmark,
    PredictBenchmark,
    RatesBenchmark,
    RuntimesBenchmark,
    TrainBenchmark,
    VideoBenchmark,
)

__all__ = ["VERBS", "main"]

# verb, which is a module here with `start(options)` -> its options, what it does
VERBS: dict[str, tuple[type[Options], str]] = {
    "predict": (PredictBenchmark, "time the prediction of images"),
    "train": (TrainBenchmark, "time a training step beside a plain eager loop"),
    "rates": (RatesBenchmark, "measure what the device can do at most"),
    "ablation": (AblationBenchmark, "what changes of a training recipe are worth on another hospital's images"),
    "loader": (LoaderBenchmark, "time the loading of training samples"),
    "runtimes": (RuntimesBenchmark, "compare what runs a network on this CPU: time, Dice, and what each loses"),
    "video": (VideoBenchmark, "time and memory of video networks, frame by frame"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb and return the exit status."""

    def work() -> None:
        verb, options = parse_args(argv)
        import_module(f".{verb}", __package__).start(options)

    return run(work)


def parse_args(argv: Sequence[str] | None = None) -> tuple[str, Options]:
    """The verb that is asked for, and its options.

    Raises:
        InputError: a flag that cannot be used.
    """
    parser = CommandParser(prog="python -m utils benchmark", description="How fast things are.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb, (options, text) in VERBS.items():
        flags = verbs.add_parser(verb, help=text, description=inspect.getdoc(options))
        add_flags(flags, options)
    given = vars(parser.parse_args(sys.argv[1:] if argv is None else argv))
    return given["verb"], VERBS[given["verb"]][0].from_flags(given)
