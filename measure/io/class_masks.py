"""Masks that tell several classes apart by color or by index: what stands for what, and one plane per class.

Written NAME=R,G,B for color masks (BKAI-IGH NeoPolyp: neoplastic=255,0,0 non-neoplastic=0,255,0), or NAME=INDEX for
grey and palette masks. Black, or 0, is background. Colors go to the nearest class or the background, since JPEG smears
them; indices must be exact.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .errors import InputError
from .headers import orientation_of
from .images import JPEG_NOISE, STRAY, read_rgb
from .masks import MaskFile, MaskValues, examine_mask, read_indices

__all__ = ["LABELS", "MERGED", "Classes", "examine_masks", "parse_classes"]

MERGED = "merged"
"""Stands where a class's name could: polyp of whatever class."""

LABELS = "labels"
"""The folder of label pictures among the folders of maps."""

RESERVED = (MERGED, LABELS, "heatmap")

DISPLAY = ((230, 60, 60), (60, 200, 80), (70, 130, 255), (240, 180, 40), (190, 80, 220), (60, 200, 210))
"""RGB in which classes given by index are shown, again from the first after the last."""


@dataclass(frozen=True)
class Classes:
    """Class names and, in the same order, the value that stands for each in a mask: R, G, B or an index alone."""

    names: tuple[str, ...]
    values: tuple[tuple[int, ...], ...]

    def __len__(self) -> int:
        return len(self.names)

    def __str__(self) -> str:
        """As `parse_classes` reads it, but in one text."""
        return " ".join(map(_written, self.names, self.values))

    @property
    def by_color(self) -> bool:
        """Whether masks are color pictures."""
        return len(self.values[0]) > 1

    def read_planes(self, path: str | Path, data: bytes | None = None) -> np.ndarray:
        """Read a mask as one plane per class, (H, W, K) uint8, 255 where the class is and 0 elsewhere.

        `data` are the file's bytes where they have been read before.

        Raises:
            InputError: the file cannot be read, or has colors or indices that stand for nothing.
        """
        labels = self._nearest(path, data) if self.by_color else self._exact(path, data)
        return np.where(labels[..., None] == np.arange(1, len(self) + 1, dtype=np.uint8), np.uint8(255), np.uint8(0))

    def picture(self, labels: np.ndarray) -> np.ndarray:
        """Turn labels (H, W), 0 for background and 1 to K, into a mask like those read: (H, W, 3) RGB or (H, W)."""
        table = np.array([(0,) * len(self.values[0]), *self.values], np.uint8)
        return table[labels] if self.by_color else table[labels, 0]

    def colors(self, labels: np.ndarray) -> np.ndarray:
        """Turn labels (H, W) into (H, W, 3) uint8 RGB to look at."""
        shown = self.values if self.by_color else [DISPLAY[k % len(DISPLAY)] for k in range(len(self))]
        return np.array([(0, 0, 0), *shown], np.uint8)[labels]

    def _nearest(self, path: str | Path, data: bytes | None) -> np.ndarray:
        """Labels (H, W) uint8 of a color mask, by the least Euclidean distance of RGB levels."""
        image = read_rgb(path, data)
        pixels = image.reshape(-1, 3).T.astype(np.float32)  # (3, H W): what follows is exact in float32
        known = np.array([(0, 0, 0), *self.values], np.float32)
        # |x - c|^2 without |x|^2, which is the same for every c
        distances = (known**2).sum(axis=1)[:, None] - 2 * known @ pixels
        nearest, labels = distances[0], np.zeros(pixels.shape[1], np.uint8)
        for label, distance in enumerate(distances[1:], start=1):
            labels[distance < nearest] = label
            nearest = np.minimum(nearest, distance)
        self._refuse_strange(path, pixels[:, nearest + (pixels**2).sum(axis=0) > self._reach**2], len(labels))
        return labels.reshape(image.shape[:2])

    @property
    def _reach(self) -> float:
        """How far from every known color a pixel of one of them may lie: in the middle of two, and JPEG's noise."""
        known = np.array([(0, 0, 0), *self.values], float)
        return np.linalg.norm(known[:, None] - known, axis=2).max() / 2 + JPEG_NOISE

    def _exact(self, path: str | Path, data: bytes | None) -> np.ndarray:
        """Labels (H, W) uint8 of a mask of indices."""
        indices = read_indices(path, data)
        labels = np.zeros(indices.shape, np.uint8)
        for label, (index,) in enumerate(self.values, start=1):
            labels[indices == index] = label
        strange = indices[(labels == 0) & (indices != 0)]
        if strange.size:
            raise InputError(self._unknown(path, f"index {strange[0]}", strange.size / indices.size))
        return labels

    def _refuse_strange(self, path: str | Path, strange: np.ndarray, pixels: int) -> None:
        """Refuse a mask with too many pixels (3, n) of no known color."""
        if strange.shape[1] > STRAY * pixels:
            colors, counts = np.unique(strange.astype(int), axis=1, return_counts=True)
            color = ",".join(map(str, colors[:, counts.argmax()]))
            raise InputError(self._unknown(path, f"color {color}", strange.shape[1] / pixels))

    def _unknown(self, path: str | Path, value: str, share: float) -> str:
        ground = "black" if self.by_color else "0"
        return (
            f"{path}: {value} is neither {self} nor background ({ground}), in {share:.1%} of the mask; "
            "name it in --classes or correct the mask"
        )


def examine_masks(
    path: str | Path,
    classes: Classes | None,
    labels: Sequence[str],
    values: MaskValues | None = None,
    data: bytes | None = None,
) -> list[MaskFile]:
    """Read a mask once, for every label of `labels`: a class's name, or MERGED for all classes.

    Without classes it is read by `examine_mask`, whatever the label. `data` are the file's bytes where they have been
    read before.

    Raises:
        InputError: as `Classes.read_planes`, or as `examine_mask`.
    """
    if classes is None:
        return [examine_mask(path, values, data)] * len(labels)
    planes, orientation = classes.read_planes(path, data), orientation_of(path, data)
    chosen = [planes.max(axis=2) if k == MERGED else planes[..., classes.names.index(k)] for k in labels]
    return [MaskFile(np.ascontiguousarray(plane), orientation=orientation) for plane in chosen]


def parse_classes(texts: Sequence[str]) -> Classes:
    """Read `NAME=R,G,B` or `NAME=INDEX`, two or more, all of one form.

    Raises:
        InputError: another form, a name twice or one that is no folder's, a value twice or the background's.
    """
    classes = Classes(*zip(*map(_parse_one, texts), strict=True)) if texts else Classes((), ())
    names, values = classes.names, classes.values
    if len(names) < 2:
        raise InputError(
            f"--classes {classes} was given; give two classes or more; polyp alone is --mask_values VALUE, or no flag"
        )
    if len({len(value) for value in values}) > 1:
        raise InputError(f"--classes {classes} was given; give a color for every class, or an index for every class")
    if len(set(names)) < len(names) or len(set(values)) < len(values) or not all(map(any, values)):
        raise InputError(f"--classes {classes} was given; names and values must differ, and none may be 0, background")
    return classes


def _parse_one(text: str) -> tuple[str, tuple[int, ...]]:
    form = re.fullmatch(r"(\w[\w.-]*)=(\d{1,3}(?:,\d{1,3},\d{1,3})?)", text)
    value = tuple(map(int, form[2].split(","))) if form else ()
    if not form or form[1] in RESERVED or max(value) > 255:
        raise InputError(
            f"--classes {text} was given; expected NAME=R,G,B or NAME=INDEX with numbers up to 255, "
            f"and no name of {', '.join(RESERVED)}"
        )
    return form[1], value


def _written(name: str, value: tuple[int, ...]) -> str:
    return f"{name}={','.join(map(str, value))}"
