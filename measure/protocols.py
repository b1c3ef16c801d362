"""Which file is scored against which: the two protocols walk the folders, pair, and read nothing.

image   <gt_root>/<dataset>/masks/<stem>.*      <pred_root>/<dataset>/<stem>.*
        or one data set: masks in <gt_root>/masks/ or <gt_root>/ itself, maps in <pred_root>/ or <pred_root>/<dataset>/
        with classes, the maps of each class in <pred_root>/<class>/, and those of all of them in <pred_root>/merged/
vps     <gt_root>/<split>/GT/<case>/<frame>.*   <pred_root>/<split>/<case>/<frame>.*
        or one split: <gt_root>/GT/<case>/, maps in <pred_root>/<case>/; a TrainDataset below <gt_root> is passed over

`Options.layout` gives other names to the folders of stills. Pairs are made from the ground-truth side. The VPS protocol
drops the first and the last frame of each case before pairing, in natural order of the names, as SUN-SEG's tool does.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from .io import (
    FRAME_MASKS,
    MERGED,
    InputError,
    contents,
    counted,
    first_names,
    images_beside,
    images_by_stem,
    pair_stems,
    set_folders,
    split_folders,
    subfolders,
)
from .options import Options

__all__ = ["SHORTEST_CASE", "MapPair", "PairedDataset", "find_datasets"]

SHORTEST_CASE = 3
"""Frames of a case of which one is left when the first and the last are dropped."""


@dataclass(frozen=True)
class MapPair:
    """A map and its mask.

    Attributes:
        dataset: name of the data set (VPS: of the split).
        stem: the key in `per_image` (VPS: case/frame).
        mask: the mask's file.
        prediction: the map's file.
        label: the class that is scored, or "".
        image: the image's file where one lies beside the masks.
    """

    dataset: str
    stem: str
    mask: Path
    prediction: Path
    label: str = ""
    image: Path | None = None


@dataclass
class PairedDataset:
    """A data set's pairs in order, and the names of what is left out.

    Attributes:
        name: the data set's (VPS: the split's).
        pairs: maps and masks, in natural order.
        missing: stems whose map is missing.
        extra: stems of maps without a mask.
        dropped: frames that the VPS protocol leaves out.
        short: cases that have too few frames to be scored (VPS).
    """

    name: str
    pairs: list[MapPair] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    extra: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    short: list[str] = field(default_factory=list)


def find_datasets(gt_root: str | Path, pred_root: str | Path, options: Options) -> list[PairedDataset]:
    """Pair the maps of one method with the ground truth of every data set found under `gt_root`.

    With classes, every data set comes once per class and once merged, called `<class>/<name>` and `merged/<name>`.

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
    datasets = list(walk(gt_root, pred_root, options))
    if not any(dataset.pairs for dataset in datasets):
        wanted = sum(len(dataset.missing) for dataset in datasets)
        first = first_names([f"{d.name}/{stem}" for d in datasets for stem in d.missing[:5]][:5])
        raise InputError(
            f"{counted(0, 'map', of=wanted)} found in {pred_root}; first missing: {first}; "
            f"{contents(pred_root)}; check --pred_root"
        )
    return [dataset for dataset in datasets if dataset.pairs or dataset.missing or dataset.short]


def _image_datasets(gt_root: Path, pred_root: Path, options: Options) -> Iterator[PairedDataset]:
    layout, partial = options.layout, options.partial
    sets = set_folders(gt_root, layout.masks, layout=layout, bare=True)
    if not sets:
        raise InputError(
            f"no masks under {gt_root}; expected <dataset>/{layout.masks}/, {layout.masks}/ or masks in it, but "
            f"{contents(gt_root)}; --masks NAME reads folders of another name"
        )
    single = list(sets.values()) in ([gt_root], [gt_root / layout.masks])
    if not single:
        _refuse_unknown_names(gt_root, pred_root, sets)
        _refuse_maps_without_sets(gt_root, pred_root, sets)
    if not partial and not single:
        _refuse_extra(pred_root, list(sets))
    for name, masks in sets.items():
        dataset = PairedDataset(name)
        maps = _maps_of_single_set(pred_root, name) if single else pred_root / name
        images = _images_of(images_beside(masks, layout), without_ending=layout.mask_suffix)
        _pair(dataset, "", images_by_stem(masks, ending=layout.mask_suffix), maps, images, masks, partial=partial)
        yield dataset


def _refuse_unknown_names(gt_root: Path, pred_root: Path, sets: Mapping[str, Path]) -> None:
    """Refuse folders of files that no map belongs to: most often one of them holds the masks of a single set."""
    if any(folder.name != name or (pred_root / name).is_dir() for name, folder in sets.items()):
        return
    raise InputError(
        f"{gt_root} holds folders of images, {first_names(list(sets))}, and {pred_root} none of their names; if one of "
        "them holds the masks of a single set, name it: --masks NAME"
    )


def _refuse_maps_without_sets(gt_root: Path, pred_root: Path, sets: Mapping[str, Path]) -> None:
    """Refuse maps that lie in their root where each set should have a folder: most often they are of one set."""
    if any((pred_root / name).is_dir() for name in sets) or not images_by_stem(pred_root, allow_empty=True):
        return
    raise InputError(
        f"{pred_root} holds images itself and no folder called {first_names(list(sets))}, as {gt_root} has; if they "
        f"are the maps of one of these sets, name it: --GT_root {gt_root / next(iter(sets))}"
    )


def _maps_of_single_set(pred_root: Path, name: str) -> Path:
    """Maps of a single data set lie in the folder given or, as prediction leaves them, in one of the set's name."""
    named = pred_root / name
    return named if named.is_dir() and not images_by_stem(pred_root, allow_empty=True) else pred_root


def _images_of(folder: Path | None, *, without_ending: str = "") -> dict[str, Path]:
    """Images that lie beside masks; none where they cannot be told."""
    try:
        found = images_by_stem(folder, allow_empty=True, without_ending=without_ending) if folder else {}
    except InputError:
        return {}
    return found


def _vps_splits(gt_root: Path, pred_root: Path, options: Options) -> Iterator[PairedDataset]:
    splits = split_folders(gt_root, FRAME_MASKS)
    if not splits:
        raise InputError(
            f"no split under {gt_root}; expected {gt_root}/<split>/{FRAME_MASKS}/<case>/<frame>.png, such as "
            f"TestEasyDataset/Seen/{FRAME_MASKS}/case1_1/; {contents(gt_root)}"
        )
    for name, masks in splits.items():
        dataset = PairedDataset(name)
        maps = pred_root if masks.parent == gt_root else pred_root / name
        cases = subfolders(masks)
        if not cases:
            raise InputError(f"no case under {masks}; expected {masks}/<case>/<frame>.png; {contents(masks)}")
        if not options.partial:
            _refuse_extra(maps, cases)
        for case in cases:
            _pair_case(dataset, case, masks, maps, partial=options.partial)
        yield dataset


def _refuse_extra(maps: Path, known: list[str]) -> None:
    """Folders of maps without ground truth are extra maps."""
    others = [name for name in subfolders(maps) if name not in set(known)]
    extra = [name for name in others if images_by_stem(maps / name, allow_empty=True)]
    if extra:
        told = counted(len(extra), f"folder of maps in {maps} has", f"folders of maps in {maps} have")
        raise InputError(f"{told} no ground truth: {first_names(extra)}; --partial passes over them")


def _pair_case(dataset: PairedDataset, case: str, masks: Path, maps: Path, *, partial: bool) -> None:
    """Add a case's pairs, all but its first and last frame."""
    frames = images_by_stem(masks / case)
    stems = list(frames)
    if len(stems) < SHORTEST_CASE:
        if partial:
            dataset.short.append(case)
            return
        raise InputError(
            f"{masks / case} has {counted(len(stems), 'frame')}, at least {SHORTEST_CASE} were expected: the first and "
            "the last one are dropped by this protocol; --partial leaves such cases out"
        )
    dropped = {stems[0], stems[-1]}
    dataset.dropped += [f"{case}/{stem}" for stem in (stems[0], stems[-1])]
    scored = {stem: path for stem, path in frames.items() if stem not in dropped}
    beside = images_beside(masks)
    images = _images_of(beside / case if beside else None)
    _pair(dataset, f"{case}/", scored, maps / case, images, masks / case, partial=partial, dropped=dropped)


def _pair(
    dataset: PairedDataset,
    prefix: str,
    masks: Mapping[str, Path],
    maps: Path,
    images: Mapping[str, Path],
    place: Path,
    *,
    partial: bool,
    dropped: Collection[str] = (),
) -> None:
    """Add the pairs of a folder of masks (`place`) and a folder of maps; maps of `dropped` frames are no extra ones."""
    found = {} if partial and not maps.is_dir() else images_by_stem(maps, allow_empty=True)
    advice = _where_maps_are(maps) if maps.is_dir() and not found else "names must agree up to the suffix"
    pairing = pair_stems(
        masks,
        {stem: path for stem, path in found.items() if stem not in dropped},
        place=f"{place} and {maps}",
        allow_missing=partial,
        allow_extra=partial,
        allow_none=partial,
        advice=f"{advice}; --partial scores what is there",
    )
    dataset.pairs += [
        MapPair(dataset.name, prefix + stem, mask, prediction, image=images.get(stem))
        for stem, mask, prediction in pairing.pairs
    ]
    dataset.missing += [prefix + stem for stem in pairing.missing]
    dataset.extra += [prefix + stem for stem in pairing.extra]


def _where_maps_are(maps: Path) -> str:
    """What a folder without maps holds instead, and what to do where they lie a folder deeper."""
    told = f"{maps} holds no map: {contents(maps)}"
    deeper = [name for name in subfolders(maps) if images_by_stem(maps / name, allow_empty=True)]
    return f"{told}; move the maps up, or give {maps / deeper[0]} as --pred_root for this set alone" if deeper else told
