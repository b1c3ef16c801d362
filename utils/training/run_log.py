"""What a training run leaves to look at: log.csv, TensorBoard events, config.json."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from torch.utils.tensorboard import SummaryWriter

from measure.io import drop_partials, make_folder, replace_when_whole

__all__ = ["RunLog"]


class RunLog:
    """The logs in a run folder; rows of epochs after `last_epoch` (of a run that is taken up again) are dropped.

    Args:
        config: plain data, written to config.json.

    Raises:
        InputError: the folder cannot be made or written to.
    """

    def __init__(self, folder: str | Path, *, config: Mapping[str, Any], last_epoch: int = 0):
        self.folder = make_folder(folder)
        drop_partials(self.folder)
        self.rows = [row for row in self._read_rows() if int(row["epoch"]) <= last_epoch]
        with replace_when_whole(self.folder / "config.json") as partial:
            partial.write_text(json.dumps(config, indent=1) + "\n")
        # last: where nothing can be written, its threads tell so by tracebacks
        self.board = SummaryWriter(str(self.folder), purge_step=last_epoch + 1 if last_epoch else None)

    def _read_rows(self) -> list[dict[str, str]]:
        path = self.folder / "log.csv"
        if not path.is_file():
            return []
        with path.open(newline="") as file:
            return list(csv.DictReader(file))

    def epoch(self, row: Mapping[str, float]) -> None:
        """Add an epoch's numbers to log.csv and TensorBoard; `row["epoch"]` is its number."""
        self.rows.append({name: str(value) for name, value in row.items()})
        with replace_when_whole(self.folder / "log.csv") as partial, partial.open("w", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(row), extrasaction="ignore")
            writer.writeheader()
            writer.writerows(self.rows)
        for name, value in row.items():
            if name != "epoch":
                self.board.add_scalar(name, value, row["epoch"])
        self.board.flush()

    def picture(self, picture: np.ndarray, *, epoch: int) -> None:
        """Show an (H, W, 3) uint8 RGB picture in TensorBoard."""
        self.board.add_image("held out", picture, epoch, dataformats="HWC")

    def close(self) -> None:
        self.board.close()
