"""Which of a result's numbers stand for an image where only one can: the Dice that ranks, the images worth seeing."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from .tables import Result, kind_of, score_value

__all__ = ["SIZE_KEY", "Chosen", "dice_key", "lowest", "worst_median_best"]

SIZE_KEY = "size"
"""Per image: the polyp's share of the frame, in [0, 1]."""

_DICE_KEYS = {
    "image": ("Dice", "meanDice", "Dice@0.5"),
    "endocv": ("Dice@0.5", "Dice"),
    "vps": ("meanDice", "Dice", "Dice@0.5"),
    "classes": ("Dice@0.5", "Dice"),  # at 0.5 an image without the class can be right
}


@dataclass(frozen=True)
class Chosen:
    """An image picked for the contact sheet.

    Attributes:
        dataset: its data set (video: its split).
        stem: as in `per_image` (video: case/frame).
        dice: the Dice it is ranked by.
    """

    dataset: str
    stem: str
    dice: float

    @property
    def clip(self) -> tuple[str, str]:
        """What neighboring frames have in common; a still image is a clip of its own."""
        return self.dataset, self.stem.rpartition("/")[0] or self.stem


def dice_key(result: Result, *, level: str = "per_image") -> str:
    """The Dice that ranks images (or, with `level` "per_case", cases): the first of its kind that is there."""
    present = {key for units in result.get(level, {}).values() for scores in units.values() for key in scores}
    wanted = _DICE_KEYS.get(kind_of(result), _DICE_KEYS["image"])
    return next((key for key in wanted if key in present), wanted[0])


def worst_median_best(result: Result, *, count: int = 4) -> dict[str, list[Chosen]]:
    """Images of all data sets with the lowest, middle and highest Dice, at most `count` each, none twice.

    Frames of one clip look alike, so each group takes a second frame of a clip only where clips run out.
    """
    ranked = _ranked(result)
    count = max(1, min(count, len(ranked) // 3))
    worst = _spread(ranked, count, taken=())
    best = _spread(reversed(ranked), count, taken=worst)
    middle = len(ranked) // 2
    by_distance = [ranked[i] for i in sorted(range(len(ranked)), key=lambda i: abs(i - middle))]
    median = _spread(by_distance, count, taken=[*worst, *best])
    return {"worst": worst, "median": sorted(median, key=lambda image: image.dice), "best": best}


def lowest(result: Result, count: int) -> list[Chosen]:
    """The images of all data sets with the lowest Dice, at most `count`."""
    return _ranked(result)[:count]


def _ranked(result: Result) -> list[Chosen]:
    """Images of all data sets in the order of their Dice, the lowest first."""
    key = dice_key(result)
    images = [
        Chosen(name, stem, score_value(scores, key))
        for name, stems in result.get("per_image", {}).items()
        for stem, scores in stems.items()
    ]
    return sorted((image for image in images if math.isfinite(image.dice)), key=lambda image: image.dice)


def _spread(ranked: Iterable[Chosen], count: int, *, taken: Iterable[Chosen]) -> list[Chosen]:
    """The first `count` of `ranked` not in `taken`: one per clip before a second of any."""
    left_out = set(taken)
    clips: set[tuple[str, str]] = set()
    firsts: list[Chosen] = []
    others: list[Chosen] = []
    for image in ranked:
        if image not in left_out:
            (others if image.clip in clips else firsts).append(image)
            clips.add(image.clip)
    return (firsts + others)[:count]
