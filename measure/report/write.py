"""Everything a scoring run leaves behind besides `scores.json`: tables, figures, contact sheets and one page.

matplotlib is imported only where figures are drawn; tables and the page are written without it.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from pathlib import Path

from ..io import InputError, make_folder, parse_classes, replace_when_whole
from .columns import families_of
from .html_page import Picture, report_page
from .sanity import cautions
from .tables import (
    Result,
    combined_table,
    dataset_names,
    dataset_tables,
    latex,
    markdown,
    markdown_text,
    metric_keys,
    size_tables,
)

__all__ = ["markdown_table", "write_reports", "write_tables"]


def markdown_table(results: Sequence[Result]) -> str:
    """The headline columns of every data set and method, for the terminal.

    Args:
        results: one dictionary per method, as in its `scores.json`, all of one protocol.
    """
    return markdown(combined_table(results))


def write_tables(results: Sequence[Result], out: str | Path) -> list[Path]:
    """Write `scores.csv`, `per_image.csv` (and `per_case.csv` for video) in full precision, `scores.md`, `scores.tex`.

    A missing score is an empty cell in CSV and a dash elsewhere. Every file appears whole or not at all.

    Args:
        results: one dictionary per method, as in its `scores.json`, all of one protocol.
        out: a folder, created where missing.

    Returns:
        The paths written.
    """
    out = make_folder(out)
    texts = {"scores.md": _markdown_report(results), "scores.tex": _latex_report(results)}
    written = [_write_text(out / name, text) for name, text in texts.items()]
    written.append(_write_csv(out / "scores.csv", ["method", "dataset", "subset"], _score_rows(results)))
    for name, level, unit in (("per_image.csv", "per_image", "image"), ("per_case.csv", "per_case", "case")):
        if rows := _unit_rows(results, level):
            written.append(_write_csv(out / name, ["method", "dataset", unit], rows))
    return written


def write_reports(
    results: Sequence[Result],
    out: str | Path,
    *,
    gt_root: str | Path,
    pred_roots: Sequence[str | Path],
    image_root: str | Path | None = None,
    plots: bool = True,
) -> list[Path]:
    """Write the figures (PNG and PDF), a contact sheet per method, and `report.html` with all of it.

    Args:
        results: one dictionary per method, as in its `scores.json`, all of one protocol.
        out: a folder, created where missing.
        gt_root: the ground truth the maps were scored against; its images, where it has some, are shown too.
        pred_roots: the maps of each method, in the order of `results`.
        image_root: where the images are, if not beside the masks: `<image_root>/<dataset>/images/`,
            `<image_root>/<dataset>/` or for video `<image_root>/<split>/Frame/<case>/`.
        plots: False leaves out figures and contact sheets; the page then holds the tables alone.

    Raises:
        InputError: figures are asked for and matplotlib is not installed.
    """
    out = make_folder(out)
    pictures = _draw(results, out, Path(gt_root), pred_roots, image_root) if plots else []
    page = report_page(results, pictures, cautions(results))
    return [*(picture.path for picture in pictures), _write_text(out / "report.html", page)]


def _draw(
    results: Sequence[Result],
    out: Path,
    gt_root: Path,
    pred_roots: Sequence[str | Path],
    image_root: str | Path | None,
) -> list[Picture]:
    try:
        from .contact_sheet import Sources, draw_contact_sheets
        from .plots import draw_plots
    except ModuleNotFoundError as error:
        raise InputError(
            f"figures need {error.name}, which is not installed; run pip install {error.name} or leave the plots out"
        ) from error
    images = Path(image_root) if image_root else None
    written = results[0].get("options", {}).get("classes")
    classes = parse_classes(written.split()) if written else None
    sources = [Sources(results[0]["protocol"], gt_root, Path(root), images, classes) for root in pred_roots]
    return [*draw_plots(results, out), *draw_contact_sheets(results, sources, out)]


def _markdown_report(results: Sequence[Result]) -> str:
    chapters = [("Summary", [combined_table(results)])]
    chapters += [(name, dataset_tables(results, name)) for name in dataset_names(results)]
    chapters += [("By polyp size", size_tables(results))]
    parts = ["# Scores", "Best in bold, second best underlined; numbers that print alike share their mark."]
    for title, tables in chapters:
        if tables:
            parts.append(f"## {markdown_text(title)}")
        for table in tables:
            parts += [f"### {markdown_text(table.caption)}", markdown(table)]
    return "\n\n".join([*parts, "## Definitions", *_definition_lists(results)]) + "\n"


def _definition_lists(results: Sequence[Result]) -> list[str]:
    """A list per family: the column and what it is."""
    return [
        f"### {family}\n\n" + "\n".join(f"- `{known.key}` {known.arrow} {known.text}" for known in members)
        for family, members in families_of(metric_keys(results)).items()
    ]


def _latex_report(results: Sequence[Result]) -> str:
    tables = [combined_table(results)]
    tables += [table for name in dataset_names(results) for table in dataset_tables(results, name)]
    tables += size_tables(results)
    preamble = "% Needs \\usepackage{booktabs} and \\usepackage{graphicx}. Best in bold, second best underlined.\n\n"
    return preamble + "\n\n".join(map(latex, tables)) + "\n"


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
    with replace_when_whole(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*names, *keys])
        writer.writerows([*labels, *(_exact(scores.get(key)) for key in keys)] for labels, scores in rows)
    return path


def _exact(value: float | None) -> str:
    """Every digit of a number, nothing for a missing one."""
    if value is None or math.isnan(value):
        return ""
    return str(value) if isinstance(value, int) else repr(float(value))


def _write_text(path: Path, text: str) -> Path:
    with replace_when_whole(path) as partial:
        partial.write_text(text, encoding="utf-8")
    return path
