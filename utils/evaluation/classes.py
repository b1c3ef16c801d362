"""Held-out images whose masks tell several classes apart: the scores of every class, of all merged, and their mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from measure.io import MERGED, Classes

from ..prediction import labels_of, probabilities
from .images import ImageValidation
from .soft_scores import mean_loss, overlap, overlap_scores, with_score

__all__ = ["ClassValidation"]


class ClassValidation(ImageValidation):
    """Scores `Dice[class]`, `IoU[class]`, `MAE[class]` for every class and "merged"; `Dice`, `IoU`, `MAE` are the means
    over the classes, and `score` is made of these.

    A class's scores are of the pixels of all images together: an image without the class has no Dice of its own worth
    averaging. Maps are not min-max normalized, which would show every class in every image.

    Args:
        args: as `ImageValidation`'s.
        classes: what the network's logits stand for.
        settings: as `ImageValidation`'s.
    """

    def __init__(self, *args: Any, classes: Classes, **settings: Any):
        super().__init__(*args, **settings)
        self.classes = classes

    def row(self, logits: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """Return the sums of every class and of all merged, of logits (K, h, w) and mask (K, H, W)."""
        probability = probabilities(logits, tuple(mask.shape[-2:]))
        merged = overlap(probability.amax(dim=0), mask.any(dim=0))
        by_class = [overlap(*planes) for planes in zip(probability, mask, strict=True)]
        return {
            f"{part}[{name}]": value
            for name, sums in zip((*self.classes.names, MERGED), (*by_class, merged), strict=True)
            for part, value in sums.items()
        }

    def summary(self, rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
        """Return the scores of the sums over all images."""
        scores = {
            name: overlap_scores(
                **{part: sum(row[f"{part}[{name}]"] for row in rows) for part in ("both", "total", "error", "pixels")}
            )
            for name in (*self.classes.names, MERGED)
        }
        means = with_score([scores[name] for name in self.classes.names]) | mean_loss(rows)
        return means | {f"{key}[{name}]": value for name, own in scores.items() for key, value in own.items()}

    def shown(self, logits: Tensor, mask: Tensor) -> tuple[np.ndarray, np.ndarray]:
        """Return the labels of mask and map in colors, (H, W, 3) RGB."""
        probability = probabilities(logits, tuple(mask.shape[-2:]))
        return tuple(self.classes.colors(labels_of(planes)) for planes in (mask / 255, probability))
