"""The same training several times, one run after another, and how far their scores lie apart.

    python myTrain.py --seeds 0 1 2 --train_model_save_path checkpoint/sepnet
    python myTrain.py --folds 5 --group_pattern '^case[0-9]+' --train_model_save_path checkpoint/crossed

All seeds hold out the same part, drawn by --held_out_seed or else --seed, so that their scores differ by training
alone; what they reach is the best epoch's on it.

Folds are drawn by --seed: every image is in the tested part of one of them. A fold's best checkpoint is chosen on a
tenth of what it trains on, and only then scored on the tested part, which has chosen nothing.

Every run is whole in a folder of its own, `seed_0` or `fold_1`; `seeds.json` and `seeds.md` (`folds...`) beside them
say what each reached. The same command, started again, passes over what is finished and goes on with what is not.
"""

from __future__ import annotations

import csv
import dataclasses
import json
import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lib import load_model
from measure.io import InputError, group_reading, has_clips, markdown_table, read_layout, write_json, write_text

from ..data import FoldNames, fold_names, names_in, polyp_of, read_split, write_folds
from ..runtime import Stopped, World, autocast, choose_device
from ..training import TrainConfig, config_of, furthest_checkpoint, neutral_options, read_record, task_of, train
from .train_flags import TrainCommand

__all__ = ["best_epoch", "summarise", "train_folds", "train_seeds"]

SCORES = ("Dice", "IoU", "MAE", "score")
Row = Mapping[str, float]


@dataclass(frozen=True)
class Series:
    """Runs that differ in one thing.

    Attributes:
        kind: what that is called, "seed" or "fold".
        folder: of all of them.
        configs: how each trains, by its number.
        varied: names of the options in which they differ, besides the run folder.
        read: what a finished run reached: its best epoch's number and scores, and whatever else its row shows.
        same_data: whether all runs must be made of the same files on the same sides.
    """

    kind: str
    folder: Path
    configs: Mapping[int, TrainConfig]
    varied: frozenset[str]
    read: Callable[[TrainConfig], Row]
    same_data: bool

    def run_folder(self, number: int) -> Path:
        return self.folder / f"{self.kind}_{number}"


def train_seeds(command: TrainCommand, *, argv: Sequence[str], world: World) -> None:
    """Train for every seed that is not finished, then write and print what all of them reached.

    Raises:
        InputError: the seeds cannot be used, the folder holds seeds of other flags, or the data have changed.
        Stopped: as in a single run; the same command goes on.
    """
    seeds, config = command.start.seeds, command.config
    if len(set(seeds)) < len(seeds):
        raise InputError(f"--seeds {' '.join(map(str, seeds))} was given; name each seed once, from 0 on")
    folder = Path(config.train_model_save_path)
    configs = {
        seed: dataclasses.replace(
            config, seed=seed, held_out_seed=config.draw_seed, train_model_save_path=str(folder / f"seed_{seed}")
        )
        for seed in seeds
    }
    series = Series(
        "seed", folder, configs, frozenset({"seed"}), lambda own: read_best_epoch(own, world), same_data=True
    )
    train_series(series, command, argv=argv, world=world)


def train_folds(command: TrainCommand, *, argv: Sequence[str], world: World) -> None:
    """Train on every fold's part that is not finished, score each on its tested part, write and print the scores.

    Raises:
        InputError: flags that do not go together, too few groups, the folder holds folds of other flags, or the data
            have changed.
        Stopped: as in a single run; the same command goes on.
    """
    config = command.config
    for flag in ("val_data_path", "val_split"):
        if getattr(config, flag):
            raise InputError(f"--folds and --{flag} were given; every fold draws what chooses its checkpoint: drop one")
    if command.start.seeds:
        raise InputError("--folds and --seeds were given; cross-validate from one seed at a time, with --seed N")
    folder = Path(config.train_model_save_path)
    refuse_to_resume("fold", command)
    drawn = draw_folds(command)
    if world.is_first:
        write_folds(drawn, folder / "splits", replace=False)
    world.all_gather(None)  # the files are there before any process reads them
    configs = {
        number: dataclasses.replace(
            config,
            split=str(folder / "splits" / f"fold_{number}" / "train.txt"),
            val_split=str(folder / "splits" / f"fold_{number}" / "val.txt"),
            train_model_save_path=str(folder / f"fold_{number}"),
        )
        for number in range(1, len(drawn) + 1)
    }
    varied = frozenset({"split", "val_split"})
    series = Series("fold", folder, configs, varied, lambda own: test_scores(own, world), same_data=False)
    train_series(series, command, argv=argv, world=world)


def draw_folds(command: TrainCommand) -> list[FoldNames]:
    """The names of every fold; clips of one polyp stay together where no groups are given."""
    config, options = command.config, command.folds
    layout = read_layout(config)
    names = names_in(Path(config.train_data_path), layout)
    if config.split:
        chosen = set(read_split(config.split))
        names = [name for name in names if name in chosen]
    group_of = group_reading(options.groups, options.group_pattern)
    if has_clips(config.train_data_path) and not (options.groups or options.group_pattern):
        group_of = polyp_of
    return fold_names(names, options.folds, seed=config.seed, group_of=group_of)


def test_scores(config: TrainConfig, world: World) -> Row:
    """What the best checkpoint of a fold scores on the tested part, and how many images that has."""
    folder, names = Path(config.train_model_save_path), Path(config.split).with_name("test.txt")
    epoch = read_best_epoch(config, world)["epoch"]  # told by the first process, which has written best.pth by then
    device = choose_device(config.device, config.gpu_id + world.local_rank)
    task = task_of(dataclasses.replace(config, val_split=str(names)))
    tested = task.validation(task.find_parts()["validation"], device=device, world=world)
    model = load_model(folder / "best.pth").to(device)
    scores = tested.scores(model, autocast(device, config.amp))
    return {"images": len(tested), "epoch": epoch, **{name: scores[name] for name in SCORES}}


def train_series(series: Series, command: TrainCommand, *, argv: Sequence[str], world: World) -> None:
    """Train what is not finished; write and print what all runs reached."""
    refuse_to_resume(series.kind, command)
    refuse_other_options(series, command)
    finished: dict[int, Row] = world.all_gather(read_finished(series) if world.is_first else {})[0]
    for number, config in series.configs.items():
        if number in finished:
            continue
        print(f"{series.kind} {number}, of {' '.join(map(str, series.configs))}")
        others = [series.run_folder(other) for other in finished] if series.same_data else []
        train_one(config, command, argv=argv, reference_run=next(iter(others), None), world=world, kind=series.kind)
        finished[number] = series.read(config)
        if world.is_first:
            write_summary(series, finished)
    print(table(series.kind, finished))


def train_one(
    config: TrainConfig,
    command: TrainCommand,
    *,
    argv: Sequence[str],
    reference_run: Path | None,
    world: World,
    kind: str,
) -> None:
    """Start one run, or go on with it."""
    found = furthest_checkpoint(config.train_model_save_path)
    path, resume = found or (command.start.load_checkpoint_path, None)
    start = dataclasses.replace(command.start, seeds=None, load_checkpoint_path=str(path) if path else None)
    try:
        train(config, start, argv=argv, world=world, resume=resume, reference_run=reference_run)
    except Stopped as stop:
        raise Stopped(f"{stop}, or with all {kind}s by the same command", stop.status) from None


def refuse_to_resume(kind: str, command: TrainCommand) -> None:
    """Refuse a checkpoint of a single run, and to replace runs: those that are in the folder are gone on with.

    Raises:
        InputError: the flags name one, or ask for it.
    """
    if command.start.overwrite:
        folder = command.config.train_model_save_path
        raise InputError(
            f"--{kind}s and --overwrite were given; --{kind}s goes on with the runs in {folder}: drop --overwrite, or "
            "choose another --train_model_save_path"
        )
    if command.resume:
        raise InputError(
            f"--{kind}s starts new runs, but {command.start.load_checkpoint_path} is a run to go on with; drop one"
        )


def refuse_other_options(series: Series, command: TrainCommand) -> None:
    """Refuse to add runs to those of another training.

    Raises:
        InputError: a run in the folder was trained with other options, as far as they have an effect on numbers.
    """
    own = next(iter(series.configs.values()))
    names = {field.name for field in dataclasses.fields(TrainConfig)} - neutral_options() - series.varied
    init_weights = command.start.init_weights or command.start.load_checkpoint_path
    for place in sorted(series.folder.glob(f"{series.kind}_*/config.json")):
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


def read_finished(series: Series) -> dict[int, Row]:
    """Read what the finished runs of an earlier start reached; one whose folder was removed is not finished."""
    path = series.folder / f"{series.kind}s.json"
    if not path.is_file():
        return {}
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))[f"{series.kind}s"]
        return {int(number): dict(row) for number, row in rows.items() if series.run_folder(int(number)).is_dir()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(f"{path} is damaged; remove it, and the same command writes it again from the runs") from error


def read_best_epoch(config: TrainConfig, world: World) -> Row:
    """What a run's best epoch reached, read by the first process for all of them."""
    own = best_epoch(Path(config.train_model_save_path), by=config.best_by) if world.is_first else {}
    return world.all_gather(own)[0]


def best_epoch(folder: Path, *, by: str) -> Row:
    """Number and scores of a run's best epoch, the one of best.pth: the first with the highest `by` (--best_by)."""
    with (folder / "log.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    best = max(rows, key=lambda row: float(row[by]))
    return {"epoch": int(best["epoch"]), **{name: float(best[name]) for name in SCORES}}


def summarise(finished: Mapping[int, Row]) -> dict[str, dict[str, float]]:
    """Mean and standard deviation (of a sample, n - 1; NaN for a single run) of every score over the runs."""
    columns = {name: [row[name] for row in finished.values()] for name in SCORES}
    return {
        "mean": {name: statistics.fmean(values) for name, values in columns.items()},
        "standard deviation": {
            name: statistics.stdev(values) if len(values) > 1 else math.nan for name, values in columns.items()
        },
    }


def write_summary(series: Series, finished: Mapping[int, Row]) -> None:
    """Write seeds.json (folds.json), in full precision, and seeds.md."""
    rows = {str(number): dict(row) for number, row in sorted(finished.items())}
    write_json({f"{series.kind}s": rows, **summarise(finished)}, series.folder / f"{series.kind}s.json")
    write_text(table(series.kind, finished) + "\n", series.folder / f"{series.kind}s.md")


def table(kind: str, finished: Mapping[int, Row]) -> str:
    """The runs' scores with mean and standard deviation, as Markdown; of folds with the numbers of tested images."""
    counts = ["images"] if any("images" in row for row in finished.values()) else []
    rows = [
        [f"{number}", *(f"{row[name]}" for name in counts), f"{row['epoch']}", *cells(row)]
        for number, row in sorted(finished.items())
    ]
    rows += [[name, *("" for _ in counts), "", *cells(row)] for name, row in summarise(finished).items()]
    return markdown_table([kind, *counts, "best epoch", *SCORES], rows)


def cells(row: Row) -> list[str]:
    return [f"{row[name]:.4f}" if math.isfinite(row[name]) else "–" for name in SCORES]
