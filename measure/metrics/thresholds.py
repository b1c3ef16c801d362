"""The 256 grey levels of a map as probabilities, and where the thresholds fall among them.

Two families of 256 thresholds are in use and they are not alike. E- and F-measure compare floor(255 p) with 255, 254,
..., 0. The swept Dice, IoU, sensitivity and specificity compare p itself with linspace(1, 0, 256), 66 of which exceed
k / 255 by one rounding step. Both are answered here by the lowest level that passes each threshold.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

__all__ = ["LEVELS", "Scale", "scale_between"]

LEVELS = 256
_SWEPT_THRESHOLDS = np.linspace(1, 0, LEVELS)
_FLOOR_THRESHOLDS = np.arange(LEVELS - 1, -1, -1)


@dataclass(frozen=True, eq=False)
class Scale:
    """How levels become probabilities: p = (level - low) / span, up to rounding.

    Attributes:
        low: the level that becomes 0.
        span: levels from there to the one that becomes 1.
        values: (256,) float64, p of every level, built by the very operations, in the very order, that a pixel goes
            through; levels that do not occur may leave [0, 1].
        floor_cuts: (256,), the lowest level that passes each threshold of the E- and F-measure, in falling order; 256
            where none does.
        swept_cuts: (256,), the same for the swept scores.
    """

    low: int
    span: int
    values: np.ndarray
    floor_cuts: np.ndarray
    swept_cuts: np.ndarray


@lru_cache(maxsize=2048)
def scale_between(lowest: int, highest: int, minmax: bool) -> Scale:
    """The scale of a map whose levels run from `lowest` to `highest`; without `minmax`, or flat, it is level / 255."""
    values = np.arange(LEVELS) / 255
    low, span = 0, 255
    if minmax and highest > lowest:
        values = (values - values[lowest]) / (values[highest] - values[lowest])
        low, span = lowest, highest - lowest
    return Scale(
        low=low,
        span=span,
        values=values,
        floor_cuts=np.searchsorted(np.floor(values * 255), _FLOOR_THRESHOLDS),
        swept_cuts=np.searchsorted(values, _SWEPT_THRESHOLDS),
    )
