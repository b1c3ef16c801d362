"""Write prediction maps: python myTest.py --model_state_dict_path best.pth --test_data_path data/TestDataset

Or draw what it sees into a video: python myTest.py --model_state_dict_path best.pth --input clip.mp4 --overlay out.mp4
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from lib import create_model, load_weights, model_entry, read_checkpoint
from measure.io import Classes, CommandParser, InputError, make_folder, parse_classes, replace_when_whole
from utils.commands import add_device_flags, add_model_flags, model_options
from utils.data import worker_count
from utils.prediction import (
    PredictOptions,
    VideoOptions,
    find_clips,
    find_sets,
    open_source,
    pick_images,
    predict_clips,
    predict_maps,
    predict_video,
    write_heat_maps,
)
from utils.runtime import World, choose_device, join, run, versions, world
from utils.training import is_resumable, recipe_for


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = CommandParser(description=__doc__)
    files = parser.add_argument_group("files")
    files.add_argument("--model_state_dict_path", default="checkpoint/run/best.pth", help="weights: ours or published")
    files.add_argument(
        "--test_data_path",
        default="data/TestDataset",
        help="a folder of sets with images/ each, one set, a folder of images, or SUN-SEG's splits with Frame/ each",
    )
    files.add_argument("--split", help="only the images that this file names, one a line (see utils.commands.split)")
    files.add_argument(
        "--pred_save_path",
        default="result",
        help="maps go to <pred_save_path>/<set>/<stem>.png; of several classes to <class>/, merged/ and labels/ in it",
    )
    video = parser.add_argument_group("video")
    video.add_argument(
        "--input", help="a video file, a folder of frames or the number of a camera, in place of a test set"
    )
    video.add_argument("--overlay", help="video to write: the input with the outline of what the network sees")
    video.add_argument("--masks", help="folder for the mask of every frame, PNG, 0 or 255")
    video.add_argument("--tint", action="store_true", help="colour the overlay by the probability")
    video.add_argument(
        "--show_rate", action=argparse.BooleanOptionalAction, default=True, help="write the frames a second into it"
    )
    video.add_argument(
        "--frame_rate", type=float, help="of the overlay, frames a second (default: the input's, else 25)"
    )
    maps = parser.add_argument_group("maps")
    maps.add_argument(
        "--test_size", type=int, help="input height and width, pixels (default: as trained, else the recipe's)"
    )
    maps.add_argument("--batch_size", type=int, default=8, help="images a forward, or clips side by side")
    maps.add_argument(
        "--minmax",
        action=argparse.BooleanOptionalAction,
        help="stretch every map to full range, as published maps are; --no-minmax keeps calibrated probabilities "
        "(default: maps of test sets are stretched, videos and maps of several classes are not)",
    )
    maps.add_argument(
        "--heatmap",
        action="store_true",
        help="also draw probability and features over the images: heatmap/<set>/<stem>_probability.png, _features.png",
    )
    add_model_flags(parser)
    add_device_flags(parser)
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    processes = world()

    def start() -> None:
        args = parse_args(argv)
        with join(processes):
            write_video(args, processes) if args.input else write_maps(args, processes)

    return run(start)


def write_maps(args: argparse.Namespace, processes: World) -> None:
    """Write the maps of test sets, or one process's part of them, and predict.json beside them.

    Raises:
        InputError, ModelError: a flag, a folder, a file or weights that cannot be used.
    """
    device = choose_device(args.device, args.gpu_id + processes.local_rank)
    clips = find_clips(args.test_data_path)
    sets = clips or find_sets(args.test_data_path)
    sets = pick_images(sets, args.split, place=args.test_data_path) if args.split else sets
    checkpoint = read_checkpoint(args.model_state_dict_path)
    model = build_model(args, checkpoint)
    options = predict_options(args, checkpoint, model, device)
    is_video = model.kind == "video"
    if is_video:
        check_video_flags(args, model.name, has_clips=bool(clips))
    out = make_folder(args.pred_save_path)
    started = time.perf_counter()
    predict = predict_clips if is_video else predict_maps
    count = predict(model, sets, out, options=options, device=device, world=processes)
    seconds = processes.all_reduce_max(time.perf_counter() - started)  # so all maps are there before they are described
    if processes.is_first:
        describe(out, args, model, options, sets={name: len(images) for name, images in sets.items()}, seconds=seconds)
    kind = "clips" if clips else "sets"
    print(f"{count} maps of {len(sets)} {kind} in {out} ({count / seconds:.1f} images/s on {device})")
    if args.heatmap:
        write_heat_maps(model, sets, out, options=options, device=device, world=processes)


def check_video_flags(args: argparse.Namespace, name: str, *, has_clips: bool) -> None:
    """Refuse what a video network cannot do.

    Raises:
        InputError: there are no clips, or a flag is for still images.
    """
    if not has_clips:
        raise InputError(
            f"{name} is a video network and {args.test_data_path} holds no clips; "
            "expected <split>/Frame/<case>/<frame>.jpg, or give --input"
        )
    for flag in ("split", "heatmap"):
        if getattr(args, flag):
            raise InputError(f"--{flag} was given with {name}, a video network; it is for networks of still images")


def write_video(args: argparse.Namespace, processes: World) -> None:
    """Segment a video, a folder of frames or a camera as the flags say.

    Raises:
        InputError, ModelError: a flag, a file or weights that cannot be used.
        Stopped: Ctrl-C; what was done so far is kept.
    """
    if processes.size > 1:
        raise InputError(f"--input was given to {processes.size} processes; a video is the work of one, drop torchrun")
    if not (args.overlay or args.masks):
        raise InputError("--input was given without --overlay FILE or --masks FOLDER; name at least one of them")
    for flag, place in (("overlay", args.overlay), ("masks", args.masks)):
        if place and Path(place).resolve() == Path(args.input).resolve():
            raise InputError(f"--{flag} {place} is the input itself; choose another place")
    device = choose_device(args.device, args.gpu_id)
    source = open_source(args.input, rate=args.frame_rate)
    checkpoint = read_checkpoint(args.model_state_dict_path)
    model = build_model(args, checkpoint)
    maps = predict_options(args, checkpoint, model, device)
    options = VideoOptions(size=maps.size, minmax=maps.minmax, amp=maps.amp, tint=args.tint, show_rate=args.show_rate)
    started = time.perf_counter()
    count = predict_video(model, source, options=options, device=device, overlay=args.overlay, masks=args.masks)
    seconds = time.perf_counter() - started
    if args.masks:
        describe(Path(args.masks), args, model, maps, sets={source.name: count}, seconds=seconds)
    lost = f", {len(source.lost)} passed over" if source.lost else ""
    print(f"{count} frames of {source.name}{lost} ({count / seconds:.1f} frames/s on {device})")


def build_model(args: argparse.Namespace, checkpoint: dict[str, Any]) -> nn.Module:
    """Build the inference network that the checkpoint (or the flags) describe, and load the weights."""
    former = checkpoint["config"]["model"] if is_resumable(checkpoint) else {"name": args.model, "options": {}}
    name = former["name"]
    options = {**former["options"], **model_options(args)}
    if "aux" in model_entry(name).options:
        options["aux"] = False
    model = create_model(name, **options)
    load_weights(model, args.model_state_dict_path)
    return model


def predict_options(
    args: argparse.Namespace, checkpoint: dict[str, Any], model: nn.Module, device: torch.device
) -> PredictOptions:
    """Choose the input size (given, as trained, or the recipe's) and check it."""
    recipe = recipe_for(model.name)
    trained = checkpoint["config"]["flags"]["train_size"] if is_resumable(checkpoint) else recipe.config.train_size
    size = args.test_size or trained
    model.check_side(size, flag="--test_size")
    if args.batch_size < 1:
        raise InputError(f"--batch_size {args.batch_size} was given; it must be at least 1")
    classes = trained_classes(checkpoint)
    return PredictOptions(
        size=size,
        batch_size=args.batch_size,
        minmax=not (args.input or classes) if args.minmax is None else args.minmax,
        amp=args.amp,
        workers=worker_count(args.workers, device),
        classes=classes,
    )


def trained_classes(checkpoint: dict[str, Any]) -> Classes | None:
    """The classes a run of ours was trained on; None where it learned polyp alone."""
    texts = checkpoint["config"]["flags"].get("classes") if is_resumable(checkpoint) else None
    return parse_classes(texts) if texts else None


def describe(
    out: Path,
    args: argparse.Namespace,
    model: nn.Module,
    options: PredictOptions,
    *,
    sets: dict[str, int],
    seconds: float,
) -> None:
    """Write predict.json: what made these maps."""
    weights = Path(args.model_state_dict_path)
    description = {
        "weights": str(weights),
        "weights_sha256": hashlib.sha256(weights.read_bytes()).hexdigest(),
        "model": {"name": model.name, "options": dataclasses.asdict(model.config)},
        "options": dataclasses.asdict(options),
        "test_data_path": args.input or args.test_data_path,
        "split": args.split,
        "images": sets,
        "seconds": round(seconds, 3),
        "device": args.device,
        "versions": versions(),
    }
    with replace_when_whole(out / "predict.json") as partial:
        partial.write_text(json.dumps(description, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
