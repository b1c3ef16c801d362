"""Scores in the border region (BR): a band around the mask's contour, where segmentations differ most.

The contours of mask > 127 (of holes too) are drawn 3 pixels thick and dilated once by a square. Map and mask are set to
0 outside this band first and only then prepared like any pair.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from .histograms import Box, pair_histograms
from .weighted_f import weighted_f

__all__ = ["border_band", "border_scores"]

CONTOUR_ABOVE = 127
THICKNESS = 3
MARGIN = 8
"""Pixels around the band that scoring may look at: half a contour's thickness, and the weighted F's smoothing."""

CHANNELS = 3
"""The released tool divides by the band's pixels in a three-channel picture."""


def border_band(mask: np.ndarray, *, br_rate: int) -> np.ndarray:
    """The band (H, W), 255 inside and 0 outside; empty for a mask without contour."""
    binary = cv2.threshold(mask, CONTOUR_ABOVE, 255, cv2.THRESH_BINARY)[1]
    contours, _ = cv2.findContours(binary, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    drawn = cv2.drawContours(np.zeros_like(mask), contours, -1, 255, THICKNESS)
    return cv2.dilate(drawn, np.ones((br_rate, br_rate), np.uint8))


def border_scores(prediction: np.ndarray, mask: np.ndarray, *, br_rate: int, minmax: bool) -> dict[str, float]:
    """`BR_mae` (a third of the mean error in the band) and `BR_wF`; both NaN for a mask without contour."""
    marked = Box.around(cv2.threshold(mask, CONTOUR_ABOVE, 255, cv2.THRESH_BINARY)[1])
    if marked.is_empty:
        return {"BR_mae": math.nan, "BR_wF": math.nan}
    # Beyond the band both images are 0 and count for nothing, so the frame may be cut down to its surroundings.
    area = marked.grown(br_rate + MARGIN, mask.shape)
    mask, prediction = area.of(mask), area.of(prediction)
    band = border_band(mask, br_rate=br_rate)
    histograms = pair_histograms(cv2.bitwise_and(prediction, band), cv2.bitwise_and(mask, band), minmax=minmax)
    error = histograms.sum_off_mask + histograms.foreground - histograms.sum_on_mask
    return {"BR_mae": error / (CHANNELS * cv2.countNonZero(band)), "BR_wF": weighted_f(histograms)}
