"""Draw training, validation and test parts, and write their names to files, one a line.

    python -m utils split --data data/TrainDataset --out splits train=700 val=100 test=rest --seed 0
    python -m utils split --data data/SUN-SEG/TrainDataset --out splits train=90% val=10% --group_pattern '^case[0-9]+'

myTrain.py reads the files with --split and --val_split, myTest.py with --split. Where --data has Frame/, clips are
split: the names are those of its cases.

Frames of one polyp look alike, so parts that share a polyp flatter the score: --groups and --group_pattern keep the
images of a group in one part.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from measure.io import (
    FRAMES,
    STILLS,
    CommandParser,
    InputError,
    Layout,
    add_group_flags,
    add_layout_flags,
    drop_partials,
    group_reading,
    has_clips,
    images_by_stem,
    make_folder,
    nonempty,
    number,
    path,
    read_layout,
    replace_when_whole,
    subfolders,
)

from ..data import part_sizes, split_names
from ..runtime import run

__all__ = ["main", "write_splits"]

LUMPED = 0.5  # share of all names in one group from which on the grouping is doubtful


def main(argv: Sequence[str] | None = None) -> int:
    """Write the split files that the flags ask for; returns the exit status."""
    return run(lambda: write_splits(parse_args(argv)))


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = CommandParser(prog="python -m utils split", description=__doc__)
    parser.add_argument(
        "parts",
        nargs="+",
        type=nonempty,
        metavar="NAME=SIZE",
        help="parts: a number of images or clips, a percentage as 80%%, or rest",
    )
    parser.add_argument("--data", required=True, type=path, help="folder with images/, of images, or with Frame/")
    parser.add_argument("--out", required=True, type=path, help="folder for the split files, <part>.txt")
    parser.add_argument("--seed", type=number(int, high=2**32 - 1), default=0, metavar="N", help="of the draw")
    add_group_flags(parser)
    add_layout_flags(parser.add_argument_group("layout of --data"))
    return parser.parse_args(argv)


def write_splits(args: argparse.Namespace) -> None:
    """Write the split files as the flags say, and tell how many names and groups each got.

    Raises:
        InputError: a folder, a file or a flag that cannot be used.
    """
    names = names_in(args.data, read_layout(args))
    group_of = group_reading(args.groups, args.group_pattern)
    group_by_name = {name: group_of(name) for name in names}
    grouped = bool(args.groups or args.group_pattern)
    if grouped:
        tell_doubts(group_by_name)
    sizes = part_sizes(args.parts, len(names))
    parts = split_names(names, sizes, seed=args.seed, group_of=group_by_name.get)
    empty = [part for part, members in parts.items() if not members]
    if empty:
        raise InputError(f"no group is left for {', '.join(empty)}; give it more names or smaller groups")
    drop_partials(make_folder(args.out))
    for part, members in parts.items():
        with replace_when_whole(args.out / f"{part}.txt") as partial:
            partial.write_text("".join(f"{name}\n" for name in members), encoding="utf-8")
        groups = f" in {described_groups([group_by_name[name] for name in members])}" if grouped else ""
        other = f" ({sizes[part]} were asked for; groups stay whole)" if len(members) != sizes[part] else ""
        print(f"{args.out / part}.txt: {len(members)} names{other}{groups}")


def names_in(folder: Path, layout: Layout = STILLS) -> list[str]:
    """Names of the cases where there is a Frame/, else of the images in the layout's folder or in `folder` itself."""
    if has_clips(folder):
        return subfolders(folder / FRAMES)
    named = layout.names_files or (folder / layout.images).is_dir()
    return list(layout.list_images(folder) if named else images_by_stem(folder))


def tell_doubts(group_by_name: Mapping[str, str | None]) -> None:
    """Tell on stderr what looks like a mistake in the grouping: names in no group, or most names in one."""
    groups = Counter(group_by_name.values())
    alone = groups.pop(None, 0)
    total = len(group_by_name)
    if alone:
        print(f"note: {alone} of {total} names are in no group; each is drawn by itself", file=sys.stderr)
    if groups:
        group, count = groups.most_common(1)[0]
        if count > LUMPED * total:
            print(
                f"note: {count} of {total} names are in one group, {group!r}; check that it is one patient or sequence",
                file=sys.stderr,
            )


def described_groups(groups: Sequence[str | None]) -> str:
    """`12 groups and 3 names in none`, of the groups of a part's names."""
    count, alone = len(set(groups) - {None}), list(groups).count(None)
    text = f"{count} group{'s' * (count != 1)}"
    return f"{text} and {alone} in none" if alone else text
