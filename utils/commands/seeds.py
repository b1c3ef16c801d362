"""The same training from several seeds, one run after another, and how far their scores lie apart.

    python myTrain.py --seeds 0 1 2 --train_model_save_path checkpoint/sepnet

All seeds hold out the same part, drawn by --held_out_seed or else --seed, so that their scores differ by training
alone. Every run is whole in a folder of its own, `seed_0`, `seed_1`, ...; `seeds.json` and `seeds.md` beside them say
what each reached. The same command, started again, passes over what is finished and goes on with what is not.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from measure.io import InputError, markdown_table, replace_when_whole, write_json
from utils.training import checkpoint

from ..runtime import Stopped, World
from ..training import RESULT_NEUTRAL_FLAGS, held_out_seed, read_record

__all__ = ["Train", "best_epoch", "summarise", "train_seeds"]

SCORES = ("Dice", "IoU", "MAE", "score")
Row = Mapping[str, float]


class Train(Protocol):
    """A single run; `like` is the folder of one whose data it must share."""

    def __call__(self, args: argparse.Namespace, *, like: Path | None) -> None: ...


def train_seeds(args: argparse.Namespace, train: Train, *, world: World) -> None:
    """Run `train` for every seed that is not finished, then write and print what all of them reached.

    Raises:
        InputError: the seeds cannot be used, the folder holds seeds of other flags, or the data have changed.
        Stopped: as in a single run; the same command goes on.
    """
    check_seeds(args)
    folder = Path(args.train_model_save_path)
    refuse_other_flags(args, folder)
    finished: dict[int, Row] = world.all_gather(read_finished(folder) if world.is_first else {})[0]
    for seed in args.seeds:
        if seed not in finished:
            like = next((folder / f"seed_{other}" for other in finished), None)
            train_seed(args, seed, train, like=like, world=world)
            finished[seed] = world.all_gather(best_epoch(folder / f"seed_{seed}") if world.is_first else {})[0]
            if world.is_first:
                write_summary(folder, finished)
    print(table(finished))


def check_seeds(args: argparse.Namespace) -> None:
    if len(set(args.seeds)) < len(args.seeds) or min(args.seeds) < 0:
        raise InputError(f"--seeds {' '.join(map(str, args.seeds))} was given; name each seed once, from 0 on")
    if args.load_checkpoint_path and checkpoint.read_run(args.load_checkpoint_path):
        raise InputError(f"--seeds starts new runs, but {args.load_checkpoint_path} is a run to go on with; drop one")


def train_seed(args: argparse.Namespace, seed: int, train: Train, *, like: Path | None, world: World) -> None:
    """Start the run of one seed, or go on with it."""
    folder = Path(args.train_model_save_path) / f"seed_{seed}"
    newest = world.all_gather(checkpoint.newest_whole(folder) if world.is_first else None)[0]
    own = {
        "seeds": None,
        "seed": seed,
        "held_out_seed": held_out_seed(args),
        "train_model_save_path": str(folder),
        "load_checkpoint_path": str(newest) if newest else args.load_checkpoint_path,
    }
    print(f"seed {seed}, of {' '.join(map(str, args.seeds))}")
    try:
        train(argparse.Namespace(**{**vars(args), **own}), like=like)
    except Stopped as stop:
        raise Stopped(f"{stop}, or with all seeds by the same command", stop.status) from None


def refuse_other_flags(args: argparse.Namespace, folder: Path) -> None:
    """Refuse to add seeds to those of another training.

    Raises:
        InputError: a seed in `folder` was trained with other flags, as far as they have an effect on numbers.
    """
    flags = {**vars(args), "held_out_seed": held_out_seed(args)}
    names = flags.keys() - RESULT_NEUTRAL_FLAGS - {"seed"} | {"load_checkpoint_path"}
    for place in sorted(folder.glob("seed_*/config.json")):
        record = read_record(place.parent)
        weights = record["weights"].get("load_checkpoint_path", {})
        former = record["flags"] | {"load_checkpoint_path": weights.get("path")}
        others = sorted(name for name in names if former.get(name) != flags[name])
        if others:
            raise InputError(
                f"{place.parent} was trained with other flags (--{', --'.join(others)}); choose another "
                "--train_model_save_path, or give the flags as they were"
            )


def read_finished(folder: Path) -> dict[int, Row]:
    """Read what the finished seeds of an earlier start reached; one whose folder was removed is not finished."""
    path = folder / "seeds.json"
    rows = json.loads(path.read_text(encoding="utf-8"))["seeds"] if path.is_file() else {}
    return {int(seed): row for seed, row in rows.items() if (folder / f"seed_{seed}").is_dir()}


def best_epoch(folder: Path) -> Row:
    """Number and scores of a run's best epoch, the one of best.pth: the first with the highest score."""
    with (folder / "log.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    best = max(rows, key=lambda row: float(row["score"]))
    return {"epoch": int(best["epoch"]), **{name: float(best[name]) for name in SCORES}}


def summarise(finished: Mapping[int, Row]) -> dict[str, dict[str, float]]:
    """Mean and standard deviation (of a sample, n - 1; NaN for a single seed) of every score over the seeds."""
    columns = {name: [row[name] for row in finished.values()] for name in SCORES}
    return {
        "mean": {name: statistics.fmean(values) for name, values in columns.items()},
        "standard deviation": {
            name: statistics.stdev(values) if len(values) > 1 else math.nan for name, values in columns.items()
        },
    }


def write_summary(folder: Path, finished: Mapping[int, Row]) -> None:
    """Write seeds.json, in full precision, and seeds.md."""
    seeds = {str(seed): dict(row) for seed, row in sorted(finished.items())}
    write_json({"seeds": seeds, **summarise(finished)}, folder / "seeds.json")
    with replace_when_whole(folder / "seeds.md") as partial:
        partial.write_text(table(finished) + "\n", encoding="utf-8")


def table(finished: Mapping[int, Row]) -> str:
    """The seeds' best epochs with mean and standard deviation, as Markdown."""
    rows = [[f"{seed}", f"{row['epoch']}", *cells(row)] for seed, row in sorted(finished.items())]
    rows += [[name, "", *cells(row)] for name, row in summarise(finished).items()]
    return markdown_table(["seed", "best epoch", *SCORES], rows)


def cells(row: Row) -> list[str]:
    return [f"{row[name]:.4f}" if math.isfinite(row[name]) else "–" for name in SCORES]
