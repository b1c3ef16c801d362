"""What training does to a sample: small parts that any network's recipe puts together, written `name:setting=value`.

Moves (flips, crops, turns, zooms) act on a `View` of image and mask alike; the others, `Painting`, on pixels: of an
image (H, W, 3) uint8 RGB, of its mask (H, W) or (H, W, K) uint8. Every random choice comes from a generator.

`flip`, `centre_crop`, `rotate` and `jitter` with their own settings are SEPNet's released ones. That code works on PIL
images of their own size, one step after the other, and resizes at the end. Here the same choices give the same sample,
but for half a grey level on average, at a fraction of the cost: moves in a row and the resize are one resampling, and
paintings that commute with the resize come after it. Masks are resampled like images, not by nearest neighbours, so
that a mask moves exactly with its image.
"""

from __future__ import annotations

import dataclasses
import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import cv2
import numpy as np

from measure.io import InputError

from .affine_view import Size, View

__all__ = ["PARTS", "Move", "Painting", "Part", "Sample", "augment", "parse_part", "show"]

Sample = tuple[np.ndarray, np.ndarray]
Pixel = tuple[float, float]

ROUND_DOWN = -0.499  # OpenCV rounds to the nearest level, PIL down; whole levels must stay
# PIL's sharpness enhancer blends with its SMOOTH filter: this much of the mean over 3 x 3 pixels, the rest the pixel
BLUR_IN_SMOOTH = 9 / 13


class Move(ABC):
    """A part that moves pixels, of image and mask alike."""

    @abstractmethod
    def __call__(self, view: View, rng: np.random.Generator) -> View:
        """Return the view that a move drawn from `rng` leads to."""


class Painting(ABC):
    """A part that changes pixels where they are.

    Attributes:
        commutes: whether resizing before it rather than after it gives the same, but for rounding and clipping.
    """

    commutes: ClassVar[bool] = True

    @abstractmethod
    def __call__(self, image: np.ndarray, mask: np.ndarray, rng: np.random.Generator, pixel: Pixel) -> Sample:
        """Return both anew; `pixel` is the height and width of a pixel, in pixels of the picture before its resize."""


Part = Move | Painting


def augment(
    image: np.ndarray,
    mask: np.ndarray,
    rngs: Sequence[np.random.Generator],
    parts: Sequence[Part],
    *,
    size: Size | None,
    own_size: Size | None = None,
) -> Sample:
    """Draw one sample: every part in turn, each from its own of `rngs`, then the resize to `size` (None: none).

    Paintings after the last move that commute with the resize work on whichever has fewer pixels, the picture before
    or after it. Where image and mask were shrunk before, `own_size` tells what size they had: parts act as on that.
    """
    view, pixel = View.whole(mask.shape[:2]), (1.0, 1.0)
    if own_size:
        view = view.resized(own_size)
    settled = max((n for n, part in enumerate(parts) if isinstance(part, Move) or not part.commutes), default=-1)
    for number, (part, rng) in enumerate(zip(parts, rngs, strict=True)):
        if isinstance(part, Move):
            view = part(view, rng)
            continue
        if size and number > settled and math.prod(size) < math.prod(view.size):
            pixel = view.size[0] / size[0], view.size[1] / size[1]
            view = view.resized(size)
        image, mask = part(*show(image, mask, view), rng, pixel)
        view = View.whole(view.size)
    return show(image, mask, view.resized(size) if size else view)


def show(image: np.ndarray, mask: np.ndarray, view: View) -> Sample:
    """Make the view of both, as one picture: resampling four channels costs little more than three."""
    if view.is_whole(mask.shape[:2]):
        return image, mask
    if mask.ndim > 2:
        picture = view.render(cv2.merge((image, mask)))
        return np.ascontiguousarray(picture[..., :3]), picture[..., 3:]
    # as RGB and alpha, which is several times faster than a merge and a split
    picture = view.render(cv2.insertChannel(mask, cv2.cvtColor(image, cv2.COLOR_RGB2RGBA), 3))
    return cv2.cvtColor(picture, cv2.COLOR_RGBA2RGB), cv2.extractChannel(picture, 3)


def setting(default: Any, low: float = 0.0, high: float = math.inf) -> Any:
    """A part's setting, a number or a range of numbers, that must lie between `low` and `high`."""
    return dataclasses.field(default=default, metadata={"limits": (low, high)})


def probability(default: float) -> Any:
    return setting(default, 0, 1)


@dataclass(frozen=True)
class Flip(Move):
    """Mirror left and right with probability `p`."""

    p: float = probability(0.5)

    def __call__(self, view: View, rng: np.random.Generator) -> View:
        return view.mirrored() if rng.random() < self.p else view


@dataclass(frozen=True)
class FlipUpsideDown(Move):
    """Mirror top and bottom with probability `p`."""

    p: float = probability(0.5)

    def __call__(self, view: View, rng: np.random.Generator) -> View:
        return view.upside_down() if rng.random() < self.p else view


@dataclass(frozen=True)
class CentreCrop(Move):
    """Cut 1 to `pixels` pixels off each side length, half of them on either side."""

    pixels: int = setting(30, 1)

    def __call__(self, view: View, rng: np.random.Generator) -> View:
        height, width = view.size
        new_width = int(rng.integers(max(1, width - self.pixels), max(2, width)))
        new_height = int(rng.integers(max(1, height - self.pixels), max(2, height)))
        left, top = (width - new_width) >> 1, (height - new_height) >> 1
        right, bottom = (width + new_width) >> 1, (height + new_height) >> 1
        return view.cropped(top, left, (bottom - top, right - left))


@dataclass(frozen=True)
class RandomCrop(Move):
    """With probability `p`, keep a window anywhere whose sides are shares of the image's, drawn from `side`."""

    side: tuple[float, float] = setting((0.75, 1.0), 0, 1)
    p: float = probability(0.5)

    def __call__(self, view: View, rng: np.random.Generator) -> View:
        if rng.random() >= self.p:
            return view
        height, width = (max(1, round(side * rng.uniform(*self.side))) for side in view.size)
        top = int(rng.integers(view.size[0] - height, endpoint=True))
        left = int(rng.integers(view.size[1] - width, endpoint=True))
        return view.cropped(top, left, (height, width))


@dataclass(frozen=True)
class Rotate(Move):
    """Rotate with probability `p` by a whole angle of at most `degrees`, either way; corners turn black."""

    degrees: int = setting(15, 0, 180)
    p: float = probability(0.2)

    def __call__(self, view: View, rng: np.random.Generator) -> View:
        if rng.random() >= self.p:
            return view
        return view.turned(int(rng.integers(-self.degrees, self.degrees, endpoint=True)))


@dataclass(frozen=True)
class Zoom(Move):
    """With probability `p`, zoom by a factor from `factor`, as often in as out; the frame keeps its size.

    Zoomed in, a window anywhere fills the frame; zoomed out, the image lies anywhere in a black frame.
    """

    factor: tuple[float, float] = setting((0.5, 2.0), 0.01, 100)
    p: float = probability(0.5)

    def __call__(self, view: View, rng: np.random.Generator) -> View:
        if rng.random() >= self.p:
            return view
        factor = math.exp(rng.uniform(*np.log(self.factor)))
        window = tuple(max(1, round(side / factor)) for side in view.size)
        spare = [side - shown for side, shown in zip(view.size, window, strict=True)]
        top, left = (int(rng.integers(min(0, rest), max(0, rest), endpoint=True)) for rest in spare)
        return view.cropped(top, left, window).resized(view.size)


@dataclass(frozen=True)
class Dropout(Painting):
    """With probability `p`, black out `holes` rectangles of the image, of `side` of its height and width each.

    The mask stays: a polyp has to be told from what is around it (DeVries and Taylor's cutout, 2017).
    """

    holes: int = setting(10, 1)
    side: float = setting(0.125, 0, 1)
    p: float = probability(0.5)

    def __call__(self, image: np.ndarray, mask: np.ndarray, rng: np.random.Generator, pixel: Pixel) -> Sample:
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
class Contrast(Painting):
    """With probability `p`, move all levels away from the mean grey or towards it by a factor from `factor`."""

    factor: tuple[float, float] = setting((0.5, 1.5))
    p: float = probability(0.5)

    def __call__(self, image: np.ndarray, mask: np.ndarray, rng: np.random.Generator, pixel: Pixel) -> Sample:
        if rng.random() < self.p:
            image = scale_levels(image, rng.uniform(*self.factor), pivot=mean_grey(image))
        return image, mask


@dataclass(frozen=True)
class Jitter(Painting):
    """Brightness, contrast, colour, sharpness in this order, as PIL's enhancers define them.

    Each is the range of a factor, in tenths; 10 changes nothing. After a resize, the sharpness of as fine detail is
    changed as before it.
    """

    brightness: tuple[int, int] = setting((5, 15))
    contrast: tuple[int, int] = setting((5, 15))
    colour: tuple[int, int] = setting((0, 20))
    sharpness: tuple[int, int] = setting((0, 30))

    def __call__(self, image: np.ndarray, mask: np.ndarray, rng: np.random.Generator, pixel: Pixel) -> Sample:
        ranges = (self.brightness, self.contrast, self.colour, self.sharpness)
        brightness, contrast, colour, sharpness = (int(rng.integers(*r, endpoint=True)) / 10 for r in ranges)
        image = scale_levels(image, brightness, pivot=0.0)
        image = scale_levels(image, contrast, pivot=mean_grey(image))
        grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        image = cv2.addWeighted(image, colour, grey, 1 - colour, 0)
        softness = BLUR_IN_SMOOTH * (1 - sharpness)
        return cv2.addWeighted(image, 1 - softness, blur(image, pixel), softness, 0), mask


@dataclass(frozen=True)
class MaskNoise(Painting):
    """Set `share` of the mask's pixels to 0 or 255, half each on average.

    The released SEPNet loader does this to 0.0015 of the mask, where the image was meant.
    """

    commutes = False
    share: float = setting(0.0015, 0, 1)

    def __call__(self, image: np.ndarray, mask: np.ndarray, rng: np.random.Generator, pixel: Pixel) -> Sample:
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


def scale_levels(image: np.ndarray, factor: float, *, pivot: float) -> np.ndarray:
    """Move every level away from `pivot` (factor > 1) or towards it (factor < 1), cut to 8 bits as PIL does."""
    return cv2.addWeighted(image, factor, image, 0, pivot * (1 - factor) + ROUND_DOWN)


def mean_grey(image: np.ndarray) -> float:
    """Mean grey level of an RGB image, rounded half up as PIL's contrast enhancer does."""
    return math.floor(cv2.mean(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))[0] + 0.5)


def blur(image: np.ndarray, pixel: Pixel) -> np.ndarray:
    """The mean over 3 x 3 pixels, for pixels of this height and width in pixels of before.

    Where pixels have grown, neighbours weigh less by the square, which blurs by the same distance as before.
    """
    down, across = (np.array([1, 3 * area - 2, 1]) / (3 * area) for area in np.square(np.maximum(pixel, 1)))
    return cv2.sepFilter2D(image, -1, across, down, borderType=cv2.BORDER_REPLICATE)
