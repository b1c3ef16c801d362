"""Still images and laid-out clips: maps and whatever else is asked for of each, and the record."""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from lib import Network
from measure.io import CommandError, InputError, counted, drop_partials, first_names, refuse_outputs_in_inputs

from ...data import worker_count
from ...runtime import World, choose_device
from ..clips import predict_clips
from ..config import PredictConfig
from ..images import PredictOptions, pick_images, predict_maps
from ..network import TrainedNetwork
from ..outputs import HEAT_FOLDER, ImageFiles, Places
from ..postprocess import map_folders
from ..record import RECORD, clear_record, refuse_truth_beside, write_record
from .networks import running
from .test_sets import TestSets

__all__ = ["write_images"]

DEFAULT_FOLDER = "result"
WRITTEN = {
    True: "min-max normalized one by one as published tables have them, which shows a polyp in every image; "
    "--no-minmax keeps calibrated probabilities",
    False: "255 x probability; --minmax stretches each as published tables have them",
}


def write_images(config: PredictConfig, found: TestSets, networks: Sequence[TrainedNetwork], world: World) -> None:
    """Write what is asked for of images or clips, or one process's part of it, and the record of all."""
    device = choose_device(config.device, config.gpu_id + world.local_rank)
    write = writer_for(networks, found, config)
    networks, network = running(networks, config, device)
    if config.split:
        picked = pick_images(found.images, config.split, place=found.root)
        found = dataclasses.replace(found, images=picked)
    options = image_options(config, network, found.kind, device)
    places = places_of(config)
    outputs = outputs_of(found, places, options)
    check_places(places, outputs, found, config, world)
    if network.classes and places.need_regions and world.is_first:
        tell_merged(network.classes.names)
    clear_leftovers(places, outputs, world)
    files = ImageFiles(places, threshold=config.cut_at, min_region=config.min_region or 0.0, tint=config.tint)
    started = time.perf_counter()
    count = write(network.model, found.images, files, options=options, device=device, world=world)
    files.finish()
    seconds = world.all_reduce_max(time.perf_counter() - started)  # so all maps are there before they are described
    skipped = {path: reason for part in world.all_gather(files.skipped) for path, reason in part.items()}
    for folder in places.record_folders if world.is_first else ():
        write_record(
            folder / RECORD,
            networks,
            config,
            options,
            device=device,
            images=written_by_folder(found.images, skipped),
            seconds=seconds,
            skipped=skipped,
        )
    report(found, places, count - len(skipped), seconds, str(device), options.minmax)
    tell_shares(files.inside)
    if skipped:
        lost = counted(len(skipped), "image could not be read and was", "images could not be read and were", of=count)
        raise CommandError(
            f"{lost} left out: {first_names(list(skipped))}; {places.record_folders[0] / RECORD} says why"
        )


def writer_for(networks: Sequence[TrainedNetwork], found: TestSets, config: PredictConfig) -> Any:
    """Return what writes these networks' maps: of clips for a video network, else of images.

    Raises:
        InputError: a video network without clips, or an option that does not go with the networks.
    """
    model: Network = networks[0].model
    if config.heatmap and (config.runtime not in ("auto", "torch") or not hasattr(model, "head")):
        raise InputError("--heatmap was given with a network outside torch, whose features are not seen; leave one out")
    if config.heatmap and config.cuda_graphs:
        raise InputError("--heatmap was given with --cuda_graphs, whose features are not seen; leave one out")
    if config.heatmap and (len(networks) > 1 or config.averages):
        raise InputError("--heatmap was given where answers are averaged; it shows what one network sees in one view")
    if config.uncertainty and len(networks) == 1 and not config.averages:
        raise InputError(
            "--uncertainty was given with one network that is asked once, which cannot disagree; give several "
            "--model_state_dict_path, --flips or --scales"
        )
    if model.kind == "image":
        return predict_maps
    if found.kind == "folders":
        raise InputError(
            f"{model.name} is a video network and --input {found.root} names several inputs; give one: a video, a "
            "folder of frames, a pattern of them in quotes or a list (.txt)"
        )
    if found.kind != "clips":
        raise InputError(
            f"{model.name} is a video network and {found.root} holds no clips; "
            "expected <split>/Frame/<case>/<frame>.jpg, or give --input"
        )
    for flag in ("split", "heatmap", "uncertainty"):
        if getattr(config, flag):
            raise InputError(
                f"--{flag} was given with {model.name}, a video network; it is for networks of still images"
            )
    return predict_clips


def image_options(config: PredictConfig, network: TrainedNetwork, kind: str, device: torch.device) -> PredictOptions:
    """How images are read and segmented; `kind` is that of the `TestSets`."""
    return PredictOptions(
        size=network.size,
        batch_size=config.batch_size,
        minmax=(kind != "folders" and not network.classes) if config.minmax is None else config.minmax,
        amp=config.amp,
        workers=worker_count(config.workers, device),
        classes=network.classes,
        heatmap=config.heatmap,
        crop_border=config.crop_border,
        skip_unreadable=kind == "folders",
    )


def places_of(config: PredictConfig) -> Places:
    """Where the options say that results of images go; maps where nothing says otherwise."""
    named = {name: getattr(config, name) for name in ("masks", "overlay", "uncertainty", "contours", "table")}
    maps = config.pred_save_path
    if not maps and (config.input is None or config.heatmap or not any(named.values())):
        maps = DEFAULT_FOLDER
    asked = {name: Path(place) if place else None for name, place in named.items()}
    return Places(maps=Path(maps) if maps else None, heatmap=Path(maps) if config.heatmap else None, **asked)


def outputs_of(found: TestSets, places: Places, options: PredictOptions) -> list[Path]:
    """The folders that are going to be written, or the files of single images, and the record."""
    roots = [folder for kind, folder in places.folders.items() if kind not in ("maps", "heatmap")]
    roots += [places.maps / kind for kind in map_folders(options.classes)] if places.maps else []
    roots += [places.maps / HEAT_FOLDER] if options.heatmap else []
    if found.kind == "folders" or Path(found.root).is_file():
        return [root / name / f"{stem}.png" for root in roots for name in found.images for stem in found.images[name]]
    folders = [root / name for root in roots for name in found.images]
    return [*(folder / RECORD for folder in places.record_folders), *folders, *places.single_files]


def check_places(places: Places, outputs: Sequence[Path], found: TestSets, config: PredictConfig, world: World) -> None:
    """Refuse places where results would replace what was read, or true masks, or what another process writes.

    Raises:
        InputError: one of them is such a place.
    """
    refuse_outputs_in_inputs(outputs, found.read)
    read = [path for images in found.images.values() for path in images.values()]
    refuse_truth_beside(read, outputs, [*places.folders.values()], config.layout)
    if world.size > 1 and places.single_files:
        raise InputError(
            f"--contours or --table was given to {world.size} processes; one process writes them, drop torchrun"
        )
    places.check_single_files()


def clear_leftovers(places: Places, outputs: Sequence[Path], world: World) -> None:
    """Make the folders of records, without an earlier run's, and take away what a killed run has left unfinished."""
    for folder in places.record_folders if world.is_first else ():
        clear_record(folder)
    if world.size == 1:  # of several, one may write already
        for folder in {place if place.is_dir() else place.parent for place in outputs}:
            drop_partials(folder)


def written_by_folder(images: Mapping[str, Mapping[str, Path]], skipped: Mapping[str, str]) -> dict[str, int]:
    """How many images were read and written, by set or folder; `skipped` has the paths of the others."""
    return {name or ".": sum(str(path) not in skipped for path in paths.values()) for name, paths in images.items()}


def tell_merged(names: Sequence[str]) -> None:
    """Say that what is made of regions does not tell classes apart."""
    print(
        f"note: masks, overlays, outlines and the table are of polyp of whatever class ({', '.join(names)}); the maps "
        "in --pred_save_path tell them apart",
        file=sys.stderr,
    )


def report(found: TestSets, places: Places, count: int, seconds: float, device: str, minmax: bool) -> None:
    """Say in a line what was written."""
    rate = f"{count / seconds:.1f} images/s on {device}"
    if places.maps:
        told = f"{counted(count, 'map')} of {counted(len(found.images), found.kind.removesuffix('s'))}"
        print(f"{told} in {places.maps} ({rate}): {WRITTEN[minmax]}")
    folders = [folder for kind, folder in places.folders.items() if kind != "maps"]
    written = ", ".join(map(str, [*folders, *places.single_files]))
    if places.maps and written:
        print(f"beside the maps: {written}")
    elif written:
        print(f"{counted(count, 'image')} to {written} ({rate})")


def tell_shares(inside: Mapping[str, Mapping[str, float]]) -> None:
    """Say how much of the heat lies inside the masks, where images have some; of one process's images."""
    for kind in ("probability", "features"):
        shares = [found[kind] for found in inside.values() if kind in found]
        if shares:
            mean = sum(shares) / len(shares)
            print(
                f"of the heat of {kind}, {mean:.1%} lies inside the masks (mean over {counted(len(shares), 'image')})"
            )
