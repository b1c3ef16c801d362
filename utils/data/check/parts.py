"""The parts of data that are checked: every set of stills and every split of clips below the given folders."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from measure.io import (
    FRAMES,
    STILLS,
    TRAINING_SPLIT,
    GroupOf,
    InputError,
    Layout,
    contents,
    counted,
    first_names,
    has_clips,
    pair_stems,
    set_folders,
    subfolders,
)

from ..clip_dataset import pair_cases
from ..pairs import Pair
from ..splits import check_known, read_split
from .problems import Problem

__all__ = ["Part", "find_parts_to_check", "parts_of_splits"]

DEEPEST = 3  # folders below the given one, as in data/SUN-SEG/TestEasyDataset/Seen


@dataclass(frozen=True)
class Part:
    """Pairs that belong together: a set, a split of clips, or what a split file names.

    Attributes:
        name: what it is called; no two parts have one name.
        folder: where it lies.
        pairs: images with their masks.
        clips: the clip that each pair is a frame of, None for stills.
        groups: the patient, polyp or sequence that each pair shows, None where that is not known.
        problems: what is wrong with its folders.
    """

    name: str
    folder: Path
    pairs: tuple[Pair, ...]
    clips: tuple[str | None, ...]
    groups: tuple[str | None, ...]
    problems: tuple[Problem, ...] = ()


def find_parts_to_check(
    folders: Sequence[Path], *, layout: Layout = STILLS, group_of: GroupOf | None = None
) -> list[Part]:
    """Find the parts in the folders: sets of stills and splits of clips, up to three folders below.

    Args:
        folders: where to look.
        layout: what folders and files of stills are called.
        group_of: the group of a stem; None: clips of one polyp are a group, stills are in none.

    Raises:
        InputError: a folder is missing, holds nothing of the kind, or is found twice.
    """
    parts: list[Part] = []
    for folder in folders:
        found = _parts_in(folder, layout, group_of)
        if not found:
            raise InputError(
                f"no data under {folder}; expected {layout.images}/ and {layout.masks}/ in it or in its folders, or "
                f"{FRAMES}/ of clips; {contents(folder)}; --images NAME and --masks NAME name other folders"
            )
        parts += found
    _refuse_twice([part.folder for part in parts])
    names = [part.name for part in parts]
    return [replace(part, name=str(part.folder)) if names.count(part.name) > 1 else part for part in parts]


def _refuse_twice(places: Sequence[Path]) -> None:
    """Refuse a folder or file that was named twice; two links to one place are two, and shown to be alike."""
    written = [os.path.abspath(place) for place in places]
    if twice := [place for number, place in enumerate(written) if place in written[:number]]:
        raise InputError(f"{twice[0]} would be looked at twice; give it once, or the folder above it")


def _parts_in(
    folder: Path, layout: Layout, group_of: GroupOf | None, *, root: Path | None = None, depth: int = DEEPEST
) -> list[Part]:
    """The part that a folder is, or those in it.

    Args:
        root: the folder that was given, which names of clips' splits are relative to; None: this one.
        depth: how many folders below are looked into.
    """
    if has_clips(folder):
        name = folder.relative_to(root).as_posix() if root else folder.resolve().name
        return [_clip_part(name, folder, layout, group_of)]
    if (folder / layout.images).is_dir():
        (name,) = set_folders(folder, layout.images, layout=layout)
        return [_still_part(name, folder, layout, group_of)]
    parts: list[Part] = []
    for name in sorted(subfolders(folder), key=lambda name: name != TRAINING_SPLIT) if depth else ():
        parts += _parts_in(folder / name, layout, group_of, root=root or folder, depth=depth - 1)
    return parts


def _still_part(name: str, folder: Path, layout: Layout, group_of: GroupOf | None) -> Part:
    pairing = pair_stems(
        images := layout.list_images(folder),
        masks := layout.list_masks(folder),
        place=str(folder),
        allow_missing=True,
        allow_extra=True,
        allow_none=True,
    )
    pairs = tuple(Pair(*pair, layout.mask_values) for pair in pairing.pairs)
    missing, extra = [images[stem] for stem in pairing.missing], [masks[stem] for stem in pairing.extra]
    problems = _unpaired(name, missing, extra, len(images))
    if not pairs:  # names that differ throughout: the refusal of a training knows what to do
        problems = (Problem("missing mask", _refusal(layout, folder), (*missing, *extra)),)
    groups = tuple(group_of(pair.stem) if group_of else None for pair in pairs)
    return Part(name, folder, pairs, (None,) * len(pairs), groups, problems)


def _refusal(layout: Layout, folder: Path) -> str:
    try:
        layout.pair(folder)
    except InputError as error:
        return str(error)
    return ""  # somebody has renamed the files meanwhile


def _clip_part(name: str, folder: Path, layout: Layout, group_of: GroupOf | None) -> Part:
    cases, unmasked, unseen = pair_cases(folder, layout)
    pairs = tuple(pair for case in cases for pair in case.frames)
    clips = tuple(case.name for case in cases for _ in case.frames)
    groups = tuple((group_of(case.name) if group_of else case.polyp) for case in cases for _ in case.frames)
    names = [[Path(name) for name in names] for names in (unmasked, unseen)]
    return Part(name, folder, pairs, clips, groups, _unpaired(name, *names, len(pairs) + len(unmasked)))


def _unpaired(name: str, images: Sequence[Path], masks: Sequence[Path], count: int) -> tuple[Problem, ...]:
    """Problems for images without mask, of `count`, and masks without image."""
    faults = (
        ("missing mask", images, f"{counted(len(images), 'image has', 'images have', of=count)} no mask"),
        ("missing image", masks, f"{counted(len(masks), 'mask has', 'masks have')} no image"),
    )
    return tuple(
        Problem(kind, f"{name}: {text}, first: {first_names([path.stem for path in files])}", tuple(files))
        for kind, files, text in faults
        if files
    )


def parts_of_splits(part: Part, splits: Sequence[Path]) -> list[Part]:
    """Divide a part by split files; what none of them names is left out.

    Raises:
        InputError: a file cannot be read, is given twice, or names what is not there.
    """
    _refuse_twice(splits)
    stems = [split.stem for split in splits]
    names = [clip or pair.stem for pair, clip in zip(part.pairs, part.clips, strict=True)]
    divided = []
    for split in splits:
        chosen = read_split(split)
        check_known(chosen, names, split=split, place=part.folder)
        keep = [index for index, name in enumerate(names) if name in set(chosen)]
        picked = (tuple(values[index] for index in keep) for values in (part.pairs, part.clips, part.groups))
        own = split.stem if stems.count(split.stem) == 1 else str(split)
        divided.append(Part(own, part.folder, *picked, part.problems if not divided else ()))
    return divided
