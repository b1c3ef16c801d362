"""A weight file made ready to predict with: its network, and what the run that trained it says of input and classes."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lib import ModelError, Network, described_network, model_from, read_checkpoint
from measure.io import Classes, InputError, parse_classes

__all__ = ["STARTER_WEIGHTS", "TrainedNetwork", "load_network"]

STARTER_WEIGHTS = Path(__file__).parents[2] / "checkpoint" / "sepnet-starter.pth"


@dataclass(frozen=True)
class TrainedNetwork:
    """A network with its weights.

    Attributes:
        model: the network, in evaluation, without what only training needs.
        path: the weight file.
        size: height and width of its input, pixels.
        classes: what its logits stand for; None: polyp alone.
    """

    model: Network
    path: Path
    size: int
    classes: Classes | None = None

    @property
    def weights_sha256(self) -> str:
        """SHA-256 of the weight file, hexadecimal."""
        return hashlib.sha256(self.path.read_bytes()).hexdigest()


def load_network(
    path: str | Path | None,
    *,
    name: str | None = None,
    fallback: str | None = None,
    options: Mapping[str, Any] | None = None,
    size: int | None = None,
    size_flag: str = "size",
) -> TrainedNetwork:
    """Read a checkpoint of ours, or a published weight file, and build its network.

    Args:
        path: the weight file; None: the starter weights, and a note says so.
        name: the network; where the file says another one it is refused.
        fallback: the network where neither the file nor `name` says.
        options: of the network, in place of those in the file.
        size: height and width of the input, pixels; None: as it was trained, else as its authors trained theirs.
        size_flag: what messages call `size`.

    Raises:
        ModelError: a file or a network that cannot be used, or a size that the network cannot take.
        InputError: classes in the file that are none, or no starter weights.
    """
    path = starter_weights() if path is None else path
    checkpoint, origin = read_checkpoint(path), str(path)
    described = described_network(checkpoint, origin)
    name = name or (fallback if described is None else None)
    model = model_from(checkpoint, origin=origin, name=name, **(options or {}))
    flags = trained_flags(checkpoint, origin) if described else {}
    size = flags.get("train_size", model.train_size) if size is None else size
    model.check_side(size, flag=size_flag)
    texts = flags.get("classes")
    return TrainedNetwork(model, Path(path), size, parse_classes(texts) if texts else None)


def starter_weights() -> Path:
    """The weights that come with the project.

    Raises:
        InputError: they are not where they belong.
    """
    if not STARTER_WEIGHTS.is_file():
        raise InputError(
            f"there are no starter weights at {STARTER_WEIGHTS}; give the path of a checkpoint of yours, "
            "or of a published file with the names of its model and backbone"
        )
    print(
        f"note: no weights were given; the project's starter weights are used ({STARTER_WEIGHTS.name}, see "
        "checkpoint/README.md for what they can and cannot do)",
        file=sys.stderr,
    )
    return STARTER_WEIGHTS


def trained_flags(checkpoint: Mapping[str, Any], origin: str) -> dict[str, Any]:
    """Return the flags of the run that wrote a checkpoint, as far as prediction needs them.

    Raises:
        ModelError: they are of another type than a run writes.
    """
    flags = checkpoint["config"].get("flags", {})
    if not isinstance(flags, Mapping):
        raise ModelError(f"{origin} has a config whose flags are a {type(flags).__name__}; take it as the run wrote it")
    size, classes = flags.get("train_size", 1), flags.get("classes")
    if not isinstance(size, int):
        raise ModelError(f"{origin} says that it was trained at a size of {size!r}; take it as the run wrote it")
    if not (classes is None or (isinstance(classes, list) and all(isinstance(text, str) for text in classes))):
        raise ModelError(f"{origin} says that its classes are {classes!r}; take it as the run wrote it")
    return {name: flags[name] for name in ("train_size", "classes") if name in flags}
