"""Maps of several classes: one of each, one of all merged, and the labels they add up to."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from measure.classes import LABELS, MERGED, Classes

from .validation import as_grey, probabilities, stretched

__all__ = ["class_maps", "labels_of"]


def labels_of(probability: Tensor) -> np.ndarray:
    """(K, H, W) probabilities or 0 and 1 -> (H, W) uint8: the most probable class, from 1 on; 0 where all are < 1/2."""
    highest, index = probability.max(dim=0)
    return torch.where(highest >= 0.5, index + 1, 0).to(torch.uint8).cpu().numpy()


def class_maps(logits: Tensor, size: tuple[int, int], *, classes: Classes, minmax: bool) -> dict[str, np.ndarray]:
    """Turn one image's logits into pictures, by the folder they belong in.

    Args:
        logits: (K, h, w). size: height and width of the image.
        minmax: stretch every map by itself; the labels are of the probabilities as they are.

    Returns:
        A (H, W) uint8 map for every class and for MERGED, whose probability is the largest of the classes; under
        LABELS a picture as the masks are, in their colours (H, W, 3) RGB or indices (H, W).
    """
    probability = probabilities(logits, size)
    maps = dict(zip((*classes.names, MERGED), (*probability, probability.amax(dim=0)), strict=True))
    greys = {name: as_grey(stretched(plane) if minmax else plane) for name, plane in maps.items()}
    return greys | {LABELS: classes.picture(labels_of(probability))}
