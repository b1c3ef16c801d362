"""`report.html`: one file with the tables, figures and definitions in it, that opens from disk without a network.

Here the values are gathered; `assets/page.html` (Jinja2, every value escaped) is what they are put into, `page.css` and
`page.js` beside it its style and script. They are written into the page, as are all pictures.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2

from ..io import InputError
from .certainty import Comparison, certainty_tables, comparison_tables, headline_dice, marking_rule
from .colors import method_color
from .columns import PAPER_TABLES, column_of, families_of, headline_keys, papers_of
from .representatives import dice_key
from .tables import (
    MISSING,
    Result,
    average_tables,
    combined_table,
    dataset_names,
    dataset_tables,
    metric_keys,
    score_value,
    size_tables,
)

__all__ = ["ReportImage", "RowPictures", "report_page"]

_ASSETS = Path(__file__).parent / "assets"
_JPEG_QUALITY = 88
_PAGE_SCALE = 0.61
_NAMES_LISTED = 200
_NAME_COLUMNS = ("Method", "Data set", "Image")

_PROTOCOLS = {
    "image": "Still images: every score is a mean over the images of a data set; curves are averaged over images "
    "before their mean or maximum over thresholds is taken.",
    "vps": "Video (SUN-SEG): every score is a mean over the frames of a case, then over cases; curves are averaged "
    "so too before their mean or maximum over thresholds is taken. The first and last frame of a case are left out.",
    "endocv": "EndoCV2021 and PolypGen: every map is cut at 0.5 and scored per image, then the mean over the images "
    "of a data set. The challenge's tool takes masks and maps above level 0 for polyp: the same where both are binary.",
}


RowPictures = Mapping[tuple[str, str, str], bytes]
"""JPEGs by method, data set and stem."""


@dataclass(frozen=True)
class ReportImage:
    """A figure on disk and what the page says about it.

    Attributes:
        title: its name on the page.
        caption: what it shows.
        path: the PNG.
        photograph: embed it as JPEG, which is smaller.
    """

    title: str
    caption: str
    path: Path
    photograph: bool = False

    @property
    def width(self) -> int:
        """Pixels on the page: figures keep one scale among themselves, so that their lettering has one size."""
        return round(_PAGE_SCALE * int.from_bytes(self.path.read_bytes()[16:20], "big"))  # PNG: IHDR's width

    @property
    def uri(self) -> str:
        """The picture itself, as the page embeds it."""
        data, kind = self.path.read_bytes(), "png"
        if self.photograph:
            quality = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
            data, kind = cv2.imencode(".jpg", cv2.imread(str(self.path)), quality)[1].tobytes(), "jpeg"
        return _data_uri(data, kind)


def report_page(
    results: Sequence[Result],
    images: Sequence[ReportImage],
    warnings: Sequence[str],
    comparison: Comparison | None = None,
    row_pictures: RowPictures | None = None,
) -> str:
    """The whole page for one or several methods scored under one protocol.

    Args:
        results: one dictionary per method, as in its `scores.json`.
        images: figures in reading order; none is fine.
        warnings: sentences shown on top; none is fine.
        comparison: of the methods, as in `comparison.json`.
        row_pictures: what a row of the table of images opens.

    Raises:
        InputError: Jinja2 is not installed.
    """
    protocol = results[0]["protocol"]
    sections = {
        "Warnings": warnings,
        "Results": results,
        "Data sets": dataset_names(results),
        "Polyp size": size_tables(results),
        "Certainty": certainty_tables(results),
        "Comparison": comparison_tables(comparison),
        "Figures": [image for image in images if not image.photograph],
        "Worst, median, best": [image for image in images if image.photograph],
        "Image by image": _image_rows(results, row_pictures or {}),
        "Definitions": results,
        "Run": results,
    }
    return _template().render(
        titles=[title for title, content in sections.items() if content],
        methods=[{"name": result["method"], "color": method_color(i)} for i, result in enumerate(results)],
        protocol_text=_PROTOCOLS.get(protocol, protocol),
        warnings=warnings,
        dice=headline_dice(results),
        headline=combined_table(results),
        averages=average_tables(results),
        datasets=[(name, dataset_tables(results, name)) for name in dataset_names(results)],
        sizes=sections["Polyp size"],
        certainty=sections["Certainty"],
        comparison=sections["Comparison"],
        marking=marking_rule(results),
        plots=sections["Figures"],
        sheets=sections["Worst, median, best"],
        images=sections["Image by image"],
        definitions=_definitions(results),
        papers=PAPER_TABLES.get(protocol, {}),
        runs=list(map(_run, results)),
        names_listed=_NAMES_LISTED,
        missing=MISSING,
        style=(_ASSETS / "page.css").read_text(encoding="utf-8"),
        script=(_ASSETS / "page.js").read_text(encoding="utf-8") if sections["Image by image"] else "",
    )


def _template() -> Any:
    try:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined
    except ModuleNotFoundError as error:
        raise InputError("report.html needs jinja2, which is not installed; run pip install jinja2") from error
    environment = Environment(loader=FileSystemLoader(_ASSETS), autoescape=True, undefined=StrictUndefined)
    environment.filters |= {
        "anchor": lambda title: title.lower().replace(",", "").replace(" ", "-"),
        "fact": _fact,
        "words": lambda key: key.replace("_", " "),
    }
    return environment.get_template("page.html")


def _image_rows(results: Sequence[Result], row_pictures: RowPictures) -> dict[str, Any] | None:
    """The sortable table: its headings, and its rows as JSON that `page.js` draws; None without images."""
    per_image = [
        (result["method"], name, stem, scores)
        for result in results
        for name, stems in result.get("per_image", {}).items()
        for stem, scores in stems.items()
    ]
    if not per_image:
        return None
    keys = headline_keys(results[0]["protocol"], dict.fromkeys(key for *_, scores in per_image for key in scores))
    rows = [[*names, *(_json_number(score_value(scores, key)) for key in keys)] for *names, scores in per_image]
    first = len(_NAME_COLUMNS) + keys.index(dice_key(results[0])) if dice_key(results[0]) in keys else 0
    pictures = {
        place: _data_uri(row_pictures[method, name, stem], "jpeg")
        for place, (method, name, stem, _) in enumerate(per_image)
        if (method, name, stem) in row_pictures
    }
    table = {"textColumns": len(_NAME_COLUMNS), "firstSort": first, "rows": rows, "pictures": pictures}
    data = json.dumps(table, ensure_ascii=False, separators=(",", ":"))
    # inside a script element only "<" could end the data early
    data = data.replace("<", "\\u003c")
    return {
        "name_columns": _NAME_COLUMNS,
        "columns": list(map(column_of, keys)),
        "data": data,
        "has_pictures": bool(pictures),
    }


def _data_uri(data: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def _json_number(value: float) -> float | None:
    """Five decimals keep the order of what prints alike and the page small."""
    return round(value, 5) if math.isfinite(value) else None


def _definitions(results: Sequence[Result]) -> list[tuple[str, list[tuple[Any, list[str]]]]]:
    """Families of columns, each column with the papers that print it."""
    protocol = results[0]["protocol"]
    families = families_of(metric_keys(results))
    return [
        (name, [(known, papers_of(known.key, protocol)) for known in members]) for name, members in families.items()
    ]


def _run(result: Result) -> dict[str, Any]:
    """What a method's run recorded: options, versions, and counts by data set."""
    seconds, counts = result.get("seconds"), result.get("counts", {})
    return {
        "method": result["method"],
        "options": result.get("options", {}),
        "versions": {**result.get("versions", {}), **({"seconds": round(seconds, 1)} if seconds is not None else {})},
        "counts": counts,
        "count_names": list(dict.fromkeys(key for values in counts.values() for key, value in values.items() if value)),
    }


def _fact(value: Any) -> str:
    """A value of the run's record: switches as on and off, lists by their length."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, list | tuple | dict):
        return str(len(value))
    return "–" if value is None else str(value)
