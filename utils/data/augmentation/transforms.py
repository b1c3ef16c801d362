"""The single augmentations: geometric ones act on a view of image and mask alike, the others on pixels.

Pixels are those of an image (H, W, 3) uint8 RGB and of its mask (H, W) or (H, W, K) uint8. Every random choice comes
from a generator.

`flip`, `center_crop`, `rotate` and `jitter` with their own settings are SEPNet's released ones. That code works on PIL
images of their own size, one step after the other, and resizes at the end. Here the same choices give the same sample,
but for half a grey level on average, at a fraction of the cost: geometric transforms in a row and the resize are one
resampling, and pixel transforms that commute with the resize come after it (see `pipeline`). Masks are resampled like
images, not by nearest neighbors, so that a mask moves exactly with its image.
"""

from __future__ import annotations

import dataclasses
import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import cv2
import numpy as np

from .affine_view import AffineView

__all__ = [
    "Augmentation",
    "CenterCrop",
    "Contrast",
    "Dropout",
    "Flip",
    "FlipUpsideDown",
    "GeometricTransform",
    "Jitter",
    "MaskNoise",
    "PixelTransform",
    "RandomCrop",
    "Rotate",
    "Sample",
    "Zoom",
]

Sample = tuple[np.ndarray, np.ndarray]  # image and mask
PixelSize = tuple[float, float]  # height and width of a pixel, in pixels of the image before its resize

ROUND_DOWN = -0.499  # OpenCV rounds to the nearest level, PIL down; whole levels must stay
# PIL's sharpness enhancer blends with its SMOOTH filter: this much of the mean over 3 x 3 pixels, the rest the pixel
BLUR_IN_SMOOTH = 9 / 13


class GeometricTransform(ABC):
    """An augmentation that moves pixels, of image and mask alike."""

    @abstractmethod
    def __call__(self, view: AffineView, rng: np.random.Generator) -> AffineView:
        """Return the view that a transform drawn from `rng` leads to."""


class PixelTransform(ABC):
    """An augmentation that changes pixels where they are.

    Attributes:
        commutes_with_resize: whether it may act on the sample after the resize: that gives the same, but for rounding,
            clipping and what is finer than a pixel of the sample.
    """

    commutes_with_resize: ClassVar[bool] = True

    @abstractmethod
    def __call__(self, image: np.ndarray, mask: np.ndarray, rng: np.random.Generator, pixel_size: PixelSize) -> Sample:
        """Return new versions of both.

        Args:
            image: (H, W, 3) uint8 RGB.
            mask: (H, W) or (H, W, K) uint8.
            rng: what is drawn is drawn from it.
            pixel_size: height and width of a pixel, in pixels of the image before its resize.
        """


Augmentation = GeometricTransform | PixelTransform


def setting(default: Any, low: float = 0.0, high: float = math.inf, *, also: str = "") -> Any:
    """A setting of an augmentation: a number or a range of numbers.

    Args:
        default: its value where none is given; tells numbers from ranges, and whole numbers from others.
        low: the least it may be.
        high: the most it may be.
        also: another name that command lines and checkpoints have for it.
    """
    return dataclasses.field(default=default, metadata={"limits": (low, high), "also": also})


def probability(default: float) -> Any:
    return setting(default, 0, 1)


@dataclass(frozen=True)
class Flip(GeometricTransform):
    """Mirror left and right with probability `p`."""

    p: float = probability(0.5)

    def __call__(self, view: AffineView, rng: np.random.Generator) -> AffineView:
        return view.flipped_horizontally() if rng.random() < self.p else view


@dataclass(frozen=True)
class FlipUpsideDown(GeometricTransform):
    """Mirror top and bottom with probability `p`."""

    p: float = probability(0.5)

    def __call__(self, view: AffineView, rng: np.random.Generator) -> AffineView:
        return view.flipped_vertically() if rng.random() < self.p else view


@dataclass(frozen=True)
class CenterCrop(GeometricTransform):
    """Cut 1 to `pixels` pixels off each side length, half of them on either side."""

    pixels: int = setting(30, 1)

    def __call__(self, view: AffineView, rng: np.random.Generator) -> AffineView:
        height, width = view.size
        new_width = int(rng.integers(max(1, width - self.pixels), max(2, width)))
        new_height = int(rng.integers(max(1, height - self.pixels), max(2, height)))
        left, top = (width - new_width) >> 1, (height - new_height) >> 1
        right, bottom = (width + new_width) >> 1, (height + new_height) >> 1
        return view.cropped(top, left, (bottom - top, right - left))


@dataclass(frozen=True)
class RandomCrop(GeometricTransform):
    """With probability `p`, keep a window anywhere whose sides are fractions of the image's, drawn from `side`."""

    side: tuple[float, float] = setting((0.75, 1.0), 0, 1)
    p: float = probability(0.5)

    def __call__(self, view: AffineView, rng: np.random.Generator) -> AffineView:
        if rng.random() >= self.p:
            return view
        height, width = (max(1, round(side * rng.uniform(*self.side))) for side in view.size)
        top = int(rng.integers(view.size[0] - height, endpoint=True))
        left = int(rng.integers(view.size[1] - width, endpoint=True))
        return view.cropped(top, left, (height, width))


@dataclass(frozen=True)
class Rotate(GeometricTransform):
    """Rotate with probability `p` by a whole angle of at most `degrees`, either way; corners become black."""

    degrees: int = setting(15, 0, 180)
    p: float = probability(0.2)

    def __call__(self, view: AffineView, rng: np.random.Generator) -> AffineView:
        if rng.random() >= self.p:
            return view
        return view.rotated(int(rng.integers(-self.degrees, self.degrees, endpoint=True)))


@dataclass(frozen=True)
class Zoom(GeometricTransform):
    """With probability `p`, zoom by a factor from `factor`, as often in as out; the frame keeps its size.

    Zoomed in, a window anywhere fills the frame; zoomed out, the image lies anywhere in a black frame.
    """

    factor: tuple[float, float] = setting((0.5, 2.0), 0.01, 100)
    p: float = probability(0.5)

    def __call__(self, view: AffineView, rng: np.random.Generator) -> AffineView:
        if rng.random() >= self.p:
            return view
        factor = math.exp(rng.uniform(*np.log(self.factor)))
        window = tuple(max(1, round(side / factor)) for side in view.size)
        spare = [side - shown for side, shown in zip(view.size, window, strict=True)]
        top, left = (int(rng.integers(min(0, rest), max(0, rest), endpoint=True)) for rest in spare)
        return view.cropped(top, left, window).resized(view.size)


@dataclass(frozen=True)
class Dropout(PixelTransform):
    """With probability `p`, black out `holes` rectangles of the image, of `side` of its height and width each.

    The mask stays: a polyp has to be told from what is around it (DeVries and Taylor's cutout, 2017).
    """

    holes: int = setting(10, 1)
    side: float = setting(0.125, 0, 1)
    p: float = probability(0.5)

    def __call__(self, image: np.ndarray, mask: np.ndarray, rng: np.random.Generator, pixel_size: PixelSize) -> Sample:
        if rng.random() >= self.p:
            return image, mask
        image = image.copy()
        height, width = (max(1, round(self.side * side)) for side in mask.shape[:2])
        tops = rng.integers(mask.shape[0] - height, size=self.holes, endpoint=True)
        lefts = rng.integers(mask.shape[1] - width, size=self.holes, endpoint=True)
        for top, left in zip(tops, lefts, strict=True):
            image[top : top + height, left : left + width] = 0
        return image, mask


@dataclass(frozen=True)
class Contrast(PixelTransform):
    """With probability `p`, move all levels away from the mean grey or towards it by a factor from `factor`."""

    factor: tuple[float, float] = setting((0.5, 1.5))
    p: float = probability(0.5)

    def __call__(self, image: np.ndarray, mask: np.ndarray, rng: np.random.Generator, pixel_size: PixelSize) -> Sample:
        if rng.random() < self.p:
            image = scale_levels(image, rng.uniform(*self.factor), pivot=mean_grey(image))
        return image, mask


@dataclass(frozen=True)
class Jitter(PixelTransform):
    """Brightness, contrast, color, sharpness in this order, as PIL's enhancers define them.

    Each is the range of a factor, in tenths; 10 changes nothing. After a resize, the sharpness of as fine detail is
    changed as before it.
    """

    brightness: tuple[int, int] = setting((5, 15))
    contrast: tuple[int, int] = setting((5, 15))
    color: tuple[int, int] = setting((0, 20), also="colour")
    sharpness: tuple[int, int] = setting((0, 30))

    def __call__(self, image: np.ndarray, mask: np.ndarray, rng: np.random.Generator, pixel_size: PixelSize) -> Sample:
        ranges = (self.brightness, self.contrast, self.color, self.sharpness)
        brightness, contrast, color, sharpness = (int(rng.integers(*r, endpoint=True)) / 10 for r in ranges)
        image = scale_levels(image, brightness, pivot=0.0)
        image = scale_levels(image, contrast, pivot=mean_grey(image))
        grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        image = cv2.addWeighted(image, color, grey, 1 - color, 0)
        softness = BLUR_IN_SMOOTH * (1 - sharpness)
        return cv2.addWeighted(image, 1 - softness, blur(image, pixel_size), softness, 0), mask


@dataclass(frozen=True)
class MaskNoise(PixelTransform):
    """Salt-and-pepper noise: set a `fraction` of the mask's pixels to 0 or 255, half each on average.

    The released SEPNet loader does this to 0.0015 of the mask, where the image was meant.
    """

    commutes_with_resize = False
    fraction: float = setting(0.0015, 0, 1, also="share")

    def __call__(self, image: np.ndarray, mask: np.ndarray, rng: np.random.Generator, pixel_size: PixelSize) -> Sample:
        mask = mask.copy()
        height, width, *planes = mask.shape
        count = int(self.fraction * (height * width))
        rows, columns = rng.integers(height, size=count), rng.integers(width, size=count)
        mask[rows, columns] = 255 * rng.integers(2, size=(count, *planes)).astype(np.uint8)
        return image, mask


def scale_levels(image: np.ndarray, factor: float, *, pivot: float) -> np.ndarray:
    """Move every level away from `pivot` (factor > 1) or towards it (factor < 1), cut to 8 bits as PIL does."""
    return cv2.addWeighted(image, factor, image, 0, pivot * (1 - factor) + ROUND_DOWN)


def mean_grey(image: np.ndarray) -> float:
    """Mean grey level of an RGB image, rounded half up as PIL's contrast enhancer does."""
    return math.floor(cv2.mean(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))[0] + 0.5)


def blur(image: np.ndarray, pixel_size: PixelSize) -> np.ndarray:
    """The mean over 3 x 3 pixels of the image before its resize.

    Where pixels have grown, neighbors weigh less by the square, which blurs by the same distance as before.
    """
    down, across = (np.array([1, 3 * area - 2, 1]) / (3 * area) for area in np.square(np.maximum(pixel_size, 1)))
    return cv2.sepFilter2D(image, -1, across, down, borderType=cv2.BORDER_REPLICATE)
