"""One look at every data file before a long run starts: whether it is whole, its size in pixels, its hash."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from PIL import Image
from tqdm import tqdm

from measure.io import Classes, InputError, damage

from ..runtime import SINGLE_PROCESS, World
from .fingerprint import FileRecord, Fingerprint, content_hash, names_under_root
from .pairs import Pair

__all__ = ["FileFacts", "inspect", "look_at"]

READERS = 4  # threads: reading, checksums and hashing all run beside Python


@dataclass(frozen=True)
class FileFacts:
    """What one reading of an image file tells.

    Attributes:
        width: in pixels, as the file states it.
        height: in pixels, as the file states it.
        size: bytes.
        hash: BLAKE2b of the bytes, hexadecimal.
    """

    width: int
    height: int
    size: int
    hash: str


def inspect(
    parts: Mapping[str, Sequence[Pair]], *, classes: Classes | None = None, world: World = SINGLE_PROCESS
) -> Fingerprint:
    """Read every file of the parts once, so that a long run does not end at a bad one, and return what they are.

    Only masks of classes are decoded. The first process of a run reads, and tells the others what it found.

    Args:
        parts: pairs by the name of their part, such as "training". Where a part's folder lies does not matter to the
            result, nor when its files were written.
        classes: what the values of masks stand for; None: masks are grey.
        world: the processes of the run; all of them must call.

    Raises:
        InputError: a file is unreadable or cut off, an image and its mask differ in size, or a mask has values that
            are none of `classes` (the first is named). Every process raises it.
    """
    found: Fingerprint | InputError | None = None
    if world.is_first:
        try:
            found = _inspect_here(parts, classes)
        except InputError as error:
            found = error
    found = world.all_gather(found)[0]
    if isinstance(found, InputError):
        raise found
    return found


def _inspect_here(parts: Mapping[str, Sequence[Pair]], classes: Classes | None) -> Fingerprint:
    pairs = list(dict.fromkeys(pair for part in parts.values() for pair in part))
    facts: dict[Path, FileFacts] = {}
    for pair, image, mask in _look_at_pairs(pairs):
        if (image.width, image.height) != (mask.width, mask.height):
            raise InputError(
                f"{pair.mask} is {mask.width} x {mask.height} but its image {pair.image.name} is "
                f"{image.width} x {image.height} (width x height); export the pair again at one size"
            )
        if classes:
            classes.read_planes(pair.mask)
        facts |= {pair.image: image, pair.mask: mask}
    return Fingerprint(
        tuple(
            sorted(
                FileRecord(part, name, facts[path].size, facts[path].hash)
                for part, pairs in parts.items()
                for path, name in names_under_root([path for pair in pairs for path in (pair.image, pair.mask)])
            )
        )
    )


def _look_at_pairs(pairs: Sequence[Pair]) -> Iterator[tuple[Pair, FileFacts, FileFacts]]:
    """Yield the pairs in order with what their files are; threads read ahead."""
    with ThreadPoolExecutor(READERS) as pool:
        images = pool.map(look_at, [path for pair in pairs for path in (pair.image, pair.mask)])
        for pair in tqdm(pairs, desc="checking pairs", unit="pair", disable=None, leave=False):
            yield pair, next(images), next(images)


def look_at(path: Path) -> FileFacts:
    """Read a whole image file, once, without decoding it.

    Raises:
        InputError: it cannot be read, is cut off or is no image.
    """
    try:
        content = path.read_bytes()
        fault = damage(content)
        if fault is None:
            with Image.open(BytesIO(content)) as image:
                return FileFacts(*image.size, len(content), content_hash(content))
    except OSError as error:
        fault = error.strerror or "it is damaged or no image"
    raise InputError(f"cannot read {path}: {fault}; write the file again or take the pair out")
