"""Tables of scores: what stands in them, which numbers are marked, and how they read in Markdown and LaTeX.

A table is built once and rendered to every format, so that all formats say the same. Numbers are rounded here and
nowhere before.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..io import markdown_table, markdown_text
from .columns import TOOL_TABLES, Column, column_of, families_of, headline_keys

__all__ = [
    "BEST",
    "MISSING",
    "SECOND",
    "Block",
    "Result",
    "Row",
    "Table",
    "TextTable",
    "average_tables",
    "combined_table",
    "dataset_names",
    "dataset_tables",
    "kind_of",
    "latex_text",
    "metric_keys",
    "score_value",
    "rank_marks",
    "render_latex",
    "render_markdown",
    "format_score",
    "size_tables",
]

Result = Mapping[str, Any]
"""What scoring one method gives: `protocol`, `method`, `options`, `datasets`, `counts`, `per_image`, ..."""

BEST, SECOND, PLAIN, MISSING = "best", "second", "", "–"


@dataclass(frozen=True)
class Row:
    """One method's numbers.

    Attributes:
        method: its name.
        values: in the order of the table's columns; NaN where a score is missing.
    """

    method: str
    values: tuple[float, ...]


@dataclass(frozen=True)
class Block:
    """Rows compared with one another.

    Attributes:
        name: of what they have in common, a data set or a polyp size.
        rows: one per method.
        beaten: per key of a column and method, the methods that it is told apart from: marks are then given only where
            they are certain; None: as printed.
    """

    name: str
    rows: tuple[Row, ...]
    beaten: Mapping[str, Mapping[str, Collection[str]]] | None = None

    def marks(self, columns: Sequence[Column]) -> list[list[str]]:
        """`BEST`, `SECOND` or "" for every value, [row][column]."""
        by_column = [self._column_marks(place, known) for place, known in enumerate(columns)]
        return [list(row) for row in zip(*by_column, strict=True)]

    def _column_marks(self, place: int, known: Column) -> list[str]:
        values = [row.values[place] for row in self.rows]
        marks = rank_marks(values, higher_is_better=known.higher_is_better, digits=known.digits)
        if self.beaten is None:
            return marks
        apart = self.beaten.get(known.key, {})
        methods = [row.method for row in self.rows]
        best = {method for method, mark in zip(methods, marks, strict=True) if mark == BEST}
        second = {method for method, mark in zip(methods, marks, strict=True) if mark == SECOND}
        certain = {m for m in best if {*methods} - best <= {*apart.get(m, ())}}
        certain |= {m for m in second if best <= certain and {*methods} - best - second <= {*apart.get(m, ())}}
        return [mark if method in certain else PLAIN for method, mark in zip(methods, marks, strict=True)]

    def marked_rows(self, columns: Sequence[Column]) -> Iterator[tuple[str, list[tuple[str, str]]]]:
        """Every row's method with its numbers as printed, each with its mark."""
        for row, marks in zip(self.rows, self.marks(columns), strict=True):
            cells = [format_score(value, known.digits) for value, known in zip(row.values, columns, strict=True)]
            yield row.method, list(zip(cells, marks, strict=True))


@dataclass(frozen=True)
class TextTable:
    """A table of ready cells.

    Attributes:
        caption: what it shows.
        titles: of the columns.
        rows: as many cells each.
        text_columns: how many columns, from the left, are words.
    """

    caption: str
    titles: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    text_columns: int = 1


@dataclass(frozen=True)
class Table:
    """Blocks of rows under common columns.

    Attributes:
        caption: what the table shows.
        columns: its scores.
        blocks: groups of rows.
        block_title: what tells the blocks apart; "" with a single one.
    """

    caption: str
    columns: tuple[Column, ...]
    blocks: tuple[Block, ...]
    block_title: str = ""


def score_value(scores: Mapping[str, Any] | None, key: str) -> float:
    """A score as a float; NaN where it is absent, null or NaN."""
    value = (scores or {}).get(key)
    return math.nan if value is None else float(value)


def format_score(value: float, digits: int = 3) -> str:
    """A number as tables print it: rounded to decimals, a dash where it is missing."""
    return f"{value:.{digits}f}" if math.isfinite(value) else MISSING


def rank_marks(values: Sequence[float], *, higher_is_better: bool | None, digits: int = 3) -> list[str]:
    """Mark the best and the second best of `values`.

    Numbers that print alike share their mark; missing ones (NaN) carry none; where all print alike, or only one is
    there, or no end is better, nothing is marked, because nothing was won.
    """
    rounded = [round(value, digits) if math.isfinite(value) else None for value in values]
    levels = sorted({value for value in rounded if value is not None}, reverse=bool(higher_is_better))
    if len(levels) < 2 or higher_is_better is None:
        return [PLAIN] * len(values)
    marks = {levels[0]: BEST, levels[1]: SECOND}
    return [PLAIN if value is None else marks.get(value, PLAIN) for value in rounded]


def kind_of(result: Result) -> str:
    """The protocol, or "classes" where the classes of masks were scored apart."""
    return "classes" if result.get("options", {}).get("classes") else result["protocol"]


def dataset_names(results: Iterable[Result]) -> list[str]:
    """Every data set of any result, in the order first met."""
    return list(dict.fromkeys(name for result in results for name in result["datasets"]))


def metric_keys(results: Iterable[Result]) -> list[str]:
    """Every metric of any data set of any result, in the order first met."""
    return list(dict.fromkeys(k for result in results for scores in result["datasets"].values() for k in scores))


def combined_table(results: Sequence[Result]) -> Table:
    """The headline columns of every data set: a block per data set."""
    keys = headline_keys(kind_of(results[0]), metric_keys(results)) or metric_keys(results)
    blocks = tuple(_dataset_block(results, name, keys) for name in dataset_names(results))
    return Table("All data sets", tuple(map(column_of, keys)), blocks, "Data set")


def average_tables(results: Sequence[Result]) -> list[Table]:
    """The headline columns averaged over data sets, plain and by images (video: cases), which their means are over.

    Nothing of a single set or of classes. A method that lacks a data set has no average; what is no mean over images
    (cases), but pooled over lesions or frames, has none by images.
    """
    names = dataset_names(results)
    if len(names) < 2 or kind_of(results[0]) == "classes":
        return []
    keys = headline_keys(kind_of(results[0]), metric_keys(results)) or metric_keys(results)
    keys = [key for key in keys if not key.startswith("pooled")]
    blocks = []
    unit = "case" if any(result.get("per_case") for result in results) else "image"
    for title, weighted in (("every set alike", False), (f"every {unit} alike", True)):
        rows = [_average_row(result, names, keys, weighted=weighted) for result in results]
        if any(math.isfinite(value) for row in rows for value in row.values):
            blocks.append(Block(title, tuple(rows), _without_tests(results)))
    return [Table(f"Average over {len(names)} data sets", tuple(map(column_of, keys)), tuple(blocks), "Average")]


def _without_tests(results: Sequence[Result]) -> dict | None:
    """`Block.beaten` of numbers whose differences are not tested: where marks must be certain they carry none."""
    return {} if all("beaten" in result for result in results) else None


def _average_row(result: Result, names: Sequence[str], keys: Sequence[str], *, weighted: bool) -> Row:
    weights = [_units(result, name) for name in names] if weighted else [1] * len(names)
    total = sum(weights)
    pooled = ("Lesion", "EndoCVDeviation", *(["FalseAlarms"] if result.get("per_case") else []))
    values = []
    for key in keys:
        scores = [score_value(result["datasets"].get(name), key) for name in names]
        known = total and not (weighted and key.startswith(pooled))
        values.append(sum(w * s for w, s in zip(weights, scores, strict=True)) / total if known else math.nan)
    return Row(result["method"], tuple(values))


def _units(result: Result, name: str) -> int:
    """How many images, or cases, the means of a data set are over."""
    if result.get("per_case"):
        return len(result["per_case"].get(name, ()))
    return result.get("counts", {}).get(name, {}).get("images") or 0


def dataset_tables(results: Sequence[Result], name: str) -> list[Table]:
    """One data set in full: first the columns the released tool prints, then what remains, family by family."""
    keys = metric_keys(results)
    tool = [key for key in TOOL_TABLES.get(results[0]["protocol"], ()) if key in keys]
    groups = {"as the released tool prints": [column_of(key) for key in tool]} if tool else {}
    groups |= {
        family.lower(): members for family, members in families_of(key for key in keys if key not in tool).items()
    }
    return [
        Table(f"{name}, {title}", tuple(members), (_dataset_block(results, name, [c.key for c in members]),))
        for title, members in groups.items()
    ]


def size_tables(results: Sequence[Result]) -> list[Table]:
    """The headline columns by polyp size, a table per data set, a block per size; of videos over frames, not cases."""
    return [table for name in dataset_names(results) if (table := _size_table(results, name))]


def render_markdown(table: Table | TextTable) -> str:
    """The table in Markdown; best bold, second underlined."""
    if isinstance(table, TextTable):
        escaped = [[markdown_text(cell) for cell in row] for row in table.rows]
        return markdown_table(table.titles, escaped, text_columns=table.text_columns)
    labels = ([table.block_title] if table.block_title else []) + ["Method"]
    cells = []
    for block in table.blocks:
        for method, marked in block.marked_rows(table.columns):
            name = [markdown_text(block.name)] if table.block_title else []
            numbers = [_MARKDOWN[mark].format(text) for text, mark in marked]
            cells.append([*name, markdown_text(method), *numbers])
    titles = [*labels, *(known.title for known in table.columns)]
    return markdown_table(titles, cells, text_columns=len(labels))


def render_latex(table: Table) -> str:
    """The table as a `table*` environment in booktabs style; best bold, second underlined."""
    columns = " & ".join(["Method", *(_latex_heading(known) for known in table.columns)])
    lines = [r"\begin{table*}[t]", r"\centering", rf"\caption{{{latex_text(table.caption)}}}"]
    lines += [r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%"]
    lines += [rf"\begin{{tabular}}{{l{'c' * len(table.columns)}}}", r"\toprule", rf"{columns} \\"]
    for block in table.blocks:
        lines.append(r"\midrule")
        if table.block_title:
            lines.append(rf"\multicolumn{{{len(table.columns) + 1}}}{{l}}{{\emph{{{latex_text(block.name)}}}}} \\")
        for method, marked in block.marked_rows(table.columns):
            numbers = [_LATEX[mark] % text.replace(MISSING, "--") for text, mark in marked]
            lines.append(" & ".join([latex_text(method), *numbers]) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}}", r"\end{table*}"])


_MARKDOWN = {BEST: "**{}**", SECOND: "<u>{}</u>", PLAIN: "{}"}
_LATEX = {BEST: r"\textbf{%s}", SECOND: r"\underline{%s}", PLAIN: "%s"}
_LATEX_SPECIAL = {
    **{character: "\\" + character for character in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "|": r"\textbar{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
}


def latex_text(text: str) -> str:
    """Any text, safe inside a LaTeX paragraph or cell."""
    return "".join(_LATEX_SPECIAL.get(character, character) for character in " ".join(text.split()))


def _latex_heading(known: Column) -> str:
    symbol = known.latex if known.latex != known.key else latex_text(known.key)
    if known.higher_is_better is None:
        return symbol
    return rf"{symbol} $\{'up' if known.higher_is_better else 'down'}arrow$"


def _dataset_block(results: Sequence[Result], name: str, keys: Sequence[str]) -> Block:
    rows = tuple(_row(result["method"], result["datasets"].get(name), keys) for result in results)
    if not all("beaten" in result for result in results):
        return Block(name, rows)
    by_method = {result["method"]: result["beaten"].get(name, {}) for result in results}
    return Block(name, rows, {key: {method: keyed.get(key, ()) for method, keyed in by_method.items()} for key in keys})


def _row(method: str, scores: Mapping[str, Any] | None, keys: Sequence[str]) -> Row:
    return Row(method, tuple(score_value(scores, key) for key in keys))


def _size_table(results: Sequence[Result], name: str) -> Table | None:
    by_size = [(result["method"], result.get("by_size", {}).get(name, {})) for result in results]
    sizes = list(dict.fromkeys(size for _, strata in by_size for size in strata))
    keys = headline_keys(results[0]["protocol"], (k for _, strata in by_size for s in strata.values() for k in s))
    if not keys:
        return None
    blocks = tuple(
        Block(size, tuple(_row(method, strata.get(size), keys) for method, strata in by_size), _without_tests(results))
        for size in sizes
    )
    over = ", mean over the frames of all cases" if any(result.get("per_case") for result in results) else ""
    return Table(f"{name}{over}", tuple(map(column_of, keys)), blocks, "Polyp size")
