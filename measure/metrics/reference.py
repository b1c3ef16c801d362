"""The definitions as they are read, pixel by pixel: slow, plain, and what the fast path is held to.

Tests compare the fast path with these functions and the benchmark times them. Scoring itself never calls them. All
take a map (H, W) uint8 and a mask (H, W) uint8 of the same size; see `scores` for what each metric means.
"""

from __future__ import annotations

import cv2
import numpy as np
from scipy import ndimage

from .s_measure import ssim_of_pixels

__all__ = [
    "naive_border_scores",
    "naive_boundary_distances",
    "curves",
    "naive_scores",
    "prepare",
    "s_measure",
    "swept",
    "weighted_f",
]

EPS = np.spacing(1)


def prepare(prediction: np.ndarray, mask: np.ndarray, *, minmax: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Map as float64 in [0, 1], min-max normalized unless it is constant, and mask as bool."""
    p = prediction / 255
    if minmax and p.max() != p.min():
        p = (p - p.min()) / (p.max() - p.min())
    return p, mask > 128


def naive_scores(
    prediction: np.ndarray, mask: np.ndarray, *, minmax: bool = True, ddof: int = 0
) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    """Every metric of one pair: single numbers by name, and the curves over 256 thresholds by name."""
    p, g = prepare(prediction, mask, minmax=minmax)
    adaptive = p >= min(2 * p.mean(), 1)
    every = curves(p, g) | swept(p, g)
    numbers = {
        "Smeasure": s_measure(p, g, ddof=ddof),
        "wFmeasure": weighted_f(p, g),
        "MAE": np.abs(p - g).mean(),
        "adpEm": e_measure(adaptive, g),
        "adpFm": adaptive_f(adaptive, g),
        "Dice": (2 * (p * g).sum() + 1) / (p.sum() + g.sum() + 1),
        "IoU": ((p * g).sum() + 1) / ((p + g - p * g).sum() + 1),
        "fnr": (1 - every["recall"]).mean(),
        **at_half(prediction, g),
    }
    return numbers, every


def s_measure(p: np.ndarray, g: np.ndarray, *, ddof: int) -> float:
    """S-measure, alpha 0.5."""
    if not g.any():
        return 1 - p.mean()
    if g.all():
        return p.mean()
    with np.errstate(all="ignore"):
        score = 0.5 * _object_term(p, g, ddof) + 0.5 * _region_term(p, g)
    return 0.0 if np.isnan(score) else max(0.0, score)


def _object_term(p: np.ndarray, g: np.ndarray, ddof: int) -> float:
    def evenness(x: np.ndarray) -> float:
        deviation = x.std(ddof=ddof) if x.size > ddof else np.nan
        return 2 * x.mean() / (x.mean() ** 2 + 1 + deviation + EPS)

    return g.mean() * evenness(p[g]) + (1 - g.mean()) * evenness((1 - p)[~g])


def _region_term(p: np.ndarray, g: np.ndarray) -> float:
    height, width = g.shape
    row, column = (int(np.round(center)) + 1 for center in np.argwhere(g).mean(axis=0))
    parts = [
        (slice(0, row), slice(0, column)),
        (slice(0, row), slice(column, width)),
        (slice(row, height), slice(0, column)),
        (slice(row, height), slice(column, width)),
    ]
    weights = [g[part].size / g.size for part in parts[:3]]
    weights.append(1 - sum(weights))
    return sum(w * ssim_of_pixels(p[part], g[part]) for w, part in zip(weights, parts, strict=True))


def e_measure(binary: np.ndarray, g: np.ndarray) -> float:
    """Enhanced alignment of two binary images."""
    most = max(g.size - 1, 1) + EPS
    if not g.any():
        return np.count_nonzero(~binary) / most
    if g.all():
        return np.count_nonzero(binary) / most
    a, b = binary - binary.mean(), g - g.mean()
    alignment = 2 * a * b / (a * a + b * b + EPS)
    return ((alignment + 1) ** 2 / 4).sum() / most


def adaptive_f(binary: np.ndarray, g: np.ndarray) -> float:
    """F-measure, beta^2 = 0.3, of a binary map; 0 where nothing overlaps."""
    overlap = np.count_nonzero(binary & g)
    if overlap == 0:
        return 0.0
    precision, recall = overlap / np.count_nonzero(binary), overlap / np.count_nonzero(g)
    return 1.3 * precision * recall / (0.3 * precision + recall)


def curves(p: np.ndarray, g: np.ndarray) -> dict[str, np.ndarray]:
    """E, precision, recall and F over the thresholds 255, 254, ..., 0 of floor(255 p)."""
    levels = np.floor(p * 255)
    em, precision, recall, fm = np.zeros((4, 256))
    for k in range(256):
        binary = levels >= 255 - k
        overlap = np.count_nonzero(binary & g)
        em[k] = e_measure(binary, g)
        precision[k] = overlap / max(np.count_nonzero(binary), 1)
        recall[k] = overlap / max(np.count_nonzero(g), 1)
        if overlap:
            fm[k] = 1.3 * precision[k] * recall[k] / (0.3 * precision[k] + recall[k])
    return {"Em": em, "Fm": fm, "precision": precision, "recall": recall}


def swept(p: np.ndarray, g: np.ndarray) -> dict[str, np.ndarray]:
    """Dice, IoU, sensitivity and specificity over the thresholds linspace(1, 0, 256) of p."""
    dice, iou, sen, spe = np.zeros((4, 256))
    for k, threshold in enumerate(np.linspace(1, 0, 256)):
        binary = p >= threshold
        tp, fp = np.count_nonzero(binary & g), np.count_nonzero(binary & ~g)
        fn, tn = np.count_nonzero(~binary & g), np.count_nonzero(~binary & ~g)
        if tp:
            dice[k] = 2 * tp / (tp + fn + tp + fp)
            iou[k] = tp / (fn + tp + fp)
            sen[k] = tp / (tp + fn)
            spe[k] = tn / (tn + fp) if tn + fp else np.nan
    return {"Dice": dice, "IoU": iou, "Sen": sen, "Spe": spe}


def at_half(prediction: np.ndarray, g: np.ndarray) -> dict[str, float]:
    """Scores of the map cut at level 128, as it is in the file."""
    binary, tiny = prediction >= 128, 1e-15
    tp, fp = np.count_nonzero(binary & g), np.count_nonzero(binary & ~g)
    fn, tn = np.count_nonzero(~binary & g), np.count_nonzero(~binary & ~g)
    precision, recall = (tp + tiny) / (tp + fp + tiny), (tp + tiny) / (tp + fn + tiny)
    return {
        "Dice@0.5": (2 * tp + tiny) / (2 * tp + fp + fn + tiny),
        "IoU@0.5": (tp + tiny) / (tp + fp + fn + tiny),
        "Precision@0.5": precision,
        "Recall@0.5": recall,
        "F2@0.5": 5 * precision * recall / (4 * precision + recall + tiny),
        "Accuracy@0.5": (tp + tn) / g.size,
    }


def weighted_f(p: np.ndarray, g: np.ndarray) -> float:
    """Weighted F-measure, beta^2 = 1."""
    if not g.any():
        return 0.0
    distance, (rows, columns) = ndimage.distance_transform_edt(~g, return_indices=True)
    error = np.abs(p - g)
    nearest = np.where(g, error, error[rows, columns])
    offset = np.arange(-3, 4)
    gaussian = np.exp(-(offset[:, None] ** 2 + offset[None] ** 2) / (2 * 5**2))
    smoothed = ndimage.convolve(nearest, gaussian / gaussian.sum(), mode="constant", cval=0)
    least = np.where(g & (smoothed < error), smoothed, error)
    weighted = least * np.where(g, 1.0, 2 - np.exp(np.log(0.5) / 5 * distance))
    tp, fp = g.sum() - weighted[g].sum(), weighted[~g].sum()
    recall, precision = 1 - weighted[g].mean(), tp / (tp + fp + EPS)
    return 2 * recall * precision / (recall + precision + EPS)


def naive_border_scores(
    prediction: np.ndarray, mask: np.ndarray, *, br_rate: int = 15, minmax: bool = True
) -> dict[str, float] | None:
    """MAE and weighted F in a band around the mask's contours; None for a mask without contour."""
    contours, _ = cv2.findContours((mask > 127).astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    if not contours:
        return None
    drawn = cv2.drawContours(np.zeros_like(mask), contours, -1, 255, 3)
    band = cv2.dilate(drawn, np.ones((br_rate, br_rate), np.uint8)) > 0
    p, g = prepare(prediction * band, mask * band, minmax=minmax)
    return {"BR_mae": np.abs(p - g).sum() / (3 * np.count_nonzero(band)), "BR_wF": weighted_f(p, g)}


def boundary(region: np.ndarray) -> np.ndarray:
    """Rows and columns (N, 2) of the pixels of a region (bool) that have one of four neighbors outside it."""
    around = np.pad(region, 1)
    inner = around[:-2, 1:-1] & around[2:, 1:-1] & around[1:-1, :-2] & around[1:-1, 2:]
    return np.argwhere(region & ~inner)


def naive_boundary_distances(
    prediction: np.ndarray, mask: np.ndarray, *, cut: int = 128, tolerance: float = 2.0
) -> dict[str, float]:
    """Distances of the boundaries of the map cut at a level and of the mask, every pixel to every other."""
    b, g = prediction >= cut, mask > 128
    height, width = g.shape
    diagonal = np.sqrt(height**2 + width**2)
    distances, shares = ("HD", "HD95", "HD95_pooled", "ASSD", "MASD"), ("NSD", "NSD_scaled", "BoundaryIoU")
    if not (b.any() and g.any()):
        agree = not b.any() and not g.any()
        return dict.fromkeys(distances, 0.0 if agree else diagonal) | dict.fromkeys(shares, float(agree))
    between = np.sqrt(((boundary(b)[:, None] - boundary(g)[None]) ** 2).sum(axis=2))
    there, back = between.min(axis=1), between.min(axis=0)
    together = np.concatenate([there, back])
    rims = [region & ~_eroded(region, max(1, round(0.02 * diagonal))) for region in (b, g)]
    return {
        "HD": max(there.max(), back.max()),
        "HD95": max(np.percentile(there, 95), np.percentile(back, 95)),
        "HD95_pooled": np.percentile(together, 95),
        "ASSD": together.sum() / (len(there) + len(back)),
        "MASD": (there.sum() / len(there) + back.sum() / len(back)) / 2,
        "NSD": (together <= tolerance).mean(),
        "NSD_scaled": (together <= tolerance * diagonal / (352 * np.sqrt(2))).mean(),
        "BoundaryIoU": (rims[0] & rims[1]).sum() / (rims[0] | rims[1]).sum(),
    }


def _eroded(region: np.ndarray, times: int) -> np.ndarray:
    """A region (bool) eroded by 3 x 3 squares; beyond the image is background."""
    height, width = region.shape
    for _ in range(times):
        around = np.pad(region, 1)
        region = np.all([around[y : y + height, x : x + width] for y in range(3) for x in range(3)], axis=0)
    return region
