"""Where data sets keep their files: the one place that names the folders.

stills   <set>/images/<stem>.*             <set>/masks/<stem>.*          (`Layout` renames both)
clips    <split>/Frame/<case>/<frame>.*    <split>/GT/<case>/<frame>.*   (SUN-SEG's names)

A root holds sets, or splits one or two levels below it (`TestEasyDataset/Seen`), or is a single one itself. Only
folders are found here; `pairing` lists and pairs the files in them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .command_line import nonempty, number
from .errors import InputError
from .headers import USUAL_LIMIT, limit_megapixels
from .masks import MaskValues, parse_mask_values
from .pairing import Pairing, contents, images_by_stem, natural_key, pair_stems, subfolders

__all__ = [
    "FRAMES",
    "FRAME_MASKS",
    "LARGEST_LIMIT",
    "STILLS",
    "TRAINING_SPLIT",
    "Layout",
    "add_layout_flags",
    "set_folders",
    "split_folders",
    "has_clips",
    "images_beside",
    "read_layout",
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
    """How a set of stills is laid out, and what its masks' values mean.

    Attributes:
        images: folder of the images below the set's, "." for the set's own.
        masks: folder of the masks below the set's, "." for the set's own.
        mask_suffix: what the masks' stems have after their images': "_mask" pairs `1_mask.png` with `1.jpg`.
        mask_values: the values that mean polyp; None: what is above 128, or 1 of masks of 0 and 1.
    """

    images: str = "images"
    masks: str = "masks"
    mask_suffix: str = ""
    mask_values: MaskValues | None = None

    def list_images(self, folder: str | Path) -> dict[str, Path]:
        """Images of a set by stem.

        Raises:
            InputError: as `images_by_stem`.
        """
        aside = self.mask_suffix if Path(self.images) == Path(self.masks) else ""
        return images_by_stem(_existing(Path(folder), self.images), without_ending=aside)

    def list_masks(self, folder: str | Path) -> dict[str, Path]:
        """Masks of a set by their images' stem.

        Raises:
            InputError: as `images_by_stem`.
        """
        return images_by_stem(_existing(Path(folder), self.masks), ending=self.mask_suffix)

    def pair(self, folder: str | Path) -> Pairing:
        """Pair a set's images and masks by stem, in natural order.

        Raises:
            InputError: a folder is missing or empty, or images lack masks or the reverse (the first five, and the
                counts).
        """
        images, masks = self.list_images(folder), self.list_masks(folder)
        place = f"images of {Path(folder) / self.images} and masks of {Path(folder) / self.masks}"
        return pair_stems(images, masks, place=place, second_kind="masks")

    @property
    def names_files(self) -> bool:
        """Whether folders or files have other names than the usual."""
        return (self.images, self.masks, self.mask_suffix) != (STILLS.images, STILLS.masks, STILLS.mask_suffix)

    def record(self) -> dict[str, str]:
        """What differs from the usual, as plain text."""
        return {key: str(value) for key, value in vars(self).items() if value != getattr(STILLS, key)}


STILLS = Layout()
"""The usual names."""

LARGEST_LIMIT = 1e4  # megapixels; beyond that no machine at hand decodes an image


def add_layout_flags(group: Any) -> None:
    """Add the flags of `read_layout` to a parser or to a group of its flags."""
    group.add_argument(
        "--images", type=nonempty, default=STILLS.images, metavar="NAME", help="folder of a set's images"
    )
    group.add_argument("--masks", type=nonempty, default=STILLS.masks, metavar="NAME", help="folder of a set's masks")
    group.add_argument(
        "--mask_suffix",
        type=nonempty,
        metavar="TEXT",
        help="what masks have at the end of their names, as _mask where 1_mask.png belongs to 1.jpg",
    )
    group.add_argument(
        "--mask_values",
        type=nonempty,
        nargs="+",
        metavar="VALUE",
        help="values of the masks that mean polyp, indices (1 2) or colors (255,0,0); all others are background "
        "(default: levels above 128, or 1 in masks of 0 and 1)",
    )
    group.add_argument(
        "--max_megapixels",
        type=number(float, high=LARGEST_LIMIT, low_open=True),
        default=USUAL_LIMIT,
        metavar="N",
        help="images of more pixels are refused, before they take memory",
    )


def read_layout(args: Any) -> Layout:
    """The layout that flags (`add_layout_flags`) or options of the same names tell.

    The limit of pixels is set for all readers, of later processes too.

    Raises:
        InputError: a folder's name that leads out of the set, or values that cannot be read.
    """
    for flag, name in (("images", args.images), ("masks", args.masks)):
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise InputError(f"--{flag} {name} was given; name a folder below the set's, as masks or images/train")
    limit_megapixels(args.max_megapixels)
    values = parse_mask_values(args.mask_values) if args.mask_values else None
    return Layout(args.images, args.masks, args.mask_suffix or "", values)


def _existing(folder: Path, name: str) -> Path:
    """A folder of a set; where it is missing, the message tells the flags that name others."""
    if folder.is_dir() and not (folder / name).is_dir():
        raise InputError(
            f"no folder {folder / name}; {contents(folder)}; name the folders with --images NAME and --masks NAME"
        )
    return folder / name


def _base_of(folder: Path, inner: str) -> Path | None:
    """The set's folder, of a folder that is its `inner`; None of another one."""
    parts = Path(inner).parts
    return folder.parents[len(parts) - 1] if parts and folder.parts[-len(parts) :] == parts else None


def set_name(folder: str | Path, layout: Layout = STILLS) -> str:
    """Name of a single data set: its folder's, or that of the folder above where it is `images/` or `masks/`."""
    folder = Path(folder).resolve()
    return (_base_of(folder, layout.images) or _base_of(folder, layout.masks) or folder).name


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
    if masks.name == FRAME_MASKS:
        return masks.parent / FRAMES
    base = _base_of(masks, layout.masks)
    return base / layout.images if base else None


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
