"""What a training run leaves to look at: log.csv, TensorBoard events, config.json."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import hparams

from measure.io import InputError, drop_partials, make_folder, replace_when_whole

from ...runtime import shown
from ..config import neutral_options
from .run_folder import LOG
from .trackers import open_tracker, tell_tracker

__all__ = ["RunLog"]

SCORES = ("val/Dice", "val/IoU", "val/MAE")  # by which TensorBoard compares runs


class RunLog:
    """The logs in a run folder; rows of epochs after `last_epoch` (of a run that is taken up again) are dropped.

    Args:
        config: the record of the run, plain data, written to config.json; its `flags` are TensorBoard's
            hyperparameters, and name the trackers beside it.

    Raises:
        InputError: the folder cannot be made or written to, a tracker's package is not installed, or log.csv is no
            longer what a run wrote.
    """

    def __init__(self, folder: str | Path, *, config: Mapping[str, Any], last_epoch: int = 0):
        self.folder = make_folder(folder)
        drop_partials(self.folder)
        given = plain_options(config.get("flags", {}))
        names = config.get("flags", {}).get("logger") or ()
        self.trackers = [open_tracker(name, self.folder, given, resumed=last_epoch > 0) for name in names]
        self.rows = self._read_rows(last_epoch)
        with replace_when_whole(self.folder / "config.json") as partial:
            partial.write_text(json.dumps(config, indent=1) + "\n")
        # last: where nothing can be written, its threads tell so by tracebacks
        self.board = SummaryWriter(str(self.folder), purge_step=last_epoch + 1 if last_epoch else None)
        for summary in hparams(given, dict.fromkeys(SCORES, 0.0)):  # so that TensorBoard's HPARAMS compares runs
            self.board.file_writer.add_summary(summary)

    def _read_rows(self, last_epoch: int) -> list[dict[str, str]]:
        path = self.folder / LOG
        if not last_epoch or not path.is_file():
            return []
        try:
            with path.open(newline="") as file:
                return [row for row in csv.DictReader(file) if int(row["epoch"]) <= last_epoch]
        except (KeyError, ValueError) as error:  # a spreadsheet has other separators, or another encoding
            raise InputError(
                f"{path} is no table of epochs as a run writes it, separated by commas; put it back, or take it away "
                "to begin a new one"
            ) from error

    def epoch(
        self, number: int, *, lr: float, losses: Mapping[str, float], scores: Mapping[str, float], seconds: float
    ) -> None:
        """Add an epoch's numbers to log.csv and, in groups, to TensorBoard.

        Args:
            number: of the epoch.
            lr: learning rate of its last update.
            losses: training losses: `loss`, the weighted sum, and every output's own.
            scores: of the validation.
            seconds: that training took, without validation.
        """
        row = {"epoch": number, "lr": lr, **losses, **scores, "seconds": round(seconds, 2)}
        self.rows.append({name: str(value) for name, value in row.items()})
        with replace_when_whole(self.folder / LOG) as partial, partial.open("w", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(row), extrasaction="ignore")
            writer.writeheader()
            writer.writerows(self.rows)
        named = {f"loss/{'total' if name == 'loss' else name}": value for name, value in losses.items()}
        named |= {f"val/{name.removeprefix('val_')}": value for name, value in scores.items()}
        named |= {"train/lr": lr, "train/seconds": seconds}
        for name, value in named.items():
            self.board.add_scalar(name, value, number)
        self.board.flush()
        for tracker in self.trackers:
            tell_tracker(tracker, number, named)

    def picture(self, picture: np.ndarray, *, epoch: int) -> None:
        """Show an (H, W, 3) uint8 RGB picture in TensorBoard."""
        self.board.add_image("val/samples", picture, epoch, dataformats="HWC")

    def close(self) -> None:
        self.board.close()
        for tracker in self.trackers:
            tracker.close()


def plain_options(flags: Mapping[str, Any]) -> dict[str, Any]:
    """The options that move numbers, as texts and numbers."""
    given = {name: value for name, value in flags.items() if value is not None and name not in neutral_options()}
    return {name: shown(value) if isinstance(value, (list, tuple)) else value for name, value in given.items()}
