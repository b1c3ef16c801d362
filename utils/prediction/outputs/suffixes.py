"""How files are named by what is in them. No PyTorch is needed."""

from __future__ import annotations

from pathlib import Path

from measure.io import InputError

__all__ = ["CONTOUR_SUFFIXES", "OPENCV_CODECS", "VIDEO_SUFFIXES", "check_video_name"]

CONTOUR_SUFFIXES = (".json", ".geojson")
# what every OpenCV wheel can write, by suffix; H.264 is in none of them. Browsers play .webm
OPENCV_CODECS = {".mp4": "mp4v", ".mkv": "mp4v", ".avi": "MJPG", ".webm": "VP80"}
VIDEO_SUFFIXES = tuple(OPENCV_CODECS)


def check_video_name(path: str | Path) -> None:
    """Refuse to write a video under another kind of name.

    Raises:
        InputError: its suffix is none of `VIDEO_SUFFIXES`.
    """
    if Path(path).suffix.lower() not in VIDEO_SUFFIXES:
        raise InputError(f"{path} is not named like a video that can be written; end it in {', '.join(VIDEO_SUFFIXES)}")
