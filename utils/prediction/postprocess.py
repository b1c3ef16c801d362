"""From logits to maps: probabilities at an image's own size, 8-bit grey, class labels, PNG files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from lib import ModelError
from measure.io import LABELS, MERGED, Classes, write_bytes

__all__ = [
    "as_grey",
    "check_finite",
    "grey_map",
    "labels_of",
    "largest",
    "map_folders",
    "maps_of",
    "minmax_normalized",
    "probabilities",
    "probability_map",
    "upsampled",
    "write_map",
]


def check_finite(logits: Tensor, names: Sequence[str]) -> None:
    """Refuse logits that no map can be made of.

    Args:
        logits: (N, K, h, w).
        names: what the N images are called.

    Raises:
        ModelError: an infinite value or NaN; the first image is named.
    """
    finite = logits.isfinite().flatten(1).all(dim=1).tolist()
    if not all(finite):
        raise ModelError(
            f"the network's output for {names[finite.index(False)]} is not finite, so there is no map of it; "
            "use --amp off or bf16 if it was fp16, else other weights"
        )


def upsampled(planes: Tensor, size: tuple[int, int]) -> Tensor:
    """Bring (K, h, w) planes to a size (H, W), bilinearly, as (K, H, W) float32."""
    if planes.device.type == "cpu":  # OpenCV takes an eighth of the time, and rounds less
        result = np.empty((len(planes), *size), np.float32)
        for plane, enlarged in zip(planes.float().numpy(), result, strict=True):
            cv2.resize(plane, size[::-1], dst=enlarged, interpolation=cv2.INTER_LINEAR)
        return torch.from_numpy(result)
    return F.interpolate(planes[None].float(), size=size, mode="bilinear", align_corners=False)[0]


def probabilities(logits: Tensor, size: tuple[int, int]) -> Tensor:
    """Bring one image's logits (K, h, w) to the image's size (H, W), as (K, H, W) float32 probabilities."""
    return upsampled(logits, size).sigmoid_()


def minmax_normalized(probability: Tensor) -> Tensor:
    """Stretch a map to [0, 1] over the image, as published maps are; a constant map stays as it is."""
    low, high = probability.min(), probability.max()
    return torch.where(high > low, (probability - low) / (high - low).clamp_min(1e-12), probability)


def largest(planes: Tensor) -> Tensor:
    """(K, H, W) planes -> (H, W), the largest of the K at every pixel."""
    return planes[0] if len(planes) == 1 else planes.amax(dim=0)


def probability_map(logits: Tensor, size: tuple[int, int], *, minmax: bool) -> Tensor:
    """Return the probability of polyp at every pixel of an image; of several classes it is the largest.

    Args:
        logits: (K, h, w).
        size: height and width of the image, pixels.
        minmax: see `minmax_normalized`.

    Returns:
        (H, W) float32 in [0, 1].
    """
    probability = largest(probabilities(logits, size))
    return minmax_normalized(probability) if minmax else probability


def as_grey(probability: Tensor) -> np.ndarray:
    """(H, W) probabilities -> uint8, 255 times and rounded to the nearest, halves to the even one."""
    if probability.device.type == "cpu":
        return cv2.convertScaleAbs(probability.detach().numpy(), alpha=255)  # in one pass over the pixels, not three
    return (255 * probability).round_().to(torch.uint8).cpu().numpy()


def grey_map(logits: Tensor, size: tuple[int, int], *, minmax: bool) -> np.ndarray:
    """(K, h, w) logits -> (H, W) uint8 map of `size`, 255 x `probability_map`."""
    return as_grey(probability_map(logits, size, minmax=minmax))


def labels_of(probability: Tensor) -> np.ndarray:
    """(K, H, W) probabilities or 0 and 1 -> (H, W) uint8: the most probable class, from 1 on; 0 where all are < 1/2."""
    highest, index = probability.max(dim=0)
    return torch.where(highest >= 0.5, index + 1, 0).to(torch.uint8).cpu().numpy()


def map_folders(classes: Classes | None) -> tuple[str, ...]:
    """Where `maps_of` belong, below the chosen folder and above the set's name."""
    return (*classes.names, MERGED, LABELS) if classes else ("",)


def maps_of(probability: Tensor, *, classes: Classes | None, minmax: bool) -> dict[str, np.ndarray]:
    """Turn one image's probabilities into the maps that are written of it, by the folder that each belongs in.

    Args:
        probability: (K, H, W), at the image's own size.
        classes: what the K planes stand for; None: polyp alone.
        minmax: stretch every map by itself; labels are of the probabilities as they are.

    Returns:
        Of polyp alone, its (H, W) uint8 map under "". Of classes, a map for each and for MERGED, whose probability is
        the largest of the classes; under LABELS a picture as the masks are, in their colors (H, W, 3) RGB or indices
        (H, W).
    """
    merged = largest(probability)
    planes = dict(zip((*classes.names, MERGED), (*probability, merged), strict=True)) if classes else {"": merged}
    maps = {name: as_grey(minmax_normalized(plane) if minmax else plane) for name, plane in planes.items()}
    return maps | {LABELS: classes.picture(labels_of(probability))} if classes else maps


def write_map(path: Path, picture: np.ndarray) -> None:
    """Write an (H, W) uint8 map, or an (H, W, 3) RGB picture, as PNG, whole or not at all.

    Raises:
        InputError: it cannot be written.
    """
    _, encoded = cv2.imencode(".png", picture[..., ::-1] if picture.ndim == 3 else picture)
    write_bytes(encoded.tobytes(), path)
