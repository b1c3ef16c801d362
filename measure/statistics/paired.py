"""Two methods on the same images: the difference of their means, and whether it could be chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from .bootstrap import FEWEST_UNITS, Bootstrap, bca_intervals

__all__ = ["PairedTest", "holm", "paired_test"]

EXACT_UP_TO = 50
DIGITS = 12
"""Differences that agree up to here are equal: rounding must not break ties of the signed-rank test."""


@dataclass(frozen=True)
class PairedTest:
    """What is known of a difference.

    Attributes:
        difference: mean of the first method's scores minus that of the second's.
        interval: of the difference, 95 %; None below ten units, or where resamples cannot tell.
        p: of the Wilcoxon signed-rank test over units, two-sided, units without a difference left out; None below ten
            units.
        wins: units on which the first method's score is greater.
        losses: units on which it is less.
        units: number of units.
    """

    difference: float
    interval: tuple[float, float] | None
    p: float | None
    wins: int
    losses: int
    units: int


def paired_test(differences: np.ndarray, groups: Sequence[str], bootstrap: Bootstrap) -> PairedTest:
    """Judge the differences of two methods' scores.

    Args:
        differences: (N,), first minus second, per image; finite.
        groups: N names; images of one group are resampled together, and their mean difference is one unit of the test.
        bootstrap: number of resamples and seed.
    """
    names, place = np.unique(np.asarray(groups), return_inverse=True)
    units = len(names)
    sums, sizes = np.bincount(place, differences, units), np.bincount(place, minlength=units)
    means = np.round(sums / sizes, DIGITS)
    interval = p = None
    if units >= FEWEST_UNITS:
        found = bca_intervals(lambda weights: (weights @ sums / (weights @ sizes))[:, None], units, bootstrap)[0]
        interval = (float(found[0]), float(found[1])) if np.isfinite(found).all() else None
        p = _signed_rank_p(means)
    return PairedTest(
        difference=float(np.mean(differences)),
        interval=interval,
        p=p,
        wins=int(np.count_nonzero(means > 0)),
        losses=int(np.count_nonzero(means < 0)),
        units=units,
    )


def _signed_rank_p(differences: np.ndarray) -> float:
    """P of the Wilcoxon signed-rank test: exact up to 50 differences other than 0, else by the normal approximation.

    SciPy's exact form knows no ties, and its approximation calls five differences of one sign significant (p = 0.04),
    which by chance all have it once in 16 times.
    """
    differences = differences[differences != 0]
    if not differences.size:
        return 1.0
    if differences.size > EXACT_UP_TO:
        return float(stats.wilcoxon(differences, method="approx").pvalue)
    ranks = np.rint(2 * stats.rankdata(np.abs(differences))).astype(int)  # ties share a mean rank: doubled, it is whole
    ways = np.zeros(ranks.sum() + 1)  # in how many of all choices of signs the positive ranks have each sum
    ways[0] = 1
    for rank in ranks:
        ways[rank:] = ways[rank:] + ways[:-rank]
    positive = ranks[differences > 0].sum()
    tail = ways[: min(positive, ranks.sum() - positive) + 1].sum()
    return min(1.0, float(2 * tail / ways.sum()))


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's correction: p values such that calling those below 0.05 real errs at all in at most 5 % of studies."""
    order = np.argsort(p_values, kind="stable")
    count = len(p_values)
    scaled = np.minimum(1.0, np.asarray(p_values, float)[order] * (count - np.arange(count)))
    corrected = np.empty(count)
    corrected[order] = np.maximum.accumulate(scaled)
    return corrected.tolist()
