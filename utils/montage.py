"""Pictures that show at a glance what a network sees: image, mask, map and overlay side by side."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from measure.errors import InputError
from measure.files import make_folder, replace_when_whole
from measure.pairing import images_by_stem, read_rgb

from .cli import run

__all__ = ["MAP_COLOUR", "draw_outline", "montage", "overlay", "write_montage"]

MASK_COLOUR = (0, 200, 0)  # green: where the polyp is
MAP_COLOUR = (255, 210, 0)  # yellow: where the network sees it
GAP = 6  # pixels between the panels
HEADER = 26  # pixels of the line of titles
TITLES = ("image", "mask", "map", "green: mask, yellow: map")


def overlay(image: np.ndarray, mask: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """Draw the outlines of mask and map into an image.

    Args:
        image: (H, W, 3) uint8 RGB.
        mask, prediction: (H, W) uint8, or (H, W, 3) where colours tell classes apart; their brightest is cut at 128.
    """
    drawn = image.copy()
    for plane, colour in ((mask, MASK_COLOUR), (prediction, MAP_COLOUR)):
        draw_outline(drawn, np.atleast_3d(plane).max(axis=2), colour)
    return drawn


def draw_outline(picture: np.ndarray, plane: np.ndarray, colour: tuple[int, int, int]) -> None:
    """Draw the outline of an (H, W) plane, cut at 128, into an (H, W, 3) RGB picture, in place."""
    outlines, _ = cv2.findContours((plane >= 128).astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    thickness = max(1, round(min(picture.shape[:2]) / 150))
    cv2.drawContours(picture, outlines, -1, colour, thickness, cv2.LINE_AA)


def montage(samples: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]], *, height: int = 176) -> np.ndarray:
    """Lay out (image, mask, map) samples one a row, with an overlay as the fourth column.

    Args:
        samples: images (H, W, 3) RGB, masks and maps (H, W) or in colours (H, W, 3), all uint8; sizes may differ
            between samples.
        height: pixels of a row; every panel is scaled to it and to the widest sample's proportions.

    Returns:
        One (H, W, 3) uint8 RGB picture.
    """
    width = max(round(height * image.shape[1] / image.shape[0]) for image, _, _ in samples)
    rows = [_row(image, mask, prediction, (width, height)) for image, mask, prediction in samples]
    gap = np.full((GAP, rows[0].shape[1], 3), 255, np.uint8)
    stacked = [part for row in rows for part in (row, gap)][:-1]
    return np.concatenate([_header(width, rows[0].shape[1]), *stacked])


def _row(image: np.ndarray, mask: np.ndarray, prediction: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    planes = [np.broadcast_to(np.atleast_3d(plane), (*plane.shape[:2], 3)) for plane in (mask, prediction)]
    panels = [image, *planes, overlay(image, mask, prediction)]
    panels = [cv2.resize(panel, size, interpolation=cv2.INTER_AREA) for panel in panels]
    gap = np.full((size[1], GAP, 3), 255, np.uint8)
    return np.concatenate([part for panel in panels for part in (panel, gap)][:-1], axis=1)


def _header(panel_width: int, width: int) -> np.ndarray:
    header = np.full((HEADER, width, 3), 255, np.uint8)
    for column, title in enumerate(TITLES):
        origin = (column * (panel_width + GAP) + 4, HEADER - 9)
        cv2.putText(header, title, origin, cv2.FONT_HERSHEY_SIMPLEX, 0.45, (40, 40, 40), 1, cv2.LINE_AA)
    return header


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m utils.montage", description=__doc__)
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
    images, masks, predictions = (images_by_stem(folder) for folder in (data / "images", data / "masks", maps))
    shared = [stem for stem in images if stem in masks and stem in predictions]
    if not shared:
        raise InputError(f"no image of {data} has a map in {maps}; names must agree up to the suffix")
    chosen = [shared[i] for i in np.linspace(0, len(shared) - 1, min(count, len(shared))).astype(int)]
    picture = montage([(read_rgb(images[s]), read_rgb(masks[s]), read_rgb(predictions[s])) for s in chosen])
    make_folder(out.parent)
    with replace_when_whole(out) as partial:
        cv2.imwrite(str(partial), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    print(f"picture: {out.resolve()}")


def main(argv: Sequence[str] | None = None) -> int:
    args = parse_args(argv)
    return run(lambda: write_montage(**vars(args)))


if __name__ == "__main__":
    sys.exit(main())
