"""What of a folder is trained on and what validated: all of it, what split files name, or another folder."""

from __future__ import annotations

import itertools
import re
import reprlib
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np

from measure.io import IMAGE_SUFFIXES, STILLS, InputError, Layout, first_names

from .pairs import Pair, find_pairs

__all__ = [
    "check_known",
    "choose_parts",
    "find_parts",
    "group_reader",
    "hold_out",
    "part_sizes",
    "read_split",
    "split_names",
]

Item = TypeVar("Item")  # a pair of image and mask, or a clip
HELD_OUT = 0.1  # fraction of the training part's groups that chooses the best checkpoint where no other part is given


def choose_parts(
    folder: str | Path,
    *,
    find: Callable[[str | Path], list[Item]],
    name_of: Callable[[Item], str],
    group_of: Callable[[Item], str],
    kind: str,
    seed: int,
    split: str | Path | None = None,
    validation_folder: str | Path | None = None,
    validation_split: str | Path | None = None,
) -> tuple[list[Item], list[Item]]:
    """Find the items to train on and to validate on.

    Args:
        folder: where the items to train on lie.
        find: lists the items of a folder.
        name_of: what a split file calls an item.
        group_of: what items have in common that must not be on both sides of a draw.
        kind: what the items are, for messages: "images", "clips".
        seed: of the draw.
        split: file that names the items to use; None: all.
        validation_folder: where the items to validate on lie; None: `folder`, where `validation_split` is given.
        validation_split: file that names the items to validate on. With neither, a tenth of the training part is held
            out.

    Raises:
        InputError: a folder or file that cannot be used, names that are not there, an item in both splits, or nothing
            to train on.
    """

    def pick(items: Sequence[Item], names_file: str | Path, place: str | Path) -> list[Item]:
        names = read_split(names_file)
        check_known(names, map(name_of, items), split=names_file, place=place, kind=kind)
        return [item for item in items if name_of(item) in set(names)]

    found = find(folder)
    training = pick(found, split, folder) if split else found
    if not (validation_folder or validation_split):
        return hold_out(training, group_of=group_of, seed=seed)
    held_out = find(validation_folder) if validation_folder else found
    if validation_split:
        held_out = pick(held_out, validation_split, validation_folder or folder)
    if validation_folder:
        return training, held_out
    held = set(map(name_of, held_out))
    shared = [name_of(item) for item in training if name_of(item) in held]
    if split and shared:
        raise InputError(
            f"{split} and {validation_split} share {len(shared)} {kind}, first: {first_names(shared)}; "
            "each belongs to one part"
        )
    rest = [item for item in training if name_of(item) not in held]
    if not rest:
        raise InputError(f"{validation_split} names all {kind} of {folder}; nothing is left to train on")
    return rest, held_out


def hold_out(
    items: Sequence[Item], *, group_of: Callable[[Item], str], seed: int, fraction: float = HELD_OUT
) -> tuple[list[Item], list[Item]]:
    """Split into a training and a held-out part, whole groups on either side and at least one, drawn by `seed`.

    Frames of one polyp, say, look too much alike to judge a network by those it has not seen.

    Raises:
        InputError: fewer than two groups.
    """
    groups = list(dict.fromkeys(map(group_of, items)))
    if len(groups) < 2:
        raise InputError(
            f"{len(groups)} to train on ({first_names(groups)}); at least two are needed, one of them to validate"
        )
    count = min(max(1, round(fraction * len(groups))), len(groups) - 1)
    held = {groups[index] for index in np.random.default_rng(seed).permutation(len(groups))[:count]}
    return [item for item in items if group_of(item) not in held], [item for item in items if group_of(item) in held]


def find_parts(
    folder: str | Path,
    *,
    split: str | Path | None = None,
    validation_folder: str | Path | None = None,
    validation_split: str | Path | None = None,
    seed: int = 0,
    layout: Layout = STILLS,
) -> tuple[list[Pair], list[Pair]]:
    """Find the pairs to train on and to validate on: see `choose_parts`; `seed` draws what is held out.

    `layout` names folders and files, in both folders alike.
    """
    return choose_parts(
        folder,
        find=partial(find_pairs, layout=layout),
        name_of=lambda pair: pair.stem,
        group_of=lambda pair: pair.stem,
        kind="images",
        seed=seed,
        split=split,
        validation_folder=validation_folder,
        validation_split=validation_split,
    )


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
        reason = getattr(error, "strerror", None) or "it is no text in UTF-8"
        raise InputError(f"cannot read {path} ({reason}); expected a text file with a name a line") from error
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
            "check the folder or write the split again"
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
        form = re.fullmatch(r"([\w-]+)=(?:(\d{1,9})|(\d{1,3}(?:\.\d{1,9})?)%|rest)", text)
        if form is None or form[1] in sizes:
            raise InputError(
                f"{reprlib.repr(text)} was given; "
                "expected parts of different names such as train=700, val=10%, test=rest"
            )
        name, count, own_percent = form.groups()
        before, percent = percent, percent + float(own_percent or 0)
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
    """Draw the parts: every group goes, in random order, to the part that lacks the largest fraction of its size.

    First as many groups are drawn as the parts need. Of these, groups of several names come before single ones, which
    then make the sizes exact where there are enough of them. What fits nowhere stays out, or goes where most is
    lacking if the parts are to use every name.

    Args:
        names: all names.
        sizes: of the parts wanted, in names.
        seed: of the draw.
        group_of: the group of a name; one in no group stays alone.

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
        InputError: the file cannot be read, holds another kind of line, or puts a name into two groups.
    """
    named: dict[str, str] = {}
    ranges: list[tuple[int, int]] = []
    for line in _lines(path):
        if form := re.fullmatch(r"(\d{1,18})\s+(\d{1,18})", line):
            ranges.append((int(form[1]), int(form[2])))
        elif form := re.fullmatch(r"([^,]*[^,\s])\s*,\s*([^,]+)", line):
            name, group = _stem(form[1]), form[2]
            if named.setdefault(name, group) != group:
                raise InputError(f"{path} puts {name} into two groups, {named[name]} and {group}; keep one")
        else:
            raise InputError(f"{path}: {reprlib.repr(line)} is neither `name,group` nor `first last`, two numbers")
    check_ranges(sorted(ranges), path)

    def group_of(name: str) -> str | None:
        if name.isdecimal():
            for first, last in ranges:
                if first <= int(name) <= last:
                    return f"{first}-{last}"
        return named.get(name)

    return group_of


def check_ranges(ranges: Sequence[tuple[int, int]], path: str | Path) -> None:
    """Refuse ranges that end before they begin or share numbers; they are sorted by their first one."""
    for first, last in ranges:
        if last < first:
            raise InputError(f"{path}: the range {first} {last} ends before it begins; write {last} {first}")
    for (first, last), (following, end) in itertools.pairwise(ranges):
        if following <= last:
            raise InputError(f"{path}: the ranges {first} {last} and {following} {end} share numbers; make them apart")


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
