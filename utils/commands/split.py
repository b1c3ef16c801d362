"""Split files: names of images, one a line, for training, validation and test. Made here, read by both commands.

    python -m utils split --data data/TrainDataset --out splits train=700 val=100 test=rest --seed 0
    python -m utils split --data data/SUN-SEG/TrainDataset --out splits train=90% val=10% --group_pattern '^case[0-9]+'

Where --data has Frame/, clips are split: the names are those of its cases. Frames of one polyp look alike, so parts
that share a polyp flatter the score: `--groups` and `--group_pattern` keep groups whole.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from measure.io import (
    FRAMES,
    STILLS,
    InputError,
    has_clips,
    images_by_stem,
    make_folder,
    replace_when_whole,
    subfolders,
)

from ..data import GroupOf, group_reader, part_sizes, pattern_reader, split_names
from ..runtime import run


def names_in(folder: Path) -> list[str]:
    """Names of the cases where there is a Frame/, else of the images in images/ or in the folder itself."""
    if has_clips(folder):
        return subfolders(folder / FRAMES)
    images = folder / STILLS.images
    return list(images_by_stem(images if images.is_dir() else folder))


def group_reading(args: argparse.Namespace) -> GroupOf:
    """How the flags tell the group of a name."""
    if args.groups:
        return group_reader(args.groups)
    return pattern_reader(args.group_pattern) if args.group_pattern else lambda name: None


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m utils split", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "parts", nargs="+", metavar="NAME=SIZE", help="parts: a number of images or clips, a share as 80%%, or rest"
    )
    parser.add_argument("--data", required=True, type=Path, help="folder with images/, of images, or with Frame/")
    parser.add_argument("--out", required=True, type=Path, help="folder for the split files, <part>.txt")
    parser.add_argument("--seed", type=int, default=0, help="of the draw (default: 0)")
    groups = parser.add_mutually_exclusive_group()
    groups.add_argument("--groups", help="file of `name,group` lines, or of `first last` ranges of numbered names")
    groups.add_argument("--group_pattern", help="regular expression that finds the group in a name, as '^case\\d+'")
    return parser.parse_args(argv)


def write_splits(args: argparse.Namespace) -> None:
    """Write the split files as the flags say.

    Raises:
        InputError: a folder, a file or a flag that cannot be used.
    """
    names = names_in(args.data)
    sizes = part_sizes(args.parts, len(names))
    parts = split_names(names, sizes, seed=args.seed, group_of=group_reading(args))
    empty = [part for part, members in parts.items() if not members]
    if empty:
        raise InputError(f"no group is left for {', '.join(empty)}; give it more names or smaller groups")
    make_folder(args.out)
    for part, members in parts.items():
        with replace_when_whole(args.out / f"{part}.txt") as partial:
            partial.write_text("".join(f"{name}\n" for name in members), encoding="utf-8")
        other = f" ({sizes[part]} were asked for; groups stay whole)" if len(members) != sizes[part] else ""
        print(f"{args.out / part}.txt: {len(members)} names{other}")


def main(argv: Sequence[str] | None = None) -> int:
    args = parse_args(argv)
    return run(lambda: write_splits(args))
