"""What a run trains on and what it is judged by, as myTrain.py's flags say."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch.utils.data import Dataset

from lib import model_entry
from measure.io import has_clips, parse_classes

from ..data import (
    Augmentation,
    Case,
    ClipTrainingData,
    EvaluationData,
    Fingerprint,
    MaskNoise,
    Pair,
    TrainingData,
    find_case_parts,
    find_parts,
    inspect,
    open_cache,
    parse_augmentation,
    worker_count,
)
from ..evaluation import ClassValidation, ClipValidation, ImageValidation, Validation
from ..runtime import World

__all__ = ["RunData", "find_run_parts", "held_out_seed", "load_run_data", "make_augmentation", "pairs_of"]


@dataclass(frozen=True)
class RunData:
    """Samples to train on, what judges the network, and the files behind both."""

    training: Dataset
    validation: Validation
    files: Fingerprint


def load_run_data(args: argparse.Namespace, device: torch.device, world: World) -> RunData:
    """Find the data, look at every file once, and make the data sets of --model's kind; `world` shares validation.

    Raises:
        InputError: a flag, a folder or a file that cannot be used.
    """
    augmentation = make_augmentation(args)
    parts = find_run_parts(args)
    if chosen := args.val_split or args.val_data_path:
        print(f"note: best.pth is chosen on {chosen}; report no results on the same images")
    pairs = {name: pairs_of(part) for name, part in parts.items()}
    classes = parse_classes(args.classes) if args.classes else None
    files = inspect(pairs, classes=classes, world=world)
    if model_entry(args.model).kind == "video":
        training: Dataset = ClipTrainingData(
            parts["training"],
            size=args.train_size,
            seed=args.seed,
            windows=args.memory_window,
            augmentation=augmentation,
        )
        validation: Validation = ClipValidation(
            parts["validation"], size=args.train_size, slots=args.batch_size, device=device, world=world
        )
    else:
        training = TrainingData(
            pairs["training"],
            size=args.train_size,
            seed=args.seed,
            augmentation=augmentation,
            classes=classes,
            read=open_cache(args.cache, args.cache_path, pairs["training"], size=args.train_size, classes=classes),
        )
        validation = (partial(ClassValidation, classes=classes) if classes else ImageValidation)(
            EvaluationData(pairs["validation"], size=args.train_size, classes=classes),
            batch_size=args.batch_size,
            workers=worker_count(args.workers, device),
            device=device,
            world=world,
        )
    return RunData(training, validation, files)


def find_run_parts(args: argparse.Namespace) -> dict[str, list[Case] | list[Pair]]:
    """Find the parts `training` and `validation`: cases where --train_data_path has clips, else pairs.

    Raises:
        InputError: a folder or file that cannot be used, or nothing to train on.
    """
    clips = model_entry(args.model).kind == "video" or has_clips(args.train_data_path)
    training, validation = (find_case_parts if clips else find_parts)(
        args.train_data_path,
        split=args.split,
        validation_folder=args.val_data_path,
        validation_split=args.val_split,
        seed=held_out_seed(args),
    )
    return {"training": training, "validation": validation}


def held_out_seed(args: argparse.Namespace) -> int:
    """The seed of the held-out part's draw: one for all where --seeds trains several times."""
    return args.seed if args.held_out_seed is None else args.held_out_seed


def pairs_of(part: Sequence[Case] | Sequence[Pair]) -> list[Pair]:
    """The pairs of a part, of clips frame by frame."""
    return [pair for entry in part for pair in (entry.frames if isinstance(entry, Case) else (entry,))]


def make_augmentation(args: argparse.Namespace) -> list[Augmentation]:
    parts = [parse_augmentation(text) for text in args.augment]
    return [*parts, MaskNoise(args.mask_noise)] if args.mask_noise else parts
