"""Weight files and checkpoints: read without running anything in them, and what they say of themselves."""

from __future__ import annotations

import pickle
import re
import struct
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .errors import ModelError

__all__ = ["Description", "described_network", "read_checkpoint", "state_dict_of"]

# where files keep their weights, in the order they are looked for: an average of the weights is what was validated
WEIGHT_KEYS = ("ema_state_dict", "model_state_dict", "state_dict", "model")
WRAPPERS = re.compile(r"^(module\.|_orig_mod\.)+")
OUTER_NAME = "model."  # of a network kept as an attribute of something else, as Lightning modules do
SHOWN = 12  # keys of a file that a message names
BLOCKED = re.compile(r"GLOBAL ([\w.]+) (?:was not an allowed|whose module)")


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """Read a file of plain data and tensors onto the CPU; nothing in it is executed, NumPy's numbers become Python's.

    Raises:
        ModelError: the file is missing, truncated, or holds something else than plain data and tensors.
    """
    path = Path(path)
    if not path.is_file():
        raise ModelError(f"there is no weight file {path}; give the path of a .pth file")
    try:
        content = _load(path)
    except pickle.UnpicklingError as error:
        found = BLOCKED.search(str(error))
        what = f"an object of the type {found[1]}" if found else "objects that would run code, or no weights at all"
        raise ModelError(
            f"{path} is no plain weight file: it holds {what}, which is not read; "
            "save the state dict alone where it was made, and give that"
        ) from error
    except PermissionError as error:
        raise ModelError(f"cannot read {path}: permission denied") from error
    except Exception as error:  # the unpickler raises whatever the bytes lead it to
        raise ModelError(f"{path} is damaged, cut short or no weight file; fetch or save it again") from error
    if not isinstance(content, Mapping):
        raise ModelError(f"{path} holds a {type(content).__name__}; expected a state dict or a checkpoint with one")
    return dict(content)


def _load(path: Path) -> Any:
    """Read a file as it is, or, where that fails at a NumPy number, with a stand-in that reads those."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if "core.multiarray.scalar" not in str(error):
            raise
        with _numpy_numbers():
            return torch.load(path, map_location="cpu", weights_only=True)


class NumberType:
    """Stands for `numpy.dtype` while a file is read: the type and byte order of one number, and nothing that runs."""

    FORMATS = {"b1": "?", "f2": "e", "f4": "f", "f8": "d"} | {
        f"{kind}{size}": letter.upper() if kind == "u" else letter
        for kind in "iu"
        for size, letter in ((1, "b"), (2, "h"), (4, "i"), (8, "q"))
    }

    def __init__(self, code: str, *_: Any):
        if code not in self.FORMATS:
            raise pickle.UnpicklingError(f"a NumPy value of the type {code} is no number")
        self.format, self.order = self.FORMATS[code], "<"

    def __setstate__(self, state: tuple) -> None:
        self.order = ">" if state[1] == ">" else "<"


def read_number(kind: NumberType, data: bytes) -> float | int | bool:
    """Stands for `numpy.core.multiarray.scalar`: the Python number that `data` holds."""
    return struct.unpack(kind.order + kind.format, data)[0]


def _numpy_numbers() -> AbstractContextManager:
    """A context in which PyTorch reads NumPy's numbers, under the names of NumPy 1 and 2, by the stand-ins above."""
    allow = getattr(torch.serialization, "safe_globals", None)
    if allow is None:  # PyTorch 2.4
        return nullcontext()
    names = ("numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar")
    return allow([(NumberType, "numpy.dtype"), *((read_number, name) for name in names)])


def state_dict_of(checkpoint: Mapping[str, Any], origin: str) -> dict[str, Tensor]:
    """Find the weights in a checkpoint and strip what wrappers (DataParallel, torch.compile) put before the names.

    Args:
        checkpoint: a state dict, or a dict that has one.
        origin: what messages call the file.

    Raises:
        ModelError: nothing in it is a state dict; the keys that it has are named.
    """
    inside = {key: value for key, value in checkpoint.items() if is_state_dict(value)}
    known = [inside[key] for key in WEIGHT_KEYS if key in inside]
    state = next(iter(known or (inside.values() if len(inside) == 1 else [checkpoint])))
    if not is_state_dict(state):
        keys = [str(key) for key in checkpoint]
        found = f"{', '.join(keys[:SHOWN])}{', ...' if len(keys) > SHOWN else ''}" if keys else "nothing"
        raise ModelError(
            f"{origin} holds no state dict; expected names and tensors, by themselves or under "
            f"{', '.join(WEIGHT_KEYS)}, and found {found}"
        )
    names = {name: WRAPPERS.sub("", name) for name in state}
    if all(name.startswith(OUTER_NAME) for name in names.values()):
        names = {name: WRAPPERS.sub("", bare.removeprefix(OUTER_NAME)) for name, bare in names.items()}
    return {names[name]: value for name, value in state.items()}


def is_state_dict(value: Any) -> bool:
    """Tell names and tensors from everything else."""
    return (
        isinstance(value, Mapping)
        and bool(value)
        and all(isinstance(name, str) and isinstance(entry, Tensor) for name, entry in value.items())
    )


@dataclass(frozen=True)
class Description:
    """Which network a checkpoint says it is of.

    Attributes:
        name: as it is registered.
        options: what `create_model` was given.
    """

    name: str
    options: dict[str, Any] = field(default_factory=dict)


def described_network(checkpoint: Mapping[str, Any], origin: str) -> Description | None:
    """Read which network a checkpoint of ours is of; None for the weights of others, which do not say.

    Raises:
        ModelError: a checkpoint of ours whose description is not whole.
    """
    config = checkpoint.get("config")
    model = config.get("model") if isinstance(config, Mapping) else None
    name, options = (model.get("name"), model.get("options")) if isinstance(model, Mapping) else (None, None)
    if isinstance(name, str) and isinstance(options, Mapping) and all(isinstance(key, str) for key in options):
        return Description(name, dict(options))
    if "format_version" not in checkpoint:
        return None
    raise ModelError(
        f"{origin} is a checkpoint whose config names no network and its options; it was changed after it was saved, "
        "take the file as the run wrote it"
    )
