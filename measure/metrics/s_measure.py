"""S-measure: how alike map and mask are as objects and as regions.

Fan et al., "Structure-measure: A New Way to Evaluate Foreground Maps", ICCV 2017; alpha is 0.5. Four histograms of the
map, one per quadrant around the mask's centroid, and the part of each that lies on the mask hold all it needs.

| mask  | S-measure                                                              |
|-------|------------------------------------------------------------------------|
| empty | 1 - mean of the map                                                    |
| full  | mean of the map                                                        |
| else  | max(0, 0.5 object + 0.5 region), and 0 where a quadrant or a region is too small for its deviation |
"""

from __future__ import annotations

import math

import numpy as np

from .histograms import PairCounts

__all__ = ["s_measure", "ssim_of_pixels"]

EPS = float(np.spacing(1))


def s_measure(counts: PairCounts, *, ddof: int) -> float:
    """S-measure of one map.

    Args:
        ddof: 0 for the population deviation in the object term (image protocol), 1 for the sample deviation (VPS).
    """
    if counts.foreground == 0:
        return 1.0 - counts.sum_map / counts.pixels
    if counts.foreground == counts.pixels:
        return counts.sum_map / counts.pixels
    score = 0.5 * _object(counts, ddof) + 0.5 * _region(counts)
    return max(0.0, score)  # also 0 for NaN, as no comparison with it holds


def _object(counts: PairCounts, ddof: int) -> float:
    """Object term: how bright and even the map is on the mask, and how dark and even off it."""
    share = counts.foreground / counts.pixels
    inside = _evenness(counts.on_mask, counts.values, ddof)
    outside = _evenness(counts.off_mask, 1.0 - counts.values, ddof)
    return share * inside + (1.0 - share) * outside


def _evenness(histogram: np.ndarray, values: np.ndarray, ddof: int) -> float:
    """2 m / (m^2 + 1 + s + eps) of the mean m and the deviation s; NaN where the deviation has no freedom left."""
    pixels = histogram.sum()
    if pixels <= ddof:
        return math.nan
    mean = histogram @ values / pixels
    spread = values - mean
    deviation = math.sqrt(histogram @ (spread * spread) / (pixels - ddof))
    return 2.0 * mean / (mean * mean + 1.0 + deviation + EPS)


def _region(counts: PairCounts) -> float:
    """Region term: the quadrants' structural similarities weighted by area, the fourth by what the others leave."""
    height, width = counts.shape
    row, column = counts.split
    area = height * width
    weights = [row * column / area, row * (width - column) / area, (height - row) * column / area]
    weights.append(1.0 - sum(weights))
    return sum(weight * ssim for weight, ssim in zip(weights, _ssims(counts), strict=True))


def _ssims(counts: PairCounts) -> list[float]:
    """Structural similarity of map and mask in each of the four quadrants, from their histograms."""
    pixels = counts.quadrants.sum(axis=1)
    if pixels.min() < 2:
        return [math.nan] * len(pixels)
    x = counts.quadrants @ counts.values / pixels
    spread = counts.values - x[:, None]
    y = counts.quadrants_on_mask.sum(axis=1) / pixels
    freedom = pixels - 1
    sx = (counts.quadrants * spread * spread).sum(axis=1) / freedom
    sy = y * (1.0 - y) * pixels / freedom
    sxy = np.where(y < 1.0, (counts.quadrants_on_mask * spread).sum(axis=1) / freedom, 0.0)
    flat = np.count_nonzero(counts.quadrants, axis=1) == 1
    return [
        ssim_of_pixels(*counts.quadrant_pixels(quadrant))
        if flat[quadrant] and x[quadrant] not in (0.0, 1.0)
        else _similarity(*(float(part[quadrant]) for part in (x, y, sx, sy, sxy)))
        for quadrant in range(len(pixels))
    ]


def ssim_of_pixels(p: np.ndarray, g: np.ndarray) -> float:
    """Structural similarity of a quadrant (H, W) of float64 map and mask, pixel by pixel.

    Where the map is flat, the result hangs on the rounding of NumPy's mean over these very pixels.
    """
    if p.size < 2:
        return math.nan
    x, y, n = p.mean(), g.mean(), p.size
    sx = ((p - x) ** 2).sum() / (n - 1)
    sy = ((g - y) ** 2).sum() / (n - 1)
    sxy = ((p - x) * (g - y)).sum() / (n - 1)
    return _similarity(x, y, sx, sy, sxy)


def _similarity(x: float, y: float, sx: float, sy: float, sxy: float) -> float:
    numerator = 4.0 * x * y * sxy
    denominator = (x * x + y * y) * (sx + sy)
    if numerator != 0.0:
        return numerator / (denominator + EPS)
    return 1.0 if denominator == 0.0 else 0.0
