"""The contact sheet: the worst, median and best images of a method, with mask, map and errors side by side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path

import cv2
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from ...io import FOREGROUND_ABOVE, FRAMES, InputError, examine_masks, images_by_stem, read_grey, read_rgb
from ...metrics import HALF_LEVEL
from ...options import Options
from ...protocols import MapPair, find_datasets
from ..colors import FALSE_NEGATIVE, FALSE_POSITIVE, INK, MUTED, TRUE_POSITIVE
from ..html_page import ReportImage
from ..representatives import Chosen, dice_key, lowest, worst_median_best
from ..tables import Result
from .plot_style import file_stem, free_path, label, save_figure

__all__ = ["Sources", "contact_sheet", "draw_contact_sheets", "error_overlay", "row_pictures"]

LONGEST_SIDE = 320
"""Pixels a picture keeps on the sheet: sharp at the size printed, small in the page."""

ROW_PICTURES, ROW_HEIGHT, ROW_QUALITY = 60, 140, 80
"""How many images of a method, the lowest first, have a picture behind their row; its height in pixels, its quality."""

PANEL, GAP, NAME = 1.25, 0.04, 0.3
MARGIN, HEADING, FOOTING = 0.2, 0.82, 0.36
"""Inches: a picture with the gap after it, the line for a name; the sheet's margin, head and foot."""


class Sources:
    """Where the pictures of one method lie.

    Args:
        options: of the scoring run.
        gt_root: the masks that were scored.
        pred_root: the maps that were scored; they are paired with the masks again, as the protocol does.
        image_root: where the images are; None looks beside the masks (`images/` beside `masks/`, `Frame/` beside
            `GT/`).
    """

    def __init__(self, options: Options, gt_root: Path, pred_root: Path, image_root: Path | None = None) -> None:
        datasets = find_datasets(gt_root, pred_root, replace(options, partial=True))
        self._options = options
        self._pairs = {(pair.dataset, pair.stem): pair for dataset in datasets for pair in dataset.pairs}
        self._image_root = image_root
        self._listings: dict[Path, dict[str, Path]] = {}

    def pair(self, chosen: Chosen) -> MapPair | None:
        """Paths of the mask and the map of an image; None where either is gone since scoring."""
        return self._pairs.get((chosen.dataset, chosen.stem))

    def mask(self, pair: MapPair) -> np.ndarray:
        """The mask that was scored, (H, W) uint8."""
        return examine_masks(pair.mask, self._options.classes, [pair.label], self._options.layout.mask_values)[0].levels

    def image(self, pair: MapPair) -> Path | None:
        """Path of the image of a pair, or None where none is found."""
        if self._image_root is None:
            return pair.image
        case, _, stem = pair.stem.rpartition("/")
        found = (self._listing(folder / case).get(stem) for folder in self._image_folders(pair, self._image_root))
        return next((path for path in found if path), None)

    def _image_folders(self, pair: MapPair, root: Path) -> list[Path]:
        """Folders that may hold the images (video: the cases), the likeliest first."""
        inner = FRAMES if self._options.protocol == "vps" else self._options.layout.images
        dataset = root / pair.dataset.removeprefix(f"{pair.label}/")
        return [dataset / inner, dataset, root / inner, root]

    def _listing(self, folder: Path) -> dict[str, Path]:
        """Images of a folder by stem; every folder is listed once, a missing one is empty."""
        if folder not in self._listings:
            try:
                self._listings[folder] = images_by_stem(folder, allow_empty=True)
            except InputError:
                self._listings[folder] = {}
        return self._listings[folder]


def draw_contact_sheets(results: Sequence[Result], sources: Sequence[Sources], out: Path) -> list[ReportImage]:
    """Write one sheet per method into `out`, PNG and PDF; a method without any picture left has none."""
    pictures: list[ReportImage] = []
    for result, source in zip(results, sources, strict=True):
        figure = contact_sheet(result, source)
        if figure is not None:
            stem = out / file_stem("contact_sheet", result["method"])
            path = save_figure(figure, free_path(stem, [picture.path for picture in pictures]))
            pictures.append(ReportImage(result["method"], "" if pictures else _TEXT, path, photograph=True))
    return pictures


_TEXT = "Names carry the image's score. Errors: grey is right, yellow was marked without a polyp, blue was missed."


def contact_sheet(result: Result, sources: Sources, *, count: int = 4) -> Figure | None:
    """Up to `count` worst, median and best images in three blocks; None where no image is found.

    Each picture stands as image (where found), mask, map and error overlay, and carries its name and Dice.
    """
    groups = {
        title: [shown for chosen in images if (shown := _panels(chosen, sources))]
        for title, images in worst_median_best(result, count=count).items()
    }
    groups = {title: rows for title, rows in groups.items() if rows}
    if not groups:
        return None
    heights = [max(map(_row_height, level)) for level in _levels(groups.values())]
    block = PANEL * max(len(pictures) for rows in groups.values() for _, pictures in rows)
    size = (MARGIN + len(groups) * (block + MARGIN), HEADING + sum(heights) + MARGIN + FOOTING)
    figure, axes = _blank(size)
    _write(axes, MARGIN, 0.3, _heading(result, groups), size=13, color=MUTED)
    for place, (title, rows) in enumerate(groups.items()):
        left = MARGIN + place * (block + MARGIN)
        _write(axes, left, 0.7, f"{title.capitalize()} by {dice_key(result)}", size=14, color=INK)
        for row, top in zip(rows, HEADING + np.cumsum([0, *heights[:-1]]), strict=False):
            _draw_row(axes, row, left=left, top=top)
    _legend(figure)
    return figure


def row_pictures(result: Result, sources: Sources, *, count: int = ROW_PICTURES) -> dict[tuple[str, str], bytes]:
    """JPEGs of the images with the lowest Dice, by data set and stem: image, mask, map and errors in a row."""
    found = {}
    for chosen in lowest(result, count):
        if shown := _panels(chosen, sources):
            panels = [picture if picture.ndim == 3 else np.dstack([picture] * 3) for _, picture in shown[1]]
            shape = ROW_HEIGHT, round(ROW_HEIGHT * panels[0].shape[1] / panels[0].shape[0])
            strip = np.hstack(
                [np.pad(_resized(panel, shape), ((0, 0), (0, 4), (0, 0)), constant_values=255) for panel in panels]
            )
            encoded = cv2.imencode(".jpg", strip[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, ROW_QUALITY])[1]
            found[chosen.dataset, chosen.stem] = encoded.tobytes()
    return found


def error_overlay(mask: np.ndarray, prediction: np.ndarray, image: np.ndarray | None = None) -> np.ndarray:
    """Right and wrong pixels over a dimmed grey copy of the image.

    Args:
        mask: (H, W) uint8; polyp is above 128.
        prediction: (H, W) uint8; polyp is from 128 on.
        image: (H, W, 3) uint8 RGB, or None for a plain dark ground.

    Returns:
        (H, W, 3) uint8: hits lightened, false positives and false negatives in their colors.
    """
    truth, found = mask > FOREGROUND_ABOVE, prediction >= HALF_LEVEL
    grey = np.full(mask.shape, 70.0) if image is None else 30 + 0.55 * cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    overlay = np.repeat(grey[..., None], 3, axis=2)
    for where, color, strength in (
        (truth & found, TRUE_POSITIVE, 0.45),
        (~truth & found, FALSE_POSITIVE, 0.8),
        (truth & ~found, FALSE_NEGATIVE, 0.8),
    ):
        overlay[where] = (1 - strength) * overlay[where] + strength * 255 * np.array(to_rgb(color))
    return overlay.round().astype(np.uint8)


Pictures = list[tuple[str, np.ndarray]]
Shown = tuple[Chosen, Pictures]


def _panels(chosen: Chosen, sources: Sources) -> Shown | None:
    """The named pictures of one image at the mask's shape, or None where mask or map is gone since scoring."""
    pair = sources.pair(chosen)
    if pair is None:
        return None
    mask = _reduced(sources.mask(pair))
    prediction = _resized(read_grey(pair.prediction), mask.shape)
    image = _photograph(sources.image(pair), mask.shape)
    pictures = [("mask", mask), ("map", prediction), ("errors", error_overlay(mask, prediction, image))]
    return chosen, [("image", image), *pictures] if image is not None else pictures


def _photograph(path: Path | None, shape: Sequence[int]) -> np.ndarray | None:
    """The image at a shape (H, W); a missing or damaged one is no reason to lose the sheet."""
    try:
        return _resized(read_rgb(path), shape) if path else None
    except InputError:
        return None


def _heading(result: Result, groups: Mapping[str, Sequence[Shown]]) -> str:
    """The method, and what the pictures of a row are."""
    names = max(([name for name, _ in pictures] for rows in groups.values() for _, pictures in rows), key=len)
    return f"{label(result['method'])}, from left to right: {', '.join(names)} at threshold 0.5"


def _reduced(picture: np.ndarray) -> np.ndarray:
    scale = min(1.0, LONGEST_SIDE / max(picture.shape[:2]))
    height, width = (max(1, round(side * scale)) for side in picture.shape[:2])
    return _resized(picture, (height, width))


def _resized(picture: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    return cv2.resize(picture, (shape[1], shape[0]), interpolation=cv2.INTER_AREA)


def _levels(groups: Iterable[Sequence[Shown]]) -> list[list[Shown]]:
    """The rows that stand side by side, block by block."""
    return [[row for row in level if row] for level in zip_longest(*groups)]


def _row_height(row: Shown) -> float:
    """Inches of a row: its name and its tallest picture."""
    return NAME + max(PANEL * picture.shape[0] / picture.shape[1] for _, picture in row[1]) + GAP


def _blank(size: tuple[float, float]) -> tuple[Figure, Axes]:
    """A figure whose one pair of axes counts inches from the top left: pictures are placed without any layout."""
    figure = Figure(figsize=size)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, size[0]), ylim=(size[1], 0))
    axes.set_axis_off()
    return figure, axes


def _draw_row(axes: Axes, row: Shown, *, left: float, top: float) -> None:
    """One image: its score and name, and under them its pictures side by side."""
    chosen, pictures = row
    name = f"{chosen.dice:.3f}   {label(chosen.dataset)} / {label(_shortened(chosen.stem))}"
    _write(axes, left, top + NAME - 0.07, name, size=12, color=MUTED)
    top += NAME
    for place, (_, picture) in enumerate(pictures):
        right, bottom = PANEL - GAP, (PANEL - GAP) * picture.shape[0] / picture.shape[1]
        extent = (left + place * PANEL, left + place * PANEL + right, top + bottom, top)
        axes.imshow(picture, cmap="gray", vmin=0, vmax=255, extent=extent, aspect="auto")


def _write(axes: Axes, left: float, base: float, text: str, *, size: float, color: str) -> None:
    axes.text(left, base, text, fontsize=size, color=color, va="baseline", ha="left")


def _shortened(name: str, longest: int = 28) -> str:
    """A name that fits over its row: the middle gives way."""
    half = (longest - 1) // 2
    return name if len(name) <= longest else f"{name[:half]}…{name[-half:]}"


def _legend(figure: Figure) -> None:
    colors = {
        "hit (true positive)": "#c8c8c8",
        "false positive: marked, but no polyp": FALSE_POSITIVE,
        "false negative: polyp, but missed": FALSE_NEGATIVE,
    }
    handles = [Patch(color=color, label=text) for text, color in colors.items()]
    figure.legend(
        handles=handles,
        loc="lower center",
        ncols=3,
        frameon=False,
        fontsize=12,
        labelcolor=INK,
        handlelength=1,
    )
