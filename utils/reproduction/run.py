"""From a published row to a result of ours: train, predict, score, by the commands that anybody would type.

<out>/<study>/seed_<N>/                 the run; <out>/<study>/splits/ and test/ where a paper splits one set
<out>/<study>/maps_<N>/<set>/           its maps
<out>/<study>/scores_<N>/<set>/         scores.json and the reports
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lib import described_network, read_checkpoint
from measure.io import CommandError, InputError, Layout, parse_mask_values, write_json

from ..data import find_cases, find_pairs, part_sizes, read_split, refuse_other_names, split_names, write_names
from ..preparation import place
from .rows import PublishedRow
from .studies import STUDIES, Study

__all__ = ["RESULT", "RunOptions", "missing_for", "reproduce_row"]

ROOT = Path(__file__).parents[2]
RESULT = "result.json"
SPLIT_SEED = 0  # one split for all seeds of training


@dataclass(frozen=True)
class RunOptions:
    """How a row is run.

    Attributes:
        data: folder of the data sets.
        out: where runs, maps and scores go.
        seeds: of the trainings; of given weights the first one names the folders.
        weights: a checkpoint or published file to test in place of training.
        flags: of myTrain.py beside the study's, where the machine does not allow the recipe; the result says so.
        partial: take data sets that are not complete.
        device: as --device of the commands.
    """

    data: Path
    out: Path
    seeds: tuple[int, ...] = (0,)
    weights: Path | None = None
    flags: tuple[str, ...] = ()
    partial: bool = False
    device: str = "auto"


def missing_for(row: PublishedRow, data: Path, *, trains: bool = True) -> list[str]:
    """What a row needs that is not below `data`, in sentences with the way out; nothing where all is there.

    Args:
        trains: False where weights are given: then the training set is not needed, unless its parts are tested.
    """
    study = STUDIES[row.study]
    needed: list[tuple[str, int, str]] = []
    if trains or study.parts:
        needed.append((study.train, sum(study.parts.values()) or study.train_images, study.prepare[0]))
    if study.tests:
        needed.append((f"{study.tests}/{row.name}", study.images[row.name], study.prepare[-1]))
    told = []
    for folder, count, name in needed:
        found = count_of(data / folder, study)
        if found is None:
            told.append(f"{data / folder} is not there (python -m utils prepare {name})")
        elif found != count:
            told.append(f"{data / folder} has {found} images, the row is of {count}")
    return told


def count_of(folder: Path, study: Study) -> int | None:
    """How many pairs, or frames, a folder has; None where it is missing or holds none."""
    try:
        if study.protocol == "vps":
            return sum(len(case.frames) for case in find_cases(folder))
        return len(find_pairs(folder))
    except InputError:
        return None


def reproduce_row(row: PublishedRow, options: RunOptions) -> None:
    """Train for every seed that is not trained, write maps of the row's images, score them, and keep the result.

    Raises:
        InputError: data that are missing.
        CommandError: one of the commands failed; its own message says why.
    """
    study, home = STUDIES[row.study], options.out / row.study
    missing = missing_for(row, options.data, trains=options.weights is None)
    absent = [sentence for sentence in missing if "is not there" in sentence]
    if absent or (missing and not options.partial):
        advice = "" if absent else "; --partial goes on, and the result says so"
        raise InputError(f"{row.id} cannot be run: {'; '.join(missing)}{advice}")
    if study.parts:
        draw_parts(study, options.data / study.train, home)
    masks = ["--mask_values", *study.mask_values] if study.mask_values else []
    calibrated = ["--no-minmax"] if row.is_cut else []
    test = home / "test" / row.name if study.parts else options.data / study.tests / row.name
    results = []
    for seed in options.seeds:
        weights = options.weights or train(study, home, seed, options, masks)
        maps, scores = home / f"maps_{seed}", home / f"scores_{seed}" / row.name
        network = study.flags if options.weights and not names_its_network(options.weights) else ()
        run_command(
            *("myTest.py", "--model_state_dict_path", str(weights), "--test_data_path", str(test), *masks, *network),
            *("--pred_save_path", str(maps / row.name), *calibrated, "--device", options.device),
        )
        # a split by itself is predicted into a folder of its own, and scored in it
        found = maps / row.name / test.resolve().name if study.protocol == "vps" else maps / row.name
        run_command(
            *("-m", "measure", "--protocol", study.protocol, "--GT_root", str(test), *masks, *calibrated),
            *("--pred_root", str(found), "--out", str(scores)),
            *("--model", f"{row.study}@{seed}", "--no-plots"),
        )
        results.append(str(scores / "scores.json"))
    write_json(
        {
            "row": row.id,
            "scores": results,
            "seeds": list(options.seeds),
            "weights": str(options.weights) if options.weights else None,
            "other_flags": list(options.flags),
            "incomplete": missing,
        },
        home / f"scores_{options.seeds[0]}" / row.name / RESULT,
    )


def train(study: Study, home: Path, seed: int, options: RunOptions, masks: Sequence[str]) -> Path:
    """Train one seed, or go on with it; returns its best checkpoint."""
    folder = home / f"seed_{seed}"
    words = ["myTrain.py", *study.flags, "--train_data_path", str(options.data / study.train), *masks]
    if study.parts:
        words += ["--split", str(home / "splits" / "train.txt"), "--val_split", str(home / "splits" / "val.txt")]
    words += ["--train_model_save_path", str(folder), "--seed", str(seed), "--device", options.device]
    run_command(*words, "--resume", "auto", *options.flags)
    return folder / "best.pth"


def names_its_network(weights: Path) -> bool:
    """Whether a file is a checkpoint of ours, which says what it is of.

    Raises:
        ModelError: it cannot be read.
    """
    return described_network(read_checkpoint(weights), str(weights)) is not None


def draw_parts(study: Study, folder: Path, home: Path) -> None:
    """Write split files, and the tested part as a set of links; of an incomplete set the parts shrink alike.

    Raises:
        InputError: the folder holds parts of other images, whose links would be tested too.
    """
    layout = Layout(mask_values=parse_mask_values(study.mask_values) if study.mask_values else None)
    pairs = {pair.stem: pair for pair in find_pairs(folder, layout)}
    total = sum(study.parts.values())
    sizes = study.parts
    if len(pairs) != total:
        sizes = part_sizes([f"{part}={100 * count / total:.6f}%" for part, count in study.parts.items()], len(pairs))
    drawn = split_names(list(pairs), sizes, seed=SPLIT_SEED)
    files = {home / "splits" / f"{part}.txt": names for part, names in drawn.items()}
    refuse_other_names(files, advice=f"choose another --out, or remove {home}")
    write_names(files)
    for stem in read_split(home / "splits" / "test.txt"):
        for kind, source in (("images", pairs[stem].image), ("masks", pairs[stem].mask)):
            target = home / "test" / folder.name / kind / source.name
            target.parent.mkdir(parents=True, exist_ok=True)
            place(source, target, copy=False)


def run_command(*words: str) -> None:
    """Run a command of this project as typed after `python`, its own output going to the terminal.

    Raises:
        CommandError: it ended with another status than 0.
    """
    print(f"$ python {shlex.join(words)}", flush=True)
    script = [str(ROOT / words[0]), *words[1:]] if words[0].endswith(".py") else list(words)
    paths = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    status = subprocess.run([sys.executable, *script], env={**os.environ, "PYTHONPATH": paths}).returncode
    if status:
        name = " ".join(words[: 1 + (words[0] == "-m")])
        raise StepFailed(f"python {name} ended with status {status}; the same command goes on from there", status)


class StepFailed(CommandError):
    """A command that a row needs ended with another status than 0, which becomes this one's."""

    def __init__(self, message: str, status: int):
        super().__init__(message)
        self.status = status if status > 0 else 1
