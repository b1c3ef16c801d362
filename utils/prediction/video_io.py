"""Moving pictures in and out: video files, folders of frames and cameras as one kind of source; a video file as sink.

Audio is not kept. A side of an odd number of pixels loses its last line in a video file: codecs take even sizes.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np
from tqdm import tqdm

from measure.io import IMAGE_SUFFIXES, InputError, images_by_stem, make_folder, quiet_opencv, read_rgb

__all__ = ["CODECS", "FolderSource", "Shot", "VideoFile", "VideoSource", "open_source"]

DEFAULT_RATE = 25.0  # frames a second, where the source does not say
PATIENCE = 10  # reads that may fail in a row where nobody knows how many frames there are
# what every OpenCV wheel can write; H.264 is in none of them. Browsers play .webm, players all four
CODECS = {".mp4": "mp4v", ".mkv": "mp4v", ".avi": "MJPG", ".webm": "VP80"}


@dataclass(frozen=True)
class Shot:
    """A decoded frame: a name for its files, and (H, W, 3) uint8 RGB."""

    name: str
    picture: np.ndarray


@dataclass(kw_only=True)
class Source:
    """Frames to be iterated over once.

    Attributes:
        name: for folders and messages. rate: frames a second. count: frames it should have, 0 where nobody knows.
        lost: names of the frames that could not be decoded, told on stderr as they are met and passed over.
    """

    name: str
    rate: float
    count: int
    lost: list[str] = field(default_factory=list)

    def pass_over(self, name: str, why: str) -> None:
        self.lost.append(name)
        tqdm.write(f"note: {self.name}: passed over {name}: {why}", file=sys.stderr)


@dataclass(kw_only=True)
class FolderSource(Source):
    """The image files of a folder in natural order, or one image file."""

    frames: Mapping[str, Path]

    def __iter__(self) -> Iterator[Shot]:
        for stem, path in self.frames.items():
            try:
                picture = read_rgb(path)
            except InputError as error:
                self.pass_over(stem, str(error))
                continue
            yield Shot(stem, picture)


@dataclass(kw_only=True)
class VideoSource(Source):
    """A video file or a camera. A read that fails is one packet that OpenCV could not decode, or the end."""

    capture: cv2.VideoCapture

    def __iter__(self) -> Iterator[Shot]:
        number, failed = 0, 0
        while failed <= PATIENCE or number < self.count:
            number += 1
            name = f"frame_{number:06d}"
            decoded, picture = self.capture.read()
            if decoded:
                failed = 0
                yield Shot(name, cv2.cvtColor(picture, cv2.COLOR_BGR2RGB))
            else:
                failed += 1
                if number <= self.count:
                    self.pass_over(name, "it cannot be decoded")
        self.capture.release()


def open_source(given: str, *, rate: float | None = None) -> FolderSource | VideoSource:
    """Open a video file, a folder of frames, an image file or, by its number, a camera.

    Args:
        rate: frames a second, in place of the source's own.

    Raises:
        InputError: nothing is there, or OpenCV cannot read it.
    """
    path = Path(given)
    if path.is_dir():
        return _folder(path.resolve().name, images_by_stem(path), rate)
    if path.is_file() and path.suffix.lower() in IMAGE_SUFFIXES:
        return _folder(path.stem, {path.stem: path}, rate)
    if path.is_file():
        fault = f"{given} is no video that OpenCV can read, or it is cut off; convert or copy it anew"
        return _video(path.stem, given, rate, fault=fault)
    if given.isdecimal():
        fault = f"camera {given} cannot be opened; check that it is plugged in and free"
        return _video(f"camera{given}", int(given), rate, fault=fault)
    raise InputError(f"there is no {given}; give a video file, a folder of frames or the number of a camera")


def _folder(name: str, frames: Mapping[str, Path], rate: float | None) -> FolderSource:
    return FolderSource(name=name, rate=rate or DEFAULT_RATE, count=len(frames), frames=frames)


def _video(name: str, given: str | int, rate: float | None, *, fault: str) -> VideoSource:
    with quiet_opencv():
        capture = cv2.VideoCapture(given)
    if not capture.isOpened():
        raise InputError(fault)
    own_rate, count = capture.get(cv2.CAP_PROP_FPS), int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    rate = rate or (own_rate if own_rate > 0 else DEFAULT_RATE)
    return VideoSource(name=name, rate=rate, count=max(0, count), capture=capture)


class VideoFile:
    """A video file that appears whole: written under a temporary name, moved when the block ends, however it ends.

    What was written before an error or an interruption is finished and kept, so that it plays. A block that wrote no
    frame leaves nothing. The first frame sets the size; others are scaled to it.

    Raises:
        InputError: a suffix that is not in `CODECS`, or a file that cannot be written.
    """

    def __init__(self, path: str | Path, *, rate: float):
        self.path, self.rate = Path(path), rate
        if self.path.suffix.lower() not in CODECS:
            raise InputError(f"{path} is not named like a video that can be written; end it in {', '.join(CODECS)}")
        make_folder(self.path.parent)
        self.partial = self.path.with_name(f".{self.path.stem}.{os.getpid()}.partial{self.path.suffix}")
        self.size: tuple[int, int] | None = None
        self.writer: cv2.VideoWriter | None = None

    def __enter__(self) -> VideoFile:
        return self

    def write(self, picture: np.ndarray) -> None:
        """Append an (H, W, 3) uint8 RGB picture."""
        if self.writer is None:
            self.size = picture.shape[1::-1]
            self.writer = self._open()
        if picture.shape[1::-1] != self.size:
            picture = cv2.resize(picture, self.size, interpolation=cv2.INTER_AREA)
        self.writer.write(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))

    def _open(self) -> cv2.VideoWriter:
        codec = cv2.VideoWriter_fourcc(*CODECS[self.path.suffix.lower()])
        with quiet_opencv():
            writer = cv2.VideoWriter(str(self.partial), codec, self.rate, self.size)
        if not writer.isOpened():
            raise InputError(
                f"cannot write {self.path} at {self.size[0]} x {self.size[1]} pixels; choose another place"
            )
        return writer

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.writer is None:
            return
        self.writer.release()
        if plays(self.partial):
            os.replace(self.partial, self.path)
        else:  # OpenCV does not tell that a disk is full
            self.partial.unlink(missing_ok=True)
            raise InputError(f"cannot write {self.path}; free some space or choose another place") from error


def plays(path: Path) -> bool:
    """Whether a video file holds a frame that can be decoded."""
    with quiet_opencv():
        return cv2.VideoCapture(str(path)).read()[0]
