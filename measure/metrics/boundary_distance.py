"""How far the outline of a map cut at a threshold lies from the outline of its mask, in pixels.

The boundary of a region X is made of the pixels of X that have one of their four neighbors outside X; beyond the edge
of the image is outside. d(A, B) holds, for every boundary pixel of A, the Euclidean distance to the nearest boundary
pixel of B. Tools differ in what they make of both directions, hence several names:

HD            the greatest of both directions
HD95          the larger of the two directions' 95th percentiles (MONAI, DeepMind's surface-distance)
HD95_pooled   the 95th percentile of both directions' distances together (medpy)
ASSD          the mean of both directions' distances together (medpy's assd)
MASD          the mean of the two directions' means
NSD           share of both boundaries' pixels that lie within a tolerance of the other boundary
NSD_scaled    the same, with a tolerance that grows with the image: it is the one given on 352 x 352 pixels
BoundaryIoU   IoU of the parts of map and mask within 2 % of the diagonal of their outside (Cheng et al., CVPR 2021)

| mask, map  | distances              | NSD, BoundaryIoU |
|------------|------------------------|------------------|
| both empty | 0                      | 1                |
| one empty  | the image's diagonal   | 0                |

A missed polyp so costs as much as an outline can be wrong. The same scores under names that end in `_both` leave these
cases out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np

from .histograms import Box

__all__ = ["DISTANCES", "WHERE_BOTH", "DistanceSettings", "boundary_distances", "empty_counts", "empty_scores"]

PIXEL_DISTANCES = ("HD", "HD95", "HD95_pooled", "ASSD", "MASD")
SHARES = ("NSD", "NSD_scaled", "BoundaryIoU")
DISTANCES = PIXEL_DISTANCES + SHARES
"""Names of the scores, in the order of the tables."""

WHERE_BOTH = "_both"
"""Ending of the scores' names over the images where mask and map both hold polyp."""

PERCENTILE = 0.95
SCALED_AT = 352 * math.sqrt(2)  # pixels of the diagonal on which NSD and NSD_scaled are the same
RIM = 0.02  # of the diagonal: width of the rim that BoundaryIoU compares, as in its paper
CROSS = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))


@dataclass(frozen=True)
class DistanceSettings:
    """What the distances are taken of.

    Attributes:
        cut: the map's levels from here on are polyp, 1 to 255, as saved.
        tolerance: of NSD, pixels.
    """

    cut: int
    tolerance: float


def boundary_distances(
    prediction: np.ndarray, foreground_mask: np.ndarray, mask_box: Box, settings: DistanceSettings
) -> dict[str, float]:
    """The scores in the order of `DISTANCES`, then the same for the mean over images where both hold polyp.

    Args:
        prediction: the map, (H, W) uint8.
        foreground_mask: (H, W) uint8, above 0 on the mask.
        mask_box: bounds the mask.
        settings: threshold and tolerance.
    """
    marked = cv2.threshold(prediction, settings.cut - 1, 255, cv2.THRESH_BINARY)[1]
    marked_box = Box.around(marked)
    diagonal = math.hypot(*prediction.shape)
    if marked_box.is_empty or mask_box.is_empty:
        agree = marked_box.is_empty and mask_box.is_empty
        scores = dict.fromkeys(PIXEL_DISTANCES, 0.0 if agree else diagonal) | dict.fromkeys(SHARES, float(agree))
        return scores | {name + WHERE_BOTH: math.nan for name in DISTANCES}
    box = marked_box.joined(mask_box)
    # beyond the box both are background, as beyond the image
    marked, polyp = (np.pad(box.of(region), 1) for region in (marked, foreground_mask))
    there, back = _distances(marked - cv2.erode(marked, CROSS), polyp - cv2.erode(polyp, CROSS))
    together = np.sort(np.concatenate([there, back]))
    values = (
        max(there[-1], back[-1]),
        max(_percentile(there), _percentile(back)),
        _percentile(together),
        together.mean(),
        (there.mean() + back.mean()) / 2,
        np.count_nonzero(together <= settings.tolerance) / together.size,
        np.count_nonzero(together <= settings.tolerance * diagonal / SCALED_AT) / together.size,
        _rim_iou(marked, polyp, width=max(1, round(RIM * diagonal))),
    )
    scores = dict(zip(DISTANCES, map(float, values), strict=True))
    return scores | {name + WHERE_BOTH: value for name, value in scores.items()}


def empty_counts(scores: Mapping[str, float]) -> np.ndarray:
    """Of a pair's `boundary_distances`: whether mask and map are both empty, and whether one of them is, 0 or 1."""
    unpaired = math.isnan(scores["HD" + WHERE_BOTH])
    return np.array([unpaired and scores["HD"] == 0.0, unpaired and scores["HD"] > 0.0], np.int64)


def empty_scores(both: np.ndarray, one: np.ndarray) -> dict[str, np.ndarray]:
    """Images of a data set by what is empty, from the sums of `empty_counts`."""
    return {"BothEmpty": both, "OneEmpty": one}


def _distances(first: np.ndarray, second: np.ndarray) -> list[np.ndarray]:
    """Distances from each boundary (255, elsewhere 0) to the other, sorted.

    OpenCV gives them as float32; squares are whole numbers, so that rounding them gives every digit back (up to 2000
    pixels).
    """
    found = []
    for start, goal in ((first, second), (second, first)):
        to_goal = cv2.distanceTransform(cv2.bitwise_not(goal), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        found.append(np.sort(np.sqrt(np.rint(np.square(to_goal[start > 0], dtype=np.float64)))))
    return found


def _percentile(distances: np.ndarray) -> float:
    """The 95th percentile of sorted distances, interpolated as `np.percentile` does, in a tenth of its time."""
    place = PERCENTILE * (len(distances) - 1)
    below = int(place)
    above = min(below + 1, len(distances) - 1)
    return distances[below] + (place - below) * (distances[above] - distances[below])


def _rim_iou(first: np.ndarray, second: np.ndarray, *, width: int) -> float:
    """IoU of the pixels of each region (255, elsewhere 0, with background around) within `width` of its outside."""
    square = np.ones((2 * width + 1, 2 * width + 1), np.uint8)  # `width` erosions by 3 x 3 at once
    rims = [region - cv2.erode(region, square) for region in (first, second)]
    return cv2.countNonZero(cv2.bitwise_and(*rims)) / cv2.countNonZero(cv2.bitwise_or(*rims))
