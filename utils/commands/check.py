"""Check data sets before anything is trained on them: faults, duplicates, leaks between parts, and what is in them.

    python -m utils check data/TrainDataset data/TestDataset --json check.json --html check.html
    python -m utils check data/TrainDataset --splits train.txt val.txt --groups clips.txt

A folder may be a set (images/ and masks/), a split of clips (Frame/ and GT/), or hold such, up to three folders below.
Every pair goes through the checks of training. Then parts are compared: images that show the same (by a cosine
transform of each), and frames of one patient, polyp or sequence in two of them. Sets that are named like published ones
are counted.

Exit status 0: nothing found, 1: problems found, 2: could not run.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from measure.io import (
    CommandParser,
    InputError,
    add_group_flags,
    add_layout_flags,
    group_reading,
    make_folder,
    nonempty,
    number,
    parse_classes,
    path,
    read_layout,
    refuse_outputs_in_inputs,
    write_json,
    write_text,
)

from .. import data  # the room loads its files when a name is used: --help needs no PyTorch
from ..runtime import run

__all__ = ["check_folders", "main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Check what the flags name; returns the exit status."""
    return run(lambda: check_folders(parse_args(argv)))


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = CommandParser(prog="python -m utils check", description=__doc__)
    parser.add_argument("folders", nargs="+", type=path, metavar="FOLDER", help="what to check")
    parser.add_argument("--json", type=path, metavar="FILE", help="everything that was found")
    parser.add_argument("--html", type=path, metavar="FILE", help="a page with thumbnails; as confidential as the data")
    parser.add_argument(
        "--splits",
        nargs="+",
        type=path,
        metavar="FILE",
        help="divide the one part by files that split wrote",
    )
    parser.add_argument(
        "--distance",
        type=number(float, high=0.5),
        default=data.NEAR,
        metavar="X",
        help="up to which two images show the same; 0: equal files alone",
    )
    parser.add_argument(
        "--classes", nargs="+", type=nonempty, metavar="NAME=VALUE", help="what masks of several classes tell apart"
    )
    add_group_flags(parser)
    add_layout_flags(parser.add_argument_group("layout"))
    return parser.parse_args(argv)


def check_folders(args: argparse.Namespace) -> int:
    """Check the folders, print and write what was found; returns 1 where there are problems, else 0.

    Raises:
        InputError: a flag, a folder or a file that cannot be used.
    """
    outputs: list[Path] = [file for file in (args.json, args.html) if file]
    if len({file.resolve() for file in outputs}) < len(outputs):
        raise InputError(f"--json and --html are both {args.json}; they need two places")
    refuse_outputs_in_inputs(outputs, args.folders)
    layout = read_layout(args)
    classes = parse_classes(args.classes) if args.classes else None
    group_of = group_reading(args.groups, args.group_pattern) if args.groups or args.group_pattern else None
    parts = data.find_parts_to_check(args.folders, layout=layout, group_of=group_of)
    if args.splits:
        if len(parts) > 1:
            raise InputError(f"--splits divides one part, and {len(parts)} were found; give one set or one split")
        parts = data.parts_of_splits(parts[0], args.splits)
    findings = data.check_parts(parts, classes=classes, distance=args.distance)
    for file in outputs:
        make_folder(file.parent)
    if args.json:
        write_json(findings.as_plain(), args.json)
    if args.html:
        write_text(data.render_page(findings), args.html)
    print(data.render_text(findings))
    return 1 if findings.problems else 0
