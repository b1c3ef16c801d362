"""What strangers send: which kinds of files are taken, how they are read, and how long they stay.

A file is what its first bytes say, whatever its name is. Video is handed to FFmpeg only in containers that hold their
own frames: a playlist would make it open other files, or addresses.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from measure.io import InputError, orientation_of, read_header, read_rgb

from ..prediction import Frame, Source, open_video

__all__ = ["KEPT", "MOST_MEGAPIXELS", "LimitedSource", "bytes_in", "discard", "open_clip", "read_image", "remove_older"]

MOST_MEGAPIXELS = 50
MOST_FRAMES_A_SECOND = 120  # endoscopes give 60; a file may claim any rate
KEPT = 600  # seconds that an upload, or what was drawn of it, stays

IMAGES = "PNG, JPEG, BMP, TIFF or WebP"
CLIPS = "MP4, MOV, WebM, MKV, AVI or MPEG"
IMAGE_STARTS = ((0, b"\x89PNG\r\n\x1a\n"), (0, b"\xff\xd8\xff"), (0, b"BM"), (0, b"II*\0"), (0, b"MM\0*"), (8, b"WEBP"))
CLIP_STARTS = ((4, b"ftyp"), (4, b"moov"), (0, b"\x1a\x45\xdf\xa3"), (8, b"AVI "), (0, b"\0\0\x01\xba"))
ENOUGH = 16  # bytes that tell a kind


def read_image(path: str | Path) -> np.ndarray:
    """Read an uploaded image as (H, W, 3) uint8 RGB, turned as browsers show it.

    Raises:
        InputError: it is none of the kinds taken, too large or damaged. Nothing of it is decoded before that is known.
    """
    data = contents(path)
    if not starts_as(data, IMAGE_STARTS):
        raise InputError(f"the file is {'empty' if not data else 'no image of the kinds taken'}; give {IMAGES}")
    header = read_header(data)
    if header and header.megapixels > MOST_MEGAPIXELS:
        raise InputError(
            f"the image has {header.width} x {header.height} pixels; {MOST_MEGAPIXELS} megapixels are taken"
        )
    return turned(read_rgb("the image", data), orientation_of("the image", data))


def turned(image: np.ndarray, orientation: int) -> np.ndarray:
    """Turn an image as its Exif orientation says, 1 to 8."""
    if orientation >= 5:  # rows are columns
        image = image.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    return np.ascontiguousarray(image)


def open_clip(path: str | Path, *, max_seconds: float, left: Callable[[], bool] = lambda: False) -> LimitedSource:
    """Open an uploaded clip.

    Args:
        max_seconds: length that is taken.
        left: whether nobody waits for it any more; it ends there.

    Raises:
        InputError: it is none of the kinds taken, damaged, or too long or large by what it says of itself.
    """
    start = contents(path, ENOUGH)
    if not starts_as(start, CLIP_STARTS):
        raise InputError(f"the file is {'empty' if not start else 'no clip of the kinds taken'}; give {CLIPS}")
    try:
        source = open_video(str(path))  # a list, by its name, would open other files
    except InputError as error:
        raise InputError("the clip cannot be read, or it is cut off; convert it or copy it again") from error
    source.name = "the clip"
    width, height = (int(source.capture.get(side)) for side in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
    if width * height > MOST_MEGAPIXELS * 1e6:
        raise InputError(f"the clip has {width} x {height} pixels; {MOST_MEGAPIXELS} megapixels are taken")
    limited = LimitedSource(
        name=source.name, rate=source.rate, count=source.count, source=source, max_seconds=max_seconds, left=left
    )
    if source.count > limited.most:
        raise too_long(source.count / source.rate, max_seconds)
    return limited


@dataclass(kw_only=True)
class LimitedSource(Source):
    """A clip that ends where it becomes too long, whatever its header says, and where nobody waits for it.

    Attributes:
        source: the clip.
        max_seconds: length that is taken.
        left: whether nobody waits any more.
        given: frames that were handed out.
    """

    source: Source
    max_seconds: float
    left: Callable[[], bool]
    given: int = 0

    @property
    def most(self) -> float:
        """Frames that are taken."""
        return self.max_seconds * min(self.rate, MOST_FRAMES_A_SECOND)

    def __iter__(self) -> Iterator[Frame]:
        for frame in self.source:
            if self.left():
                return
            if self.given >= self.most:
                raise too_long(None, self.max_seconds)
            self.given += 1
            yield frame


def too_long(seconds: float | None, max_seconds: float) -> InputError:
    lasts = f"the clip lasts {seconds:.0f} seconds" if seconds else "the clip is longer than it says"
    return InputError(f"{lasts}; {max_seconds:g} are taken, --max_seconds allows more")


def starts_as(data: bytes, starts: tuple[tuple[int, bytes], ...]) -> bool:
    """Whether bytes have one of these marks, each at its place."""
    return any(data[place : place + len(mark)] == mark for place, mark in starts)


def contents(path: str | Path, length: int = -1) -> bytes:
    """The bytes of an upload; no more than `length` of them."""
    try:
        with Path(path).open("rb") as file:
            return file.read(length)
    except OSError as error:
        raise InputError(f"the file is gone, uploads stay {KEPT // 60} minutes; give it again") from error


def bytes_in(folder: Path) -> int:
    """Bytes of all files below a folder."""
    return sum(size for size, _ in _files(folder).values())


def remove_older(folder: Path, seconds: float = KEPT) -> None:
    """Remove the files below a folder that nobody wrote for some time, and the folders of their own."""
    for path, (_, written) in _files(folder).items():
        if time.time() - written > seconds:
            discard(path, folder)


def discard(path: Path, folder: Path) -> None:
    """Remove a file, and the folder that it lies in below `folder` where nothing else does."""
    path.unlink(missing_ok=True)
    if path.parent != folder:
        with suppress(OSError):  # not empty, or somebody was faster
            path.parent.rmdir()


def _files(folder: Path) -> dict[Path, tuple[int, float]]:
    """Size and time of writing of every file; files may go while it looks."""
    found = {}
    for path in folder.rglob("*"):
        try:
            stat = path.stat()
        except OSError:
            continue
        if path.is_file():
            found[path] = stat.st_size, stat.st_mtime
    return found
