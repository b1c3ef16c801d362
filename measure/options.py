"""What a scoring run can be asked for, and the values the published tables were made with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .io import Classes, InputError

__all__ = ["PROTOCOLS", "Options"]

PROTOCOLS = ("image", "vps")


@dataclass(frozen=True)
class Options:
    """Options of a run; the defaults give the published numbers.

    Attributes:
        protocol: "image" (still-image sets, mean over images) or "vps" (SUN-SEG: mean over frames, then cases).
        minmax: min-max normalize every map before scoring, as the released tools do; off, maps count as saved.
        border: also score the border region.
        br_rate: side of the square that widens the contour to the border region, pixels.
        partial: score the pairs that are there and readable; otherwise a missing map is an error.
        classes: of masks that tell several apart; every class is scored against its own plane, then all merged.
    """

    protocol: str = "image"
    minmax: bool = True
    border: bool = False
    br_rate: int = 15
    partial: bool = False
    classes: Classes | None = None

    def __post_init__(self) -> None:
        if self.protocol not in PROTOCOLS:
            raise InputError(f"unknown protocol {self.protocol!r}; known are {', '.join(PROTOCOLS)}")
        if self.br_rate < 1:
            raise InputError(f"br_rate is {self.br_rate}; at least 1 pixel was expected")
        if self.classes and self.protocol == "vps":
            raise InputError("--classes was given with --protocol vps; only still images are scored by class")

    @property
    def ddof(self) -> int:
        """Of the S-measure's deviations: population in the image protocol's tool, sample in the VPS one's."""
        return 1 if self.protocol == "vps" else 0

    def of_pairs(self) -> dict[str, Any]:
        """What `metrics.pair_scores` is to do."""
        return {"minmax": self.minmax, "ddof": self.ddof, "br_rate": self.br_rate if self.border else None}

    def record(self) -> dict[str, Any]:
        """The options as `scores.json` keeps them; classes only where there are some."""
        record = {name: value for name, value in vars(self).items() if name != "classes"}
        return record | {"classes": str(self.classes)} if self.classes else record
