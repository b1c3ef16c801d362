"""The threshold with the best Dice on a validation set, read from what the scorer has written. No PyTorch is needed."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from measure.io import MERGED, InputError

__all__ = ["BestThreshold", "best_threshold", "lowest_level"]

LEVELS = 256
CURVE = "Dice"


class BestThreshold(NamedTuple):
    """Where Dice is best.

    Attributes:
        threshold: probability from which a pixel is polyp, halfway between two levels of 8-bit maps.
        dice: the mean over the images there.
        images: their number.
    """

    threshold: float
    dice: float
    images: int


def lowest_level(threshold: float) -> int:
    """The lowest level of an 8-bit map, 255 x probability rounded, that passes a threshold in [0, 1]."""
    return math.ceil(255 * threshold - 1e-6)


def best_threshold(path: str | Path) -> BestThreshold:
    """Find the threshold with the best mean Dice, over all images that were scored.

    Where several are equally good, the middle of them is taken.

    Args:
        path: the scorer's `scores.json`, or its folder; of maps written and scored without stretching.

    Raises:
        InputError: no such file, one without curves, or one of stretched maps, whose thresholds mean nothing for
            probabilities.
    """
    path = Path(path)
    path = path / "scores.json" if path.is_dir() else path
    scores = _read(path)
    if _was_stretched(scores):
        raise InputError(
            f"{path} was made of maps stretched one by one, whose thresholds are none of probabilities; write them "
            "with myTest.py --no-minmax and score them with python -m measure --no-minmax"
        )
    try:
        curves = {name: np.array(curves[CURVE], float) for name, curves in scores["curves"].items()}
        merged = {name: curve for name, curve in curves.items() if name.startswith(f"{MERGED}/")} or curves
        weights = {name: scores["counts"][name]["images"] for name in merged}
        total = sum(weights.values())
        curve = sum(weights[name] * merged[name] for name in merged) / total
        if curve.shape != (LEVELS,) or not np.isfinite(curve).all():
            raise ValueError("no curve of 256 numbers")
    except (AttributeError, KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        raise InputError(
            f"{path} holds no curves of {CURVE} to choose by; score again with python -m measure"
        ) from error
    # the scorer's thresholds fall from 1 to 0; each lets pass what lies at or above a level
    best = np.flatnonzero(curve >= curve.max() - 1e-12)
    level = int(np.searchsorted(np.arange(LEVELS) / 255, np.linspace(1, 0, LEVELS)[best[len(best) // 2]]))
    return BestThreshold(round(max(0.5, level - 0.5) / 255, 6), float(curve.max()), total)


def _read(path: Path) -> dict[str, Any]:
    try:
        scores = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot read {path} ({error.strerror}); expected the scorer's scores.json") from error
    except ValueError as error:
        raise InputError(f"{path} is no JSON; expected the scorer's scores.json") from error
    if not isinstance(scores, dict):
        raise InputError(f"{path} is not the scorer's scores.json")
    return scores


def _was_stretched(scores: dict[str, Any]) -> bool:
    """Whether the maps were stretched when they were written, or when they were scored."""
    options = scores.get("options")
    options = options if isinstance(options, dict) else {}
    written = options.get("prediction")
    written = written.get("options", {}) if isinstance(written, dict) else {}
    return bool(options.get("minmax", True)) or bool(written.get("minmax", False))
