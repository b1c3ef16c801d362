"""The same training from several seeds, one run after another, and how far their scores lie apart.

    python myTrain.py --seeds 0 1 2 --train_model_save_path checkpoint/sepnet

All seeds hold out the same part, drawn by --held_out_seed or else --seed, so that their scores differ by training
alone. Every run is whole in a folder of its own, `seed_0`, `seed_1`, ...; `seeds.json` and `seeds.md` beside them say
what each reached. The same command, started again, passes over what is finished and goes on with what is not.
"""

from __future__ import annotations

import csv
import dataclasses
import json
import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

from measure.io import InputError, markdown_table, replace_when_whole, write_json

from ..runtime import Stopped, World
from ..training import TrainConfig, config_of, furthest_checkpoint, neutral_options, read_record, train
from .train_flags import TrainCommand

__all__ = ["best_epoch", "summarise", "train_seeds"]

SCORES = ("Dice", "IoU", "MAE", "score")
Row = Mapping[str, float]


def train_seeds(command: TrainCommand, *, argv: Sequence[str], world: World) -> None:
    """Train for every seed that is not finished, then write and print what all of them reached.

    Raises:
        InputError: the seeds cannot be used, the folder holds seeds of other flags, or the data have changed.
        Stopped: as in a single run; the same command goes on.
    """
    seeds, folder = command.start.seeds, Path(command.config.train_model_save_path)
    if len(set(seeds)) < len(seeds):
        raise InputError(f"--seeds {' '.join(map(str, seeds))} was given; name each seed once, from 0 on")
    if command.resume:
        raise InputError(
            f"--seeds starts new runs, but {command.start.load_checkpoint_path} is a run to go on with; drop one"
        )
    refuse_other_options(command, folder)
    finished: dict[int, Row] = world.all_gather(read_finished(folder) if world.is_first else {})[0]
    for seed in seeds:
        if seed not in finished:
            print(f"seed {seed}, of {' '.join(map(str, seeds))}")
            reference_run = next((folder / f"seed_{other}" for other in finished), None)
            train_seed(command, seed, argv=argv, reference_run=reference_run, world=world)
            finished[seed] = world.all_gather(
                best_epoch(folder / f"seed_{seed}", by=command.config.best_by) if world.is_first else {}
            )[0]
            if world.is_first:
                write_summary(folder, finished)
    print(table(finished))


def config_of_seed(config: TrainConfig, seed: int) -> TrainConfig:
    """The configuration of one seed's run: all seeds hold out the same part."""
    folder = Path(config.train_model_save_path) / f"seed_{seed}"
    return dataclasses.replace(config, seed=seed, held_out_seed=config.draw_seed, train_model_save_path=str(folder))


def train_seed(
    command: TrainCommand, seed: int, *, argv: Sequence[str], reference_run: Path | None, world: World
) -> None:
    """Start the run of one seed, or go on with it."""
    config = config_of_seed(command.config, seed)
    found = furthest_checkpoint(config.train_model_save_path)
    path, resume = found or (command.start.load_checkpoint_path, None)
    start = dataclasses.replace(command.start, seeds=None, load_checkpoint_path=str(path) if path else None)
    try:
        train(config, start, argv=argv, world=world, resume=resume, reference_run=reference_run)
    except Stopped as stop:
        raise Stopped(f"{stop}, or with all seeds by the same command", stop.status) from None


def refuse_other_options(command: TrainCommand, folder: Path) -> None:
    """Refuse to add seeds to those of another training.

    Raises:
        InputError: a seed in `folder` was trained with other options, as far as they have an effect on numbers.
    """
    own = config_of_seed(command.config, 0)
    names = {field.name for field in dataclasses.fields(TrainConfig)} - neutral_options() - {"seed"}
    init_weights = command.start.init_weights or command.start.load_checkpoint_path
    for place in sorted(folder.glob("seed_*/config.json")):
        record = read_record(place.parent)
        previous, weights = config_of(record), record["weights"]
        others = sorted(name for name in names if getattr(previous, name) != getattr(own, name))
        if weights.get("init_weights", weights.get("load_checkpoint_path", {})).get("path") != init_weights:
            others.append("init_weights")
        if others:
            raise InputError(
                f"{place.parent} was trained with other flags (--{', --'.join(others)}); choose another "
                "--train_model_save_path, or give the flags as they were"
            )


def read_finished(folder: Path) -> dict[int, Row]:
    """Read what the finished seeds of an earlier start reached; one whose folder was removed is not finished."""
    path = folder / "seeds.json"
    if not path.is_file():
        return {}
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))["seeds"]
        return {int(seed): dict(row) for seed, row in rows.items() if (folder / f"seed_{seed}").is_dir()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(f"{path} is damaged; remove it, and the same command writes it again from the runs") from error


def best_epoch(folder: Path, *, by: str) -> Row:
    """Number and scores of a run's best epoch, the one of best.pth: the first with the highest `by` (--best_by)."""
    with (folder / "log.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    best = max(rows, key=lambda row: float(row[by]))
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
