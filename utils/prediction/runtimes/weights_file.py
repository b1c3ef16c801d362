"""Checkpoints for prediction alone: no optimizer, no training branch, half precision."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lib import model_from, read_checkpoint
from measure.io import InputError, make_folder

from ...runtime import tensors_when_whole

__all__ = ["export_weights"]

# of a run's record, what tells how the network was made; places and machines stay at home
KEPT_OF_RECORD = ("model", "flags", "data", "revision", "versions")


def export_weights(source: str | Path, out: str | Path, *, half: bool = True) -> Path:
    """Write the weights that predict, with what `lib.load_model` needs to build their network.

    Args:
        source: a checkpoint of a training run here; the average of its weights where it has one.
        out: file to write, `.pth`.
        half: store float16; networks compute in float32 all the same.

    Raises:
        InputError: the file cannot be written, or a value does not fit into half precision.
        ModelError: an unreadable file, or one that does not say which network it is of.
    """
    checkpoint = read_checkpoint(source)
    model = model_from(checkpoint, origin=str(source))
    weights = {name: to_half(name, tensor) if half else tensor for name, tensor in model.state_dict().items()}
    record = {name: value for name, value in checkpoint["config"].items() if name in KEPT_OF_RECORD}
    record["model"] = {"name": model.name, "options": dataclasses.asdict(model.config)}
    content: dict[str, Any] = {"config": record, "epoch": checkpoint.get("epoch"), "model_state_dict": weights}
    out = Path(out)
    make_folder(out.parent)
    with tensors_when_whole(out) as file:
        torch.save(content, file)
    return out


def to_half(name: str, tensor: Tensor) -> Tensor:
    """A float tensor in half precision; counters stay what they are."""
    if not tensor.is_floating_point():
        return tensor
    half = tensor.half()
    if not half.isfinite().all():
        raise InputError(f"{name} has values beyond half precision; export it with --no-half")
    return half
