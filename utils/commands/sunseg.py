"""Put SUN-SEG together from its two downloads.

    python -m utils sunseg --sun downloads/SUN --annotations downloads/SUN-SEG-Annotation --out data/SUN-SEG

The frames come with the SUN database (Misawa et al., GIE 2021), the masks with SUN-SEG (Ji et al., MIR 2022), which
cuts SUN's cases into clips. What is expected of them:

    <annotations>/<split>/GT/<clip>/<frame>.png     the five published splits; other annotations are left alone
    <sun>/**/<case>/<frame>.jpg                     at any depth: the parts of the download need not be merged

A mask's frame is the one of its name; where SUN has several, the one in the clip's case (`case7_2` is a clip of
`case7`). What is written is what training, prediction and scoring read:

    <out>/<split>/Frame/<clip>/<frame>.jpg          <out>/<split>/GT/<clip>/<frame>.png

as links, or with --copy as files. Run again, it goes on: what is there is passed over.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from measure.io import CommandParser, Switch, counted, path

from ..preparation import assemble
from ..runtime import run

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Lay out what the flags name; returns the exit status."""
    return run(lambda: put_together(parse_args(argv)))


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = CommandParser(prog="python -m utils sunseg", description=__doc__)
    parser.add_argument("--sun", type=path, required=True, help="folder of the SUN database's cases with polyps")
    parser.add_argument("--annotations", type=path, required=True, help="folder of SUN-SEG's annotations")
    parser.add_argument("--out", type=path, default=Path("data/SUN-SEG"), help="where it is put together")
    parser.add_argument("--copy", action=Switch, help="copy the files in place of linking to them")
    parser.add_argument("--partial", action=Switch, help="take what is there where something is missing")
    return parser.parse_args(argv)


def put_together(args: argparse.Namespace) -> None:
    count = assemble(**vars(args))
    print(f"{counted(count, 'frame')} with masks in {args.out}")
