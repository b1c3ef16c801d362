"""The device that a command runs on."""

from __future__ import annotations

import torch

from measure.io import InputError

__all__ = ["choose_device"]

NAMES = ("auto", "cpu", "cuda")


def choose_device(name: str, gpu_id: int = 0) -> torch.device:
    """Return the device for "auto" (CUDA where there is one), "cpu", "cuda" or "cuda:1", and make it the current one.

    Args:
        name: of the device.
        gpu_id: number of the CUDA device where the name has none.

    Raises:
        InputError: another name, or CUDA is asked for and there is none, or not the one with this number.
    """
    kind, _, number = name.partition(":")
    if kind not in NAMES or (number and (kind != "cuda" or not number.isdecimal())):
        raise InputError(f"the device {name!r} was asked for; there are {', '.join(NAMES)}, and cuda:1 and so on")
    gpu_id = int(number or gpu_id)
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if kind == "cpu" or (kind == "auto" and count == 0):
        return torch.device("cpu")
    if gpu_id >= count:
        found = f"there are {count}, numbered from 0; choose one of them"
        none = "there is no CUDA device; use the device cpu"
        raise InputError(f"GPU {gpu_id} was asked for, and {found if count else none}")
    torch.cuda.set_device(gpu_id)
    return torch.device("cuda", gpu_id)
