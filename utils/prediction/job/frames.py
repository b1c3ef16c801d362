"""A video, a camera, or frames in files: maps, masks and an overlay of them, and the record."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from measure.io import InputError, counted, refuse_outputs_in_inputs

from ...runtime import World, choose_device
from ..config import PredictConfig
from ..inputs import FolderSource, open_source
from ..network import TrainedNetwork
from ..record import RECORD, clear_record, refuse_truth_beside, write_record
from ..video import FrameTimes, VideoOptions, predict_video
from .networks import networks_of, running

__all__ = ["write_video"]


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
    networks, network = running(networks or networks_of(config), config, device, many=True)
    options = video_options(config, network.size)
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


def video_options(config: PredictConfig, size: int) -> VideoOptions:
    """How frames are segmented and drawn; `size` is the network's input, pixels."""
    return VideoOptions(
        size=size,
        minmax=bool(config.minmax),
        amp=config.amp,
        tint=config.tint,
        show_rate=config.show_rate,
        threshold=config.cut_at,
        min_region=config.min_region or 0.0,
        crop_border=config.crop_border,
        smoothing=config.smoothing,
    )
