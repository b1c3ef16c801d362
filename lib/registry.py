"""Networks by name: `create_model("sepnet", backbone="pvt-v2-b0")`."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from .errors import ModelError

__all__ = ["Entry", "create_model", "list_models", "model_entry", "register"]


@dataclass(frozen=True)
class Entry:
    """What the project knows of a network.

    Attributes:
        network: the module class, built as `network(config, pretrained=...)`; carries `config`.
        config: a frozen dataclass of its options, each with a default.
        kind: "image" (one forward a frame) or "video" (a step with memory).
        divisor: height and width of an input must be multiples of it.
        paper: authors, venue and year.
        remap: published entry names -> ours; pure, leaves other names as they are.
    """

    name: str
    network: type[nn.Module]
    config: type
    kind: str
    divisor: int
    paper: str
    remap: Callable[[Mapping[str, Tensor], nn.Module], dict[str, Tensor]]

    @property
    def options(self) -> list[str]:
        """Names of the network's options."""
        return [field.name for field in dataclasses.fields(self.config)]


_ENTRIES: dict[str, Entry] = {}


def register(name: str, *, config: type, kind: str, divisor: int, paper: str, remap: Callable) -> Callable:
    """Class decorator: make a network known under `name`."""

    def add(network: type[nn.Module]) -> type[nn.Module]:
        network.registered_name = name
        _ENTRIES[name] = Entry(name, network, config, kind, divisor, paper, remap)
        return network

    return add


def list_models(kind: str | None = None) -> list[str]:
    """Return the registered names, of one kind ("image", "video") or all."""
    return sorted(name for name, entry in _ENTRIES.items() if kind in (None, entry.kind))


def model_entry(name: str) -> Entry:
    """Return what is known of a network.

    Raises:
        ModelError: an unknown name; the known ones are listed.
    """
    if name not in _ENTRIES:
        raise ModelError(f"unknown model {name!r}; known are {', '.join(list_models())}")
    return _ENTRIES[name]


def create_model(name: str, *, pretrained: bool = False, **options: Any) -> nn.Module:
    """Build a network.

    Args:
        name: one of `list_models()`.
        pretrained: load the backbone's ImageNet weights through timm.
        options: fields of the network's config, such as `backbone` and `aux`.

    Raises:
        ModelError: an unknown name or option (the known ones are listed), or weights that cannot be had.
    """
    entry = model_entry(name)
    unknown = [option for option in options if option not in entry.options]
    if unknown:
        raise ModelError(f"{name} has no option {', '.join(unknown)}; its options are {', '.join(entry.options)}")
    return entry.network(entry.config(**options), pretrained=pretrained)
