"""Images and their masks, paired by the stem of their file names."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from measure.io import STILLS, Layout, MaskValues, read_mask, read_rgb

__all__ = ["Pair", "find_pairs"]


@dataclass(frozen=True)
class Pair:
    """An image and its mask.

    Attributes:
        stem: what their file names have in common.
        image: path of the image.
        mask: path of the mask.
        mask_values: the values in the mask that mean polyp; None: its own levels tell.
    """

    stem: str
    image: Path
    mask: Path
    mask_values: MaskValues | None = None

    def read_image(self) -> np.ndarray:
        """Read the image, (H, W, 3) uint8 RGB.

        Raises:
            InputError: the file cannot be read.
        """
        return read_rgb(self.image)

    def read_mask(self) -> np.ndarray:
        """Read the mask of polyp alone, (H, W) uint8, polyp above 128.

        Raises:
            InputError: the file cannot be read, or nobody can tell what its values mean.
        """
        return read_mask(self.mask, self.mask_values)


def find_pairs(folder: str | Path, layout: Layout = STILLS) -> list[Pair]:
    """Pair `<folder>/images` and `<folder>/masks`, or what `layout` calls them, by stem, in natural order.

    Raises:
        InputError: a folder is missing or empty, or images lack masks or the reverse (the first five, and the counts).
    """
    return [Pair(*pair, layout.mask_values) for pair in layout.pair(folder).pairs]
