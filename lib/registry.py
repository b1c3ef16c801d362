"""Networks by name: `create_model("sepnet", backbone="pvt-v2-b0")`.

The table names files and classes; nothing is imported before a network is asked for, so that a command's `--help` can
list the names without waiting for PyTorch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from importlib import import_module
from typing import TYPE_CHECKING, Any

from .errors import ModelError

if TYPE_CHECKING:
    from .base import Network

__all__ = ["Entry", "checked_options", "create_model", "list_models", "model_entry"]

# name -> kind, file of this package, class
NETWORKS = {
    "convsegnet": ("image", "convsegnet", "ConvSegNet"),
    "dilatedsegnet": ("image", "dilatedsegnet", "DilatedSegNet"),
    "lsinet": ("video", "sali", "LSINet"),
    "sali": ("video", "sali", "SALI"),
    "scrnet": ("image", "scrnet", "SCRNet"),
    "sepnet": ("image", "sepnet", "SEPNet"),
}

LARGEST_NETWORK = 2_000_000_000  # parameters
LARGEST_OPTION = 65_536  # of a network's numbers
LONGEST_OPTION = 64  # numbers in one option


@dataclass(frozen=True)
class Entry:
    """A line of the table.

    Attributes:
        name: what the network is called.
        kind: "image" or "video", as the class says too.
        file: module of this package that has the class.
        class_name: the class in it.
    """

    name: str
    kind: str
    file: str
    class_name: str

    @property
    def network(self) -> type[Network]:
        """The class itself; this imports PyTorch."""
        return getattr(import_module(f".{self.file}", __package__), self.class_name)

    @property
    def divisor(self) -> int:
        """Height and width of an input must be multiples of it, pixels."""
        return self.network.divisor

    @property
    def options(self) -> list[str]:
        """Names of the network's options."""
        return self.network.option_names()


def list_models(kind: str | None = None) -> list[str]:
    """Return the registered names, of one kind ("image", "video") or all."""
    return sorted(name for name, (own_kind, *_) in NETWORKS.items() if kind in (None, own_kind))


def model_entry(name: str) -> Entry:
    """Return what is known of a network.

    Raises:
        ModelError: an unknown name; the known ones are listed.
    """
    if name not in NETWORKS:
        raise ModelError(f"unknown model {name!r}; known are {', '.join(list_models())}")
    return Entry(name, *NETWORKS[name])


def create_model(name: str, *, pretrained: bool = False, **options: Any) -> Network:
    """Build a network.

    Args:
        name: one of `list_models()`.
        pretrained: load the backbone's ImageNet weights through timm.
        options: fields of the network's config, such as `backbone` and `aux`.

    Raises:
        ModelError: an unknown name or option (the known ones are listed), a value that no network can be built of, or
            weights that cannot be had.
    """
    network = model_entry(name).network
    config = network.config_class(**checked_options(network, options))
    check_scale(network, config)
    return network(config, pretrained=pretrained)


def checked_options(network: type[Network], options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options with lists as tuples.

    Raises:
        ModelError: an option that the network does not have, or a value of another type or out of bounds.
    """
    known = network.option_names()
    unknown = [option for option in options if option not in known]
    if unknown:
        raise ModelError(f"{network.name} has no option {', '.join(unknown)}; its options are {', '.join(known)}")
    plain = {option: tuple(value) if isinstance(value, list) else value for option, value in options.items()}
    for field in fields(network.config_class):
        if field.name in plain and (expected := mistake(plain[field.name], field.default, field.type)):
            raise ModelError(f"{network.name}'s option {field.name} is {plain[field.name]!r}; expected {expected}")
    return plain


def mistake(value: Any, default: Any, annotation: str) -> str:
    """Say what was expected of an option's value; empty where it will do."""
    number = f"a whole number from 1 to {LARGEST_OPTION}"
    if isinstance(default, tuple):
        length = "" if "..." in annotation else f"{len(default)} "
        fits = (
            isinstance(value, tuple) and 0 < len(value) <= LONGEST_OPTION and (not length or len(value) == len(default))
        )
        return "" if fits and all(is_number(each) for each in value) else f"{length}numbers, each {number}"
    if isinstance(default, int) and not isinstance(default, bool):
        return "" if is_number(value) else number
    return "" if isinstance(value, type(default)) else {bool: "True or False", str: "a text"}[type(default)]


def is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= LARGEST_OPTION


def check_scale(network: type[Network], config: Any) -> None:
    """Refuse a network too large for any machine this is meant for, before memory is asked for.

    Raises:
        ModelError: more than `LARGEST_NETWORK` parameters.
    """
    default = network.config_class()
    pairs = [(getattr(config, name), getattr(default, name)) for name in network.option_names()]
    if not any(type(own) in (int, tuple) and own > usual for own, usual in pairs):
        return  # nothing is wider than in the paper
    import torch

    with torch.device("meta"):  # shapes alone
        count = sum(parameter.numel() for parameter in network(config).parameters())
    if count > LARGEST_NETWORK:
        raise ModelError(
            f"{network.name} with these options has {count / 1e9:.1f} G parameters; "
            f"at most {LARGEST_NETWORK / 1e9:.0f} G are built, give smaller widths"
        )
