"""Bootstrap intervals of anything computed from sums over units: images, or whole groups where frames are alike.

A resample draws as many units as there are, with replacement; drawing is the same as weighing each unit by how often it
was drawn. A statistic therefore takes weights, (R, U) for R resamples of U units, and returns R values of K scores. The
intervals are bias-corrected and accelerated (BCa; Efron, JASA 1987), as `scipy.stats.bootstrap` has them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri

__all__ = ["FEWEST_UNITS", "Bootstrap", "Statistic", "bca_intervals"]

Statistic = Callable[[np.ndarray], np.ndarray]
"""Weights (R, U) -> scores (R, K)."""

FEWEST_UNITS = 10
"""Of fewer units no interval is given: the resamples say too little about what was not seen."""

LEVEL = 0.95
BATCH = 1 << 21
"""Weights held at once; of at most `ROWS` resamples, as a statistic may hold more than them."""

ROWS = 1000
ROUNDING = 1e-9
"""Values that agree up to here are equal: of few units many resamples tie with the score; half count as below."""


@dataclass(frozen=True)
class Bootstrap:
    """How resamples are drawn.

    Attributes:
        resamples: their number.
        seed: of the draw; the same seed gives the same intervals.
    """

    resamples: int = 9999
    seed: int = 0

    def weights(self, units: int) -> Iterator[np.ndarray]:
        """How often each of the units is drawn, (R, units) at a time."""
        random = np.random.default_rng(self.seed)
        step = _rows(units)
        for start in range(0, self.resamples, step):
            rows = min(step, self.resamples - start)
            drawn = random.integers(0, units, (rows, units))
            drawn += np.arange(rows)[:, None] * units
            yield np.bincount(drawn.ravel(), minlength=rows * units).reshape(rows, units).astype(np.float64)

    def values(self, statistic: Statistic, units: int) -> np.ndarray:
        """The statistic of every resample, (resamples, K)."""
        return np.concatenate([statistic(weights) for weights in self.weights(units)])


def bca_intervals(statistic: Statistic, units: int, bootstrap: Bootstrap) -> np.ndarray:
    """95 % intervals of K scores, (K, 2): lower and upper ends; NaN where a score is not defined.

    Args:
        statistic: from weights of the units to scores.
        units: their number, at least 2.
        bootstrap: number of resamples and seed.
    """
    found = statistic(np.ones((1, units)))[0]
    values = bootstrap.values(statistic, units)
    without_one = np.concatenate([statistic(weights) for weights in _leaving_one_out(units)])
    return np.array([_interval(*column) for column in zip(found, values.T, without_one.T, strict=True)])


def _rows(units: int) -> int:
    return max(1, min(ROWS, BATCH // units))


def _leaving_one_out(units: int) -> Iterator[np.ndarray]:
    step = _rows(units)
    for start in range(0, units, step):
        weights = np.ones((min(step, units - start), units))
        weights[np.arange(len(weights)), np.arange(start, start + len(weights))] = 0.0
        yield weights


def _interval(found: float, values: np.ndarray, without_one: np.ndarray) -> tuple[float, float]:
    """The BCa interval of one score from its value, its resamples (R,) and its values without each unit (U,).

    Resamples in which the score is not defined are passed over, unless they are more than one in a hundred.
    """
    defined = np.isfinite(values)
    if not np.isfinite(found) or not np.isfinite(without_one).all() or defined.mean() < 0.99:
        return np.nan, np.nan
    values = values[defined]
    rounding = ROUNDING * max(1.0, abs(found))
    if np.ptp(values) <= rounding:
        return found, found
    below = (np.mean(values < found - rounding) + np.mean(values <= found + rounding)) / 2
    bias = ndtri(below)
    deviation = without_one.mean() - without_one
    spread = (deviation**2).sum()
    acceleration = (deviation**3).sum() / (6 * spread**1.5) if spread else 0.0
    tails = bias + ndtri([(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    with np.errstate(invalid="ignore"):  # infinite where the value lies beyond every resample
        shares = ndtr(bias + tails / (1 - acceleration * tails))
    if not np.isfinite(shares).all():
        return np.nan, np.nan
    low, high = np.quantile(values, shares)
    return float(low), float(high)
