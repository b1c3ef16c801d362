"""What a network is trained for: polyps in images, several classes in images, or clips. The one place that tells."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import torch
from torch.utils.data import Dataset

from lib import model_entry
from measure.io import Classes, InputError, has_clips, parse_classes, read_layout

from ..data import (
    CLIPS,
    IMAGES,
    Augmentation,
    Case,
    ClipTrainingData,
    EvaluationData,
    ItemKind,
    MaskNoise,
    Pair,
    TrainingData,
    find_parts,
    open_cache,
    parse_augmentation,
    worker_count,
)
from ..evaluation import ClassValidation, ClipValidation, ImageValidation, Validation
from ..runtime import World
from .config import TrainConfig
from .losses import validation_loss

__all__ = ["Parts", "Task", "task_of"]

Parts = Mapping[str, Sequence[Pair] | Sequence[Case]]  # the items of `training` and `validation`


class Task(ABC):
    """Data sets and validation for a kind of network.

    Args:
        config: of the run.

    Raises:
        InputError: an option that this kind cannot use.
    """

    def __init__(self, config: TrainConfig):
        self.config = config
        self.augmentations = augmentations_of(config)

    @property
    def classes(self) -> Classes | None:
        """What the masks tell apart; None: polyp alone."""
        return None

    def find_parts(self) -> Parts:
        """Find what to train on and what to validate on.

        Raises:
            InputError: a folder or file that cannot be used, or nothing to train on.
        """
        return self._find(CLIPS if has_clips(self.config.train_data_path) else IMAGES)

    def _find(self, items: ItemKind) -> Parts:
        training, validation = find_parts(
            self.config.train_data_path,
            items,
            split=self.config.split,
            validation_folder=self.config.val_data_path,
            validation_split=self.config.val_split,
            seed=self.config.draw_seed,
            layout=read_layout(self.config),
        )
        return {"training": training, "validation": validation}

    @abstractmethod
    def training_data(self, items: Sequence) -> Dataset:
        """Samples for a `Trainer`, from one part."""

    @abstractmethod
    def validation(self, items: Sequence, *, device: torch.device, world: World) -> Validation:
        """What judges the network on one part; the processes of `world` share the work."""


class ImageTask(Task):
    """Polyps in still images."""

    def training_data(self, items: Sequence) -> Dataset:
        config, pairs = self.config, pairs_of(items)
        return TrainingData(
            pairs,
            size=config.train_size,
            seed=config.seed,
            augmentation=self.augmentations,
            classes=self.classes,
            read=open_cache(config.cache, config.cache_path, pairs, size=config.train_size, classes=self.classes),
        )

    def validation(self, items: Sequence, *, device: torch.device, world: World) -> Validation:
        return ImageValidation(self._evaluation_data(items), **self._settings(device, world))

    def _evaluation_data(self, items: Sequence) -> EvaluationData:
        return EvaluationData(pairs_of(items), size=self.config.train_size, classes=self.classes)

    def _settings(self, device: torch.device, world: World) -> dict:
        workers = worker_count(self.config.workers, device)
        return {
            "batch_size": self.config.batch_size,
            "workers": workers,
            "device": device,
            "world": world,
            "loss": validation_loss(self.config.loss),
        }


class ClassTask(ImageTask):
    """Several classes of polyps in still images."""

    def __init__(self, config: TrainConfig):
        super().__init__(config)
        self._classes = parse_classes(config.classes)

    @property
    def classes(self) -> Classes:
        return self._classes

    def validation(self, items: Sequence, *, device: torch.device, world: World) -> Validation:
        return ClassValidation(self._evaluation_data(items), classes=self.classes, **self._settings(device, world))


class ClipTask(Task):
    """Polyps in clips, with a network that remembers."""

    def __init__(self, config: TrainConfig):
        super().__init__(config)
        if not config.memory_window:
            raise InputError(f"--memory_window was given without numbers; {config.model} needs numbers of frames")
        if config.cache != "off":
            raise InputError(
                f"--cache {config.cache} was given; it serves networks of images, and {config.model} takes clips"
            )
        if config.classes:
            raise InputError(
                f"--classes was given with {config.model}, a video network; only networks of still images have classes"
            )

    def find_parts(self) -> Parts:
        return self._find(CLIPS)

    def training_data(self, items: Sequence) -> Dataset:
        return ClipTrainingData(
            items,
            size=self.config.train_size,
            seed=self.config.seed,
            windows=self.config.memory_window,
            augmentation=self.augmentations,
        )

    def validation(self, items: Sequence, *, device: torch.device, world: World) -> Validation:
        return ClipValidation(
            items,
            size=self.config.train_size,
            slots=self.config.batch_size,
            device=device,
            world=world,
            loss=validation_loss(self.config.loss),
        )


def task_of(config: TrainConfig) -> Task:
    """The task that a run's network and options name."""
    if model_entry(config.model).kind == "video":
        return ClipTask(config)
    return ClassTask(config) if config.classes else ImageTask(config)


def augmentations_of(config: TrainConfig) -> list[Augmentation]:
    """The augmentations of a run, in their order."""
    found = [parse_augmentation(text) for text in config.augment]
    return [*found, MaskNoise(config.mask_noise)] if config.mask_noise else found


def pairs_of(items: Sequence[Case] | Sequence[Pair]) -> list[Pair]:
    """The pairs of a part, of clips frame by frame."""
    return [pair for item in items for pair in (item.frames if isinstance(item, Case) else (item,))]
