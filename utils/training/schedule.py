"""Learning rates as pure functions of where a run stands: nothing is multiplied in place, so a resume is exact.

Each rate is for the update to come. Epochs count from 1, steps (updates) from 0. The budget of a run is here as well:
`--budget 20epochs`, `500steps` or `30minutes`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from measure.io import InputError

__all__ = ["SCHEDULES", "Budget", "Progress", "Schedule", "epochs_since_best", "parse_budget"]


@dataclass(frozen=True)
class Progress:
    """Where a run stands.

    Attributes:
        epoch: the epoch under way. step: updates done in it.
        epochs: of the whole run. steps: updates of one epoch.
        scores: validation scores of the finished epochs, higher is better.
    """

    epoch: int
    step: int
    epochs: int
    steps: int
    scores: Sequence[float] = ()

    @property
    def done(self) -> int:
        """Updates since the start."""
        return (self.epoch - 1) * self.steps + self.step


@dataclass(frozen=True)
class Schedule:
    """A learning rate's course; what a kind does not speak of is not used by it.

    Attributes:
        kind: one of `SCHEDULES`.
        base: the highest rate. lowest: share of it where the warm-up starts and (kind "sepnet") the decay ends.
        warmup: epochs of the warm-up.
        decay_rate: factor of a decay. decay_epochs: epochs between decays; without a better score, for "plateau".
        power: of "poly" and "poly_as_printed".
    """

    kind: str = "sepnet"
    base: float = 1e-4
    lowest: float = 0.1
    warmup: int = 30
    decay_rate: float = 0.5
    decay_epochs: int = 50
    power: float = 0.9

    def rate(self, at: Progress) -> float:
        """The learning rate of the next update."""
        return SCHEDULES[self.kind](self, at)


def constant(schedule: Schedule, at: Progress) -> float:
    """The base rate."""
    return schedule.base


def sepnet(schedule: Schedule, at: Progress) -> float:
    """As released with SEPNet, by epoch: a linear warm-up, then steps down, never under the lowest rate."""
    lowest = schedule.lowest * schedule.base
    if at.epoch <= schedule.warmup:
        return lowest + (at.epoch - 1) * (schedule.base - lowest) / schedule.warmup
    return max(lowest, _stepped(schedule, at.epoch - schedule.warmup))


def steps(schedule: Schedule, at: Progress) -> float:
    """The base rate, multiplied by the decay rate after every `decay_epochs` epochs."""
    return _stepped(schedule, at.epoch)


def _stepped(schedule: Schedule, epoch: int) -> float:
    return schedule.base * schedule.decay_rate ** ((epoch - 1) // schedule.decay_epochs)


def poly(schedule: Schedule, at: Progress) -> float:
    """SCR-Net's by step: lowest + (base - lowest) (step / warm)^power, then base (1 - share of what is left)^power."""
    lowest = schedule.lowest * schedule.base
    return _poly(schedule, at, lambda share: lowest + (schedule.base - lowest) * share**schedule.power)


def poly_as_printed(schedule: Schedule, at: Progress) -> float:
    """The same with the warm-up as SCR-Net's paper prints it: lowest (1 + step / warm)^power.

    It ends at 1.9 times the lowest rate and jumps from there to the base rate, which the text does not mean.
    """
    return _poly(schedule, at, lambda share: schedule.lowest * schedule.base * (1 + share) ** schedule.power)


def _poly(schedule: Schedule, at: Progress, warm_up: Callable[[float], float]) -> float:
    return _warmed(schedule, at, warm_up, lambda share: schedule.base * (1 - share) ** schedule.power)


def cosine(schedule: Schedule, at: Progress) -> float:
    """Half a cosine by step, from the base rate to 0 (SGDR without restarts, ICLR 2017), after a linear warm-up."""
    lowest = schedule.lowest * schedule.base
    return _warmed(
        schedule,
        at,
        lambda share: lowest + (schedule.base - lowest) * share,
        lambda share: schedule.base * (1 + math.cos(math.pi * share)) / 2,
    )


def _warmed(
    schedule: Schedule, at: Progress, warm_up: Callable[[float], float], decay: Callable[[float], float]
) -> float:
    """A warm-up, then a decay, each of the share of its own steps that are done."""
    warm, total = schedule.warmup * at.steps, at.epochs * at.steps
    return warm_up(at.done / warm) if at.done < warm else decay((at.done - warm) / (total - warm))


def plateau(schedule: Schedule, at: Progress) -> float:
    """Multiply by the decay rate whenever more than `decay_epochs` epochs in a row brought no better score.

    PyTorch's ReduceLROnPlateau with a threshold of 0, read off the scores instead of kept as a state.
    """
    rate, best, waited = schedule.base, -float("inf"), 0
    for score in at.scores:
        waited = 0 if score > best else waited + 1
        best = max(best, score)
        if waited > schedule.decay_epochs:
            rate, waited = rate * schedule.decay_rate, 0
    return rate


SCHEDULES: dict[str, Callable[[Schedule, Progress], float]] = {
    "sepnet": sepnet,
    "steps": steps,
    "poly": poly,
    "poly_as_printed": poly_as_printed,
    "cosine": cosine,
    "plateau": plateau,
    "constant": constant,
}


def epochs_since_best(scores: Sequence[float]) -> int:
    """How many epochs ago the best score came; 0 where the last is the best, or where there is none yet."""
    return len(scores) - 1 - scores.index(max(scores)) if scores else 0


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
