"""What a reader must know before trusting a row of scores, in sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from .columns import OVERLAP_PAIRS
from .tables import Result, score_value

__all__ = ["cautions", "impossible_pairs"]

_COUNTED = {
    "grey_masks": "{n} of {images} masks have more than two levels; they were cut at 128",
    "one_level_masks": "{n} of {images} masks have a single level (all polyp or none); they were scored as they are",
    "resized_maps": "{n} of {images} maps had another size than their mask and were resized in memory",
    "missing_maps": "{n} maps were missing and left out of every mean",
    "unreadable": "{n} maps or masks could not be read and were left out of every mean",
    "extra_maps": "{n} maps have no mask and were passed over",
    "no_contour": "{n} of {images} images have no contour and no border-region score",
}
"""Counts worth a warning where they are not zero. Frames dropped by the video protocol are its rule, not a fault."""

_ROUNDING = 1e-9


def cautions(results: Sequence[Result]) -> list[str]:
    """Sentences about odd masks, resized, missing or extra maps, impossible pairs of scores.

    What is true of every method is said once; otherwise the methods are named.
    """
    methods: dict[str, list[str]] = {}
    for result in results:
        for sentence in _sentences(result):
            methods.setdefault(sentence, []).append(result["method"])
    return [
        sentence if len(named) == len(results) else f"{', '.join(named)}: {sentence}"
        for sentence, named in methods.items()
    ]


def impossible_pairs(scores: Mapping[str, Any]) -> list[tuple[str, str, float]]:
    """Pairs of Dice and IoU that no set of maps can have, with the IoU's lower bound.

    Per image IoU = D / (2 - D), a convex function, so a mean IoU is at least D / (2 - D) of the mean Dice D
    (Jensen's inequality); it holds at every threshold and therefore for the mean and maximum over thresholds too.
    """
    found = []
    for dice, iou in OVERLAP_PAIRS.values():
        mean = score_value(scores, dice)
        floor = mean / (2 - mean)
        if score_value(scores, iou) < floor - _ROUNDING:
            found.append((dice, iou, floor))
    return found


def _sentences(result: Result) -> Iterator[str]:
    for name, counts in result.get("counts", {}).items():
        amounts = {key: _amount(value) for key, value in counts.items()}
        for key, text in _COUNTED.items():
            if amounts.get(key):
                yield f"{name}: {text.format(n=amounts[key], images=amounts.get('images', 0))}."
    for name, scores in result["datasets"].items():
        for dice, iou, floor in impossible_pairs(scores):
            yield (
                f"{name}: {iou} {score_value(scores, iou):.4f} is below {floor:.4f}, the least that {dice} "
                f"{score_value(scores, dice):.4f} allows; one of the two was not computed from these maps."
            )


def _amount(value: Any) -> int:
    """A count, given as a number or as the list of what was counted."""
    return int(value) if np.isscalar(value) else len(value or ())
