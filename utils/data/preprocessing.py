"""From decoded files to what a network takes: layout, size and normalization."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["network_input", "normalize", "resize", "resize_batch", "to_chw"]

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def to_chw(image: np.ndarray) -> Tensor:
    """(H, W, C) or (H, W) uint8 array -> (C, H, W) or (1, H, W) uint8 tensor."""
    planes = np.ascontiguousarray(np.atleast_3d(image))
    if not planes.flags.writeable:  # of np.asarray(a PIL image), say: PyTorch warns of tensors that must not be written
        planes = planes.copy()
    return torch.from_numpy(planes).permute(2, 0, 1)


def resize(image: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize a (C, H, W) uint8 tensor to (C, *size) like PIL's antialiased bilinear filter, at most one level off."""
    # [None] on a permuted view hides from PyTorch that it is channels-last, which it resizes much faster
    batch = image.permute(1, 2, 0)[None].permute(0, 3, 1, 2)
    return F.interpolate(batch, size=size, mode="bilinear", antialias=True, align_corners=False)[0]


def resize_batch(batch: Tensor, size: int) -> Tensor:
    """Resize a (N, C, H, W) float batch for multi-scale training."""
    if batch.shape[-2:] == (size, size):
        return batch
    return F.interpolate(batch, size=(size, size), mode="bilinear", align_corners=True)


def normalize(image: Tensor) -> Tensor:
    """(N, 3, H, W) uint8 RGB on any device -> float32, ImageNet mean and deviation; on a CPU channels last."""
    if image.device.type == "cpu":  # looked up, the same bits in a third of the time
        rows = image.permute(0, 2, 3, 1).flatten(0, 1).numpy()
        normalized = torch.from_numpy(cv2.LUT(np.ascontiguousarray(rows), normalized_levels()))
        return normalized.unflatten(0, (len(image), -1)).permute(0, 3, 1, 2)
    return standardized(image)


def standardized(image: Tensor) -> Tensor:
    """What `normalize` computes, by its formula."""
    mean, std = channel_statistics(image.device)
    return (image.float() / 255 - mean) / std


@cache
def channel_statistics(device: torch.device) -> tuple[Tensor, Tensor]:
    """ImageNet's mean and deviation, (3, 1, 1) each; copied to a device once, since every copy makes it wait."""
    with torch.inference_mode(False):
        return tuple(torch.tensor(values, device=device)[:, None, None] for values in (IMAGENET_MEAN, IMAGENET_STD))


@cache
def normalized_levels() -> np.ndarray:
    """Every grey level of red, green and blue, normalized: (1, 256, 3) float32, as `cv2.LUT` takes it."""
    levels = torch.arange(256, dtype=torch.uint8).expand(1, 3, 1, 256)
    return np.ascontiguousarray(standardized(levels)[0].permute(1, 2, 0))


def network_input(image: np.ndarray, size: int) -> Tensor:
    """(H, W, 3) uint8 RGB -> (3, size, size) normalized."""
    return normalize(resize(to_chw(image), (size, size))[None])[0]
