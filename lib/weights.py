"""Weights from files into networks: renamed where they are published ones, loaded strictly."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .backbones import BACKBONES, Backbone, remap_backbone
from .base import Network
from .checkpoints import Description, described_network, read_checkpoint, state_dict_of
from .errors import ModelError
from .registry import checked_options, create_model, list_models, model_entry

__all__ = ["LoadReport", "load_backbone_weights", "load_model", "load_weights", "model_from"]

SHOWN = 8  # names printed per list of a mismatch


@dataclass(frozen=True, repr=False)
class LoadReport:
    """What a weight file gave a network.

    Attributes:
        loaded: names of the entries that were loaded, our naming.
        ignored: names of the entries that the file has beyond the network, ignored by name.
    """

    loaded: list[str]
    ignored: list[str]

    def __repr__(self) -> str:
        parts = list(dict.fromkeys(name.split(".")[0] for name in self.ignored))
        of = f" (of {', '.join(parts)})" if parts else ""
        return f"{len(self.loaded)} entries loaded, {len(self.ignored)} ignored{of}"


def load_model(path: str | Path, *, aux: bool = False) -> Network:
    """Build the network that a checkpoint of ours describes, with its weights, in evaluation.

    Args:
        path: a checkpoint of a training run here.
        aux: build the training network (see `create_model`), where there are two.

    Raises:
        ModelError: an unreadable file, or weights that do not say which network they are of.
    """
    return model_from(read_checkpoint(path), origin=str(path), aux=aux)


def model_from(
    checkpoint: Mapping[str, Any], *, origin: str, name: str | None = None, aux: bool = False, **options: Any
) -> Network:
    """Build the network of a checkpoint that has been read, with its weights, in evaluation.

    Args:
        checkpoint: see `read_checkpoint`.
        origin: what messages call it.
        name: the network, where the checkpoint does not say; where it does, it must be the same.
        aux: see `load_model`.
        options: of the network, in place of those that the checkpoint describes.

    Raises:
        ModelError: another network, none named, one that cannot be built, or weights that do not fit.
    """
    described = described_network(checkpoint, origin)
    if described and name not in (None, described.name):
        raise ModelError(f"{origin} holds {described.name}, and {name} was asked for; leave the name out or change it")
    if not (described or name):
        raise ModelError(
            f"{origin} holds weights and does not say of which network; name it and, where it has one, its backbone"
        )
    found = described or Description(name)
    try:
        entry = model_entry(found.name)
        checked_options(entry.network, found.options)  # a file must not set other arguments of `create_model`
        if "aux" in entry.options:
            options = {**options, "aux": aux}
        model = create_model(found.name, **{**found.options, **options})
    except ModelError as error:
        raise ModelError(f"the network of {origin} cannot be built: {error}") from error
    _load(model, checkpoint, origin)
    return model.eval()


def load_weights(model: Network, source: str | Path | Mapping[str, Any]) -> LoadReport:
    """Load weights of our naming or of the published one, strictly; the model changes only if everything fits.

    Args:
        model: a network made by `create_model`.
        source: a file, a checkpoint or a state dict.

    Returns:
        What was loaded, and what was ignored because only the training network has it.

    Raises:
        ModelError: an unreadable file, values that are not finite, or missing, unexpected or mis-shaped entries
            (three lists, or a sentence where the file is of another network or backbone).
    """
    return _load(model, *_open(source))


def load_backbone_weights(backbone: Backbone, source: str | Path | Mapping[str, Any]) -> LoadReport:
    """Load an encoder's published or timm weights, strictly; classifier heads are ignored by name.

    Raises:
        ModelError: as `load_weights`.
    """
    checkpoint, origin = _open(source)
    if described := described_network(checkpoint, origin):
        raise ModelError(
            f"{origin} holds a whole {described.name}, and a backbone's weights alone were asked for; start from it as "
            "weights of the network (--init_weights)"
        )
    names = list(backbone.net.state_dict())
    state = remap_backbone(state_dict_of(checkpoint, origin), backbone.timm_name, names)
    return _load_strictly(backbone.net, state, ignored_prefixes=backbone.ignored_prefixes, origin=origin)


def _open(source: str | Path | Mapping[str, Any]) -> tuple[Mapping[str, Any], str]:
    if isinstance(source, Mapping):
        return source, "the given state dict"
    return read_checkpoint(source), str(source)


def _load(model: Network, checkpoint: Mapping[str, Any], origin: str) -> LoadReport:
    state = state_dict_of(checkpoint, origin)
    described, named = described_network(checkpoint, origin), model.remap_published(state)
    return _load_strictly(
        model,
        named,
        ignored_prefixes=model.ignored_prefixes,
        origin=origin,
        reason=lambda: difference(described, model) if described else likeness(state, named, model),
    )


def difference(described: Description, model: Network) -> str:
    """Say in a sentence what a checkpoint says of its network and the model has otherwise; empty where they agree."""
    own = dataclasses.asdict(model.config)
    other = [
        key
        for key, value in described.options.items()
        if key in own and key != "aux" and own[key] != (tuple(value) if isinstance(value, list) else value)
    ]
    if described.name == model.name and not other:
        return ""

    def words(name: str, options: Mapping[str, Any]) -> str:
        listed = [f"{options[key]}" if key == "backbone" else f"{key} {options[key]}" for key in other]
        return f"{name} with {', '.join(listed)}" if listed else name

    return f"the file says {words(described.name, described.options)}; the model is {words(model.name, own)}"


def likeness(state: Mapping[str, Tensor], named: Mapping[str, Tensor], model: Network) -> str:
    """Say in a sentence which other backbone or network the weights of others fit; empty where none is found.

    Args:
        state: the entries as the file names them.
        named: the entries as the model names them.
        model: which they do not fit.
    """
    own = dataclasses.asdict(model.config)
    others = [Description(name) for name in list_models() if name != model.name]
    if "backbone" in own and _encoder(named) != _encoder(model.state_dict()):  # building all of them takes seconds
        others = [Description(model.name, {**own, "backbone": name}) for name in BACKBONES] + others
    for other in others:
        try:
            with torch.device("meta"):  # names and shapes alone
                candidate = create_model(other.name, **other.options)
                named, entries = candidate.remap_published(state), candidate.state_dict()
                fits = all(name in named and named[name].shape == value.shape for name, value in entries.items())
                fits = fits and not any(_misfits(entries, named, candidate.ignored_prefixes))
        except ModelError:  # a naming that is none of its own
            continue
        if fits:
            backbone, used = (getattr(net.config, "backbone", "its own encoder") for net in (candidate, model))
            return f"its entries are those of {other.name} with {backbone}; the model is {model.name} with {used}"
    return ""


def _encoder(entries: Mapping[str, Tensor]) -> dict[str, torch.Size]:
    """Names and shapes of an encoder's entries."""
    return {name: value.shape for name, value in entries.items() if name.startswith("encoder.")}


def _load_strictly(
    module: nn.Module,
    state: Mapping[str, Tensor],
    *,
    ignored_prefixes: Sequence[str],
    origin: str,
    reason: Callable[[], str] = str,
) -> LoadReport:
    own = module.state_dict()
    missing, unexpected, misshaped = _misfits(own, state, ignored_prefixes)
    if missing or unexpected or misshaped:
        listed = (
            f"{_listed('missing', missing)}; {_listed('unexpected', unexpected)}; {_listed('mis-shaped', misshaped)}"
        )
        raise ModelError(
            f"{origin} does not fit the network: {reason() or listed}; give weights of this network, or name the "
            "network, the backbone and the options that these were trained with"
        )
    if bad := [name for name in own if not state[name].isfinite().all()]:
        raise ModelError(
            f"{origin} holds values that are not finite, so the training that wrote it had failed; "
            f"take an earlier checkpoint. {_listed('entries', bad)}"
        )
    module.load_state_dict({name: state[name] for name in own})
    ignored = [name for name in state if name not in own]
    return LoadReport(loaded=list(own), ignored=ignored)


def _misfits(
    own: Mapping[str, Tensor], state: Mapping[str, Tensor], ignored_prefixes: Sequence[str]
) -> tuple[list[str], list[str], list[str]]:
    """What keeps entries from being loaded: those missing, those unexpected, and those of another shape, in words."""
    missing = [name for name in own if name not in state]
    unexpected = [name for name in state if name not in own and not name.startswith(tuple(ignored_prefixes))]
    misshaped = [
        f"{name} {tuple(state[name].shape)} instead of {tuple(own[name].shape)}"
        for name in own
        if name in state and state[name].shape != own[name].shape
    ]
    return missing, unexpected, misshaped


def _listed(title: str, names: Sequence[str]) -> str:
    if not names:
        return f"{title}: none"
    more = f", ... ({len(names) - SHOWN} more)" if len(names) > SHOWN else ""
    return f"{title} ({len(names)}): {', '.join(names[:SHOWN])}{more}"
