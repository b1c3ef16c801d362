"""From logits to maps: probabilities at an image's own size, 8-bit grey, class labels, PNG files."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from measure.io import (
    LABELS,
    MERGED,
    Classes,
    replace_when_whole,
)

__all__ = [
    "as_grey",
    "class_maps",
    "grey_map",
    "labels_of",
    "probabilities",
    "probability_map",
    "stretched",
    "write_map",
]


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


def write_map(path: Path, picture: np.ndarray) -> None:
    """Write an (H, W) uint8 map, or an (H, W, 3) RGB picture, as PNG, whole or not at all.

    Raises:
        InputError: it cannot be written.
    """
    _, encoded = cv2.imencode(".png", picture[..., ::-1] if picture.ndim == 3 else picture)
    with replace_when_whole(path) as partial:
        partial.write_bytes(encoded.tobytes())


def probabilities(logits: Tensor, size: tuple[int, int]) -> Tensor:
    """Bring one image's logits (K, h, w) to the image's size (H, W), as (K, H, W) float32 probabilities."""
    return F.interpolate(logits[None].float(), size=size, mode="bilinear", align_corners=False)[0].sigmoid()


def stretched(probability: Tensor) -> Tensor:
    """Stretch a map to [0, 1] over the image, as published maps are; a constant map stays as it is."""
    low, high = probability.min(), probability.max()
    return torch.where(high > low, (probability - low) / (high - low).clamp_min(1e-12), probability)


def probability_map(logits: Tensor, size: tuple[int, int], *, minmax: bool) -> Tensor:
    """Tell the probability of polyp at every pixel of an image; of several classes it is the largest.

    Args:
        logits: (K, h, w). size: height and width of the image.
        minmax: see `stretched`.

    Returns:
        (H, W) float32 in [0, 1].
    """
    probability = probabilities(logits, size).amax(dim=0)
    return stretched(probability) if minmax else probability


def grey_map(logits: Tensor, size: tuple[int, int], *, minmax: bool) -> np.ndarray:
    """(K, h, w) logits -> (H, W) uint8 map of `size`, 255 x `probability_map`."""
    return as_grey(probability_map(logits, size, minmax=minmax))


def as_grey(probability: Tensor) -> np.ndarray:
    """Probabilities -> uint8 of the same shape, 255 times and rounded."""
    return (255 * probability).round().to(torch.uint8).cpu().numpy()
