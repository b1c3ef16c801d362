"""Images that show at a glance what a network sees: image, mask, map and overlay side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np

from .overlays import draw_mask_and_map

__all__ = ["draw_montage"]

GAP = 6  # pixels between the panels
LINE = 26  # pixels of a line of text
TITLES = ("image", "mask", "map", "green: mask, yellow: map")


def draw_montage(
    samples: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]], *, height: int = 176, captions: Sequence[str] = ()
) -> np.ndarray:
    """Lay out (image, mask, map) samples one a row, with an overlay as the fourth column.

    Args:
        samples: images (H, W, 3) RGB, masks and maps (H, W) or in colors (H, W, 3), all uint8; sizes may differ
            between samples.
        height: pixels of a row; every panel is scaled to it and to the widest sample's proportions.
        captions: a line above each row, such as a name and a score; none: there are no such lines.

    Returns:
        One (H, W, 3) uint8 RGB image.
    """
    width = max(round(height * image.shape[1] / image.shape[0]) for image, _, _ in samples)
    rows = [_row(image, mask, prediction, (width, height)) for image, mask, prediction in samples]
    gap = np.full((GAP, rows[0].shape[1], 3), 255, np.uint8)
    if captions:
        lines = [_line({4: text}, rows[0].shape[1]) for text in captions]
        rows = [np.concatenate(pair) for pair in zip(lines, rows, strict=True)]
    stacked = [part for row in rows for part in (row, gap)][:-1]
    titles = {column * (width + GAP) + 4: title for column, title in enumerate(TITLES)}
    return np.concatenate([_line(titles, rows[0].shape[1]), *stacked])


def _row(image: np.ndarray, mask: np.ndarray, prediction: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    planes = [np.broadcast_to(np.atleast_3d(plane), (*plane.shape[:2], 3)) for plane in (mask, prediction)]
    panels = [image, *planes, draw_mask_and_map(image, mask, prediction)]
    panels = [cv2.resize(panel, size, interpolation=cv2.INTER_AREA) for panel in panels]
    gap = np.full((size[1], GAP, 3), 255, np.uint8)
    return np.concatenate([part for panel in panels for part in (panel, gap)][:-1], axis=1)


def _line(texts: Mapping[int, str], width: int) -> np.ndarray:
    """Write texts, by the pixel column that each begins at, on a white line."""
    line = np.full((LINE, width, 3), 255, np.uint8)
    for left, text in texts.items():
        cv2.putText(line, text, (left, LINE - 9), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (40, 40, 40), 1, cv2.LINE_AA)
    return line
