"""myTrain.py's flags: made of `TrainConfig` and `StartOptions`; a recipe or a run to go on with gives the defaults."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from measure.io import CommandParser, InputError

from ..runtime import Options, add_flags, option, words_of
from ..training import GROUPS, REPETITION, Recipe, StartOptions, TrainConfig, recipe_for, recipe_of

__all__ = ["TrainCommand", "parse_train_args", "words_of_run"]

DESCRIPTION = "Train a network on a folder of images and masks: python myTrain.py --train_data_path data/TrainDataset"


@dataclass(frozen=True)
class FoldOptions(Options):
    """Cross-validation: how the folds are drawn; each fold's run keeps the names it got, not these."""

    folds: int | None = option(
        None,
        "cross-validate: one run for each of so many folds, in <train_model_save_path>/fold_N, scored on the part that "
        "it has not seen; --seed draws them",
        group=REPETITION,
        low=2,
        high=1000,
        metavar="N",
    )
    groups: str | None = option(
        None,
        "of --folds: file of `name,group` lines, or of `first last` ranges of numbered names, that stay together "
        "(clips: those of one polyp do anyway)",
        group=REPETITION,
        metavar="FILE",
    )
    group_pattern: str | None = option(
        None,
        "of --folds: regular expression that finds the group in a name, as '^case\\d+'",
        group=REPETITION,
        metavar="PATTERN",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.groups and self.group_pattern:
            raise InputError("--groups and --group_pattern were given; one tells the groups: drop the other")
        if (self.groups or self.group_pattern) and not self.folds:
            raise InputError("groups were given without --folds; write split files by group with python -m utils split")


@dataclass(frozen=True)
class TrainCommand:
    """What a command line asks for.

    Attributes:
        config: how to train.
        start: how this start begins.
        folds: how it is cross-validated, if it is.
        resume: the checkpoint to go on from, read once; None for a fresh run.
    """

    config: TrainConfig
    start: StartOptions
    folds: FoldOptions = FoldOptions()
    resume: dict[str, Any] | None = None


def parse_train_args(argv: Sequence[str]) -> TrainCommand:
    """Parse flags; the recipe of --model and --recipe gives the defaults, or the run of ours that is gone on with.

    Raises:
        InputError, ModelError: a value that cannot be used, or a checkpoint that cannot be read.
    """
    first = look_ahead(argv)
    path, resume = run_to_resume(first)
    defaults: dict[str, Any] = {}
    if resume:
        from ..training import config_of

        defaults = config_of(resume["config"]).flags()
    recipe = recipe_for(
        first.model or defaults.get("model", TrainConfig.model),
        defaults.get("recipe") or first.recipe or TrainConfig.recipe,
    )
    base = recipe.config.flags() if not resume else defaults
    args = vars(build_parser(recipe, base | ({"model": first.model} if first.model else {})).parse_args(argv))
    start = StartOptions.from_flags(args | ({"load_checkpoint_path": path} if path else {}))
    return TrainCommand(TrainConfig.from_flags(args), start, FoldOptions.from_flags(args), resume)


def look_ahead(argv: Sequence[str]) -> argparse.Namespace:
    """Read the flags that the others take their defaults from."""
    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    for flag in ("--model", "--recipe", "--load_checkpoint_path", "--resume", "--init_weights"):
        first.add_argument(flag, nargs="?")
    first.add_argument("--train_model_save_path", nargs="?", default=TrainConfig.train_model_save_path)
    return first.parse_known_args(argv)[0]


def run_to_resume(first: argparse.Namespace) -> tuple[str | None, dict[str, Any] | None]:
    """The checkpoint that the flags name or that --resume auto finds, and its content where it is a run of ours.

    Raises:
        InputError: flags that name two beginnings, or a checkpoint that cannot be read.
    """
    for other in ("resume", "init_weights"):
        if first.load_checkpoint_path and getattr(first, other):
            raise InputError(
                f"--load_checkpoint_path and --{other} were given; keep one of them: a run that starts from weights "
                "and is gone on with later takes --init_weights FILE --resume auto"
            )
    if not first.load_checkpoint_path and first.resume != "auto":
        return None, None
    from ..training import furthest_checkpoint, read_run  # PyTorch is loaded for those who need it

    if first.load_checkpoint_path:
        return first.load_checkpoint_path, read_run(first.load_checkpoint_path)
    found = furthest_checkpoint(first.train_model_save_path)
    return (str(found[0]), found[1]) if found else (None, None)


def build_parser(recipe: Recipe, defaults: dict[str, Any]) -> CommandParser:
    parser = CommandParser(usage="python myTrain.py [flags]", description=DESCRIPTION, epilog=about(recipe))
    for title in GROUPS:
        parser.add_argument_group(title)
    add_flags(parser, TrainConfig, **defaults)
    add_flags(parser, StartOptions)
    add_flags(parser, FoldOptions)
    return parser


def about(recipe: Recipe) -> str:
    """Say where the defaults of --model come from, as the end of --help."""
    left_open = f" It leaves open, and this project chose: {recipe.chosen}." if recipe.chosen else ""
    return f"The training defaults above are those of {recipe.source}.{left_open}"


def words_of_run(config: TrainConfig) -> list[str]:
    """The flags that myTrain.py reads back as `config`; those of the recipe's defaults are left out."""
    base = dataclasses.replace(recipe_of(config).config, model=TrainConfig.model, recipe=TrainConfig.recipe)
    return words_of(config, base)
