"""Training pairs decoded and shrunk once, then kept: `--cache memory`, `--cache disk`.

What is kept of a pair is at most `MARGIN` times as high and as wide as the network's input. Augmentations are drawn and
put together for the files' own size all the same, so samples show what they show without a cache. But they are
resampled twice: windows keep to whole pixels of what is kept, and the finest detail is a little weaker. An entry counts
as long as both files keep their times and sizes; a changed file is decoded again.

Kept images are as confidential as the files they were made of: only their owner can read them.
"""

from __future__ import annotations

import hashlib
import os
import sys
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from measure.io import Classes, InputError, make_folder, replace_when_whole

from .augmentation import AffineView, render_pair
from .image_dataset import DecodedPair, decode_pair
from .pairs import Pair

__all__ = ["CACHES", "DiskCache", "MemoryCache", "open_cache"]

CACHES = ("off", "memory", "disk")
MARGIN = 1.25  # a crop of a fifth of the pixels then still fills the input without being enlarged
FORMAT = 2  # of the files; another number leaves older ones aside
CHECKSUM = np.dtype("<u4")  # CRC-32 of all that stands before it in a file

Stamp = tuple[int, int, int, int]


@dataclass(frozen=True)
class CachedPair:
    """A pair as it was when its files had this stamp.

    Attributes:
        stamp: of both files, see `stamp_of`.
        decoded: the pair, shrunk.
    """

    stamp: Stamp
    decoded: DecodedPair


class MemoryCache:
    """Pairs in memory, read before training starts, so that forked worker processes share them.

    Workers that are spawned instead (Windows, macOS) get a copy each; every process of a distributed run has its own.
    """

    def __init__(self, pairs: Sequence[Pair], *, size: int, classes: Classes | None = None):
        self.size = size
        self.classes = classes
        self.entries: dict[Pair, CachedPair] = {}
        for pair in tqdm(pairs, desc="filling the cache", unit="pair", disable=None, leave=False):
            self(pair)

    def __call__(self, pair: Pair) -> DecodedPair:
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
        self.folder = private_folder(folder)
        self.size = size
        self.classes = classes
        self.writes = True

    def __call__(self, pair: Pair) -> DecodedPair:
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
        content = (FORMAT, pair.image.absolute(), pair.mask.absolute(), pair.mask_values, self.size, self.classes)
        return self.folder / f"{hashlib.blake2b(repr(content).encode(), digest_size=16).hexdigest()}.npy"

    def _keep(self, path: Path, entry: CachedPair) -> None:
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
    """Return the cache of this kind, and fill it where it is one in memory.

    Args:
        kind: one of `CACHES`.
        folder: of a cache on disk.
        pairs: what is to be kept.
        size: height and width of the network's input, pixels.
        classes: what the values of masks stand for; None: masks are grey.

    Raises:
        InputError: a file cannot be read, or the folder cannot be written to.
    """
    if kind == "off":
        return None
    if kind == "memory":
        return MemoryCache(pairs, size=size, classes=classes)
    return DiskCache(folder, size=size, classes=classes)


def private_folder(folder: str | Path) -> Path:
    """Create `folder` for its owner alone where it is missing, and return it.

    Raises:
        InputError: its name is empty, or it cannot be created or written to.
    """
    if not str(folder).strip():
        raise InputError("the cache's folder has no name; give one with --cache_path")
    folder = Path(folder)
    is_new = not folder.exists()
    folder = make_folder(folder)
    if is_new:
        folder.chmod(0o700)
    return folder


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


def make_entry(pair: Pair, size: int, classes: Classes | None) -> CachedPair:
    """Decode and shrink a pair; a file that changes meanwhile keeps its old stamp and is found out the next time."""
    stamp = stamp_of(pair)
    decoded = decode_pair(pair, classes)
    height, width = (min(side, round(MARGIN * size)) for side in decoded.size)
    view = AffineView.whole(decoded.size).resized((height, width))
    image, mask = render_pair(decoded.image, decoded.mask, view)
    return CachedPair(stamp, DecodedPair(image, mask, decoded.size))


def write_entry(path: Path, entry: CachedPair) -> None:
    """Write an entry as an array of one record, whole or not at all, for its owner's eyes alone.

    Raises:
        InputError: the system refuses it.
    """
    image, mask = entry.decoded.image, entry.decoded.mask
    fields = [("stamp", "<i8", 4), ("size", "<i8", 2), ("image", "u1", image.shape), ("mask", "u1", mask.shape)]
    content = np.zeros(1, [*fields, ("checksum", CHECKSUM)])
    content["stamp"], content["size"] = entry.stamp, entry.decoded.size
    content["image"], content["mask"] = image, mask
    content["checksum"] = checksum(content)
    with replace_when_whole(path) as partial, open(partial, "wb", opener=open_private) as file:
        np.save(file, content)


def open_private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def read_entry(path: Path) -> CachedPair | None:
    """Read an entry; None where there is none or it is damaged."""
    try:
        content = np.load(path, mmap_mode="c")  # changes of what is returned stay in this process
        if content["checksum"][0] != checksum(content):
            return None
        image, mask = (np.asarray(content[name][0]) for name in ("image", "mask"))
        return CachedPair(
            tuple(content["stamp"][0].tolist()), DecodedPair(image, mask, tuple(content["size"][0].tolist()))
        )
    except (OSError, EOFError, ValueError, IndexError, TypeError):
        return None


def checksum(content: np.ndarray) -> int:
    """CRC-32 of a record without its checksum."""
    return zlib.crc32(content.view(np.uint8)[: -CHECKSUM.itemsize])
