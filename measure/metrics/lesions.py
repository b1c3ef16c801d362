"""Which lesions a map finds and where it raises a false alarm, instead of pixel by pixel.

A lesion is a region of the mask whose pixels are connected through their eight neighbors; the map, cut at a threshold,
falls into regions likewise. Regions of fewer pixels than `smallest` are passed over on both sides. Rules:

overlap  a lesion is found if a region of the map touches it, by several of them once; a region that touches no lesion
         is a false alarm (the default)
giana    the same, with the region's center of mass inside the lesion instead of touching it (GIANA, Endoscopic Vision)
@.25     lesions and regions are paired one to one so that the sum of IoU is greatest; a pair of IoU 0.25 or more is a
@.5      lesion found (or 0.5), every other region a false alarm

Counts are summed over a data set before `lesion_scores` are taken of them, so every lesion weighs the same.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from .histograms import Box

__all__ = [
    "LESION_RULES",
    "OPERATING_POINTS",
    "SIZE_BOUNDS",
    "LesionSettings",
    "free_response",
    "lesion_counts",
    "lesion_details",
    "lesion_scores",
]

LESION_RULES = ("overlap", "giana")
SIZE_BOUNDS = (0.05, 0.20)
"""Shares of the frame at which small and medium polyps end; 20 % itself is medium."""

IOU_BOUNDS = (0.25, 0.5)
OPERATING_POINTS = tuple(range(13, 256, 13))
"""Levels from which on a map counts as polyp, for the free-response curve: 0.05, 0.10, ... 0.97."""

BETA_SQUARED = 4
"""Of F2, which weighs a lesion missed more than a false alarm."""


@dataclass(frozen=True)
class LesionSettings:
    """How lesions are told.

    Attributes:
        cut: the map's levels from here on are polyp, 1 to 255, as saved.
        smallest: pixels below which a region is passed over.
        rule: one of `LESION_RULES`.
    """

    cut: int
    smallest: int
    rule: str


@dataclass(frozen=True, eq=False)
class _Regions:
    """Connected regions of an image.

    Attributes:
        box: what of the image the labels cover; nothing is marked outside.
        labels: int32, the number of each pixel's region within the box; 0 is none.
        kept: numbers of the regions that are large enough.
        areas: pixels of these.
        centers: (N, 2), row and column of their centers of mass, rounded to a pixel.
    """

    box: Box
    labels: np.ndarray
    kept: np.ndarray
    areas: np.ndarray
    centers: np.ndarray

    @classmethod
    def of(cls, binary: np.ndarray, smallest: int) -> _Regions:
        """Find those of an image (H, W) uint8, above 0 inside."""
        box = Box.around(binary)
        if box.is_empty:
            return cls(box, np.zeros((0, 0), np.int32), np.zeros(0, np.int64), np.zeros(0), np.zeros((0, 2), np.int64))
        inside = np.ascontiguousarray(box.of(binary))
        count, labels, stats, centers = cv2.connectedComponentsWithStats(inside, connectivity=8, ltype=cv2.CV_32S)
        areas = stats[:, cv2.CC_STAT_AREA]
        kept = np.array([number for number in range(1, count) if areas[number] >= smallest], np.int64)
        corner = np.array([box.top, box.left])
        return cls(box, labels, kept, areas[kept], np.rint(centers[kept][:, ::-1] + corner).astype(np.int64))

    def numbers_at(self, places: np.ndarray) -> np.ndarray:
        """The numbers of the regions at places (N, 2), rows and columns of the image; 0 where none is."""
        rows, columns = (places - [self.box.top, self.box.left]).T
        height, width = self.labels.shape
        covered = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
        numbers = np.zeros(len(places), np.int64)
        numbers[covered] = self.labels[rows[covered], columns[covered]]
        return numbers


def lesion_counts(
    prediction: np.ndarray, foreground_mask: np.ndarray, settings: LesionSettings
) -> dict[str, np.ndarray]:
    """Count lesions, those found, and false alarms of one pair.

    Args:
        prediction: the map, (H, W) uint8.
        foreground_mask: (H, W) uint8, above 0 on the mask.
        settings: threshold, smallest region, rule.

    Returns:
        `lesions`: (14,) as `lesion_scores` takes them; `free_response`: (2, T), lesions found and false alarms at each
        of the `OPERATING_POINTS`.
    """
    lesions = _Regions.of(foreground_mask, settings.smallest)
    regions = _cut(prediction, settings.cut, settings.smallest)
    found, alarms = _found(lesions, regions, settings.rule)
    sizes = np.digitize(lesions.areas / prediction.size, (SIZE_BOUNDS[0], np.nextafter(SIZE_BOUNDS[1], 1)))
    iou = _iou(lesions, regions)
    matched = _best_pairs(iou)
    paired = [np.count_nonzero(matched >= bound) for bound in IOU_BOUNDS]
    without_polyp = not lesions.kept.size
    counts = [
        *(1, without_polyp, without_polyp and not regions.kept.size),
        *np.bincount(sizes, minlength=3),
        *np.bincount(sizes[found], minlength=3),
        alarms,
        *(number for hits in paired for number in (hits, len(regions.kept) - hits)),
    ]
    points = [_found(lesions, _cut(prediction, cut, settings.smallest), settings.rule) for cut in OPERATING_POINTS]
    response = [[np.count_nonzero(hit) for hit, _ in points], [false for _, false in points]]
    return {"lesions": np.array(counts, np.int64), "free_response": np.array(response, np.int64)}


def _cut(prediction: np.ndarray, cut: int, smallest: int) -> _Regions:
    return _Regions.of(cv2.threshold(prediction, cut - 1, 255, cv2.THRESH_BINARY)[1], smallest)


def _found(lesions: _Regions, regions: _Regions, rule: str) -> tuple[np.ndarray, int]:
    """Whether each lesion is found, and the number of false alarms."""
    if rule == "giana":
        met = lesions.numbers_at(regions.centers)[:, None] == lesions.kept  # [region, lesion]
        return met.any(axis=0), int(np.count_nonzero(~met.any(axis=1)))
    met = _shared_pixels(lesions, regions) > 0
    return met.any(axis=1), int(np.count_nonzero(~met.any(axis=0)))


def _shared_pixels(lesions: _Regions, regions: _Regions) -> np.ndarray:
    """Pixels that each lesion and each region of the map have in common, (lesions, regions)."""
    common = lesions.box.cut(regions.box)
    if common.is_empty:
        return np.zeros((len(lesions.kept), len(regions.kept)), np.int64)
    first, second = (common.within(found.box).of(found.labels) for found in (lesions, regions))
    both = (first > 0) & (second > 0)
    shape = int(lesions.labels.max()) + 1, int(regions.labels.max()) + 1
    pairs = first[both].astype(np.int64) * shape[1] + second[both]
    return np.bincount(pairs, minlength=shape[0] * shape[1]).reshape(shape)[np.ix_(lesions.kept, regions.kept)]


def _iou(lesions: _Regions, regions: _Regions) -> np.ndarray:
    shared = _shared_pixels(lesions, regions)
    return shared / (lesions.areas[:, None] + regions.areas - shared)


def _best_pairs(iou: np.ndarray) -> np.ndarray:
    """IoU of the pairs of a one-to-one matching whose sum is greatest."""
    if min(iou.shape, default=0) < 2:
        return iou.max(initial=0.0, keepdims=True).ravel()
    from scipy.optimize import linear_sum_assignment  # takes long to import, and most images have one lesion

    return iou[linear_sum_assignment(iou, maximize=True)]


def lesion_details(counts: np.ndarray) -> dict[str, float]:
    """What `per_image` tells of one pair's `lesions`."""
    return {
        "Lesions": float(counts[3:6].sum()),
        "LesionsFound": float(counts[6:9].sum()),
        "FalseAlarms": float(counts[9]),
    }


def lesion_scores(
    images: np.ndarray,
    without_polyp: np.ndarray,
    silent: np.ndarray,
    small: np.ndarray,
    medium: np.ndarray,
    large: np.ndarray,
    found_small: np.ndarray,
    found_medium: np.ndarray,
    found_large: np.ndarray,
    alarms: np.ndarray,
    found_25: np.ndarray,
    alarms_25: np.ndarray,
    found_50: np.ndarray,
    alarms_50: np.ndarray,
) -> dict[str, np.ndarray]:
    """Scores of counts summed over a data set; 0 / 0 is NaN.

    Args:
        images: their number.
        without_polyp: images whose mask holds no lesion.
        silent: of these, the ones in which nothing is marked.
        small, medium, large: lesions by size.
        found_small, found_medium, found_large: of these, the ones found.
        alarms: regions of the map that belong to no lesion.
        found_25, alarms_25: the same where a pair needs an IoU of 0.25.
        found_50, alarms_50: likewise of 0.5.
    """
    lesions = small + medium + large
    scores = _detection("", found_small + found_medium + found_large, lesions, alarms, images)
    for ending, found, false in (("@.25", found_25, alarms_25), ("@.5", found_50, alarms_50)):
        scores |= _detection(ending, found, lesions, false, images)
    for size, found, there in (
        ("small", found_small, small),
        ("medium", found_medium, medium),
        ("large", found_large, large),
    ):
        scores[f"LesionSensitivity_{size}"] = _share(found, there)
    return scores | {"ImageSpecificity": _share(silent, without_polyp)}


def _detection(
    ending: str, found: np.ndarray, lesions: np.ndarray, alarms: np.ndarray, images: np.ndarray
) -> dict[str, np.ndarray]:
    sensitivity, precision = _share(found, lesions), _share(found, found + alarms)
    return {
        f"LesionSensitivity{ending}": sensitivity,
        f"LesionPrecision{ending}": precision,
        f"LesionF1{ending}": _share(2 * found, lesions + found + alarms),
        f"LesionF2{ending}": _share((1 + BETA_SQUARED) * found, BETA_SQUARED * lesions + found + alarms),
        f"FalseAlarmsPerImage{ending}": _share(alarms, images),
    }


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.divide(part, whole)


def free_response(summed: np.ndarray, lesions: float, images: float) -> dict[str, list[float]]:
    """The free-response curve of a data set.

    Args:
        summed: (2, T), lesions found and false alarms at each of the `OPERATING_POINTS`, over the data set.
        lesions: their number. images: their number.
    """
    return {
        "levels": list(OPERATING_POINTS),
        "sensitivity": _share(summed[0], lesions).tolist(),
        "alarms_per_image": _share(summed[1], images).tolist(),
    }
