"""Ranks of methods and how stable they are when the images are drawn again (as challengeR does)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from .bootstrap import Bootstrap

__all__ = ["Ranks", "bootstrap_ranks", "kendall_tau"]


@dataclass(frozen=True)
class Ranks:
    """Ranks of M methods by one score.

    Attributes:
        ranks: (M,), 1 is best; methods of equal score share the mean of their places.
        intervals: (M, 2), between which 95 % of the resamples put each method.
        first: (M,), share of the resamples in which it is first, alone or with others.
        agreement: mean over resamples of Kendall's tau between their ranking and the data's; 1: none differs.
    """

    ranks: np.ndarray
    intervals: np.ndarray
    first: np.ndarray
    agreement: float


def bootstrap_ranks(
    sums: np.ndarray, sizes: np.ndarray, *, higher_is_better: bool, bootstrap: Bootstrap, digits: int = 12
) -> Ranks:
    """Rank methods by their means over images.

    Args:
        sums: (U, M), the scores of M methods summed over the images of each of U units.
        sizes: (U,), images of each unit.
        higher_is_better: which end of the score is.
        bootstrap: number of resamples and seed.
        digits: means that agree up to here are equal.
    """
    sign = -1.0 if higher_is_better else 1.0

    def ranked(weights: np.ndarray) -> np.ndarray:
        return rankdata(np.round(sign * (weights @ sums) / (weights @ sizes)[:, None], digits), axis=1)

    ranks = ranked(np.ones((1, len(sizes))))[0]
    drawn = bootstrap.values(ranked, len(sizes))
    return Ranks(
        ranks=ranks,
        intervals=np.quantile(drawn, [0.025, 0.975], axis=0, method="nearest").T,
        first=(drawn == drawn.min(axis=1, keepdims=True)).mean(axis=0),
        agreement=float(np.mean(kendall_tau(drawn, ranks))),
    )


def kendall_tau(rows: np.ndarray, ranks: np.ndarray) -> np.ndarray:
    """Kendall's tau b between every row of ranks (R, M) and `ranks` (M,): 1 where they agree, in their ties too.

    Where either holds nothing but ties, it is 1 if both do and 0 otherwise.
    """
    first, second = np.triu_indices(len(ranks), 1)
    drawn, found = np.sign(rows[:, first] - rows[:, second]), np.sign(ranks[first] - ranks[second])
    untied = np.abs(drawn).sum(axis=1), np.abs(found).sum()
    scale = np.sqrt(untied[0] * untied[1])
    return np.where(scale > 0, drawn @ found / np.maximum(scale, 1), untied[0] == untied[1])
