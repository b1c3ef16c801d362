"""Weights from files: read safely, renamed where they are published ones, loaded strictly."""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .backbones import Backbone, remap_backbone
from .base import Network
from .errors import ModelError

__all__ = ["LoadReport", "load_backbone_weights", "load_weights", "read_checkpoint", "state_dict_of"]

# where files keep their weights, in the order they are looked for: an average of the weights is what was validated
WEIGHT_KEYS = ("ema_state_dict", "model_state_dict", "state_dict", "model")
WRAPPERS = re.compile(r"^(module\.|_orig_mod\.)+")
SHOWN = 8  # names printed per list of a mismatch


@dataclass(frozen=True)
class LoadReport:
    """Entry names that were loaded (our naming), and those that the file has beyond the network, ignored by name."""

    loaded: list[str]
    ignored: list[str]


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """Read a file of plain data and tensors onto the CPU; nothing in it is executed.

    Raises:
        ModelError: the file is missing, truncated, or holds something else than plain data and tensors.
    """
    path = Path(path)
    if not path.is_file():
        raise ModelError(f"there is no weight file {path}; give the path of a .pth file")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ModelError(
            f"{path} is no plain weight file (it holds objects that would run code, or no weights at all); "
            "save the state dict alone and give that"
        ) from error
    except Exception as error:  # the unpickler raises whatever the bytes lead it to
        raise ModelError(f"{path} is damaged, cut short or no weight file; fetch or save it again") from error
    if not isinstance(content, Mapping):
        raise ModelError(f"{path} holds a {type(content).__name__}; expected a state dict or a checkpoint with one")
    return dict(content)


def state_dict_of(checkpoint: Mapping[str, Any], origin: str) -> dict[str, Tensor]:
    """Find the weights in a checkpoint and strip what wrappers (DataParallel, torch.compile) put before the names.

    Raises:
        ModelError: nothing in it is a state dict; `origin` names the file in the message.
    """
    state = next((checkpoint[key] for key in WEIGHT_KEYS if key in checkpoint), checkpoint)
    if not isinstance(state, Mapping) or not state or not all(isinstance(v, Tensor) for v in state.values()):
        raise ModelError(
            f"{origin} holds no state dict; expected names and tensors, by themselves or under {', '.join(WEIGHT_KEYS)}"
        )
    return {WRAPPERS.sub("", name): value for name, value in state.items()}


def load_weights(model: Network, source: str | Path | Mapping[str, Any]) -> LoadReport:
    """Load weights of our naming or of the published one, strictly; the model changes only if everything fits.

    Args:
        model: a network made by `create_model`.
        source: a file, a checkpoint or a state dict.

    Returns:
        What was loaded, and what was ignored because only the training network has it.

    Raises:
        ModelError: an unreadable file, or missing, unexpected or mis-shaped entries (three lists).
    """
    origin, checkpoint = _open(source)
    state = model.remap_published(state_dict_of(checkpoint, origin))
    return _load_strictly(model, state, ignored_prefixes=model.ignored_prefixes, origin=origin)


def load_backbone_weights(backbone: Backbone, source: str | Path | Mapping[str, Any]) -> LoadReport:
    """Load an encoder's published or timm weights, strictly; classifier heads are ignored by name.

    Raises:
        ModelError: as `load_weights`.
    """
    origin, checkpoint = _open(source)
    names = list(backbone.net.state_dict())
    state = remap_backbone(state_dict_of(checkpoint, origin), backbone.timm_name, names)
    return _load_strictly(backbone.net, state, ignored_prefixes=backbone.ignored_prefixes, origin=origin)


def _open(source: str | Path | Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    if isinstance(source, Mapping):
        return "the given state dict", source
    return str(source), read_checkpoint(source)


def _load_strictly(
    module: nn.Module, state: Mapping[str, Tensor], *, ignored_prefixes: Sequence[str], origin: str
) -> LoadReport:
    own = module.state_dict()
    ignored = [name for name in state if name not in own and name.startswith(tuple(ignored_prefixes))]
    missing = [name for name in own if name not in state]
    unexpected = [name for name in state if name not in own and name not in ignored]
    misshaped = [
        f"{name} {tuple(state[name].shape)} instead of {tuple(own[name].shape)}"
        for name in own
        if name in state and state[name].shape != own[name].shape
    ]
    if missing or unexpected or misshaped:
        raise ModelError(
            f"{origin} does not fit the network; give its own weights or the options it was trained with. "
            f"{_listed('missing', missing)}; {_listed('unexpected', unexpected)}; {_listed('mis-shaped', misshaped)}"
        )
    module.load_state_dict({name: state[name] for name in own})
    return LoadReport(loaded=list(own), ignored=ignored)


def _listed(title: str, names: Sequence[str]) -> str:
    if not names:
        return f"{title}: none"
    more = f", ... ({len(names) - SHOWN} more)" if len(names) > SHOWN else ""
    return f"{title} ({len(names)}): {', '.join(names[:SHOWN])}{more}"
