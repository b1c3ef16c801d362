"""Masks of polyp alone: which of a file's values mean polyp, and what is refused because nobody can tell.

| what the file holds                              | read as                                                        |
|--------------------------------------------------|----------------------------------------------------------------|
| levels, some above 128                           | as they are: polyp above 128                                   |
| 0 alone                                          | an image without polyp                                         |
| exactly 0 and 1, or 1 alone                      | 0 and 255; a run says so once (`mask_notes`)                   |
| levels above 0, none above 128                   | refused                                                        |
| 16-bit values above 0, none of 129 * 256 or more | refused, but exactly 0 and 1                                   |
| color, or a palette of colors                    | refused, by the colors or indices found                        |
| one color throughout, and opacity that varies    | refused: the mask lies in the alpha channel                    |
| whatever, with `--mask_values`                   | polyp where a pixel has one of the values                      |

A JPEG's black is never quite black: there, levels up to 32 are 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from .errors import InputError
from .headers import ImageHeader, pillow_image
from .images import AS_STORED, JPEG_NOISE, REDUCED_COLOR, colored_pixels, decode, read_whole
from .pairing import counted, first_names

__all__ = [
    "FOREGROUND_ABOVE",
    "MaskFile",
    "MaskValues",
    "examine_mask",
    "mask_notes",
    "parse_mask_values",
    "read_indices",
    "read_mask",
    "refuse_two_kinds",
]

FOREGROUND_ABOVE = 128
"""Mask levels above this are polyp."""

COLORS_NAMED = 4
"""Colors or indices in a refusal, the most common ones."""

MOST = 0.5
"""Share of a set's masks that may be empty, full, or mostly polyp, without a doubt."""

TELLING = 3
"""Fewest masks of which most may be called too large: the polyps of one or two images may fill their frames."""


@dataclass(frozen=True)
class MaskValues:
    """The values that mean polyp: indices (one number each), or colors (R, G, B), all of one form."""

    values: tuple[tuple[int, ...], ...]

    def __str__(self) -> str:
        """As the flag takes it."""
        return " ".join(",".join(map(str, value)) for value in self.values)

    @property
    def by_color(self) -> bool:
        """Whether masks are color pictures."""
        return len(self.values[0]) > 1


@dataclass(frozen=True, eq=False)
class MaskFile:
    """A mask and what is to be known about its file.

    Attributes:
        levels: (H, W) uint8; polyp above 128.
        zero_one: the file held 0 and 1.
        orientation: its orientation tag; 1 where there is none.
    """

    levels: np.ndarray
    zero_one: bool = False
    orientation: int = 1

    @property
    def polyp(self) -> float:
        """The polyp's share of the frame."""
        return cv2.countNonZero(cv2.compare(self.levels, FOREGROUND_ABOVE, cv2.CMP_GT)) / self.levels.size


def parse_mask_values(texts: Sequence[str]) -> MaskValues:
    """Read indices (`1 3`) or colors (`255,0,0 0,255,0`).

    Raises:
        InputError: another form, or 0, which is background.
    """
    values = tuple(map(_parse_value, texts))
    if not values or len({len(value) for value in values}) > 1 or not all(map(any, values)):
        raise InputError(
            f"--mask_values {' '.join(texts)} was given; expected indices (1 3) or colors (255,0,0), all of one form, "
            "and none of them 0, background"
        )
    return MaskValues(values)


def _parse_value(text: str) -> tuple[int, ...]:
    parts = text.split(",")
    numbers = tuple(int(part) for part in parts if part.isascii() and part.isdigit() and len(part) <= 5)
    highest = 255 if len(parts) == 3 else 65535
    if len(numbers) != len(parts) or len(parts) not in (1, 3) or max(numbers) > highest:
        raise InputError(f"--mask_values {text} was given; expected an index up to 65535, or R,G,B each up to 255")
    return numbers


def read_mask(path: str | Path, values: MaskValues | None = None) -> np.ndarray:
    """Read a mask as (H, W) uint8, polyp above 128; see the head of this file.

    Args:
        values: that mean polyp; None tells by the file itself.

    Raises:
        InputError: as `read_grey`, or what the file's values mean cannot be told.
    """
    return examine_mask(path, values).levels


def examine_mask(path: str | Path, values: MaskValues | None = None, data: bytes | None = None) -> MaskFile:
    """Read a mask as `read_mask` does, with what is to be known about it; `data` are the file's bytes where known.

    Raises:
        InputError: as `read_mask`.
    """
    data, header = read_whole(path, data)
    if values:
        chosen = _of_color(path, data, values) if values.by_color else _of_index(path, data, values)
        return MaskFile(np.where(chosen, np.uint8(255), np.uint8(0)), orientation=header.orientation)
    levels, top = _grey_levels(path, data, header)
    if header.kind == "JPEG" and top <= JPEG_NOISE:
        return MaskFile(np.zeros_like(levels), orientation=header.orientation)
    if top == 1:
        return MaskFile(_ones(path, data), zero_one=True, orientation=header.orientation)
    # of 16 bits the upper byte is the level, so that 1000 or 4095 would be black
    if top > 0 and (top >> 8 if header.bits == 16 else top) <= FOREGROUND_ABOVE:
        raise InputError(_too_dark(path, header, top))
    return MaskFile(levels, orientation=header.orientation)


def _grey_levels(path: str | Path, data: bytes, header: ImageHeader) -> tuple[np.ndarray, int]:
    """A mask's grey levels (H, W) uint8, and the highest value in the file at its own depth.

    Raises:
        InputError: the file has colors, or keeps the mask in its alpha channel.
    """
    levels = decode(path, data, cv2.IMREAD_GRAYSCALE | AS_STORED)
    if header.kind == "JPEG" and header.channels > 1:
        _refuse_colors(path, header, decode(path, data, REDUCED_COLOR))
    elif header.palette or header.channels > 1 or header.alpha:
        pixels = decode(path, data, cv2.IMREAD_UNCHANGED)
        if pixels.ndim == 3:
            _refuse_alpha(path, pixels)
            _refuse_colors(path, header, pixels[..., :3])
        return levels, int(pixels[..., :3].max() if pixels.ndim == 3 else pixels.max())
    elif header.bits == 16:
        return levels, int(decode(path, data, cv2.IMREAD_UNCHANGED).max())
    return levels, int(levels.max())


def _ones(path: str | Path, data: bytes) -> np.ndarray:
    """The mask of a file of 0 and 1 as 0 and 255, (H, W) uint8."""
    pixels = decode(path, data, cv2.IMREAD_UNCHANGED)
    pixels = pixels[..., 0] if pixels.ndim == 3 else pixels
    return np.where(pixels > 0, np.uint8(255), np.uint8(0))


def _refuse_alpha(path: str | Path, pixels: np.ndarray) -> None:
    """Refuse pixels (H, W, 4) of one color whose opacity varies."""
    if pixels.shape[2] < 4 or np.ptp(pixels[..., 3]) == 0:
        return
    if not np.ptp(pixels[..., :3].reshape(-1, 3), axis=0).any():
        color = ",".join(map(str, pixels[0, 0, 2::-1].tolist()))
        raise InputError(
            f"{path} is {color} throughout and its alpha channel varies: the mask seems to lie in the alpha channel; "
            "save it as grey levels, 0 and 255, without alpha"
        )


def _refuse_colors(path: str | Path, header: ImageHeader, pixels: np.ndarray) -> None:
    """Refuse pixels (H, W, 3) BGR in which colors show."""
    colored = colored_pixels(pixels)
    if colored is None:
        return
    if header.palette:
        found = _most_common(read_indices(path)[:, :, None])
        raise InputError(
            f"{path} is a palette mask with the indices {found}, levels of grey were expected; say which index is "
            "polyp, as --mask_values 1, or tell several classes apart with --classes NAME=INDEX ..."
        )
    found = _most_common(pixels[colored][None, :, ::-1])
    raise InputError(
        f"{path} is a color mask with {found} (R,G,B), levels of grey were expected; say which color is polyp, as "
        "--mask_values 255,0,0, or tell several classes apart with --classes NAME=R,G,B ..."
    )


def _most_common(pixels: np.ndarray) -> str:
    """The commonest values of pixels (H, W, C), for a message."""
    values, counts = np.unique(pixels.reshape(-1, pixels.shape[2]), axis=0, return_counts=True)
    order = counts.argsort()[::-1]
    named = [",".join(map(str, values[place].tolist())) for place in order[:COLORS_NAMED]]
    return ", ".join(named) + (f" and {len(order) - COLORS_NAMED} more" if len(order) > COLORS_NAMED else "")


def _too_dark(path: str | Path, header: ImageHeader, top: int) -> str:
    depth = f"a 16-bit file whose highest value is {top}" if header.bits == 16 else f"{top} at its brightest"
    return (
        f"{path} is {depth}; a mask counts as polyp above 128 of 255, so it would be read as empty: write polyp as 255 "
        f"in 8 bits, or say which values are polyp, as --mask_values {top}"
    )


def _of_color(path: str | Path, data: bytes, values: MaskValues) -> np.ndarray:
    """Where (H, W) a pixel is nearer to one of the colors than half that color's distance from black."""
    pixels = decode(path, data, cv2.IMREAD_COLOR | AS_STORED)[..., ::-1].astype(np.float32)
    chosen = np.zeros(pixels.shape[:2], bool)
    for value in values.values:
        color = np.array(value, np.float32)
        chosen |= np.linalg.norm(pixels - color, axis=2) < np.linalg.norm(color) / 2
    return chosen


def _of_index(path: str | Path, data: bytes, values: MaskValues) -> np.ndarray:
    """Where (H, W) a pixel's number is one of the indices."""
    return np.isin(read_indices(path, data), [value for (value,) in values.values])


def read_indices(path: str | Path, data: bytes | None = None) -> np.ndarray:
    """The numbers in a grey or palette file at their own depth, (H, W) int32; three equal channels are one.

    `data` are the file's bytes where they have been read before.

    Raises:
        InputError: as `read_grey`, or the file has colors.
    """
    data, header = read_whole(path, data)
    if header.palette:
        with pillow_image(data) as image:
            return np.asarray(image).astype(np.int32)  # OpenCV would turn a palette into its colors
    pixels = decode(path, data, cv2.IMREAD_UNCHANGED)
    if pixels.ndim == 3:
        colors = pixels[..., :3]
        if (colors != colors[..., :1]).any():
            raise InputError(f"{path} is a color picture, no mask of indices; give colors, as R,G,B")
        pixels = colors[..., 0]
    if header.bits == 1 or (header.kind != "PNG" and header.bits == 8 and _is_bilevel(data)):
        return (pixels > 0).astype(np.int32)
    return pixels.astype(np.int32)


def _is_bilevel(data: bytes) -> bool:
    """Whether a file has one bit a pixel, which OpenCV spreads to 0 and 255."""
    with pillow_image(data) as image:
        return image.mode == "1"


def refuse_two_kinds(place: str | Path, zero_one: Sequence[str], others: Sequence[str]) -> None:
    """Refuse a set in which some masks hold 0 and 1 and others, not empty, levels up to 255.

    Args:
        place: folder or set, for the message.
        zero_one: names of the masks that hold 0 and 1.
        others: names of the other masks that have a polyp.

    Raises:
        InputError: there are both.
    """
    if zero_one and others:
        raise InputError(
            f"{place}: {counted(len(zero_one), 'mask holds', 'masks hold')} 0 and 1 ({first_names(zero_one)}) and "
            f"{counted(len(others), 'other')} levels up to 255 ({first_names(others)}); write all of them alike, or "
            "name the values, as --mask_values 1 255"
        )


def mask_notes(*, masks: int, zero_one: int = 0, empty: int = 0, full: int = 0, large: int = 0) -> list[str]:
    """What a run says once about a set's masks, in sentences without the set's name.

    Args:
        masks: how many there are.
        zero_one: how many of them held 0 and 1.
        empty: how many have no polyp.
        full: how many are polyp throughout.
        large: how many are more polyp than background, the full ones too.
    """
    notes = []
    if zero_one:
        held = counted(zero_one, "mask holds 0 and 1 and was", "masks hold 0 and 1 and were", of=masks)
        notes.append(f"{held} read as background and polyp")
    if empty == masks > 0:
        notes.append("no mask has a polyp; are these the right masks, or do their values mean something else?")
    elif empty > MOST * masks:
        notes.append(
            f"{counted(empty, 'mask is', 'masks are', of=masks)} empty; images without polyp outweigh the others"
        )
    if full:
        doubt = "; are background and polyp exchanged?" if full > MOST * masks else ""
        notes.append(f"{counted(full, 'mask is', 'masks are', of=masks)} polyp throughout{doubt}")
    if large > MOST * masks and full <= MOST * masks and masks >= TELLING:
        told = counted(large, "mask is", "masks are", of=masks)
        notes.append(f"{told} more polyp than background; are background and polyp exchanged?")
    return notes
