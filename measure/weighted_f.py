"""Weighted F-measure of Margolin, Zelnik-Manor and Tal ("How to Evaluate Foreground Maps?", CVPR 2014), beta^2 = 1.

As defined: E = |p - g|. Off the mask E is replaced by E at the nearest mask pixel (among equally near ones the
leftmost, then the topmost), then smoothed by a 7 x 7 Gaussian to EA. On the mask min(E, EA) counts, with weight 1; off
the mask E counts, with weight 2 - 2^(-distance / 5).

As computed: smoothing matters on the mask alone, so it needs the replaced E only within 3 pixels of the mask; and the
weight differs from 2 only near the mask, so distances are needed only where what lies further off cannot change the
result by 1e-9.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from .counts import Box, PairCounts

__all__ = ["weighted_f"]

EPS = float(np.spacing(1))
HALF_DISTANCE = 5.0
"""Pixels over which a false positive's discount halves."""

TOLERANCE = 1e-9
"""What the far pixels may change the sum of false positives by, as a share of the mask; the score changes by less."""

REACH = 3
"""Half the width of the smoothing window, pixels."""

NEAREST_SQUARED = 2 * REACH * REACH
"""A pixel within the window of a mask pixel is at most this far from its nearest one, in squared pixels."""

MARGIN = 8
"""Margin around the mask's box that holds every pixel within reach (4) and every candidate for its nearest (4)."""

BLOCK = 1 << 14
"""Pixels whose weights are computed at once, so that they stay in the processor's cache."""

_OFFSETS = np.arange(-REACH, REACH + 1)
_GAUSSIAN = np.exp(-(_OFFSETS**2) / (2 * 5.0**2))
_GAUSSIAN /= _GAUSSIAN.sum()


def weighted_f(counts: PairCounts) -> float:
    """Weighted F-measure of one map in [0, 1]; 0 for an empty mask."""
    if counts.foreground == 0:
        return 0.0
    window = _window(counts)
    outside = cv2.bitwise_not(window.of(counts.foreground_mask))
    distance = cv2.distanceTransform(outside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    missed = _missed(counts, window, distance)
    false = 2.0 * counts.sum_off_mask - _discount(counts, window, distance)
    hit = counts.foreground - missed
    recall = 1.0 - missed / counts.foreground
    precision = hit / (hit + false + EPS)
    return 2.0 * recall * precision / (recall + precision + EPS)


def _window(counts: PairCounts) -> Box:
    """Where distances are needed: around the mask's contour, and wherever the map's discount still counts."""
    near = counts.box.grown(REACH + 1, counts.shape)
    allowed = TOLERANCE * counts.foreground
    rest = counts.sum_off_mask
    if rest <= allowed:
        return near
    radius = math.ceil(HALF_DISTANCE * math.log2(rest / allowed))
    lit = _lit_box(counts, counts.box.grown(radius, counts.shape))
    return Box(
        min(near.top, lit.top), max(near.bottom, lit.bottom), min(near.left, lit.left), max(near.right, lit.right)
    )


def _lit_box(counts: PairCounts, area: Box) -> Box:
    """The part of `area` that bounds the pixels above probability 0."""
    lit = cv2.threshold(area.of(counts.prediction), counts.scale.low, 255, cv2.THRESH_BINARY)[1]
    left, top, width, height = cv2.boundingRect(lit)
    return Box(area.top + top, area.top + top + height, area.left + left, area.left + left + width)


def _discount(counts: PairCounts, window: Box, distance: np.ndarray) -> float:
    """Sum over the background in `window` of p 2^(-distance / 5)."""
    levels, low = window.of(counts.prediction), counts.scale.low
    weights = _discounts(int(math.hypot(*distance.shape)) + 2)
    rows = max(1, BLOCK // distance.shape[1])
    total = 0.0
    for start in range(0, distance.shape[0], rows):
        block = distance[start : start + rows]
        # OpenCV returns roots in float32; their squares are whole numbers.
        weight = weights[(block * block + np.float32(0.5)).astype(np.intp).ravel()]
        lit = levels[start : start + rows] - np.uint8(low)
        total += float(weight @ lit.ravel().astype(np.float64))
    return total / counts.scale.span


_CACHE: dict[int, np.ndarray] = {}


def _discounts(reach: int) -> np.ndarray:
    """2^(-sqrt(n) / 5) for squared distances n up to `reach` squared; 0 at n = 0, which is the mask itself."""
    if reach not in _CACHE:
        table = np.exp(math.log(0.5) / HALF_DISTANCE * np.sqrt(np.arange(reach * reach + 1)))
        table[0] = 0.0
        _CACHE[reach] = table
    return _CACHE[reach]


def _missed(counts: PairCounts, window: Box, distance: np.ndarray) -> float:
    """Sum over the mask of min(E, EA)."""
    box, scale = counts.box, counts.scale
    height, width = box.bottom - box.top, box.right - box.left
    # In whole levels, E on the mask is the top level minus the map's: exact in 8 bits.
    error = np.uint8(scale.low + scale.span) - box.of(counts.prediction)
    canvas = np.zeros((2, height + 2 * MARGIN, width + 2 * MARGIN), np.uint8)
    inner = slice(MARGIN, MARGIN + height), slice(MARGIN, MARGIN + width)
    canvas[(0, *inner)] = box.of(counts.foreground_mask)
    errors = cv2.bitwise_and(error, box.of(counts.foreground_mask))
    canvas[(1, *inner)] = errors
    _replace_by_nearest(canvas[1], canvas[0], counts, window, distance)
    reached = canvas[1, MARGIN - REACH : -MARGIN + REACH, MARGIN - REACH : -MARGIN + REACH]
    smoothed = cv2.sepFilter2D(reached, cv2.CV_64F, _GAUSSIAN, _GAUSSIAN)[REACH:-REACH, REACH:-REACH]
    return float(np.minimum(smoothed, errors).sum()) / scale.span


def _replace_by_nearest(errors, on_mask, counts, window, distance) -> None:
    """Give every background pixel near the mask the error of its nearest mask pixel, in place."""
    near = counts.box.grown(REACH + 1, counts.shape)
    part = distance[
        near.top - window.top : near.bottom - window.top, near.left - window.left : near.right - window.left
    ]
    squared = (part * part + np.float32(0.5)).astype(np.int32)
    rows, columns = np.nonzero((squared > 0) & (squared <= NEAREST_SQUARED))
    kinds = squared[rows, columns]
    stride = errors.shape[1]
    pixels = (rows + (near.top - counts.box.top + MARGIN)) * stride + columns + (near.left - counts.box.left + MARGIN)
    candidates = pixels[:, None] + (_DY * stride + _DX)[kinds]
    chosen = on_mask.ravel()[candidates].argmax(axis=1)
    errors.ravel()[pixels] = errors.ravel()[candidates[np.arange(len(pixels)), chosen]]


def _nearest_candidates():
    """Offsets (dx, dy)"""
    span = range(-4, 5)
    table = [
        sorted((dx, dy) for dx in span for dy in span if dx * dx + dy * dy == n) or [(0, 0)]
        for n in range(NEAREST_SQUARED + 1)
    ]
    longest = max(map(len, table))
    padded = np.array([row + row[-1:] * (longest - len(row)) for row in table])
    return padded[..., 0], padded[..., 1]


_DX, _DY = _nearest_candidates()
