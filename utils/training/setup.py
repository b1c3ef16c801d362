"""From a configuration to a running training: data, network, first weights, run folder."""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.data import Dataset

from lib import (
    create_model,
    described_network,
    load_backbone_weights,
    load_weights,
    model_entry,
    model_from,
    read_checkpoint,
    weight_file,
)
from measure.io import InputError, counted, refuse_outputs_in_inputs

from ..data import DATA_FILE, Fingerprint, inspect, refuse_other_data
from ..evaluation import Validation
from ..runtime import StopRequest, World, choose_device, network_options
from .config import StartOptions, TrainConfig
from .losses import LOSSES, DeepSupervision, mixture_weights, output_weights
from .recipes import recipe_of, recipe_overrides
from .run_files.checkpoint import keep_left_course
from .run_files.run_folder import claimed, goes_on_in, refuse_other_run
from .run_files.run_record import config_of, make_run_record, read_record, resume_changes
from .run_files.trackers import check_trackers
from .tasks import Task, pairs_of, task_of
from .trainer import Trainer, training_batches

__all__ = ["fingerprint_of_run", "train"]

GO_ON = "put the files back, or add --allow_changed_data to go on with what is there now"


def train(
    config: TrainConfig,
    start: StartOptions,
    *,
    argv: Sequence[str],
    world: World,
    resume: dict[str, Any] | None = None,
    reference_run: Path | None = None,
) -> None:
    """Run a training, or one process's part of it.

    Args:
        config: how to train.
        start: how this start begins.
        argv: the flags as they were typed.
        world: the processes that train together.
        resume: the checkpoint to go on from, as it was read.
        reference_run: the folder of a run whose data this one must share.

    Raises:
        InputError, ModelError: a flag, a folder, a file or weights that cannot be used.
        Stopped, NonFiniteLoss: see `Trainer.fit`.
    """
    with StopRequest() as stop:
        config = with_enough_images(config, world, resumed=bool(resume))
        check_sizes(config)
        tell_departures(config, resume)
        resumed = start.load_checkpoint_path if resume else None
        refuse_other_run(config.train_model_save_path, resumed=resumed, overwrite=start.overwrite)
        device = choose_device(config.device, config.gpu_id + world.local_rank)
        refuse_graphs(config, device, world)
        if config.amp == "fp16" and device.type == "cpu":
            tell("--amp fp16 on a CPU trains many times slower than float32; leave it out, or take bf16")
        task = task_of(config)
        data = load_data(config, task, device, world)
        if resume and not start.allow_changed_data:
            refuse_other_data(
                data.files, resume["config"], folder=Path(start.load_checkpoint_path).parent, advice=GO_ON
            )
        if reference_run:
            record = read_record(reference_run)
            refuse_other_data(data.files, record, folder=reference_run, advice="seeds are compared on the same data")
        training_batches(len(data.training), config, world)  # refused before another run is replaced
        check_trackers(config.logger)
        torch.manual_seed(config.seed)
        model = build_model(config, start, resume)
        record = make_run_record(
            config,
            start,
            model,
            argv=argv,
            device=device,
            data=data.files,
            previous=resume["config"] if resume else None,
        )
        loss = DeepSupervision(
            LOSSES[config.loss], output_weights(model, config), mixtures=mixture_weights(model, config)
        )
        with claimed(config.train_model_save_path, resumed=resumed, overwrite=start.overwrite, world=world):
            trainer = Trainer(
                model,
                loss,
                training=data.training,
                validation=data.validation,
                config=config,
                device=device,
                record=record,
                resume=resume,
                world=world,
            )
            goes_on = resumed and goes_on_in(Path(config.train_model_save_path), resumed) and not start.overwrite
            run(trainer, data, stop, resumed=Path(resumed) if goes_on else None)


def run(trainer: Trainer, data: RunData, stop: StopRequest, *, resumed: Path | None = None) -> None:
    """Train to the end and say what was done.

    Args:
        trainer: of the run.
        data: of the run.
        stop: what tells of a signal.
        resumed: the checkpoint in its folder that the run goes on from; what came after it is kept.
    """
    config, folder = trainer.config, trainer.folder
    if trainer.world.is_first:
        data.files.write(folder / DATA_FILE)
    if trainer.is_over:
        trainer.close()
        print(f"already at epoch {trainer.epoch - 1} of {config.epoch}: nothing is left to do; {trainer.way_on()}")
        return
    if resumed and trainer.world.is_first and (left := keep_left_course(resumed, is_best=trainer.is_at_best)):
        tell(left)
    millions = sum(p.numel() for p in trainer.train_step.model.parameters()) / 1e6
    print(
        f"{config.model} ({millions:.2f} M parameters) on {trainer.device}: {counted(len(data.training), 'image')} to "
        f"train on, {len(data.validation)} to validate on; run folder {folder}"
    )
    trainer.fit(stop)
    kept = [name for name in ("best.pth", "last.pth") if (folder / name).is_file()]
    print(f"done: {folder} holds {' and '.join(kept)} (the best epoch by held-out {config.best_by}, and the last one)")


def with_enough_images(config: TrainConfig, world: World, *, resumed: bool) -> TrainConfig:
    """Raise the recipe's batch to one image a process and part; refuse a given one, or a resumed run's, that is less.

    Raises:
        InputError: the given batch is too small.
    """
    least = world.size * config.accumulate
    if config.batch_size >= least:
        return config
    if resumed:
        raise InputError(
            f"the run to go on with has batches of {config.batch_size} images; it cannot be shared by {world.size} "
            f"processes with --accumulate {config.accumulate}: start fewer"
        )
    if config.batch_size == recipe_of(config).config.batch_size:
        tell(f"the recipe's batch of {config.batch_size} is raised to {least}, one image for each process and part")
        return dataclasses.replace(config, batch_size=least)
    raise InputError(
        f"--batch_size {config.batch_size} was given for {world.size} processes with --accumulate "
        f"{config.accumulate}; it counts the images of all of them, so give at least {least}"
    )


def refuse_graphs(config: TrainConfig, device: torch.device, world: World) -> None:
    """Refuse to record steps where there are no CUDA graphs, or none over several processes.

    Raises:
        InputError: --cuda_graphs was given on a CPU or under torchrun.
    """
    if config.cuda_graphs and (device.type != "cuda" or world.size > 1):
        where = f"{world.size} processes" if world.size > 1 else f"the device {device.type}"
        raise InputError(f"--cuda_graphs was given for {where}; it needs one process on a CUDA device: leave it out")


def check_sizes(config: TrainConfig) -> None:
    """Refuse input sizes that the network cannot take.

    Raises:
        ModelError: the first of them.
    """
    for size in (config.train_size, *config.train_sizes):
        batch = config.batch_size // config.accumulate
        model_entry(config.model).network.check_side(size, flag="--train_size", batch=batch)


def tell_departures(config: TrainConfig, resume: dict[str, Any] | None) -> None:
    """Say where a run is not the recipe's, what a resumed one changes, and how its best checkpoint is chosen."""
    recipe = recipe_of(config)
    if others := recipe_overrides(recipe, config):
        tell(f"this run departs from {recipe.source}: {', '.join(others)}")
    if resume and (changes := resume_changes(config_of(resume["config"]), config)):
        tell(f"the resumed run changes {', '.join(changes)}")
    if config.batch_size == 1:
        tell("batch size 1 gives batch normalization little to go by; 2 or more trains better")
    if chosen := config.val_split or config.val_data_path:
        tell(f"best.pth is chosen on {chosen}; report no results on the same images")


def tell(sentence: str) -> None:
    """Print a note, once for all processes of a run."""
    if os.environ.get("RANK", "0") == "0":
        print(f"note: {sentence}", file=sys.stderr)


@dataclass(frozen=True)
class RunData:
    """What a run is made of.

    Attributes:
        training: samples to train on.
        validation: what judges the network.
        files: the files behind both.
    """

    training: Dataset
    validation: Validation
    files: Fingerprint


def load_data(config: TrainConfig, task: Task, device: torch.device, world: World) -> RunData:
    """Find the data, look at every file once, and make the data sets.

    Raises:
        InputError: a folder or a file that cannot be used, or a run folder among the images.
    """
    training_folder, validation_folder = Path(config.train_data_path), config.val_data_path
    if validation_folder and Path(validation_folder).resolve() == training_folder.resolve() and not config.val_split:
        raise InputError(
            f"--val_data_path {validation_folder} is the training folder itself; give another one, or leave it out "
            "to hold out a tenth"
        )
    parts = task.find_parts()
    pairs = {name: pairs_of(items) for name, items in parts.items()}
    read = {path.parent for own in pairs.values() for pair in own for path in (pair.image, pair.mask)}
    refuse_outputs_in_inputs([config.train_model_save_path, config.cache_path], read)
    files = inspect(pairs, classes=task.classes, world=world)
    return RunData(
        task.training_data(parts["training"]),
        task.validation(parts["validation"], device=device, world=world),
        files,
    )


def fingerprint_of_run(config: TrainConfig) -> Fingerprint:
    """The files that a run of this configuration would be made of."""
    task = task_of(config)
    return inspect({name: pairs_of(items) for name, items in task.find_parts().items()}, classes=task.classes)


def build_model(config: TrainConfig, start: StartOptions, resume: Mapping[str, Any] | None) -> nn.Module:
    """Build the network and give it its first weights: a run's, a weight file's, or the backbone's from ImageNet.

    Raises:
        ModelError: weights that cannot be had or do not fit.
        InputError: weights from two files.
    """
    if resume:
        return create_model(config.model, **described_network(resume, str(start.load_checkpoint_path)).options)
    options = network_options(config) | ({"classes": len(config.classes)} if config.classes else {})
    source = config.net_pretrained_backbone_path if "backbone" in model_entry(config.model).options else "none"
    weights = start.init_weights or start.load_checkpoint_path
    if weights and source not in ("timm", "none"):
        raise InputError(
            f"--net_pretrained_backbone_path {source} was given beside the weights of {weights}, which bring their own "
            "backbone; leave one of them out"
        )
    model = create_model(config.model, pretrained=source == "timm" and not weights, **options)
    if weights:
        load_first_weights(model, weights, options)
    elif source not in ("timm", "none"):
        load_backbone_weights(model.encoder, weight_file(source))
    return model


def load_first_weights(model: nn.Module, path: str, options: Mapping[str, Any]) -> None:
    """Load the weights of a file, and say which: all of them, or what fits of a network that is another in part.

    New are the heads where the file's network tells other classes apart, and what only training needs where it is the
    inference network. Of another network the encoder is taken.

    Raises:
        ModelError, InputError: weights that do not fit.
    """
    checkpoint = read_checkpoint(path)
    described = described_network(checkpoint, path)
    if described and described.name != model.name:
        load_encoder_of_another(model, checkpoint, path)
        return
    trained = {"classes": 1} | (described.options if described else {})
    different = {
        name: trained[name]
        for name in ("aux", "classes")
        if name in trained and trained[name] != getattr(model.config, name, trained[name])
    }
    if not different:
        load_weights(model, path)
        tell(f"a fresh run starts at epoch 1 from the weights of {path}")
        return
    donor = create_model(model.name, **{**options, **different})
    load_weights(donor, path)
    own, given = model.state_dict(), donor.state_dict()
    fitting = {name: value for name, value in given.items() if name in own and value.shape == own[name].shape}
    model.load_state_dict(own | fitting)
    new = [f"{len(own) - len(fitting)} entries"]
    if "aux" in different:
        new.insert(0, "what only training needs is new")
    if "classes" in different:
        classes = different["classes"]
        new.insert(0, f"its heads for {classes} classes are replaced by new ones for {model.config.classes}")
    tell(f"a fresh run starts at epoch 1 from the weights of {path}; {', '.join(new[:-1])} ({new[-1]})")


def load_encoder_of_another(model: nn.Module, checkpoint: Mapping[str, Any], path: str) -> None:
    """Load the encoder of a file's network, which is another than `model`.

    Raises:
        ModelError, InputError: one of them has no encoder from timm, or they are not the same.
    """
    donor = model_from(checkpoint, origin=path)
    if not (hasattr(model, "encoder") and hasattr(donor, "encoder")):
        raise InputError(
            f"{path} holds {donor.name}, of which {model.name} can take nothing; give weights of {model.name}"
        )
    if donor.encoder.timm_name != model.encoder.timm_name:
        backbone = donor.config.backbone
        raise InputError(
            f"{path} holds {donor.name} with the backbone {backbone}, and the run's {model.name} has "
            f"{model.config.backbone}; add --net_backbone {backbone} to take the encoder"
        )
    report = load_backbone_weights(model.encoder, donor.encoder.net.state_dict())
    tell(
        f"a fresh run starts at epoch 1 from the encoder of {path} ({donor.name} with {donor.config.backbone}, "
        f"{len(report.loaded)} entries); everything else is new"
    )
