"""What of a folder is trained on and what validated: all of it, what split files name, or another folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from measure.errors import InputError
from measure.pairing import first_names

from .split import check_known, read_split

__all__ = ["choose_parts"]

Item = TypeVar("Item")  # a pair of image and mask, or a clip


def choose_parts(
    folder: str | Path,
    *,
    find: Callable[[str | Path], list[Item]],
    name_of: Callable[[Item], str],
    hold_out: Callable[[Sequence[Item]], tuple[list[Item], list[Item]]],
    kind: str,
    split: str | Path | None = None,
    validation_folder: str | Path | None = None,
    validation_split: str | Path | None = None,
) -> tuple[list[Item], list[Item]]:
    """Find the items to train on and to validate on.

    Args:
        folder: where the items to train on lie. find: looks a folder through. name_of: what a split file calls an item.
        hold_out: draws a validation part from the training part. kind: what the items are, for messages.
        split: file that names those to use (see `split`); None: all.
        validation_folder, validation_split: the same for validation; the folder is `folder` where only a split is
            given. With neither, a part of the training part is held out.

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
        return hold_out(training)
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
