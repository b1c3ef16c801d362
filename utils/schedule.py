"""Learning rates as pure functions of the epoch."""

from __future__ import annotations

__all__ = ["learning_rate"]

LOWEST = 0.1  # share of the base rate where the warm-up starts and the decay ends


def learning_rate(
    epoch: int, *, base: float, warmup: int = 30, decay_rate: float = 0.5, decay_epochs: int = 50
) -> float:
    """Return the rate of an epoch as released with SEPNet: a linear warm-up, then steps down, never under 0.1 base.

    Args:
        epoch: 1, 2, ...
        base: the rate after the warm-up.
        warmup: epochs of the warm-up; 0 for none.
        decay_rate, decay_epochs: the rate is multiplied by `decay_rate` after every `decay_epochs` epochs of decay.
    """
    lowest = LOWEST * base
    if epoch <= warmup:
        return lowest + (epoch - 1) * (base - lowest) / warmup
    return max(lowest, base * decay_rate ** ((epoch - warmup - 1) // decay_epochs))
