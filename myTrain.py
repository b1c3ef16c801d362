"""Train a network on images or clips and their masks: python myTrain.py --train_data_path data/TrainDataset"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from lib import ModelError, create_model, load_backbone_weights, load_weights, model_entry
from utils.commands import check_flags, model_options, parse_args, parse_weight, train_options, train_seeds
from utils.data import DATA_FILE, refuse_other_data
from utils.runtime import World, choose_device, deterministic, join, run, world
from utils.training import LOSSES, DeepSupervision, Trainer, checkpoint, load_run_data, make_run_record, read_record

GO_ON = "put the files back, or add --allow_changed_data to go on with what is there now"


def main(argv: Sequence[str] | None = None) -> int:
    processes, words = world(), sys.argv[1:] if argv is None else argv

    def start() -> None:
        with join(processes):
            args = parse_args(words)
            with deterministic(args.deterministic, model=args.model):
                if args.seeds:
                    train_seeds(args, partial(train, argv=words, processes=processes), world=processes)
                else:
                    train(args, argv=words, processes=processes)

    return run(start)


def train(args: argparse.Namespace, *, argv: Sequence[str], processes: World, like: Path | None = None) -> None:
    """Run a training as the flags say, or one process's part of it.

    Args:
        argv: the flags as they were typed. like: the folder of a run whose data this one must share.

    Raises:
        InputError, ModelError: a flag, a folder, a file or weights that cannot be used.
        Stopped, NonFiniteLoss: see `Trainer.fit`.
    """
    check_flags(args, processes)
    device = choose_device(args.device, args.gpu_id + processes.local_rank)
    data = load_run_data(args, device, processes)
    resume = checkpoint.read_run(args.load_checkpoint_path) if args.load_checkpoint_path else None
    if resume and not args.allow_changed_data:
        refuse_other_data(data.files, resume["config"], folder=Path(args.load_checkpoint_path).parent, advice=GO_ON)
    if like:
        refuse_other_data(data.files, read_record(like), folder=like, advice="seeds are compared on the same data")
    torch.manual_seed(args.seed)
    model = build_model(args, resume)
    trainer = Trainer(
        model,
        DeepSupervision(LOSSES[args.loss], output_weights(model, args)),
        training=data.training,
        validation=data.validation,
        options=train_options(args, device),
        folder=args.train_model_save_path,
        device=device,
        config=make_run_record(
            args, model, argv=argv, device=device, data=data.files, former=resume["config"] if resume else None
        ),
        resume=resume,
        world=processes,
    )
    if processes.is_first:
        data.files.write(trainer.folder / DATA_FILE)
    print(
        f"{args.model} ({sum(p.numel() for p in model.parameters()) / 1e6:.2f} M parameters) on {device}: "
        f"{len(data.training)} images to train on, {len(data.validation)} to validate on; "
        f"run folder {args.train_model_save_path}"
    )
    trainer.fit()
    print(f"done: {args.train_model_save_path}/best.pth has the best validation score, last.pth the last epoch")


def build_model(args: argparse.Namespace, resume: dict[str, Any] | None) -> nn.Module:
    """Build the network and give it its first weights: a run's, a weight file's, or the backbone's from ImageNet."""
    options = model_options(args) | ({"classes": len(args.classes)} if args.classes else {})
    if resume:
        former = resume["config"]["model"]
        if former["name"] != args.model:
            raise ModelError(f"{args.load_checkpoint_path} holds {former['name']}, not {args.model}; drop --model")
        if resume["config"]["flags"].get("classes") != args.classes:
            raise ModelError(f"{args.load_checkpoint_path} was trained on other classes; drop --classes")
        return create_model(args.model, **{**former["options"], **options})
    source = args.net_pretrained_backbone_path if "backbone" in model_entry(args.model).options else "none"
    start = args.load_checkpoint_path
    model = create_model(args.model, pretrained=source == "timm" and not start, **options)
    if start:
        load_weights(model, start)
        print(f"note: {start} holds weights but no run of this code; training starts from them at epoch 1")
    elif source not in ("timm", "none"):
        load_backbone_weights(model.encoder, source)
    return model


def output_weights(model: nn.Module, args: argparse.Namespace) -> dict[str, float]:
    """Weight of every output's loss, 1 where no `output=weight` is given.

    Raises:
        InputError: something else is given, or an output the network does not have.
    """
    names = model.output_names
    return dict.fromkeys(names, 1.0) | dict(parse_weight(text, names) for text in args.loss_weights)


if __name__ == "__main__":
    sys.exit(main())
