"""What of a folder is trained on and what validated: all of it, what split files name, or another folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from measure.errors import InputError
from measure.pairing import first_names

from .split import check_known, read_split

__all__ = ["choose_parts", "hold_out"]

Item = TypeVar("Item")  # a pair of image and mask, or a clip
HELD_OUT = 0.1  # share of the training part's groups that chooses the best checkpoint where no other part is given


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
        folder: where the items to train on lie. find: looks a folder through. name_of: what a split file calls an item.
        group_of: what is shared by items that must not be on both sides of a draw. kind: what the items are, for
            messages. seed: of the draw.
        split: file that names those to use (see `split`); None: all.
        validation_folder, validation_split: the same for validation; the folder is `folder` where only a split is
            given. With neither, a tenth of the training part is held out.

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
    items: Sequence[Item], *, group_of: Callable[[Item], str], seed: int, share: float = HELD_OUT
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
    count = min(max(1, round(share * len(groups))), len(groups) - 1)
    held = {groups[index] for index in np.random.default_rng(seed).permutation(len(groups))[:count]}
    return [item for item in items if group_of(item) not in held], [item for item in items if group_of(item) in held]
