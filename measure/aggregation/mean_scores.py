"""Means of numbers and of curves over whatever is added, images, frames or cases, and the scores that follow."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from ..metrics import CURVES, DISTANCES, WHERE_BOTH, PairScores

__all__ = ["MeanScores", "curve_scores", "image_scores", "plain_scores"]

_TABLE_ORDER = (
    *("Smeasure", "wFmeasure", "MAE", "adpEm", "meanEm", "maxEm", "adpFm", "meanFm", "maxFm", "fnr"),
    *("meanSen", "maxSen", "meanSpe", "maxSpe", "meanDice", "maxDice", "meanIoU", "maxIoU", "Dice", "IoU"),
)
_SWEPT = ("Em", "Fm", "Dice", "IoU", "Sen", "Spe")
_SKIPPED_WHERE_MISSING = {"BR_mae", "BR_wF", *(name + WHERE_BOTH for name in DISTANCES)}


class MeanScores:
    """The mean of numbers and of curves, and the sum of counts, over whatever is added: images, frames or cases.

    Attributes:
        count: what was added.
        sums: of the numbers, by name.
        present: how many had each number.
        curve_sums: (8, 256), or (8, 0) where curves are passed over.
        counts: summed, by name.
    """

    def __init__(self, *, with_curves: bool = True) -> None:
        self.count = 0
        self.sums: dict[str, float] = {}
        self.present: dict[str, int] = {}
        self.curve_sums = np.zeros((len(CURVES), 256 if with_curves else 0))
        self.counts: dict[str, np.ndarray] = {}

    def add(self, numbers: dict[str, float], curves: np.ndarray, counts: Mapping[str, np.ndarray]) -> None:
        """Add one unit: its numbers by name, its curves (8, 256) and its counts by name."""
        self.count += 1
        self.curve_sums += curves[:, : self.curve_sums.shape[1]]
        for name, value in numbers.items():
            if name in _SKIPPED_WHERE_MISSING and math.isnan(value):
                continue
            self.sums[name] = self.sums.get(name, 0.0) + value
            self.present[name] = self.present.get(name, 0) + 1
        for name, added in counts.items():
            self.counts[name] = self.counts.get(name, 0) + added

    @property
    def curves(self) -> np.ndarray:
        """Mean curves, (8, 256)."""
        return self.curve_sums / self.count

    @property
    def numbers(self) -> dict[str, float]:
        """Mean numbers by name."""
        return {name: total / self.present[name] for name, total in self.sums.items()}

    def scores(self) -> dict[str, float]:
        """Mean numbers, and the mean and maximum of the mean curves over the thresholds, in the tables' order."""
        return _ordered(self.numbers | plain_scores(curve_scores(self.curves)))


def curve_scores(curves: np.ndarray) -> dict[str, np.ndarray]:
    """Mean and maximum over the thresholds of curves (..., 8, 256), and the false negative rate; NaN stays NaN."""
    means, tops = curves.mean(axis=-1), curves.max(axis=-1)
    place = {name: position for position, name in enumerate(CURVES)}
    numbers = {"fnr": 1.0 - means[..., place["recall"]]}
    for name in _SWEPT:
        numbers |= {f"mean{name}": means[..., place[name]], f"max{name}": tops[..., place[name]]}
    return numbers


def plain_scores(scores: Mapping[str, np.ndarray]) -> dict[str, float]:
    """The same as Python's numbers."""
    return {name: float(value) for name, value in scores.items()}


def image_scores(scores: PairScores) -> dict[str, float]:
    """One image's entry in `per_image`: its numbers, and the mean and maximum of its own curves."""
    numbers = {
        name: value for name, value in scores.numbers.items() if name != "size" and not name.endswith(WHERE_BOTH)
    }
    swept = plain_scores(curve_scores(scores.curves))
    return _ordered(numbers | swept) | scores.details | {"size": scores.numbers["size"]}


def _ordered(scores: dict[str, float]) -> dict[str, float]:
    """`scores` in the order the released tools print them, what they do not print at the end."""
    first = [name for name in _TABLE_ORDER if name in scores]
    return {name: scores[name] for name in dict.fromkeys([*first, *scores])}
