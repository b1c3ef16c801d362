"""`predict.json`: what made the results that it lies beside."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from measure.io import write_json

from ..runtime import versions
from .config import MapOptions, PredictConfig
from .images import PredictOptions
from .network import TrainedNetwork
from .video import VideoOptions

__all__ = ["RECORD", "write_record"]

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
        images: their number by set, folder, clip or video.
        seconds: how long it took.
        skipped: what could not be read, with the reason.
        milliseconds: of frames, their median and 95th and 99th percentile (`FrameTimes`).

    Raises:
        InputError: the file cannot be written.
    """
    first = networks[0].model
    weights = [str(network.path) for network in networks]
    hashes = [hashlib.sha256(network.path.read_bytes()).hexdigest() for network in networks]
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
