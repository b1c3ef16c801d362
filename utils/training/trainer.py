"""Training: one loop for CUDA and CPU, one process and many, full and mixed precision, new and resumed runs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import Dataset
from tqdm import tqdm

from measure.io import InputError

from ..data import TrainingBatches, make_loader, normalize, resize_batch
from ..evaluation import Validation
from ..runtime import (
    SINGLE_PROCESS,
    NonFiniteLoss,
    StopRequest,
    World,
    autocast,
    compiled,
    load_batches,
    stopped_by,
)
from . import checkpoint
from .config import TrainOptions, average_of, clip_gradients, make_optimizer
from .loss_sums import LossSums
from .losses import DeepSupervision
from .run_log import RunLog
from .schedule import Progress, epochs_since_best

__all__ = ["Trainer"]


# steps between looks at the loss: every look makes a GPU wait, and costs a CPU nothing
LOOK_EVERY = {"cpu": 1, "cuda": 50}


class Trainer:
    """Train `model` on `training`, judge it by `validation` after every epoch, keep everything in `folder`.

    Args:
        training: samples as dicts of uint8 tensors, addressed by (epoch, index): `mask`, and the arguments of the
            network's forward by name, images (3, S, S), masks (K, S, S) of K classes.
        config: plain data that is saved with every checkpoint, enough to build the model and the run again.
        resume: a checkpoint of ours to go on from.
        world: the processes that train together; each has a Trainer of its own, the first one writes.

    Raises:
        InputError: the folder cannot be written to, or there are fewer images than processes.
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
        world: World = SINGLE_PROCESS,
    ):
        self.options, self.device, self.config, self.world = options, device, config, world
        self.model = model.to(device, memory_format=torch.channels_last)
        self.loss = loss
        self.optimizer = make_optimizer(self.model, options)
        self.amp = autocast(device, options.amp)
        self.scaler = torch.amp.GradScaler(device.type, enabled=options.amp == "fp16")
        self.average = average_of(self.model, options.ema) if options.ema else None
        self.validation = validation
        self.batches = TrainingBatches(
            len(training),
            batch_size=options.batch_size,
            seed=options.seed,
            world=world,
            least=max(2, world.size if options.sync_norms else 2 * world.size),
        )
        if not len(self.batches):
            raise InputError(
                f"{len(training)} images cannot be shared by {world.size} processes; start fewer, or use more images"
            )
        self.training = make_loader(
            training, batch_sampler=self.batches, workers=options.workers, device=device, persistent=True
        )
        self.epoch, self.step = 1, 0  # the epoch under way, its steps done
        self.steps, self.started = 0, time.monotonic()  # of the whole run: steps done, and when it would have begun
        self.scores: list[float] = []  # of the finished epochs
        self.losses = LossSums(world)
        if resume:
            self.load_state(resume)
        elif not world.is_first:
            torch.manual_seed(options.seed + world.rank)  # processes with equal weights, but draws of their own
        if options.compile:
            compiled(self.model)
        self.network = world.replicate(self.model, sync_norms=options.sync_norms)
        self.folder = Path(folder)
        self.saver = checkpoint.Saver()
        self.log = RunLog(folder, config=config, last_epoch=self.epoch - 1) if world.is_first else None

    def fit(self) -> None:
        """Train to the last epoch, to the end of the budget, or until the validation score has ceased to rise.

        Raises:
            Stopped: a signal asked for the end; the state is saved and the message says how to go on.
            NonFiniteLoss: the loss became infinite or NaN.
            InputError: a checkpoint cannot be written; the former ones are untouched.
        """
        try:
            with StopRequest() as stop:
                while self.epoch <= self.options.epochs and not self.is_spent() and not self.exhausted():
                    started = time.perf_counter()
                    self.train_epoch(stop)
                    self.finish_epoch(started)
                self.saver.wait()
        finally:
            self.close()

    def close(self) -> None:
        """Finish what is being written."""
        self.saver.close()
        if self.log:
            self.log.close()

    def is_spent(self) -> bool:
        """Whether the budget is used up; the processes agree."""
        seconds = self.world.all_reduce_max(time.monotonic() - self.started)
        return self.options.budget.is_spent(epochs=self.epoch - 1, steps=self.steps, seconds=seconds)

    def exhausted(self) -> bool:
        """Whether the early stop is reached; derived from the scores, so that a resumed run agrees."""
        patience, waited = self.options.early_stop, epochs_since_best(self.scores)
        if not patience or waited < patience:
            return False
        tqdm.write(f"early stop: no better score in the last {waited} epochs")
        return True

    def train_epoch(self, stop: StopRequest) -> None:
        """Train through what is left of the epoch under way; a budget that ends in it ends the epoch."""
        self.network.train()
        self.batches.epoch, self.batches.start = self.epoch, self.step
        bar = tqdm(
            load_batches(self.training),
            desc=f"epoch {self.epoch}/{self.options.epochs}",
            total=len(self.batches),
            initial=self.step,
            unit="step",
            disable=self.world.disable_progress,
            leave=False,
        )
        for batch in bar:
            rate = self.set_rate()
            for inputs, mask in self.at_scales(batch):
                self.train_step(inputs, mask, images=self.batches.images(self.step))
            self.step, self.steps = self.step + 1, self.steps + 1
            if self.step % LOOK_EVERY[self.device.type] == 0 or self.step == len(self.batches):
                bar.set_postfix(loss=f"{self.check_losses():.3f}", lr=f"{rate:.1e}")
            if number := self.world.all_reduce_max(stop.number):
                self.stop(int(number))
            if self.is_spent():
                break

    def train_step(self, inputs: dict[str, Tensor], mask: Tensor, *, images: int) -> None:
        """One update.

        Args:
            inputs: this process's part of the forward's arguments by name, images normalised.
            mask: (N, K, S, S) in [0, 1], a plane a class. images: in the whole batch, of all processes.
        """
        self.optimizer.zero_grad(set_to_none=True)
        pieces = min(self.options.accumulate, max(1, len(mask) // 2))
        split = {name: tensor.tensor_split(pieces) for name, tensor in inputs.items()}
        for index, target in enumerate(mask.tensor_split(pieces)):
            with nullcontext() if index == pieces - 1 else self.without_reduction():
                self.backward({name: parts[index] for name, parts in split.items()}, target, len(target) / images)
        if self.options.clip:
            self.scaler.unscale_(self.optimizer)
            clip_gradients(self.model, self.options.clip, self.options.clip_mode)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        if self.average is not None:
            self.average.update_parameters(self.model)
        self.losses.end_step()

    def backward(self, inputs: dict[str, Tensor], mask: Tensor, share: float) -> None:
        """Add the gradients of `share` of a batch; reducing takes the mean over processes, hence the factor."""
        with self.amp:
            outputs = self.network(**inputs)
        total, parts = self.loss(outputs, mask)
        self.scaler.scale(total * (share * self.world.size)).backward()
        self.losses.add(total.detach(), parts, share)

    def without_reduction(self) -> AbstractContextManager:
        """Gradients stay this process's own until the last piece of a batch."""
        return self.network.no_sync() if isinstance(self.network, DistributedDataParallel) else nullcontext()

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
        return tensor.float() / 255 if name.endswith("mask") else normalize(tensor)

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
                f"--amp off, and go on from {self.folder / 'last.pth'} if an epoch was finished"
            )
        return means["loss"]

    def finish_epoch(self, started: float) -> None:
        """Validate, log, move on to the next epoch, save."""
        losses = self.losses.means()
        trained = time.perf_counter() - started
        judged = self.model if self.average is None else self.average.module
        self.world.broadcast_buffers(judged)
        scores = self.validation.scores(judged, self.amp)
        is_best = scores["score"] > max(self.scores, default=-float("inf"))
        if self.log:
            rate = self.optimizer.param_groups[0]["lr"]  # of the epoch's last update
            self.log.epoch({"epoch": self.epoch, "lr": rate, **losses, **scores, "seconds": round(trained, 2)})
            self.log.picture(self.validation.picture(judged, self.amp), epoch=self.epoch)
        tqdm.write(
            f"epoch {self.epoch}/{self.options.epochs}: loss {losses['loss']:.3f}, held out Dice {scores['Dice']:.4f} "
            f"IoU {scores['IoU']:.4f} MAE {scores['MAE']:.4f}{' (best)' if is_best else ''}, {trained:.0f} s"
        )
        names = ["last.pth"] + ["best.pth"] * is_best
        if self.epoch % self.options.save_every == 0:
            names.append(f"checkpoint_epoch_{self.epoch}.pth")
        self.scores.append(scores["score"])
        self.epoch, self.step, self.losses = self.epoch + 1, 0, LossSums(self.world)
        self.save(*names)

    def stop(self, number: int) -> None:
        """Save and end the run as a signal asked for."""
        self.save("last.pth")
        self.saver.wait()
        raise stopped_by(
            number,
            f"in epoch {self.epoch} after step {self.step}: saved; go on with "
            f"python myTrain.py --load_checkpoint_path {self.folder / 'last.pth'}",
        )

    def save(self, *names: str) -> None:
        """Write a checkpoint of the run as it stands, in the background. All processes must call it."""
        average = {} if self.average is None else {"ema_state_dict": self.average.module.state_dict()}
        content = {
            **average,
            "model_state_dict": self.model.state_dict(),
            "optimizer_state_dict": self.optimizer.state_dict(),
            "scaler_state_dict": self.scaler.state_dict(),
            "epoch": self.epoch - 1,
            "step": self.step,
            "steps": self.steps,
            "seconds": time.monotonic() - self.started,
            "losses": self.losses.state(),
            "scores": self.scores,
            "generators": self.world.all_gather(checkpoint.generator_states()),
            "config": self.config,
        }
        if self.world.is_first:
            self.saver.save([self.folder / name for name in names], content)

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on exactly where a checkpoint was written; with more processes than then, the new ones draw anew."""
        self.model.load_state_dict(state["model_state_dict"])
        self.optimizer.load_state_dict(state["optimizer_state_dict"])
        self.scaler.load_state_dict(state["scaler_state_dict"])
        if self.average is not None and "ema_state_dict" in state:
            self.average.module.load_state_dict(state["ema_state_dict"])
            self.average.n_averaged.fill_(1)  # only "some" or "none" matters to an exponential average
        self.epoch, self.step, self.scores = state["epoch"] + 1, state["step"], list(state["scores"])
        self.steps, self.started = state["steps"], time.monotonic() - state["seconds"]
        self.losses = LossSums.from_state(state["losses"], self.world, self.device)
        if self.world.rank < len(state["generators"]):
            checkpoint.restore_generators(state["generators"][self.world.rank])
        else:
            torch.manual_seed(self.options.seed + self.world.rank + self.steps)
