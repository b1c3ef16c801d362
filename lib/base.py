"""What every network says about itself, so that trainers, predictors and reports need not guess."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, ClassVar

from torch import Tensor, nn

from .errors import ModelError

__all__ = ["ImageNetwork", "Network", "VideoNetwork"]


class Network(nn.Module, ABC):
    """Base class of the networks; a subclass says what differs from the defaults here.

    Class attributes:
        name: what it is registered as, and what checkpoints call it.
        kind: "image" (one forward a picture) or "video" (a step with memory).
        paper: authors, title, venue and year.
        config_class: frozen dataclass of its options, each with a default.
        divisor: height and width of an input must be multiples of it, pixels.
        smallest: no side of an input may be shorter, pixels.
        train_size: height and width that its authors trained it at, pixels.
        nondeterministic_ops: operations whose backward has no deterministic version on CUDA.

    Attributes:
        config: the options it was built with, an instance of `config_class`.
        output_names: keys of what `forward` returns, in order, "out" first.
        head: the last layer before "out", whose input a heat map shows.
    """

    name: ClassVar[str]
    kind: ClassVar[str]
    paper: ClassVar[str]
    config_class: ClassVar[type]
    divisor: ClassVar[int]
    smallest: ClassVar[int]
    train_size: ClassVar[int]
    nondeterministic_ops: ClassVar[tuple[str, ...]] = ()

    config: Any
    output_names: tuple[str, ...] = ("out",)
    head: nn.Module

    @classmethod
    def option_names(cls) -> list[str]:
        """Names of the options that `config_class` has."""
        return [field.name for field in fields(cls.config_class)]

    @classmethod
    def check_side(cls, side: int, *, flag: str, batch: int | None = None) -> None:
        """Refuse a height and width that the network cannot take.

        Args:
            side: pixels.
            flag: what it was given as, for the message.
            batch: images a forward in training; None: the network is not trained.

        Raises:
            ModelError: it is no multiple of `divisor`, under `smallest`, or so small that a batch of one image leaves
                batch normalization a single value a channel.
        """
        if side < cls.smallest or side % cls.divisor:
            raise ModelError(
                f"{flag} {side} was given; {cls.name} needs a multiple of {cls.divisor}, at least {cls.smallest}"
            )
        if batch == 1 and side == cls.divisor:
            raise ModelError(
                f"{flag} {side} was given with one image a forward, which leaves batch normalization a single value a "
                f"channel; give at least {2 * side}, or two images"
            )

    @property
    def ignored_prefixes(self) -> tuple[str, ...]:
        """Beginnings of entries that a weight file may have beyond this network: what the encoder does not use."""
        encoder = getattr(self, "encoder", None)
        return () if encoder is None else tuple(f"encoder.net.{prefix}" for prefix in encoder.ignored_prefixes)

    def remap_published(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Published entry names -> ours; names of other kinds stay as they are. Here: there is no other naming."""
        return dict(state)

    def explain(self, features: Tensor) -> Tensor | None:
        """Return the heat map that the network's paper shows, where it has one of its own.

        Args:
            features: what `head` reads, (N, C, h, w).

        Returns:
            (N, 1, h, w) in [0, 1].
        """
        return None

    @property
    def steady_parts(self) -> list[nn.Module]:
        """The modules whose calls look the same for every picture of a size: what can be recorded and started again."""
        return [self]

    @abstractmethod
    def example_inputs(self, size: int, *, batch: int = 1) -> tuple[Tensor, ...]:
        """Return zeros that `forward` takes.

        Args:
            size: height and width, pixels.
            batch: images, or clips side by side.
        """

    def _zeros(self, batch: int, channels: int, size: int) -> Tensor:
        """Zeros of the type and on the device of the parameters."""
        return next(self.parameters()).new_zeros(batch, channels, size, size)


class ImageNetwork(Network):
    """A network that segments every picture by itself: `forward(image)`, (N, 3, H, W) -> ordered dict of logits."""

    kind = "image"

    def example_inputs(self, size: int, *, batch: int = 1) -> tuple[Tensor, ...]:
        """One image (N, 3, size, size)."""
        return (self._zeros(batch, 3, size),)


class VideoNetwork(Network):
    """A network that segments a clip frame by frame: `step` with memory, `forward` on frames of one clip to train."""

    kind = "video"

    def example_inputs(self, size: int, *, batch: int = 1) -> tuple[Tensor, ...]:
        """Memory frame, current frame and neighbor (N, 3, size, size); the memory frame's mask (N, 1, size, size)."""
        frame = self._zeros(batch, 3, size)
        return frame, frame, frame, self._zeros(batch, 1, size)
