"""From a map to regions: a mask at a threshold, what is too small left out, boxes and numbers of what remains."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from .thresholds import lowest_level

__all__ = ["Region", "cut", "find_regions"]

CONNECTIVITY = 8  # pixels that touch at a corner belong together


@dataclass(frozen=True, eq=False)
class Region:
    """A connected part of a mask.

    Attributes:
        area: pixels.
        box: x, y, width and height, pixels.
        mean: of the probability inside.
        greatest: probability inside.
        mask: (height, width) bool, the region in its box.
    """

    area: int
    box: tuple[int, int, int, int]
    mean: float
    greatest: float
    mask: np.ndarray


def cut(grey: np.ndarray, *, threshold: float, min_region: float = 0.0) -> np.ndarray:
    """Cut a map at a threshold and leave out small regions.

    Args:
        grey: (H, W) uint8, 255 x probability rounded, as maps are written.
        threshold: probability from which a pixel is polyp.
        min_region: share of the image below which a connected region is left out.

    Returns:
        (H, W) uint8, 0 or 255.
    """
    _, mask = cv2.threshold(grey, lowest_level(threshold) - 1, 255, cv2.THRESH_BINARY)  # what is above the level below
    if min_region and mask.any():
        _, labels, statistics, _ = cv2.connectedComponentsWithStats(mask, connectivity=CONNECTIVITY)
        small = statistics[:, cv2.CC_STAT_AREA] < min_region * mask.size
        small[0] = False  # the background
        mask[small[labels]] = 0
    return mask


def find_regions(mask: np.ndarray, probability: np.ndarray) -> tuple[Region, ...]:
    """The connected regions of an (H, W) mask of 0 and 255, largest first, with their (H, W) probabilities."""
    count, labels, statistics, _ = cv2.connectedComponentsWithStats(mask, connectivity=CONNECTIVITY)
    found = []
    for label in range(1, count):
        x, y, width, height, area = map(int, statistics[label])
        inside = labels[y : y + height, x : x + width] == label
        values = probability[y : y + height, x : x + width][inside]
        found.append(Region(area, (x, y, width, height), float(values.mean()), float(values.max()), inside))
    return tuple(sorted(found, key=lambda region: -region.area))
