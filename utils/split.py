"""Split files: names of images, one a line, for training, validation and test. Made here, read by both commands.

    python -m utils.split --data data/TrainDataset --out splits train=700 val=100 test=rest --seed 0
    python -m utils.split --data data/SUN-SEG/TrainDataset --out splits train=90% val=10% --group_pattern '^case[0-9]+'

Where --data has Frame/, clips are split: the names are those of its cases. Frames of one polyp look alike, so parts
that share a polyp flatter the score: `--groups` and `--group_pattern` keep groups whole.
"""

from __future__ import annotations

import argparse
import re
import sys
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from measure.errors import InputError
from measure.files import make_folder, replace_when_whole
from measure.pairing import IMAGE_SUFFIXES, first_names, images_by_stem, subfolders

from .cli import run

__all__ = ["check_known", "group_reader", "part_sizes", "read_split", "split_names"]


def read_split(path: str | Path) -> list[str]:
    """Read the stems a split file names; image suffixes, blank lines and lines that begin with # are passed over.

    Raises:
        InputError: the file cannot be read or names nothing.
    """
    names = [_stem(line) for line in _lines(path)]
    if not names:
        raise InputError(f"{path} names nothing; expected one name a line")
    return list(dict.fromkeys(names))


def _lines(path: str | Path) -> list[str]:
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read {path} ({getattr(error, 'strerror', None) or 'it is no text'})") from error
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def _stem(name: str) -> str:
    name = unicodedata.normalize("NFC", name)
    return Path(name).stem if name.lower().endswith(IMAGE_SUFFIXES) else name


def check_known(
    names: Iterable[str], known: Iterable[str], *, split: str | Path, place: str | Path, kind: str = "images"
) -> None:
    """Refuse names of a split file that are no images (or clips, the `kind`) of a folder.

    Raises:
        InputError: there are such names; the first five are listed.
    """
    known = set(known)
    unknown = [name for name in names if name not in known]
    if unknown:
        raise InputError(
            f"{split}: {len(unknown)} names are no {kind} of {place}, first: {first_names(unknown)}; "
            "check the folder or write the split anew"
        )


def part_sizes(texts: Sequence[str], total: int) -> dict[str, int]:
    """Read `name=700`, `name=80%` and `name=rest` as sizes of parts of `total` names.

    Percentages are rounded at their running sum, so 80, 10 and 10 % use every name.

    Raises:
        InputError: something else is given, a part is empty, or the parts are more than there is.
    """
    sizes: dict[str, int] = {}
    percent = 0.0
    for text in texts:
        form = re.fullmatch(r"([\w-]+)=(?:(\d+)|(\d+(?:\.\d+)?)%|rest)", text)
        if form is None or form[1] in sizes:
            raise InputError(
                f"{text!r} was given; expected parts of different names such as train=700, val=10%, test=rest"
            )
        name, count, share = form.groups()
        before, percent = percent, percent + float(share or 0)
        sizes[name] = int(count) if count else round(percent * total / 100) - round(before * total / 100)
    rest = [text.split("=")[0] for text in texts if text.endswith("=rest")]
    for name in rest:
        sizes[name] = total - sum(sizes.values())
    if len(rest) > 1 or min(sizes.values()) < 1 or sum(sizes.values()) > total:
        raise InputError(
            f"{' '.join(texts)} does not fit {total} names: every part needs at least one, one may be the rest"
        )
    return sizes


GroupOf = Callable[[str], str | None]  # the group of a name; None: it is in no group


def split_names(
    names: Sequence[str], sizes: Mapping[str, int], *, seed: int, group_of: GroupOf = lambda name: None
) -> dict[str, list[str]]:
    """Draw the parts: every group goes, in random order, to the part that lacks the largest share of its size.

    First as many groups are drawn as the parts need. Of these, groups of several names come before single ones, which
    then make the sizes exact where there are enough of them. What fits nowhere stays out, or goes where most is
    lacking if the parts are to use every name.

    Args:
        names: all names. sizes: of the parts wanted. group_of: the group of a name; one in no group stays alone.

    Returns:
        The names of each part, in the order they were given.
    """
    groups: dict[tuple[bool, str], list[str]] = {}
    for name in names:
        group = group_of(name)
        groups.setdefault((True, name) if group is None else (False, group), []).append(name)
    order = np.random.default_rng(seed).permutation(len(groups))
    shuffled = [list(groups.values())[i] for i in order]
    before = np.cumsum([0, *map(len, shuffled)])  # names drawn before each group
    needed = [group for group, drawn in zip(shuffled, before, strict=False) if drawn < sum(sizes.values())]
    chosen: dict[str, set[str]] = {part: set() for part in sizes}
    for group in sorted(needed, key=lambda group: len(group) == 1):
        lacking = {part: size - len(chosen[part]) for part, size in sizes.items()}
        fitting = [part for part, lack in lacking.items() if lack >= len(group)]
        if not fitting and sum(sizes.values()) == len(names):
            fitting = list(sizes)
        if fitting:
            chosen[max(fitting, key=lambda part: lacking[part] / sizes[part])].update(group)
    return {part: [name for name in names if name in members] for part, members in chosen.items()}


def group_reader(path: str | Path) -> GroupOf:
    """Read groups from a file: lines `name,group`, or `first last` for a range of numbers that are names.

    A name that the file does not speak of is in no group; a range is called `first-last`.

    Raises:
        InputError: the file cannot be read or holds another kind of line.
    """
    named: dict[str, str] = {}
    ranges: list[tuple[int, int]] = []
    for line in _lines(path):
        if form := re.fullmatch(r"(\d+)\s+(\d+)", line):
            ranges.append((int(form[1]), int(form[2])))
        elif form := re.fullmatch(r"([^,]+),([^,]+)", line):
            named[_stem(form[1].strip())] = form[2].strip()
        else:
            raise InputError(f"{path}: {line!r} is neither `name,group` nor `first last`, two numbers")

    def group_of(name: str) -> str | None:
        if name.isdecimal():
            for first, last in ranges:
                if first <= int(name) <= last:
                    return f"{first}-{last}"
        return named.get(name)

    return group_of


def pattern_reader(pattern: str) -> GroupOf:
    """Take what the pattern's first bracket (or the whole pattern) finds in a name as its group.

    Raises:
        InputError: it is no regular expression.
    """
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise InputError(f"--group_pattern {pattern!r} is no regular expression ({error})") from error

    def group_of(name: str) -> str | None:
        found = compiled.search(name)
        return found[min(1, compiled.groups)] or "" if found else None

    return group_of


def names_in(folder: Path) -> list[str]:
    """Names of the cases where there is a Frame/, else of the images in images/ or in the folder itself."""
    if (folder / "Frame").is_dir():
        return subfolders(folder / "Frame")
    return list(images_by_stem(folder / "images" if (folder / "images").is_dir() else folder))


def group_reading(args: argparse.Namespace) -> GroupOf:
    """How the flags tell the group of a name."""
    if args.groups:
        return group_reader(args.groups)
    return pattern_reader(args.group_pattern) if args.group_pattern else lambda name: None


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m utils.split", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
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


if __name__ == "__main__":
    sys.exit(main())
