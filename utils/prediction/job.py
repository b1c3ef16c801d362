"""What myTest.py does, from its options to files, a record beside them and a line on the terminal.

Here alone it is decided whether a network is given images or clips; how it runs on frames is `streaming`'s.
"""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lib import Network
from measure.io import (
    STILLS,
    CommandError,
    InputError,
    Layout,
    counted,
    drop_partials,
    first_names,
    limit_megapixels,
    make_folder,
    refuse_outputs_in_inputs,
)

from ..data import worker_count
from ..runtime import World, choose_device, network_options
from .averaging import averaged
from .clips import find_clips, predict_clips
from .config import PredictConfig
from .images import PredictOptions, find_sets, pick_images, predict_maps
from .inputs import FolderSource, find_images, is_moving, open_source
from .network import TrainedNetwork
from .outputs import HEAT_FOLDER, ImageFiles, Places, best_threshold
from .postprocess import map_folders
from .record import RECORD, refuse_truth_beside, write_record
from .runtimes import check_runtime, load_all, with_runtime
from .video import FrameTimes, VideoOptions, predict_video

__all__ = ["TestSets", "find_test_sets", "predict"]

NETWORK = "sepnet"  # where neither the weights nor the flags name one, as the released script has it
DEFAULT_FOLDER = "result"
WRITTEN = {
    True: "min-max normalized one by one as published tables have them, which shows a polyp in every image; "
    "--no-minmax keeps calibrated probabilities",
    False: "255 x probability; --minmax stretches each as published tables have them",
}


def predict(config: PredictConfig, world: World) -> None:
    """Do what the options ask for.

    Raises:
        InputError, ModelError: an option, a folder, a file or weights that cannot be used.
        CommandError: images of --input that could not be read were left out; the others are done.
        Stopped: a signal ended a video; what was done so far is kept.
    """
    limit_megapixels(config.max_megapixels)
    check_runtime(config.runtime)
    if config.threshold_from:
        tell_threshold(config.threshold_from)
    single = config.input is not None and len(config.input) == 1
    if single and (config.draws_video or is_moving(config.input)):
        write_video(config, None, world)
        return
    found = find_inputs(config) if config.input else find_test_sets(config.test_data_path, config.layout)
    networks = networks_of(config)
    if single and networks[0].model.kind == "video":
        write_video(config, networks, world)
    else:
        write_images(config, found, networks, world)


def tell_threshold(path: str) -> None:
    """Say which threshold a file of scores tells, before anything is done with it."""
    found = best_threshold(path)
    told = f"the threshold is {found.threshold:.4g}, where mean Dice was {found.dice:.4f} on {found.images} images"
    print(f"note: {told} ({path})", file=sys.stderr)


@dataclass(frozen=True)
class TestSets:
    """What was found to be predicted.

    Attributes:
        root: where it lies, as it was given.
        images: set, folder of the results, or `<split>/<case>`, -> stem -> image file.
        kind: "sets" of images, "folders" of them (--input), or "clips".
        read: files and folders that nothing may be written to.
    """

    root: str
    images: Mapping[str, Mapping[str, Path]]
    kind: str
    read: Sequence[Path]


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
    return TestSets(root, images, "clips" if clips else "sets", [Path(root)])


def find_inputs(config: PredictConfig) -> TestSets:
    """Find the images of --input; see `find_images`."""
    trees = [Path(word) for word in config.input if Path(word).is_dir()]
    named = (config.pred_save_path, config.masks, config.overlay, config.uncertainty, config.contours, config.table)
    refuse_outputs_in_inputs([place for place in named if place], trees)
    found = find_images(config.input, config.layout)
    if found.passed_over:
        told = ", ".join(f"{count} {suffix}" for suffix, count in found.passed_over.items())
        print(f"note: passed over {told}: files of kinds that are no images here", file=sys.stderr)
    files = [path for images in found.by_folder.values() for path in images.values()]
    return TestSets(" ".join(config.input), found.by_folder, "folders", [*found.trees, *files])


def write_images(config: PredictConfig, found: TestSets, networks: Sequence[TrainedNetwork], world: World) -> None:
    """Write what is asked for of images or clips, or one process's part of it, and the record of all."""
    device = choose_device(config.device, config.gpu_id + world.local_rank)
    write = writer_for(networks, found, config)
    how = {"amp": config.amp, "cuda_graphs": config.cuda_graphs}
    networks = [with_runtime(each, config.runtime, device, **how) for each in networks]
    network = averaged(networks, config)
    if config.split:
        picked = pick_images(found.images, config.split, place=found.root)
        found = dataclasses.replace(found, images=picked)
    options = PredictOptions(
        size=network.size,
        batch_size=config.batch_size,
        minmax=(found.kind != "folders" and not network.classes) if config.minmax is None else config.minmax,
        amp=config.amp,
        workers=worker_count(config.workers, device),
        classes=network.classes,
        heatmap=config.heatmap,
        crop_border=config.crop_border,
        skip_unreadable=found.kind == "folders",
    )
    places = places_of(config)
    outputs = outputs_of(found, places, options)
    refuse_outputs_in_inputs(outputs, found.read)
    read = [path for images in found.images.values() for path in images.values()]
    refuse_truth_beside(read, outputs, [*places.folders.values()], config.layout)
    if world.size > 1 and places.single_files:
        raise InputError(
            f"--contours or --table was given to {world.size} processes; one process writes them, drop torchrun"
        )
    places.check_single_files()
    if network.classes and places.need_regions and world.is_first:
        tell_merged(network.classes.names)
    for folder in places.record_folders if world.is_first else ():
        clear_record(folder)
    if world.size == 1:  # of several, one may write already
        for folder in {place if place.is_dir() else place.parent for place in outputs}:
            drop_partials(folder)
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


def write_video(config: PredictConfig, networks: Sequence[TrainedNetwork] | None, world: World) -> None:
    """Segment a video, frames of a folder, a list or a pattern, an image or a camera."""
    config.check_for_frames()
    if world.size > 1:
        raise InputError(f"--input was given to {world.size} processes; a video is the work of one, drop torchrun")
    device = choose_device(config.device, config.gpu_id)
    (given,) = config.input
    folders = [Path(place) for place in (config.masks, config.pred_save_path) if place]
    refuse_outputs_in_inputs([*folders, *([config.overlay] if config.overlay else [])], [given])
    source = open_source(given, rate=config.frame_rate)
    frames = source.frames if isinstance(source, FolderSource) else {}
    # a mask may be named like an image beside it
    refuse_outputs_in_inputs([folder / f"{stem}.png" for folder in folders for stem in frames], frames.values())
    refuse_truth_beside([*frames.values()] or [Path(given)], folders, folders)
    networks = networks or networks_of(config)
    how = {"amp": config.amp, "cuda_graphs": config.cuda_graphs}
    networks = [with_runtime(each, config.runtime, device, many=True, **how) for each in networks]
    network = averaged(networks, config)
    options = VideoOptions(
        size=network.size,
        minmax=bool(config.minmax),
        amp=config.amp,
        tint=config.tint,
        show_rate=config.show_rate,
        threshold=config.cut_at,
        min_region=config.min_region or 0.0,
        crop_border=config.crop_border,
        smoothing=config.smoothing,
    )
    times = FrameTimes()
    records = [folder / RECORD for folder in folders] or [Path(config.overlay).with_suffix(f".{RECORD}")]
    for record in records:
        clear_record(record.parent, record.name)
    started = time.perf_counter()
    count = predict_video(
        network.model,
        source,
        options=options,
        device=device,
        overlay=config.overlay,
        masks=config.masks,
        maps=config.pred_save_path,
        times=times,
    )
    seconds = time.perf_counter() - started
    images, skipped = {source.name: count}, dict.fromkeys(source.skipped, "it cannot be decoded")
    for record in records:
        write_record(
            record,
            networks,
            config,
            options,
            device=device,
            images=images,
            seconds=seconds,
            skipped=skipped,
            milliseconds=times.summary(),
        )
    told = f", {len(source.skipped)} skipped" if source.skipped else ""
    print(f"{counted(count, 'frame')} of {source.name}{told} ({count / seconds:.1f} frames/s on {device})")


def networks_of(config: PredictConfig) -> list[TrainedNetwork]:
    """The networks that the weights or the options name."""
    return load_all(
        config.model_state_dict_path or (None,),
        name=config.model,
        fallback=NETWORK,
        options=network_options(config),
        size=config.test_size,
        size_flag="--test_size",
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


def clear_record(folder: str | Path, name: str = RECORD) -> None:
    """Make a folder for results, without the record of an earlier run: it would describe those of this one.

    Raises:
        InputError: the folder cannot be made or written to.
    """
    (make_folder(folder) / name).unlink(missing_ok=True)
