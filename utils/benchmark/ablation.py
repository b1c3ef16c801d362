"""Train and score every recipe of an ablation, on one hospital's images and on the other's, and tell the gains."""

from __future__ import annotations

import itertools
import json
import shlex
import statistics
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import torch
from scipy import stats
from tqdm import tqdm

from measure.io import (
    InputError,
    counted,
    first_names,
    make_folder,
    markdown_table,
    natural_key,
    split_words,
    write_json,
)

from ..commands import parse_train_args
from ..data import Pair, find_pairs, read_split
from ..prediction import Predictor
from ..runtime import SINGLE_PROCESS, choose_device, kernels
from ..training import train
from .options import AblationBenchmark
from .report import write_report

__all__ = ["Run", "gains", "read_steps", "start"]

ASKED = "asked.json"  # in a run's folder: its flags and the names of its images
CHUNK = 16  # images that are read and predicted at once


def start(options: AblationBenchmark) -> None:
    """Train and score what is missing, then write and print the table.

    Raises:
        InputError, ModelError: an option, a file or a recipe that cannot be used.
    """
    device = choose_device(options.device, options.gpu_id)
    if len(set(options.seeds)) < len(options.seeds):
        raise InputError(f"--seeds {' '.join(map(str, options.seeds))} was given; name each seed once")
    steps = read_steps(options.steps)
    runs = list(plan_runs(steps, options))
    for run in runs:
        parse_train_args(run.words)  # a wrong flag is told before hours of work
        refuse_other_results(run)
    if Path(options.parts[0]).stem == Path(options.parts[1]).stem:
        raise InputError(
            f"--parts {' '.join(options.parts)} have one name, and runs are named after them; rename one of the files"
        )
    first, second = (set(read_split(part)) for part in options.parts)
    if shared := sorted(first & second, key=natural_key):
        raise InputError(
            f"--parts {' '.join(options.parts)} share {counted(len(shared), 'image')}, first {first_names(shared)}; "
            "one part is trained on and the other scored, so give two without a common image"
        )
    make_folder(options.out)
    missing = [run for run in runs if not run.result.is_file()]
    with ProcessPoolExecutor(options.processes, mp_context=get_context("spawn")) as pool:
        jobs = [pool.submit(train_and_score, run, options.train_data_path, str(device)) for run in missing]
        for _ in tqdm(as_completed(jobs), total=len(jobs), desc="runs", unit="run", disable=None):
            write_table(steps, runs, options, device)
    write_table(steps, runs, options, device, shown=True)
    for job in jobs:
        job.result()  # one that failed is told at the end: the others are done, and in the table


@dataclass(frozen=True)
class Run:
    """One training and its score.

    Attributes:
        step: name of the recipe.
        words: flags of myTrain.py.
        seed: of the training.
        training: split file of the images that are trained on.
        test: split file of those that are scored.
        folder: of the run.
    """

    step: str
    words: tuple[str, ...]
    seed: int
    training: str
    test: str
    folder: Path

    @property
    def result(self) -> Path:
        """Where the score of every image is kept."""
        return self.folder / "dice.json"


def read_steps(path: str | Path) -> dict[str, list[str]]:
    """The flags of every recipe by name, those of the first line before the others' own.

    Raises:
        InputError: the file cannot be read, or a line is not `name: flags`.
    """
    try:
        lines = [line.strip() for line in Path(path).read_text().splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read {path} ({error}); expected a text file with NAME: FLAGS a line") from error
    steps: dict[str, list[str]] = {}
    for line in (line for line in lines if line and not line.startswith("#")):
        name, colon, flags = line.partition(":")
        alike = [known for known in steps if known.replace(" ", "_") == name.replace(" ", "_")]  # as folders are called
        if not colon or not name or set(name) & set("/\\\0") or name.startswith(".") or alike:
            raise InputError(
                f"{path} has the line {line!r}; expected NAME: FLAGS, every name once and one for a folder"
            )
        steps[name] = [*next(iter(steps.values()), []), *split_words(flags, where=f"the line {line!r} of {path}")]
    if not steps:
        raise InputError(f"{path} names no recipe; expected NAME: FLAGS a line")
    return steps


def plan_runs(steps: Mapping[str, Sequence[str]], options: AblationBenchmark) -> Iterator[Run]:
    """All runs, seed after seed, so that what is finished first already compares every recipe."""
    directions = (options.parts, options.parts[::-1])
    for seed, (name, flags), (training, test) in itertools.product(options.seeds, steps.items(), directions):
        folder = Path(options.out) / "runs" / f"{name}-{Path(training).stem}-{seed}".replace(" ", "_")
        fixed = ["--train_data_path", options.train_data_path, "--split", training, "--seed", str(seed)]
        fixed += ["--held_out_seed", "0", "--train_model_save_path", str(folder), "--device", options.device]
        fixed += ["--resume", "auto", "--gpu_id", str(options.gpu_id)]
        yield Run(name, (*flags, *fixed), seed, training, test, folder)


def asked_of(run: Run) -> dict[str, list[str]]:
    """What decides a run's result, as it is kept beside it."""
    own = run.words[: run.words.index("--train_data_path")]
    return {"flags": list(own), "training": sorted(read_split(run.training)), "test": sorted(read_split(run.test))}


def refuse_other_results(run: Run) -> None:
    """Refuse to take what was trained by other flags, or on other images, for this run's.

    Raises:
        InputError: the folder of the run holds another one.
    """
    place = run.folder / ASKED
    if place.is_file() and json.loads(place.read_text()) != asked_of(run):
        raise InputError(
            f"{run.folder} holds a run of other flags or images than {run.step} has now; give the recipe another name, "
            "remove the folder, or choose another --out"
        )


def train_and_score(run: Run, data: str, device: str) -> None:
    """Train a run to its end, what it prints going to a file, and keep the Dice of every image of the other part."""
    torch.set_num_threads(1)
    make_folder(run.folder)
    write_json(asked_of(run), run.folder / ASKED)
    with (run.folder / "log.txt").open("a") as log, redirect_stdout(log), redirect_stderr(log):
        command = parse_train_args(run.words)
        with kernels(tf32=command.config.tf32, cudnn_benchmark=command.config.cudnn_benchmark):
            train(command.config, command.start, argv=run.words, world=SINGLE_PROCESS, resume=command.resume)
        names = set(read_split(run.test))
        pairs = [pair for pair in find_pairs(data) if pair.stem in names]
        predictor = Predictor.from_checkpoint(run.folder / "last.pth", device=device)
        write_json(dict(dice_of_images(predictor, pairs)), run.result)
    for name in ("best.pth", "last.pth"):
        (run.folder / name).unlink()


def dice_of_images(predictor: Predictor, pairs: Sequence[Pair]) -> Iterator[tuple[str, float]]:
    """Every image's stem, and the Dice of its probability from 0.5 on; 1 where there is no polyp and none is found."""
    for start in range(0, len(pairs), CHUNK):
        chunk = pairs[start : start + CHUNK]
        probabilities = predictor.probability([pair.read_image() for pair in chunk])
        for pair, probability in zip(chunk, probabilities, strict=True):
            found, truth = probability >= 0.5, pair.read_mask() > 128
            total = int(found.sum()) + int(truth.sum())
            yield pair.stem, 2 * int((found & truth).sum()) / total if total else 1.0


def mean_dice(runs: Sequence[Run]) -> dict[tuple[str, str, int], float]:
    """The mean over images of every finished run, by recipe, training part and seed."""
    done = [run for run in runs if run.result.is_file()]
    scores = {run: json.loads(run.result.read_text()) for run in done}
    return {(run.step, run.training, run.seed): statistics.fmean(found.values()) for run, found in scores.items()}


def gains(scores: Mapping[tuple[str, str, int], float], step: str, reference: str) -> tuple[float, float, int]:
    """Of a step over the reference: the mean gain, the half width of its 95 % interval, and how many pairs of runs.

    The half width is NaN for fewer than two pairs.
    """
    pairs = [
        (value, scores[(reference, *key[1:])])
        for key, value in scores.items()
        if key[0] == step and (reference, *key[1:]) in scores
    ]
    differences = [value - other for value, other in pairs]
    if len(differences) < 2:
        return (statistics.fmean(differences) if differences else float("nan")), float("nan"), len(differences)
    error = statistics.stdev(differences) / len(differences) ** 0.5
    return statistics.fmean(differences), float(stats.t.ppf(0.975, len(differences) - 1)) * error, len(differences)


def write_table(
    steps: Mapping[str, Sequence[str]],
    runs: Sequence[Run],
    options: AblationBenchmark,
    device: torch.device,
    *,
    shown: bool = False,
) -> None:
    """Write ablation.json and ablation.md of what is finished; at the end the table is shown as well."""
    scores = mean_dice(runs)
    first = next(iter(steps))
    own = {name: list(flags) if name == first else list(flags[len(steps[first]) :]) for name, flags in steps.items()}
    rows = [
        (
            name,
            *(cell([v for (s, p, _), v in scores.items() if (s, p) == (name, part)]) for part in options.parts),
            gain_cell(gains(scores, name, first)) if name != first else "",
        )
        for name in steps
    ]
    stems = [Path(part).stem for part in options.parts]
    titles = ("recipe", f"{stems[0]} to {stems[1]}", f"{stems[1]} to {stems[0]}", "gain, 95 % interval (pairs)")
    flags = "\n".join(f"- {name}: `{shlex.join(words)}`" for name, words in own.items())
    text = (
        f"Mean Dice at 0.5 on the other hospital's images, mean and deviation over seeds "
        f"{shlex.join(map(str, options.seeds))}; the gain is over the first recipe, paired run by run.\n\n"
        f"{markdown_table(titles, rows)}\n\n{flags}\n"
    )
    results = [{"step": s, "training": p, "seed": n, "dice": v} for (s, p, n), v in scores.items()]
    content = {"options": options.flags(), "steps": own, "runs": results}
    write_report(Path(options.out), "ablation", text=text, device=device, shown=shown, **content)


def cell(values: Sequence[float]) -> str:
    if not values:
        return ""
    return f"{statistics.fmean(values):.3f}" + (f" ± {statistics.stdev(values):.3f}" if len(values) > 1 else "")


def gain_cell(found: tuple[float, float, int]) -> str:
    gain, half, pairs = found
    return f"{gain:+.3f} ± {half:.3f} ({pairs})" if pairs else ""
