"""Training pairs decoded and shrunk once, then kept: `--cache memory`, `--cache disk`.

What is kept of a pair is at most `MARGIN` times as high and as wide as the network's input. Augmentations are drawn and
put together for the files' own size all the same, so samples show what they show without a cache. But they are
resampled twice: windows keep to whole pixels of what is kept, and the finest detail is a little weaker. An entry counts
as long as both files keep their times and sizes; a changed file is decoded anew.

Kept pictures are as confidential as the files they were made of.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from measure.io import Classes, InputError, make_folder, replace_when_whole

from .augmentation.affine_view import View
from .augmentation.transforms import show
from .image_dataset import Decoded, decode
from .pairs import Pair

__all__ = ["CACHES", "DiskCache", "MemoryCache", "open_cache"]

CACHES = ("off", "memory", "disk")
MARGIN = 1.25  # a crop of a fifth of the pixels then still fills the input without being enlarged
FORMAT = 1  # of the files; another number leaves older ones aside
HEAD = 10 * 8  # bytes before the pixels of a file, see `write_entry`

Stamp = tuple[int, int, int, int]


@dataclass(frozen=True)
class Entry:
    """A pair as it was when its files had this stamp."""

    stamp: Stamp
    decoded: Decoded


class MemoryCache:
    """Pairs in memory, read before training starts, so that forked worker processes share them.

    Workers that are spawned instead (Windows, macOS) get a copy each; every process of a distributed run has its own.
    """

    def __init__(self, pairs: Sequence[Pair], *, size: int, classes: Classes | None = None):
        self.size = size
        self.classes = classes
        self.entries: dict[Pair, Entry] = {}
        for pair in tqdm(pairs, desc="filling the cache", unit="pair", disable=None, leave=False):
            self(pair)

    def __call__(self, pair: Pair) -> Decoded:
        """Return a pair, decoded again only where a file has changed.

        Raises:
            InputError: a file cannot be read.
        """
        entry = self.entries.get(pair)
        if entry is None or entry.stamp != stamp_of(pair):
            entry = self.entries[pair] = make_entry(pair, self.size, self.classes)
        return entry.decoded


class DiskCache:
    """Pairs in a folder, a file each, written when first read; the system's file cache shares them among workers.

    Files are named by a hash of what they hold, so that several runs may use one folder, at the same time too.
    """

    def __init__(self, folder: str | Path, *, size: int, classes: Classes | None = None):
        self.folder = make_folder(folder)
        self.size = size
        self.classes = classes
        self.writes = True

    def __call__(self, pair: Pair) -> Decoded:
        """Return a pair, decoded again only where a file has changed or what was kept is damaged.

        Raises:
            InputError: a file cannot be read.
        """
        path = self.path(pair)
        entry = read_entry(path)
        if entry is None or entry.stamp != stamp_of(pair):
            entry = make_entry(pair, self.size, self.classes)
            self._keep(path, entry)
        return entry.decoded

    def path(self, pair: Pair) -> Path:
        """Where a pair is kept."""
        content = (FORMAT, pair.image.absolute(), pair.mask.absolute(), self.size, self.classes)
        return self.folder / f"{hashlib.blake2b(repr(content).encode(), digest_size=16).hexdigest()}.pair"

    def _keep(self, path: Path, entry: Entry) -> None:
        """Write an entry; where that cannot be, say so once and do without."""
        if not self.writes:
            return
        try:
            write_entry(path, entry)
        except InputError as error:
            self.writes = False
            print(f"note: {error}; training goes on and decodes what is not in the cache", file=sys.stderr)


def open_cache(
    kind: str, folder: str | Path, pairs: Sequence[Pair], *, size: int, classes: Classes | None = None
) -> MemoryCache | DiskCache | None:
    """Return the cache of this kind, one of `CACHES`, and fill it where it is one in memory.

    `size` is the height and width of the network's input.

    Raises:
        InputError: a file cannot be read, or the folder cannot be written to.
    """
    if kind == "off":
        return None
    if kind == "memory":
        return MemoryCache(pairs, size=size, classes=classes)
    return DiskCache(folder, size=size, classes=classes)


def stamp_of(pair: Pair) -> Stamp:
    """Time of the last change (nanoseconds) and size (bytes) of image and mask.

    Raises:
        InputError: a file is not there.
    """
    try:
        image, mask = pair.image.stat(), pair.mask.stat()
    except OSError as error:
        raise InputError(f"cannot read {error.filename} ({error.strerror})") from error
    return image.st_mtime_ns, image.st_size, mask.st_mtime_ns, mask.st_size


def make_entry(pair: Pair, size: int, classes: Classes | None) -> Entry:
    """Decode and shrink a pair; a file that changes meanwhile keeps its old stamp and is found out the next time."""
    stamp = stamp_of(pair)
    decoded = decode(pair, classes)
    height, width = (min(side, round(MARGIN * size)) for side in decoded.size)
    view = View.whole(decoded.size).resized((height, width))
    image, mask = show(decoded.image, decoded.mask, view)
    return Entry(stamp, Decoded(image, mask, decoded.size))


def write_entry(path: Path, entry: Entry) -> None:
    """Write an entry whole or not at all: ten numbers (int64), the image's bytes, the mask's.

    The numbers: stamp, own height and width, height and width of what is kept, dimensions and planes of the mask.

    Raises:
        InputError: the system refuses it.
    """
    kept, mask = entry.decoded, entry.decoded.mask
    planes = mask.shape[2] if mask.ndim > 2 else 1
    with replace_when_whole(path) as partial, partial.open("wb") as file:
        for array in (np.array([*entry.stamp, *kept.size, *mask.shape[:2], mask.ndim, planes]), kept.image, mask):
            array.tofile(file)


def read_entry(path: Path) -> Entry | None:
    """Read an entry; None where there is none or it is damaged."""
    try:
        content = np.asarray(np.memmap(path, np.uint8, "c"))  # read when used; changes stay in this process
        *stamp, own_height, own_width, height, width, dimensions, planes = content[:HEAD].view(np.int64).tolist()
        image, mask = np.split(content[HEAD:], [height * width * 3])
        image, mask = image.reshape(height, width, 3), mask.reshape((height, width, planes)[:dimensions])
    except (OSError, ValueError):
        return None
    return Entry(tuple(stamp), Decoded(image, mask, (own_height, own_width)))
