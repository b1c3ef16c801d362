"""Training: one loop for CUDA and CPU, full and mixed precision, new and resumed runs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from . import checkpoint
from .image_data import TrainingBatches
from .log import RunLog
from .losses import DeepSupervision
from .precision import autocast
from .schedule import Progress, Schedule, epochs_since_best
from .stopping import NonFiniteLoss, Stopped, StopRequest, own_process_group
from .transforms import normalise, resize_batch
from .validation import Validation

__all__ = ["TrainOptions", "Trainer"]

# steps between looks at the loss: every look makes a GPU wait, and costs a CPU nothing
LOOK_EVERY = {"cpu": 1, "cuda": 50}


@dataclass(frozen=True)
class TrainOptions:
    """How to train; the defaults are the released ones.

    Attributes:
        epochs: passes over the training part. batch_size: images a step.
        early_stop: epochs without a better validation score that end the run; 0 for never.
        schedule: the learning rate's course.
        optimizer: "Adam", "AdamW" or "SGD" (momentum 0.9). weight_decay: theirs.
        clip: bound on gradients, 0 for none; clip_mode: "value" (each element) or "norm" (all of them together).
        scales: input sizes in pixels; every batch is trained on at each. Empty: the size it is loaded at.
        amp: "off", "bf16" or "fp16" (with loss scaling); losses are float32 in all three.
        ema: decay of an average of the weights, which is then validated and tested; 0 for none.
        save_every: epochs between numbered checkpoints.
        workers: processes that load images. seed: of everything drawn.
    """

    epochs: int = 100
    batch_size: int = 3
    early_stop: int = 0
    schedule: Schedule = Schedule()
    optimizer: str = "Adam"
    weight_decay: float = 1e-4
    clip: float = 0.5
    clip_mode: str = "value"
    scales: tuple[int, ...] = ()
    amp: str = "off"
    ema: float = 0.0
    save_every: int = 50
    workers: int = 1
    seed: int = 0


class Trainer:
    """Train `model` on `training`, judge it by `validation` after every epoch, keep everything in `folder`.

    Args:
        training: samples as dicts of uint8 tensors, addressed by (epoch, index): `mask`, and the arguments of the
            network's forward by name, images (3, S, S), masks (1, S, S).
        config: plain data that is saved with every checkpoint, enough to build the model and the run again.
        resume: a checkpoint of ours to go on from.

    Raises:
        InputError: the folder cannot be written to.
    """

    def __init__(
        self,
        model: nn.Module,
        loss: DeepSupervision,
        *,
        training: Dataset,
        validation: Validation,
        options: TrainOptions,
        folder: str | Path,
        device: torch.device,
        config: dict[str, Any],
        resume: dict[str, Any] | None = None,
    ):
        self.options, self.device, self.config = options, device, config
        self.model = model.to(device, memory_format=torch.channels_last)
        self.loss = loss
        self.optimizer = make_optimizer(self.model, options)
        self.amp = autocast(device, options.amp)
        self.scaler = torch.amp.GradScaler(device.type, enabled=options.amp == "fp16")
        self.average = average_of(self.model, options.ema) if options.ema else None
        self.validation = validation
        self.batches = TrainingBatches(len(training), batch_size=options.batch_size, seed=options.seed)
        self.training = DataLoader(
            training,
            batch_sampler=self.batches,
            generator=torch.Generator(),  # its own: a start of a loader draws from one, and no run may depend on that
            num_workers=options.workers,
            pin_memory=device.type == "cuda",
            persistent_workers=options.workers > 0,
            worker_init_fn=own_process_group,
        )
        self.epoch, self.step = 1, 0  # the epoch under way, its steps done
        self.scores: list[float] = []  # of the finished epochs
        self.losses = LossSums()
        if resume:
            self.load_state(resume)
        self.log = RunLog(folder, last_epoch=self.epoch - 1)
        self.log.config(config)

    def fit(self) -> None:
        """Train to the last epoch, or until the validation score has not risen for `early_stop` epochs.

        Raises:
            Stopped: a signal asked for the end; the state is saved and the message says how to go on.
            NonFiniteLoss: the loss became infinite or NaN.
        """
        try:
            with StopRequest() as stop:
                while self.epoch <= self.options.epochs and not self.exhausted():
                    started = time.perf_counter()
                    self.train_epoch(stop)
                    self.finish_epoch(started)
        finally:
            self.log.close()

    def exhausted(self) -> bool:
        """Whether the early stop is reached; derived from the scores, so that a resumed run agrees."""
        patience, waited = self.options.early_stop, epochs_since_best(self.scores)
        if not patience or waited < patience:
            return False
        tqdm.write(f"early stop: no better score in the last {waited} epochs")
        return True

    def train_epoch(self, stop: StopRequest) -> None:
        """Train through what is left of the epoch under way."""
        self.model.train()
        self.batches.epoch, self.batches.start = self.epoch, self.step
        bar = tqdm(
            self.training,
            desc=f"epoch {self.epoch}/{self.options.epochs}",
            total=len(self.batches),
            initial=self.step,
            unit="step",
            disable=None,
            leave=False,
        )
        for batch in bar:
            rate = self.set_rate()
            for inputs, mask in self.at_scales(batch):
                self.train_step(inputs, mask)
            self.step += 1
            if self.step % LOOK_EVERY[self.device.type] == 0 or self.step == len(self.batches):
                bar.set_postfix(loss=f"{self.check_losses():.3f}", lr=f"{rate:.1e}")
            if stop.signal:
                self.stop(stop)

    def train_step(self, inputs: dict[str, Tensor], mask: Tensor) -> None:
        """One update from the forward's arguments by name, images normalised, and masks (N, 1, S, S) in [0, 1]."""
        with self.amp:
            outputs = self.model(**inputs)
        total, parts = self.loss(outputs, mask)
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(total).backward()
        if self.options.clip:
            self.scaler.unscale_(self.optimizer)
            clip_gradients(self.model, self.options.clip, self.options.clip_mode)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        if self.average is not None:
            self.average.update_parameters(self.model)
        self.losses.add(total.detach(), parts)

    def at_scales(self, batch: dict[str, Tensor]) -> Iterator[tuple[dict[str, Tensor], Tensor]]:
        """Yield the batch on the device at every training size, always resized from the batch as it was loaded."""
        whole = {name: self.prepare(name, tensor) for name, tensor in batch.items()}
        for size in self.options.scales or (whole["mask"].shape[-1],):
            scaled = {name: resize_batch(tensor, size) for name, tensor in whole.items()}
            mask = scaled.pop("mask")
            yield {name: x.contiguous(memory_format=torch.channels_last) for name, x in scaled.items()}, mask

    def prepare(self, name: str, tensor: Tensor) -> Tensor:
        """Bring loaded levels to the device, masks to [0, 1] and images to what networks expect."""
        tensor = tensor.to(self.device, non_blocking=True)
        return tensor.float() / 255 if name.endswith("mask") else normalise(tensor)

    def set_rate(self) -> float:
        """Give the optimiser the learning rate of the next update, and return it."""
        at = Progress(
            epoch=self.epoch,
            step=self.step,
            epochs=self.options.epochs,
            steps=len(self.batches),
            scores=self.scores,
        )
        rate = self.options.schedule.rate(at)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        return rate

    def check_losses(self) -> float:
        """Return the epoch's mean loss so far.

        Raises:
            NonFiniteLoss: it is infinite or NaN; the message names the parts.
        """
        means = self.losses.means()
        if not np.isfinite(means["loss"]):
            bad = ", ".join(f"{name} {value}" for name, value in means.items() if not np.isfinite(value))
            raise NonFiniteLoss(
                f"the loss is not finite in epoch {self.epoch} at step {self.step} ({bad}); lower --lr or use "
                f"--amp off, and go on from {self.log.folder / 'last.pth'} if an epoch was finished"
            )
        return means["loss"]

    def finish_epoch(self, started: float) -> None:
        """Validate, log, move on to the next epoch, save."""
        losses = self.losses.means()
        trained = time.perf_counter() - started
        judged = self.model if self.average is None else self.average.module
        scores = self.validation.scores(judged, self.amp)
        is_best = scores["score"] > max(self.scores, default=-float("inf"))
        rate = self.optimizer.param_groups[0]["lr"]  # of the epoch's last update
        row = {"epoch": self.epoch, "lr": rate, **losses, **scores, "seconds": round(trained, 2)}
        self.log.epoch(row)
        self.log.picture(self.validation.picture(judged, self.amp), epoch=self.epoch)
        tqdm.write(
            f"epoch {self.epoch}/{self.options.epochs}: loss {losses['loss']:.3f}, held out Dice {scores['Dice']:.4f} "
            f"IoU {scores['IoU']:.4f} MAE {scores['MAE']:.4f}{' (best)' if is_best else ''}, {trained:.0f} s"
        )
        finished = self.epoch
        self.scores.append(scores["score"])
        self.epoch, self.step, self.losses = self.epoch + 1, 0, LossSums()
        self.save("last.pth")
        if is_best:
            self.save("best.pth")
        if finished % self.options.save_every == 0:
            self.save(f"checkpoint_epoch_{finished}.pth")

    def stop(self, request: StopRequest) -> None:
        """Save and end the run as a signal asked for."""
        self.save("last.pth")
        raise Stopped(
            f"{request.signal.name} in epoch {self.epoch} after step {self.step}: saved; go on with "
            f"python myTrain.py --load_checkpoint_path {self.log.folder / 'last.pth'}",
            request.status,
        )

    def save(self, name: str) -> None:
        """Write a checkpoint of the run as it stands."""
        average = {} if self.average is None else {"ema_state_dict": self.average.module.state_dict()}
        checkpoint.save(
            self.log.folder / name,
            {
                **average,
                "model_state_dict": self.model.state_dict(),
                "optimizer_state_dict": self.optimizer.state_dict(),
                "scaler_state_dict": self.scaler.state_dict(),
                "epoch": self.epoch - 1,
                "step": self.step,
                "losses": self.losses.state(),
                "scores": self.scores,
                "generators": checkpoint.generator_states(),
                "config": self.config,
            },
        )

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on exactly where a checkpoint was written."""
        self.model.load_state_dict(state["model_state_dict"])
        self.optimizer.load_state_dict(state["optimizer_state_dict"])
        self.scaler.load_state_dict(state["scaler_state_dict"])
        if self.average is not None and "ema_state_dict" in state:
            self.average.module.load_state_dict(state["ema_state_dict"])
            self.average.n_averaged.fill_(1)  # only "some" or "none" matters to an exponential average
        self.epoch, self.step, self.scores = state["epoch"] + 1, state["step"], list(state["scores"])
        self.losses = LossSums.from_state(state["losses"], self.device)
        checkpoint.restore_generators(state["generators"])


class LossSums:
    """Sums of the losses by name over an epoch, kept on the device so that adding never waits for it."""

    def __init__(self) -> None:
        self.sums: dict[str, Tensor] = {}
        self.count = 0

    def add(self, total: Tensor, parts: dict[str, Tensor]) -> None:
        for name, value in {"loss": total, **parts}.items():
            self.sums[name] = self.sums.get(name, 0.0) + value.double()
        self.count += 1

    def means(self) -> dict[str, float]:
        """Means over the steps so far: `loss`, the weighted sum, and every output's own."""
        return {name: float(value) / self.count for name, value in self.sums.items()}

    def state(self) -> dict[str, Any]:
        return {"sums": self.sums, "count": self.count}

    @classmethod
    def from_state(cls, state: dict[str, Any], device: torch.device) -> LossSums:
        losses = cls()
        losses.sums = {name: value.to(device) for name, value in state["sums"].items()}
        losses.count = state["count"]
        return losses


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
