"""What a run may cost: `--budget 20epochs`, `500steps` or `30minutes`."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from measure.io import InputError

__all__ = ["Budget", "parse_budget"]


@dataclass(frozen=True)
class Budget:
    """Bounds of a run, resumed parts counted in; the first one reached ends it.

    Attributes:
        epochs: passes over the training part. steps: updates. minutes: of wall time, validation included.
    """

    epochs: float = math.inf
    steps: float = math.inf
    minutes: float = math.inf

    def is_spent(self, *, epochs: int, steps: int, seconds: float) -> bool:
        """Whether a run that has finished so much is at its end."""
        return epochs >= self.epochs or steps >= self.steps or seconds >= 60 * self.minutes


def parse_budget(text: str | None) -> Budget:
    """Read a number with one of the units epochs, steps, minutes; None is no bound.

    Raises:
        InputError: it is something else.
    """
    if text is None:
        return Budget()
    found = re.fullmatch(r"(\d+(?:\.\d+)?) ?(epochs|steps|minutes)", text)
    if not found or not float(found[1]):
        raise InputError(f"--budget {text} was given; write a number and a unit: 20epochs, 500steps or 30minutes")
    return Budget(**{found[2]: float(found[1])})
