"""One look at every data file before a long run starts: whether it is whole, fits its pair, and means what it should.

Every file is read once. `inspect` stops at the first fault, for training; `utils check` collects all of them, by the
same functions.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

from tqdm import tqdm

from measure.io import (
    MERGED,
    Classes,
    ImageHeader,
    InputError,
    MaskFile,
    checked_header,
    examine_masks,
    mask_notes,
    refuse_one_tagged,
    refuse_two_kinds,
)

from ..runtime import SINGLE_PROCESS, World
from .fingerprint import FileRecord, Fingerprint, content_hash, names_under_root
from .pairs import Pair

__all__ = ["DataFault", "ImageFile", "check_pair", "inspect", "open_image", "refuse_mixed_masks"]

READERS = 4  # threads: reading, checksums, hashing and decoding all run beside Python
ALMOST_ALL = 0.999  # of a frame: a mask of more polyp than that is full


class DataFault(InputError):
    """A fault of data files.

    Attributes:
        kind: "unreadable", "size", "orientation", "mask" or "mixed masks".
        files: the files it is about.
    """

    def __init__(self, message: str, *, kind: str = "", files: Sequence[Path] = ()):
        super().__init__(message)
        self.kind = kind
        self.files = tuple(files)


@dataclass(frozen=True, eq=False)
class ImageFile:
    """An image file as it was read.

    Attributes:
        path: where it lies.
        content: its bytes.
        header: what they state.
    """

    path: Path
    content: bytes
    header: ImageHeader

    @cached_property
    def hash(self) -> str:
        """BLAKE2b of the bytes, hexadecimal."""
        return content_hash(self.content)


@dataclass(frozen=True)
class FileFacts:
    """What is kept of a file: `size` in bytes and `hash`."""

    size: int
    hash: str


@dataclass(frozen=True)
class PairFacts:
    """What is kept of a pair.

    Attributes:
        image: of the image's file.
        mask: of the mask's file.
        polyp: the fraction of the frame that is polyp, of whatever class.
        zero_one: whether the mask holds 0 and 1.
    """

    image: FileFacts
    mask: FileFacts
    polyp: float
    zero_one: bool


def inspect(
    parts: Mapping[str, Sequence[Pair]], *, classes: Classes | None = None, world: World = SINGLE_PROCESS
) -> Fingerprint:
    """Read every file of the parts once, so that a long run does not end at a bad one, and return what they are.

    What is doubtful about a part's masks is told on stderr. The first process of a run reads, and tells the others
    what it found.

    Args:
        parts: pairs by the name of their part, such as "training". Where a part's folder lies does not matter to the
            result, nor when its files were written.
        classes: what the values of masks stand for; None: masks show polyp alone.
        world: the processes of the run; all of them must call.

    Raises:
        DataFault: a file is unreadable or cut off, an image and its mask differ in size or orientation, or nobody can
            tell what a mask's values mean (the first is named). Every process raises it.
    """
    found: Fingerprint | DataFault | None = None
    if world.is_first:
        try:
            found = _inspect_here(parts, classes)
        except DataFault as fault:
            found = fault
    found = world.all_gather(found)[0]
    if isinstance(found, DataFault):
        raise found
    return found


def _inspect_here(parts: Mapping[str, Sequence[Pair]], classes: Classes | None) -> Fingerprint:
    pairs = list(dict.fromkeys(pair for part in parts.values() for pair in part))
    facts = dict(zip(pairs, _look_at_pairs(pairs, classes), strict=True))
    records = []
    for part, members in parts.items():
        for note in _notes_on(part, members, facts):
            print(f"note: {part}: {note}", file=sys.stderr)
        files = {pair.image: facts[pair].image for pair in members} | {pair.mask: facts[pair].mask for pair in members}
        named = names_under_root([path for pair in members for path in (pair.image, pair.mask)])
        records += [FileRecord(part, name, files[path].size, files[path].hash) for path, name in named]
    return Fingerprint(tuple(sorted(records)))


def _look_at_pairs(pairs: Sequence[Pair], classes: Classes | None) -> Iterator[PairFacts]:
    """Yield what the pairs are, in order; threads read ahead."""
    with ThreadPoolExecutor(READERS) as pool:
        facts = pool.map(partial(_look_at_pair, classes=classes), pairs)
        yield from tqdm(facts, desc="checking pairs", total=len(pairs), unit="pair", disable=None, leave=False)


def _look_at_pair(pair: Pair, classes: Classes | None) -> PairFacts:
    image, mask = open_image(pair.image), open_image(pair.mask)
    found = check_pair(pair, image, mask, classes)
    kept = (FileFacts(len(file.content), file.hash) for file in (image, mask))
    return PairFacts(*kept, polyp=found.polyp, zero_one=found.zero_one)


def _notes_on(part: str, pairs: Sequence[Pair], facts: Mapping[Pair, PairFacts]) -> list[str]:
    """What is doubtful about a part's masks, after a look that they are of one kind."""
    refuse_mixed_masks(part, pairs, [facts[pair] for pair in pairs])
    return mask_notes(
        masks=len(pairs),
        zero_one=sum(facts[pair].zero_one for pair in pairs),
        empty=sum(facts[pair].polyp == 0 for pair in pairs),
        full=sum(facts[pair].polyp > ALMOST_ALL for pair in pairs),
        large=sum(facts[pair].polyp > 0.5 for pair in pairs),
    )


def open_image(path: Path) -> ImageFile:
    """Read a whole image file, once, without decoding it.

    Raises:
        DataFault: it cannot be read, is cut off, too large or no image.
    """
    try:
        content = path.read_bytes()
        return ImageFile(path, content, checked_header(path, content))
    except OSError as error:
        message = f"cannot read {path} ({error.strerror})"
    except InputError as error:
        message = str(error)
    advice = "; write the file again or take the pair out" if message.startswith("cannot read") else ""
    raise DataFault(f"{message}{advice}", kind="unreadable", files=[path])


def check_pair(pair: Pair, image: ImageFile, mask: ImageFile, classes: Classes | None) -> MaskFile:
    """Return the mask of a pair whose files fit together; of classes, all of them merged.

    Raises:
        DataFault: they differ in size, or in how viewers would turn them, or the mask's values cannot be told.
    """
    size, mask_size = ((file.header.width, file.header.height) for file in (image, mask))
    if size != mask_size:
        raise DataFault(
            f"{pair.mask} is {mask_size[0]} x {mask_size[1]} but its image {pair.image.name} is {size[0]} x {size[1]} "
            "(width x height); export the pair again at one size",
            kind="size",
            files=[pair.image, pair.mask],
        )
    try:
        refuse_one_tagged(pair.image, image.header.orientation, pair.mask, mask.header.orientation)
    except InputError as error:
        raise DataFault(str(error), kind="orientation", files=[pair.image, pair.mask]) from error
    try:
        return examine_masks(pair.mask, classes, [MERGED], pair.mask_values, data=mask.content)[0]
    except InputError as error:
        raise DataFault(str(error), kind="mask", files=[pair.mask]) from error


def refuse_mixed_masks(part: str, pairs: Sequence[Pair], facts: Sequence[PairFacts]) -> None:
    """Refuse a part in which some masks hold 0 and 1 and others levels up to 255.

    Raises:
        DataFault: there are both.
    """
    zero_one = [pair for pair, found in zip(pairs, facts, strict=True) if found.zero_one]
    others = [pair for pair, found in zip(pairs, facts, strict=True) if not found.zero_one and found.polyp]
    try:
        refuse_two_kinds(part, [pair.stem for pair in zero_one], [pair.stem for pair in others])
    except InputError as error:
        files = [pair.mask for pair in min(zero_one, others, key=len)]
        raise DataFault(str(error), kind="mixed masks", files=files) from error
