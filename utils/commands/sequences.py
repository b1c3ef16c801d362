"""Lay numbered stills out as clips.

    python -m utils sequences --data data/ClinicDB --groups clips.txt --out data/clips

Some sets of stills are frames of videos. CVC-ClinicDB's 612 images come from 29 sequences and are numbered along them;
a file of `first last` lines, the numbers of a sequence's first and last image, turns them into clips:

    <data>/images/<frame>.jpg             <data>/masks/<frame>.png
    <out>/Frame/<sequence>/<frame>.jpg    <out>/GT/<sequence>/<frame>.png

as links, or with --copy as files. Lines `name,sequence` do for names that are no numbers. Images in no sequence are
left out. Run again, it goes on: what is there stays, and frames of other sequences are refused.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

from measure.io import (
    FRAME_MASKS,
    FRAMES,
    STILLS,
    CommandParser,
    InputError,
    Layout,
    Switch,
    add_layout_flags,
    counted,
    group_reader,
    path,
    read_layout,
    refuse_outputs_in_inputs,
)

from ..data import Pair, find_pairs
from ..preparation import clip_targets, place_clips
from ..runtime import run

__all__ = ["find_sequences", "lay_out", "main"]

FOLDER_NAME = re.compile(r"[\w-][\w .-]*")  # what a sequence may be called: it becomes a folder


def main(argv: Sequence[str] | None = None) -> int:
    """Lay out what the flags name; returns the exit status."""
    return run(lambda: put_together(parse_args(argv)))


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = CommandParser(prog="python -m utils sequences", description=__doc__)
    parser.add_argument("--data", type=path, required=True, help="folder with images/ and masks/")
    parser.add_argument("--groups", type=path, required=True, help="file of `first last` or `name,sequence` lines")
    parser.add_argument("--out", type=path, required=True, help="where Frame/ and GT/ go")
    parser.add_argument("--copy", action=Switch, help="copy the files in place of linking to them")
    add_layout_flags(parser.add_argument_group("layout of --data"))
    return parser.parse_args(argv)


def put_together(args: argparse.Namespace) -> None:
    layout = read_layout(args)
    sequences = find_sequences(args.data, args.groups, layout)
    refuse_outputs_in_inputs(
        [args.out / FRAMES, args.out / FRAME_MASKS], [args.data / layout.images, args.data / layout.masks]
    )
    lay_out(sequences, args.out, copy=args.copy)
    print(f"{counted(len(sequences), 'clip')} of {counted(sum(map(len, sequences.values())), 'frame')} in {args.out}")


def find_sequences(data: Path, groups: Path, layout: Layout = STILLS) -> dict[str, list[Pair]]:
    """Find the sequences: name -> pairs of image and mask, in natural order; images in no sequence are left out.

    Raises:
        InputError: a folder or file that cannot be used, no image in any sequence, or a name that makes no folder.
    """
    group_of = group_reader(groups)
    sequences: dict[str, list[Pair]] = {}
    for pair in find_pairs(data, layout):
        name = group_of(pair.stem)
        if name is not None:
            sequences.setdefault(name, []).append(pair)
    if not sequences:
        raise InputError(
            f"{groups} speaks of no image of {data / layout.images}; expected `first last` or `name,sequence` lines"
        )
    for name in sequences:
        if not FOLDER_NAME.fullmatch(name):
            raise InputError(f"{groups}: {name!r} cannot name a folder; use letters, digits, - and _")
    return sequences


def lay_out(sequences: dict[str, list[Pair]], out: Path, *, copy: bool = False) -> None:
    """Link or copy the pairs of every sequence to `<out>/Frame/<sequence>/` and `<out>/GT/<sequence>/`.

    Raises:
        InputError: images of other sequences are there, or a file cannot be made.
    """
    targets: dict[Path, Path] = {}
    for name, pairs in sequences.items():
        for pair in pairs:
            targets |= clip_targets(out, name, pair.stem, frame=pair.image, mask=pair.mask)
    place_clips(targets, root=out, copy=copy)
