"""What stills and clips share on their way to disk: seeds that never meet, checked options, whole files."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np

from measure.io import InputError, counted, drop_partials, make_folder, write_bytes

__all__ = ["check_count", "check_folder", "check_size", "claim_folder", "member_seed", "write_pair"]

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


def check_folder(folder: Path, names: Iterable[str]) -> None:
    """Refuse a folder that files of those names cannot go to, before anything is created.

    Files of those names, and hidden ones, may be there.

    Raises:
        InputError: it holds other files, which would become part of the set, or cannot be created or written to.
    """
    standing = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    if not standing.is_dir() or not os.access(standing, os.W_OK):
        fault = "cannot be written to" if standing.is_dir() else "is a file"
        raise InputError(f"cannot create the folder {folder}: {standing} {fault}; choose another one")
    found = {path.name for path in folder.glob("[!.]*")}
    if found and (strangers := sorted(found.difference(names))):
        raise InputError(
            f"{folder} already holds {counted(len(strangers), 'other file')}, first {strangers[0]}; choose another "
            "folder, or move them elsewhere"
        )


def claim_folder(folder: Path) -> None:
    """Create a folder, and remove what a killed run has left half-written there.

    Raises:
        InputError: it cannot be created or written to.
    """
    drop_partials(make_folder(folder))


def write_pair(image_path: Path, mask_path: Path, image: np.ndarray, mask: np.ndarray) -> None:
    """Write an RGB image (H,W,3) as JPEG and its mask (H,W) as PNG, each as a whole file."""
    quality = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    write_bytes(cv2.imencode(".png", mask)[1].tobytes(), mask_path)
    write_bytes(cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), quality)[1].tobytes(), image_path)
