"""From the words of a recipe to an augmented sample: geometry put together first, then pixels, then the resize.

An augmentation is written `name` or `name:setting=value,...`, a range of values `low..high`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from measure.io import InputError

from .affine_view import AffineView, Size
from .appearance import Blur, Gamma, Hue, MaskBorder, Noise, Shading, Texture, Tint
from .transforms import (
    Augmentation,
    CenterCrop,
    Contrast,
    Dropout,
    Flip,
    FlipUpsideDown,
    GeometricTransform,
    Jitter,
    MaskNoise,
    RandomCrop,
    Rotate,
    Sample,
    Zoom,
)

__all__ = ["AUGMENTATIONS", "augment", "parse_augmentation", "render_pair"]

AUGMENTATIONS: dict[str, type] = {
    "flip": Flip,
    "flip_upside_down": FlipUpsideDown,
    "center_crop": CenterCrop,
    "random_crop": RandomCrop,
    "rotate": Rotate,
    "zoom": Zoom,
    "dropout": Dropout,
    "contrast": Contrast,
    "jitter": Jitter,
    "hue": Hue,
    "tint": Tint,
    "gamma": Gamma,
    "shading": Shading,
    "texture": Texture,
    "blur": Blur,
    "noise": Noise,
    "mask_border": MaskBorder,
    "mask_noise": MaskNoise,
}
ALSO_CALLED = {"centre_crop": "center_crop"}  # in command lines and checkpoints


def parse_augmentation(text: str) -> Augmentation:
    """Build an augmentation from `name` or `name:setting=value,...`; a range is written `low..high`.

    Raises:
        InputError: an unknown augmentation or setting, one given twice, or a value that is no number or out of its
            limits.
    """
    name, _, settings = text.partition(":")
    kind = AUGMENTATIONS.get(ALSO_CALLED.get(name, name))
    if kind is None:
        raise InputError(f"unknown augmentation {name!r}; known are {', '.join(AUGMENTATIONS)}")
    fields = {field.name: field for field in dataclasses.fields(kind)}
    also = {field.metadata["also"]: field for field in fields.values()}
    values = {}
    for assignment in filter(None, settings.split(",")):
        key, _, value = assignment.partition("=")
        field = fields.get(key) or also.get(key)
        if field is None or not key:
            raise InputError(f"augmentation {name} has no setting {key!r}; its settings are {', '.join(fields)}")
        if field.name in values:
            raise InputError(f"augmentation {text!r} gives {field.name} twice; give it once")
        values[field.name] = _parse_value(text, value, field)
    return kind(**values)


def _parse_value(text: str, value: str, field: dataclasses.Field) -> Any:
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


def augment(
    image: np.ndarray,
    mask: np.ndarray,
    rngs: Sequence[np.random.Generator],
    augmentations: Sequence[Augmentation],
    *,
    size: Size | None,
    own_size: Size | None = None,
) -> Sample:
    """Draw one sample: every augmentation in turn, then the resize.

    Pixel transforms after the last geometric one that commute with the resize work on whichever has fewer pixels, the
    image before or after it.

    Args:
        image: (H, W, 3) uint8 RGB.
        mask: (H, W) or (H, W, K) uint8.
        rngs: a generator for each of the augmentations; they may be one.
        augmentations: in the order in which they act.
        size: height and width of the sample; None: whatever the augmentations lead to.
        own_size: height and width before image and mask were shrunk; augmentations act as on that. None: they were not.
    """
    view, pixel_size = AffineView.whole(mask.shape[:2]), (1.0, 1.0)
    if own_size:
        view = view.resized(own_size)
    last_at_own_size = max((n for n, each in enumerate(augmentations) if not _may_follow_resize(each)), default=-1)
    for number, (each, rng) in enumerate(zip(augmentations, rngs, strict=True)):
        if isinstance(each, GeometricTransform):
            view = each(view, rng)
            continue
        if size and number > last_at_own_size and math.prod(size) < math.prod(view.size):
            pixel_size = view.size[0] / size[0], view.size[1] / size[1]
            view = view.resized(size)
        image, mask = each(*render_pair(image, mask, view), rng, pixel_size)
        view = AffineView.whole(view.size)
    return render_pair(image, mask, view.resized(size) if size else view)


def _may_follow_resize(augmentation: Augmentation) -> bool:
    return not isinstance(augmentation, GeometricTransform) and augmentation.commutes_with_resize


def render_pair(image: np.ndarray, mask: np.ndarray, view: AffineView) -> Sample:
    """Render the view of image and mask as one array: resampling four channels costs little more than three."""
    if view.is_whole(mask.shape[:2]):
        return image, mask
    if mask.ndim > 2:
        planes = view.render(cv2.merge((image, mask)))
        return np.ascontiguousarray(planes[..., :3]), planes[..., 3:]
    # as RGB and alpha, which is several times faster than a merge and a split
    planes = view.render(cv2.insertChannel(mask, cv2.cvtColor(image, cv2.COLOR_RGB2RGBA), 3))
    return cv2.cvtColor(planes, cv2.COLOR_RGBA2RGB), cv2.extractChannel(planes, 3)
