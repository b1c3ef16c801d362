"""How a run trains, as plain numbers, and the optimiser they describe."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from .budget import Budget
from .schedule import Schedule

__all__ = ["TrainOptions", "average_of", "clip_gradients", "make_optimizer"]


@dataclass(frozen=True)
class TrainOptions:
    """How to train; the defaults are the released ones.

    Attributes:
        epochs: passes over the training part. batch_size: images a step, over all processes.
        accumulate: parts in which a process computes its images of a step, so that less memory is needed. Batch
            normalisation sees one part at a time.
        budget: what ends the run before its last epoch.
        early_stop: epochs without a better validation score that end the run; 0 for never.
        schedule: the learning rate's course.
        optimizer: "Adam", "AdamW" or "SGD" (momentum 0.9). weight_decay: theirs.
        clip: bound on gradients, 0 for none; clip_mode: "value" (each element) or "norm" (all of them together).
        scales: input sizes in pixels; every batch is trained on at each. Empty: the size it is loaded at.
        amp: "off", "bf16" or "fp16" (with loss scaling); losses are float32 in all three.
        ema: decay of an average of the weights, which is then validated and tested; 0 for none.
        sync_norms: batch normalisation over the images of all processes.
        compile: run the network through torch.compile.
        save_every: epochs between numbered checkpoints.
        workers: processes that load images, for every process that trains. seed: of everything drawn.
    """

    epochs: int = 100
    batch_size: int = 3
    accumulate: int = 1
    budget: Budget = Budget()
    early_stop: int = 0
    schedule: Schedule = Schedule()
    optimizer: str = "Adam"
    weight_decay: float = 1e-4
    clip: float = 0.5
    clip_mode: str = "value"
    scales: tuple[int, ...] = ()
    amp: str = "off"
    ema: float = 0.0
    sync_norms: bool = True
    compile: bool = False
    save_every: int = 50
    workers: int = 1
    seed: int = 0


def make_optimizer(model: nn.Module, options: TrainOptions) -> torch.optim.Optimizer:
    """Build the optimiser by its name; the rate is set before every update."""
    kinds = {"Adam": torch.optim.Adam, "AdamW": torch.optim.AdamW, "SGD": torch.optim.SGD}
    own = {"momentum": 0.9} if options.optimizer == "SGD" else {}
    return kinds[options.optimizer](
        model.parameters(), lr=options.schedule.base, weight_decay=options.weight_decay, fused=True, **own
    )


def average_of(model: nn.Module, decay: float) -> AveragedModel:
    """An exponential moving average of weights and batch-norm statistics."""
    return AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)


def clip_gradients(model: nn.Module, bound: float, mode: str) -> None:
    """Bound the gradients in place: each element ("value", as released) or their common norm ("norm")."""
    clip = nn.utils.clip_grad_value_ if mode == "value" else nn.utils.clip_grad_norm_
    clip(model.parameters(), bound)
