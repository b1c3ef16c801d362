"""myTrain.py's flags: defaults from the network's recipe or a former run, limits, and what they mean to a trainer."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import torch

from lib import model_entry
from measure.io import CommandParser, InputError, parse_classes, switch
from utils.training import checkpoint

from ..data import AUGMENTATIONS, CACHES, worker_count
from ..runtime import World
from ..training import (
    LOSSES,
    NOT_INHERITED_FLAGS,
    SCHEDULES,
    Recipe,
    Schedule,
    TrainOptions,
    departures,
    parse_budget,
    recipe_for,
)
from .common_flags import add_device_flags, add_model_flags

__all__ = ["build_parser", "check_flags", "parse_args", "parse_weight", "train_options"]


DESCRIPTION = "Train a network on a folder of images and masks: python myTrain.py --train_data_path data/TrainDataset"
MULTI_SCALE = (224, 256, 288, 320, 352)  # pixels, as released with SEPNet
LOWEST = {
    "epoch": 1,
    "batch_size": 1,
    "accumulate": 1,
    "train_model_save_epoch": 1,
    "lr_decay_epoch": 1,
    "lr_warmup_epoch": 0,
    "early_stop": 0,
    "gradient_clip": 0,
    "seed": 0,
    "held_out_seed": 0,
}


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse flags; the recipe of --model gives the defaults, or the run of ours that --load_checkpoint_path names."""
    parser = build_parser()
    given = first_look(parser, argv)
    parser.set_defaults(load_checkpoint_path=given.load_checkpoint_path)
    former = checkpoint.read_run(given.load_checkpoint_path) if given.load_checkpoint_path else None
    settings = former["config"]["flags"] if former else {}
    recipe = recipe_for(given.model or settings.get("model", parser.get_default("model")))
    parser.set_defaults(**recipe.flags())
    parser.epilog = about(recipe)
    known = vars(parser.parse_args([])).keys() - NOT_INHERITED_FLAGS
    parser.set_defaults(**{name: value for name, value in settings.items() if name in known})
    return parser.parse_args(argv)


def first_look(parser: argparse.ArgumentParser, argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the flags that others take their defaults from; --resume auto finds its checkpoint here."""
    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    for flag in ("--model", "--load_checkpoint_path", "--resume"):
        first.add_argument(flag)
    first.add_argument("--train_model_save_path", default=parser.get_default("train_model_save_path"))
    given = first.parse_known_args(argv)[0]
    if given.resume == "auto" and not given.load_checkpoint_path:
        found = checkpoint.newest_whole(given.train_model_save_path)
        given.load_checkpoint_path = str(found) if found else None
    return given


def about(recipe: Recipe) -> str:
    """Say where the defaults of --model come from, as the end of --help."""
    left_open = f" It leaves open, and this project chose: {recipe.chosen}." if recipe.chosen else ""
    return f"The training defaults above are those of {recipe.source}.{left_open}"


def build_parser() -> argparse.ArgumentParser:
    parser = CommandParser(description=DESCRIPTION)
    add_data_flags(parser)
    add_recipe_flags(parser)
    run_folder = parser.add_argument_group("run folder")
    run_folder.add_argument("--train_model_save_path", default="checkpoint/run", help="where checkpoints and logs go")
    run_folder.add_argument(
        "--train_model_save_epoch", type=int, default=50, help="epochs between numbered checkpoints"
    )
    run_folder.add_argument("--load_checkpoint_path", help="a last.pth to go on from, or weights to start with")
    run_folder.add_argument(
        "--resume",
        choices=("auto",),
        help="auto: go on from the newest whole checkpoint in the run folder, or start where there is none",
    )

    add_model_flags(parser)
    parser.add_argument(
        "--net_pretrained_backbone_path",
        default="timm",
        help="ImageNet weights of the backbone: a file, timm (download) or none (from scratch)",
    )
    add_device_flags(parser)
    add_repetition_flags(parser)
    return parser


def add_repetition_flags(parser: argparse.ArgumentParser) -> None:
    again = parser.add_argument_group("repetition")
    again.add_argument(
        "--seeds", type=int, nargs="+", metavar="N", help="one run for each seed, in <train_model_save_path>/seed_N"
    )
    again.add_argument(
        "--held_out_seed", type=int, help="of the draw of the held-out tenth alone (default: --seed, also for --seeds)"
    )
    again.add_argument("--deterministic", action="store_true", help="equal bits from run to run on CUDA too, slower")
    again.add_argument(
        "--allow_changed_data", action="store_true", help="go on with a run although its data are not the same any more"
    )


def add_data_flags(parser: argparse.ArgumentParser) -> None:
    data = parser.add_argument_group("data")
    data.add_argument(
        "--train_data_path", default="data/TrainDataset", help="folder with images/ and masks/, or Frame/ and GT/"
    )
    data.add_argument("--val_data_path", help="validate on this folder instead of a held-out tenth of the training set")
    data.add_argument(
        "--split", help="train on the images or clips that this file names, one a line (see utils.commands.split)"
    )
    data.add_argument("--val_split", help="validate on the images or clips that this file names")
    data.add_argument(
        "--multi_scale_training",
        type=switch,
        nargs="?",
        const=True,
        default=False,
        help=f"train every batch at {' '.join(map(str, MULTI_SCALE))} pixels",
    )
    data.add_argument(
        "--classes",
        nargs="+",
        metavar="NAME=VALUE",
        help="what the masks tell apart: NAME=R,G,B for colours, NAME=INDEX for indices (default: polyp alone)",
    )
    data.add_argument(
        "--cache",
        choices=CACHES,
        default="off",
        help="keep training images decoded and shrunk to 1.25 times the input, image networks only",
    )
    data.add_argument("--cache_path", default="checkpoint/cache", help="folder of --cache disk; it holds pictures")
    data.add_argument("--mask_noise", type=float, default=0.0, help="share of mask pixels salted (released: 0.0015)")


def add_recipe_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags whose defaults are the entries of --model's recipe."""
    course = parser.add_argument_group("training (defaults: the recipe of --model)")
    course.add_argument("--train_size", type=int, help="input height and width, pixels")
    course.add_argument("--epoch", type=int, help="epochs")
    course.add_argument("--early_stop", type=int, help="epochs without a better score that end the run, 0 for never")
    course.add_argument("--batch_size", type=int, help="images a step, over all processes")
    course.add_argument(
        "--accumulate", type=int, default=1, help="parts in which a step is computed, to need less memory"
    )
    course.add_argument(
        "--compile",
        action="store_true",
        help="run the network through torch.compile; where that does not work, without it, and a line says why",
    )
    course.add_argument(
        "--budget",
        metavar="N{epochs,steps,minutes}",
        help="end the run after so much, as 500steps or 30minutes, whatever --epoch says",
    )
    course.add_argument(
        "--sync_batchnorm",
        type=switch,
        metavar="on|off",
        default=True,
        help="under torchrun, normalize over the images of all processes; without CUDA, of each",
    )
    course.add_argument("--loss", choices=LOSSES, help="loss of every output")
    course.add_argument("--loss_weights", nargs="*", metavar="OUTPUT=WEIGHT", help="weights of outputs that are not 1")
    course.add_argument("--optimizer", choices=("AdamW", "Adam", "SGD"), help="optimiser")
    course.add_argument("--lr", type=float, help="highest learning rate")
    course.add_argument("--weight_decay", type=float, help="weight decay")
    course.add_argument("--schedule", choices=SCHEDULES, help="course of the learning rate")
    course.add_argument("--lr_warmup_epoch", type=int, help="epochs of warm-up")
    course.add_argument("--lr_lowest", type=float, help="share of --lr where the warm-up starts")
    course.add_argument("--lr_decay_rate", type=float, help="factor of every decay")
    course.add_argument(
        "--lr_decay_epoch", type=int, help="epochs between decays; for plateau, epochs without a better score"
    )
    course.add_argument("--lr_power", type=float, help="exponent of the poly schedules")
    course.add_argument("--gradient_clip", type=float, help="bound on gradients, 0 for none")
    course.add_argument("--clip_mode", choices=("value", "norm"), help="bound each element, or their norm")
    course.add_argument(
        "--augment",
        nargs="*",
        metavar="PART[:SETTING=VALUE,...]",
        help=f"augmentations in their order, of {' '.join(AUGMENTATIONS)}; a range is low..high",
    )
    course.add_argument(
        "--memory_window",
        type=int,
        nargs="*",
        metavar="FRAMES",
        help="video networks: how far back a memory frame may lie, for five epochs each, then again the first",
    )
    course.add_argument("--ema", type=float, default=0.0, help="decay of an average of the weights, 0 for none")


def check_flags(args: argparse.Namespace, processes: World) -> None:
    """Refuse what cannot work before anything is read or written, and note where the run departs from its recipe."""
    entry = model_entry(args.model)
    for size in training_sizes(args):
        entry.network.check_side(size, flag="--train_size")
    for flag, lowest in LOWEST.items():
        value = getattr(args, flag)
        if value is not None and value < lowest:
            raise InputError(f"--{flag} {value} was given; it must be at least {lowest}")
    if entry.kind == "video" and (not args.memory_window or min(args.memory_window) < 1):
        raise InputError(f"--memory_window {args.memory_window} was given; give numbers of frames, from 1 on")
    if entry.kind == "video" and args.cache != "off":
        raise InputError(f"--cache {args.cache} was given; it serves networks of images, and {args.model} takes clips")
    if args.classes is not None:
        check_classes(args)
    parse_budget(args.budget)
    parts = processes.size * args.accumulate
    if args.batch_size < parts:
        raise InputError(
            f"--batch_size {args.batch_size} was given for {processes.size} processes with --accumulate "
            f"{args.accumulate}; it counts the images of all of them, so give at least {parts}"
        )
    recipe = recipe_for(args.model)
    if others := departures(recipe, vars(args)):
        print(f"note: this run departs from {recipe.source}: {', '.join(others)}", file=sys.stderr)
    if args.batch_size == 1:
        print("note: batch size 1 gives batch normalisation little to go by; 2 or more trains better", file=sys.stderr)


def check_classes(args: argparse.Namespace) -> None:
    """Refuse texts that are no classes, and networks that cannot tell any apart."""
    parse_classes(args.classes)
    if "classes" not in model_entry(args.model).options:
        raise InputError(
            f"--classes was given with {args.model}, a video network; only networks of still images have classes"
        )


def training_sizes(args: argparse.Namespace) -> tuple[int, ...]:
    return (args.train_size, *MULTI_SCALE) if args.multi_scale_training else (args.train_size,)


def parse_weight(text: str, names: Sequence[str]) -> tuple[str, float]:
    """Read `output=weight`, the output one of `names`.

    Raises:
        InputError: it is something else.
    """
    name, _, weight = text.partition("=")
    try:
        return names[names.index(name)], float(weight)
    except ValueError as error:
        raise InputError(f"--loss_weights {text} was given; expected OUTPUT=WEIGHT, of {', '.join(names)}") from error


def train_options(args: argparse.Namespace, device: torch.device) -> TrainOptions:
    """Translate flags to the trainer's options."""
    return TrainOptions(
        epochs=args.epoch,
        batch_size=args.batch_size,
        accumulate=args.accumulate,
        budget=parse_budget(args.budget),
        early_stop=args.early_stop,
        schedule=Schedule(
            kind=args.schedule,
            base=args.lr,
            lowest=args.lr_lowest,
            warmup=args.lr_warmup_epoch,
            decay_rate=args.lr_decay_rate,
            decay_epochs=args.lr_decay_epoch,
            power=args.lr_power,
        ),
        optimizer=args.optimizer,
        weight_decay=args.weight_decay,
        clip=args.gradient_clip,
        clip_mode=args.clip_mode,
        scales=MULTI_SCALE if args.multi_scale_training else (),
        amp=args.amp,
        ema=args.ema,
        sync_norms=args.sync_batchnorm,
        compile=args.compile,
        save_every=args.train_model_save_epoch,
        workers=worker_count(args.workers, device),
        seed=args.seed,
    )
