"""Weighted F-measure of Margolin, Zelnik-Manor and Tal ("How to Evaluate Foreground Maps?", CVPR 2014), beta^2 = 1.

As defined: E = |p - g|. Off the mask E is replaced by E at the nearest mask pixel (among equally near ones the
leftmost, then the topmost), then smoothed by a 7 x 7 Gaussian to EA, with zeros around the frame. On the mask
min(E, EA) histograms, with weight 1; off the mask E histograms, with weight 2 - 2^(-distance to the mask / 5).

As computed: EA is wanted on the mask alone, so the replacement is needed only within 3 pixels of it. The weight off the
mask is 2 less a discount that falls to nothing, so distances are needed only where the discount can change the score.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from .histograms import Box, PairHistograms

__all__ = ["weighted_f"]

EPS = float(np.spacing(1))

HALF_DISTANCE = 5.0
"""Pixels over which the discount halves."""

TOLERANCE = 1e-9
"""Discount that may be left out, as a share of the mask's pixels; it changes the score by at most half of this."""

REACH = 3
"""Half the width of the smoothing window, pixels."""

NEAREST_SQUARED = 2 * REACH * REACH
"""A pixel in the window around a mask pixel is at most this far from its nearest one, in pixels squared."""

FURTHEST_NEAREST = math.isqrt(NEAREST_SQUARED)
"""So along one axis that nearest pixel is at most this far away, pixels."""

MARGIN = 2 * FURTHEST_NEAREST
"""Around the mask's box this much holds every pixel to be replaced and every candidate for its nearest."""

BLOCK = 10_000
"""Pixels whose discounts are looked up at once: they stay in the processor's cache, and OpenBLAS, which numpy's
product runs on, does not start threads for so few."""


def weighted_f(histograms: PairHistograms) -> float:
    """Weighted F-measure of one map, in [0, 1]; 0 for an empty mask."""
    if histograms.foreground == 0:
        return 0.0
    window = _window(histograms)
    off_mask = cv2.bitwise_not(window.of(histograms.foreground_mask))
    distance = cv2.distanceTransform(off_mask, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    missed = _missed(histograms, window, distance)
    hit = histograms.foreground - missed
    false = 2.0 * histograms.sum_off_mask - _discount(histograms, window, distance)
    recall = 1.0 - missed / histograms.foreground
    precision = hit / (hit + false + EPS)
    return 2.0 * recall * precision / (recall + precision + EPS)


def _window(histograms: PairHistograms) -> Box:
    """Where distances are needed: around the mask, and as far beyond as the map's discount still histograms."""
    around = histograms.box.grown(FURTHEST_NEAREST, histograms.shape)
    height, width = histograms.shape
    by_row = (
        cv2.reduce(histograms.prediction, 1, cv2.REDUCE_SUM, dtype=cv2.CV_32S).ravel() - histograms.scale.low * width
    )
    by_column = (
        cv2.reduce(histograms.prediction, 0, cv2.REDUCE_SUM, dtype=cv2.CV_32S).ravel() - histograms.scale.low * height
    )
    allowed = TOLERANCE / 4 * histograms.foreground * histograms.scale.span
    return Box(
        *_lines_needed(by_row, around.top, around.bottom, allowed),
        *_lines_needed(by_column, around.left, around.right, allowed),
    )


def _lines_needed(sums: np.ndarray, first: int, last: int, allowed: float) -> tuple[int, int]:
    """Widen the lines [first, last) on each side until the discounts beyond add up to `allowed` at most.

    `sums` holds what each row (column) rises above the lowest level; none outside the range is nearer to the mask than
    to the range, which bounds its discount.
    """
    before = sums[:first] * _line_discounts(first)[::-1]
    after = sums[last:] * _line_discounts(len(sums) - last)
    spared_before = before.cumsum().searchsorted(allowed, side="right")
    spared_after = after[::-1].cumsum().searchsorted(allowed, side="right")
    return int(spared_before), len(sums) - int(spared_after)


def _line_discounts(lines: int) -> np.ndarray:
    """Discounts at the distances 1, 2, ... `lines`."""
    return np.exp2(np.arange(1, lines + 1) / -HALF_DISTANCE)


def _squared_discounts(furthest: int) -> np.ndarray:
    """Discounts by squared distance up to `furthest` pixels; 0 on the mask, and at the end for whatever lies beyond."""
    table = np.exp(math.log(0.5) / HALF_DISTANCE * np.sqrt(np.arange(furthest * furthest + 1)))
    table[[0, -1]] = 0.0
    return table


_DISCOUNTS = _squared_discounts(256)


def _discount(histograms: PairHistograms, window: Box, distance: np.ndarray) -> float:
    """Sum over the background in `window` of p times its discount."""
    levels, low = window.of(histograms.prediction), np.uint8(histograms.scale.low)
    rows = max(1, BLOCK // distance.shape[1])
    total = 0.0
    for start in range(0, distance.shape[0], rows):
        squared = _whole_squares(distance[start : start + rows], limit=len(_DISCOUNTS) - 1)
        above_low = levels[start : start + rows] - low
        total += float(_DISCOUNTS.take(squared.ravel()) @ above_low.ravel().astype(np.float64))
    return total / histograms.scale.span


def _whole_squares(distance: np.ndarray, *, limit: int) -> np.ndarray:
    """Squared distances, which are whole numbers although OpenCV gives their roots in float32; at most `limit`."""
    return np.minimum(distance * distance + np.float32(0.5), np.float32(limit)).astype(np.int32)


def _missed(histograms: PairHistograms, window: Box, distance: np.ndarray) -> float:
    """Sum over the mask of min(E, EA). In levels, E on the mask is the top level less the map's: whole, in 8 bits."""
    box, scale = histograms.box, histograms.scale
    on_mask = box.of(histograms.foreground_mask)
    errors = cv2.bitwise_and(np.uint8(scale.low + scale.span) - box.of(histograms.prediction), on_mask)
    frame = (MARGIN,) * 4
    padded_mask, padded_errors = (cv2.copyMakeBorder(part, *frame, cv2.BORDER_CONSTANT) for part in (on_mask, errors))
    _replace_by_nearest(padded_errors, padded_mask, histograms, window, distance)
    smoothed = cv2.sepFilter2D(padded_errors, cv2.CV_64F, _GAUSSIAN, _GAUSSIAN)[MARGIN:-MARGIN, MARGIN:-MARGIN]
    return float(np.minimum(smoothed, errors).sum()) / scale.span


def _gaussian() -> np.ndarray:
    """The smoothing window along one axis: sigma 5, sum 1."""
    weights = np.exp(-(np.arange(-REACH, REACH + 1) ** 2) / (2 * 5.0**2))
    return weights / weights.sum()


_GAUSSIAN = _gaussian()


def _replace_by_nearest(
    errors: np.ndarray, on_mask: np.ndarray, histograms: PairHistograms, window: Box, distance: np.ndarray
) -> None:
    """Give every background pixel near the mask the error of its nearest mask pixel, in place.

    `errors` and `on_mask` are the mask's box with `MARGIN` pixels around it; pixels beyond the frame keep 0.
    """
    around = histograms.box.grown(FURTHEST_NEAREST, histograms.shape)
    top, left = around.top - window.top, around.left - window.left
    part = distance[top : top + around.bottom - around.top, left : left + around.right - around.left]
    rows, columns = np.divmod(np.flatnonzero((part > 0.0) & (part < _REACHED)), part.shape[1])
    squared = _whole_squares(part[rows, columns], limit=NEAREST_SQUARED)
    rows += around.top - histograms.box.top + MARGIN
    columns += around.left - histograms.box.left + MARGIN
    stride = errors.shape[1]
    pixels = rows * stride + columns
    candidates = pixels[:, None] + (_ROWS_AWAY * stride + _COLUMNS_AWAY)[squared]
    nearest = on_mask.ravel()[candidates].argmax(axis=1)
    errors.ravel()[pixels] = errors.ravel()[candidates[np.arange(len(pixels)), nearest]]


def _candidates() -> tuple[np.ndarray, np.ndarray]:
    """Offsets to all pixels at each squared distance 0 ... 18, as columns and rows away, (19, 8) each.

    They stand in the order in which equally near pixels are preferred; the last is repeated to fill a row.
    """
    span = range(-FURTHEST_NEAREST, FURTHEST_NEAREST + 1)
    by_distance: list[list[tuple[int, int]]] = [[] for _ in range(NEAREST_SQUARED + 1)]
    for column in span:
        for row in span:
            if column * column + row * row <= NEAREST_SQUARED:
                by_distance[column * column + row * row].append((column, row))
    longest = max(map(len, by_distance))
    filled = [offsets + (offsets or [(0, 0)])[-1:] * (longest - len(offsets)) for offsets in by_distance]
    table = np.array(filled)
    return table[..., 0], table[..., 1]


_COLUMNS_AWAY, _ROWS_AWAY = _candidates()
_REACHED = math.sqrt(NEAREST_SQUARED + 0.5)
