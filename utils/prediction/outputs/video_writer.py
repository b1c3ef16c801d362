"""Moving pictures out: a video file that appears whole and plays, whatever ends the run.

With PyAV (`pip install av`) .mp4 and .mkv files are H.264, which browsers play, and keep the time of every frame.
Without it OpenCV writes what every wheel of it can, at one rate. A side of an odd number of pixels loses its last line:
codecs take even sizes.
"""

from __future__ import annotations

import os
import sys
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

import cv2
import numpy as np
from tqdm import tqdm

from measure.io import InputError, make_folder, partial_path, quiet_opencv

from .suffixes import OPENCV_CODECS, check_video_name

__all__ = ["VideoWriter", "has_h264"]

H264_SUFFIXES = (".mp4", ".mkv")
TICKS = 90_000  # a second, as video containers count
# of H.264: losses that an eye hardly sees; at 1280 x 720 "ultrafast" takes 14 ms a frame of one core and "veryfast" 52,
# whose files are two thirds as large
QUALITY = {"crf": "18", "preset": "ultrafast"}
MOST_UNEVEN = 0.25  # of an interval between frames, from which a rate is called variable


class VideoWriter:
    """A video file, written under a temporary name and moved when the block ends, however it ends.

    What was written before an error or an interruption is finished and kept, so that it plays. A block that wrote no
    frame leaves nothing. The first frame sets the size; others are scaled to it.

    Args:
        path: file to write; its suffix, one of `VIDEO_SUFFIXES`, chooses the form.
        rate: frames a second, of frames that have no time of their own.

    Raises:
        InputError: another suffix, or a file that cannot be written.
    """

    def __init__(self, path: str | Path, *, rate: float):
        self.path, self.rate = Path(path), rate
        check_video_name(path)
        if self.path.is_dir():
            raise InputError(f"{path} is a folder, and a video of this name is to be written; choose another name")
        make_folder(self.path.parent)
        self.partial = partial_path(self.path)
        self.size: tuple[int, int] | None = None
        self._encoder: Encoder | None = None
        self._last_time: float | None = None
        self._is_even = True

    def __enter__(self) -> VideoWriter:
        return self

    def write(self, image: np.ndarray, *, time: float | None = None) -> None:
        """Append a frame.

        Args:
            image: (H, W, 3) uint8 RGB.
            time: seconds from the start; None: one interval after the frame before it.
        """
        if self._encoder is None:
            self.size = image.shape[1::-1]
            self._encoder = self._open()
        if image.shape[1::-1] != self.size:
            image = cv2.resize(image, self.size, interpolation=cv2.INTER_AREA)
        self._look_at(time)
        self._encoder.write(image, time)

    def _open(self) -> Encoder:
        suffix = self.path.suffix.lower()
        try:
            if suffix in H264_SUFFIXES and has_h264():
                return H264Encoder(self.partial, rate=self.rate, size=self.size)
            encoder = OpenCVEncoder(self.partial, OPENCV_CODECS[suffix], rate=self.rate, size=self.size)
        except OSError as error:
            raise InputError(
                f"cannot write {self.path} at {self.size[0]} x {self.size[1]} pixels; choose another place"
            ) from error
        if suffix in H264_SUFFIXES:
            self._note("is MPEG-4 part 2, which browsers do not play: pip install av for H.264, or name it .webm")
        return encoder

    def _look_at(self, time: float | None) -> None:
        """Tell once that the frames come at varying intervals, and what becomes of that."""
        if self._is_even and None not in (time, self._last_time):
            intervals = (time - self._last_time) * self.rate
            # a whole number of intervals is a frame that was left out, not another rate
            if intervals < 1 - MOST_UNEVEN or abs(intervals - round(intervals)) > MOST_UNEVEN:
                self._is_even = False
                kept = isinstance(self._encoder, H264Encoder)
                self._note(
                    "has frames at varying intervals; each keeps its time"
                    if kept
                    else f"shows frames of varying intervals at {self.rate:.4g} a second: to keep their times, "
                    "pip install av and name it .mp4"
                )
        self._last_time = time

    def _note(self, text: str) -> None:
        tqdm.write(f"note: {self.path} {text}", file=sys.stderr)

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._encoder is None:
            return
        self._encoder.close()
        if plays(self.partial):
            os.replace(self.partial, self.path)
        else:  # OpenCV does not tell that a disk is full
            self.partial.unlink(missing_ok=True)
            raise InputError(f"cannot write {self.path}; free some space or choose another place") from error


class Encoder(Protocol):
    """What turns frames into a file."""

    def write(self, image: np.ndarray, time: float | None) -> None:
        """Append an (H, W, 3) uint8 RGB frame, `time` seconds from the start where the form keeps times."""

    def close(self) -> None:
        """Finish the file."""


class OpenCVEncoder:
    """OpenCV's own codecs: one rate for all frames.

    Raises:
        OSError: the file cannot be opened.
    """

    def __init__(self, path: Path, codec: str, *, rate: float, size: tuple[int, int]):
        with quiet_opencv():
            self.writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), rate, size)
        if not self.writer.isOpened():
            raise OSError(f"OpenCV cannot write {path}")

    def write(self, image: np.ndarray, time: float | None) -> None:
        self.writer.write(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))

    def close(self) -> None:
        self.writer.release()


class H264Encoder:
    """H.264 through PyAV, every frame at its own time.

    Raises:
        OSError: the file cannot be opened.
    """

    def __init__(self, path: Path, *, rate: float, size: tuple[int, int]):
        import av

        self.width, self.height = (side - side % 2 for side in size)
        self.interval = TICKS / rate
        self.last = -self.interval
        self.container = av.open(str(path), "w", options={"movflags": "+faststart"} if path.suffix == ".mp4" else {})
        self.stream: Any = self.container.add_stream(
            "libx264", rate=Fraction(rate).limit_denominator(1001), options=QUALITY
        )
        self.stream.width, self.stream.height, self.stream.pix_fmt = self.width, self.height, "yuv420p"
        self.stream.time_base = self.stream.codec_context.time_base = Fraction(1, TICKS)

    def write(self, image: np.ndarray, time: float | None) -> None:
        import av

        even = np.ascontiguousarray(image[: self.height, : self.width])
        # OpenCV converts to the codec's colors three times as fast as PyAV does, as near to the picture
        frame = av.VideoFrame.from_ndarray(cv2.cvtColor(even, cv2.COLOR_RGB2YUV_I420), format="yuv420p")
        # times must grow: a file that repeats one is brought into order by the smallest step
        self.last = max(self.last + 1, time * TICKS) if time is not None else self.last + self.interval
        frame.pts, frame.time_base = round(self.last), Fraction(1, TICKS)
        self._mux(frame)

    def close(self) -> None:
        self._mux(None)
        self.container.close()

    def _mux(self, frame: Any) -> None:
        for packet in self.stream.encode(frame):
            self.container.mux(packet)


def has_h264() -> bool:
    """Whether PyAV is installed, with an encoder of H.264."""
    if find_spec("av") is None:
        return False
    import av

    return "libx264" in av.codecs_available


def plays(path: Path) -> bool:
    """Whether a video file holds a frame that can be decoded."""
    with quiet_opencv():
        return cv2.VideoCapture(str(path)).read()[0]
