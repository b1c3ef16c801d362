"""Networks by name: `create_model("sepnet", backbone="pvt-v2-b0")`.

The table names files and classes; nothing is imported before a network is asked for, so that a command's `--help` can
list the names without waiting for PyTorch.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from .errors import ModelError

if TYPE_CHECKING:
    from .base import Network

__all__ = ["Entry", "create_model", "list_models", "model_entry"]

# name -> kind, file of this package, class
NETWORKS = {
    "convsegnet": ("image", "convsegnet", "ConvSegNet"),
    "dilatedsegnet": ("image", "dilatedsegnet", "DilatedSegNet"),
    "lsinet": ("video", "sali", "LSINet"),
    "sali": ("video", "sali", "SALI"),
    "scrnet": ("image", "scrnet", "SCRNet"),
    "sepnet": ("image", "sepnet", "SEPNet"),
}


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
        ModelError: an unknown name or option (the known ones are listed), or weights that cannot be had.
    """
    network = model_entry(name).network
    known = network.option_names()
    unknown = [option for option in options if option not in known]
    if unknown:
        raise ModelError(f"{name} has no option {', '.join(unknown)}; its options are {', '.join(known)}")
    return network(network.config_class(**options), pretrained=pretrained)
