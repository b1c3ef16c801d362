"""`predict.json`: what made the results that it lies beside; a folder without it may hold the truth of others."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from measure.io import STILLS, InputError, Layout, first_names, make_folder, write_json

from ..runtime import versions
from .config import MapOptions, PredictConfig
from .images import PredictOptions
from .network import TrainedNetwork
from .video import VideoOptions

__all__ = ["RECORD", "clear_record", "refuse_truth_beside", "write_record"]

RECORD = "predict.json"


def write_record(
    path: Path,
    networks: Sequence[TrainedNetwork],
    config: PredictConfig,
    options: PredictOptions | VideoOptions,
    *,
    device: torch.device,
    images: Mapping[str, int],
    seconds: float,
    skipped: Mapping[str, str],
    milliseconds: Mapping[str, Mapping[str, float]] | None = None,
) -> None:
    """Write what made the results.

    Args:
        path: the file.
        networks: all that were asked; of several, their files, hashes and sizes are lists.
        config: what was asked for.
        options: how it was done.
        device: what ran the networks.
        images: how many were read and written, by set, folder, clip or video.
        seconds: how long it took.
        skipped: the others, which could not be read, with the reason.
        milliseconds: of frames, their median and 95th and 99th percentile (`FrameTimes`).

    Raises:
        InputError: the file cannot be written.
    """
    first = networks[0].model
    weights = [str(network.path) for network in networks]
    hashes = [network.weights_sha256 for network in networks]
    asked = MapOptions.from_flags(config.flags()).flags() | {"threshold": config.cut_at}
    record: dict[str, Any] = {
        "weights": weights if len(networks) > 1 else weights[0],
        "weights_sha256": hashes if len(networks) > 1 else hashes[0],
        "model": {"name": first.name, "options": dataclasses.asdict(first.config)},
        "options": asked | dataclasses.asdict(options),
        "test_data_path": " ".join(config.input) if config.input else config.test_data_path,
        "split": config.split,
        "images": dict(images),
        "skipped": dict(skipped),
        "seconds": round(seconds, 3),
        **({"milliseconds": milliseconds} if milliseconds else {}),
        "device": str(device),
        "runtime": str(getattr(first.config, "runtime", "torch")),
        "cuda_graphs": config.cuda_graphs,
        "versions": versions(),
    }
    write_json(record, path)


def clear_record(folder: str | Path, name: str = RECORD) -> None:
    """Make a folder for results, without the record of an earlier run: it would describe those of this one.

    Raises:
        InputError: the folder cannot be made or written to.
    """
    (make_folder(folder) / name).unlink(missing_ok=True)


def refuse_truth_beside(
    images: Iterable[Path], outputs: Sequence[Path], roots: Sequence[Path], layout: Layout = STILLS
) -> None:
    """Refuse to write into a folder beside the images that holds files of their names and no record of ours.

    Beside `Set/images/` lies `Set/GT/`, beside `Split/Frame/case1/` lie `Split/Frame/case2/` and `Split/GT/case1/`.

    Args:
        images: the files that are read.
        outputs: files and folders that are going to be written.
        roots: folders that results go to; what lies below one with a record was written here, and may be again.
        layout: its `masks` folder is taken for true masks whatever it holds, and `mask_suffix` belongs to their names.

    Raises:
        InputError: an output is or lies in such a folder.
    """
    stems: dict[Path, set[str]] = {}
    for image in images:
        stems.setdefault(image.parent.resolve(), set()).add(image.stem)
    own = {root.resolve() for root in roots if (root / RECORD).exists()}
    places = {place for output in map(Path.resolve, outputs) for place in (output, *output.parents)}
    for place in sorted(places):
        if not place.is_dir() or place in stems or not own.isdisjoint((place, *place.parents)):
            continue
        for folder, names in stems.items():
            top = folder.parents[len(Path(layout.images).parts) - 1] if folder.match(layout.images) else folder.parent
            if not (place.parent in (folder.parent, top) or is_counterpart(place, folder)):
                continue
            alike = sorted(path.name for path in place.iterdir() if is_named_after(path.stem, names, layout))
            if alike or place == top / layout.masks:
                raise InputError(
                    f"{place} lies beside the images and may hold their true masks ({first_names(alike) or 'masks'}): "
                    f"no {RECORD} says that they were written here; choose another place for the output, or remove the "
                    "folder where a run that was interrupted has left it"
                )


def is_named_after(stem: str, names: Collection[str], layout: Layout) -> bool:
    """Whether a stem is one of the names, or one with something appended, as in 1_mask or 1-seg."""
    beginnings = (stem[:end] for end, letter in enumerate(stem) if not letter.isalnum())
    return stem.removesuffix(layout.mask_suffix) in names or any(beginning in names for beginning in beginnings)


def is_counterpart(place: Path, folder: Path) -> bool:
    """Whether two folders have one name and lie in neighbors, as the frames and the masks of a clip."""
    return place.name == folder.name and place.parent.parent == folder.parent.parent
