"""What an image file says of itself: size, kind of pixels, orientation; nothing is decoded.

PNG and JPEG are read here, since pixels of every file go through this; BMP, TIFF and others are left to Pillow.
"""

from __future__ import annotations

import os
import struct
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from PIL import Image

from .errors import InputError

__all__ = [
    "ImageHeader",
    "limit_megapixels",
    "USUAL_LIMIT",
    "megapixel_limit",
    "orientation_of",
    "read_header",
    "refuse_one_tagged",
    "without_orientation",
]

ORIENTATION = 0x0112
"""The tag that says how viewers turn a picture; 1 is as stored."""

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
PNG_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by color type

JPEG_START = b"\xff\xd8"
JPEG_SIZES = {0xC0 + k for k in range(16)} - {0xC4, 0xC8, 0xCC}  # markers of segments that state the size
JPEG_SCAN, JPEG_APP1 = 0xDA, 0xE1

TIFF_STARTS = (b"II*\0", b"MM\0*")

ENOUGH_TO_TELL = 4096
"""Bytes at the start of a JPEG in which its Exif data begin, if it has any."""

LIMIT = "MEASURE_MAX_MEGAPIXELS"
"""Environment variable, so that processes that are started later read by the same limit."""

USUAL_LIMIT = 100


@dataclass(frozen=True)
class ImageHeader:
    """What a file's header states.

    Attributes:
        kind: "PNG", "JPEG", "TIFF", "BMP" or another of Pillow's names.
        width: pixels, as stored.
        height: pixels, as stored.
        channels: numbers per pixel, alpha counted; 1 for a palette.
        bits: of each number.
        palette: whether the numbers stand for colors in a table.
        alpha: whether the pixels carry opacity.
        floating: whether the numbers are floating point, or 32-bit integers, which are no levels of grey either.
        orientation: the Exif tag, 1 to 8; 1 where there is none.
    """

    kind: str
    width: int
    height: int
    channels: int
    bits: int
    palette: bool = False
    alpha: bool = False
    floating: bool = False
    orientation: int = 1

    @property
    def megapixels(self) -> float:
        """Millions of pixels."""
        return self.width * self.height / 1e6


def read_header(data: bytes) -> ImageHeader | None:
    """Read the header of an image file's bytes; None where they are no image."""
    try:
        if data.startswith(PNG_SIGNATURE):
            return _png_header(data)
        if data.startswith(JPEG_START):
            return _jpeg_header(data)
        return _other_header(data)
    except (struct.error, IndexError, KeyError):
        return None


def orientation_of(path: str | Path, data: bytes | None = None) -> int:
    """The orientation tag of an image file, 1 to 8; 1 where there is none, or the file cannot be read.

    `data` are the file's bytes where they have been read before.
    """
    if data is not None:
        header = read_header(data)
        return header.orientation if header else 1
    try:
        with Path(path).open("rb") as file:
            data = file.read(ENOUGH_TO_TELL)
            if data.startswith(JPEG_START) and b"Exif" not in data:
                return 1  # frames of video by the thousand end here
            data += file.read()
    except OSError:
        return 1
    header = read_header(data)
    return header.orientation if header else 1


def refuse_one_tagged(image: str | Path, image_orientation: int, mask: str | Path, mask_orientation: int) -> None:
    """Refuse a pair whose files would be shown turned differently: pixels are read as stored, and may not agree.

    Raises:
        InputError: one file has an orientation tag and the other has none, or another one.
    """
    if image_orientation != mask_orientation:
        told = [
            f"{path} has {f'the Exif orientation {tag}' if tag != 1 else 'no Exif orientation'}"
            for path, tag in ((image, image_orientation), (mask, mask_orientation))
        ]
        raise InputError(
            f"{told[0]} and {told[1]}, so they may be turned against each other; pixels are read as stored: "
            "turn the pixels of the tagged file and drop its tag, or only drop the tag, so that both fit"
        )


def megapixel_limit() -> float:
    """Millions of pixels up to which images are read."""
    return float(os.environ.get(LIMIT, USUAL_LIMIT))


def limit_megapixels(limit: float) -> None:
    """Set the limit of all readers, of this process and of those it starts from now on."""
    os.environ[LIMIT] = f"{limit:.12g}"


def _png_header(data: bytes) -> ImageHeader:
    width, height, bits, color = struct.unpack_from(">IIBB", data, 16)
    orientation, alpha = 1, color in (4, 6)
    for kind, start, end in png_chunks(data):
        if kind == b"eXIf":
            orientation = _exif_orientation(data[start:end])
        alpha = alpha or kind == b"tRNS"
    return ImageHeader("PNG", width, height, PNG_CHANNELS[color], bits, color == 3, alpha, orientation=orientation)


def png_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Kind, start and end of the content of every whole chunk of a PNG."""
    position = len(PNG_SIGNATURE)
    while position + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        end = position + 8 + length
        if end + 4 > len(data):
            return
        yield kind, position + 8, end
        position = end + 4


def _jpeg_header(data: bytes) -> ImageHeader | None:
    stated, orientation = None, 1
    for marker, start, end in jpeg_segments(data):
        if marker in JPEG_SIZES and stated is None:
            stated = struct.unpack_from(">BHHB", data, start)
        elif marker == JPEG_APP1 and data[start : start + 6] == b"Exif\0\0":
            orientation = _exif_orientation(data[start:end])
    if stated is None:
        return None
    bits, height, width, channels = stated
    return ImageHeader("JPEG", width, height, channels, bits, orientation=orientation)


def jpeg_segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Marker, start and end of the content of every segment before the first scan, which is the last one yielded."""
    position = len(JPEG_START)
    while position + 4 <= len(data) and data[position] == 0xFF:
        marker = data[position + 1]
        if marker == 0xFF:  # padding
            position += 1
            continue
        if marker == 0x01 or 0xD0 <= marker <= 0xD8:  # markers that stand alone
            position += 2
            continue
        length = struct.unpack_from(">H", data, position + 2)[0]
        yield marker, position + 4, position + 2 + length
        if marker == JPEG_SCAN:
            return
        position += 2 + length


def _exif_orientation(content: bytes) -> int:
    exif = Image.Exif()
    try:
        exif.load(content)
        value = exif.get(ORIENTATION, 1)
    except Exception:  # damaged Exif data turn nothing; Pillow raises many kinds of errors on them
        return 1
    return value if value in range(1, 9) else 1


def _other_header(data: bytes) -> ImageHeader | None:
    orientation = _tiff_orientation(data)[0]
    try:
        with pillow_image(without_orientation(data)) as image:
            width, height = image.size
            mode, kind, bands = image.mode, image.format or "", image.getbands()
            alpha = "A" in bands or "transparency" in image.info
            orientation = orientation if kind == "TIFF" else image.getexif().get(ORIENTATION, 1)
    except (OSError, SyntaxError, ValueError):
        return None
    bits = 16 if ";16" in mode else 32 if mode in ("I", "F") else 8
    return ImageHeader(
        kind, width, height, len(bands), bits, mode in ("P", "PA"), alpha, mode in ("I", "F"), orientation
    )


@contextmanager
def pillow_image(data: bytes) -> Iterator[Image.Image]:
    """Open bytes with Pillow, without its own limit of pixels: ours has been looked at, or is about to be."""
    with _LENIENT, Image.open(BytesIO(data)) as image:
        yield image


class _Lenient:
    """A context without Pillow's limit and without warnings of what is odd about a file that can still be read.

    Both belong to the whole process, so that of several threads the first one in sets them and the last one out puts
    them back: each by itself would put back what another one had set.
    """

    def __init__(self) -> None:
        self._lock, self._inside, self._former = threading.Lock(), 0, ExitStack()

    def __enter__(self) -> None:
        with self._lock:
            self._inside += 1
            if self._inside == 1:
                self._former.callback(setattr, Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)
                self._former.enter_context(warnings.catch_warnings())
                warnings.simplefilter("ignore")
                Image.MAX_IMAGE_PIXELS = None

    def __exit__(self, *exception: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                self._former.close()


_LENIENT = _Lenient()


def without_orientation(data: bytes) -> bytes:
    """The bytes of a file with a TIFF's orientation tag set to 1: decoders follow it and cannot be told not to.

    Bytes of other formats are returned as they are.
    """
    orientation, place, order = _tiff_orientation(data)
    if orientation == 1:
        return data
    return data[:place] + struct.pack(f"{order}H", 1) + data[place + 2 :]


def _tiff_orientation(data: bytes) -> tuple[int, int, str]:
    """The orientation of a TIFF's first picture, where its value stands, and the byte order ("<" or ">")."""
    order = "<" if data[:2] == b"II" else ">"
    if not data.startswith(TIFF_STARTS):
        return 1, 0, order
    try:
        directory = struct.unpack_from(f"{order}I", data, 4)[0]
        for entry in range(struct.unpack_from(f"{order}H", data, directory)[0]):
            place = directory + 2 + 12 * entry
            if struct.unpack_from(f"{order}H", data, place)[0] == ORIENTATION:
                value = struct.unpack_from(f"{order}H", data, place + 8)[0]
                return (value if value in range(1, 9) else 1), place + 8, order
    except struct.error:
        pass  # a directory beyond the end of the file: the decoder will say so
    return 1, 0, order
