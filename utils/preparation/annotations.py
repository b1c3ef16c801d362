"""Masks drawn from annotations of other tools: COCO (polygons and run lengths) and labelme (a JSON file an image).

All objects of an image become one mask; `categories` picks some. Polygons are filled as their tools fill them: COCO's
points lie between pixels, whose centers have to be inside, so outlines that `myTest.py --contours` wrote give the masks
that they are of; labelme's lie on pixels, and the outline's belong to the shape.
"""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from measure.io import InputError, checked_header, counted, first_names, images_by_stem

from .samples import Sample, safe_name

__all__ = ["decoded_counts", "find_coco", "find_labelme"]

FARTHEST = 1e6  # pixels from an image's corner that a point of a polygon may lie
CORRECT = "correct it in the tool that drew it, or take it out"


def find_coco(roots: Sequence[Path], *, folder: str, categories: Sequence[str] = ()) -> list[Sample]:
    """Find the images that COCO files speak of, with masks drawn from their annotations.

    Args:
        roots: the JSON files, and the folders of the images, searched at any depth.
        folder: of the set below --to.
        categories: names of those that are polyp; none: all.

    Raises:
        InputError: a file cannot be read or names images or categories that are not there.
    """
    files, images = _by_kind(
        roots, needed="a COCO file and the folder of its images, as --from annotations.json images"
    )
    samples: list[Sample] = []
    for file in files:
        content = _read(file)
        try:
            shapes = shapes_by_image(content, categories, file)
            for each in content["images"]:
                name, size = path_of(each["file_name"]), (int(each["height"]), int(each["width"]))
                image = image_of(name, images, file)
                mask = partial(drawn, shapes[each["id"]], size, file, image)
                samples.append(Sample(folder, safe_name(name.stem), image, mask))
        except InputError:
            raise
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise InputError(
                f"{file} is no COCO file ({type(error).__name__}: {error}); give one with images and annotations"
            ) from error
        if not content["images"]:
            raise InputError(f"{file} lists no images; export it again, with the images")
    tell_left_out(images, samples)
    return _without_twins(samples)


def shapes_by_image(content: Mapping[str, Any], categories: Sequence[str], file: Path) -> dict[Any, list[Any]]:
    """The segmentations of each image of a COCO file, by the image's id.

    Raises:
        InputError: an annotation has no outline, or is of an image or a category that the file does not list.
    """
    named = {each["id"]: each["name"] for each in content.get("categories", [])}
    unknown = [name for name in categories if name not in named.values()]
    if unknown:
        raise InputError(f"{file} has no category {', '.join(unknown)}; it has {', '.join(map(str, named.values()))}")
    names = {each["id"]: each["file_name"] for each in content["images"]}
    if len(names) < len(content["images"]):
        raise InputError(f"{file} gives two images one id; export it again, or make the ids differ")
    shapes: dict[Any, list[Any]] = {number: [] for number in names}
    for place, each in enumerate(content["annotations"], start=1):
        if each["image_id"] not in shapes:
            unlisted = f"image {each['image_id']}"
        elif named and each["category_id"] not in named:
            unlisted = f"category {each['category_id']}"
        else:
            unlisted = ""
        if unlisted:
            raise InputError(
                f"{file}: annotation {place} is of {unlisted}, which it does not list; export the file again, or take "
                "the annotation out"
            )
        if categories and named[each["category_id"]] not in categories:
            continue
        if fault := fault_of(each.get("segmentation")):
            raise InputError(
                f"{file}: annotation {place}, of {names[each['image_id']]}, has {fault}, and no mask can be drawn of "
                f"it; {CORRECT}"
            )
        shapes[each["image_id"]].append(each["segmentation"])
    return shapes


def fault_of(segmentation: Any) -> str:
    """Why no mask can be drawn of a COCO segmentation, which would leave a polyp without one; empty: it can."""
    if not segmentation:
        return "no outline, at most a box"
    if isinstance(segmentation, list) and not all(isinstance(polygon, list) for polygon in segmentation):
        return "numbers where a list of polygons is expected"
    if isinstance(segmentation, list) and any(len(polygon) < 6 for polygon in segmentation):
        return "an outline of fewer than three points"
    return ""


def path_of(name: str) -> Path:
    """The path that a COCO file gives an image, whose parts tools on Windows may divide by backslashes."""
    return Path(name.replace("\\", "/"))


def tell_left_out(images: Sequence[Path], samples: Sequence[Sample]) -> None:
    """Say which of the images that were given no annotation file speaks of: they may be the ones without polyp."""
    taken = {sample.image for sample in samples}
    left = [path for path in images if path not in taken]
    if left:
        told = counted(len(left), "image is", "images are", of=len(images))
        print(
            f"note: {told} in no annotation file and left out, first {first_names([path.name for path in left])}; "
            "those without polyp need an entry without shapes",
            file=sys.stderr,
        )


def find_labelme(roots: Sequence[Path], *, folder: str, categories: Sequence[str] = ()) -> list[Sample]:
    """Find images with a labelme file of the same stem beside them, or in another of the folders.

    Raises:
        InputError: a file cannot be read or has no image.
    """
    files, images = _by_kind(roots, needed="a folder of images and labelme's JSON files")
    samples = []
    for file in files:
        content = _read(file)
        try:
            size = int(content["imageHeight"]), int(content["imageWidth"])
            chosen = [s for s in content["shapes"] if not categories or s["label"] in categories]
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"{file} is no labelme file ({type(error).__name__}: {error}); save it in labelme again"
            ) from error
        try:
            shapes = [_pasted(s, size) if s.get("shape_type") == "mask" else [_outline(s)] for s in chosen]
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{file} has a shape that cannot be drawn ({error}); {CORRECT}") from error
        alike = [path for path in images if path.stem == file.stem]
        if not alike:
            raise InputError(f"{file} has no image {file.stem}.* beside it; give its folder as --from too")
        image = only([path for path in alike if path.parent == file.parent] or alike, file)
        mask = partial(drawn, shapes, size, file, image, fill=fill_with_outline)
        samples.append(Sample(folder, safe_name(file.stem), image, mask))
    tell_left_out(images, samples)
    return _without_twins(samples)


def image_of(name: Path, images: Sequence[Path], file: Path) -> Path:
    """The image that a COCO file names, by its path in the folders where several have the file's name.

    Raises:
        InputError: there is none, or more than one.
    """
    alike = [path for path in images if path.name == name.name]
    if not alike:
        raise InputError(f"{file} speaks of {name}, which is in none of the folders given")
    return only([path for path in alike if path.parts[-len(name.parts) :] == name.parts] or alike, file)


def only(images: Sequence[Path], file: Path) -> Path:
    """The single one of some images.

    Raises:
        InputError: there are two.
    """
    if len(images) > 1:
        raise InputError(f"{file} may speak of {images[0]} or of {images[1]}; give only the folder that it belongs to")
    return images[0]


def _outline(shape: Mapping[str, Any]) -> np.ndarray:
    """The polygon (N, 2) of a labelme shape, x and y."""
    points = np.asarray(shape["points"], float)
    kind = shape.get("shape_type", "polygon")
    if kind == "rectangle":
        (left, top), (right, bottom) = points
        return np.array([(left, top), (right, top), (right, bottom), (left, bottom)])
    if kind == "circle":
        center, edge = points
        angles = np.linspace(0, 2 * np.pi, 128, endpoint=False)
        return center + np.linalg.norm(edge - center) * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    if kind != "polygon":
        raise ValueError(f"a {kind} encloses nothing")
    if len(points) < 3:
        raise ValueError(f"a polygon of {counted(len(points), 'point')} encloses nothing")
    return points


def _pasted(shape: Mapping[str, Any], size: tuple[int, int]) -> dict[str, Any]:
    """A labelme shape that is a mask, a PNG in base64 of the pixels of a box, both corners included, as COCO has it.

    Raises:
        ValueError: there is no such picture, it is of another size than its box, empty, or lies outside the image.
    """
    (left, top), (right, bottom) = np.asarray(shape["points"], float).round().astype(int).tolist()
    picture = _picture(shape.get("mask") or "")
    if picture is None or picture.shape != (bottom + 1 - top, right + 1 - left) or not picture.any():
        raise ValueError("a mask that is no picture of its box, or an empty one")
    if min(left, top) < 0 or bottom >= size[0] or right >= size[1]:
        raise ValueError("a mask that lies outside of the image")
    mask = np.zeros(size, bool)
    mask[top : bottom + 1, left : right + 1] = picture > 0
    changes = np.flatnonzero(np.diff(mask.ravel(order="F"), prepend=False))
    return {"size": size, "counts": np.diff(changes, prepend=0, append=mask.size).tolist()}


def _picture(text: str) -> np.ndarray | None:
    """The (H, W) uint8 levels of a picture in base64; None: it is none."""
    try:
        bits = np.frombuffer(base64.b64decode(text), np.uint8)
    except ValueError:
        return None
    return cv2.imdecode(bits, cv2.IMREAD_GRAYSCALE) if bits.size else None


def fill_centers(mask: np.ndarray, points: np.ndarray) -> None:
    """Set the pixels (H, W) to 255 whose centers lie inside a polygon (N, 2), x and y from the image's corner.

    Of a polygon that crosses itself the parts count that a line from outside enters an odd number of times.
    """
    x, y = points.T
    next_x, next_y = np.roll(points, -1, axis=0).T
    first, last = np.clip([np.ceil(y.min() - 0.5), np.ceil(y.max() - 0.5)], 0, len(mask)).astype(int)
    for row in range(first, last):
        crossed = (y <= row + 0.5) != (next_y <= row + 0.5)
        slope = (next_x - x)[crossed] / (next_y - y)[crossed]
        places = np.sort(x[crossed] + (row + 0.5 - y[crossed]) * slope)
        edges = np.clip(np.ceil(places - 0.5), 0, mask.shape[1]).astype(int)
        for left, right in zip(edges[::2], edges[1::2], strict=True):
            mask[row, left:right] = 255


def fill_with_outline(mask: np.ndarray, points: np.ndarray) -> None:
    """Set the pixels (H, W) of a polygon (N, 2) of pixels, x and y, to 255, those of its outline too."""
    cv2.fillPoly(mask, [np.round(points).astype(np.int32)], 255)


def drawn(
    shapes: Sequence[Any],
    size: tuple[int, int],
    origin: Path,
    image: Path,
    *,
    fill: Callable[[np.ndarray, np.ndarray], None] = fill_centers,
) -> np.ndarray:
    """The mask (H, W) uint8, 0 and 255, of COCO segmentations, their polygons drawn by `fill`.

    Raises:
        InputError: one of them is none, or `size`, the annotation's, is not that of the image as it is stored.
    """
    header = checked_header(image, image.read_bytes())
    if size != (header.height, header.width):
        raise InputError(
            f"{origin} says that {image.name} has {size[1]} x {size[0]} pixels, and it has {header.width} x "
            f"{header.height} (width x height); give the images that were annotated, as they were stored then"
        )
    mask = np.zeros(size, np.uint8)
    try:
        for shape in shapes:
            if isinstance(shape, Mapping):
                if tuple(shape["size"]) != size:
                    raise ValueError(f"its run lengths are of another size than {image.name}")
                mask |= decoded_counts(shape["counts"], size) * np.uint8(255)
                continue
            for polygon in shape:
                points = np.asarray(polygon, float).reshape(-1, 2)
                if not (np.abs(points) <= FARTHEST).all():  # not a number, either
                    raise ValueError(f"it has a point that is no number or over {FARTHEST:g} pixels away")
                if (points.max(axis=0) < 0).any() or (points.min(axis=0) > (size[1], size[0])).any():
                    raise ValueError(f"it lies outside of {image.name}")
                fill(mask, points)
    except (KeyError, TypeError, ValueError, cv2.error) as error:
        raise InputError(f"{origin} has a shape that cannot be drawn ({error}); {CORRECT}") from error
    return mask


def decoded_counts(counts: Sequence[int] | str, size: tuple[int, int]) -> np.ndarray:
    """COCO's run lengths, a list or its compressed text, as (H, W) uint8 of 0 and 1; runs go down the columns.

    Raises:
        ValueError: they do not fill the size.
    """
    runs = list(counts) if not isinstance(counts, str) else _decompressed(counts)
    if sum(runs) != size[0] * size[1] or min(runs, default=0) < 0:
        raise ValueError(f"run lengths of {sum(runs)} pixels for {size[0]} x {size[1]}")
    values = np.arange(len(runs), dtype=np.uint8) % 2
    return np.repeat(values, runs).reshape(size, order="F")


def _decompressed(text: str) -> list[int]:
    """The numbers in COCO's compressed text: five bits a character, the sixth says that more follow; from the fourth
    number on, each is the difference to the one before the last."""
    runs: list[int] = []
    value = shift = 0
    for character in text.encode():
        bits = character - 48
        value |= (bits & 31) << shift
        shift += 5
        if not bits & 32:
            if bits & 16:
                value -= 1 << shift
            runs.append(value + (runs[-2] if len(runs) > 2 else 0))
            value = shift = 0
    return runs


def _by_kind(roots: Sequence[Path], *, needed: str) -> tuple[list[Path], list[Path]]:
    """The JSON files and the images at or below the roots."""
    files: list[Path] = []
    images: list[Path] = []
    for root in roots:
        for place in [root] if root.is_file() else [root, *sorted(root.rglob("*"))]:
            if place.is_dir():
                images += images_by_stem(place, allow_empty=True).values()
            elif place.suffix.lower() == ".json":
                files.append(place)
    if not files or not images:
        raise InputError(
            f"{counted(len(files), 'JSON file')} and {counted(len(images), 'image')} were found; give {needed}"
        )
    return files, images


def _read(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8-sig"))  # some tools on Windows put a mark before the text
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read {file} ({error}); expected JSON") from error


def _without_twins(samples: list[Sample]) -> list[Sample]:
    stems = [sample.stem for sample in samples]
    twice = sorted({stem for stem in stems if stems.count(stem) > 1}) if len(set(stems)) < len(stems) else []
    if twice:
        raise InputError(f"two images get one name: {first_names(twice)}; rename one of each")
    return samples
