"""The released augmentations, resizing and normalisation.

Images are (H, W, 3) uint8 RGB, masks (H, W) uint8; every random choice comes from the generator that is handed in.
The released code works on PIL images; here the same operations run in OpenCV and PyTorch, several times faster.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["Augmentation", "augment", "normalise", "resize", "resize_batch", "to_chw"]

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
# PIL's SMOOTH filter, towards which its sharpness enhancer blends
SMOOTH = np.array([[1, 1, 1], [1, 5, 1], [1, 1, 1]], np.float32) / 13
UNCHANGED = np.array([[0, 0, 0], [0, 1, 0], [0, 0, 0]], np.float32)


@dataclass(frozen=True)
class Augmentation:
    """What training does to a sample; the defaults are the released ones.

    Attributes:
        flip: probability of a left-right flip.
        crop: largest number of pixels a centred crop takes off each side length.
        rotate: probability of a rotation. degrees: its largest angle, either way.
        brightness, contrast, colour, sharpness: ranges of the factors, in tenths; 10 changes nothing.
        mask_noise: share of mask pixels set to 0 or 255. The released loader does this to 0.0015 of the mask, where
            the image was meant; off here.
    """

    flip: float = 0.5
    crop: int = 30
    rotate: float = 0.2
    degrees: int = 15
    brightness: tuple[int, int] = (5, 15)
    contrast: tuple[int, int] = (5, 15)
    colour: tuple[int, int] = (0, 20)
    sharpness: tuple[int, int] = (0, 30)
    mask_noise: float = 0.0


def augment(
    image: np.ndarray, mask: np.ndarray, rng: np.random.Generator, options: Augmentation
) -> tuple[np.ndarray, np.ndarray]:
    """Draw one sample: the same geometry for both, colours for the image. Sizes may shrink by `options.crop`."""
    if rng.random() < options.flip:
        image, mask = cv2.flip(image, 1), cv2.flip(mask, 1)
    if options.crop:
        image, mask = centred_crop(image, mask, rng, options.crop)
    if rng.random() < options.rotate:
        angle = int(rng.integers(-options.degrees, options.degrees, endpoint=True))
        image, mask = rotate(image, angle), rotate(mask, angle)
    image = jitter(image, rng, options)
    if options.mask_noise:
        mask = salt_and_pepper(mask, rng, options.mask_noise)
    return image, mask


def centred_crop(
    image: np.ndarray, mask: np.ndarray, rng: np.random.Generator, pixels: int
) -> tuple[np.ndarray, np.ndarray]:
    """Cut 1 to `pixels` pixels off each side length, half of them on either side."""
    height, width = mask.shape
    new_width = int(rng.integers(max(1, width - pixels), max(2, width)))
    new_height = int(rng.integers(max(1, height - pixels), max(2, height)))
    left, top = (width - new_width) >> 1, (height - new_height) >> 1
    window = np.s_[top : (height + new_height) >> 1, left : (width + new_width) >> 1]
    return image[window], mask[window]


def rotate(image: np.ndarray, angle: int) -> np.ndarray:
    """Rotate by `angle` degrees about the centre, size kept, black outside, bicubic."""
    height, width = image.shape[:2]
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), angle, 1.0)
    return cv2.warpAffine(image, matrix, (width, height), flags=cv2.INTER_CUBIC)


def jitter(image: np.ndarray, rng: np.random.Generator, options: Augmentation) -> np.ndarray:
    """Brightness, contrast, colour, sharpness in this order, as PIL's enhancers define them."""
    ranges = (options.brightness, options.contrast, options.colour, options.sharpness)
    brightness, contrast, colour, sharpness = (int(rng.integers(*r, endpoint=True)) / 10 for r in ranges)
    image = scale_levels(image, brightness, pivot=0.0)
    image = scale_levels(image, contrast, pivot=np.floor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).mean() + 0.5))
    grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    image = cv2.addWeighted(image, colour, grey, 1 - colour, 0)
    kernel = sharpness * UNCHANGED + (1 - sharpness) * SMOOTH
    return cv2.filter2D(image, -1, kernel, borderType=cv2.BORDER_REPLICATE)


def scale_levels(image: np.ndarray, factor: float, *, pivot: float) -> np.ndarray:
    """Move every level away from `pivot` (factor > 1) or towards it (factor < 1), clipped to 8 bits."""
    table = np.clip(pivot + factor * (np.arange(256) - pivot), 0, 255).astype(np.uint8)
    return cv2.LUT(image, table)


def salt_and_pepper(mask: np.ndarray, rng: np.random.Generator, share: float) -> np.ndarray:
    """Set `share` of the pixels to 0 or 255, half each on average."""
    mask = mask.copy()
    count = int(share * mask.size)
    rows, columns = rng.integers(mask.shape[0], size=count), rng.integers(mask.shape[1], size=count)
    mask[rows, columns] = 255 * rng.integers(2, size=count).astype(np.uint8)
    return mask


def to_chw(image: np.ndarray) -> Tensor:
    """(H, W, 3) or (H, W) uint8 array -> (3, H, W) or (1, H, W) uint8 tensor."""
    return torch.from_numpy(np.ascontiguousarray(np.atleast_3d(image))).permute(2, 0, 1)


def resize(image: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize a (C, H, W) uint8 tensor to (C, *size) like PIL's antialiased bilinear filter, at most one level off."""
    return F.interpolate(image[None], size=size, mode="bilinear", antialias=True, align_corners=False)[0]


def resize_batch(batch: Tensor, size: int) -> Tensor:
    """Resize a (N, C, H, W) float batch for multi-scale training."""
    if batch.shape[-2:] == (size, size):
        return batch
    return F.interpolate(batch, size=(size, size), mode="bilinear", align_corners=True)


def normalise(image: Tensor) -> Tensor:
    """(N, 3, H, W) uint8 RGB on any device -> float32, ImageNet mean and deviation."""
    mean = torch.tensor(IMAGENET_MEAN, device=image.device)[:, None, None]
    std = torch.tensor(IMAGENET_STD, device=image.device)[:, None, None]
    return (image.float() / 255 - mean) / std
