"""Experiment trackers beside TensorBoard, for those who have them: --logger wandb, --logger mlflow.

Both get the options at the start and every epoch's numbers, by TensorBoard's names; where they keep them is theirs to
say (WANDB_MODE=offline, MLFLOW_TRACKING_URI). A run that is gone on with goes on in the tracker too: its id is kept in
the run folder.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from measure.io import InputError, write_text

__all__ = ["TRACKERS", "check_trackers", "open_tracker", "tell_tracker"]

TRACKERS = ("wandb", "mlflow")


class WandB:
    """A run of Weights & Biases."""

    def __init__(self, package: Any, folder: Path, options: Mapping[str, Any], run_id: str | None):
        self.run = package.init(dir=str(folder), name=folder.name, config=dict(options), id=run_id, resume="allow")
        self.id = self.run.id

    def epoch(self, number: int, values: Mapping[str, float]) -> None:
        self.run.log(dict(values), step=number)

    def close(self) -> None:
        self.run.finish()


class MLflow:
    """A run of MLflow."""

    def __init__(self, package: Any, folder: Path, options: Mapping[str, Any], run_id: str | None):
        self.package = package
        self.id = package.start_run(run_id=run_id, run_name=folder.name).info.run_id
        if run_id is None:  # the options of a run cannot be written twice
            package.log_params(dict(options))

    def epoch(self, number: int, values: Mapping[str, float]) -> None:
        self.package.log_metrics({name.replace("@", "_at_"): value for name, value in values.items()}, step=number)

    def close(self) -> None:
        self.package.end_run()


def check_trackers(names: Sequence[str]) -> None:
    """Refuse trackers whose packages are not installed.

    Raises:
        InputError: the first of them, or one that is named twice.
    """
    if len(set(names)) < len(names):
        raise InputError(f"--logger {' '.join(names)} was given; name each tracker once")
    for name in names:
        if sys.modules.get(name) is None and find_spec(name) is None:
            raise InputError(f"--logger {name} was given, and there is no package {name} here: pip install {name}")


def open_tracker(name: str, folder: Path, options: Mapping[str, Any], *, resumed: bool) -> WandB | MLflow:
    """Start a run of a tracker, or go on with the one whose id is in the folder.

    Args:
        name: one of `TRACKERS`.
        folder: of the training run; its name is the run's.
        options: the options that move numbers, plain values.
        resumed: whether the training run is gone on with.

    Raises:
        InputError: the package, which `check_trackers` has found, refuses: nobody is logged in, a server cannot be
            reached.
    """
    place = folder / f"{name}_id.txt"
    run_id = place.read_text(encoding="utf-8").strip() if resumed and place.is_file() else None
    try:
        tracker = (WandB if name == "wandb" else MLflow)(import_module(name), folder, options, run_id)
    except Exception as error:  # each has dozens of kinds
        raise InputError(
            f"--logger {name} cannot start a run: {sentence(error)}; set it up, or leave it out"
        ) from error
    write_text(f"{tracker.id}\n", place)
    return tracker


def tell_tracker(tracker: WandB | MLflow, number: int, values: Mapping[str, float]) -> None:
    """Give a tracker an epoch's numbers; where it fails, a line says so and the training goes on."""
    try:
        tracker.epoch(number, values)
    except Exception as error:
        print(f"note: {type(tracker).__name__} did not take epoch {number}: {sentence(error)}", file=sys.stderr)


def sentence(error: Exception) -> str:
    """The first line of what an exception says."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
