"""The published rows, read from `published_rows.csv`: one number a line, with its definition, source and doubts."""

from __future__ import annotations

import csv
import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from measure.io import InputError

from .studies import STUDIES

__all__ = ["MARKS", "PublishedRow", "pick_rows", "read_rows"]

TABLE = Path(__file__).with_name("published_rows.csv")

MARKS = {
    "": "as its authors print it",
    "copied": "repeats another row: no aim",
    "impossible": "its numbers contradict each other: no aim",
    "secondary": "printed by others",
}
"""What may be said of a number, by the table's word for it."""


@dataclass(frozen=True)
class Value:
    """One published number.

    Attributes:
        value: the number, in [0, 1].
        digits: decimals that were printed.
        mark: a key of `MARKS`.
        source: where it is printed.
        remark: what a reader must know.
    """

    value: float
    digits: int
    mark: str
    source: str
    remark: str


@dataclass(frozen=True)
class PublishedRow:
    """A row of a published table.

    Attributes:
        study: name in `STUDIES`.
        name: the test set or split.
        values: the numbers, by the key of `scores.json` whose definition theirs is.
    """

    study: str
    name: str
    values: dict[str, Value]

    @property
    def id(self) -> str:
        """What commands call it: `sepnet/Kvasir`."""
        return f"{self.study}/{self.name}"

    @property
    def is_cut(self) -> bool:
        """Whether its numbers are of maps cut at 0.5, which must not be min-max normalized then."""
        return all(metric.endswith("@0.5") for metric in self.values)

    @property
    def is_aim(self) -> bool:
        """Whether any of its numbers can be aimed at."""
        return any(value.mark not in ("copied", "impossible") for value in self.values.values())


def read_rows() -> list[PublishedRow]:
    """All rows, in the table's order."""
    rows: dict[tuple[str, str], dict[str, Value]] = {}
    with TABLE.open(newline="", encoding="utf-8") as file:
        for line in csv.DictReader(file):
            digits = len(line["value"].partition(".")[2])
            value = Value(float(line["value"]), digits, line["mark"], line["source"], line["remark"])
            rows.setdefault((line["study"], line["row"]), {})[line["metric"]] = value
    return [PublishedRow(study, name, values) for (study, name), values in rows.items()]


def pick_rows(ids: Sequence[str]) -> list[PublishedRow]:
    """The rows of these names; the name of a study stands for all its rows.

    Raises:
        InputError: there is no such row or study.
    """
    rows = read_rows()
    picked: dict[str, PublishedRow] = {}
    for name in ids:
        found = [row for row in rows if name in (row.id, row.study)]
        if not found:
            near = difflib.get_close_matches(name, [*STUDIES, *(row.id for row in rows)], n=1)
            advice = f"did you mean {near[0]}?" if near else "python -m utils reproduce list shows them"
            raise InputError(f"unknown row {name}: {advice}")
        picked |= {row.id: row for row in found}
    return list(picked.values())
