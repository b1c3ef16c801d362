"""Training: one loop for CUDA and CPU, one process and many, full and mixed precision, new and resumed runs."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset
from tqdm import tqdm

from measure.io import InputError, counted

from ..data import TrainingBatches, make_loader, normalize, resize_batch, worker_count
from ..evaluation import Validation
from ..runtime import SINGLE_PROCESS, Interrupted, NonFiniteLoss, StopRequest, World, load_batches, stopped_by
from .config import TrainConfig
from .loss_sums import LossSums
from .losses import DeepSupervision
from .run_files import checkpoint
from .run_files.run_log import RunLog
from .schedule import Progress, epochs_since_best
from .step import TrainStep

__all__ = ["Trainer", "training_batches"]

# steps between looks at the loss: every look makes a GPU wait, and costs a CPU nothing
LOG_EVERY = {"cpu": 1, "cuda": 50}
WORTH_SAVING = 30  # seconds of training that are saved before they are validated


def training_batches(images: int, config: TrainConfig, world: World) -> TrainingBatches:
    """The batches of every epoch.

    Raises:
        InputError: too few images for the processes.
    """
    batches = TrainingBatches(
        images,
        batch_size=config.batch_size,
        seed=config.seed,
        world=world,
        least=max(2, world.size if config.sync_batchnorm else 2 * world.size),
    )
    if not len(batches):
        told = f"{counted(images, 'image')} cannot be shared by {counted(world.size, 'process', 'processes')}"
        raise InputError(f"{told}; start fewer, or use more images")
    return batches


class Trainer:
    """Train `model` on `training`, judge it by `validation` after every epoch, keep everything in a run folder.

    Args:
        model: the network.
        loss: of its outputs.
        training: samples as dicts of uint8 tensors, addressed by (epoch, index): `mask`, and the arguments of the
            network's forward by name, images (3, S, S), masks (K, S, S) of K classes.
        validation: what judges the network.
        config: how to train, and where the run folder is.
        device: where it trains.
        record: plain data that is saved with every checkpoint, enough to build the model and the run again.
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
        config: TrainConfig,
        device: torch.device,
        record: dict[str, Any],
        resume: dict[str, Any] | None = None,
        world: World = SINGLE_PROCESS,
    ):
        self.config, self.device, self.record, self.world = config, device, record, world
        self.train_step = TrainStep(model, loss, config=config, device=device, world=world)
        self.validation = validation
        self.batches = training_batches(len(training), config, world)
        self.training = make_loader(
            training,
            batch_sampler=self.batches,
            workers=worker_count(config.workers, device),
            device=device,
            persistent=True,
        )
        self.epoch, self.step = 1, 0  # the epoch under way, its steps done
        self.steps, self.started = 0, time.monotonic()  # of the whole run: steps done, and when it would have begun
        self.scores: list[float] = []  # of the finished epochs
        if resume:
            self.load_state(resume)
        elif not world.is_first:
            torch.manual_seed(config.seed + world.rank)  # processes with equal weights, but draws of their own
        self.began, self.first_step = time.monotonic(), self.steps  # of this start
        self.folder = Path(config.train_model_save_path)
        self.saver = checkpoint.Saver()
        self.log = RunLog(self.folder, config=record, last_epoch=self.epoch - 1) if world.is_first else None

    @property
    def is_over(self) -> bool:
        """Whether no epoch is left, the budget is used up, or the early stop is reached."""
        return self.epoch > self.config.epoch or self.patience_exceeded() or (not self.step and self.budget_exhausted())

    @property
    def is_at_best(self) -> bool:
        """Whether the last epoch is finished, nothing was done after it, and none before it has a better score."""
        return bool(self.scores) and not self.step and self.scores[-1] > max(self.scores[:-1], default=-math.inf)

    def way_on(self) -> str:
        """What makes a run that is over go on."""
        if self.epoch > self.config.epoch:
            return "--epoch N goes on to epoch N"
        if self.patience_exceeded():
            return f"its early stop after {self.config.early_stop} epochs was reached, --early_stop N waits longer"
        return f"its budget of {self.config.budget} is used up, --budget gives it more"

    def fit(self, stop: StopRequest) -> None:
        """Train to the last epoch, to the end of the budget, or until the validation score has ceased to rise.

        Args:
            stop: what tells of a signal.

        Raises:
            Stopped: a signal asked for the end; the state is saved and the message says how to go on.
            NonFiniteLoss: the loss, a weight or a validation score became infinite or NaN; no checkpoint holds it.
            InputError: a checkpoint cannot be written; the previous ones are untouched.
        """
        try:
            while not self.is_over:
                started = time.perf_counter()
                self.train_epoch(stop)
                self.finish_epoch(started, stop)
            self.saver.wait()
            if self.patience_exceeded():
                tqdm.write(f"early stop: no better score in the last {epochs_since_best(self.scores)} epochs")
        finally:
            self.close()

    def close(self) -> None:
        """Finish what is being written."""
        self.saver.close()
        if self.log:
            self.log.close()

    def budget_exhausted(self) -> bool:
        """Whether the budget is used up; the processes agree."""
        seconds = self.world.all_reduce_max(time.monotonic() - self.started)
        return self.config.limit.is_spent(epochs=self.epoch - 1, steps=self.steps, seconds=seconds)

    def patience_exceeded(self) -> bool:
        """Whether the early stop is reached; derived from the scores, so that a resumed run agrees."""
        patience, waited = self.config.early_stop, epochs_since_best(self.scores)
        return bool(patience) and waited >= patience

    def train_epoch(self, stop: StopRequest) -> None:
        """Train through what is left of the epoch under way; a budget that ends in it ends the epoch."""
        self.train_step.network.train()
        self.batches.epoch, self.batches.start = self.epoch, self.step
        is_trained = self.step == len(self.batches) or (self.step and self.budget_exhausted())  # and not yet validated
        bar = tqdm(
            () if is_trained else load_batches(self.training),
            desc=f"epoch {self.epoch}/{self.config.epoch}",
            total=len(self.batches),
            initial=self.step,
            unit="step",
            disable=self.world.disable_progress,
            leave=False,
        )
        for batch in bar:
            self.end_if_asked(stop)
            rate = self.set_rate()
            for inputs, mask in self.at_scales(batch):
                self.train_step(inputs, mask, images=self.batches.images(self.step))
            self.step, self.steps = self.step + 1, self.steps + 1
            if self.step % LOG_EVERY[self.device.type] == 0 or self.step == len(self.batches):
                bar.set_postfix(loss=f"{self.check_losses():.3f}", lr=f"{rate:.1e}")
            self.end_if_asked(stop)
            if self.budget_exhausted():
                break

    def end_if_asked(self, stop: StopRequest) -> None:
        """Save and end the run where any of the processes was sent a signal."""
        if number := self.world.all_reduce_max(stop.number):
            self.stop(int(number))

    def at_scales(self, batch: dict[str, Tensor]) -> Iterator[tuple[dict[str, Tensor], Tensor]]:
        """Yield the batch on the device at each of the step's sizes, always resized from the batch as it was loaded."""
        whole = {name: self.prepare(name, tensor) for name, tensor in batch.items()}
        for size in self.config.sizes_of_step(self.epoch, self.step):
            scaled = {name: resize_batch(tensor, size) for name, tensor in whole.items()}
            mask = scaled.pop("mask")
            yield {name: x.contiguous(memory_format=torch.channels_last) for name, x in scaled.items()}, mask

    def prepare(self, name: str, tensor: Tensor) -> Tensor:
        """Bring loaded levels to the device, masks to [0, 1] and images to what networks expect."""
        tensor = tensor.to(self.device, non_blocking=True)
        return tensor.float() / 255 if name.endswith("mask") else normalize(tensor)

    def set_rate(self) -> float:
        """Give the optimizer the learning rate of the next update, and return it."""
        at = Progress(
            epoch=self.epoch,
            step=self.step,
            epochs=self.config.epoch,
            steps=len(self.batches),
            scores=self.scores,
        )
        rate = self.config.learning_rate.rate(at)
        self.train_step.set_learning_rate(rate)
        return rate

    def check_losses(self) -> float:
        """Return the epoch's mean loss so far.

        Raises:
            NonFiniteLoss: it is infinite or NaN; the message names the parts.
        """
        means = self.train_step.losses.means()
        self.refuse_non_finite("the loss", means)
        return means["loss"]

    def refuse_non_finite(self, what: str, values: dict[str, float]) -> None:
        """End the run where a number is not finite, before any checkpoint is replaced."""
        bad = ", ".join(f"{name} {value}" for name, value in values.items() if not math.isfinite(value))
        if bad:
            raise NonFiniteLoss(
                f"{what} is not finite in epoch {self.epoch} at step {self.step} ({bad}); lower --lr or use "
                f"--amp off{self.way_back()}"
            )

    def refuse_non_finite_weights(self) -> None:
        """The same for the weights: the last update may spoil them after the last look at the loss."""
        self.refuse_non_finite("a weight", dict.fromkeys(self.train_step.non_finite_entries()[:3], math.nan))

    def way_back(self) -> str:
        last = self.folder / "last.pth"
        return f", and go on from {last}" if last.is_file() else ""

    def finish_epoch(self, started: float, stop: StopRequest) -> None:
        """Save, validate, log, move on to the next epoch, save again."""
        losses = self.train_step.losses.means()
        trained = time.perf_counter() - started
        self.refuse_non_finite_weights()
        eval_model = self.train_step.eval_model
        self.world.broadcast_buffers(eval_model)
        if trained > WORTH_SAVING:  # validation may take long, and not much shall be lost in it
            self.save("last.pth")
        try:
            scores = self.validation.scores(
                eval_model, self.train_step.autocast, stop if self.world.size == 1 else None
            )
        except Interrupted:
            self.stop(stop.number)
        self.refuse_non_finite("a validation score", scores)
        chosen = scores[self.config.best_by]
        is_best = chosen > max(self.scores, default=-math.inf)
        if self.log:
            rate = float(self.train_step.optimizer.param_groups[0]["lr"])  # of the epoch's last update
            self.log.epoch(self.epoch, lr=rate, losses=losses, scores=scores, seconds=trained)
            self.log.picture(self.validation.picture(eval_model, self.train_step.autocast), epoch=self.epoch)
        tqdm.write(
            f"epoch {self.epoch}/{self.config.epoch}: loss {losses['loss']:.3f}, held out {score_text(scores)}"
            f"{f' (best {self.config.best_by})' if is_best else ''}, {trained:.0f} s{self.time_left()}"
        )
        names = ["last.pth"] + ["best.pth"] * is_best
        if self.epoch % self.config.train_model_save_epoch == 0:
            names.append(f"checkpoint_epoch_{self.epoch}.pth")
        self.scores.append(chosen)
        self.epoch, self.step, self.train_step.losses = self.epoch + 1, 0, LossSums(self.world)
        self.save(*names)

    def time_left(self) -> str:
        """Say how long the run will still take, at this start's pace so far; nothing at its end.

        An epoch's time includes its validation; an early stop may end the run sooner, and is not foreseen.
        """
        limit, now = self.config.limit, time.monotonic()
        epochs = min(self.config.epoch, limit.epochs) - self.epoch
        steps = min(epochs * len(self.batches), limit.steps - self.steps)
        pace = (now - self.began) / max(1, self.steps - self.first_step)  # seconds a step
        seconds = min(steps * pace, 60 * limit.minutes - (now - self.started))
        return f", {duration(seconds)} left" if seconds > 0 else ""

    def stop(self, number: int) -> None:
        """Save and end the run as a signal asked for."""
        if not self.steps:
            raise stopped_by(number, "before the first step: nothing is lost, run the same command again")
        self.refuse_non_finite_weights()
        self.save("last.pth")
        self.saver.wait()
        raise stopped_by(
            number,
            f"in epoch {self.epoch} after step {self.step}: saved; go on with "
            f"python myTrain.py --load_checkpoint_path {self.folder / 'last.pth'}",
        )

    def save(self, *names: str) -> None:
        """Write a checkpoint of the run as it stands, in the background. All processes must call it."""
        content = {
            **self.train_step.state(),
            "epoch": self.epoch - 1,
            "step": self.step,
            "steps": self.steps,
            "seconds": time.monotonic() - self.started,
            "losses": self.train_step.losses.state(),
            "scores": self.scores,
            "generators": self.world.all_gather(checkpoint.generator_states(self.device)),
            "config": self.record,
        }
        if self.world.is_first:
            self.saver.save([self.folder / name for name in names], content)

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on exactly where a checkpoint was written; with more processes than then, the new ones draw anew."""
        self.train_step.load_state(state)
        self.epoch, self.step, self.scores = state["epoch"] + 1, state["step"], list(state["scores"])
        self.steps, self.started = state["steps"], time.monotonic() - state["seconds"]
        self.train_step.losses = LossSums.from_state(state["losses"], self.world, self.device)
        if self.world.rank < len(state["generators"]):
            checkpoint.restore_generators(state["generators"][self.world.rank], self.device)
        else:
            torch.manual_seed(self.config.seed + self.world.rank + self.steps)


def duration(seconds: float) -> str:
    """A time to read: 45 s, 12 min, 3 h 05 min."""
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def score_text(scores: dict[str, float]) -> str:
    """A line's part with an epoch's scores; images without polyp are told apart where there are any."""
    loss = f"loss {scores['val_loss']:.3f} " if "val_loss" in scores else ""
    text = f"{loss}Dice {scores['Dice']:.4f} IoU {scores['IoU']:.4f} MAE {scores['MAE']:.4f}"
    if "false_alarms" not in scores:
        return text
    dice = f"Dice {scores['Dice_polyp']:.4f} where there is a polyp; " if "Dice_polyp" in scores else ""
    return f"{text} ({dice}{scores['false_alarms']:.0%} of the images without polyp are marked)"
