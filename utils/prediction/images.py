"""Prediction maps of folders of images: `<out>/<set>/<stem>.png`, 8-bit grey, at each image's own size.

A network of several classes writes `<out>/<class>/<set>/<stem>.png` for each, `<out>/merged/...` for polyp of whatever
class, and `<out>/labels/...`, the most probable class as the masks show it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

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
    read_rgb,
    set_folders,
    set_name,
)

from ..data import batches_in_order, check_known, make_loader, normalize, read_split
from ..runtime import SINGLE_PROCESS, World, autocast, in_background, load_batches
from .inputs import Placement, prepared
from .outputs import ImageFiles, Places, heats_of, recorded
from .postprocess import check_finite, largest, maps_of, probabilities, upsampled

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
        heatmap: also draw heat maps (see `outputs.heatmaps`).
        crop_border: see `inputs.cropping`.
        skip_unreadable: go on after an image that cannot be read; otherwise it ends the run.
    """

    size: int = 352
    batch_size: int = 8
    minmax: bool = True
    amp: str = "off"
    workers: int = 1
    classes: Classes | None = None
    heatmap: bool = False
    crop_border: bool = False
    skip_unreadable: bool = False


@dataclass(frozen=True)
class ImageMaps:
    """What the network made of one image.

    Attributes:
        index: place of the image in the list.
        maps: see `maps_of`; empty where the image could not be read.
        probability: (H, W) float32, of several classes the largest.
        spread: (H, W) float32, how far several answers disagree (`AveragedNetwork`); None of a single one.
        heats: (h, w) float32 in [0, 1] by kind, where heat maps were asked for.
        fault: why the image could not be read; "" where it could.
    """

    index: int
    maps: dict[str, np.ndarray]
    probability: Tensor | None = None
    spread: Tensor | None = None
    heats: Mapping[str, np.ndarray] = field(default_factory=dict)
    fault: str = ""


class Images(Dataset):
    """Images at the network's size, (3, S, S) uint8, with "index", "size" and "box" (see `Placement`) and "fault".

    With `skip_unreadable` an image that cannot be read is black, and "fault" says why.
    """

    def __init__(self, paths: Sequence[Path], options: PredictOptions):
        self.paths, self.options = list(paths), options

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> dict[str, Any]:
        size, fault = self.options.size, ""
        try:
            image, placement = prepared(read_rgb(self.paths[index]), size, crop_border=self.options.crop_border)
        except InputError as error:
            if not self.options.skip_unreadable:
                raise
            image, placement, fault = torch.zeros(3, size, size, dtype=torch.uint8), Placement.whole(1, 1), str(error)
        own_size = torch.tensor((placement.height, placement.width))
        return {"image": image, "size": own_size, "box": torch.tensor(placement.box), "index": index, "fault": fault}


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
    out: str | Path | ImageFiles,
    *,
    options: PredictOptions,
    device: torch.device,
    world: World = SINGLE_PROCESS,
) -> int:
    """Write what is asked for of every image; a file that exists is replaced by a whole new one.

    The processes of `world` take the images in turn, none twice, in the batches a single process would make of them.

    Args:
        sets: folder of the results -> stem -> image.
        out: what is written where; a folder: maps alone.

    Returns:
        The number of images.

    Raises:
        InputError: an image cannot be read or a file cannot be written; what was written so far stays.
        ModelError: the network's output is not finite.
    """
    model = model.to(device, memory_format=torch.channels_last).eval()
    files = out if isinstance(out, ImageFiles) else ImageFiles(Places(maps=Path(out)))
    total = sum(len(images) for images in sets.values())
    with tqdm(total=total, desc="maps", unit="image", disable=world.disable_progress) as bar:
        for name, images in sets.items():
            stems, paths = list(images), list(images.values())
            with in_background(threads=WRITERS) as later:
                for found in image_maps(model, paths, options=options, device=device, world=world):
                    path, stem = paths[found.index], stems[found.index]
                    result = f"{name}/{stem}" if name else stem
                    if found.fault:
                        files.skip(path, found.fault, unwritten=result)
                    else:
                        later(files.write, result, path, found)
                    bar.update()
    return total


class FittingBatches:
    """A network that is given fewer images at once after a batch that did not fit into the GPU's memory.

    Attributes:
        most: images a forward; None: as many as come.
    """

    def __init__(self, model: Network):
        self.model = model
        self.most: int | None = None

    def __call__(self, images: Tensor, *, record: list[Tensor]) -> dict[str, Tensor]:
        """The network's answers to (N, 3, H, W) images.

        Args:
            images: normalized, on the device.
            record: what is kept of the forwards (`recorded`); of those that are made again it is dropped.

        Raises:
            InputError: a single image does not fit.
        """
        while True:
            record.clear()
            parts = images.split(self.most or len(images))
            try:
                answers = [self.model(part) for part in parts]
            except torch.cuda.OutOfMemoryError as error:
                self._halve(len(parts[0]), images.shape[-1], error)
                continue
            return {name: torch.cat([answer[name] for answer in answers]) for name in answers[0]}

    def _halve(self, tried: int, side: int, error: Exception) -> None:
        if tried == 1:
            raise InputError(
                f"one image of {side} x {side} pixels does not fit into the GPU's memory; free some of it, or take a "
                "smaller --test_size or --device cpu"
            ) from error
        self.most = tried // 2
        torch.cuda.empty_cache()
        tqdm.write(
            f"note: {tried} images do not fit into the GPU's memory at once; {self.most} do from here on",
            file=sys.stderr,
        )


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
        InputError: an image cannot be read, unless such are skipped.
        ModelError: the network's output is not finite.
    """
    loader = make_loader(
        Images(paths, options),
        batch_sampler=batches_in_order(len(paths), batch_size=options.batch_size, world=world),
        workers=options.workers,
        device=device,
    )
    forward = FittingBatches(model)
    for batch in load_batches(loader):
        indices = batch["index"].tolist()
        image = normalize(batch["image"].to(device, non_blocking=True)).contiguous(memory_format=torch.channels_last)
        with recorded(model, enabled=options.heatmap) as record, autocast(device, options.amp):
            outputs = forward(image, record=record)
        logits = outputs["out"]
        check_finite(logits, [str(paths[index]) for index in indices])
        heats = heats_of(model, record, logits) if record else {}
        placed = zip(indices, batch["fault"], batch["size"].tolist(), batch["box"].tolist(), strict=True)
        for place, (index, fault, size, box) in enumerate(placed):
            if fault:
                yield ImageMaps(index, {}, fault=fault)
                continue
            placement = Placement(*size, tuple(box))
            probability = placement.paste(probabilities(logits[place], placement.seen))
            spread = (
                placement.paste(upsampled(outputs["spread"][place], placement.seen)) if "spread" in outputs else None
            )
            yield ImageMaps(
                index,
                maps_of(probability, classes=options.classes, minmax=options.minmax),
                largest(probability),
                None if spread is None else spread[0],
                {kind: heat[place] for kind, heat in heats.items()},
            )
