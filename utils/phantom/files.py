"""What stills and clips share on their way to disk: seeds that never meet, checked options, whole files."""

from __future__ import annotations

import zlib
from pathlib import Path

import cv2
import numpy as np

from measure.io import InputError, counted, drop_partials, make_folder, write_bytes

__all__ = ["check_count", "check_size", "claim_folder", "member_seed", "write_pair"]

JPEG_QUALITY = 92
SMALLEST_SIDE = 64  # pixels; below it the details of the scene are smaller than a pixel


def member_seed(*, seed: int, set_name: str, index: int) -> int:
    """The 64-bit seed of member `index` of the set called `set_name`: sets of other names never share one."""
    sequence = np.random.SeedSequence(seed, spawn_key=(zlib.crc32(set_name.encode()), index))
    return int(sequence.generate_state(1, np.uint64)[0])


def check_count(name: str, value: int, *, least: int) -> None:
    """Raise an InputError where `value` is below `least`."""
    if value < least:
        raise InputError(f"{name} is {value}; give {least} or more")


def check_size(size: tuple[int, int]) -> None:
    """Raise an InputError where a side of (height, width) is too small for a scene."""
    if min(size) < SMALLEST_SIDE:
        raise InputError(f"the size is {size[0]} x {size[1]} pixels; give at least {SMALLEST_SIDE} for either side")


def claim_folder(folder: Path, names: list[str]) -> None:
    """Create `folder` for the files called `names`; files of those names, and hidden ones, may be there.

    Raises:
        InputError: it holds other files, which would become part of the set, or it cannot be written to.
    """
    strangers = sorted(path.name for path in folder.glob("[!.]*") if path.name not in set(names))
    if strangers:
        raise InputError(
            f"{folder} already holds {counted(len(strangers), 'other file')}, first {strangers[0]}; choose another "
            "folder, or move them elsewhere"
        )
    drop_partials(make_folder(folder))


def write_pair(image_path: Path, mask_path: Path, image: np.ndarray, mask: np.ndarray) -> None:
    """Write an RGB image (H,W,3) as JPEG and its mask (H,W) as PNG, each as a whole file."""
    quality = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    write_bytes(cv2.imencode(".png", mask)[1].tobytes(), mask_path)
    write_bytes(cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), quality)[1].tobytes(), image_path)
