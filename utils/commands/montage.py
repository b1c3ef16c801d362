"""Draw image, mask, map and overlay of some samples side by side, one sample a row.

    python -m utils montage --data data/TestDataset/Kvasir --maps result/Kvasir --out kvasir.png
    python -m utils montage --data data/TestDataset/Kvasir --maps a/Kvasir b/Kvasir --names SEPNet PraNet --out fig.pdf

A clip's frames are named with --images Frame/case1 --masks GT/case1.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from measure.io import (
    STILLS,
    CommandParser,
    InputError,
    Layout,
    add_layout_flags,
    counted,
    images_by_stem,
    make_folder,
    nonempty,
    number,
    path,
    read_grey,
    read_layout,
    read_mask,
    read_rgb,
    refuse_outputs_in_inputs,
    replace_when_whole,
    write_bytes,
)

from ..runtime import run
from ..visualization import draw_comparison, draw_montage

__all__ = ["main", "write_montage"]

SUFFIXES = (".png", ".jpg", ".jpeg", ".pdf")
DOTS = 150  # an inch of a PDF
LONGEST_JPEG = 65500  # pixels of a side that its library writes; a PDF holds a JPEG


def main(argv: Sequence[str] | None = None) -> int:
    """Write the picture that the flags ask for; returns the exit status."""
    return run(lambda: draw(parse_args(argv)))


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = CommandParser(prog="python -m utils montage", description=__doc__)
    parser.add_argument("--data", required=True, type=path, help="folder with images/ and masks/")
    parser.add_argument(
        "--maps",
        required=True,
        type=path,
        nargs="+",
        help="folder with the prediction maps; of several methods their errors are shown side by side, as papers do",
    )
    parser.add_argument("--names", type=nonempty, nargs="+", help="of the methods (default: their folders')")
    parser.add_argument("--out", required=True, type=path, help="the picture to write, .png, .jpg or .pdf")
    parser.add_argument(
        "--count",
        type=number(int, low=1, high=500),
        default=8,
        metavar="N",
        help="samples to show, evenly spread over the folder",
    )
    add_layout_flags(parser.add_argument_group("layout of --data"))
    return parser.parse_args(argv)


def draw(args: argparse.Namespace) -> None:
    layout = read_layout(args)
    if len(args.maps) == 1 and not args.names:
        write_montage(data=args.data, maps=args.maps[0], out=args.out, count=args.count, layout=layout)
        return
    names = args.names or [folder.resolve().name for folder in args.maps]
    if len(names) != len(args.maps):
        told = f"{counted(len(names), 'name')} in --names for {counted(len(args.maps), 'folder')} in --maps"
        raise InputError(f"{told}; give one for each")
    if twice := [name for place, name in enumerate(names) if name in names[:place]]:
        raise InputError(f"two methods are called {twice[0]}; tell them apart with --names")
    write_comparison(data=args.data, maps=args.maps, names=names, out=args.out, count=args.count, layout=layout)


def write_montage(*, data: Path, maps: Path, out: Path, count: int, layout: Layout = STILLS) -> None:
    """Write the montage of `count` samples, evenly spread over those of `data` that have a map.

    Raises:
        InputError: a folder or file is missing or unreadable, no image has a map, a mask or map is of another size than
            its image, or `out` is no place for a picture.
    """
    samples = []
    for files in chosen_files(data, [maps], out, count, layout):
        planes = [read_rgb(path_) for path_ in files]
        refuse_other_sizes(files, planes)
        samples.append(tuple(planes))
    write_picture(draw_montage(samples), out)


def write_comparison(
    *, data: Path, maps: Sequence[Path], names: Sequence[str], out: Path, count: int, layout: Layout = STILLS
) -> None:
    """Write what several methods got right and wrong on `count` samples that all of them have a map of.

    Raises:
        InputError: as `write_montage`.
    """
    samples = []
    for image, mask, *found in chosen_files(data, maps, out, count, layout):
        planes = [read_rgb(image), read_mask(mask, layout.mask_values), *map(read_grey, found)]
        refuse_other_sizes([image, mask, *found], planes)
        samples.append((planes[0], planes[1], planes[2:]))
    write_picture(draw_comparison(samples, names), out)


def refuse_other_sizes(files: Sequence[Path], planes: Sequence[np.ndarray]) -> None:
    """Refuse a mask or map, all but the first file, of another size than the first: stretched, it would look right."""
    for path_, plane in zip(files, planes, strict=True):
        if plane.shape[:2] != planes[0].shape[:2]:
            raise InputError(f"{path_} has another size than {files[0]}; write maps at their images' own size")


def chosen_files(data: Path, maps: Sequence[Path], out: Path, count: int, layout: Layout) -> list[list[Path]]:
    """Image, mask and every method's map of the samples to show."""
    if out.suffix.lower() not in SUFFIXES:
        raise InputError(f"--out {out} names no kind of picture; expected a name that ends in {' or '.join(SUFFIXES)}")
    refuse_outputs_in_inputs([out], [data / layout.images, data / layout.masks, *maps])
    found = [layout.list_images(data), layout.list_masks(data), *map(images_by_stem, maps)]
    shared = [stem for stem in found[0] if all(stem in files for files in found)]
    if not shared:
        places = " and ".join(map(str, maps))
        raise InputError(f"no image of {data} has a map in {places}; names must agree up to the suffix")
    chosen = [shared[i] for i in np.linspace(0, len(shared) - 1, min(count, len(shared))).astype(int)]
    return [[files[stem] for files in found] for stem in chosen]


def write_picture(picture: np.ndarray, out: Path) -> None:
    """Write an (H, W, 3) RGB picture in the form that its suffix names."""
    height, width = picture.shape[:2]
    if out.suffix.lower() != ".png" and max(height, width) > LONGEST_JPEG:
        raise InputError(
            f"the picture has {width} x {height} pixels, and {out.suffix} takes at most {LONGEST_JPEG} on a side; "
            "lower --count, or write a .png"
        )
    make_folder(out.parent)
    if out.suffix.lower() == ".pdf":
        with replace_when_whole(out) as partial:
            Image.fromarray(picture).save(partial, resolution=DOTS)
    else:
        _, encoded = cv2.imencode(out.suffix, cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
        write_bytes(encoded.tobytes(), out)
    print(f"picture: {out.resolve()}")
