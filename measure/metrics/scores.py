"""Every score of one map against its mask, each a pure function of `PairHistograms`.

p is the map as probability (min-max normalized unless constant, see `thresholds`), g the mask (> 128), B the map cut
at a threshold. What the released tools give in the odd cases, and so do we:

| mask  | map      | Smeasure | wFmeasure | E at a threshold | soft Dice, IoU | F, swept Dice, IoU, Sen | swept Spe |
|-------|----------|----------|-----------|------------------|----------------|-------------------------|-----------|
| empty | all zero | 1        | 0         | share of B = 0   | 1              | 0                       | 0         |
| empty | other    | 1 - mean | 0         | share of B = 0   | near 0         | 0                       | 0         |
| full  | any      | mean     | formula   | share of B = 1   | formula        | formula                 | NaN       |
| other | all zero | formula  | formula   | formula          | near 0         | 0, but at threshold 0   | 0         |

F, the swept overlap scores and the swept specificity are 0 wherever B and g do not overlap, on any mask.
Shares are of N - 1 pixels, so that an E-measure slightly above 1 is right; of one pixel in a frame of one, where the
released tools divide by nearly nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from .border import border_scores
from .boundary_distance import DistanceSettings, boundary_distances, empty_counts, empty_scores
from .calibration import calibration_counts, calibration_numbers, calibration_scores
from .histograms import PairHistograms, pair_histograms
from .lesions import LesionSettings, lesion_counts, lesion_details, lesion_scores
from .s_measure import s_measure
from .weighted_f import weighted_f

__all__ = [
    "CURVES",
    "ENDOCV_TERMS",
    "HALF_LEVEL",
    "PairScores",
    "adaptive_cut",
    "confusion_at_half",
    "e_measure",
    "hard_scores",
    "mean_absolute_error",
    "pair_scores",
    "pooled_scores",
    "soft_scores",
    "swept_curves",
    "threshold_curves",
]

EPS = float(np.spacing(1))
BETA_SQUARED = 0.3
CURVES = ("Em", "Fm", "precision", "recall", "Dice", "IoU", "Sen", "Spe")
"""The curves over 256 falling thresholds, in the order of `PairScores.curves`."""

HALF_LEVEL = 128
"""A map is cut at 0.5 as saved, not min-max normalized."""

SMOOTHING = 1e-15
"""Keeps the scores at 0.5 defined, as ConvSegNet's and DilatedSegNet's tool has it: nothing over nothing is 1."""

ENDOCV_TERMS = ("Dice@0.5", "F2@0.5", "Precision@0.5", "Recall@0.5")
"""What EndoCV2021 takes the mean of, and whose deviations over images it averages."""

ADAPTIVE_DOUBT = 1e-12
"""A level this near the adaptive threshold is placed by the pixels' own mean, not by the histogram's."""


@dataclass(frozen=True, eq=False)
class PairScores:
    """Scores of one pair; NaN where one is not defined.

    Attributes:
        numbers: scores by name, and "size", the polyp's share of the frame.
        curves: (8, 256), in the order of `CURVES`, over falling thresholds.
        counts: what is summed over a data set before `pooled_scores` are taken of it, by name.
        details: further numbers of this pair alone, that no mean is taken of.
    """

    numbers: dict[str, float]
    curves: np.ndarray
    counts: dict[str, np.ndarray]
    details: dict[str, float]


def pair_scores(
    prediction: np.ndarray,
    mask: np.ndarray,
    *,
    minmax: bool = True,
    ddof: int = 0,
    br_rate: int | None = None,
    distances: DistanceSettings | None = None,
    lesions: LesionSettings | None = None,
    calibration: bool = False,
    endocv: bool = False,
) -> PairScores:
    """Score a map against a mask, both (H, W) uint8 of one size.

    Args:
        prediction: the map's levels.
        mask: polyp above 128.
        minmax: min-max normalize the map first.
        ddof: of the S-measure's deviations, 0 (image protocol) or 1 (VPS).
        br_rate: side of the square that widens the contour to the border region, pixels; None leaves those scores out.
        distances: what boundary distances are taken of; None leaves them out.
        lesions: how lesions are told; None leaves them out.
        calibration: also score whether the saved levels are probabilities.
        endocv: also give the challenge's score, the mean of `ENDOCV_TERMS`.
    """
    histograms = pair_histograms(prediction, mask, minmax=minmax)
    curves = np.empty((len(CURVES), 256))
    adaptive_e, adaptive_f = threshold_curves(histograms, out=curves[:4])
    swept_curves(histograms, out=curves[4:])
    confusion = confusion_at_half(histograms)
    counts = {"confusion": np.array(confusion)}
    numbers = {
        "Smeasure": s_measure(histograms, ddof=ddof),
        "wFmeasure": weighted_f(histograms),
        "MAE": mean_absolute_error(histograms),
        "adpEm": adaptive_e,
        "adpFm": adaptive_f,
        **soft_scores(histograms),
        **hard_scores(*confusion),
        "size": histograms.foreground / histograms.pixels,
    }
    if endocv:
        numbers["EndoCVScore"] = sum(numbers[name] for name in ENDOCV_TERMS) / len(ENDOCV_TERMS)
    if br_rate is not None:
        numbers |= border_scores(prediction, mask, br_rate=br_rate, minmax=minmax)
    if distances is not None:
        numbers |= boundary_distances(prediction, histograms.foreground_mask, histograms.box, distances)
        counts["empty"] = empty_counts(numbers)
    if calibration:
        counts["calibration"] = calibration_counts(histograms)
        numbers |= calibration_numbers(histograms, counts["calibration"])
    details = {}
    if lesions is not None:
        counts |= lesion_counts(prediction, histograms.foreground_mask, lesions)
        details = lesion_details(counts["lesions"])
    return PairScores(numbers, curves, counts, details)


def pooled_scores(counts: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Scores of counts summed over a data set, or of R such sums at once.

    Args:
        counts: by the names that `PairScores.counts` has, each (..., N): N kinds of counts of every sum.

    Returns:
        The scores by name, each of shape (...).
    """
    pooled: dict[str, np.ndarray] = {}
    for name in (name for name in _POOLED if name in counts):
        pooled |= _POOLED[name](*np.moveaxis(np.asarray(counts[name], np.float64), -1, 0))
    return pooled


def _pooled_hard_scores(*confusion: np.ndarray) -> dict[str, np.ndarray]:
    return {f"pooled{name}": value for name, value in hard_scores(*confusion).items()}


def soft_scores(histograms: PairHistograms) -> dict[str, float]:
    """Soft Dice (2 sum p g + 1) / (sum p + sum g + 1) and IoU (sum p g + 1) / (sum (p + g - p g) + 1)."""
    both, total = histograms.sum_on_mask, histograms.sum_map + histograms.foreground
    return {"Dice": (2.0 * both + 1.0) / (total + 1.0), "IoU": (both + 1.0) / (total - both + 1.0)}


def mean_absolute_error(histograms: PairHistograms) -> float:
    """Mean of |p - g| over the frame."""
    return (histograms.sum_off_mask + histograms.foreground - histograms.sum_on_mask) / histograms.pixels


def threshold_curves(histograms: PairHistograms, *, out: np.ndarray) -> tuple[float, float]:
    """Fill `out` (4, 256) with E, F, precision and recall at floor(255 p) >= 255, 254, ..., 0.

    Returns:
        E and F at the adaptive threshold.
    """
    cuts = np.append(histograms.scale.floor_cuts, adaptive_cut(histograms))
    bright, overlap = histograms.at_or_above[:, cuts]
    precision = overlap / np.maximum(bright, 1.0)
    recall = overlap / max(histograms.foreground, 1)
    weighted = BETA_SQUARED * precision + recall
    f = (1.0 + BETA_SQUARED) * precision * recall / np.where(overlap > 0.0, weighted, 1.0)
    e = e_measure(bright, overlap, foreground=histograms.foreground, pixels=histograms.pixels)
    for row, curve in zip(out, (e, f, precision, recall), strict=True):
        row[:] = curve[:-1]
    return float(e[-1]), float(f[-1])


def adaptive_cut(histograms: PairHistograms) -> int:
    """The lowest level that reaches the adaptive threshold min(2 mean p, 1)."""
    doubled = 2.0 * histograms.sum_map / histograms.pixels
    at_threshold = np.abs(histograms.values - doubled) < ADAPTIVE_DOUBT
    if histograms.whole[at_threshold].any():
        doubled = 2.0 * histograms.values[histograms.prediction].mean()
    return int(histograms.values.searchsorted(min(doubled, 1.0)))


def e_measure(bright: np.ndarray, overlap: np.ndarray, *, foreground: int, pixels: int) -> np.ndarray:
    """Enhanced-alignment measure (Fan et al., IJCAI 2018) of maps cut to `bright` pixels, `overlap` of them on g.

    Map and mask are demeaned to a and b; 2ab / (a^2 + b^2) has one value for each of the four kinds of pixels.
    """
    normalizer = max(pixels - 1, 1) + EPS
    if foreground == 0:
        return (pixels - bright) / normalizer
    if foreground == pixels:
        return bright / normalizer
    mean_b, mean_g = bright / pixels, foreground / pixels
    total = np.zeros_like(mean_b)
    wrongly_bright = bright - overlap
    for a, b, amount in (
        (1.0 - mean_b, 1.0 - mean_g, overlap),
        (1.0 - mean_b, -mean_g, wrongly_bright),
        (-mean_b, 1.0 - mean_g, foreground - overlap),
        (-mean_b, -mean_g, pixels - foreground - wrongly_bright),
    ):
        aligned = 2.0 * b * a / (a * a + (b * b + EPS)) + 1.0
        total += aligned * aligned * amount
    return total / (4.0 * normalizer)


def swept_curves(histograms: PairHistograms, *, out: np.ndarray) -> None:
    """Fill `out` (4, 256) with Dice, IoU, sensitivity and specificity at p >= linspace(1, 0, 256).

    All four are 0 where B and g do not overlap, specificity too; on a full mask it is 0 / 0 = NaN elsewhere.
    """
    bright, overlap = histograms.at_or_above[:, histograms.scale.swept_cuts]
    background = histograms.pixels - histograms.foreground
    np.divide(2.0 * overlap, np.maximum(bright + histograms.foreground, 1.0), out=out[0])
    np.divide(overlap, np.maximum(histograms.foreground - overlap + bright, 1.0), out=out[1])
    np.divide(overlap, max(histograms.foreground, 1), out=out[2])
    specificity = (background - (bright - overlap)) / background if background else np.nan
    out[3] = np.where(overlap > 0.0, specificity, 0.0)


def confusion_at_half(histograms: PairHistograms) -> tuple[int, int, int, int]:
    """TP, FP, FN and TN in pixels of the map cut at level 128."""
    bright, overlap = (int(n) for n in histograms.at_or_above[:, HALF_LEVEL])
    background = histograms.pixels - histograms.foreground
    return overlap, bright - overlap, histograms.foreground - overlap, background - (bright - overlap)


def hard_scores(tp: int, fp: int, fn: int, tn: int) -> dict[str, float]:
    """Dice, IoU, precision, recall, F2 and accuracy of pixel counts, of one image or pooled over a data set."""
    precision = (tp + SMOOTHING) / (tp + fp + SMOOTHING)
    recall = (tp + SMOOTHING) / (tp + fn + SMOOTHING)
    return {
        "Dice@0.5": (2 * tp + SMOOTHING) / (2 * tp + fp + fn + SMOOTHING),
        "IoU@0.5": (tp + SMOOTHING) / (tp + fp + fn + SMOOTHING),
        "Precision@0.5": precision,
        "Recall@0.5": recall,
        "F2@0.5": 5 * precision * recall / (4 * precision + recall + SMOOTHING),
        "Accuracy@0.5": (tp + tn) / (tp + fp + fn + tn),
    }


_POOLED = {
    "confusion": _pooled_hard_scores,
    "empty": empty_scores,
    "lesions": lesion_scores,
    "calibration": calibration_scores,
}
