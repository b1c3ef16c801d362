"""What training does to a sample: small parts that any network's recipe puts together, written `name:setting=value`.

A part takes an image (H, W, 3) uint8 RGB, its mask (H, W) uint8 and a random generator, and returns both anew: the same
geometry for the two, colours for the image alone. Sizes may change; every random choice comes from the generator. A mask
of several classes is (H, W, K); OpenCV warps up to four planes together.

`flip`, `centre_crop`, `rotate` and `jitter` with their own settings are SEPNet's released ones. That code works on PIL
images; here the same operations run in OpenCV, several times faster. Masks are resampled like images, not by nearest
neighbours, so that a mask moves exactly with its image.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from measure.errors import InputError

__all__ = ["PARTS", "Part", "Sample", "augment", "parse_part"]

Sample = tuple[np.ndarray, np.ndarray]
Part = Callable[[np.ndarray, np.ndarray, np.random.Generator], Sample]

# PIL's SMOOTH filter, towards which its sharpness enhancer blends
SMOOTH = np.array([[1, 1, 1], [1, 5, 1], [1, 1, 1]], np.float32) / 13
UNCHANGED = np.array([[0, 0, 0], [0, 1, 0], [0, 0, 0]], np.float32)


def augment(image: np.ndarray, mask: np.ndarray, rng: np.random.Generator, parts: Sequence[Part]) -> Sample:
    """Draw one sample: every part in turn."""
    for part in parts:
        image, mask = part(image, mask, rng)
    return image, mask


def setting(default: Any, low: float = 0.0, high: float = math.inf) -> Any:
    """A part's setting, a number or a range of numbers, that must lie between `low` and `high`."""
    return dataclasses.field(default=default, metadata={"limits": (low, high)})


def probability(default: float) -> Any:
    return setting(default, 0, 1)


@dataclass(frozen=True)
class Flip:
    """Mirror left and right with probability `p`."""

    p: float = probability(0.5)

    def __call__(self, image: np.ndarray, mask: np.ndarray, rng: np.random.Generator) -> Sample:
        return (cv2.flip(image, 1), cv2.flip(mask, 1)) if rng.random() < self.p else (image, mask)


@dataclass(frozen=True)
class FlipUpsideDown:
    """Mirror top and bottom with probability `p`."""

    p: float = probability(0.5)

    def __call__(self, image: np.ndarray, mask: np.ndarray, rng: np.random.Generator) -> Sample:
        return (cv2.flip(image, 0), cv2.flip(mask, 0)) if rng.random() < self.p else (image, mask)


@dataclass(frozen=True)
class CentreCrop:
    """Cut 1 to `pixels` pixels off each side length, half of them on either side."""

    pixels: int = setting(30, 1)

    def __call__(self, image: np.ndarray, mask: np.ndarray, rng: np.random.Generator) -> Sample:
        height, width = mask.shape[:2]
        new_width = int(rng.integers(max(1, width - self.pixels), max(2, width)))
        new_height = int(rng.integers(max(1, height - self.pixels), max(2, height)))
        left, top = (width - new_width) >> 1, (height - new_height) >> 1
        window = np.s_[top : (height + new_height) >> 1, left : (width + new_width) >> 1]
        return image[window], mask[window]


@dataclass(frozen=True)
class RandomCrop:
    """With probability `p`, keep a window anywhere whose sides are shares of the image's, drawn from `side`."""

    side: tuple[float, float] = setting((0.75, 1.0), 0, 1)
    p: float = probability(0.5)

    def __call__(self, image: np.ndarray, mask: np.ndarray, rng: np.random.Generator) -> Sample:
        if rng.random() >= self.p:
            return image, mask
        height, width = (max(1, round(side * rng.uniform(*self.side))) for side in mask.shape[:2])
        top = int(rng.integers(mask.shape[0] - height, endpoint=True))
        left = int(rng.integers(mask.shape[1] - width, endpoint=True))
        window = np.s_[top : top + height, left : left + width]
        return image[window], mask[window]


@dataclass(frozen=True)
class Rotate:
    """Rotate with probability `p` by a whole angle of at most `degrees`, either way."""

    degrees: int = setting(15, 0, 180)
    p: float = probability(0.2)

    def __call__(self, image: np.ndarray, mask: np.ndarray, rng: np.random.Generator) -> Sample:
        if rng.random() >= self.p:
            return image, mask
        angle = int(rng.integers(-self.degrees, self.degrees, endpoint=True))
        return rotate(image, angle), rotate(mask, angle)


@dataclass(frozen=True)
class Zoom:
    """With probability `p`, zoom by a factor from `factor`, as often in as out; the frame keeps its size.

    Zoomed in, a window anywhere fills the frame; zoomed out, the image lies anywhere in a black frame.
    """

    factor: tuple[float, float] = setting((0.5, 2.0), 0.01, 100)
    p: float = probability(0.5)

    def __call__(self, image: np.ndarray, mask: np.ndarray, rng: np.random.Generator) -> Sample:
        if rng.random() >= self.p:
            return image, mask
        factor = math.exp(rng.uniform(*np.log(self.factor)))
        size = np.array(mask.shape[1::-1])
        # pixel x has its centre at x + 1/2, which moves to factor (x + 1/2) + shift
        shift = rng.random(2) * (1 - factor) * size + (factor - 1) / 2
        matrix = np.array([[factor, 0, shift[0]], [0, factor, shift[1]]])
        return tuple(cv2.warpAffine(plane, matrix, tuple(size.tolist())) for plane in (image, mask))


@dataclass(frozen=True)
class Dropout:
    """With probability `p`, black out `holes` rectangles of the image, of `side` of its height and width each.

    The mask stays: a polyp has to be told from what is around it (DeVries and Taylor's cutout, 2017).
    """

    holes: int = setting(10, 1)
    side: float = setting(0.125, 0, 1)
    p: float = probability(0.5)

    def __call__(self, image: np.ndarray, mask: np.ndarray, rng: np.random.Generator) -> Sample:
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
class Contrast:
    """With probability `p`, move all levels away from the mean grey or towards it by a factor from `factor`."""

    factor: tuple[float, float] = setting((0.5, 1.5))
    p: float = probability(0.5)

    def __call__(self, image: np.ndarray, mask: np.ndarray, rng: np.random.Generator) -> Sample:
        if rng.random() < self.p:
            image = scale_levels(image, rng.uniform(*self.factor), pivot=mean_grey(image))
        return image, mask


@dataclass(frozen=True)
class Jitter:
    """Brightness, contrast, colour, sharpness in this order, as PIL's enhancers define them.

    Each is the range of a factor, in tenths; 10 changes nothing.
    """

    brightness: tuple[int, int] = setting((5, 15))
    contrast: tuple[int, int] = setting((5, 15))
    colour: tuple[int, int] = setting((0, 20))
    sharpness: tuple[int, int] = setting((0, 30))

    def __call__(self, image: np.ndarray, mask: np.ndarray, rng: np.random.Generator) -> Sample:
        ranges = (self.brightness, self.contrast, self.colour, self.sharpness)
        brightness, contrast, colour, sharpness = (int(rng.integers(*r, endpoint=True)) / 10 for r in ranges)
        image = scale_levels(image, brightness, pivot=0.0)
        image = scale_levels(image, contrast, pivot=mean_grey(image))
        grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        image = cv2.addWeighted(image, colour, grey, 1 - colour, 0)
        kernel = sharpness * UNCHANGED + (1 - sharpness) * SMOOTH
        return cv2.filter2D(image, -1, kernel, borderType=cv2.BORDER_REPLICATE), mask


@dataclass(frozen=True)
class MaskNoise:
    """Set `share` of the mask's pixels to 0 or 255, half each on average.

    The released SEPNet loader does this to 0.0015 of the mask, where the image was meant.
    """

    share: float = setting(0.0015, 0, 1)

    def __call__(self, image: np.ndarray, mask: np.ndarray, rng: np.random.Generator) -> Sample:
        mask = mask.copy()
        height, width, *planes = mask.shape
        count = int(self.share * (height * width))
        rows, columns = rng.integers(height, size=count), rng.integers(width, size=count)
        mask[rows, columns] = 255 * rng.integers(2, size=(count, *planes)).astype(np.uint8)
        return image, mask


PARTS: dict[str, type] = {
    "flip": Flip,
    "flip_upside_down": FlipUpsideDown,
    "centre_crop": CentreCrop,
    "random_crop": RandomCrop,
    "rotate": Rotate,
    "zoom": Zoom,
    "dropout": Dropout,
    "contrast": Contrast,
    "jitter": Jitter,
    "mask_noise": MaskNoise,
}


def parse_part(text: str) -> Part:
    """Build a part from `name` or `name:setting=value,...`; a range is written `low..high`.

    Raises:
        InputError: an unknown part or setting, or a value that is no number or out of its limits.
    """
    name, _, settings = text.partition(":")
    if name not in PARTS:
        raise InputError(f"unknown augmentation {name!r}; known are {', '.join(PARTS)}")
    fields = {field.name: field for field in dataclasses.fields(PARTS[name])}
    values = {}
    for assignment in filter(None, settings.split(",")):
        key, _, value = assignment.partition("=")
        if key not in fields:
            raise InputError(f"augmentation {name} has no setting {key!r}; its settings are {', '.join(fields)}")
        values[key] = _value(text, value, fields[key])
    return PARTS[name](**values)


def _value(text: str, value: str, field: dataclasses.Field) -> Any:
    """Read a number or a range like the field's own, within its limits."""
    ranged = isinstance(field.default, tuple)
    kind = type(field.default[0] if ranged else field.default)
    low, high = field.metadata["limits"]
    try:
        numbers = tuple(map(kind, value.split("..") if ranged else [value]))
    except ValueError:
        numbers = ()
    if len(numbers) != 1 + ranged or list(numbers) != sorted(numbers) or not all(low <= n <= high for n in numbers):
        form = "a range low..high" if ranged else "a number"
        whole = " of whole numbers" if kind is int and ranged else ", a whole one" if kind is int else ""
        raise InputError(
            f"augmentation {text!r}: {field.name} is {value!r}; expected {form}{whole} between {low:g} and {high:g}"
        )
    return numbers if ranged else numbers[0]


def rotate(image: np.ndarray, angle: int) -> np.ndarray:
    """Rotate by `angle` degrees about the centre, size kept, black outside, bicubic."""
    height, width = image.shape[:2]
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), angle, 1.0)
    return cv2.warpAffine(image, matrix, (width, height), flags=cv2.INTER_CUBIC)


def scale_levels(image: np.ndarray, factor: float, *, pivot: float) -> np.ndarray:
    """Move every level away from `pivot` (factor > 1) or towards it (factor < 1), clipped to 8 bits."""
    table = np.clip(pivot + factor * (np.arange(256) - pivot), 0, 255).astype(np.uint8)
    return cv2.LUT(image, table)


def mean_grey(image: np.ndarray) -> float:
    """Mean grey level of an RGB image, rounded half up as PIL's contrast enhancer does."""
    return np.floor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).mean() + 0.5)
