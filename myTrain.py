"""Train a network on a folder of images and masks: python myTrain.py --train_data_path data/TrainDataset"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from lib import (
    ModelError,
    create_model,
    list_models,
    load_backbone_weights,
    load_weights,
    model_entry,
    read_checkpoint,
)
from measure.errors import InputError
from utils import checkpoint
from utils.cli import choose_device, run
from utils.image_data import EvaluationData, Pair, TrainingData, check_pairs, find_pairs, hold_out
from utils.losses import DeepSupervision, structure_loss
from utils.options import add_device_flags, add_model_flags, model_options, switch, worker_count
from utils.repro import versions
from utils.trainer import Trainer, TrainOptions
from utils.transforms import Augmentation

HELD_OUT = 0.1  # share of the training set that chooses the best checkpoint
LOSS_WEIGHTS = {"out": 2.0}  # of SEPNet's six outputs as released; the others weigh 1
MULTI_SCALE = (224, 256, 288, 320, 352)  # pixels, as released


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse flags; with --load_checkpoint_path of a run of ours, that run's own settings are the defaults."""
    parser = build_parser()
    args = parser.parse_args(argv)
    if args.load_checkpoint_path:
        former = checkpoint.read_run_config(args.load_checkpoint_path)
        if former:
            known = vars(args).keys() - {"load_checkpoint_path"}
            parser.set_defaults(**{name: value for name, value in former["flags"].items() if name in known})
            args = parser.parse_args(argv)
    return args


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    data = parser.add_argument_group("data")
    data.add_argument("--train_data_path", default="data/TrainDataset", help="folder with images/ and masks/")
    data.add_argument("--val_data_path", help="validate on this folder instead of a held-out tenth of the training set")
    data.add_argument("--train_size", type=int, default=352, help="input height and width, pixels")
    data.add_argument(
        "--multi_scale_training",
        type=switch,
        nargs="?",
        const=True,
        default=False,
        help=f"train every batch at {' '.join(map(str, MULTI_SCALE))} pixels",
    )
    data.add_argument("--mask_noise", type=float, default=0.0, help="share of mask pixels salted (released: 0.0015)")

    course = parser.add_argument_group("training")
    course.add_argument("--epoch", type=int, default=100, help="epochs")
    course.add_argument("--batch_size", type=int, default=3, help="images a step")
    course.add_argument("--optimizer", choices=("AdamW", "Adam", "SGD"), default="Adam", help="optimiser")
    course.add_argument("--lr", type=float, default=1e-4, help="learning rate after the warm-up")
    course.add_argument("--weight_decay", type=float, default=1e-4, help="weight decay")
    course.add_argument("--lr_warmup_epoch", type=int, default=30, help="epochs of linear warm-up")
    course.add_argument("--lr_decay_rate", type=float, default=0.5, help="factor of every decay")
    course.add_argument("--lr_decay_epoch", type=int, default=50, help="epochs between decays")
    course.add_argument("--gradient_clip", type=float, default=0.5, help="bound on gradients, 0 for none")
    course.add_argument("--clip_mode", choices=("value", "norm"), default="value", help="each element, or their norm")
    course.add_argument("--ema", type=float, default=0.0, help="decay of an average of the weights, 0 for none")

    run_folder = parser.add_argument_group("run folder")
    run_folder.add_argument("--train_model_save_path", default="checkpoint/run", help="where checkpoints and logs go")
    run_folder.add_argument(
        "--train_model_save_epoch", type=int, default=50, help="epochs between numbered checkpoints"
    )
    run_folder.add_argument("--load_checkpoint_path", help="a last.pth to go on from, or weights to start with")

    add_model_flags(parser)
    parser.add_argument(
        "--net_pretrained_backbone_path",
        default="timm",
        help="ImageNet weights of the backbone: a file, timm (download) or none (from scratch)",
    )
    add_device_flags(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    return run(lambda: train(parse_args(argv)))


def train(args: argparse.Namespace) -> None:
    """Run a training as the flags say.

    Raises:
        InputError, ModelError: a flag, a folder, a file or weights that cannot be used.
        Stopped, NonFiniteLoss: see `Trainer.fit`.
    """
    check_flags(args)
    device = choose_device(args.device, args.gpu_id)
    training, held_out = find_data(args)
    resume = resumable(args.load_checkpoint_path)
    torch.manual_seed(args.seed)
    model = build_model(args, resume)
    trainer = Trainer(
        model,
        DeepSupervision(structure_loss, output_weights(model)),
        training=TrainingData(
            training,
            size=args.train_size,
            seed=args.seed,
            augmentation=Augmentation(mask_noise=args.mask_noise),
        ),
        held_out=EvaluationData(held_out, size=args.train_size),
        options=train_options(args, device),
        folder=args.train_model_save_path,
        device=device,
        config={
            "model": {"name": args.model, "options": dataclasses.asdict(model.config)},
            "flags": vars(args),
            "versions": versions(),
        },
        resume=resume,
    )
    print(
        f"{args.model} ({sum(p.numel() for p in model.parameters()) / 1e6:.2f} M parameters) on {device}: "
        f"{len(training)} pairs to train on, {len(held_out)} to validate on; run folder {args.train_model_save_path}"
    )
    trainer.fit()
    print(f"done: {args.train_model_save_path}/best.pth has the best validation score, last.pth the last epoch")


def check_flags(args: argparse.Namespace) -> None:
    """Refuse what cannot work before anything is read or written."""
    entry = model_entry(args.model)
    if entry.kind != "image":
        raise InputError(f"{args.model} is a video network; networks for images are {', '.join(list_models('image'))}")
    for size in training_sizes(args):
        if size < entry.divisor or size % entry.divisor:
            raise InputError(f"--train_size {size} was given; {args.model} needs a multiple of {entry.divisor}")
    for flag in ("epoch", "batch_size", "train_model_save_epoch", "lr_decay_epoch"):
        if getattr(args, flag) < 1:
            raise InputError(f"--{flag} {getattr(args, flag)} was given; it must be at least 1")
    if args.batch_size == 1:
        print("note: batch size 1 gives batch normalisation little to go by; 2 or more trains better", file=sys.stderr)


def training_sizes(args: argparse.Namespace) -> tuple[int, ...]:
    return (args.train_size, *MULTI_SCALE) if args.multi_scale_training else (args.train_size,)


def find_data(args: argparse.Namespace) -> tuple[list[Pair], list[Pair]]:
    """Return the pairs to train on and to validate on."""
    pairs = find_pairs(args.train_data_path)
    if args.val_data_path:
        training, held_out = pairs, find_pairs(args.val_data_path)
        print(f"note: best.pth is chosen on {args.val_data_path}; report no results on the same images")
    else:
        training, held_out = hold_out(pairs, share=HELD_OUT, seed=args.seed)
    check_pairs([*training, *held_out])
    return training, held_out


def resumable(path: str | None) -> dict[str, Any] | None:
    """Return the checkpoint at `path` where it holds a run of ours to go on with."""
    found = read_checkpoint(path) if path else {}
    return found if checkpoint.is_resumable(found) else None


def build_model(args: argparse.Namespace, resume: dict[str, Any] | None) -> nn.Module:
    """Build the network and give it its first weights: a run's, a weight file's, or the backbone's from ImageNet."""
    options = model_options(args)
    if resume:
        former = resume["config"]["model"]
        if former["name"] != args.model:
            raise ModelError(f"{args.load_checkpoint_path} holds {former['name']}, not {args.model}; drop --model")
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


def output_weights(model: nn.Module) -> dict[str, float]:
    """Weight of every output's loss, by the names a tiny forward gives."""
    size = 2 * model_entry(model.registered_name).divisor
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        names = model.eval()(torch.zeros(1, 3, size, size))
    return {name: LOSS_WEIGHTS.get(name, 1.0) for name in names}


def train_options(args: argparse.Namespace, device: torch.device) -> TrainOptions:
    """Translate flags to the trainer's options."""
    return TrainOptions(
        epochs=args.epoch,
        batch_size=args.batch_size,
        lr=args.lr,
        warmup=args.lr_warmup_epoch,
        decay_rate=args.lr_decay_rate,
        decay_epochs=args.lr_decay_epoch,
        optimizer=args.optimizer,
        weight_decay=args.weight_decay,
        clip=args.gradient_clip,
        clip_mode=args.clip_mode,
        scales=MULTI_SCALE if args.multi_scale_training else (),
        amp=args.amp,
        ema=args.ema,
        save_every=args.train_model_save_epoch,
        workers=worker_count(args, device),
        seed=args.seed,
    )


if __name__ == "__main__":
    sys.exit(main())
