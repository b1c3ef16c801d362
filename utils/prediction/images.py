"""Prediction maps of folders of images: `<out>/<set>/<stem>.png`, 8-bit grey, at each image's own size.

A network of several classes writes `<out>/<class>/<set>/<stem>.png` for each, `<out>/merged/...` for polyp of whatever
class, and `<out>/labels/...`, the most probable class as the masks show it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset
from tqdm import tqdm

from lib import Network
from measure.io import (
    IMAGE_SUFFIXES,
    STILLS,
    Classes,
    InputError,
    Layout,
    contents,
    images_by_stem,
    make_folder,
    read_rgb,
    set_folders,
    set_name,
)

from ..data import batches_in_order, check_known, make_loader, normalize, read_split, resize, to_chw
from ..runtime import SINGLE_PROCESS, World, autocast, in_background, load_batches
from .heatmaps import FOLDER, heats_of, recorded, write_overlays
from .postprocess import check_finite, map_folders, maps_of, write_map

__all__ = ["ImageMaps", "PredictOptions", "find_sets", "image_maps", "pick_images", "predict_maps"]


WRITERS = 2  # threads that encode and write; OpenCV leaves Python free meanwhile


@dataclass(frozen=True)
class PredictOptions:
    """How maps are made.

    Attributes:
        size: input height and width of the network, pixels.
        batch_size: images a forward, or clips side by side.
        minmax: stretch every map to the full range of grey, as published maps are; off: 255 x probability.
        amp: "off", "bf16" or "fp16".
        workers: processes that load images.
        classes: what the network's logits stand for; None: polyp alone.
        heatmap: also draw heat maps (see `heatmaps`).
    """

    size: int = 352
    batch_size: int = 8
    minmax: bool = True
    amp: str = "off"
    workers: int = 1
    classes: Classes | None = None
    heatmap: bool = False


@dataclass(frozen=True)
class ImageMaps:
    """What the network made of one image.

    Attributes:
        index: place of the image in the list.
        maps: see `maps_of`.
        heats: (h, w) float32 in [0, 1] by kind, where heat maps were asked for.
    """

    index: int
    maps: dict[str, np.ndarray]
    heats: dict[str, np.ndarray]


class Images(Dataset):
    """Images at the network's size: {"image": (3, S, S) uint8, "size": own height and width, "index"}."""

    def __init__(self, paths: Sequence[Path], *, size: int):
        self.paths = list(paths)
        self.size = (size, size)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        image = read_rgb(self.paths[index])
        own_size = torch.tensor(image.shape[:2])
        return {"image": resize(to_chw(image), self.size), "size": own_size, "index": torch.tensor(index)}


def find_sets(root: str | Path, layout: Layout = STILLS) -> dict[str, dict[str, Path]]:
    """Find the test sets under `root`: set name -> stem -> image.

    `root` may hold one folder per set, each with `images/` (others are passed over), be one such set itself, hold the
    images directly, or be one image.

    Args:
        root: a folder, or an image file.
        layout: names `images/`, and what masks among the images have at the end of their stems; these are no images.

    Raises:
        InputError: the folder is missing, or no image lies where one of these forms has it.
    """
    file = Path(root)
    if file.is_file():
        if file.suffix.lower() not in IMAGE_SUFFIXES:
            raise InputError(f"{root} is no image; expected one of {', '.join(sorted(IMAGE_SUFFIXES))}, or a folder")
        return {set_name(file.parent, layout): {file.stem: file}}
    folders = set_folders(root, layout.images, layout=layout)
    if not folders:
        raise InputError(
            f"no images under {root}; expected <set>/{layout.images}/, {layout.images}/ or image files in it, and "
            f"{contents(file)}; --images NAME names the folder of the images"
        )
    return {name: images_by_stem(folder, without_ending=layout.mask_suffix) for name, folder in folders.items()}


def pick_images(
    sets: Mapping[str, Mapping[str, Path]], split: str | Path, *, place: str | Path
) -> dict[str, dict[str, Path]]:
    """Keep the images that a split file names; a set of which it names none is left out.

    Raises:
        InputError: the file cannot be read, or names images that are in no set (the first five).
    """
    names = read_split(split)
    check_known(names, [stem for images in sets.values() for stem in images], split=split, place=place)
    chosen = set(names)
    picked = {name: {stem: path for stem, path in images.items() if stem in chosen} for name, images in sets.items()}
    return {name: images for name, images in picked.items() if images}


def predict_maps(
    model: Network,
    sets: Mapping[str, Mapping[str, Path]],
    out: str | Path,
    *,
    options: PredictOptions,
    device: torch.device,
    world: World = SINGLE_PROCESS,
) -> int:
    """Write the maps of every image; a map that exists is replaced by a whole new one. Returns the images' number.

    The processes of `world` take the images in turn, none twice, in the batches a single process would make of them.

    Raises:
        InputError: an image cannot be read or a map cannot be written; the maps written so far stay.
        ModelError: the network's output is not finite.
    """
    model = model.to(device, memory_format=torch.channels_last).eval()
    total = sum(len(images) for images in sets.values())
    with tqdm(total=total, desc="maps", unit="image", disable=world.disable_progress) as bar:
        for name, images in sets.items():
            folders = {kind: make_folder(Path(out) / kind / name) for kind in map_folders(options.classes)}
            heat_folder = make_folder(Path(out) / FOLDER / name) if options.heatmap else None
            stems, paths = list(images), list(images.values())
            with in_background(threads=WRITERS) as later:
                for found in image_maps(model, paths, options=options, device=device, world=world):
                    for kind, picture in found.maps.items():
                        later(write_map, folders[kind] / f"{stems[found.index]}.png", picture)
                    if heat_folder:
                        later(write_overlays, heat_folder / stems[found.index], paths[found.index], found.heats)
                    bar.update()
    return total


@torch.inference_mode()
def image_maps(
    model: Network,
    paths: Sequence[Path],
    *,
    options: PredictOptions,
    device: torch.device,
    world: World = SINGLE_PROCESS,
) -> Iterator[ImageMaps]:
    """Yield what the network makes of this process's images, one forward a batch.

    Raises:
        InputError: an image cannot be read.
        ModelError: the network's output is not finite.
    """
    loader = make_loader(
        Images(paths, size=options.size),
        batch_sampler=batches_in_order(len(paths), batch_size=options.batch_size, world=world),
        workers=options.workers,
        device=device,
    )
    for batch in load_batches(loader):
        indices = batch["index"].tolist()
        image = normalize(batch["image"].to(device, non_blocking=True)).contiguous(memory_format=torch.channels_last)
        with recorded(model.head, enabled=options.heatmap) as record, autocast(device, options.amp):
            logits = model(image)["out"]
        check_finite(logits, [str(paths[index]) for index in indices])
        heats = heats_of(model, record, logits) if record else {}
        for place, (index, size) in enumerate(zip(indices, batch["size"].tolist(), strict=True)):
            maps = maps_of(logits[place], tuple(size), classes=options.classes, minmax=options.minmax)
            yield ImageMaps(index, maps, {kind: heat[place] for kind, heat in heats.items()})
