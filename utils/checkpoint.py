"""Checkpoints of a training run: plain data and tensors, written whole or not at all, enough to go on from exactly."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lib import read_checkpoint
from measure.errors import InputError
from measure.files import replace_when_whole

__all__ = ["FORMAT_VERSION", "generator_states", "is_resumable", "read_run_config", "restore_generators", "save"]

FORMAT_VERSION = 1


def save(path: Path, content: dict[str, Any]) -> None:
    """Write a checkpoint beside `path` and move it there.

    Raises:
        InputError: no space or no permission; a former checkpoint at `path` is untouched.
    """
    with replace_when_whole(path) as partial:
        try:
            torch.save({"format_version": FORMAT_VERSION, **content}, partial)
        except RuntimeError as error:  # what PyTorch's zip writer makes of a full disk
            raise InputError(f"cannot write {path} ({error}); free some space or choose another folder") from error


def is_resumable(checkpoint: dict[str, Any]) -> bool:
    """Tell a checkpoint of ours from one of the released scripts, which holds weights but no run to go on with."""
    return "format_version" in checkpoint and "config" in checkpoint


def read_run_config(path: str | Path) -> dict[str, Any] | None:
    """Return the configuration a checkpoint was made with; None for a file that is not ours.

    Raises:
        ModelError: the file cannot be read.
        InputError: it is of a newer format.
    """
    checkpoint = read_checkpoint(path)
    if not is_resumable(checkpoint):
        return None
    if checkpoint["format_version"] > FORMAT_VERSION:
        raise InputError(
            f"{path} has format {checkpoint['format_version']}, this version reads up to {FORMAT_VERSION}; "
            "update the code"
        )
    return checkpoint["config"]


def generator_states() -> dict[str, Any]:
    """The states of every random generator of this process, as plain data."""
    name, keys, position, has_gauss, cached = np.random.get_state()
    return {
        "python": random.getstate(),
        "numpy": (name, keys.tolist(), position, has_gauss, cached),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def restore_generators(states: dict[str, Any]) -> None:
    """Put every random generator back to a saved state."""
    version, internal, gauss = states["python"]
    random.setstate((version, tuple(internal), gauss))
    np.random.set_state(states["numpy"])
    torch.set_rng_state(states["torch"])
    if states["cuda"] and torch.cuda.device_count() == len(states["cuda"]):
        torch.cuda.set_rng_state_all(states["cuda"])
