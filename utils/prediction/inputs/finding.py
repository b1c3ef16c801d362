"""Images wherever they lie: single files, patterns, trees of folders, lists of names. No PyTorch is needed.

    pictures/a.jpg            a file                    a
    "pictures/*.png"          a pattern                 names below its part without wildcards
    study                     a tree                    <folder>/<stem>, as it lies in the tree
    names.txt                 a list, one path a line   relative to the list's own folder

Where a folder of a tree has a folder called as `Layout.images`, only that is looked at there, and its own name is left
out: masks are no images. Hidden files are passed over. Names keep their script; two images never share one.
"""

from __future__ import annotations

import glob
import os
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from measure.io import IMAGE_SUFFIXES, STILLS, InputError, Layout, counted, first_names, natural_key

__all__ = ["FoundImages", "evenly_spread", "find_images", "is_moving", "listed_frames", "names_frames"]

LIST_SUFFIXES = (".txt", ".lst")
CONVERSIONS = {
    ".heic": "a phone's HEIC",
    ".heif": "a phone's HEIF",
    ".dcm": "DICOM",
    ".gif": "GIF, which may be animated",
    ".webp": "WebP, which may be animated",
    ".svg": "a drawing",
    ".pdf": "PDF",
}


@dataclass(frozen=True)
class FoundImages:
    """Images to predict.

    Attributes:
        by_folder: folder of the results, relative, "" for their root -> stem -> image file.
        trees: the folders that were walked; nothing may be written into them.
        passed_over: files that are no images, by their suffix.
    """

    by_folder: dict[str, dict[str, Path]]
    trees: tuple[Path, ...]
    passed_over: dict[str, int]

    def __len__(self) -> int:
        return sum(map(len, self.by_folder.values()))


def evenly_spread(found: Sequence[Any], count: int) -> list[Any]:
    """At most `count` of what was found, from its whole length."""
    step = max(1, len(found) / count)
    return [found[int(number * step)] for number in range(min(count, len(found)))]


def is_moving(words: Sequence[str]) -> bool:
    """Whether --input can only be a video or a camera: one word that is no image, folder, list or pattern.

    A word without a suffix that is neither a file, nor an address, nor a number is a folder that is not there.
    """
    if len(words) != 1:
        return False
    word = words[0]
    if not (Path(word).suffix or Path(word).exists() or word.isdigit() or "://" in word):
        return False
    is_still = Path(word).suffix.lower() in (*IMAGE_SUFFIXES, *LIST_SUFFIXES, *CONVERSIONS)
    return not (is_still or Path(word).is_dir() or _is_pattern(word))


def find_images(words: Sequence[str], layout: Layout = STILLS) -> FoundImages:
    """Find the images that words name.

    Args:
        words: files, folders, patterns and lists, in any mixture.
        layout: its `images` and `mask_suffix` tell masks from images in trees.

    Raises:
        InputError: a word that names nothing, a file that is no image, two images of one name, or none at all.
    """
    entries: list[tuple[str, Path]] = []
    passed_over: Counter[str] = Counter()
    trees = [Path(word) for word in words if Path(word).is_dir()]
    for word in words:
        if Path(word).is_dir():
            entries += _walk(Path(word), "", layout, passed_over)
        else:
            entries += _named(word)
    if not entries:
        told = f"; there are only {_kinds(passed_over)}" if passed_over else ""
        raise InputError(f"no image in {', '.join(words)} ({' '.join(IMAGE_SUFFIXES)} are read){told}")
    return FoundImages(_by_folder(entries), tuple(trees), dict(passed_over))


def names_frames(word: str) -> bool:
    """Whether a word is a list of images or a pattern, whose images may be the frames of a clip."""
    return _is_list(Path(word)) or _is_pattern(word)


def listed_frames(word: str) -> dict[str, Path]:
    """The frames of a clip that a list or a pattern names, by stem: as listed, or in natural order.

    Raises:
        InputError: as `find_images`, or images in several folders, which are several clips.
    """
    clips = find_images([word]).by_folder
    if len(clips) > 1:
        raise InputError(
            f"{word} names images in {len(clips)} folders ({first_names([name or '.' for name in clips])}), and the "
            "frames of a video lie in one; give one folder's"
        )
    return next(iter(clips.values()))


def _named(word: str) -> Iterator[tuple[str, Path]]:
    """The images that a word other than a folder names: (name, path)."""
    path = Path(word)
    if _is_list(path):
        yield from _listed(path)
    elif path.is_file():
        _refuse_other_kinds(path)
        yield path.stem, path
    elif _is_pattern(word):
        yield from _matching(word)
    else:
        beside = f"; {path.parent} is there" if path.parent.is_dir() else f", nor {path.parent}"
        raise InputError(f"there is no {word}{beside}; give images, folders, patterns in quotes or a list (.txt)")


def _matching(pattern: str) -> Iterator[tuple[str, Path]]:
    parts = Path(pattern).parts
    fixed = Path(*parts[: next(place for place, part in enumerate(parts) if _is_pattern(part))])
    found = sorted((Path(name) for name in glob.glob(pattern, recursive=True)), key=lambda path: natural_key(str(path)))
    images = [path for path in found if path.is_file() and path.suffix.lower() in IMAGE_SUFFIXES]
    if not images:
        others = counted(len(found), "file or folder that is no image", "files or folders that are no images")
        raise InputError(f"{pattern} matches {others if found else 'nothing'} ({' '.join(IMAGE_SUFFIXES)} are read)")
    for path in images:
        yield str(path.relative_to(fixed).with_suffix("")), path


def _listed(path: Path) -> Iterator[tuple[str, Path]]:
    """The images of a list; lines are paths, from the list's folder unless absolute; # begins a comment."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read the list {path} ({error}); expected UTF-8 text, one image a line") from error
    names = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    missing = [name for name in names if not (path.parent / name).is_file()]
    if missing:
        told = counted(len(missing), f"image in the list {path} is", f"images in the list {path} are", of=len(names))
        raise InputError(f"{told} not there, first: {first_names(missing)}; lines are paths from {path.parent}")
    for name in names:
        _refuse_other_kinds(path.parent / name)
        inside = Path(os.path.normpath(name))
        is_below = not inside.is_absolute() and ".." not in inside.parts
        yield str(inside.with_suffix("")) if is_below else inside.stem, path.parent / name


def _walk(folder: Path, name: str, layout: Layout, passed_over: Counter[str]) -> list[tuple[str, Path]]:
    """The images of a tree, (name in the tree, path), in natural order; links to folders are not followed."""
    try:
        with os.scandir(folder) as found:
            entries = sorted(
                (e for e in found if not e.name.startswith(".")), key=lambda entry: natural_key(entry.name)
            )
    except OSError as error:
        raise InputError(f"cannot list the folder {folder} ({error.strerror})") from error
    images = folder / layout.images
    if layout.images != "." and images.is_dir():
        return _walk(images, name, layout, passed_over)
    prefix = f"{name}/" if name else ""
    listed = []
    for entry in entries:
        stem, suffix = os.path.splitext(entry.name)
        if entry.is_dir(follow_symlinks=False):
            listed += _walk(folder / entry.name, f"{prefix}{entry.name}", layout, passed_over)
        elif suffix.lower() not in IMAGE_SUFFIXES:
            passed_over[suffix.lower() or "no suffix"] += 1
        elif not (layout.mask_suffix and stem.endswith(layout.mask_suffix)):
            listed.append((f"{prefix}{stem}", folder / entry.name))
    return listed


def _by_folder(entries: Sequence[tuple[str, Path]]) -> dict[str, dict[str, Path]]:
    """Entries by the folder in their names.

    Raises:
        InputError: two files of one name.
    """
    found: dict[str, dict[str, Path]] = {}
    known: dict[str, Path] = {}
    for name, path in entries:
        name = unicodedata.normalize("NFC", name)
        if name in known and known[name].resolve() == path.resolve():
            continue
        if name in known:
            raise InputError(
                f"{known[name]} and {path} would both be written as {name}; give the folder above both, or rename one"
            )
        known[name] = path
        folder, _, stem = name.rpartition("/")
        found.setdefault(folder, {})[stem] = path
    return found


def _refuse_other_kinds(path: Path) -> None:
    suffix = path.suffix.lower()
    if suffix in IMAGE_SUFFIXES:
        return
    kind = CONVERSIONS.get(suffix)
    advice = f"it is {kind}; save it as PNG or JPEG" if kind else "videos are given alone, one at a time"
    raise InputError(f"{path} is no image that is read here ({' '.join(IMAGE_SUFFIXES)}): {advice}")


def _kinds(passed_over: Counter[str]) -> str:
    return ", ".join(f"{count} {suffix}" for suffix, count in passed_over.most_common(5))


def _is_list(path: Path) -> bool:
    return path.is_file() and path.suffix.lower() in LIST_SUFFIXES


def _is_pattern(word: str) -> bool:
    return glob.has_magic(word) and not Path(word).exists()
