"""Finding image files and pairing those of two folders by stem.

A stem is the file name without its last suffix. Stems of two folders are compared in Unicode's composed form,
because macOS stores decomposed names; hidden files (`.DS_Store`, `._1.png`) are passed over, and names that are not
UTF-8 are refused.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from .errors import InputError

__all__ = [
    "IMAGE_SUFFIXES",
    "Pairing",
    "contents",
    "counted",
    "first_names",
    "images_by_stem",
    "natural_key",
    "pair_by_stem",
    "pair_stems",
    "subfolders",
]

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff")
ARRAY_SUFFIXES = (".npy", ".npz", ".mat", ".pt")
NAMES_IN_A_MESSAGE = 5
LONGEST_NAME = 120  # characters of a name that a message shows


@dataclass(frozen=True)
class Pairing:
    """What two folders have in common.

    Attributes:
        pairs: (stem, first path, second path), in the first folder's order.
        missing: stems that only the first folder has.
        extra: stems that only the second folder has.
    """

    pairs: list[tuple[str, Path, Path]]
    missing: list[str]
    extra: list[str]


def natural_key(name: str) -> tuple[list[str | int], str]:
    """Sort key that compares the numbers in a name as numbers: `a9_image0098` comes before `a10_image0099`."""
    parts = re.split(r"(\d+)", name)
    return [int(part) if position % 2 else part for position, part in enumerate(parts)], name


def first_names(names: Sequence[str]) -> str:
    """The first five names, and how many follow, for a message."""
    rest = len(names) - NAMES_IN_A_MESSAGE
    shown = [name if len(name) <= LONGEST_NAME else f"{name[:LONGEST_NAME]}..." for name in names[:NAMES_IN_A_MESSAGE]]
    return ", ".join(shown) + (f" and {rest} more" if rest > 0 else "")


def counted(count: int, one: str, many: str = "", *, of: int | None = None) -> str:
    """`count` and the words that go with it: "1 mask is", "2 masks are", "1 of 20 masks is", "1 of 1 mask is".

    Args:
        count: how many there are.
        one: the noun for one, and a verb behind it where a sentence has one: "image", "mask is".
        many: the same for every other number; empty: `one` and an s.
        of: of how many in all; the noun goes by that number, the verb by `count`.
    """
    nouns, _, verbs = (many or f"{one}s").partition(" ")
    noun, _, verb = one.partition(" ")
    total = count if of is None else of
    words = [f"{count}", *([f"of {of}"] if of is not None else []), noun if total == 1 else nouns]
    return " ".join([*words, verb if count == 1 else verbs]).rstrip()


def subfolders(folder: Path) -> list[str]:
    """Names of the visible folders in `folder`, in natural order.

    Raises:
        InputError: `folder` is missing, is no folder or cannot be listed.
    """
    return sorted((entry.name for entry in _entries(folder) if _is_folder(entry)), key=natural_key)


def images_by_stem(
    folder: str | Path, *, allow_empty: bool = False, ending: str = "", without_ending: str = ""
) -> dict[str, Path]:
    """Map the stem of every image file directly in `folder` to its path, in natural order.

    Args:
        allow_empty: return nothing where there is no image, instead of refusing.
        ending: take only the stems that end so, and take it off them (`1_mask` -> `1`).
        without_ending: pass over the stems that end so.

    Raises:
        InputError: the folder is missing, is no folder or cannot be listed; two of its images share a stem, or one is a
            link to nothing; it holds no image (unless `allow_empty`).
    """
    folder = Path(folder)
    images: dict[str, Path] = {}
    entries = _entries(folder)
    _refuse_dead_links(folder, entries)
    for name in sorted((entry.name for entry in entries if _is_image(entry)), key=natural_key):
        stem = unicodedata.normalize("NFC", os.path.splitext(name)[0])
        if not stem.endswith(ending) or (without_ending and stem.endswith(without_ending)):
            continue
        stem = stem.removesuffix(ending)
        if stem in images:
            raise InputError(f"{folder} holds two images of one stem, {images[stem].name} and {name}; keep one")
        images[stem] = folder / name
    if not images and not allow_empty:
        kind = f"whose name ends in {ending}" if ending else f"({' '.join(IMAGE_SUFFIXES)} are read)"
        raise InputError(f"no image in {folder} {kind}; {contents(folder)}")
    return images


def contents(folder: Path) -> str:
    """What lies in a folder in place of what was looked for, for a message."""
    try:
        entries = _entries(folder)
    except InputError as error:
        return str(error)
    held = []
    for name in sorted((entry.name for entry in entries if _is_folder(entry)), key=natural_key):
        count = sum(map(_is_image, _entries_or_none(folder / name)))
        held.append(f"the folder {name}" + (f" with {counted(count, 'image')}" if count else ""))
    kinds = Counter(os.path.splitext(entry.name)[1].lower() or "no suffix" for entry in entries if _is_file(entry))
    held += [
        f"{counted(count, 'file')} with {suffix}" if suffix[0] != "." else counted(count, f"{suffix} file")
        for suffix, count in kinds.items()
    ]
    told = f"it holds {first_names(held)}" if held else "it is empty"
    arrays = any(suffix in kinds for suffix in ARRAY_SUFFIXES)
    return told + ("; arrays are not read, save them as 8-bit grey PNG (levels 0 to 255)" if arrays else "")


def pair_by_stem(
    first: str | Path,
    second: str | Path,
    *,
    allow_missing: bool = False,
    allow_extra: bool = False,
) -> Pairing:
    """Pair a folder of masks and one of maps, starting from the masks.

    Args:
        first: the masks.
        second: the maps.
        allow_missing: leave out what the second folder lacks instead of refusing.
        allow_extra: leave out what only the second folder has instead of refusing.

    Raises:
        InputError: a folder is missing or unusable, nothing pairs, or stems are missing or extra.
    """
    return pair_stems(
        images_by_stem(first),
        images_by_stem(second, allow_empty=True),
        place=f"masks of {first} and maps of {second}",
        allow_missing=allow_missing,
        allow_extra=allow_extra,
    )


def pair_stems(
    first: Mapping[str, Path],
    second: Mapping[str, Path],
    *,
    place: str,
    second_kind: str = "maps",
    allow_missing: bool = False,
    allow_extra: bool = False,
    allow_none: bool = False,
    advice: str = "names must agree up to the suffix",
) -> Pairing:
    """Pair two mappings from stem to path as `pair_by_stem` does.

    `place` opens the message of a refusal, `advice` ends it. With `allow_none` it is no error that nothing pairs.
    """
    pairs = [(stem, path, second[stem]) for stem, path in first.items() if stem in second]
    missing = [stem for stem in first if stem not in second]
    extra = [stem for stem in second if stem not in first]
    if (not pairs and not allow_none) or (missing and not allow_missing) or (extra and not allow_extra):
        message = f"{place}: {counted(len(pairs), second_kind.removesuffix('s'), of=len(first))} found"
        if missing:
            message += f"; {len(missing)} missing, first missing: {first_names(missing)}"
        if extra:
            message += f"; {len(extra)} extra, first extra: {first_names(extra)}"
        raise InputError(f"{message}; {_ending_advice(missing, extra, second_kind) or advice}")
    return Pairing(pairs, missing, extra)


def _ending_advice(missing: Sequence[str], extra: Sequence[str], second_kind: str) -> str:
    """What to do where the names of one side are those of the other with one and the same ending; "" elsewhere."""
    for shorter, longer, masks in ((missing, extra, second_kind == "masks"), (extra, missing, second_kind == "maps")):
        endings = {name[len(start) :] for start in shorter[:1] for name in longer if name.startswith(start)}
        for ending in sorted(endings, key=len):
            if ending and {f"{name}{ending}" for name in shorter} <= set(longer):
                flag = f"--mask_suffix {ending} takes it off" if masks else "rename the files"
                return f"the names differ by {ending} at their end; {flag}"
    return ""


def _entries_or_none(folder: Path) -> list[os.DirEntry[str]]:
    try:
        return _entries(folder)
    except InputError:
        return []


def _is_image(entry: os.DirEntry[str]) -> bool:
    return entry.name.lower().endswith(IMAGE_SUFFIXES) and _is_file(entry)


def _is_file(entry: os.DirEntry[str]) -> bool:
    with suppress(OSError):  # a link that leads to itself
        return entry.is_file()
    return False


def _is_folder(entry: os.DirEntry[str]) -> bool:
    with suppress(OSError):
        return entry.is_dir()
    return False


def _refuse_dead_links(folder: Path, entries: Sequence[os.DirEntry[str]]) -> None:
    """Refuse images that are links to what is not there: passed over, they would be missing without a word."""
    dead = [e.name for e in entries if e.is_symlink() and not os.path.exists(e.path)]
    dead = sorted((name for name in dead if name.lower().endswith(IMAGE_SUFFIXES)), key=natural_key)
    if dead:
        told = counted(len(dead), "image that is a link", "images that are links")
        raise InputError(f"{folder} holds {told} to nothing: {first_names(dead)}; mend the links, or remove them")


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """Visible entries of a folder in the system's order; names that no report could hold are refused."""
    try:
        with os.scandir(folder) as found:
            entries = [entry for entry in found if not entry.name.startswith(".")]
    except FileNotFoundError as error:
        raise InputError(f"no folder {folder}{_neighbors(folder)}; check the path") from error
    except NotADirectoryError as error:
        raise InputError(f"{folder} is a file, a folder was expected") from error
    except OSError as error:
        raise InputError(f"cannot list the folder {folder} ({error.strerror})") from error
    for entry in entries:
        refuse_other_encodings(folder, entry.name)
    return entries


def refuse_other_encodings(folder: str | Path, name: str) -> None:
    """Refuse a file name whose bytes are not UTF-8, as archives packed elsewhere leave them.

    Raises:
        InputError: the name is in another encoding.
    """
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise InputError(
            f"{folder} holds a name that is not UTF-8, {os.fsencode(name)!r}; rename it, or unpack again "
            "with the archive's encoding"
        ) from error


def _neighbors(folder: Path) -> str:
    """What stands beside a folder that does not exist: most often its name was mistyped."""
    try:
        names = sorted((p.name for p in folder.parent.iterdir() if p.is_dir()), key=natural_key)
    except OSError:
        return ""
    return f"; {folder.parent} holds {first_names(names)}" if names else ""
