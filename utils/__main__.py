"""`python -m utils VERB`: the commands beside myTrain.py, myTest.py and `python -m measure`."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Sequence
from importlib import import_module

from measure.io import InputError

from .runtime import run

__all__ = ["VERBS", "main"]

# verb -> module with `main(argv)`, what it does
VERBS = {
    "phantom": ("commands.phantom", "draw synthetic stills and clips with exact masks"),
    "check": ("commands.check", "look data sets through: faults, duplicates, leaks between parts, what is in them"),
    "split": (
        "commands.split",
        "draw training, validation and test parts, or folds, by image or by group",
    ),
    "prepare": ("commands.prepare", "lay a published data set out from its download, counted and checked"),
    "sunseg": ("commands.sunseg", "lay SUN-SEG out from its two downloads, counted and checked"),
    "sequences": ("commands.sequences", "lay numbered stills (CVC-ClinicDB) out as clips"),
    "montage": ("commands.montage", "draw image, mask, map and overlay of some samples into one picture"),
    "export": (
        "commands.export",
        "write weights for use elsewhere: half precision, ONNX, torch.export, checked at once",
    ),
    "app": ("app.command", "serve a page to try the network on images and clips, on this machine alone"),
    "repeat": ("commands.repeat", "print the command that repeats a run; refused when its data have changed"),
    "reproduce": ("commands.reproduce", "list published rows, run them from data to scores, compare"),
    "gpu": (
        "benchmark.gpu_report.command",
        "try everything on a GPU: tests, speeds, a training; one report",
    ),
    "benchmark": ("benchmark.command", "measure time and memory of networks, training steps, loading and video"),
}
USAGE = "usage: python -m utils VERB [flags]\n\n{verbs}\n\npython -m utils VERB --help explains one."


def main(argv: Sequence[str] | None = None) -> int:
    """Run a verb, or list the verbs where none is given; returns the exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    return run(lambda: run_verb(words))


def run_verb(words: Sequence[str]) -> int:
    """Run `words[0]` with the flags that follow.

    Raises:
        InputError: there is no such verb.
    """
    verb = words[0] if words else "--help"
    if verb in ("-h", "--help", "help"):
        print(USAGE.format(verbs="\n".join(f"  {name:<10} {text}" for name, (_, text) in VERBS.items())))
        return 0
    if verb not in VERBS:
        near = difflib.get_close_matches(verb, VERBS, n=1)
        advice = f"did you mean {near[0]}?" if near else "python -m utils lists what there is"
        raise InputError(f"unknown verb {verb}: {advice}")
    return import_module(f".{VERBS[verb][0]}", __package__).main(words[1:])


if __name__ == "__main__":
    sys.exit(main())
