"""The device that a command runs on."""

from __future__ import annotations

import torch

from measure.io import InputError

__all__ = ["choose_device"]


def choose_device(name: str, gpu_id: int) -> torch.device:
    """Return the device for "auto" (CUDA where there is one), "cpu" or "cuda", and make it the current one.

    Raises:
        InputError: CUDA is asked for and there is none, or not the one with this number.
    """
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "cpu" or (name == "auto" and count == 0):
        return torch.device("cpu")
    if gpu_id >= count:
        raise InputError(
            f"--device {name} --gpu_id {gpu_id} was asked for but {count} CUDA devices are there; "
            "use --device cpu or another --gpu_id"
        )
    torch.cuda.set_device(gpu_id)
    return torch.device("cuda", gpu_id)
