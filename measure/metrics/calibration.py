"""Whether a map's levels are probabilities: of the pixels marked 0.8, are four in five polyp?

The map counts as saved, p = level / 255; a map that was min-max normalized no longer holds probabilities. Pixels are
put into 15 bins of equal width, bin k for k / 15 <= p < (k + 1) / 15, the last with p = 1. The expected calibration
error is the mean over bins, weighed by their pixels, of |mean p - share of polyp| (Guo et al., ICML 2017; here of the
probability of polyp, not of the winning class). The Brier score is the mean of (p - g)^2.
"""

from __future__ import annotations

import numpy as np

from .histograms import PairHistograms
from .thresholds import LEVELS

__all__ = ["calibration_counts", "calibration_numbers", "calibration_scores", "reliability"]

BINS = 15
PROBABILITY = np.arange(LEVELS) / (LEVELS - 1)
_BIN_STARTS = np.arange(BINS) * (LEVELS - 1) // BINS  # 255 is a multiple of 15, so every bound is a level


def calibration_counts(histograms: PairHistograms) -> np.ndarray:
    """Per bin the pixels, those on the mask, and the sum of p: (45,), the 15 of a kind together."""
    kinds = np.stack([histograms.whole, histograms.on_mask, histograms.whole * PROBABILITY])
    return np.add.reduceat(kinds, _BIN_STARTS, axis=1).ravel()


def calibration_numbers(histograms: PairHistograms, counts: np.ndarray) -> dict[str, float]:
    """`ECE` and `Brier` of one pair, from its histograms and its `calibration_counts`."""
    missed = histograms.off_mask @ PROBABILITY**2 + histograms.on_mask @ (1 - PROBABILITY) ** 2
    return {"ECE": float(_expected_error(counts)), "Brier": float(missed / histograms.pixels)}


def calibration_scores(*summed: np.ndarray) -> dict[str, np.ndarray]:
    """`pooledECE`, from the 45 counts summed over a data set."""
    return {"pooledECE": _expected_error(np.stack(summed, axis=-1))}


def _expected_error(counts: np.ndarray) -> np.ndarray:
    """Of counts (..., 45)."""
    pixels, polyp, probability = np.moveaxis(counts.reshape(*counts.shape[:-1], 3, BINS), -2, 0)
    return np.abs(probability - polyp).sum(axis=-1) / pixels.sum(axis=-1)


def reliability(summed: np.ndarray) -> dict[str, list[float]]:
    """The reliability diagram of a data set, from its summed counts: a value per bin, NaN in empty ones."""
    pixels, polyp, probability = summed.reshape(3, BINS)
    with np.errstate(invalid="ignore"):
        return {
            "probability": (probability / pixels).tolist(),
            "observed": (polyp / pixels).tolist(),
            "pixels": pixels.tolist(),
        }
