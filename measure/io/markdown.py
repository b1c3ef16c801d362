"""The one writer of Markdown tables: padded, so that they also read well in a terminal."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

__all__ = ["markdown_table", "markdown_text"]


def markdown_table(titles: Sequence[str], rows: Iterable[Sequence[str]], *, text_columns: int = 1) -> str:
    """Return a table's lines, without a line end after the last.

    Args:
        titles: of the columns.
        rows: as many cells each as there are titles; see `markdown_text` for names.
        text_columns: how many columns, from the left, are set flush left; the others hold numbers, set flush right.
    """
    cells = [titles, *rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    rule = ["-" * w if place < text_columns else "-" * (w - 1) + ":" for place, w in enumerate(widths)]
    padded = [
        [
            cell.ljust(width) if place < text_columns else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        for row in cells
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in [padded[0], rule, *padded[1:]])


def markdown_text(text: str) -> str:
    """Any text, safe inside a Markdown cell; an underscore within a word is left, as Markdown leaves it."""
    escaped = re.sub(r"([\\`*|<>\[\]])", r"\\\1", " ".join(text.split()))
    return re.sub(r"(?<!\w)_|_(?!\w)", r"\\_", escaped)
