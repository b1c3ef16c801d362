"""One pass over a map and its mask: the histograms that nearly every score is a function of.

The frame is split into four quadrants at the mask's centroid, as the S-measure wants it; the sum over quadrants serves
all other scores. Only the weighted F-measure and the border region need the pixels again.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from .levels import LEVELS, Scale, scale_between

__all__ = ["Box", "PairCounts", "count_pair"]

HISTOGRAM_PIXELS = 1 << 24
"""OpenCV returns histograms as float32, which counts exactly up to here."""


@dataclass(frozen=True)
class Box:
    """A rectangle of pixels: rows [top, bottom), columns [left, right)."""

    top: int
    bottom: int
    left: int
    right: int

    def grown(self, margin: int, shape: tuple[int, int]) -> Box:
        """The box with `margin` pixels more on each side, cut at the frame of (height, width) `shape`."""
        height, width = shape
        return Box(
            max(self.top - margin, 0),
            min(self.bottom + margin, height),
            max(self.left - margin, 0),
            min(self.right + margin, width),
        )

    def of(self, image: np.ndarray) -> np.ndarray:
        """The box's part of an image, a view."""
        return image[self.top : self.bottom, self.left : self.right]


@dataclass(frozen=True, eq=False)
class PairCounts:
    """What is counted of one pair.

    `prediction` and `foreground_mask` are (H, W) uint8, the latter 255 on the mask and 0 elsewhere. `box` bounds the
    mask (empty mask: an empty box), `split` = (row, column) is where the quadrants meet, in the order top left, top
    right, bottom left, bottom right. `quadrants` and `quadrants_on_mask` (4, 256) float64 count pixels by level, in the
    whole quadrant and on the mask; `histogram` and `on_mask` (256,) are their sums. `scale` turns levels into p.
    """

    prediction: np.ndarray
    foreground_mask: np.ndarray
    box: Box
    foreground: int
    split: tuple[int, int]
    quadrants: np.ndarray
    quadrants_on_mask: np.ndarray
    scale: Scale
    histogram: np.ndarray
    on_mask: np.ndarray

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.prediction.shape

    @property
    def pixels(self) -> int:
        """Pixels of the frame."""
        return self.prediction.size

    @property
    def values(self) -> np.ndarray:
        """Probability of each of the 256 levels."""
        return self.scale.values

    @cached_property
    def off_mask(self) -> np.ndarray:
        """Pixels off the mask by level."""
        return self.histogram - self.on_mask

    @cached_property
    def sum_on_mask(self) -> float:
        """Sum of the probabilities on the mask."""
        return float(self.on_mask @ self.values)

    @cached_property
    def sum_off_mask(self) -> float:
        """Sum of the probabilities off the mask."""
        return float(self.off_mask @ self.values)

    @property
    def sum_map(self) -> float:
        """Sum of the probabilities over the frame."""
        return self.sum_on_mask + self.sum_off_mask

    @cached_property
    def at_or_above(self) -> np.ndarray:
        """Pixels of at least each level 0 ... 256: (2, 257), over the frame and on the mask."""
        both = np.zeros((2, LEVELS + 1))
        falling = np.stack([self.histogram, self.on_mask])[:, ::-1]
        both[:, :LEVELS] = falling.cumsum(axis=1)[:, ::-1]
        return both

    def quadrant_box(self, quadrant: int) -> Box:
        """Where a quadrant (0 to 3) lies."""
        return _quadrants(self.split, self.shape)[quadrant]

    def quadrant_pixels(self, quadrant: int) -> tuple[np.ndarray, np.ndarray]:
        """Probabilities and mask (bool) of a quadrant, as views of whole frames, as the literal formula has them."""
        box = self.quadrant_box(quadrant)
        return box.of(self.values[self.prediction]), box.of(self.foreground_mask > 0)


def count_pair(prediction: np.ndarray, mask: np.ndarray, *, minmax: bool = True) -> PairCounts:
    """Count a map and a mask, both (H, W) uint8 of one size; the foreground is mask > 128."""
    foreground_mask = cv2.threshold(mask, 128, 255, cv2.THRESH_BINARY)[1]
    left, top, width, height = cv2.boundingRect(foreground_mask)
    box = Box(top, top + height, left, left + width)
    foreground, split = _centroid_split(foreground_mask, box)
    quadrants, on_mask = np.zeros((2, 4, LEVELS))
    for place, part in enumerate(_quadrants(split, mask.shape)):
        quadrants[place] = _histogram(part.of(prediction))
        shared = Box(
            max(part.top, box.top),
            min(part.bottom, box.bottom),
            max(part.left, box.left),
            min(part.right, box.right),
        )
        on_mask[place] = _histogram(shared.of(prediction), shared.of(foreground_mask))
    histogram = quadrants.sum(axis=0)
    levels = histogram.nonzero()[0]
    return PairCounts(
        prediction=prediction,
        foreground_mask=foreground_mask,
        box=box,
        foreground=foreground,
        split=split,
        quadrants=quadrants,
        quadrants_on_mask=on_mask,
        scale=scale_between(int(levels[0]), int(levels[-1]), minmax),
        histogram=histogram,
        on_mask=on_mask.sum(axis=0),
    )


def _centroid_split(foreground_mask: np.ndarray, box: Box) -> tuple[int, tuple[int, int]]:
    """Foreground pixels, and the row and column after the centroid's (rounded half to even); (0, 0) when empty."""
    inside = box.of(foreground_mask)
    if inside.size == 0:
        return 0, (0, 0)
    by_row = cv2.reduce(inside, 1, cv2.REDUCE_SUM, dtype=cv2.CV_32S).ravel() / 255
    by_column = cv2.reduce(inside, 0, cv2.REDUCE_SUM, dtype=cv2.CV_32S).ravel() / 255
    foreground = int(by_row.sum())
    row = by_row @ np.arange(box.top, box.bottom) / foreground
    column = by_column @ np.arange(box.left, box.right) / foreground
    return foreground, (round(row) + 1, round(column) + 1)


def _quadrants(split: tuple[int, int], shape: tuple[int, int]) -> list[Box]:
    (row, column), (height, width) = split, shape
    return [Box(t, b, le, r) for t, b in ((0, row), (row, height)) for le, r in ((0, column), (column, width))]


def _histogram(levels: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray | float:
    """Pixels by level (256,) of a part of a map, only those where `mask` is set if one is given; 0 for no pixel."""
    if levels.size == 0:
        return 0.0
    rows = max(1, HISTOGRAM_PIXELS // levels.shape[1])
    if levels.shape[0] > rows:
        halves = [(levels[:rows], mask if mask is None else mask[:rows])]
        halves.append((levels[rows:], mask if mask is None else mask[rows:]))
        return sum(_histogram(*half) for half in halves)
    return cv2.calcHist([levels], [0], mask, [LEVELS], [0, LEVELS]).ravel()
