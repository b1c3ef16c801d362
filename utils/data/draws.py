"""Drawing parts of a data set's names: sizes or folds, by a seed, groups (patients, sequences) whole."""

from __future__ import annotations

import re
import reprlib
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from measure.io import (
    FRAMES,
    STILLS,
    GroupOf,
    InputError,
    Layout,
    counted,
    drop_partials,
    has_clips,
    images_by_stem,
    make_folder,
    replace_when_whole,
    subfolders,
)

__all__ = [
    "FoldNames",
    "fold_names",
    "names_in",
    "part_sizes",
    "refuse_other_names",
    "split_names",
    "write_folds",
    "write_names",
]

CHOOSING = 0.1  # fraction of what a fold trains on that chooses its best checkpoint


def names_in(folder: Path, layout: Layout = STILLS) -> list[str]:
    """Names of the cases where there is a Frame/, else of the images in the layout's folder or in `folder` itself.

    Raises:
        InputError: a folder is missing or holds nothing.
    """
    if has_clips(folder):
        return subfolders(folder / FRAMES)
    named = layout.names_files or (folder / layout.images).is_dir()
    try:
        return list(layout.list_images(folder) if named else images_by_stem(folder))
    except InputError as error:
        if named or not subfolders(folder):
            raise
        raise InputError(f"{error}; --images NAME names the one with the images") from error


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


def shuffled_groups(names: Sequence[str], *, seed: int, group_of: GroupOf) -> list[list[str]]:
    """The names of every group, in an order drawn by `seed`; a name in no group is one of its own."""
    groups: dict[tuple[bool, str], list[str]] = {}
    for name in names:
        group = group_of(name)
        groups.setdefault((True, name) if group is None else (False, group), []).append(name)
    order = np.random.default_rng(seed).permutation(len(groups))
    return [list(groups.values())[i] for i in order]


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
    shuffled = shuffled_groups(names, seed=seed, group_of=group_of)
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


@dataclass(frozen=True)
class FoldNames:
    """The names of a fold, each in the order they were given.

    Attributes:
        train: to train on.
        val: to choose the best checkpoint by.
        test: to be scored at the end; every name is tested in one fold.
    """

    train: list[str]
    val: list[str]
    test: list[str]


def fold_names(
    names: Sequence[str], count: int, *, seed: int, group_of: GroupOf = lambda name: None
) -> list[FoldNames]:
    """Draw `count` folds of about equal size, every group whole in one part of each.

    Raises:
        InputError: too few groups: each fold tests at least one, and two more remain, to train and to choose by.
    """
    groups = shuffled_groups(names, seed=seed, group_of=group_of)
    if len(groups) < max(count, 3):
        told = f"{counted(len(names), 'name')} in {counted(len(groups), 'group')} cannot make {counted(count, 'fold')}"
        raise InputError(
            f"{told}; every fold tests at least one group, trains on another and chooses its checkpoint by a third: "
            "ask for fewer folds or give smaller groups"
        )
    tests: list[set[str]] = [set() for _ in range(count)]
    for group in sorted(groups, key=len, reverse=True):  # the small ones at the end make the folds even
        min(tests, key=len).update(group)
    folds = []
    for tested in tests:
        others = [name for name in names if name not in tested]
        choosing = max(1, round(CHOOSING * len(others)))
        sizes = {"train": len(others) - choosing, "val": choosing}
        parts = split_names(others, sizes, seed=seed, group_of=group_of)
        if not (parts["train"] and parts["val"]):
            raise InputError(f"groups are too large for {count} folds; ask for others, or give smaller groups")
        folds.append(FoldNames(parts["train"], parts["val"], [name for name in names if name in tested]))
    return folds


def write_folds(
    folds: Sequence[FoldNames],
    out: Path,
    *,
    replace: bool = True,
    advice: str = "put them back, or choose another folder",
) -> list[Path]:
    """Write `<out>/fold_N/train.txt`, `val.txt` and `test.txt` for every fold, N from 1 on.

    Args:
        replace: whether files with other names may be replaced.
        advice: what to do where they may not.

    Returns:
        The files.

    Raises:
        InputError: a file cannot be written, or holds other names and is not to be replaced.
    """
    files = {
        out / f"fold_{number}" / f"{part}.txt": names
        for number, fold in enumerate(folds, start=1)
        for part, names in vars(fold).items()
    }
    if not replace:
        refuse_other_names(files, advice=advice)
    write_names(files)
    return list(files)


def refuse_other_names(files: Mapping[Path, Sequence[str]], *, advice: str) -> None:
    """Refuse to replace split files that hold other names.

    Args:
        files: the names that each file is to hold.
        advice: what to do then.

    Raises:
        InputError: a file is there already and holds other names.
    """
    for place, names in files.items():
        try:
            same = not place.exists() or place.read_text(encoding="utf-8") == text_of(names)  # whatever ends its lines
        except (OSError, UnicodeDecodeError):
            same = False
        if not same:
            raise InputError(
                f"{place} holds other names than would be drawn now: the data, their groups, the seed or the sizes "
                f"have changed; {advice}"
            )


def write_names(files: Mapping[Path, Sequence[str]]) -> None:
    """Write split files, one name a line, their folders made where missing: all of them or none.

    Files of two draws, side by side, would share images.

    Args:
        files: the names that each file is to hold.

    Raises:
        InputError: one of them cannot be written, or would be read as other names; those that were there are untouched.
    """
    for place, names in files.items():
        refuse_unreadable_names(names, place)
    for folder in {place.parent for place in files}:
        drop_partials(make_folder(folder))
    with ExitStack() as moved_at_the_end:
        for place, names in files.items():
            partial = moved_at_the_end.enter_context(replace_when_whole(place))
            partial.write_text(text_of(names), encoding="utf-8", errors="backslashreplace")


def refuse_unreadable_names(names: Sequence[str], place: Path) -> None:
    """Refuse names that a line of a split file cannot hold, whose images would be left out of a part without a word."""
    for name in names:
        if name.startswith("#") or name != name.strip() or name.splitlines() != [name]:
            raise InputError(
                f"{name!r} cannot stand in {place.name}: names begin with no #, and have no blank at either end and no "
                "line break; rename the file"
            )


def text_of(names: Sequence[str]) -> str:
    return "".join(f"{name}\n" for name in names)
