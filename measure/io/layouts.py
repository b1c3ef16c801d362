"""Where data sets keep their files: the one place that names the folders.

stills   <set>/images/<stem>.*             <set>/masks/<stem>.*          (`Layout` renames both)
clips    <split>/Frame/<case>/<frame>.*    <split>/GT/<case>/<frame>.*   (SUN-SEG's names)

A root holds sets, or splits one or two levels below it (`TestEasyDataset/Seen`), or is a single one itself. Only
folders are found here; `pairing` lists and pairs the files in them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .pairing import images_by_stem, natural_key, subfolders

__all__ = [
    "FRAMES",
    "FRAME_MASKS",
    "STILLS",
    "TRAINING_SPLIT",
    "Layout",
    "set_folders",
    "split_folders",
    "has_clips",
    "images_beside",
    "set_name",
]

FRAMES = "Frame"
"""Folder of a split that holds its cases' frames."""

FRAME_MASKS = "GT"
"""Folder of a split that holds its cases' masks."""

TRAINING_SPLIT = "TrainDataset"
"""SUN-SEG's split to train on; below a root of splits it is passed over by prediction and scoring."""


@dataclass(frozen=True)
class Layout:
    """Names in a set of stills.

    Attributes:
        images: folder of the images, below the set's.
        masks: folder of the masks, below the set's.
    """

    images: str = "images"
    masks: str = "masks"


STILLS = Layout()
"""The usual names."""


def set_name(folder: str | Path, layout: Layout = STILLS) -> str:
    """Name of a single data set: its folder's, or that of the folder above where it is `images/` or `masks/`."""
    folder = Path(folder).resolve()
    return folder.parent.name if folder.name in (layout.images, layout.masks) else folder.name


def set_folders(root: str | Path, inner: str, *, layout: Layout = STILLS, bare: bool = False) -> dict[str, Path]:
    """Find the sets of stills under `root`: name -> the folder that holds their images or masks, in natural order.

    The first form that is there counts: `<root>/<inner>/`, then `<root>/<set>/<inner>/`, then files in `<root>` itself.

    Args:
        inner: `layout.images` or `layout.masks`, whichever is looked for.
        bare: also take `<root>/<set>/` that holds files itself.

    Returns:
        Empty where `root` has none of these forms.

    Raises:
        InputError: `root` is missing, is no folder or cannot be listed.
    """
    root = Path(root)
    if (root / inner).is_dir():
        return {set_name(root, layout): root / inner}
    folders = [root / name for name in subfolders(root)]
    inside = {folder.name: folder / inner for folder in folders if (folder / inner).is_dir()}
    direct = {} if inside else images_by_stem(root, allow_empty=True)
    if direct:
        return {set_name(root, layout): root}
    if bare:
        others = [folder for folder in folders if folder.name not in inside]
        inside |= {folder.name: folder for folder in others if images_by_stem(folder, allow_empty=True)}
    return {name: inside[name] for name in sorted(inside, key=natural_key)}


def images_beside(masks: Path, layout: Layout = STILLS) -> Path | None:
    """The folder of images (frames) that belongs to a folder of masks by its name; None where the name tells none."""
    partners = {layout.masks: layout.images, FRAME_MASKS: FRAMES}
    return masks.parent / partners[masks.name] if masks.name in partners else None


def has_clips(folder: str | Path) -> bool:
    """Tell a split of clips from a set of stills."""
    return (Path(folder) / FRAMES).is_dir()


def split_folders(root: str | Path, inner: str) -> dict[str, Path]:
    """Find the splits of clips at, or one or two levels below, `root`: name -> the folder that holds their cases.

    `TrainDataset` is passed over unless it is `root` itself.

    Args:
        inner: `FRAMES` or `FRAME_MASKS`, whichever is looked for.

    Returns:
        In natural order; empty where `root` has no split.

    Raises:
        InputError: `root` is missing, is no folder or cannot be listed.
    """
    root = Path(root)
    top = subfolders(root)
    if inner in top:
        return {root.resolve().name: root / inner}
    names = [*top, *(f"{outer}/{name}" for outer in top for name in subfolders(root / outer))]
    found = [name for name in names if name != TRAINING_SPLIT and (root / name / inner).is_dir()]
    return {name: root / name / inner for name in sorted(found, key=natural_key)}
