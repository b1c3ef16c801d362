"""`python -m utils montage`: image, mask, map and overlay in one picture."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from measure.io import STILLS, InputError, images_by_stem, make_folder, read_rgb, replace_when_whole

from ..runtime import run
from ..visualization import draw_montage

__all__ = ["write_montage"]


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m utils montage", description=__doc__)
    parser.add_argument("--data", required=True, type=Path, help="folder with images/ and masks/")
    parser.add_argument("--maps", required=True, type=Path, help="folder with the prediction maps")
    parser.add_argument("--out", required=True, type=Path, help="the picture to write (.png or .jpg)")
    parser.add_argument("--count", type=int, default=8, help="samples to show, evenly spread over the folder")
    return parser.parse_args(argv)


def write_montage(*, data: Path, maps: Path, out: Path, count: int) -> None:
    """Write the montage of `count` samples, evenly spread over those of `data` that have a map.

    Raises:
        InputError: a folder or file is missing or unreadable, or no image has a map.
    """
    images, masks, predictions = (
        images_by_stem(folder) for folder in (data / STILLS.images, data / STILLS.masks, maps)
    )
    shared = [stem for stem in images if stem in masks and stem in predictions]
    if not shared:
        raise InputError(f"no image of {data} has a map in {maps}; names must agree up to the suffix")
    chosen = [shared[i] for i in np.linspace(0, len(shared) - 1, min(count, len(shared))).astype(int)]
    picture = draw_montage([(read_rgb(images[s]), read_rgb(masks[s]), read_rgb(predictions[s])) for s in chosen])
    make_folder(out.parent)
    with replace_when_whole(out) as partial:
        cv2.imwrite(str(partial), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    print(f"picture: {out.resolve()}")


def main(argv: Sequence[str] | None = None) -> int:
    args = parse_args(argv)
    return run(lambda: write_montage(**vars(args)))
