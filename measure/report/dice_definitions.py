"""Every definition of Dice and IoU side by side on the same maps: the answer to "which Dice is this?"."""

from __future__ import annotations

from collections.abc import Sequence

from ..io import markdown_table, markdown_text
from .columns import OVERLAP_PAIRS, papers_of
from .tables import Result, dataset_names, format_score, score_value

__all__ = ["definitions_table"]


def definitions_table(results: Sequence[Result]) -> str:
    """A Markdown table: a line per definition, Dice and IoU per data set, and the papers that print it.

    Args:
        results: the same maps scored under different options (such as `minmax` on and off), one dictionary each as
            in `scores.json`; a definition that an option does not touch is shown once.
    """
    names = dataset_names(results)
    numbers = [f"{markdown_text(name)} {measure}" for name in names for measure in ("Dice", "IoU")]
    lines: dict[tuple[str, str], list[str]] = {}
    for title, keys in OVERLAP_PAIRS.items():
        for result in results:
            minmax = _minmax(result, keys[0])
            papers = papers_of(keys[0], result["protocol"]) if minmax != "off" else []
            values = [format_score(score_value(result["datasets"].get(name), key)) for name in names for key in keys]
            lines.setdefault((title, minmax), ["; ".join(papers), *values])
    head = ["Definition", "Min-max", "In the tables of", *numbers]
    return markdown_table(head, ([*labels, *rest] for labels, rest in lines.items()), text_columns=3)


def _minmax(result: Result, key: str) -> str:
    """Whether the maps were min-max normalized; for scores at 0.5 they never are."""
    if key.endswith("@0.5"):
        return "never"
    return "on" if result.get("options", {}).get("minmax", True) else "off"
