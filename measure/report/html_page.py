"""`report.html`: one file with the tables, figures and definitions in it, that opens from disk without a network.

Style and script are `page.css` and `page.js` beside this file; they are written into the page, as are all pictures.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import cv2

from .colors import method_colour
from .columns import PAPER_TABLES, Column, column, families_of, headline_keys, papers_of
from .representatives import dice_key
from .tables import (
    Result,
    Table,
    combined_table,
    dataset_names,
    dataset_tables,
    metric_keys,
    number,
    shown,
    size_tables,
)

__all__ = ["Picture", "report_page"]

_HERE = Path(__file__).parent / "assets"
_JPEG_QUALITY = 88
_PAGE_SCALE = 0.61
_NAMES_LISTED = 200
_DENSE_FROM = 12
"""Tables of more columns are set smaller, so that the seventeen of the video protocol are seen at once."""

_PROTOCOLS = {
    "image": "Still images: every score is a mean over the images of a data set; curves are averaged over images "
    "before their mean or maximum over thresholds is taken.",
    "vps": "Video (SUN-SEG): every score is a mean over the frames of a case, then over cases; curves are averaged "
    "so too before their mean or maximum over thresholds is taken. The first and last frame of a case are left out.",
}


@dataclass(frozen=True)
class Picture:
    """A figure on disk (its PNG) and what the page says about it; photographs are embedded as JPEG."""

    title: str
    caption: str
    path: Path
    photograph: bool = False


def report_page(results: Sequence[Result], pictures: Sequence[Picture], warnings: Sequence[str]) -> str:
    """The whole page for one or several methods scored under one protocol.

    Args:
        results: one dictionary per method, as in its `scores.json`.
        pictures: figures in reading order; none is fine.
        warnings: sentences shown on top; none is fine.
    """
    plots = [picture for picture in pictures if not picture.photograph]
    sheets = [picture for picture in pictures if picture.photograph]
    sections = {
        "Warnings": _warnings(warnings),
        "Results": _html_table(combined_table(results)),
        "Data sets": _datasets(results),
        "Polyp size": "".join(map(_captioned, size_tables(results))),
        "Figures": "".join(map(_figure, plots)),
        "Worst, median, best": "".join(map(_figure, sheets)),
        "Image by image": _image_table(results),
        "Definitions": _definitions(results),
        "Run": _run(results),
    }
    present = {title: body for title, body in sections.items() if body}
    return _PAGE.format(
        title=escape(f"Scores of {', '.join(result['method'] for result in results)}"),
        style=(_HERE / "page.css").read_text(encoding="utf-8"),
        header=_header(results),
        links="".join(f'<a href="#{_anchor(title)}">{escape(title)}</a>' for title in present),
        sections="".join(_section(title, body) for title, body in present.items()),
        script=(_HERE / "page.js").read_text(encoding="utf-8") if present.get("Image by image") else "",
    )


_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
{style}</style>
</head>
<body>
{header}
<nav><div>{links}</div></nav>
<main>
{sections}
</main>
<footer>Numbers are rounded to three decimals; scores.json, scores.csv and per_image.csv are exact.</footer>
<script>
{script}</script>
</body>
</html>
"""

_NOTES = {
    "Results": "The columns that papers print most. Best in bold, second best underlined; numbers that print alike "
    "share their mark. Point at a column's name for its definition.",
    "Polyp size": "Small: polyp under 5 % of the frame; medium: 5 to 20 %; large: over 20 %.",
    "Image by image": "Click a heading to sort, once more to reverse. Every column is in per_image.csv.",
    "Definitions": "p: the map in [0, 1], stretched to its own minimum and maximum unless switched off; g: the mask "
    "(above 128); B: the map at or above the threshold; TP, FP, FN, TN: pixels of B and g.",
}


def _section(title: str, body: str) -> str:
    note = f'<p class="note">{_NOTES[title]}</p>' if title in _NOTES else ""
    kind = ' class="warnings"' if title == "Warnings" else ""
    return f'<section id="{_anchor(title)}"{kind}><h2>{escape(title)}</h2>{note}{body}</section>\n'


def _anchor(title: str) -> str:
    return title.lower().replace(",", "").replace(" ", "-")


def _header(results: Sequence[Result]) -> str:
    protocol = results[0]["protocol"]
    methods = "".join(
        f'<li><span class="chip" style="background:{method_colour(i)}"></span>{escape(result["method"])}</li>'
        for i, result in enumerate(results)
    )
    return (
        f'<header><h1>Segmentation scores</h1><p class="lead">{escape(_PROTOCOLS.get(protocol, protocol))}</p>'
        f'<ul class="methods">{methods}</ul></header>'
    )


def _warnings(warnings: Iterable[str]) -> str:
    items = "".join(f"<li>{escape(text)}</li>" for text in warnings)
    return f"<ul>{items}</ul>" if items else ""


def _datasets(results: Sequence[Result]) -> str:
    """Every data set in full, the first one unfolded."""
    return "".join(
        f"<details{' open' if place == 0 else ''}><summary>{escape(name)}</summary>"
        f"{''.join(map(_captioned, dataset_tables(results, name)))}</details>"
        for place, name in enumerate(dataset_names(results))
    )


def _captioned(table: Table) -> str:
    return f"<h3>{escape(table.caption)}</h3>{_html_table(table)}"


def _html_table(table: Table) -> str:
    head = '<th class="text">Method</th>' + "".join(map(_heading, table.columns))
    body = []
    for block in table.blocks:
        if table.block_title:
            body.append(f'<tr class="block"><td colspan="{len(table.columns) + 1}">{escape(block.name)}</td></tr>')
        for row, marks in zip(block.rows, block.marks(table.columns), strict=True):
            cells = "".join(_number_cell(value, mark) for value, mark in zip(row.values, marks, strict=True))
            body.append(f'<tr><td class="text">{escape(row.method)}</td>{cells}</tr>')
    return _table(head, body, dense=len(table.columns) > _DENSE_FROM)


def _table(head: str, body: Iterable[str], *, dense: bool = False) -> str:
    rows = "\n".join(body)
    kind = ' class="dense"' if dense else ""
    return f'<div class="scroll"><table{kind}><thead><tr>{head}</tr></thead><tbody>\n{rows}\n</tbody></table></div>'


def _heading(known: Column) -> str:
    return f'<th title="{escape(known.text)}">{escape(known.key)} {known.arrow}</th>'


def _number_cell(value: float, mark: str) -> str:
    kind = mark if math.isfinite(value) else "missing"
    return f'<td class="{kind}">{shown(value)}</td>' if kind else f"<td>{shown(value)}</td>"


def _figure(picture: Picture) -> str:
    name = escape(picture.title)
    return (
        f"<figure><figcaption><b>{name}</b>{escape(picture.caption)}</figcaption>"
        f'<img alt="{name}" width="{_page_width(picture)}" src="{_data_uri(picture)}"></figure>'
    )


def _page_width(picture: Picture) -> int:
    """Pixels on the page: figures keep one scale among themselves, so that their lettering has one size."""
    return round(_PAGE_SCALE * int.from_bytes(picture.path.read_bytes()[16:20], "big"))  # PNG: IHDR's width


def _data_uri(picture: Picture) -> str:
    data, kind = picture.path.read_bytes(), "png"
    if picture.photograph:
        pixels = cv2.imread(str(picture.path))
        data, kind = (
            cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])[1].tobytes(),
            "jpeg",
        )
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


_NAME_COLUMNS = ("Method", "Data set", "Image")


def _image_table(results: Sequence[Result]) -> str:
    """The sortable table: its headings as HTML, its rows as JSON that `page.js` draws."""
    per_image = [
        (result["method"], name, stem, scores)
        for result in results
        for name, stems in result.get("per_image", {}).items()
        for stem, scores in stems.items()
    ]
    if not per_image:
        return ""
    keys = headline_keys(results[0]["protocol"], dict.fromkeys(key for *_, scores in per_image for key in scores))
    rows = [[*names, *(_json_number(number(scores, key)) for key in keys)] for *names, scores in per_image]
    head = "".join(f'<th class="text">{title}</th>' for title in _NAME_COLUMNS)
    head += "".join(f'<th title="{escape(column(key).text)}">{escape(key)}</th>' for key in keys)
    first = len(_NAME_COLUMNS) + keys.index(dice_key(results[0])) if dice_key(results[0]) in keys else 0
    table = {"textColumns": len(_NAME_COLUMNS), "firstSort": first, "rows": rows}
    data = json.dumps(table, ensure_ascii=False, separators=(",", ":"))
    return (
        '<div class="controls"><input id="filter" type="search" placeholder="Method, data set or image">'
        '<span id="count"></span></div>'
        f'<div class="scroll"><table id="images"><thead><tr>{head}</tr></thead><tbody></tbody></table></div>'
        '<div class="controls"><button id="more" type="button">Show more</button></div>'
        "<noscript><p>Sorting needs a script; per_image.csv holds the same rows.</p></noscript>"
        # inside a script element only "<" could end the data early
        f'<script type="application/json" id="image-data">{data.replace("<", chr(92) + "u003c")}</script>'
    )


def _json_number(value: float) -> float | None:
    """Five decimals keep the order of what prints alike and the page small."""
    return round(value, 5) if math.isfinite(value) else None


def _definitions(results: Sequence[Result]) -> str:
    protocol = results[0]["protocol"]
    head = '<th class="text">Column</th><th class="text">Better</th><th class="text">Definition</th>'
    head += '<th class="text">In the tables of</th>'
    body = []
    for family, members in families_of(metric_keys(results)).items():
        body.append(f'<tr class="block"><td colspan="4">{escape(family)}</td></tr>')
        body += [_definition(known, papers_of(known.key, protocol)) for known in members]
    return _table(head, body) + _paper_tables(protocol)


def _definition(known: Column, papers: Sequence[str]) -> str:
    return (
        f'<tr><td class="text"><code>{escape(known.key)}</code></td><td class="text">{known.arrow}</td>'
        f'<td class="text wide">{escape(known.text)}</td><td class="text wide">{escape("; ".join(papers))}</td></tr>'
    )


def _paper_tables(protocol: str) -> str:
    """Which columns to read beside a paper's table, in that table's order."""
    rows = [
        f'<tr><td class="text">{escape(paper)}</td><td class="text">{_codes(keys)}</td></tr>'
        for paper, keys in PAPER_TABLES.get(protocol, {}).items()
    ]
    head = '<th class="text">Paper</th><th class="text">Columns of its table</th>'
    return f"<h3>Beside a paper's table</h3>{_table(head, rows)}"


def _codes(keys: Iterable[str]) -> str:
    return " &nbsp; ".join(f"<code>{escape(key)}</code>" for key in keys)


def _run(results: Sequence[Result]) -> str:
    return "".join(
        f"<details{' open' if place == 0 else ''}><summary>{escape(result['method'])}</summary>"
        f'<div class="pair">{_facts("Options", result.get("options", {}))}'
        f"{_facts('Versions and time', _versions(result))}</div>{_counts(result)}</details>"
        for place, result in enumerate(results)
    )


def _versions(result: Result) -> dict[str, Any]:
    seconds = result.get("seconds")
    return {**result.get("versions", {}), **({"seconds": round(seconds, 1)} if seconds is not None else {})}


def _counts(result: Result) -> str:
    """What was read, per data set: a column per count."""
    counts: Mapping[str, Mapping[str, Any]] = result.get("counts", {})
    keys = list(dict.fromkeys(key for values in counts.values() for key in values))
    if not keys:
        return ""
    head = '<th class="text">Data set</th>' + "".join(f"<th>{escape(key.replace('_', ' '))}</th>" for key in keys)
    body = [
        f'<tr><td class="text">{escape(name)}</td>{"".join(f"<td>{_fact(values.get(key))}</td>" for key in keys)}</tr>'
        for name, values in counts.items()
    ]
    return f"<h3>Counts</h3>{_table(head, body)}{_named(counts)}"


def _named(counts: Mapping[str, Mapping[str, Any]]) -> str:
    """The names behind the counts, folded: dropped frames, resized maps, odd masks."""
    lists = [(name, key, names) for name, values in counts.items() for key, names in values.items()]
    return "".join(
        f"<details><summary>{escape(name)}: {escape(key.replace('_', ' '))} ({len(names)})</summary>"
        f'<p class="note">{escape(", ".join(map(str, names[:_NAMES_LISTED])))}'
        f"{' … all of them are in scores.json' if len(names) > _NAMES_LISTED else ''}</p></details>"
        for name, key, names in lists
        if isinstance(names, list) and names
    )


def _facts(title: str, facts: Mapping[str, Any]) -> str:
    rows = (
        f'<tr><td class="text"><code>{escape(str(name))}</code></td><td class="text wide">{_fact(value)}</td></tr>'
        for name, value in facts.items()
    )
    return f"<div><h3>{escape(title)}</h3>{_table('', rows)}</div>" if facts else ""


def _fact(value: Any) -> str:
    """A value of the run record: switches as on and off, lists by their length."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, list | tuple | dict):
        return str(len(value))
    return "–" if value is None else escape(str(value))
