"""What of a folder is trained on and what validated: all of it, what split files name, or another folder."""

from __future__ import annotations

import re
import reprlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np

from measure.io import STILLS, GroupOf, InputError, Layout, first_names, name_without_suffix, text_lines

from .pairs import Pair, find_pairs

__all__ = [
    "check_known",
    "choose_parts",
    "find_parts",
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
    names = [name_without_suffix(line) for line in text_lines(path)]
    if not names:
        raise InputError(f"{path} names nothing; expected one name a line")
    return list(dict.fromkeys(names))


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
