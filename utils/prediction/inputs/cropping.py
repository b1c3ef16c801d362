"""The part of an endoscope's image that shows tissue, and the way back from it to the whole image."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch.nn.functional as F
from torch import Tensor

from ...data import resize, to_chw

__all__ = ["Placement", "content_box", "field_of_view", "prepared"]

DARK = 30  # level of the brightest channel up to which a pixel may be border; JPEG leaves noise of some levels in it
LOOKED_AT = 256  # pixels of the longer side at which the border is looked for
TEXT = 0.03  # of that side: strokes of text are thinner, and are no tissue
LEAST = 0.2  # of the image: a smaller bright part is a dark scene and no field of view


@dataclass(frozen=True)
class Placement:
    """Where the part that a network sees lies in its image.

    Attributes:
        height: of the image, pixels.
        width: of the image, pixels.
        box: top, left, height and width of the part, pixels.
    """

    height: int
    width: int
    box: tuple[int, int, int, int]

    @classmethod
    def whole(cls, height: int, width: int) -> Placement:
        """Of an image that is seen whole."""
        return cls(height, width, (0, 0, height, width))

    @property
    def seen(self) -> tuple[int, int]:
        """Height and width of the part."""
        return self.box[2:]

    def paste(self, planes: Tensor) -> Tensor:
        """(K, h, w) planes of the part -> (K, H, W) of the image, 0 around it."""
        top, left, height, width = self.box
        if self.seen == (self.height, self.width):
            return planes
        return F.pad(planes, (left, self.width - left - width, top, self.height - top - height))


def prepared(image: np.ndarray, size: int, *, crop_border: bool) -> tuple[Tensor, Placement]:
    """(H, W, 3) uint8 RGB -> (3, size, size) uint8 of its part that shows tissue, or of all, and where that lies."""
    whole = Placement.whole(*image.shape[:2])
    placement = Placement(whole.height, whole.width, content_box(image)) if crop_border else whole
    top, left, height, width = placement.box
    return resize(to_chw(image[top : top + height, left : left + width]), (size, size)), placement


def field_of_view(image: np.ndarray) -> np.ndarray:
    """Where an endoscope's image shows tissue: (H, W) bool, its largest bright part with what is dark inside.

    All of an image without a border, or so dark that none can be told.

    Args:
        image: (H, W, 3) uint8 RGB.
    """
    top, left, height, width = content_box(image)
    bright = _bright_part(image)
    outlines, _ = cv2.findContours(bright, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    field = np.zeros(image.shape[:2], bool)
    if (height, width) == field.shape and bright.mean() < LEAST:
        return ~field
    hulls = [cv2.convexHull(outline) for outline in outlines]
    filled = cv2.drawContours(np.zeros_like(bright), hulls, -1, 1, cv2.FILLED)
    whole = cv2.resize(filled, image.shape[1::-1], interpolation=cv2.INTER_NEAREST) > 0
    field[top : top + height, left : left + width] = whole[top : top + height, left : left + width]
    return field


def content_box(image: np.ndarray) -> tuple[int, int, int, int]:
    """Find the field of view in an endoscope's image: top, left, height and width, pixels.

    It is the box around the largest bright part; lines of text in the border are too thin to count. An image without
    a border, or so dark that none can be told, is its own box.

    Args:
        image: (H, W, 3) uint8 RGB.
    """
    height, width = image.shape[:2]
    small = bright = _bright_part(image)
    count, _, statistics, _ = cv2.connectedComponentsWithStats(bright)
    if count < 2:
        return 0, 0, height, width
    left, top, wide, high, _ = statistics[1 + statistics[1:, cv2.CC_STAT_AREA].argmax()]
    if wide * high < LEAST * small.shape[0] * small.shape[1]:
        return 0, 0, height, width
    up, down = height / small.shape[0], width / small.shape[1]
    first, last = (int(top * up), int(left * down)), (round((top + high) * up), round((left + wide) * down))
    return *first, min(height, last[0]) - first[0], min(width, last[1]) - first[1]


def _bright_part(image: np.ndarray) -> np.ndarray:
    """Where an image is brighter than a border, reduced, without strokes of text: (h, w) uint8, 0 or 1."""
    height, width = image.shape[:2]
    scale = min(1.0, LOOKED_AT / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    bright = (small.max(axis=2) > DARK).astype(np.uint8)
    stroke = max(1, round(TEXT * max(small.shape[:2])))
    return cv2.morphologyEx(bright, cv2.MORPH_OPEN, np.ones((stroke, stroke), np.uint8))
