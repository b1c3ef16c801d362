"""`python -m utils VERB`: the commands beside myTrain.py and myTest.py."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module

__all__ = ["main"]

# verb -> module with `main(argv)`, what it does
VERBS = {
    "split": ("commands.split", "split files by seed or by group, for --split and --val_split"),
    "repeat": ("commands.repeat", "the command that repeats a run, refused when its data have changed"),
    "benchmark": ("benchmark.command", "time, size and memory of networks, training steps, samples and frames"),
    "phantom": ("commands.phantom", "synthetic stills and clips with exact masks"),
    "montage": ("commands.montage", "image, mask, map and overlay in one picture"),
    "sunseg": ("commands.sunseg", "SUN-SEG's layout from its two downloads"),
    "sequences": ("commands.sequences", "numbered stills (CVC-ClinicDB) as clips"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run a verb; returns the exit status."""
    verb, *rest = [*(sys.argv[1:] if argv is None else argv), ""]
    if verb not in VERBS:
        known = "\n".join(f"  {name:<10} {text}" for name, (_, text) in VERBS.items())
        asked = verb in ("", "-h", "--help")
        print(f"usage: python -m utils VERB [--help]\n\n{known}", file=sys.stdout if asked else sys.stderr)
        return 0 if asked else 2
    return import_module(f".{VERBS[verb][0]}", __package__).main(rest[:-1])


if __name__ == "__main__":
    sys.exit(main())
