"""What is written of images: maps, masks and overlays a file each, all outlines in one file, all numbers in one."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
from torch import Tensor
from tqdm import tqdm

from measure.io import (
    InputError,
    counted,
    first_names,
    make_folder,
    natural_key,
    orientation_of,
    read_rgb,
    write_json,
    write_text,
)

from ...visualization import draw_prediction
from ..postprocess import as_grey, write_map
from .contours import ImageRegions, coco, geojson
from .heatmaps import HEAT_FOLDER, shares_inside, write_overlays
from .regions import Region, cut, find_regions

__all__ = ["ImageFiles", "Places"]

CONTOUR_FORMS = {".json": coco, ".geojson": geojson}
COLUMNS = ("image", "height", "width", "threshold", "polyp_share", "regions", "boxes", "greatest", "mean_inside")
DIGITS = 6  # of shares and probabilities in the table
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


class ImageAnswer(Protocol):
    """What a network made of one image.

    Attributes:
        maps: (H, W) uint8 by the folder that each belongs in.
        probability: (H, W) float32.
        spread: (H, W) float32, the standard deviation of the probability, or None.
        heats: see `heats_of`.
    """

    maps: Mapping[str, np.ndarray]
    probability: Tensor
    spread: Tensor | None
    heats: Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Places:
    """Where what is asked for goes; None: it is not asked for.

    Attributes:
        maps: folder of the maps.
        masks: folder of the masks, 0 and 255.
        overlay: folder of the images with the outlines of what was found.
        uncertainty: folder of the maps of disagreement, 255 x twice the standard deviation of the probability.
        heatmap: folder that HEAT_FOLDER is made in.
        contours: file of outlines and boxes, COCO's `.json` or `.geojson`.
        table: file of numbers, a line an image, CSV.
    """

    maps: Path | None = None
    masks: Path | None = None
    overlay: Path | None = None
    uncertainty: Path | None = None
    heatmap: Path | None = None
    contours: Path | None = None
    table: Path | None = None

    @property
    def folders(self) -> dict[str, Path]:
        """The folders by kind; those of heat maps are below their own."""
        named = {"maps": self.maps, "masks": self.masks, "overlay": self.overlay, "uncertainty": self.uncertainty}
        named["heatmap"] = self.heatmap / HEAT_FOLDER if self.heatmap else None
        return {kind: folder for kind, folder in named.items() if folder}

    @property
    def single_files(self) -> list[Path]:
        """The files that tell of all images."""
        return [path for path in (self.contours, self.table) if path]

    def check_single_files(self) -> None:
        """Refuse what cannot be a file, before hours of work are lost.

        Raises:
            InputError: a folder has the name, or the folder above cannot be made or written to.
        """
        for path in self.single_files:
            if path.is_dir():
                raise InputError(f"{path} is a folder, and a file of this name is to be written; choose another name")
            make_folder(path.parent)

    @property
    def need_regions(self) -> bool:
        """Whether anything asked for is made of the mask."""
        return any((self.masks, self.overlay, self.contours, self.table))

    @property
    def record_folders(self) -> list[Path]:
        """Where the record of what was done belongs: in all folders of results, or beside lone files."""
        folders = [folder for kind, folder in self.folders.items() if kind != "heatmap"]
        return folders or [self.single_files[0].parent]


@dataclass
class ImageFiles:
    """Writes the files of images as they come, from several threads; `finish` writes those that tell of all.

    Attributes:
        places: see `Places`.
        threshold: probability from which a pixel is polyp.
        min_region: see `cut`.
        tint: color overlays by the probability.
        lines: of the table, by image.
        outlined: what the file of outlines holds, by image.
        skipped: images that could not be read, with the reason.
        inside: how much of each kind of heat lies inside the mask, by image (`shares_inside`).
        turned: images that viewers turn, whose outlines and boxes are of the pixels as stored.
    """

    places: Places
    threshold: float = 0.5
    min_region: float = 0.0
    tint: bool = False
    lines: dict[str, list[str]] = field(default_factory=dict)
    outlined: dict[str, ImageRegions] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    inside: dict[str, dict[str, float]] = field(default_factory=dict)
    turned: list[str] = field(default_factory=list)

    def write(self, name: str, image: Path, found: ImageAnswer) -> None:
        """Write all that is asked for of one image.

        Args:
            name: relative to the root of the results, without suffix.
            image: its file.
            found: what the network made of it.

        Raises:
            InputError: a file cannot be written.
        """
        if self.places.maps:
            for kind, picture in found.maps.items():
                self._write_picture(self.places.maps / kind, name, picture)
        if self.places.uncertainty and found.spread is not None:
            self._write_picture(self.places.uncertainty, name, as_grey((2 * found.spread).clamp(max=1)))
        if self.places.heatmap and found.heats:
            place = self.places.heatmap / HEAT_FOLDER / name
            make_folder(place.parent)
            write_overlays(place, image, found.heats)
            self.inside[name] = shares_inside(image, found.heats)
        if self.places.need_regions:
            self._write_regions(name, image, found.probability.cpu())

    def skip(self, image: Path, reason: str, *, unwritten: str | None = None) -> None:
        """Note that an image could not be read, and go on without it.

        Args:
            image: its file.
            reason: why it could not be read.
            unwritten: its name as of `write`, where nothing is written of it: what is there is an earlier run's.
        """
        self.skipped[str(image)] = reason
        places = [folder / f"{unwritten}.png" for folder in self.places.folders.values()] if unwritten else []
        old = next((place for place in places if place.exists()), None)
        left = f"; {old} is of an earlier run" if old else ""
        tqdm.write(f"note: skipped: {reason}{left}", file=sys.stderr)

    def _write_regions(self, name: str, image: Path, found: Tensor) -> None:
        grey, probability = as_grey(found), found.numpy()
        mask = cut(grey, threshold=self.threshold, min_region=self.min_region)
        if self.places.masks:
            self._write_picture(self.places.masks, name, mask)
        if self.places.overlay:
            self._write_overlay(name, image, mask, grey)
        if not self.places.single_files:
            return
        regions = find_regions(mask, probability)
        file_name = name + image.suffix
        if orientation_of(image) != 1:
            self.turned.append(file_name)
        self.lines[file_name] = self._line(file_name, regions, probability)
        if self.places.contours:
            self.outlined[file_name] = ImageRegions(file_name, mask.shape, regions)

    def _write_overlay(self, name: str, image: Path, mask: np.ndarray, grey: np.ndarray) -> None:
        try:
            picture = read_rgb(image)
        except InputError as error:  # it was there a moment ago
            self.skip(image, str(error))
            return
        self._write_picture(self.places.overlay, name, draw_prediction(picture, grey, mask, tint=self.tint))

    def _line(self, name: str, regions: Sequence[Region], probability: np.ndarray) -> list[str]:
        """A line of the table; what no region tells is empty."""
        area = sum(region.area for region in regions)
        inside = sum(region.area * region.mean for region in regions) / area if area else None
        boxes = "; ".join(" ".join(map(str, region.box)) for region in regions)
        numbers = (area / probability.size, float(probability.max()), inside)
        share, greatest, mean = ("" if value is None else f"{value:.{DIGITS}f}" for value in numbers)
        shown = f"./{name}" if name.startswith(FORMULA_STARTS) else name  # spreadsheets run cells that begin so
        height, width = map(str, probability.shape)
        return [shown, height, width, f"{self.threshold:g}", share, str(len(regions)), boxes, greatest, mean]

    def finish(self) -> None:
        """Write the table and the file of outlines, images in natural order.

        Raises:
            InputError: a file cannot be written.
        """
        if self.turned:
            held = counted(len(self.turned), "image has", "images have", of=len(self.lines))
            told = f"{held} an Exif orientation ({first_names(sorted(self.turned, key=natural_key))})"
            tqdm.write(
                f"note: {told}: outlines and boxes are of the pixels as stored, where tools that turn the picture do "
                "not show them; turn the pixels and drop the tag before",
                file=sys.stderr,
            )
        if self.places.table:
            text = io.StringIO(newline="")
            writer = csv.writer(text, lineterminator="\n")
            writer.writerow(COLUMNS)
            writer.writerows(self.lines[name] for name in sorted(self.lines, key=natural_key))
            make_folder(self.places.table.parent)
            write_text(text.getvalue(), self.places.table)
        if self.places.contours:
            form = CONTOUR_FORMS[self.places.contours.suffix.lower()]
            make_folder(self.places.contours.parent)
            write_json(
                form([self.outlined[name] for name in sorted(self.outlined, key=natural_key)]), self.places.contours
            )

    def _write_picture(self, folder: Path, name: str, picture: np.ndarray) -> None:
        path = folder / f"{name}.png"
        make_folder(path.parent)
        write_map(path, picture)
