"""Moving pictures in: video files, folders of frames and cameras as one kind of source. Audio is not read."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from measure.io import IMAGE_SUFFIXES, InputError, images_by_stem, quiet_opencv, read_rgb

from .finding import listed_frames, names_frames

__all__ = ["FolderSource", "Frame", "Source", "VideoSource", "open_source", "open_video"]

DEFAULT_RATE = 25.0  # frames a second, where the source does not say
PATIENCE = 10  # reads that may fail in a row where nobody knows how many frames there are
COUNTED = {".avi", ".m4v", ".mov", ".mp4"}  # files that list their frames; of others the number is an estimate


@dataclass(frozen=True)
class Frame:
    """A decoded frame.

    Attributes:
        name: what its files are called, without suffix.
        image: (H, W, 3) uint8 RGB.
        time: seconds from the start of the video; None where the source does not say.
    """

    name: str
    image: np.ndarray
    time: float | None = None


@dataclass(kw_only=True)
class Source:
    """Frames to be iterated over once.

    Attributes:
        name: for folders and messages.
        rate: frames a second.
        count: frames it should have, 0 where nobody knows.
        skipped: names of the frames that could not be decoded; each is told on stderr.
    """

    name: str
    rate: float
    count: int
    skipped: list[str] = field(default_factory=list)

    def skip(self, name: str, reason: str) -> None:
        """Note that a frame could not be decoded, and go on without it."""
        self.skipped.append(name)
        tqdm.write(f"note: {self.name}: skipped {name}: {reason}", file=sys.stderr)


@dataclass(kw_only=True)
class FolderSource(Source):
    """The image files of a folder or a pattern in natural order, those of a list as listed, or one image file.

    Attributes:
        frames: files by stem.
    """

    frames: Mapping[str, Path]

    def __iter__(self) -> Iterator[Frame]:
        for stem, path in self.frames.items():
            try:
                image = read_rgb(path)
            except InputError as error:
                self.skip(stem, str(error))
                continue
            yield Frame(stem, image)


@dataclass(kw_only=True)
class VideoSource(Source):
    """A video file or a camera. A read that fails is one packet that OpenCV could not decode, or the end.

    Attributes:
        capture: OpenCV's reader.
        counted: `count` is the file's own list of frames, not an estimate.
        timed: frames have the times that the file gives them.
    """

    capture: cv2.VideoCapture
    counted: bool
    timed: bool

    def __iter__(self) -> Iterator[Frame]:
        number, failed = 0, []
        while len(failed) <= PATIENCE or number < self.count:
            number += 1
            name = f"frame_{number:06d}"
            decoded, image = self.capture.read()
            if not decoded:
                failed.append(name)
                continue
            self._skip_all(failed)
            failed = []
            time = self.capture.get(cv2.CAP_PROP_POS_MSEC) / 1000 if self.timed else None
            yield Frame(name, cv2.cvtColor(image, cv2.COLOR_BGR2RGB), time)
        if self.counted:
            self._skip_all(failed[: max(0, self.count - number + len(failed))])
        self.capture.release()

    def _skip_all(self, names: list[str]) -> None:
        for name in names:
            self.skip(name, "it cannot be decoded")


def open_source(given: str, *, rate: float | None = None) -> FolderSource | VideoSource:
    """Open a video file, a folder of frames, a list or a pattern of them, an image file or, by its number, a camera.

    Args:
        given: a path, a pattern, or the number of a camera.
        rate: frames a second, in place of the source's own times.

    Raises:
        InputError: nothing is there, or it cannot be read.
    """
    path = Path(given)
    if path.is_dir():
        return _folder(path.resolve().name, images_by_stem(path), rate)
    if path.is_file() and path.suffix.lower() in IMAGE_SUFFIXES:
        return _folder(path.stem, {path.stem: path}, rate)
    if names_frames(given):
        return _folder(path.stem if path.is_file() else given, listed_frames(given), rate)
    if path.is_file():
        return open_video(given, rate=rate)
    if given.isdecimal() and len(given) < 10:
        fault = f"camera {given} cannot be opened; check that it is plugged in and free"
        return _video(f"camera{given}", int(given), rate, fault=fault, counted=False)
    raise InputError(f"there is no {given}; give a video file, a folder of frames or the number of a camera")


def open_video(given: str, *, rate: float | None = None) -> VideoSource:
    """Open a video file, whatever its name; arguments as those of `open_source`.

    Raises:
        InputError: OpenCV cannot read it.
    """
    path = Path(given)
    fault = f"{given} is no video that OpenCV can read, or it is cut off; convert it or copy it again"
    return _video(path.stem, given, rate, fault=fault, counted=path.suffix.lower() in COUNTED)


def _folder(name: str, frames: Mapping[str, Path], rate: float | None) -> FolderSource:
    return FolderSource(name=name, rate=rate or DEFAULT_RATE, count=len(frames), frames=frames)


def _video(name: str, given: str | int, rate: float | None, *, fault: str, counted: bool) -> VideoSource:
    with quiet_opencv():
        capture = cv2.VideoCapture(given)
    if not capture.isOpened():
        raise InputError(fault)
    own_rate, count = capture.get(cv2.CAP_PROP_FPS), int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    return VideoSource(
        name=name,
        rate=rate or (own_rate if own_rate > 0 else DEFAULT_RATE),
        count=max(0, count),
        capture=capture,
        counted=counted,
        timed=rate is None and isinstance(given, str),
    )
