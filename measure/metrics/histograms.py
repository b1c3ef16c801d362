"""One pass over a map and its mask: the histograms that nearly every score is a function of.

The frame is split into four quadrants at the mask's centroid, as the S-measure wants it; the sum over quadrants serves
all other scores. Only the weighted F-measure and the border region need the pixels again.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from ..io import FOREGROUND_ABOVE
from .thresholds import LEVELS, Scale, scale_between

__all__ = ["Box", "PairHistograms", "pair_histograms"]

HISTOGRAM_PIXELS = 1 << 24
"""OpenCV returns histograms as float32, which counts exactly up to here."""


@dataclass(frozen=True)
class Box:
    """A rectangle of pixels.

    Attributes:
        top: first row.
        bottom: row after the last.
        left: first column.
        right: column after the last.
    """

    top: int
    bottom: int
    left: int
    right: int

    @classmethod
    def around(cls, image: np.ndarray) -> Box:
        """The smallest box with all pixels above 0; an empty one where there is none."""
        left, top, width, height = cv2.boundingRect(image)
        return cls(top, top + height, left, left + width)

    @property
    def is_empty(self) -> bool:
        """Whether it holds no pixel."""
        return self.top == self.bottom or self.left == self.right

    def joined(self, other: Box) -> Box:
        """The smallest box around two that are not empty."""
        return Box(
            min(self.top, other.top),
            max(self.bottom, other.bottom),
            min(self.left, other.left),
            max(self.right, other.right),
        )

    def cut(self, other: Box) -> Box:
        """The part that two boxes share; an empty one where they share none."""
        top, left = max(self.top, other.top), max(self.left, other.left)
        bottom, right = min(self.bottom, other.bottom), min(self.right, other.right)
        return Box(top, max(bottom, top), left, max(right, left))

    def within(self, outer: Box) -> Box:
        """The box as seen from the top left corner of one that holds it."""
        return Box(self.top - outer.top, self.bottom - outer.top, self.left - outer.left, self.right - outer.left)

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
class PairHistograms:
    """What is counted of one pair.

    Quadrants stand in the order top left, top right, bottom left, bottom right.

    Attributes:
        prediction: the map, (H, W) uint8.
        foreground_mask: (H, W) uint8, 255 on the mask and 0 elsewhere.
        box: bounds the mask; an empty box for an empty mask.
        foreground: pixels of the mask.
        split: row and column where the quadrants meet.
        quadrants: (4, 256) float64, pixels by level in each quadrant.
        quadrants_on_mask: (4, 256) float64, pixels by level in each quadrant's part of the mask.
        scale: turns levels into p.
        whole: (256,) float64, pixels by level in the frame.
        on_mask: (256,) float64, pixels by level on the mask.
    """

    prediction: np.ndarray
    foreground_mask: np.ndarray
    box: Box
    foreground: int
    split: tuple[int, int]
    quadrants: np.ndarray
    quadrants_on_mask: np.ndarray
    scale: Scale
    whole: np.ndarray
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
        return self.whole - self.on_mask

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
        falling = np.stack([self.whole, self.on_mask])[:, ::-1]
        both[:, :LEVELS] = falling.cumsum(axis=1)[:, ::-1]
        return both

    def quadrant_pixels(self, quadrant: int) -> tuple[np.ndarray, np.ndarray]:
        """Probabilities and mask (bool) of a quadrant, as views of whole frames, as the reference formula has them."""
        (row, column), (height, width) = self.split, self.shape
        top, bottom = ((0, row), (row, height))[quadrant // 2]
        left, right = ((0, column), (column, width))[quadrant % 2]
        box = Box(top, bottom, left, right)
        return box.of(self.values[self.prediction]), box.of(self.foreground_mask > 0)


def pair_histograms(prediction: np.ndarray, mask: np.ndarray, *, minmax: bool = True) -> PairHistograms:
    """Count a map and a mask, both (H, W) uint8 of one size; the foreground is mask > 128."""
    foreground_mask = cv2.threshold(mask, FOREGROUND_ABOVE, 255, cv2.THRESH_BINARY)[1]
    box = Box.around(foreground_mask)
    foreground, split = _centroid_split(foreground_mask, box)
    labels = cv2.threshold(mask, FOREGROUND_ABOVE, 1, cv2.THRESH_BINARY)[1]
    labels[:, split[1] :] += 2
    labels[split[0] :] += 4
    by_label = _label_histograms(prediction, labels)
    on_mask = by_label[1::2]
    quadrants = by_label[::2] + on_mask
    whole = quadrants.sum(axis=0)
    levels = whole.nonzero()[0]
    return PairHistograms(
        prediction=prediction,
        foreground_mask=foreground_mask,
        box=box,
        foreground=foreground,
        split=split,
        quadrants=quadrants,
        quadrants_on_mask=on_mask,
        scale=scale_between(int(levels[0]), int(levels[-1]), minmax),
        whole=whole,
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


def _label_histograms(levels: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Pixels by label and level, (8, 256) float64: label 2 q + 1 is quadrant q on the mask, 2 q the rest of it."""
    rows = max(1, HISTOGRAM_PIXELS // levels.shape[1])
    total = np.zeros((8, LEVELS))
    for start in range(0, levels.shape[0], rows):
        part = [labels[start : start + rows], levels[start : start + rows]]
        total += cv2.calcHist(part, [0, 1], None, [8, LEVELS], [0, 8, 0, LEVELS])
    return total
