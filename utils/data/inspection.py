"""A look at every file before a long run starts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image
from tqdm import tqdm

from measure.io import Classes, InputError, damage

from .pairs import Pair

__all__ = ["check_pairs"]


def check_pairs(pairs: Sequence[Pair], classes: Classes | None = None) -> None:
    """Look at every file once, so that a long run does not end at a bad one; only masks of classes are decoded.

    Raises:
        InputError: a file is unreadable or cut off, an image and its mask differ in size, or a mask has values that
            are none of `classes` (the first is named).
    """
    for pair in tqdm(pairs, desc="checking pairs", unit="pair", disable=None, leave=False):
        image_size, mask_size = _stated_size(pair.image), _stated_size(pair.mask)
        if image_size != mask_size:
            raise InputError(
                f"{pair.mask} is {mask_size[0]} x {mask_size[1]} but its image {pair.image.name} is "
                f"{image_size[0]} x {image_size[1]} (width x height); export the pair anew at one size"
            )
        if classes:
            classes.read_planes(pair.mask)


def _stated_size(path: Path) -> tuple[int, int]:
    """Width and height that a whole image file states."""
    try:
        fault = damage(path.read_bytes())
        if fault is None:
            with Image.open(path) as image:
                return image.size
    except OSError as error:
        fault = error.strerror or "it is damaged or no image"
    raise InputError(f"cannot read {path}: {fault}; write the file anew or take the pair out")
