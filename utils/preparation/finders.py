"""Finding images and masks in unpacked downloads, whatever folder they were unpacked into."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from measure.io import InputError, checked_header, counted, first_names, images_by_stem, natural_key

from .samples import Sample, safe_name

__all__ = ["Form", "find_boxed_clips", "find_paired", "find_polypgen", "pair_up"]


@dataclass(frozen=True)
class Form:
    """Where a download keeps images and masks: ends of paths that begin alike, compared without case.

    Attributes:
        images: end of the path of the folder of images, as "train/train".
        masks: the same of the masks' folder; equal to `images` where they lie side by side.
        before: what masks' stems have before their images'.
        after: what they have behind them.
    """

    images: str
    masks: str
    before: str = ""
    after: str = ""


def find_paired(roots: Sequence[Path], *, forms: Sequence[Form], folder: str, within: str = "") -> list[Sample]:
    """Find pairs of folders; the first form that is there counts.

    Args:
        folder: where the samples go; `{parent}` is the name of the folder above the images', for downloads of several
            sets.
        within: a folder that the images must lie below, where a download holds them twice.

    Raises:
        InputError: no form is there, or several folders are and `folder` tells them not apart.
    """
    folders = [place for root in roots for place in folders_with_images(root) if not within or within in place.parts]
    for form in forms:
        found = [(place, base) for place in folders if (base := base_of(place, form.images))]
        pairs = [(place, masks) for place, base in found if (masks := folder_of(base, form.masks))]
        if len(pairs) > 1 and "{parent}" not in folder:
            raise InputError(
                f"{counted(len(pairs), 'folder')} of images and masks were found, "
                f"{first_names([str(p) for p, _ in pairs])}; give the one that is meant as --from"
            )
        if pairs:
            return [
                sample
                for images, masks in pairs
                for sample in pair_up(
                    images, masks, folder.format(parent=safe_name(images.parent.name)), form.before, form.after
                )
            ]
    expected = " or ".join(f"{form.images}/ and {form.masks}/" for form in forms)
    raise InputError(
        f"{first_names([str(root) for root in roots])} holds no {expected} with images; check the download"
    )


def folders_with_images(root: Path) -> Iterator[Path]:
    """All folders at or below `root` that hold image files, in natural order."""
    if not root.is_dir():
        raise InputError(f"there is no folder {root}; give the download, an archive or a folder, as --from")
    for place in sorted((Path(top) for top, _, _ in os.walk(root)), key=lambda path: natural_key(str(path))):
        if images_by_stem(place, allow_empty=True):
            yield place


def base_of(place: Path, end: str) -> Path | None:
    """The folder whose inner path is `end`, of a folder that ends so; None of another one."""
    parts = Path(end).parts
    own = place.parts[-len(parts) :]
    return place.parents[len(parts) - 1] if [p.lower() for p in own] == [p.lower() for p in parts] else None


def folder_of(base: Path, end: str) -> Path | None:
    """The folder at `end` below `base`, whatever its case."""
    for part in Path(end).parts:
        found = [entry for entry in base.iterdir() if entry.name.lower() == part.lower() and entry.is_dir()]
        if not found:
            return None
        base = found[0]
    return base


def pair_up(
    images: Path, masks: Path, folder: str, before: str = "", after: str = "", clip: str | None = None
) -> list[Sample]:
    """Pair the images of a folder with the masks of another (or the same), by their stems.

    Raises:
        InputError: some lack their other half (the first five, and the counts), or two would get one name.
    """
    beside = images == masks
    stems = images_by_stem(images)
    form = re.compile(re.escape(before) + r"(.+)" + re.escape(after))
    mask_of = {found[1]: path for stem, path in images_by_stem(masks).items() if (found := form.fullmatch(stem))}
    if beside:
        stems = {stem: path for stem, path in stems.items() if stem in mask_of}
    missing, extra = [s for s in stems if s not in mask_of], [s for s in mask_of if s not in stems]
    if missing or extra or not stems:
        raise InputError(
            f"{images} and {masks} do not belong together: {counted(len(missing), 'image has', 'images have')} no mask "
            f"({first_names(missing)}), {counted(len(extra), 'mask')} no image ({first_names(extra)}); "
            "complete the download"
        )
    names = unique_names(stems, images)
    return [Sample(folder, names[stem], path, mask_of[stem], clip) for stem, path in stems.items()]


def unique_names(stems: Mapping[str, Path], place: Path) -> dict[str, str]:
    """The safe name of every stem.

    Raises:
        InputError: two stems get the same one.
    """
    names = {stem: safe_name(stem) for stem in stems}
    counts = Counter(names.values())
    twice = [stem for stem, name in names.items() if counts[name] > 1]
    if twice:
        raise InputError(f"images of {place} would get one name: {first_names(twice)}; rename one of each")
    return names


def find_polypgen(roots: Sequence[Path]) -> list[Sample]:
    """Find PolypGen's single frames by center, and its sequences with and without polyps; blanks in names go.

    Read as `data_C1/images_C1/X.jpg` with `data_C1/masks_C1/X_mask.jpg` (or `X.jpg`); sequences as
    `sequenceData/positive/seq1/images_seq1/` with `masks_seq1/`, and as `sequenceData/negativeOnly/seq1_neg/` of images
    alone, which get black masks.

    Raises:
        InputError: none of that is there.
    """
    samples: list[Sample] = []
    for root in roots:
        for place in folders_with_images(root):
            name, above = place.name.lower(), [part.lower() for part in place.parts]
            if name.startswith("images"):
                masks = folder_of(place.parent, "masks" + place.name[len("images") :])
                clip = safe_name(place.parent.name) if "positive" in above else None
                folder = (
                    "PolypGen-sequences" if clip else f"PolypGen/{safe_name(place.parent.name.removeprefix('data_'))}"
                )
                after = "_mask" if masks and all(s.endswith("_mask") for s in images_by_stem(masks)) else ""
                if masks:
                    samples += pair_up(place, masks, folder, after=after, clip=clip)
            elif any(part.startswith("negative") for part in above) and not name.startswith(("mask", "bbox")):
                names = unique_names(frames := images_by_stem(place), place)
                clip = safe_name(place.name)
                samples += [
                    Sample("PolypGen-sequences", names[stem], path, partial(drawn_boxes, path, []), clip)
                    for stem, path in frames.items()
                ]
    if not samples:
        raise InputError(
            f"{first_names([str(root) for root in roots])} holds no data_C1/images_C1/ with masks_C1/ beside it; check "
            "the download"
        )
    return samples


def find_boxed_clips(roots: Sequence[Path]) -> list[Sample]:
    """Find LDPolypVideo's clips, whose frames have boxes.

    Read as `<split>/Images/<clip>/X.jpg` with `<split>/Annotations/<clip>/X.txt`. A text has the number of boxes in
    its first line, then `left top right bottom` a line, pixels.

    Raises:
        InputError: none of that is there, or frames lack their text.
    """
    samples, missing = [], []
    for root in roots:
        for place in folders_with_images(root):
            if place.parent.name.lower() != "images":
                continue
            texts = folder_of(place.parent.parent, f"Annotations/{place.name}")
            split = safe_name(place.parent.parent.name)
            for stem, path in images_by_stem(place).items():
                text = texts / f"{stem}.txt" if texts else None
                if text is None or not text.is_file():
                    missing.append(f"{place.name}/{stem}")
                    continue
                mask = partial(drawn_boxes, path, read_boxes(text))
                samples.append(Sample(f"LDPolypVideo/{split}", safe_name(stem), path, mask, safe_name(place.name)))
    if missing or not samples:
        raise InputError(
            f"{counted(len(samples), 'frame has', 'frames have')} boxes, {len(missing)} none ({first_names(missing)}); "
            "expected <split>/Images/<clip>/*.jpg and <split>/Annotations/<clip>/*.txt"
        )
    return samples


def read_boxes(text: Path) -> list[tuple[int, int, int, int]]:
    """Read `left top right bottom` of every box, pixels.

    Raises:
        InputError: the file is not as expected.
    """
    lines = [re.findall(r"-?\d+", line) for line in text.read_text(encoding="utf-8", errors="replace").splitlines()]
    lines = [line for line in lines if line]
    count = int(lines[0][0]) if lines else -1
    boxes = [tuple(map(int, line[-4:])) for line in lines[1:]]
    if count != len(boxes) or any(len(box) != 4 for box in boxes):
        raise InputError(
            f"{text} is not the number of boxes and then `left top right bottom` a line; check the download"
        )
    return boxes


def drawn_boxes(image: Path, boxes: Sequence[tuple[int, int, int, int]]) -> np.ndarray:
    """A mask (H, W) uint8 of an image's size, 255 in the boxes."""
    header = checked_header(image, image.read_bytes())
    mask = np.zeros((header.height, header.width), np.uint8)
    for left, top, right, bottom in boxes:
        mask[max(0, top) : bottom + 1, max(0, left) : right + 1] = 255
    return mask
