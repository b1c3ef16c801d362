"""Images that show at a glance what networks see: image, mask, map and overlay, or several methods, side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np

from .overlays import draw_mask_and_map

__all__ = ["draw_comparison", "draw_montage"]

GAP = 6  # pixels between the panels
LINE = 26  # pixels of a line of text
LEGEND = 110  # pixels of an entry of the legend
TITLES = ("image", "mask", "map", "green: mask, yellow: map")
HIT, FALSE_ALARM, MISS = (0, 158, 115), (213, 94, 0), (86, 180, 233)  # apart for every color vision (Okabe and Ito)
ERROR_ALPHA = 0.6  # opacity of these colors over the image


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
    width = max(1, *(round(height * image.shape[1] / image.shape[0]) for image, _, _ in samples))
    rows = [_row(image, mask, prediction, (width, height)) for image, mask, prediction in samples]
    gap = np.full((GAP, rows[0].shape[1], 3), 255, np.uint8)
    if captions:
        lines = [_line({4: text}, rows[0].shape[1]) for text in captions]
        rows = [np.concatenate(pair) for pair in zip(lines, rows, strict=True)]
    stacked = [part for row in rows for part in (row, gap)][:-1]
    return np.concatenate([_titles(TITLES, width, rows[0].shape[1]), *stacked])


def draw_comparison(
    samples: Sequence[tuple[np.ndarray, np.ndarray, Sequence[np.ndarray]]], names: Sequence[str], *, height: int = 176
) -> np.ndarray:
    """Lay out samples one a row as papers do: image, truth, and what each method got right and wrong.

    Pixels that truth and a method share are green, false alarms orange, misses blue, in the last line's words.

    Args:
        samples: image (H, W, 3) RGB, mask (H, W) and a map (H, W) of each method, all uint8; sizes may differ between
            samples. Masks and maps are cut at 128.
        names: of the methods.
        height: pixels of a row.

    Returns:
        One (H, W, 3) uint8 RGB image.
    """
    width = max(1, *(round(height * image.shape[1] / image.shape[0]) for image, _, _ in samples))
    rows = []
    for image, mask, maps in samples:
        truth = mask >= 128
        panels = [image, _colored(image, truth, truth), *(_colored(image, truth, found >= 128) for found in maps)]
        rows.append(_panels([_widened(panel, width / height) for panel in panels], (width, height)))
    gap = np.full((GAP, rows[0].shape[1], 3), 255, np.uint8)
    header = _titles(("image", "truth", *names), width, rows[0].shape[1])
    return np.concatenate([header, *(part for row in rows for part in (row, gap)), _legend(rows[0].shape[1])])


def _widened(panel: np.ndarray, aspect: float) -> np.ndarray:
    """An (H, W, 3) panel with white beside it, so that its width is `aspect` times its height."""
    missing = max(0, round(panel.shape[0] * aspect) - panel.shape[1])
    return np.pad(panel, ((0, 0), (0, missing), (0, 0)), constant_values=255)


def _colored(image: np.ndarray, truth: np.ndarray, found: np.ndarray) -> np.ndarray:
    """The image with hits, false alarms and misses in their colors; truth and found are (H, W) bool."""
    colors = np.zeros_like(image)
    for color, where in ((HIT, truth & found), (FALSE_ALARM, found & ~truth), (MISS, truth & ~found)):
        colors[where] = color
    blended = (ERROR_ALPHA * colors + (1 - ERROR_ALPHA) * image).round().astype(np.uint8)
    return np.where((truth | found)[..., None], blended, image)


def _legend(width: int) -> np.ndarray:
    """A line that says what the colors mean."""
    kinds = ((HIT, "right"), (FALSE_ALARM, "false alarm"), (MISS, "missed"))
    legend = _line({column * LEGEND + 20: text for column, (_, text) in enumerate(kinds)}, width)
    for column, (color, _) in enumerate(kinds):
        left = column * LEGEND + 4
        cv2.rectangle(legend, (left, 8), (left + 12, 20), color, cv2.FILLED)
    return legend


def _titles(titles: Sequence[str], panel_width: int, width: int) -> np.ndarray:
    """A line with a title above every column; one that is too long ends with its column."""
    line = np.full((LINE, width, 3), 255, np.uint8)
    for column, title in enumerate(titles):
        left = column * (panel_width + GAP)
        line[:, left : left + panel_width] = _line({4: title}, panel_width)
    return line


def _row(image: np.ndarray, mask: np.ndarray, prediction: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    planes = [np.broadcast_to(np.atleast_3d(plane), (*plane.shape[:2], 3)) for plane in (mask, prediction)]
    panels = [image, *planes, draw_mask_and_map(image, mask, prediction)]
    return _panels(panels, size)


def _panels(panels: Sequence[np.ndarray], size: tuple[int, int]) -> np.ndarray:
    """Panels side by side, each resized to (width, height)."""
    resized = [cv2.resize(panel, size, interpolation=cv2.INTER_AREA) for panel in panels]
    gap = np.full((size[1], GAP, 3), 255, np.uint8)
    return np.concatenate([part for panel in resized for part in (panel, gap)][:-1], axis=1)


def _line(texts: Mapping[int, str], width: int) -> np.ndarray:
    """Write texts, by the pixel column that each begins at, on a white line."""
    line = np.full((LINE, width, 3), 255, np.uint8)
    for left, text in texts.items():
        cv2.putText(line, text, (left, LINE - 9), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (40, 40, 40), 1, cv2.LINE_AA)
    return line
