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
from torch import Tensor, nn
from torch.utils.data import Dataset
from tqdm import tqdm

from measure.io import (
    LABELS,
    MERGED,
    STILLS,
    Classes,
    InputError,
    images_by_stem,
    make_folder,
    read_rgb,
    set_folders,
)

from ..data import batches_in_order, check_known, make_loader, normalize, read_split, resize, to_chw
from ..runtime import SINGLE_PROCESS, World, autocast, in_background, load_batches
from .postprocess import class_maps, grey_map, write_map

__all__ = ["PredictOptions", "find_sets", "image_maps", "pick_images", "predict_maps"]


WRITERS = 2  # threads that encode and write; OpenCV leaves Python free meanwhile


@dataclass(frozen=True)
class PredictOptions:
    """How maps are made.

    Attributes:
        size: input height and width of the network, pixels.
        batch_size: images a forward.
        minmax: stretch every map to the full range of grey, as published maps are; off: 255 x probability.
        amp: "off", "bf16" or "fp16".
        workers: processes that load images.
        classes: what the network's logits stand for; None: polyp alone.
    """

    size: int = 352
    batch_size: int = 8
    minmax: bool = True
    amp: str = "off"
    workers: int = 1
    classes: Classes | None = None

    @property
    def folders(self) -> tuple[str, ...]:
        """Where maps go under the chosen folder, before the set's name."""
        return (*self.classes.names, MERGED, LABELS) if self.classes else ("",)


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


def find_sets(root: str | Path) -> dict[str, dict[str, Path]]:
    """Find the test sets under `root`: set name -> stem -> image.

    `root` may hold one folder per set, each with `images/` (others are passed over), be one such set itself, or hold
    the images directly.

    Raises:
        InputError: the folder is missing, or no image lies where one of these forms has it.
    """
    folders = set_folders(root, STILLS.images)
    if not folders:
        raise InputError(f"no images under {root}; expected <set>/images/, images/ or image files in it")
    return {name: images_by_stem(folder) for name, folder in folders.items()}


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
    model: nn.Module,
    sets: Mapping[str, Mapping[str, Path]],
    out: str | Path,
    *,
    options: PredictOptions,
    device: torch.device,
    world: World = SINGLE_PROCESS,
) -> int:
    """Write the maps of every image; a map that exists is replaced by a whole new one. Returns the images' number.

    The processes of `world` share the images, none twice, in the batches a single process would make of them.

    Raises:
        InputError: an image cannot be read or a map cannot be written; the maps written so far stay.
    """
    model = model.to(device, memory_format=torch.channels_last).eval()
    total = sum(len(images) for images in sets.values())
    with tqdm(total=total, desc="maps", unit="image", disable=world.disable_progress) as bar:
        for name, images in sets.items():
            folders = {kind: make_folder(Path(out) / kind / name) for kind in options.folders}
            stems = list(images)
            with in_background(threads=WRITERS) as later:
                for index, maps in image_maps(
                    model, list(images.values()), options=options, device=device, world=world
                ):
                    for kind, picture in maps.items():
                        later(write_map, folders[kind] / f"{stems[index]}.png", picture)
                    bar.update()
    return total


@torch.inference_mode()
def image_maps(
    model: nn.Module,
    paths: Sequence[Path],
    *,
    options: PredictOptions,
    device: torch.device,
    world: World = SINGLE_PROCESS,
) -> Iterator[tuple[int, dict[str, np.ndarray]]]:
    """Yield (index, maps by folder) of this process's images: one (H, W) uint8 under "", or those of `class_maps`."""
    loader = make_loader(
        Images(paths, size=options.size),
        batch_sampler=batches_in_order(len(paths), batch_size=options.batch_size, world=world),
        workers=options.workers,
        device=device,
    )
    for batch in load_batches(loader):
        image = normalize(batch["image"].to(device, non_blocking=True))
        image = image.contiguous(memory_format=torch.channels_last)
        with autocast(device, options.amp):
            logits = model(image)["out"]
        for index, logit, own_size in zip(batch["index"].tolist(), logits, batch["size"].tolist(), strict=True):
            if options.classes:
                yield index, class_maps(logit, tuple(own_size), classes=options.classes, minmax=options.minmax)
            else:
                yield index, {"": grey_map(logit, tuple(own_size), minmax=options.minmax)}
