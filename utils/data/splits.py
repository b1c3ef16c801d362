"""What of a folder is trained on and what validated: all of it, what split files name, or another folder."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np

from measure.io import STILLS, InputError, Layout, counted, first_names, name_without_suffix, text_lines

from .pairs import Pair, find_pairs

__all__ = ["IMAGES", "ItemKind", "check_known", "find_parts", "hold_out", "read_split"]

Item = TypeVar("Item")  # a pair of image and mask, or a clip
HELD_OUT = 0.1  # fraction of the training part's groups that chooses the best checkpoint where no other part is given


@dataclass(frozen=True)
class ItemKind(Generic[Item]):
    """What a folder is divided into.

    Attributes:
        plural: what the items are, for messages: "images", "clips".
        find: lists the items of a folder in a layout.
        name_of: what a split file calls an item.
        group_of: what items have in common that must not be on both sides of a draw.
    """

    plural: str
    find: Callable[[str | Path, Layout], list[Item]]
    name_of: Callable[[Item], str]
    group_of: Callable[[Item], str]


IMAGES: ItemKind[Pair] = ItemKind("images", find_pairs, lambda pair: pair.stem, lambda pair: pair.stem)


def find_parts(
    folder: str | Path,
    items: ItemKind[Item] = IMAGES,
    *,
    split: str | Path | None = None,
    validation_folder: str | Path | None = None,
    validation_split: str | Path | None = None,
    seed: int = 0,
    layout: Layout = STILLS,
) -> tuple[list[Item], list[Item]]:
    """Find the items to train on and to validate on.

    Args:
        folder: where the items to train on lie.
        items: what they are.
        split: file that names the items to use; None: all.
        validation_folder: where the items to validate on lie; None: `folder`, where `validation_split` is given.
        validation_split: file that names the items to validate on. With neither, a tenth of the training part is held
            out.
        seed: of the draw.
        layout: names folders and files, in both folders alike.

    Raises:
        InputError: a folder or file that cannot be used, names that are not there, an item in both splits, or nothing
            to train on.
    """
    name_of, kind = items.name_of, items.plural

    def pick(found: Sequence[Item], names_file: str | Path, place: str | Path) -> list[Item]:
        names = read_split(names_file)
        check_known(names, map(name_of, found), split=names_file, place=place, kind=kind)
        return [item for item in found if name_of(item) in set(names)]

    found = items.find(folder, layout)
    training = pick(found, split, folder) if split else found
    if not (validation_folder or validation_split):
        return hold_out(training, group_of=items.group_of, seed=seed)
    held_out = items.find(validation_folder, layout) if validation_folder else found
    if validation_split:
        held_out = pick(held_out, validation_split, validation_folder or folder)
    if validation_folder:
        return training, held_out
    held = set(map(name_of, held_out))
    shared = [name_of(item) for item in training if name_of(item) in held]
    if split and shared:
        raise InputError(
            f"{split} and {validation_split} share {counted(len(shared), kind.removesuffix('s'))}, "
            f"first: {first_names(shared)}; each belongs to one part"
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
        told = counted(len(unknown), f"name is no {kind.removesuffix('s')}", f"names are no {kind}")
        raise InputError(
            f"{split}: {told} of {place}, first: {first_names(unknown)}; check the folder or write the split again"
        )
