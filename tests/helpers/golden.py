"""Weights, inputs and outputs of the authors' released networks, recorded once, for parity checks.

A golden file holds the outputs a network must give when every entry of its published state dict is made by `fill` from
nothing but the entry's name and shape, so no weights are shipped. Numbers come from numpy's legacy RandomState, whose
stream is frozen. Gradients with respect to the input are stored at every fourth row and column.
"""

import json
import zlib
from pathlib import Path

import numpy as np
import torch

FOLDER = Path(__file__).parents[1] / "data" / "golden"


def fill(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Return the float32 array of one entry.

    Counters are 0; variances and scales uniform in [0.5, 1.5); biases and means normal with deviation 0.1; everything
    else normal with deviation 1 / sqrt(fan in), 24 times smaller where it predicts convolution kernels.
    """
    if name.endswith("num_batches_tracked"):
        return np.zeros(shape, np.int64)
    rng = np.random.RandomState(zlib.crc32(name.encode()) & 0x7FFFFFFF)
    leaf = name.rsplit(".", 1)[-1]
    if leaf == "running_var" or (leaf == "weight" and len(shape) == 1):
        return rng.uniform(0.5, 1.5, shape).astype(np.float32)
    if len(shape) <= 1:
        return (0.1 * rng.standard_normal(shape)).astype(np.float32)
    scale = 24.0 if ".conv_kernel." in name else 1.0
    return (rng.standard_normal(shape) / np.sqrt(np.prod(shape[1:])) / scale).astype(np.float32)


def published_state(name: str) -> dict[str, torch.Tensor]:
    """The whole published state dict of `<name>.keys.json`, a list of [entry name, shape]."""
    entries = json.loads((FOLDER / f"{name}.keys.json").read_text())
    return {entry: torch.from_numpy(np.asarray(fill(entry, tuple(shape)))) for entry, shape in entries}


def golden_input(seed: int, shape: tuple[int, ...]) -> torch.Tensor:
    """The network input of a golden file: standard normal, float32, NCHW."""
    return torch.from_numpy(np.random.RandomState(int(seed)).standard_normal(tuple(shape)).astype(np.float32))


def load(name: str) -> dict[str, np.ndarray]:
    """The recorded arrays of `<name>.npz`."""
    with np.load(FOLDER / f"{name}.npz") as arrays:
        return dict(arrays)


def relative_error(actual: torch.Tensor, expected: np.ndarray) -> float:
    """Largest difference, relative to the largest expected magnitude."""
    return float(np.abs(actual.detach().numpy() - expected).max() / np.abs(expected).max())
