"""From two folders to a result: pair, read, score and aggregate; see `aggregation` for what the result holds."""

from __future__ import annotations

import json
import platform
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from tqdm import tqdm

from .aggregation import FORMAT_VERSION, DatasetAggregation
from .consistency import consistency_of_cases, mean_over_cases
from .io import (
    InputError,
    MaskFile,
    examine_masks,
    group_reading,
    natural_key,
    orientation_of,
    read_map,
    refuse_one_tagged,
    refuse_two_kinds,
)
from .metrics import HALF_LEVEL, PairScores, pair_scores
from .options import Options
from .parallel import map_in_order
from .protocols import MapPair, PairedDataset, find_datasets

__all__ = ["score_folder"]


@dataclass(frozen=True, eq=False)
class Scored:
    """What became of one pair.

    Attributes:
        scores: None where the pair could not be read.
        fault: the sentence that says why.
        findings: what is odd about it, by the names that `counts` has.
    """

    scores: PairScores | None
    fault: str = ""
    findings: tuple[str, ...] = ()


FINDINGS = (
    *("unreadable", "resized_maps", "grey_masks", "one_level_masks", "no_contour"),
    *("zero_one_masks", "empty_masks", "full_masks", "large_masks", "marked_empty_masks", "tiny_masks", "tagged_masks"),
    *("tagged_images", "dark_maps", "constant_maps", "full_range_maps", "shallow_maps", "maps_in_alpha", "color_maps"),
)
"""What may be odd about a pair, each a list of stems in `counts`; `report.sanity` says what each means."""

TINY = 8
"""Pixels of the shorter side below which a mask is counted as tiny."""

PREDICTION_FILE = "predict.json"


def score_folder(
    gt_root: str | Path,
    pred_root: str | Path,
    *,
    options: Options | None = None,
    method: str | None = None,
    workers: int = 1,
) -> dict[str, Any]:
    """Score every map of one method against its mask.

    Args:
        gt_root: the masks, laid out as in `protocols`; nothing is written there.
        pred_root: the maps, laid out as in `protocols`; nothing is written there.
        options: protocol and definitions; by default the image protocol as published.
        method: its name in tables; by default the folder's.
        workers: processes.

    Returns:
        The result dictionary described in `aggregation`.

    Raises:
        InputError: folders or files are not what the protocol expects, or cannot be read.
    """
    start = time.perf_counter()
    options = options or Options()
    method = method or Path(pred_root).resolve().name
    datasets = find_datasets(gt_root, pred_root, options)
    pairs = [pair for dataset in datasets for pair in dataset.pairs]
    aggregations = {dataset.name: _aggregation(options) for dataset in datasets}
    counts = {dataset.name: _counts(dataset) for dataset in datasets}
    for dataset in datasets:
        for stem in dataset.missing:
            aggregations[dataset.name].note_missing(stem)
    faults: list[tuple[MapPair, str]] = []
    scored = map_in_order(partial(score_mask, options=options), _by_mask(pairs), workers=workers)
    with tqdm(desc=method, total=len(pairs), unit="map", disable=None, leave=False) as bar:
        for pair, outcome in (known for group in scored for known in zip(*group, strict=True)):
            _note(counts[pair.dataset], pair, outcome)
            if outcome.scores is None:
                faults.append((pair, outcome.fault))
                aggregations[pair.dataset].note_missing(pair.stem)
            else:
                aggregations[pair.dataset].add(pair.stem, outcome.scores)
            bar.update()
    _refuse_unreadable(faults, len(pairs), options.partial)
    merged = _merged(aggregations)
    if options.consistency:
        _add_consistency(merged, consistency_of_cases(datasets, options, workers))
    for dataset in datasets:
        _refuse_two_kinds(dataset, counts[dataset.name])
    if options.groups and options.intervals and not options.classes:  # classes are of one set
        _note_shared_names(datasets, counts, options)
    return {
        "format_version": FORMAT_VERSION,
        "protocol": options.protocol,
        "method": method,
        "options": options.record()
        | {"gt_root": str(gt_root), "pred_root": str(pred_root)}
        | _prediction_record(Path(pred_root)),
        "versions": _versions(),
        "seconds": time.perf_counter() - start,
        "counts": counts,
        **merged,
    }


def _aggregation(options: Options) -> DatasetAggregation:
    """An empty one, with intervals where they are asked for."""
    by_case = options.protocol == "vps"
    if not options.intervals:
        return DatasetAggregation(by_case=by_case, fps=options.fps)
    from .statistics import Bootstrap  # needs scipy, which scoring does not

    grouped = options.groups or options.group_pattern
    return DatasetAggregation(
        by_case=by_case,
        fps=options.fps,
        bootstrap=Bootstrap(options.resamples, options.seed),
        group_of=group_reading(options.groups, options.group_pattern) if grouped else None,
    )


def _by_mask(pairs: Sequence[MapPair]) -> list[list[MapPair]]:
    """Pairs with the maps of one mask's classes together, so that it is decoded once; in the order of the masks."""
    groups: dict[Path, list[MapPair]] = {}
    for pair in pairs:
        groups.setdefault(pair.mask, []).append(pair)
    place = {folder: number for number, folder in enumerate(dict.fromkeys(mask.parent for mask in groups))}
    return sorted(groups.values(), key=lambda group: (place[group[0].mask.parent], natural_key(group[0].mask.name)))


def score_mask(pairs: Sequence[MapPair], *, options: Options) -> list[Scored]:
    """Read a mask and score the map made for it, or one map per class."""
    try:
        labels = [pair.label for pair in pairs]
        masks = examine_masks(pairs[0].mask, options.classes, labels, options.layout.mask_values)
    except InputError as error:
        return [Scored(None, str(error), ("unreadable",))] * len(pairs)
    return [_score_map(pair, mask, options) for pair, mask in zip(pairs, masks, strict=True)]


def _score_map(pair: MapPair, mask: MaskFile, options: Options) -> Scored:
    """Read and score a map; one of another size is resized to the mask in memory."""
    try:
        found = read_map(pair.prediction)
        if found.orientation != 1:
            refuse_one_tagged(pair.prediction, found.orientation, pair.mask, mask.orientation)
        of_image = orientation_of(pair.image) if pair.image else mask.orientation
        if not options.partial:
            refuse_one_tagged(pair.image or "", of_image, pair.mask, mask.orientation)
    except InputError as error:
        return Scored(None, str(error), ("unreadable",))
    prediction = found.levels
    resized = prediction.shape != mask.levels.shape
    if resized:
        prediction = cv2.resize(prediction, mask.levels.shape[::-1])
    scores = pair_scores(prediction, mask.levels, **options.of_pairs())
    lowest, highest = int(found.levels.min()), int(found.levels.max())
    empty = scores.numbers["size"] == 0.0
    findings = {
        "resized_maps": resized,
        "no_contour": bool(np.isnan(scores.numbers.get("BR_mae", 0.0))),
        "empty_masks": empty,
        "full_masks": scores.numbers["size"] == 1.0,
        "large_masks": scores.numbers["size"] > 0.5,
        "marked_empty_masks": empty and highest >= HALF_LEVEL,
        "tagged_images": of_image != mask.orientation,
        "dark_maps": highest < HALF_LEVEL,
        "constant_maps": lowest == highest,
        "full_range_maps": (lowest, highest) == (0, 255) and has_more_levels(found.levels),
        "shallow_maps": found.shallow,
        "maps_in_alpha": found.in_alpha,
        "color_maps": found.colored,
        **_mask_findings(mask),
    }
    return Scored(scores, findings=tuple(name for name, true in findings.items() if true))


def _mask_findings(mask: MaskFile) -> dict[str, bool]:
    constant = int(mask.levels.min()) == int(mask.levels.max())
    return {
        "grey_masks": not constant and has_more_levels(mask.levels),
        "one_level_masks": constant,
        "zero_one_masks": mask.zero_one,
        "tiny_masks": min(mask.levels.shape) < TINY,
        "tagged_masks": mask.orientation != 1,
    }


def has_more_levels(picture: np.ndarray) -> bool:
    """Whether there are levels between the lowest and the highest."""
    ends = np.count_nonzero(picture == picture.min()) + np.count_nonzero(picture == picture.max())
    return ends < picture.size


def _prediction_record(pred_root: Path) -> dict[str, Any]:
    """What prediction wrote of itself beside the maps, or above those of a set of its own; nothing if unreadable."""
    folder = pred_root.resolve()
    for place in (folder, folder.parent):
        try:
            record = json.loads((place / PREDICTION_FILE).read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            continue
        if isinstance(record, dict) and (place == folder or folder.name in record.get("images", ())):
            return {"prediction": record}
    return {}


def _counts(dataset: PairedDataset) -> dict[str, Any]:
    """Counts of a data set before any pair was read."""
    return {
        "images": 0,
        "missing_maps": dataset.missing,
        "extra_maps": dataset.extra,
        "dropped_frames": dataset.dropped,
        "short_cases": dataset.short,
        **{name: [] for name in FINDINGS},
    }


def _note(counts: dict[str, Any], pair: MapPair, outcome: Scored) -> None:
    """Enter one pair into the counts of its data set."""
    counts["images"] += outcome.scores is not None
    for name in outcome.findings:
        counts[name].append(pair.stem)


def _note_shared_names(datasets: Sequence[PairedDataset], counts: dict[str, Any], options: Options) -> None:
    """Note the names (of cases, in the VPS protocol) of several data sets that a file of groups does not tell apart."""
    group_of, by_case = group_reading(options.groups, None), options.protocol == "vps"
    names = {
        dataset.name: {pair.stem.rpartition("/")[0] if by_case else pair.stem: None for pair in dataset.pairs}
        for dataset in datasets
    }
    sets_of = Counter(name for own in names.values() for name in own)
    for dataset, own in names.items():
        counts[dataset]["shared_names"] = [n for n in own if sets_of[n] > 1 and group_of(n) is not None]


def _refuse_two_kinds(dataset: PairedDataset, counts: dict[str, Any]) -> None:
    """Refuse a data set of masks of which only some were read as 0 and 1."""
    unlike = {name for kind in ("zero_one_masks", "empty_masks", "unreadable") for name in counts[kind]}
    others = [pair.stem for pair in dataset.pairs if pair.stem not in unlike]
    refuse_two_kinds(dataset.name, counts["zero_one_masks"], others)


def _refuse_unreadable(faults: list[tuple[MapPair, str]], pairs: int, allowed: bool) -> None:
    """Refuse to go on where pairs could not be read; what was said of several files alike is said once."""
    if not faults or (allowed and len(faults) < pairs):
        return
    alike: dict[str, list[str]] = {}
    for pair, fault in faults:
        kind = fault
        for path in (pair.mask, pair.prediction, pair.image):
            kind = kind.replace(str(path), "")
        alike.setdefault(kind, []).append(fault)
    shown = [found[0] + (f" (and {len(found) - 1} more like it)" if found[1:] else "") for found in alike.values()]
    advice = "" if len(faults) == pairs else "; write these files again, or score the others with --partial"
    raise InputError(
        f"{len(faults)} of {pairs} pairs cannot be scored: {'; '.join(shown[:5])}{'; ...' * (len(shown) > 5)}{advice}"
    )


def _merged(aggregations: dict[str, DatasetAggregation]) -> dict[str, Any]:
    """Parts of the data sets, turned from {data set: {part: value}} to {part: {data set: value}}."""
    merged: dict[str, Any] = {}
    for name, aggregation in aggregations.items():
        if aggregation.per_image:
            for part, value in aggregation.result().items():
                merged.setdefault(part, {})[name] = value
    return merged


def _add_consistency(merged: dict[str, Any], found: dict[str, dict[str, dict[str, float]]]) -> None:
    """Enter how steady maps are into the scores of cases and data sets."""
    for name, cases in found.items():
        scored = {case: scores for case, scores in cases.items() if case in merged["per_case"].get(name, {})}
        for case, scores in scored.items():
            merged["per_case"][name][case] |= scores
        if scored:
            merged["datasets"][name] |= mean_over_cases(scored)


def _versions() -> dict[str, str]:
    return {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "opencv": cv2.__version__,
    }
