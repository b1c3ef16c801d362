"""The tables as files: `scores.csv`, `per_image.csv`, `per_case.csv` exactly, `scores.md` and `scores.tex` to read."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from pathlib import Path

from ..io import make_folder, markdown_text, write_text
from .certainty import Comparison, certainty_tables, comparison_tables, headline_dice, interval_rows, marking_rule
from .columns import families_of
from .sanity import cautions
from .tables import (
    Result,
    average_tables,
    combined_table,
    dataset_names,
    dataset_tables,
    metric_keys,
    render_latex,
    render_markdown,
    size_tables,
)

__all__ = ["average_table", "headline_table", "write_tables"]


def headline_table(results: Sequence[Result]) -> str:
    """The headline columns of every data set and method, for the terminal.

    Args:
        results: one dictionary per method, as in its `scores.json`, all of one protocol.
    """
    return render_markdown(combined_table(results))


def average_table(results: Sequence[Result]) -> str:
    """The headline columns averaged over data sets, for the terminal; "" of a single one."""
    return "\n".join(map(render_markdown, average_tables(results)))


def write_tables(results: Sequence[Result], out: str | Path, comparison: Comparison | None = None) -> list[Path]:
    """Write `scores.csv`, `per_image.csv` (and `per_case.csv` for video) in full precision, `scores.md`, `scores.tex`.

    With intervals `intervals.csv` too.

    A missing score is an empty cell in CSV and a dash elsewhere. Every file appears whole or not at all.

    Args:
        results: one dictionary per method, as in its `scores.json`, all of one protocol.
        out: a folder, created where missing.
        comparison: of the methods, as in `comparison.json`.

    Returns:
        The paths written.
    """
    out = make_folder(out)
    texts = {"scores.md": _markdown_report(results, comparison), "scores.tex": _latex_report(results)}
    written = [write_text(text, out / name) for name, text in texts.items()]
    written.append(_write_csv(out / "scores.csv", ["method", "dataset", "subset"], _score_rows(results)))
    for name, level, unit in (("per_image.csv", "per_image", "image"), ("per_case.csv", "per_case", "case")):
        if rows := _unit_rows(results, level):
            written.append(_write_csv(out / name, ["method", "dataset", unit], rows))
    if rows := interval_rows(results):
        written.append(_write_csv(out / "intervals.csv", ["method", "dataset", "metric"], rows))
    return written


def _markdown_report(results: Sequence[Result], comparison: Comparison | None) -> str:
    warnings = cautions(results)
    headline = headline_dice(results)
    summary = [*([headline] if headline else []), combined_table(results), *average_tables(results)]
    chapters = [("Summary", summary)]
    chapters += [(name, dataset_tables(results, name)) for name in dataset_names(results)]
    chapters += [("By polyp size", size_tables(results))]
    chapters += [("Certainty", certainty_tables(results)), ("Comparison", comparison_tables(comparison))]
    parts = ["# Scores", marking_rule(results)]
    for title, tables in chapters:
        if tables:
            parts.append(f"## {markdown_text(title)}")
        for table in tables:
            parts += [f"### {markdown_text(table.caption)}", render_markdown(table)]
        if title == "Summary" and warnings:
            parts += ["## Cautions", "\n".join(f"- {markdown_text(text)}" for text in warnings)]
    return "\n\n".join([*parts, "## Definitions", *_definition_lists(results)]) + "\n"


def _definition_lists(results: Sequence[Result]) -> list[str]:
    """A list per family: the column and what it is."""
    return [
        f"### {family}\n\n"
        + "\n".join(f"- `{known.key}` {known.arrow or '(neither end is better)'} {known.text}" for known in members)
        for family, members in families_of(metric_keys(results)).items()
    ]


def _latex_report(results: Sequence[Result]) -> str:
    tables = [combined_table(results), *average_tables(results)]
    tables += [table for name in dataset_names(results) for table in dataset_tables(results, name)]
    tables += size_tables(results)
    preamble = f"% Needs \\usepackage{{booktabs}} and \\usepackage{{graphicx}}.\n% {marking_rule(results)}\n\n"
    return preamble + "\n\n".join(map(render_latex, tables)) + "\n"


FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")

Rows = list[tuple[list[str], dict]]
"""Names that lead a line, and the scores that follow."""


def _score_rows(results: Sequence[Result]) -> Rows:
    """Whole data sets first ("all"), then their polyp sizes."""
    rows = []
    for result in results:
        for name, scores in result["datasets"].items():
            images = result.get("counts", {}).get(name, {}).get("images")
            rows.append(([result["method"], name, "all"], {"images": images, **scores}))
            strata = result.get("by_size", {}).get(name, {})
            rows += [([result["method"], name, size], inner) for size, inner in strata.items()]
    return rows


def _unit_rows(results: Sequence[Result], level: str) -> Rows:
    return [
        ([result["method"], name, unit], scores)
        for result in results
        for name, units in result.get(level, {}).items()
        for unit, scores in units.items()
    ]


def _write_csv(path: Path, names: list[str], rows: Rows) -> Path:
    """A line per row under the union of the rows' keys; numbers as Python's `repr`, which reads back exactly."""
    keys = list(dict.fromkeys(key for _, scores in rows for key in scores))
    lines = io.StringIO(newline="")
    writer = csv.writer(lines, lineterminator="\n")
    writer.writerow([*names, *keys])
    for labels, scores in rows:
        writer.writerow([*map(_as_text, labels), *(_exact(scores.get(key)) for key in keys)])
    return write_text(lines.getvalue(), path)


def _as_text(name: str) -> str:
    """A name that spreadsheets do not take for a formula: they run cells that begin so."""
    return f"'{name}" if name.startswith(FORMULA_STARTS) else name


def _exact(value: float | None) -> str:
    """Every digit of a number, nothing for a missing one."""
    if value is None or math.isnan(value):
        return ""
    return str(value) if isinstance(value, int) else repr(float(value))
