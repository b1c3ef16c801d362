"""A training sample as scripts of this field load it: Pillow and torchvision, step by step at the image's own size."""

from __future__ import annotations

import random

import numpy as np
from PIL import Image, ImageEnhance
from torch import Tensor
from torchvision import transforms

from ...data import IMAGENET_MEAN, IMAGENET_STD, Pair

__all__ = ["load_sample"]

ENHANCERS = (
    (ImageEnhance.Brightness, (5, 15)),
    (ImageEnhance.Contrast, (5, 15)),
    (ImageEnhance.Color, (0, 20)),
    (ImageEnhance.Sharpness, (0, 30)),
)


def load_sample(pair: Pair, size: int) -> tuple[Tensor, Tensor]:
    """Load a pair with SEPNet's augmentations: (3, S, S) normalized and (1, S, S) between 0 and 1, float32."""
    with Image.open(pair.image) as image, Image.open(pair.mask) as mask:
        images = [image.convert("RGB"), mask.convert("L")]
    if random.random() < 0.5:
        images = [image.transpose(Image.Transpose.FLIP_LEFT_RIGHT) for image in images]
    box = center_box(*images[0].size)
    images = [image.crop(box) for image in images]
    if random.random() < 0.2:
        angle = random.randint(-15, 15)
        images = [image.rotate(angle, Image.Resampling.BICUBIC) for image in images]
    for enhancer, (low, high) in ENHANCERS:
        images[0] = enhancer(images[0]).enhance(random.randint(low, high) / 10)
    to_tensor = transforms.Compose([transforms.Resize((size, size)), transforms.ToTensor()])
    return transforms.Normalize(IMAGENET_MEAN, IMAGENET_STD)(to_tensor(images[0])), to_tensor(images[1])


def center_box(width: int, height: int) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of a window in the middle, each side 1 to 30 pixels shorter."""
    new_width, new_height = np.random.randint(width - 30, width), np.random.randint(height - 30, height)
    return (width - new_width) >> 1, (height - new_height) >> 1, (width + new_width) >> 1, (height + new_height) >> 1
