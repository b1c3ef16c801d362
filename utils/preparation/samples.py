"""A sample of a data set on its way from a download into the layout: where it comes from, what it is called."""

from __future__ import annotations

import filecmp
import re
import shutil
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from measure.io import (
    FRAME_MASKS,
    FRAMES,
    IMAGE_SUFFIXES,
    STILLS,
    InputError,
    counted,
    drop_partials,
    first_names,
    make_folder,
    read_grey,
    read_rgb,
    replace_when_whole,
    write_bytes,
)

__all__ = [
    "Drawing",
    "Sample",
    "clip_targets",
    "is_copied",
    "place",
    "place_clips",
    "refuse_strangers",
    "safe_name",
    "write_file",
]

REWRITTEN = (".tif", ".tiff")  # written as PNG: ClinicDB's color TIFFs, say, are none that Pillow opens
NOT_IN_NAMES = re.compile(r"[^\w.()-]+")  # blanks and whatever shells and other systems trip over

Drawing = Callable[[], np.ndarray]  # draws a mask, (H, W) uint8, 0 and 255


@dataclass(frozen=True)
class Sample:
    """An image or frame and its mask.

    Attributes:
        folder: of its set or split below --to, as `TestDataset/CVC-300`.
        stem: what it is called there.
        image: the file of the image.
        mask: the file of the mask, or what draws it where the download has other annotations.
        clip: the clip it is a frame of; None for a still.
    """

    folder: str
    stem: str
    image: Path
    mask: Path | Drawing
    clip: str | None = None

    def targets(self) -> tuple[Path, Path]:
        """Where image and mask go, below --to."""
        folder = Path(self.folder)
        mask_suffix = _suffix(self.mask) if isinstance(self.mask, Path) else ".png"
        names = f"{self.stem}{_suffix(self.image)}", f"{self.stem}{mask_suffix}"
        if self.clip is None:
            return folder / STILLS.images / names[0], folder / STILLS.masks / names[1]
        return folder / FRAMES / self.clip / names[0], folder / FRAME_MASKS / self.clip / names[1]


def _suffix(path: Path) -> str:
    suffix = path.suffix.lower()
    return ".png" if suffix in REWRITTEN else suffix


def safe_name(name: str) -> str:
    """A stem or folder without blanks and other characters that trip tools up."""
    return NOT_IN_NAMES.sub("_", name.strip()).lstrip(".") or "_"


def write_file(source: Path | Drawing, target: Path, *, link: bool, is_mask: bool, replace: bool) -> None:
    """Copy, link, rewrite or draw a file, unless it is there in this way with the same content.

    Args:
        replace: whether a file of other content may be replaced, as one that an earlier run has laid out.

    Raises:
        InputError: it cannot be read or made, or another one is there and not to be replaced.
    """
    if isinstance(source, Path) and is_copied(source):
        same = target.is_file() and filecmp.cmp(source, target, shallow=False)
        if same and target.is_symlink() == link:
            return
        if target.is_file() and not (same or replace):
            raise another_file(target)
        target.unlink(missing_ok=True)  # one that was cut off, of another download, or a link where copies are wanted
        place(source, target, copy=not link)
        return
    if isinstance(source, Path):
        pixels = read_tiff(source, is_mask=is_mask)
    else:
        pixels = source()
    content = cv2.imencode(target.suffix, pixels)[1].tobytes()
    if target.is_file() and target.read_bytes() == content:
        return
    if target.is_file() and not replace:
        raise another_file(target)
    write_bytes(content, target)


def another_file(target: Path) -> InputError:
    return InputError(
        f"{target} is there and is another file than would be laid out, and no manifest of an earlier run lists it; "
        "move it elsewhere, or choose another --to"
    )


def read_tiff(path: Path, *, is_mask: bool) -> np.ndarray:
    """The pixels of a TIFF, (H, W) of a mask or (H, W, 3) BGR, uint8.

    OpenCV reads ClinicDB's, three channels that are marked as grey (BlackIsZero); the checked readers, which look at
    the header through Pillow, do not.

    Raises:
        InputError: neither reads it.
    """
    try:
        return read_grey(path) if is_mask else read_rgb(path)[..., ::-1]
    except InputError:
        kind = cv2.IMREAD_GRAYSCALE if is_mask else cv2.IMREAD_COLOR
        pixels = cv2.imread(str(path), kind | cv2.IMREAD_IGNORE_ORIENTATION)
        if pixels is None:
            raise
        return pixels


def is_copied(source: Path | Drawing) -> bool:
    """Whether a file is taken over as it is, and neither rewritten nor drawn."""
    return isinstance(source, Path) and source.suffix.lower() not in REWRITTEN


def refuse_strangers(own: Collection[Path], folders: Iterable[Path], *, root: Path, flag: str) -> None:
    """Refuse folders that hold images beside those of a set: everything that reads the set would take them in.

    Args:
        own: the files of the set.
        folders: looked through at any depth; they need not be there.
        root: all of them lie below it.
        flag: what chooses the root.

    Raises:
        InputError: there are others.
    """
    found = sorted(path for folder in folders for path in folder.rglob("[!.]*") if is_image(path))
    strangers = [path.relative_to(root).as_posix() for path in found if path not in own]
    if strangers:
        told = counted(len(strangers), "image that is", "images that are")
        raise InputError(
            f"{root} holds {told} no part of the set, of an earlier run or your own, first {first_names(strangers)}; "
            f"move them elsewhere, or choose another {flag}"
        )


def is_image(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES and path.is_file()


def clip_targets(split: Path, clip: str, stem: str, *, frame: Path, mask: Path) -> dict[Path, Path]:
    """Where a frame and its mask belong in a folder of clips, and the file that each is made of."""
    sources = ((FRAMES, frame), (FRAME_MASKS, mask))
    return {split / kind / clip / f"{stem}{source.suffix.lower()}": source for kind, source in sources}


def place_clips(targets: Mapping[Path, Path], *, root: Path, copy: bool) -> None:
    """Link or copy the frames and masks of clips.

    Args:
        targets: of all clips, see `clip_targets`.
        root: all of them lie below it.
        copy: files in place of links.

    Raises:
        InputError: other images are there, or a file cannot be made.
    """
    folders = {target.parent for target in targets}
    refuse_strangers(targets, {folder.parent for folder in folders}, root=root, flag="--out")
    for folder in folders:
        drop_partials(make_folder(folder))
    for target, source in tqdm(targets.items(), desc="frames and masks", unit="file", disable=None):
        place(source, target, copy=copy)


def place(source: Path, target: Path, *, copy: bool) -> None:
    """Link or copy a file, unless it is there.

    Raises:
        InputError: it cannot be made; on Windows, links need the developer mode.
    """
    if target.exists():
        return
    if copy:
        refuse_unreadable(source)
    with replace_when_whole(target) as new:
        if copy:
            shutil.copyfile(source, new)
        else:
            new.symlink_to(source.resolve())


def refuse_unreadable(source: Path) -> None:
    """Refuse a file that cannot be read, which a copy would tell as one that cannot be written.

    Raises:
        InputError: it cannot be opened.
    """
    try:
        source.open("rb").close()
    except OSError as error:
        raise InputError(f"cannot read {source} ({error.strerror}); change its rights, or leave it out") from error
