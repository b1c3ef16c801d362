"""Images and their masks, paired by the stem of their file names."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from measure.io import STILLS, Layout

__all__ = ["Pair", "find_pairs"]


@dataclass(frozen=True)
class Pair:
    """An image and its mask.

    Attributes:
        stem: what their file names have in common.
        image: path of the image.
        mask: path of the mask.
    """

    stem: str
    image: Path
    mask: Path


def find_pairs(folder: str | Path, layout: Layout = STILLS) -> list[Pair]:
    """Pair `<folder>/images` and `<folder>/masks`, or what `layout` calls them, by stem, in natural order.

    Raises:
        InputError: a folder is missing or empty, or images lack masks or the reverse (the first five, and the counts).
    """
    return [Pair(*pair) for pair in layout.pair(folder).pairs]
