"""What myTest.py does, from its options to maps, a record beside them and a line on the terminal.

Here alone it is decided whether a network is given images or clips; how it runs on frames is `streaming`'s.
"""

from __future__ import annotations

import dataclasses
import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from lib import Network
from measure.io import (
    STILLS,
    InputError,
    Layout,
    drop_partials,
    limit_megapixels,
    make_folder,
    refuse_outputs_in_inputs,
    write_json,
)

from ..data import worker_count
from ..runtime import World, choose_device, network_options, versions
from .clips import find_clips, predict_clips
from .config import PredictConfig
from .heatmaps import FOLDER
from .images import PredictOptions, find_sets, pick_images, predict_maps
from .network import TrainedNetwork, load_network
from .postprocess import map_folders
from .video import VideoOptions, predict_video
from .video_source import open_source

__all__ = ["TestSets", "find_test_sets", "predict"]

RECORD = "predict.json"  # beside the maps: what made them
NETWORK = "sepnet"  # where neither the weights nor the flags name one, as the released script has it
WRITTEN = {
    True: "min-max normalized one by one as published tables have them, which shows a polyp in every image; "
    "--no-minmax keeps calibrated probabilities",
    False: "255 x probability; --minmax stretches each as published tables have them",
}


def predict(config: PredictConfig, world: World) -> None:
    """Do what the options ask for.

    Raises:
        InputError, ModelError: an option, a folder, a file or weights that cannot be used.
        Stopped: a signal ended a video; what was done so far is kept.
    """
    limit_megapixels(config.max_megapixels)
    write_video(config, world) if config.input else write_maps(config, world)


@dataclass(frozen=True)
class TestSets:
    """What was found to be tested on.

    Attributes:
        root: where it lies, as it was given.
        images: set, or `<split>/<case>`, -> stem -> image file.
        kind: "sets" of images, or "clips".
    """

    root: str
    images: Mapping[str, Mapping[str, Path]]
    kind: str


def find_test_sets(root: str, layout: Layout = STILLS) -> TestSets:
    """Find sets of images, clips laid out as SUN-SEG's, or one image, at or below `root`.

    Args:
        root: a folder, or an image file.
        layout: see `find_sets`.

    Raises:
        InputError: there are none.
    """
    clips = {} if Path(root).is_file() else find_clips(root)
    images = clips or find_sets(root, layout)
    return TestSets(root, images, "clips" if clips else "sets")


def write_maps(config: PredictConfig, world: World) -> None:
    """Write the maps of test sets, or one process's part of them, and the record of all."""
    device = choose_device(config.device, config.gpu_id + world.local_rank)
    found = find_test_sets(config.test_data_path, config.layout)
    network = network_of(config)
    write = writer_for(network.model, found, config)
    if config.split:
        picked = pick_images(found.images, config.split, place=found.root)
        found = dataclasses.replace(found, images=picked)
    minmax = not network.classes if config.minmax is None else config.minmax
    options = PredictOptions(
        size=network.size,
        batch_size=config.batch_size,
        minmax=minmax,
        amp=config.amp,
        workers=worker_count(config.workers, device),
        classes=network.classes,
        heatmap=config.heatmap,
    )
    out = Path(config.pred_save_path)
    places = outputs_of(found, out, options)
    refuse_outputs_in_inputs(places, [found.root])
    if world.is_first:
        clear_record(out)
    if world.size == 1:  # of several, one may write already
        for place in places:
            drop_partials(place if place.is_dir() else place.parent)
    started = time.perf_counter()
    count = write(network.model, found.images, out, options=options, device=device, world=world)
    seconds = world.all_reduce_max(time.perf_counter() - started)  # so all maps are there before they are described
    if world.is_first:
        counts = {name: len(images) for name, images in found.images.items()}
        write_record(out, network, config, options, device=device, images=counts, seconds=seconds)
    rate = f"{count / seconds:.1f} images/s on {device}"
    print(f"{count} maps of {len(found.images)} {found.kind} in {out} ({rate}): {WRITTEN[minmax]}")


def writer_for(model: Network, found: TestSets, config: PredictConfig) -> Any:
    """Return what writes this network's maps: of clips for a video network, else of images.

    Raises:
        InputError: a video network without clips, or an option that only networks of images have.
    """
    if model.kind == "image":
        return predict_maps
    if found.kind != "clips":
        raise InputError(
            f"{model.name} is a video network and {found.root} holds no clips; "
            "expected <split>/Frame/<case>/<frame>.jpg, or give --input"
        )
    for flag in ("split", "heatmap"):
        if getattr(config, flag):
            raise InputError(
                f"--{flag} was given with {model.name}, a video network; it is for networks of still images"
            )
    return predict_clips


def write_video(config: PredictConfig, world: World) -> None:
    """Segment a video, a folder of frames, an image or a camera."""
    if world.size > 1:
        raise InputError(f"--input was given to {world.size} processes; a video is the work of one, drop torchrun")
    device = choose_device(config.device, config.gpu_id)
    refuse_outputs_in_inputs([place for place in (config.overlay, config.masks) if place], [config.input])
    source = open_source(config.input, rate=config.frame_rate)
    if config.masks and Path(config.input).is_file():  # a mask may be named like a single image beside it
        refuse_outputs_in_inputs([Path(config.masks) / f"{Path(config.input).stem}.png"], [config.input])
    network = network_of(config)
    options = VideoOptions(
        size=network.size,
        minmax=bool(config.minmax),
        amp=config.amp,
        tint=config.tint,
        show_rate=config.show_rate,
    )
    if config.masks:
        clear_record(config.masks)
    started = time.perf_counter()
    count = predict_video(
        network.model, source, options=options, device=device, overlay=config.overlay, masks=config.masks
    )
    seconds = time.perf_counter() - started
    if config.masks:
        write_record(
            Path(config.masks), network, config, options, device=device, images={source.name: count}, seconds=seconds
        )
    skipped = f", {len(source.skipped)} skipped" if source.skipped else ""
    print(f"{count} frames of {source.name}{skipped} ({count / seconds:.1f} frames/s on {device})")


def network_of(config: PredictConfig) -> TrainedNetwork:
    """The network that the weights or the options name."""
    return load_network(
        config.model_state_dict_path,
        name=config.model,
        fallback=NETWORK,
        options=network_options(config),
        size=config.test_size,
        size_flag="--test_size",
    )


def outputs_of(found: TestSets, out: Path, options: PredictOptions) -> list[Path]:
    """The folders that are going to be written, or the maps of a single image, and the record."""
    kinds = [*map_folders(options.classes), *([FOLDER] if options.heatmap else [])]
    folders = {name: [out / kind / name for kind in kinds] for name in found.images}
    if Path(found.root).is_file():
        return [folder / f"{stem}.png" for name in folders for folder in folders[name] for stem in found.images[name]]
    return [out / RECORD, *(folder for each in folders.values() for folder in each)]


def clear_record(folder: str | Path) -> None:
    """Make a folder for maps, without the record of an earlier run: it would describe the maps of this one.

    Raises:
        InputError: the folder cannot be made or written to.
    """
    (make_folder(folder) / RECORD).unlink(missing_ok=True)


def write_record(
    folder: Path,
    network: TrainedNetwork,
    config: PredictConfig,
    options: PredictOptions | VideoOptions,
    *,
    device: torch.device,
    images: Mapping[str, int],
    seconds: float,
) -> None:
    """Write what made the maps in a folder beside them.

    Args:
        device: what ran the network.
        images: their number by set, clip or video.
        seconds: how long it took.
    """
    record = {
        "weights": str(network.path),
        "weights_sha256": hashlib.sha256(network.path.read_bytes()).hexdigest(),
        "model": {"name": network.model.name, "options": dataclasses.asdict(network.model.config)},
        "options": dataclasses.asdict(options),
        "test_data_path": config.input or config.test_data_path,
        "split": config.split,
        "images": dict(images),
        "seconds": round(seconds, 3),
        "device": str(device),
        "versions": versions(),
    }
    write_json(record, folder / RECORD)
