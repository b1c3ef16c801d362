"""Losses by name over an epoch, kept on the device so that adding never waits for it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..runtime import World

__all__ = ["LossSums"]


class LossSums:
    """Sums of every step's losses, of this process's share of the images; the means are of all processes."""

    def __init__(self, world: World, *, steps: int = 0, sums: dict[str, Tensor] | None = None) -> None:
        self.world = world
        self.steps = steps
        self.sums = sums or {}

    def add(self, total: Tensor, parts: dict[str, Tensor], share: float) -> None:
        """Add the losses of `share` of a step's images."""
        for name, value in {"loss": total, **parts}.items():
            self.sums[name] = self.sums.get(name, 0.0) + share * value.double()

    def end_step(self) -> None:
        self.steps += 1

    def means(self) -> dict[str, float]:
        """Means over the steps so far: `loss`, the weighted sum, and every output's own. All processes must ask."""
        return {name: value / self.steps for name, value in self.totals().items()}

    def totals(self) -> dict[str, float]:
        mine = {name: float(value) for name, value in self.sums.items()}
        gathered = self.world.all_gather(mine)
        return {name: sum(values[name] for values in gathered) for name in mine}

    def state(self) -> dict[str, Any]:
        """Plain data to go on from. All processes must ask."""
        return {"steps": self.steps, "sums": self.totals()}

    @classmethod
    def from_state(cls, state: dict[str, Any], world: World, device: torch.device) -> LossSums:
        """Go on from a state: the first process takes over what all had summed."""
        sums = {
            name: torch.tensor(value if world.is_first else 0.0, dtype=torch.float64, device=device)
            for name, value in state["sums"].items()
        }
        return cls(world, steps=state["steps"], sums=sums)
