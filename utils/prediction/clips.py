"""Prediction maps of SUN-SEG's test splits: `<out>/<split>/<case>/<frame stem>.png`, at each frame's own size."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from tqdm import tqdm

from lib import Network
from measure.io import FRAMES, images_by_stem, read_rgb, split_folders, subfolders

from ..data import normalize
from ..runtime import SINGLE_PROCESS, World, autocast, in_background, prefetch
from .config import WRITE_EVERY
from .images import WRITERS, ImageMaps, PredictOptions
from .inputs import Placement, prepared
from .outputs import ImageFiles, Places
from .postprocess import check_finite, largest, maps_of, probabilities
from .streaming import stream_clips

__all__ = ["AHEAD", "find_clips", "predict_clips"]


AHEAD = 4  # frames that are read ahead of the network, for every clip under way


class Target(NamedTuple):
    """A frame whose map is under way.

    Attributes:
        name: `<split>/<case>/<stem>`.
        path: the frame's file.
        placement: where the part that the network sees lies in it.
    """

    name: str
    path: Path
    placement: Placement


def find_clips(root: str | Path) -> dict[str, dict[str, Path]]:
    """Find the clips to test on: `<split>/<case>` -> stem -> frame; masks are not looked for.

    `root` may be a split (it has Frame/) or hold splits up to two levels below, such as TestEasyDataset/Seen. A
    TrainDataset below it is passed over. Empty where nothing is laid out so.

    Raises:
        InputError: `root` is missing, or a case has no frames.
    """
    return {
        f"{name}/{case}": images_by_stem(frames / case)
        for name, frames in split_folders(root, FRAMES).items()
        for case in subfolders(frames)
    }


def predict_clips(
    model: Network,
    clips: Mapping[str, Mapping[str, Path]],
    out: str | Path | ImageFiles,
    *,
    options: PredictOptions,
    device: torch.device,
    write_every: int = WRITE_EVERY,
    world: World = SINGLE_PROCESS,
) -> int:
    """Write what is asked for of every frame with a video network; the memory is empty at the start of every clip.

    `options.batch_size` clips run side by side, the longest first, so that few slots idle at the end. The processes
    of `world` take the clips in turn, none twice.

    Args:
        clips: `<split>/<case>` -> stem -> frame (`find_clips`).
        out: what is written where; a folder: maps alone.
        write_every: the memory keeps every such frame of a clip.

    Returns:
        The number of frames.

    Raises:
        InputError: a frame cannot be read or a map cannot be written; the maps written so far stay.
        ModelError: the network's output is not finite.
    """
    model = model.to(device, memory_format=torch.channels_last).eval()
    files = out if isinstance(out, ImageFiles) else ImageFiles(Places(maps=Path(out)))
    longest_first = world.shard(sorted(clips, key=lambda name: -len(clips[name])))
    readers = (_read(name, clips[name], options) for name in longest_first)
    answers = stream_clips(
        model,
        (prefetch(reader, AHEAD) for reader in readers),
        slots=min(options.batch_size, len(clips)),
        write_every=write_every,
        amp=autocast(device, options.amp),
    )
    total = sum(len(frames) for frames in clips.values())
    bar = tqdm(total=total, desc="maps", unit="frame", disable=world.disable_progress)
    with bar, in_background(threads=WRITERS) as later:
        for number, (target, logits) in enumerate(answers):
            check_finite(logits[None], [target.name])
            probability = target.placement.paste(probabilities(logits, target.placement.seen))
            maps = maps_of(probability, classes=None, minmax=options.minmax)
            later(files.write, target.name, target.path, ImageMaps(number, maps, largest(probability)))
            bar.update()
    return total


def _read(clip: str, frames: Mapping[str, Path], options: PredictOptions) -> Iterator[tuple[Target, Tensor]]:
    for stem, path in frames.items():
        image, placement = prepared(read_rgb(path), options.size, crop_border=options.crop_border)
        yield Target(f"{clip}/{stem}", path, placement), normalize(image[None])[0]
