"""A check's findings as a page that opens from disk without a network, with thumbnails of what shows the same.

It holds images of patients: it is as confidential as the data.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from measure.io import InputError

from ..inspection import DataFault, open_image
from .checker import DuplicatePair, Findings
from .problems import KINDS
from .statistics import thumbnail

__all__ = ["render_page"]

ASSETS = Path(__file__).parent / "assets"
MOST_PAIRS = 100  # duplicates with thumbnails, of different parts and of one part each
MOST_FILES = 200  # names of files under a problem


def render_page(findings: Findings) -> str:
    """The whole page.

    Raises:
        InputError: Jinja2 is not installed.
    """
    across = [pair for pair in findings.duplicates if pair.across]
    within = [pair for pair in findings.duplicates if not pair.across]
    return _template().render(
        findings=findings,
        problems={
            title: found
            for kind, title in KINDS.items()
            if (found := [problem for problem in findings.problems if problem.kind == kind])
        },
        galleries={
            title: {"pairs": _with_thumbnails(pairs[:MOST_PAIRS]), "total": len(pairs)}
            for title, pairs in (("Images of different parts", across), ("Images within a part", within))
            if pairs
        },
        most_files=MOST_FILES,
    )


def _template() -> Any:
    try:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined
    except ModuleNotFoundError as error:
        raise InputError("the page needs jinja2, which is not installed; run pip install jinja2") from error
    environment = Environment(loader=FileSystemLoader(ASSETS), autoescape=True, undefined=StrictUndefined)
    return environment.get_template("page.html")


def _with_thumbnails(pairs: Sequence[DuplicatePair]) -> list[dict[str, Any]]:
    return [
        {"pair": pair, "images": [(path, _thumbnail_uri(path)) for path in (pair.first, pair.second)]} for pair in pairs
    ]


def _thumbnail_uri(path: Path) -> str:
    """The image as the page embeds it; empty where it has become unreadable meanwhile."""
    try:
        return f"data:image/jpeg;base64,{base64.b64encode(thumbnail(open_image(path))).decode()}"
    except DataFault:
        return ""
