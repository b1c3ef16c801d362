"""Which file is scored against which: the two protocols walk the folders, pair, and read nothing.

image   <gt_root>/<dataset>/masks/<stem>.*      <pred_root>/<dataset>/<stem>.*
        or one data set: masks in <gt_root>/masks/ or <gt_root>/ itself, maps in <pred_root>/ or <pred_root>/<dataset>/
        with classes, the maps of each class in <pred_root>/<class>/, and those of all of them in <pred_root>/merged/
vps     <gt_root>/<split>/GT/<case>/<frame>.*   <pred_root>/<split>/<case>/<frame>.*
        or one split: <gt_root>/GT/<case>/, maps in <pred_root>/<case>/; a TrainDataset below <gt_root> is passed over

Pairs are made from the ground-truth side. The VPS protocol drops the first and the last frame of each case before
pairing, in natural order of the names, as SUN-SEG's tool does.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from .io import (
    FRAME_MASKS,
    MERGED,
    STILLS,
    InputError,
    first_names,
    images_by_stem,
    pair_stems,
    set_folders,
    split_folders,
    subfolders,
)
from .options import Options

__all__ = ["SHORTEST_CASE", "PairedDataset", "MapPair", "find_datasets"]

SHORTEST_CASE = 3
"""Frames of a case of which one is left when the first and the last are dropped."""


@dataclass(frozen=True)
class MapPair:
    """A map and its mask; `stem` is the key in `per_image` (VPS: case/frame), `label` the class scored or ""."""

    dataset: str
    stem: str
    mask: Path
    prediction: Path
    label: str = ""


@dataclass
class PairedDataset:
    """A data set's pairs in order, and the names of what is left out."""

    name: str
    pairs: list[MapPair] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    extra: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)


def find_datasets(gt_root: str | Path, pred_root: str | Path, options: Options) -> list[PairedDataset]:
    """MapPair the maps of one method with the ground truth of every data set found under `gt_root`.

    With classes, every data set is there once a class and once merged, called `<class>/<name>` and `merged/<name>`.

    Raises:
        InputError: a folder is missing, empty or not laid out as above; maps are missing or extra (unless
            `options.partial`); nothing pairs; a VPS case has fewer than three frames.
    """
    gt_root, pred_root = Path(gt_root), Path(pred_root)
    if options.classes is None:
        return _find(gt_root, pred_root, options)
    return [
        _of_class(label, dataset)
        for label in (*options.classes.names, MERGED)
        for dataset in _find(gt_root, pred_root / label, options)
    ]


def _of_class(label: str, dataset: PairedDataset) -> PairedDataset:
    """The data set as that of one class."""
    name = f"{label}/{dataset.name}"
    return replace(dataset, name=name, pairs=[replace(pair, dataset=name, label=label) for pair in dataset.pairs])


def _find(gt_root: Path, pred_root: Path, options: Options) -> list[PairedDataset]:
    subfolders(pred_root)  # refuses a root that is not there before any data set is looked for in it
    walk = _vps_splits if options.protocol == "vps" else _image_datasets
    datasets = list(walk(gt_root, pred_root, options.partial))
    if not any(dataset.pairs for dataset in datasets):
        wanted = sum(len(dataset.missing) for dataset in datasets)
        first = first_names([f"{d.name}/{stem}" for d in datasets for stem in d.missing[:5]][:5])
        raise InputError(f"0 of {wanted} maps found in {pred_root}; first missing: {first}; check --pred_root")
    return [dataset for dataset in datasets if dataset.pairs or dataset.missing]


def _image_datasets(gt_root: Path, pred_root: Path, partial: bool) -> Iterator[PairedDataset]:
    sets = set_folders(gt_root, STILLS.masks, bare=True)
    if not sets:
        raise InputError(
            f"no masks under {gt_root}; expected {gt_root}/<dataset>/masks/, {gt_root}/masks/ or masks in it"
        )
    single = _single_set(gt_root, sets)
    if not partial and not single:
        _refuse_extra(pred_root, list(sets))
    for name, masks in sets.items():
        dataset = PairedDataset(name)
        maps = _maps_of_single_set(pred_root, name) if single else pred_root / name
        found = {} if partial and not maps.is_dir() else images_by_stem(maps, allow_empty=True)
        _pair(dataset, "", images_by_stem(masks), found, place=f"{masks} and {maps}", partial=partial)
        yield dataset


def _single_set(gt_root: Path, sets: dict[str, Path]) -> bool:
    """Whether `gt_root` is a data set itself, not a folder of data sets."""
    return list(sets.values()) in ([gt_root], [gt_root / STILLS.masks])


def _maps_of_single_set(pred_root: Path, name: str) -> Path:
    """Maps of a single data set lie in the folder given or, as prediction leaves them, in one of the set's name."""
    named = pred_root / name
    return named if named.is_dir() and not images_by_stem(pred_root, allow_empty=True) else pred_root


def _vps_splits(gt_root: Path, pred_root: Path, partial: bool) -> Iterator[PairedDataset]:
    splits = split_folders(gt_root, FRAME_MASKS)
    if not splits:
        raise InputError(
            f"no split under {gt_root}; expected {gt_root}/<split>/{FRAME_MASKS}/<case>/<frame>.png, such as "
            f"TestEasyDataset/Seen/{FRAME_MASKS}/case1_1/"
        )
    for name, masks in splits.items():
        dataset = PairedDataset(name)
        maps = pred_root if masks.parent == gt_root else pred_root / name
        cases = subfolders(masks)
        if not cases:
            raise InputError(f"no case under {masks}; expected {masks}/<case>/<frame>.png")
        if not partial:
            _refuse_extra(maps, cases)
        for case in cases:
            _pair_case(dataset, case, masks / case, maps / case, partial=partial)
        yield dataset


def _refuse_extra(maps: Path, known: list[str]) -> None:
    """Folders of maps without ground truth are extra maps."""
    others = [name for name in subfolders(maps) if name not in set(known)]
    extra = [name for name in others if images_by_stem(maps / name, allow_empty=True)]
    if extra:
        raise InputError(
            f"{len(extra)} folders of maps in {maps} have no ground truth: {first_names(extra)}; "
            "--partial passes over them"
        )


def _pair_case(dataset: PairedDataset, case: str, masks: Path, maps: Path, *, partial: bool) -> None:
    """Add a case's pairs, all but its first and last frame."""
    frames = images_by_stem(masks)
    stems = list(frames)
    if len(stems) < SHORTEST_CASE:
        raise InputError(
            f"{masks} has {len(stems)} frames, at least {SHORTEST_CASE} were expected: the first and the last one "
            "are dropped by this protocol"
        )
    dropped = {stems[0], stems[-1]}
    dataset.dropped += [f"{case}/{stem}" for stem in (stems[0], stems[-1])]
    found = {} if partial and not maps.is_dir() else images_by_stem(maps, allow_empty=True)
    scored = {stem: path for stem, path in frames.items() if stem not in dropped}
    found = {stem: path for stem, path in found.items() if stem not in dropped}
    _pair(dataset, f"{case}/", scored, found, place=f"{masks} and {maps}", partial=partial)


def _pair(
    dataset: PairedDataset, prefix: str, masks: dict[str, Path], maps: dict[str, Path], *, place: str, partial: bool
) -> None:
    found = pair_stems(
        masks,
        maps,
        place=place,
        allow_missing=partial,
        allow_extra=partial,
        allow_none=partial,
        advice="names must agree up to the suffix; --partial scores what is there",
    )
    dataset.pairs += [MapPair(dataset.name, prefix + stem, mask, prediction) for stem, mask, prediction in found.pairs]
    dataset.missing += [prefix + stem for stem in found.missing]
    dataset.extra += [prefix + stem for stem in found.extra]
