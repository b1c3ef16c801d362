"""Reading image files as arrays: 8-bit grey or RGB, whole or not at all, pixels as stored.

Orientation tags are not followed, in images, masks and maps alike, so that all of them stay on one another.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from .errors import InputError
from .headers import ImageHeader, megapixel_limit, read_header, without_orientation
from .integrity import damage

__all__ = ["MapFile", "checked_header", "read_grey", "read_map", "read_rgb", "read_whole", "refuse_narrow"]

AS_STORED = cv2.IMREAD_IGNORE_ORIENTATION

REDUCED_COLOR = cv2.IMREAD_REDUCED_COLOR_8 | AS_STORED
"""Every eighth pixel of a JPEG, which decodes at a fraction of the cost, tells whether it has colors."""

JPEG_NOISE = 32
"""Levels that JPEG may move a color, or black; what was a JPEG once may be a PNG now."""

STRAY = 0.001
"""Share of a mask's or a map's pixels that may have a color before it counts as a color picture."""

NARROW = 4096
"""16-bit values below this are numbers of 12 bits or fewer, as DICOM has them: their upper bytes are nearly black."""


@dataclass(frozen=True, eq=False)
class MapFile:
    """A prediction map and what is odd about its file.

    Attributes:
        levels: (H, W) uint8.
        orientation: its orientation tag; 1 where there is none.
        shallow: a 16-bit file whose values stay below 256: read by their upper bytes, it is black.
        in_alpha: the picture is one level throughout and its opacity is not: the map may lie there.
        colored: a color picture, as a heat map is: its brightness, which is read, is no probability.
    """

    levels: np.ndarray
    orientation: int = 1
    shallow: bool = False
    in_alpha: bool = False
    colored: bool = False


def read_grey(path: str | Path) -> np.ndarray:
    """Read an image file as (H, W) uint8 grey, as OpenCV's IMREAD_GRAYSCALE does.

    Color is weighted to grey, 16 bits keep their upper byte, a palette is resolved, alpha is dropped. Masks are read
    by `read_mask`, which looks at what their values mean.

    Raises:
        InputError: the file is missing, empty, damaged, cut off, too large, of floating point or no image.
    """
    return decode(path, read_whole(path)[0], cv2.IMREAD_GRAYSCALE | AS_STORED)


def read_rgb(path: str | Path, data: bytes | None = None) -> np.ndarray:
    """Read an image file as (H, W, 3) uint8 RGB; `data` are its bytes where they have been read before.

    Raises:
        InputError: as `read_grey`, or its 16 bits hold numbers of 12 bits or fewer.
    """
    data, header = read_whole(path, data)
    if header.bits == 16:
        pixels = decode(path, data, cv2.IMREAD_UNCHANGED)
        refuse_narrow(path, pixels[..., :3] if pixels.ndim == 3 else pixels)
    return cv2.cvtColor(decode(path, data, cv2.IMREAD_COLOR | AS_STORED), cv2.COLOR_BGR2RGB)


def refuse_narrow(name: str | Path, values: np.ndarray) -> None:
    """Refuse 16-bit values that would be seen as nearly black, though not all of them are 0.

    Raises:
        InputError: none reaches `NARROW`.
    """
    highest = int(values.max())
    if 0 < highest < NARROW:
        raise InputError(
            f"{name} has 16 bits and {highest} is its highest value of 65535: numbers of {highest.bit_length()} bits "
            "would be seen as nearly black; spread them over all 16 bits, or save 8 bits"
        )


def read_map(path: str | Path) -> MapFile:
    """Read a prediction map as `read_grey` does, and look for values that this cannot show.

    Raises:
        InputError: as `read_grey`.
    """
    data, header = read_whole(path)
    levels = decode(path, data, cv2.IMREAD_GRAYSCALE | AS_STORED)
    shallow = in_alpha = False
    if header.bits == 16:
        highest = int(decode(path, data, cv2.IMREAD_UNCHANGED).max())
        shallow = 0 < highest < 256
    if header.alpha and levels.min() == levels.max():
        pixels = decode(path, data, cv2.IMREAD_UNCHANGED)
        in_alpha = pixels.ndim == 3 and pixels.shape[2] == 4 and np.ptp(pixels[..., 3]) > 0
    return MapFile(levels, header.orientation, shallow, bool(in_alpha), _is_colored(path, data, header))


def _is_colored(path: str | Path, data: bytes, header: ImageHeader) -> bool:
    """Whether a file's pixels have colors; nothing is decoded where the header says that they cannot."""
    if header.channels < 3 and not header.palette:
        return False
    pixels = decode(path, data, REDUCED_COLOR if header.kind == "JPEG" else cv2.IMREAD_UNCHANGED)
    return pixels.ndim == 3 and colored_pixels(pixels[..., :3]) is not None


def colored_pixels(pixels: np.ndarray) -> np.ndarray | None:
    """Where (H, W) pixels (H, W, 3), of 8 or 16 bits, have a color; None where too few of them do to count."""
    noise = JPEG_NOISE if pixels.dtype == np.uint8 else JPEG_NOISE * 257
    first, second, third = cv2.split(pixels)
    brightest = cv2.max(cv2.max(first, second), third)
    colored = cv2.subtract(brightest, cv2.min(cv2.min(first, second), third)) > noise
    marked, amount = np.count_nonzero(brightest > noise), np.count_nonzero(colored)
    return colored if amount > STRAY * min(colored.size, max(marked, 1)) else None


def read_whole(path: str | Path, data: bytes | None = None) -> tuple[bytes, ImageHeader]:
    """Read the bytes of an image file that can be decoded, and its header; `data` are its bytes where they were read.

    Raises:
        InputError: as `read_grey`.
    """
    try:
        data = Path(path).read_bytes() if data is None else data
    except OSError as error:
        raise InputError(f"cannot read {path} ({error.strerror})") from error
    header = checked_header(path, data)
    return without_orientation(data), header


def checked_header(path: str | Path, data: bytes) -> ImageHeader:
    """Return the header of a file's bytes.

    Raises:
        InputError: they are empty, damaged, cut off, too large, of floating point or no image.
    """
    if fault := damage(data):
        raise InputError(f"cannot read {path}: {fault}")
    header = read_header(data)
    if header is None or header.width < 1 or header.height < 1:
        raise InputError(f"cannot read {path}: it is damaged or no image that is known here")
    if header.megapixels > megapixel_limit():
        raise InputError(
            f"{path} has {header.width} x {header.height} pixels, {header.megapixels:.0f} megapixels; the limit is "
            f"{megapixel_limit():g}, --max_megapixels raises it"
        )
    if header.floating:
        raise InputError(
            f"{path} holds 32-bit numbers ({header.kind}), levels from 0 to 255 were expected; write it as 8-bit PNG"
        )
    return header


def decode(path: str | Path, data: bytes, flags: int) -> np.ndarray:
    """Decode bytes by OpenCV's `flags`; `path` names the file in a refusal.

    OpenCV fills the missing part of a cut-off file with grey and only warns, so the file's own structure is checked
    first, by `read_whole`.
    """
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:
        image = None
    if image is None or image.size == 0:
        raise InputError(f"cannot read {path}: it is damaged or no image that OpenCV knows")
    return image
