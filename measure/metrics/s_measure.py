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

from .histograms import PairHistograms

__all__ = ["s_measure", "ssim_of_pixels"]

EPS = float(np.spacing(1))


def s_measure(histograms: PairHistograms, *, ddof: int) -> float:
    """S-measure of one map.

    Args:
        ddof: 0 for the population deviation in the object term (image protocol), 1 for the sample deviation (VPS).
    """
    if histograms.foreground == 0:
        return 1.0 - histograms.sum_map / histograms.pixels
    if histograms.foreground == histograms.pixels:
        return histograms.sum_map / histograms.pixels
    score = 0.5 * _object(histograms, ddof) + 0.5 * _region(histograms)
    return max(0.0, score)  # also 0 for NaN, as no comparison with it holds


def _object(histograms: PairHistograms, ddof: int) -> float:
    """Object term: how bright and even the map is on the mask, and how dark and even off it."""
    share = histograms.foreground / histograms.pixels
    inside = _evenness(histograms.on_mask, histograms.values, ddof)
    outside = _evenness(histograms.off_mask, 1.0 - histograms.values, ddof)
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


def _region(histograms: PairHistograms) -> float:
    """Region term: the quadrants' structural similarities weighted by area, the fourth by what the others leave."""
    height, width = histograms.shape
    row, column = histograms.split
    area = height * width
    weights = [row * column / area, row * (width - column) / area, (height - row) * column / area]
    weights.append(1.0 - sum(weights))
    return sum(weight * ssim for weight, ssim in zip(weights, _ssims(histograms), strict=True))


def _ssims(histograms: PairHistograms) -> list[float]:
    """Structural similarity of map and mask in each of the four quadrants, from their histograms."""
    pixels = histograms.quadrants.sum(axis=1)
    if pixels.min() < 2:
        return [math.nan] * len(pixels)
    x = histograms.quadrants @ histograms.values / pixels
    spread = histograms.values - x[:, None]
    y = histograms.quadrants_on_mask.sum(axis=1) / pixels
    freedom = pixels - 1
    sx = (histograms.quadrants * spread * spread).sum(axis=1) / freedom
    sy = y * (1.0 - y) * pixels / freedom
    sxy = np.where(y < 1.0, (histograms.quadrants_on_mask * spread).sum(axis=1) / freedom, 0.0)
    flat = np.count_nonzero(histograms.quadrants, axis=1) == 1
    return [
        ssim_of_pixels(*histograms.quadrant_pixels(quadrant))
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
