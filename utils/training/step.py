"""One update of a network's weights, whatever the data: mixed precision, parts of a batch, clipping, weight average."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from ..runtime import SINGLE_PROCESS, Recorded, World, autocast, compiled
from .config import TrainConfig
from .loss_sums import LossSums
from .losses import DeepSupervision
from .weight_average import WeightAverage

__all__ = ["TrainStep", "make_optimizer"]

OWN = ("lr", "weight_decay", "capturable")  # what a resumed optimizer keeps of its own
Losses = list[tuple[Tensor, dict[str, Tensor], float]]  # of a batch's pieces: loss, its parts, share of the images


class TrainStep:
    """Forward, losses, backward, clipping, optimizer and weight average.

    Args:
        model: the network, moved to `device` in place.
        loss: of its outputs.
        config: the options of the optimizer, clipping, precision, average, accumulation and compiling are used.
        device: where it trains.
        world: the processes that train together; gradients are averaged over them.

    Attributes:
        average: exponential moving average of the weights and the batch-norm statistics; None without --ema.
        losses: sums of the losses so far, see `LossSums`.
    """

    def __init__(
        self,
        model: nn.Module,
        loss: DeepSupervision,
        *,
        config: TrainConfig,
        device: torch.device,
        world: World = SINGLE_PROCESS,
    ):
        self.config, self.world, self.loss = config, world, loss
        self.model = model.to(device, memory_format=torch.channels_last)
        self.optimizer = make_optimizer(self.model, config)
        self.autocast = autocast(device, config.amp)
        self.scaler = torch.amp.GradScaler(device.type, enabled=config.amp == "fp16")
        self.average = WeightAverage(self.model, config.ema) if config.ema else None
        self.losses = LossSums(world)
        parts = (self.model, loss) if config.compile else ()
        self.compiled = [compiled(part, mode=config.compile_mode) for part in parts]
        self.network = world.replicate(self.model, sync_norms=config.sync_batchnorm)
        self.recorded = Recorded(self._whole_batch, before=self.optimizer.zero_grad) if config.cuda_graphs else None

    def __call__(self, inputs: dict[str, Tensor], mask: Tensor, *, images: int) -> None:
        """Make one update.

        Args:
            inputs: this process's part of the forward's arguments by name, images normalized.
            mask: (N, K, S, S) in [0, 1], a plane a class.
            images: how many the whole batch has, of all processes.
        """
        try:
            self._step(inputs, mask, images)
        except Exception as error:  # compiled code may fail in ways of its own; what is a true fault fails again
            if not [part for part in self.compiled if part.give_up(error)]:
                raise
            self._step(inputs, mask, images)

    def _step(self, inputs: dict[str, Tensor], mask: Tensor, images: int) -> None:
        """The update, and its losses once it is made."""
        is_whole = images == self.config.batch_size  # an epoch's last batch is often smaller
        for part in self.compiled:
            part.active = is_whole
        recorded = self.recorded if is_whole else None
        for losses in recorded(inputs, mask) if recorded else self._update_from(inputs, mask, images):
            self.losses.add(*losses)
        self.losses.end_step()

    def _whole_batch(self, inputs: dict[str, Tensor], mask: Tensor) -> Losses:
        """The update from a batch of the size that --batch_size says, whose kernels are the same every time."""
        return self._update_from(inputs, mask, self.config.batch_size)

    def _update_from(self, inputs: dict[str, Tensor], mask: Tensor, images: int) -> Losses:
        """Compute the gradients piece by piece and use them."""
        self.optimizer.zero_grad(set_to_none=True)
        pieces = min(self.config.accumulate, max(1, len(mask) // 2))
        split = {name: tensor.tensor_split(pieces) for name, tensor in inputs.items()}
        finite, found = True, []
        for index, target in enumerate(mask.tensor_split(pieces)):
            part, fraction = {name: parts[index] for name, parts in split.items()}, len(target) / images
            with nullcontext() if index == pieces - 1 else self._without_reduction():
                total, parts, has_gradients = self._backward(part, target, fraction)
            # copies, as the next piece writes over what compiled code that is recorded has returned (--compile_mode)
            found.append((total.clone(), {name: loss.clone() for name, loss in parts.items()}, fraction))
            finite = has_gradients and finite
        if finite:
            self._update()
        return found

    def _update(self) -> None:
        """Let the optimizer use the gradients."""
        if self.config.gradient_clip:
            self.scaler.unscale_(self.optimizer)
            clip_gradients(self.model, self.config.gradient_clip, self.config.clip_mode)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        if self.average is not None:
            self.average.update()

    def _backward(
        self, inputs: dict[str, Tensor], mask: Tensor, fraction: float
    ) -> tuple[Tensor, dict[str, Tensor], bool]:
        """Add the gradients of a fraction of a batch; reducing takes the mean over processes, hence the factor.

        Returns:
            The loss, its parts by name, and whether there are gradients: there are none where a CPU's loss is not
            finite, in any of the processes, since a backward may crash at NaN (that of grid_sample does). Whoever looks
            at the losses ends the run.
        """
        with self.autocast:
            outputs = self.network(**inputs)
        total, parts = self.loss(outputs, mask)
        if not total.is_cuda and self.world.all_reduce_max(float(not total.isfinite())):
            return total.detach(), parts, False
        self.scaler.scale(total * (fraction * self.world.size)).backward()
        return total.detach(), parts, True

    def _without_reduction(self) -> AbstractContextManager:
        """Gradients stay this process's own until the last piece of a batch."""
        return self.network.no_sync() if isinstance(self.network, DistributedDataParallel) else nullcontext()

    @property
    def eval_model(self) -> nn.Module:
        """The network that is validated: the average of the weights where there is one."""
        return self.model if self.average is None else self.average.module

    def set_learning_rate(self, rate: float) -> None:
        """Give the optimizer the learning rate of the next update."""
        for group in self.optimizer.param_groups:
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(rate)
            else:
                group["lr"] = rate

    def non_finite_entries(self) -> list[str]:
        """Names of the weights and statistics that hold an infinity or NaN, of the network and of the average."""
        found = [f"{name}" for name, tensor in self.model.state_dict().items() if not is_finite(tensor)]
        if self.average is not None:
            state = self.average.module.state_dict()
            found += [f"average of {name}" for name, tensor in state.items() if not is_finite(tensor)]
        return found

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps of it."""
        average = {} if self.average is None else {"ema_state_dict": self.average.module.state_dict()}
        optimizer = self.optimizer.state_dict()
        for group in optimizer["param_groups"]:
            group["lr"] = float(group["lr"])  # a tensor where steps are recorded
        return {
            **average,
            "model_state_dict": self.model.state_dict(),
            "optimizer_state_dict": optimizer,
            "scaler_state_dict": self.scaler.state_dict(),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint; options of the optimizer that differ now hold from now on."""
        self.model.load_state_dict(state["model_state_dict"])
        own = [{name: group[name] for name in OWN if name in group} for group in self.optimizer.param_groups]
        self.optimizer.load_state_dict(state["optimizer_state_dict"])
        for group, values in zip(self.optimizer.param_groups, own, strict=True):
            group.update(values)
        if self.scaler.is_enabled() and state["scaler_state_dict"]:
            self.scaler.load_state_dict(state["scaler_state_dict"])
        if self.average is not None:  # one that is new with this resume starts from the weights
            self.average.module.load_state_dict(state.get("ema_state_dict", state["model_state_dict"]))
            self.average.has_begun = True


def is_finite(tensor: Tensor) -> bool:
    return not tensor.is_floating_point() or bool(tensor.isfinite().all())


def make_optimizer(model: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    """Build the optimizer by its name; the rate is set before every update, in a tensor where steps are recorded."""
    kinds = {"Adam": torch.optim.Adam, "AdamW": torch.optim.AdamW, "SGD": torch.optim.SGD}
    own: dict[str, Any] = {"momentum": 0.9} if config.optimizer == "SGD" else {}
    rate: float | Tensor = config.lr
    if config.cuda_graphs:
        rate, own = torch.tensor(config.lr, device=next(model.parameters()).device), own | {"capturable": True}
    return kinds[config.optimizer](model.parameters(), lr=rate, weight_decay=config.weight_decay, fused=True, **own)


def clip_gradients(model: nn.Module, bound: float, mode: str) -> None:
    """Bound the gradients in place: each element ("value", as released) or their common norm ("norm")."""
    clip = nn.utils.clip_grad_value_ if mode == "value" else nn.utils.clip_grad_norm_
    clip(model.parameters(), bound)
