"""From two folders to a result: pair, read, score and aggregate; see `aggregation` for what the result holds."""

from __future__ import annotations

import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from tqdm import tqdm

from .aggregation import FORMAT_VERSION, DatasetAggregation
from .io import InputError, natural_key, read_grey, read_masks
from .metrics import PairScores, pair_scores
from .options import Options
from .parallel import map_in_order
from .protocols import MapPair, PairedDataset, find_datasets

__all__ = ["score_folder"]


@dataclass(frozen=True, eq=False)
class Scored:
    """What became of one pair: its scores, or the sentence that says why it could not be read."""

    scores: PairScores | None
    fault: str = ""
    resized: bool = False
    grey_mask: bool = False
    one_level_mask: bool = False


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
        gt_root, pred_root: folders as in `protocols`; nothing is written into either.
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
    aggregations = {dataset.name: DatasetAggregation(by_case=options.protocol == "vps") for dataset in datasets}
    counts = {dataset.name: _counts(dataset) for dataset in datasets}
    faults: list[str] = []
    scored = map_in_order(partial(score_mask, options=options), _by_mask(pairs), workers=workers)
    with tqdm(desc=method, total=len(pairs), unit="map", disable=None, leave=False) as bar:
        for pair, outcome in (known for group in scored for known in zip(*group, strict=True)):
            _note(counts[pair.dataset], pair, outcome)
            if outcome.scores is None:
                faults.append(outcome.fault)
            else:
                aggregations[pair.dataset].add(pair.stem, outcome.scores)
            bar.update()
    _refuse_unreadable(faults, len(pairs), options.partial)
    return {
        "format_version": FORMAT_VERSION,
        "protocol": options.protocol,
        "method": method,
        "options": options.record() | {"gt_root": str(gt_root), "pred_root": str(pred_root)},
        "versions": _versions(),
        "seconds": time.perf_counter() - start,
        "counts": counts,
        **_merged(aggregations),
    }


def _by_mask(pairs: Sequence[MapPair]) -> list[list[MapPair]]:
    """Pairs with the maps of one mask's classes together, so that it is decoded once; in the order of the masks."""
    groups: dict[Path, list[MapPair]] = {}
    for pair in pairs:
        groups.setdefault(pair.mask, []).append(pair)
    place = {folder: number for number, folder in enumerate(dict.fromkeys(mask.parent for mask in groups))}
    return sorted(groups.values(), key=lambda group: (place[group[0].mask.parent], natural_key(group[0].mask.name)))


def score_mask(pairs: Sequence[MapPair], *, options: Options) -> list[Scored]:
    """Read a mask and score the maps made for it, one, or one a class."""
    try:
        masks = read_masks(pairs[0].mask, options.classes, [pair.label for pair in pairs])
    except InputError as error:
        return [Scored(None, fault=str(error))] * len(pairs)
    return [_score_map(pair.prediction, mask, options) for pair, mask in zip(pairs, masks, strict=True)]


def _score_map(path: Path, mask: np.ndarray, options: Options) -> Scored:
    """Read and score a map; one of another size is resized to the mask in memory."""
    try:
        prediction = read_grey(path)
    except InputError as error:
        return Scored(None, fault=str(error))
    resized = prediction.shape != mask.shape
    if resized:
        prediction = cv2.resize(prediction, mask.shape[::-1])
    lowest, highest = mask.min(), mask.max()
    levels = np.count_nonzero(mask == lowest) + np.count_nonzero(mask == highest)
    return Scored(
        pair_scores(prediction, mask, **options.of_pairs()),
        resized=resized,
        grey_mask=lowest < highest and levels < mask.size,
        one_level_mask=bool(lowest == highest),
    )


def _counts(dataset: PairedDataset) -> dict[str, Any]:
    return {
        "images": 0,
        "missing_maps": dataset.missing,
        "extra_maps": dataset.extra,
        "dropped_frames": dataset.dropped,
        "unreadable": [],
        "resized_maps": [],
        "grey_masks": [],
        "one_level_masks": [],
        "no_contour": [],
    }


def _note(counts: dict[str, Any], pair: MapPair, outcome: Scored) -> None:
    """Enter one pair into the counts of its data set."""
    counts["images"] += outcome.scores is not None
    findings = {
        "unreadable": outcome.scores is None,
        "resized_maps": outcome.resized,
        "grey_masks": outcome.grey_mask,
        "one_level_masks": outcome.one_level_mask,
        "no_contour": outcome.scores is not None and np.isnan(outcome.scores.numbers.get("BR_mae", 0.0)),
    }
    for name, found in findings.items():
        if found:
            counts[name].append(pair.stem)


def _refuse_unreadable(faults: list[str], pairs: int, allowed: bool) -> None:
    if faults and (not allowed or len(faults) == pairs):
        shown = "; ".join(faults[:5])
        raise InputError(
            f"{len(faults)} of {pairs} pairs cannot be scored: {shown}{'; ...' * (len(faults) > 5)}; "
            "write these files again, or score the others with --partial"
        )


def _merged(aggregations: dict[str, DatasetAggregation]) -> dict[str, Any]:
    """Parts of the data sets, turned from {data set: {part: value}} to {part: {data set: value}}."""
    merged: dict[str, Any] = {}
    for name, aggregation in aggregations.items():
        if aggregation.per_image:
            for part, value in aggregation.result().items():
                merged.setdefault(part, {})[name] = value
    return merged


def _versions() -> dict[str, str]:
    return {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "opencv": cv2.__version__,
    }
