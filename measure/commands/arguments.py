"""The command line of `python -m measure`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from ..io import InputError, available_cores, parse_classes
from ..options import PROTOCOLS

__all__ = ["parse_args"]

DESCRIPTION = """\
Score saved 8-bit maps against ground-truth masks, exactly as the released tools do.

image protocol  <GT_root>/<dataset>/masks/<stem>.png   <pred_root>/<dataset>/<stem>.png
                (or a single set: masks in <GT_root>, maps in <pred_root>)
  with --classes  <pred_root>/<class>/<dataset>/<stem>.png for every class, and for all of them <pred_root>/merged/
vps protocol    <GT_root>/<split>/GT/<case>/<frame>.png   <pred_root>/<split>/<case>/<frame>.png
"""

EXAMPLES = """\
examples:
  python -m measure --GT_root data/TestDataset --pred_root result/SEPNet --BR on
  python -m measure --protocol vps --GT_root data/SUN-SEG --pred_root result/A result/B --out result/comparison
  python -m measure why result/A-scores/scores.json result/B-scores/scores.json     (why two scores differ)

Nothing is ever written into GT_root or pred_root. Exit status: 0 done, 2 a mistake in what was given.
"""


class _Parser(argparse.ArgumentParser):
    """Mistakes on the command line are the user's input like any other, told in one sentence."""

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message}; see {self.prog} --help")


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line; `model` and `out` are filled in where they were left out.

    Raises:
        InputError: an unknown option, a wrong value, or names that do not fit the folders.
    """
    parser = _Parser(
        prog="python -m measure",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    _add_input(parser.add_argument_group("what is scored"))
    _add_definitions(parser.add_argument_group("how it is scored (the defaults give the published numbers)"))
    _add_output(parser.add_argument_group("what is written"))
    args = parser.parse_args(argv)
    if args.workers < 1:
        parser.error(f"--workers is {args.workers}, at least 1 was expected")
    if args.model and len(args.model) != len(args.pred_root):
        parser.error(f"{len(args.model)} names in --model for {len(args.pred_root)} folders in --pred_root")
    args.classes = parse_classes(args.classes) if args.classes is not None else None
    if args.minmax is None:
        args.minmax = args.classes is None
    args.model = args.model or _names(args.pred_root)
    if any(set(name) & set("/\\") or name in ("", ".", "..") for name in args.model):
        parser.error(f"a name in --model ({', '.join(args.model)}) cannot be that of a folder")
    if len(set(args.model)) < len(args.model):
        parser.error(f"two methods of one name ({', '.join(args.model)}); name them apart with --model")
    first = args.pred_root[0].resolve()
    args.out = args.out or first.with_name(f"{first.name}-scores")
    return args


def _add_input(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--protocol", choices=PROTOCOLS, default="image", help="default: image")
    group.add_argument(
        "--GT_root",
        type=Path,
        default=Path("data/TestDataset"),
        metavar="DIR",
        help="ground truth (default: data/TestDataset)",
    )
    group.add_argument(
        "--pred_root",
        type=Path,
        nargs="+",
        default=[Path("result")],
        metavar="DIR",
        help="maps, a folder per method (default: result)",
    )
    group.add_argument(
        "--classes",
        nargs="+",
        metavar="NAME=VALUE",
        help="classes of the masks and their colours R,G,B or indices; each is scored by itself, then all merged",
    )
    group.add_argument("--model", nargs="+", metavar="NAME", help="names of the methods (default: the folders')")
    group.add_argument(
        "--partial",
        action="store_true",
        help="score the maps that are there and readable; missing and extra ones are only recorded",
    )


def _add_definitions(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--minmax",
        action=argparse.BooleanOptionalAction,
        help="stretch each map to [0, 1] first; --no-minmax scores maps as saved "
        "(default: --minmax; with --classes --no-minmax, or every image would be made to show every class)",
    )
    group.add_argument("--BR", choices=("on", "off"), default="off", help="border-region scores too (default: off)")
    group.add_argument(
        "--br_rate",
        type=int,
        default=15,
        metavar="PIXELS",
        help="side of the square that widens the contour to the border region (default: 15)",
    )


def _add_output(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--out", type=Path, metavar="DIR", help="reports (default: <first pred_root>-scores)")
    group.add_argument(
        "--all-definitions",
        action="store_true",
        help="score again without (with) the stretch and list every Dice and IoU side by side: definitions.md",
    )
    group.add_argument(
        "--record_path",
        type=Path,
        metavar="PATH",
        help="also write the table as text to this file, or to <method>.txt in this folder",
    )
    group.add_argument(
        "--plots",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="curves, bars and contact sheets; --no-plots leaves them out (default: --plots)",
    )
    group.add_argument(
        "--image_root",
        type=Path,
        metavar="DIR",
        help="images for the contact sheets: <image_root>/<dataset>/images/ (default: beside the masks)",
    )
    group.add_argument(
        "--workers",
        type=int,
        default=available_cores(),
        metavar="N",
        help="processes (default: every core, %(default)s here)",
    )


def _names(folders: Sequence[Path]) -> list[str]:
    """Folder names, preceded by their parent's where they would be alike."""
    names = [folder.resolve().name for folder in folders]
    if len(set(names)) < len(names):
        names = [f"{folder.resolve().parent.name}-{folder.resolve().name}" for folder in folders]
    return names
