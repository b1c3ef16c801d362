"""Intervals and quartiles of a data set's scores, from the sums of its units: images, cases, or groups of either."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from ..metrics import CURVES, pooled_scores, scale_between
from ..statistics import FEWEST_UNITS, Bootstrap, bca_intervals
from .mean_scores import MeanScores, curve_scores

__all__ = ["best_threshold", "score_intervals", "score_quartiles"]

TOP_LEVEL = 255
_WITHOUT_INTERVAL = ("empty", "free_response")
"""Counts that are told as they are, and those that a curve is made of."""


def score_intervals(units: Sequence[MeanScores], bootstrap: Bootstrap) -> dict[str, list[float]]:
    """The 95 % interval of every score of the data set, [low, high] by name; those not defined are left out.

    Args:
        units: what is resampled, each holding the sums over its images (or cases); below ten the result is empty.
        bootstrap: number of resamples and seed.
    """
    if len(units) < FEWEST_UNITS:
        return {}
    statistic = _Scores(units)
    ends = bca_intervals(statistic, len(units), bootstrap)
    return {name: row.tolist() for name, row in zip(statistic.names, ends, strict=True) if np.isfinite(row).all()}


class _Scores:
    """From weights of the units (R, U) to the data set's scores (R, K), in the order of `names`."""

    def __init__(self, units: Sequence[MeanScores]) -> None:
        self._numbers = list(dict.fromkeys(name for unit in units for name in unit.sums))
        self._sums = np.array([[unit.sums.get(name, 0.0) for name in self._numbers] for unit in units])
        self._present = np.array([[unit.present.get(name, 0.0) for name in self._numbers] for unit in units])
        self._sizes = np.array([float(unit.count) for unit in units])
        # intervals need no more than float32, in which the largest product takes half the time
        self._curves = np.array([unit.curve_sums for unit in units], np.float32)  # (U, 8, 256) or (U, 8, 0)
        self._counts = {
            name: np.array([unit.counts[name] for unit in units], np.float64)
            for name in units[0].counts
            if name not in _WITHOUT_INTERVAL
        }
        self.names = list(self._by_name(np.ones((1, len(units)))))

    def __call__(self, weights: np.ndarray) -> np.ndarray:
        return np.stack(list(self._by_name(weights).values()), axis=1)

    def _by_name(self, weights: np.ndarray) -> Mapping[str, np.ndarray]:
        with np.errstate(invalid="ignore", divide="ignore"):
            numbers = dict(zip(self._numbers, (weights @ self._sums / (weights @ self._present)).T, strict=True))
        pooled = pooled_scores({name: weights @ counts for name, counts in self._counts.items()})
        return numbers | self._maxima(weights) | pooled

    def _maxima(self, weights: np.ndarray) -> dict[str, np.ndarray]:
        """The scores that are no mean of the units': maxima of the mean curves; none where curves were not kept."""
        if self._curves.shape[2] == 0:
            return {}
        curves = weights.astype(np.float32) @ self._curves.reshape(len(self._curves), -1)
        curves = curves.reshape(len(weights), *self._curves.shape[1:])
        swept = curve_scores(curves / (weights @ self._sizes)[:, None, None].astype(np.float32))
        return {name: values for name, values in swept.items() if name.startswith("max")}


def best_threshold(mean_curves: np.ndarray, units: Sequence[MeanScores], bootstrap: Bootstrap) -> dict[str, Any]:
    """The 8-bit level at which the mean Dice is greatest, and between which levels 95 % of the resamples put it.

    Args:
        mean_curves: of the data set, (8, 256).
        units: as in `score_intervals`; below ten, or without curves, the interval is None.
        bootstrap: number of resamples and seed.

    Returns:
        `level`, from which maps of full range count as polyp there, the highest of several; `interval`; `Dice`, the
        mean there.
    """
    mean = mean_curves[CURVES.index("Dice")]
    levels = scale_between(0, TOP_LEVEL, False).swept_cuts  # some thresholds are a rounding step above their level
    interval = None
    if len(units) >= FEWEST_UNITS and units[0].curve_sums.size:
        curves = np.array([unit.curve_sums[CURVES.index("Dice")] for unit in units])
        best = bootstrap.values(lambda weights: (weights @ curves).argmax(axis=1)[:, None], len(units))
        interval = np.quantile(levels[best], [0.025, 0.975], method="nearest").tolist()
    place = int(mean.argmax())
    return {"level": int(levels[place]), "interval": interval, "Dice": float(mean[place])}


def score_quartiles(averaged: Iterable[Mapping[str, float]]) -> dict[str, list[float]]:
    """First quartile, median and third quartile of every score, by name; missing scores (NaN) are passed over.

    Args:
        averaged: the scores of every image, or case, that the data set's mean is taken over.
    """
    columns: dict[str, list[float]] = {}
    for scores in averaged:
        for name, value in scores.items():
            columns.setdefault(name, []).append(value)
    finite = {name: np.array(values)[np.isfinite(values)] for name, values in columns.items()}
    return {name: np.quantile(v, [0.25, 0.5, 0.75]).tolist() for name, v in finite.items() if v.size}
