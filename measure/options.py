"""What a scoring run can be asked for, and the values the published tables were made with."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from .errors import InputError

__all__ = ["PROTOCOLS", "Options"]

PROTOCOLS = ("image", "vps")


@dataclass(frozen=True)
class Options:
    """Options of a run; the defaults give the published numbers.

    Attributes:
        protocol: "image" (still-image sets, mean over images) or "vps" (SUN-SEG: mean over frames, then cases).
        minmax: stretch every map to [0, 1] before scoring, as the released tools do; off, maps count as saved.
        border: also score the border region.
        br_rate: side of the square that widens the contour to the border region, pixels.
        partial: score the pairs that are there and readable; otherwise a missing map is an error.
    """

    protocol: str = "image"
    minmax: bool = True
    border: bool = False
    br_rate: int = 15
    partial: bool = False

    def __post_init__(self) -> None:
        if self.protocol not in PROTOCOLS:
            raise InputError(f"unknown protocol {self.protocol!r}; known are {', '.join(PROTOCOLS)}")
        if self.br_rate < 1:
            raise InputError(f"br_rate is {self.br_rate}; at least 1 pixel was expected")

    @property
    def ddof(self) -> int:
        """Of the S-measure's deviations: population in the image protocol's tool, sample in the VPS one's."""
        return 1 if self.protocol == "vps" else 0

    def record(self) -> dict[str, Any]:
        """The options as `scores.json` keeps them."""
        return asdict(self)
