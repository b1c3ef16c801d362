"""Prediction maps of SUN-SEG's test splits: `<out>/<split>/<case>/<frame stem>.png`, at each frame's own size."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from tqdm import tqdm

from lib import Network
from measure.io import FRAMES, images_by_stem, make_folder, read_rgb, split_folders, subfolders

from ..data import network_input
from ..runtime import SINGLE_PROCESS, World, autocast, in_background, prefetch
from .images import WRITERS, PredictOptions
from .postprocess import check_finite, grey_map, write_map
from .streaming import WRITE_EVERY, stream_clips

__all__ = ["AHEAD", "find_clips", "predict_clips"]


AHEAD = 4  # frames that are read ahead of the network, for every clip under way


class Target(NamedTuple):
    """Where a frame's map goes.

    Attributes:
        path: the map's file.
        size: height and width of the frame, pixels.
    """

    path: Path
    size: tuple[int, int]


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
    out: str | Path,
    *,
    options: PredictOptions,
    device: torch.device,
    write_every: int = WRITE_EVERY,
    world: World = SINGLE_PROCESS,
) -> int:
    """Write the map of every frame with a video network; the memory is empty at the start of every clip.

    `options.batch_size` clips run side by side, the longest first, so that few slots idle at the end. The processes
    of `world` take the clips in turn, none twice.

    Args:
        clips: `<split>/<case>` -> stem -> frame (`find_clips`).
        write_every: the memory keeps every such frame of a clip.

    Returns:
        The number of maps.

    Raises:
        InputError: a frame cannot be read or a map cannot be written; the maps written so far stay.
        ModelError: the network's output is not finite.
    """
    model = model.to(device, memory_format=torch.channels_last).eval()
    longest_first = world.shard(sorted(clips, key=lambda name: -len(clips[name])))
    readers = (_read(make_folder(Path(out) / name), clips[name], options.size) for name in longest_first)
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
        for target, logits in answers:
            check_finite(logits[None], [f"{target.path.parent.name}/{target.path.stem}"])
            later(write_map, target.path, grey_map(logits, target.size, minmax=options.minmax))
            bar.update()
    return total


def _read(folder: Path, frames: Mapping[str, Path], size: int) -> Iterator[tuple[Target, Tensor]]:
    for stem, path in frames.items():
        image = read_rgb(path)
        yield Target(folder / f"{stem}.png", image.shape[:2]), network_input(image, size)
