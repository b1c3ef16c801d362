"""Draw image, mask, map and overlay of some samples side by side, one sample a row.

python -m utils montage --data data/TestDataset/Kvasir --maps result/Kvasir --out kvasir.png
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from measure.io import (
    STILLS,
    CommandParser,
    InputError,
    Layout,
    add_layout_flags,
    images_by_stem,
    make_folder,
    number,
    path,
    read_layout,
    read_rgb,
    refuse_outputs_in_inputs,
    replace_when_whole,
)

from ..runtime import run
from ..visualization import draw_montage

__all__ = ["main", "write_montage"]

SUFFIXES = (".png", ".jpg", ".jpeg")


def main(argv: Sequence[str] | None = None) -> int:
    """Write the picture that the flags ask for; returns the exit status."""
    return run(lambda: draw(parse_args(argv)))


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = CommandParser(prog="python -m utils montage", description=__doc__)
    parser.add_argument("--data", required=True, type=path, help="folder with images/ and masks/")
    parser.add_argument("--maps", required=True, type=path, help="folder with the prediction maps")
    parser.add_argument("--out", required=True, type=path, help="the picture to write, .png or .jpg")
    parser.add_argument(
        "--count",
        type=number(int, low=1, high=500),
        default=8,
        metavar="N",
        help="samples to show, evenly spread over the folder",
    )
    add_layout_flags(parser.add_argument_group("layout of --data"))
    return parser.parse_args(argv)


def draw(args: argparse.Namespace) -> None:
    write_montage(data=args.data, maps=args.maps, out=args.out, count=args.count, layout=read_layout(args))


def write_montage(*, data: Path, maps: Path, out: Path, count: int, layout: Layout = STILLS) -> None:
    """Write the montage of `count` samples, evenly spread over those of `data` that have a map.

    Raises:
        InputError: a folder or file is missing or unreadable, no image has a map, or `out` is no place for a picture.
    """
    if out.suffix.lower() not in SUFFIXES:
        raise InputError(f"--out {out} names no kind of picture; expected a name that ends in {' or '.join(SUFFIXES)}")
    refuse_outputs_in_inputs([out], [data / layout.images, data / layout.masks, maps])
    images, masks, predictions = layout.list_images(data), layout.list_masks(data), images_by_stem(maps)
    shared = [stem for stem in images if stem in masks and stem in predictions]
    if not shared:
        raise InputError(f"no image of {data} has a map in {maps}; names must agree up to the suffix")
    chosen = [shared[i] for i in np.linspace(0, len(shared) - 1, min(count, len(shared))).astype(int)]
    picture = draw_montage([(read_rgb(images[s]), read_rgb(masks[s]), read_rgb(predictions[s])) for s in chosen])
    make_folder(out.parent)
    with replace_when_whole(out) as partial:
        cv2.imwrite(str(partial), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    print(f"picture: {out.resolve()}")
