"""How steady maps are from frame to frame of a case where the truth is: agreement, also after optical flow, flicker.

The field has no standard for this; the definitions are ours. Maps are cut at the threshold, masks at theirs. Of every
two frames that follow one another in the ground truth, where both were scored and have masks of one size:

FrameAgreement   IoU of the two maps, where the two masks have an IoU of at least 0.9 (nothing twice is 1); the mean
WarpedAgreement  IoU of the second map and the first one moved along the optical flow between the images (OpenCV's DIS,
                 medium preset), where either marks something; the mean; none where images are missing
Flicker          how often per second a map begins or ceases to mark anything though the masks do not change so
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from itertools import pairwise
from typing import NamedTuple

import cv2
import numpy as np

from .io import FOREGROUND_ABOVE, InputError, examine_masks, natural_key, read_map, read_rgb
from .options import Options
from .parallel import map_in_order
from .protocols import MapPair, PairedDataset

__all__ = ["CONSISTENCY", "case_consistency", "consistency_of_cases", "mean_over_cases", "steadiness"]

CONSISTENCY = ("FrameAgreement", "WarpedAgreement", "Flicker")
STEADY_TRUTH = 0.9


class Frame(NamedTuple):
    """A frame of a case.

    Attributes:
        marked: (H, W) bool, the map cut at the threshold.
        polyp: (H, W) bool, the mask.
        image: (H, W) uint8 grey, or None where there is none.
    """

    marked: np.ndarray
    polyp: np.ndarray
    image: np.ndarray | None


def consistency_of_cases(
    datasets: Sequence[PairedDataset], options: Options, workers: int
) -> dict[str, dict[str, dict[str, float]]]:
    """The scores of every case: {data set: {case: {name: value}}}; NaN where a case has no such frames."""
    cases = {(dataset.name, case): pairs for dataset in datasets for case, pairs in _frames_by_case(dataset).items()}
    found: dict[str, dict[str, dict[str, float]]] = {}
    scored = map_in_order(partial(case_consistency, options=options), list(cases.values()), workers=workers)
    for (name, case), (_, scores) in zip(cases, scored, strict=True):
        found.setdefault(name, {})[case] = scores
    return found


def _frames_by_case(dataset: PairedDataset) -> dict[str, list[MapPair | None]]:
    """The frames of every case in order; None where the map is missing, so that its neighbors do not seem to follow."""
    frames: dict[str, MapPair | None] = {pair.stem: pair for pair in dataset.pairs} | dict.fromkeys(dataset.missing)
    cases: dict[str, list[MapPair | None]] = {}
    for stem in sorted(frames, key=natural_key):
        cases.setdefault(stem.rpartition("/")[0], []).append(frames[stem])
    return cases


def case_consistency(pairs: Sequence[MapPair | None], *, options: Options) -> dict[str, float]:
    """Read the frames of a case in order and score how steady its maps are; missing ones part those around them."""
    return steadiness((pair and _read(pair, options) for pair in pairs), rate=options.fps)


def _read(pair: MapPair, options: Options) -> Frame | None:
    try:
        mask = examine_masks(pair.mask, options.classes, [pair.label], options.layout.mask_values)[0].levels
        prediction = read_map(pair.prediction).levels
    except InputError:
        return None
    if prediction.shape != mask.shape:
        prediction = cv2.resize(prediction, mask.shape[::-1])
    return Frame(prediction >= options.cut, mask > FOREGROUND_ABOVE, _grey(pair, mask.shape))


def _grey(pair: MapPair, shape: tuple[int, int]) -> np.ndarray | None:
    """The image in grey at a shape; a missing or damaged one costs only the warped agreement."""
    try:
        image = read_rgb(pair.image) if pair.image else None
    except InputError:
        return None
    return None if image is None else cv2.resize(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), shape[::-1])


def steadiness(frames: Iterable[Frame | None], *, rate: float) -> dict[str, float]:
    """The scores of a case.

    Args:
        frames: in order, each a `Frame` or None where it is missing.
        rate: frames per second.
    """
    agreements, warped, changes, seconds = [], [], 0, 0.0
    for first, second in pairwise(frames):
        if first is None or second is None or first.marked.shape != second.marked.shape:
            continue
        seconds += 1 / rate
        same_truth = first.polyp.any() == second.polyp.any()
        changes += bool(same_truth and first.marked.any() != second.marked.any())
        if _iou(first.polyp, second.polyp) >= STEADY_TRUTH:
            agreements.append(_iou(first.marked, second.marked))
        has_images = first.image is not None and second.image is not None
        if has_images and (first.marked.any() or second.marked.any()):
            warped.append(_iou(_moved(first, second), second.marked))
    values = (
        np.mean(agreements) if agreements else np.nan,
        np.mean(warped) if warped else np.nan,
        changes / seconds if seconds else np.nan,
    )
    return dict(zip(CONSISTENCY, map(float, values), strict=True))


def _iou(first: np.ndarray, second: np.ndarray) -> float:
    either = np.count_nonzero(first | second)
    return np.count_nonzero(first & second) / either if either else 1.0


def _moved(first: Frame, second: Frame) -> np.ndarray:
    """The first frame's map where the flow puts it in the second frame, (H, W) bool."""
    # from the second image back to the first: for every pixel of the second, where it was
    flow = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc(second.image, first.image, None)
    rows, columns = np.mgrid[: flow.shape[0], : flow.shape[1]].astype(np.float32)
    was = columns + flow[..., 0], rows + flow[..., 1]
    return cv2.remap(255 * first.marked.astype(np.uint8), *was, cv2.INTER_LINEAR) > FOREGROUND_ABOVE


def mean_over_cases(cases: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """The mean over the cases that have each score."""
    means = {}
    for name in CONSISTENCY:
        values = [scores[name] for scores in cases.values() if np.isfinite(scores[name])]
        means[name] = float(np.mean(values)) if values else float("nan")
    return means
