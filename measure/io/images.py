"""Reading image files as arrays: 8-bit grey or RGB, whole or not at all."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from .errors import InputError
from .integrity import damage

__all__ = ["read_grey", "read_rgb", "read_whole"]


def read_grey(path: str | Path) -> np.ndarray:
    """Read an image file as (H, W) uint8 grey, as OpenCV's IMREAD_GRAYSCALE does.

    Color is weighted to grey, 16 bits keep their upper byte, a palette is resolved, alpha is dropped.

    Raises:
        InputError: the file is missing, empty, damaged, cut off or no image.
    """
    return _read(path, cv2.IMREAD_GRAYSCALE)


def read_rgb(path: str | Path) -> np.ndarray:
    """Read an image file as (H, W, 3) uint8 RGB; orientation tags are not followed, since masks carry none.

    Raises:
        InputError: as `read_grey`.
    """
    return cv2.cvtColor(_read(path, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION), cv2.COLOR_BGR2RGB)


def read_whole(path: str | Path) -> bytes:
    """Read the bytes of an image file.

    Raises:
        InputError: the file is missing, empty, damaged or cut off.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path} ({error.strerror})") from error
    if fault := damage(data):
        raise InputError(f"cannot read {path}: {fault}")
    return data


def _read(path: str | Path, flags: int) -> np.ndarray:
    """Decode a file by OpenCV's `flags`.

    OpenCV fills the missing part of a cut-off file with grey and only warns, so the file's own structure is checked
    first.
    """
    data = read_whole(path)
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:
        image = None
    if image is None or image.size == 0:
        raise InputError(f"cannot read {path}: it is damaged or no image that OpenCV knows")
    return image
