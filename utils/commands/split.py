"""Draw training, validation and test parts, or folds, and write their names to files, one a line.

    python -m utils split --data data/TrainDataset --out splits train=700 val=100 test=rest --seed 0
    python -m utils split --data data/SUN-SEG/TrainDataset --out splits train=90% val=10% --group_pattern '^case[0-9]+'
    python -m utils split --data data/TrainDataset --out folds --folds 5 --groups clips.txt

Every fold gets a folder, fold_1/ and so on, with train.txt, val.txt (a tenth of the rest, to choose a checkpoint by)
and test.txt; every name is tested in one fold. myTrain.py --folds draws the same ones.

myTrain.py reads the files with --split and --val_split, myTest.py with --split. Where --data has Frame/, clips are
split: the names are those of its cases.

Frames of one polyp look alike, so parts that share a polyp flatter the score: --groups and --group_pattern keep the
images of a group in one part.

The same command gives the same files. Files of another draw are not replaced without --overwrite.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from measure.io import (
    CommandParser,
    InputError,
    Switch,
    add_group_flags,
    add_layout_flags,
    counted,
    group_reading,
    nonempty,
    number,
    path,
    read_layout,
)

from ..data import fold_names, names_in, part_sizes, refuse_other_names, split_names, write_folds, write_names
from ..runtime import run

__all__ = ["main", "write_splits"]

REPLACE = "choose another --out, or add --overwrite to replace them"
LUMPED = 0.5  # share of all names in one group from which on the grouping is doubtful


def main(argv: Sequence[str] | None = None) -> int:
    """Write the split files that the flags ask for; returns the exit status."""
    return run(lambda: write_splits(parse_args(argv)))


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = CommandParser(prog="python -m utils split", description=__doc__)
    parser.add_argument(
        "parts",
        nargs="*",
        type=nonempty,
        metavar="NAME=SIZE",
        help="parts: a number of images or clips, a percentage as 80%%, or rest",
    )
    parser.add_argument("--data", required=True, type=path, help="folder with images/, of images, or with Frame/")
    parser.add_argument("--out", required=True, type=path, help="folder for the split files, <part>.txt")
    parser.add_argument(
        "--folds", type=number(int, low=2, high=1000), metavar="N", help="draw so many folds in place of parts"
    )
    parser.add_argument("--seed", type=number(int, high=2**32 - 1), default=0, metavar="N", help="of the draw")
    parser.add_argument("--overwrite", action=Switch, help="replace the split files of another draw")
    add_group_flags(parser)
    add_layout_flags(parser.add_argument_group("layout of --data"))
    return parser.parse_args(argv)


def write_splits(args: argparse.Namespace) -> None:
    """Write the split files as the flags say, and tell how many names and groups each got.

    Raises:
        InputError: a folder, a file or a flag that cannot be used.
    """
    if bool(args.parts) == bool(args.folds):
        raise InputError("give either parts, as train=80% val=10% test=rest, or --folds N; see --help")
    names = names_in(args.data, read_layout(args))
    group_of = group_reading(args.groups, args.group_pattern)
    group_by_name = {name: group_of(name) for name in names}
    grouped = bool(args.groups or args.group_pattern)
    if grouped:
        tell_doubts(group_by_name)
    if args.folds:
        folds = fold_names(names, args.folds, seed=args.seed, group_of=group_by_name.get)
        files = write_folds(folds, args.out, replace=args.overwrite, advice=REPLACE)
        for number_, fold in enumerate(folds, start=1):
            told = (f"{part} {described_part(own, group_by_name, grouped)}" for part, own in vars(fold).items())
            print(f"{args.out / f'fold_{number_}'}: {', '.join(told)}")
        tell_others(args.out, files)
        return
    sizes = part_sizes(args.parts, len(names))
    parts = split_names(names, sizes, seed=args.seed, group_of=group_by_name.get)
    empty = [part for part, members in parts.items() if not members]
    if empty:
        raise InputError(f"no group is left for {', '.join(empty)}; give it more names or smaller groups")
    files = {args.out / f"{part}.txt": members for part, members in parts.items()}
    if not args.overwrite:
        refuse_other_names(files, advice=REPLACE)
    write_names(files)
    for part, members in parts.items():
        other = f" ({sizes[part]} were asked for; groups stay whole)" if len(members) != sizes[part] else ""
        print(f"{args.out / part}.txt: {described_part(members, group_by_name, grouped, remark=other)}")
    tell_others(args.out, list(files))


def tell_others(out: Path, written: Sequence[Path]) -> None:
    """Tell of split files that were there before and are not part of this draw: they may share images with it."""
    others = sorted({*out.glob("*.txt"), *out.glob("fold_*/*.txt")} - set(written))
    if others:
        told = f"{counted(len(others), 'file was', 'files were')} in {out} before, first {others[0].relative_to(out)}"
        print(f"note: {told}; of another draw, what they name is also in this one", file=sys.stderr)


def described_part(
    members: Sequence[str], group_by_name: Mapping[str, str | None], grouped: bool, *, remark: str = ""
) -> str:
    """`40 names in 12 groups and 3 names in none`, of a part."""
    groups = f" in {described_groups([group_by_name[name] for name in members])}" if grouped else ""
    return f"{counted(len(members), 'name')}{remark}{groups}"


def tell_doubts(group_by_name: Mapping[str, str | None]) -> None:
    """Tell on stderr what looks like a mistake in the grouping: names in no group, or most names in one."""
    groups = Counter(group_by_name.values())
    alone = groups.pop(None, 0)
    total = len(group_by_name)
    if alone:
        print(
            f"note: {counted(alone, 'name is', 'names are', of=total)} in no group; each is drawn by itself",
            file=sys.stderr,
        )
    if groups:
        group, count = groups.most_common(1)[0]
        if count > LUMPED * total:
            told = f"{counted(count, 'name is', 'names are', of=total)} in one group, {group!r}"
            print(f"note: {told}; check that it is one patient or sequence", file=sys.stderr)


def described_groups(groups: Sequence[str | None]) -> str:
    """`12 groups and 3 names in none`, of the groups of a part's names."""
    count, alone = len(set(groups) - {None}), list(groups).count(None)
    text = counted(count, "group")
    return f"{text} and {alone} in none" if alone else text
