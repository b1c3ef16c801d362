"""Several trainings of each method: how much of what separates methods is the seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["SeedEffect", "seed_effect"]


@dataclass(frozen=True)
class SeedEffect:
    """Scores of several seeds per method, one mean per seed.

    Attributes:
        means: per method, over its seeds.
        deviations: per method, between its seeds (sample deviation); None of one seed.
        seed_share: share of the variance of single runs that seeds explain, in [0, 1], the methods the rest (one-way
            analysis of variance, random effects); None with one method, or with one seed each.
    """

    means: dict[str, float]
    deviations: dict[str, float | None]
    seed_share: float | None


def seed_effect(scores: Mapping[str, Sequence[float]]) -> SeedEffect:
    """Split the variance of runs into that between seeds of a method and that between methods.

    Args:
        scores: per method, the score of each of its seeds.
    """
    means = {method: float(np.mean(values)) for method, values in scores.items()}
    deviations = {
        method: float(np.std(values, ddof=1)) if len(values) > 1 else None for method, values in scores.items()
    }
    sizes = np.array([len(values) for values in scores.values()], float)
    runs, methods = sizes.sum(), len(sizes)
    if methods < 2 or runs == methods:
        return SeedEffect(means, deviations, None)
    centers = np.array(list(means.values()))
    within = sum(((np.asarray(v) - m) ** 2).sum() for v, m in zip(scores.values(), centers, strict=True))
    within /= runs - methods
    between = (sizes * (centers - sizes @ centers / runs) ** 2).sum() / (methods - 1)
    usual_size = (runs - (sizes**2).sum() / runs) / (methods - 1)
    of_methods = max(0.0, (between - within) / usual_size)
    total = of_methods + within
    return SeedEffect(means, deviations, float(within / total) if total else None)
