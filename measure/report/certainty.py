"""Tables of how certain scores are: intervals and quartiles, differences between methods, ranks, seeds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ..io import counted
from .columns import column_of, headline_keys, papers_of
from .representatives import dice_key
from .tables import (
    MISSING,
    Result,
    TextTable,
    average_tables,
    dataset_names,
    format_score,
    kind_of,
    metric_keys,
    score_value,
)

__all__ = [
    "Comparison",
    "certainty_tables",
    "comparison_tables",
    "headline_dice",
    "interval_rows",
    "interval_text",
    "marking_rule",
    "p_text",
]

Comparison = Mapping[str, Any]
"""What `comparison.json` holds."""

MOST_PAIRS = 80
"""Lines of a table of differences; where there are more, `comparison.json` alone holds all of them."""


SIGNIFICANT = 0.05
"""p below which a difference is called one after the correction for many comparisons too."""


def marking_rule(results: Sequence[Result]) -> str:
    """What bold and underlined numbers mean, in words."""
    if all("beaten" in result for result in results):
        return (
            "Best in bold where the 95 % intervals of its differences to all others leave out 0, second best "
            "underlined likewise; what the images cannot tell apart, and what is not tested, carries no mark."
        )
    return "Best in bold, second best underlined; numbers that print alike share their mark."


def certainty_tables(results: Sequence[Result]) -> list[TextTable]:
    """Per data set the headline columns as `mean [low, high]`, and as `median [quartiles]`."""
    tables = []
    for name in dataset_names(results):
        keys = headline_keys(kind_of(results[0]), metric_keys(results))
        for caption, part, cell in (
            ("mean and 95 % interval", "intervals", _mean_cell),
            ("median and quartiles", "quartiles", _median_cell),
        ):
            shown = [key for key in keys if any(result.get(part, {}).get(name, {}).get(key) for result in results)]
            rows = [(result["method"], *(cell(result, name, key) for key in shown)) for result in results]
            if shown:
                titles = ("Method", *(column_of(key).title for key in shown))
                units = _of_units(results, name, part)
                tables.append(TextTable(f"{name}, {caption}{units}", titles, tuple(rows)))
    return tables + threshold_table(results)


def headline_dice(results: Sequence[Result]) -> TextTable | None:
    """The one Dice of this protocol, named in words: a row per method, a column per data set and for their average."""
    key = dice_key(results[0])
    names = dataset_names(results)
    if not any(math.isfinite(score_value(scores, key)) for result in results for scores in result["datasets"].values()):
        return None
    papers = papers_of(key, results[0]["protocol"])
    printed = f" As {'; '.join(papers)} print{'s' * (len(papers) == 1)} it." if papers else ""
    averages = [table for table in average_tables(results) if key in [column.key for column in table.columns]][:1]
    rows = []
    for place, result in enumerate(results):
        cells = [_mean_cell(result, name, key) for name in names]
        for table in averages:
            value = table.blocks[0].rows[place].values[[column.key for column in table.columns].index(key)]
            cells.append(format_score(value))
        rows.append((result["method"], *cells))
    titles = ("Method", *names, *("average of sets" for _ in averages))
    return TextTable(f"{key}: {column_of(key).text}{printed}", titles, tuple(rows))


def threshold_table(results: Sequence[Result]) -> list[TextTable]:
    """The threshold at which the mean Dice is greatest, with its interval."""
    rows = []
    for result in results:
        for name, best in result.get("best_threshold", {}).items():
            interval = [level / 255 for level in best["interval"]] if best["interval"] else None
            ends = f"[{interval[0]:.2f}, {interval[1]:.2f}]" if interval else MISSING
            rows.append((result["method"], name, f"{best['level'] / 255:.2f}", ends, format_score(best["Dice"])))
    titles = ("Method", "Data set", "Best threshold", "95 % of resamples", "mean Dice there")
    maps = "min-max normalized maps" if results[0].get("options", {}).get("minmax", True) else "maps as saved"
    caption = f"Threshold of the greatest mean Dice, of {maps}"
    return [TextTable(caption, titles, tuple(rows), text_columns=2)] if rows else []


def _of_units(results: Sequence[Result], name: str, part: str) -> str:
    """What was resampled, as ` (100 images)`, or beside the quartiles that it was too little."""
    units = [result["units"][name] for result in results if result.get("units", {}).get(name)]
    has_intervals = any(result.get("intervals", {}).get(name) for result in results)
    if not units or (part == "quartiles" and has_intervals):
        return ""
    kind, numbers = units[0]["kind"].removesuffix("s"), sorted({found["number"] for found in units})
    if has_intervals:
        # methods that lack images have fewer
        told = counted(numbers[0], kind) if len(numbers) == 1 else f"{numbers[0]} to {numbers[-1]} {kind}s"
        return f" ({told})"
    few = counted(numbers[-1], f"{kind} is", f"{kind}s are")
    return f"; no intervals, as {few} too few: ten are the least"


def _mean_cell(result: Result, name: str, key: str) -> str:
    mean = format_score(score_value(result["datasets"].get(name), key), column_of(key).digits)
    ends = result.get("intervals", {}).get(name, {}).get(key)
    return f"{mean} {interval_text(ends, key)}" if ends else mean


def _median_cell(result: Result, name: str, key: str) -> str:
    quartiles = result.get("quartiles", {}).get(name, {}).get(key)
    if not quartiles:
        return MISSING
    low, median, high = quartiles
    return f"{format_score(median, column_of(key).digits)} {interval_text((low, high), key)}"


def interval_text(ends: Sequence[float] | None, key: str, *, sign: str = "") -> str:
    """An interval in brackets, with the decimals of its column; a dash where there is none."""
    digits = column_of(key).digits
    return f"[{', '.join(f'{end:{sign}.{digits}f}' for end in ends)}]" if ends else MISSING


def interval_rows(results: Sequence[Result]) -> list[tuple[list[str], dict[str, float | None]]]:
    """Lines of `intervals.csv`: every score with its interval, and the quartiles of what it is the mean of."""
    rows = []
    for result in results:
        for name, scores in result["datasets"].items():
            intervals, quartiles = (result.get(part, {}).get(name, {}) for part in ("intervals", "quartiles"))
            for key, value in scores.items():
                if key in intervals or key in quartiles:
                    low, high = intervals.get(key, (None, None))
                    q1, median, q3 = quartiles.get(key, (None, None, None))
                    values = {"value": value, "low": low, "high": high, "q1": q1, "median": median, "q3": q3}
                    rows.append(([result["method"], name, key], values))
    return rows


def comparison_tables(comparison: Comparison | None) -> list[TextTable]:
    """Per data set the differences of all pairs, the ranks, and what seeds explain."""
    if not comparison:
        return []
    tables = []
    for name, units in comparison["units"].items():
        pairs = _shown_pairs(comparison, name)
        titles = ("Column", "Method A", "Method B", "A - B", "95 % interval", "p", "p (Holm)", "wins A : B", "Verdict")
        caption = f"{name}, differences on {counted(units['number'], units['kind'].removesuffix('s'))}"
        if left_out := units.get("left_out"):
            caption += f", without {left_out} that a method lacks"
        tables.append(TextTable(caption, titles, tuple(map(_pair_row, pairs)), text_columns=3))
        tables += _rank_table(name, comparison["ranks"].get(name, {}))
        tables += _seed_table(name, comparison["seeds"].get(name, {}))
    return tables


def _shown_pairs(comparison: Comparison, name: str) -> list[Mapping[str, Any]]:
    """The pairs of a data set in every column, or where that would be too long in the first Dice alone."""
    pairs = [pair for pair in comparison["pairs"] if pair["dataset"] == name]
    if len(pairs) <= MOST_PAIRS:
        return pairs
    usual = next((key for key in comparison["metrics"] if "Dice" in key), comparison["metrics"][0])
    return [pair for pair in pairs if pair["metric"] == usual]


def _pair_row(pair: Mapping[str, Any]) -> tuple[str, ...]:
    column = column_of(pair["metric"])
    return (
        column.title,
        pair["a"],
        pair["b"],
        f"{pair['difference']:+.{column.digits}f}",
        interval_text(pair["interval"], pair["metric"], sign="+"),
        p_text(pair["p"]),
        p_text(pair["p_holm"]),
        f"{pair['wins']} : {pair['losses']}",
        _verdict(pair, bool(column.higher_is_better)),
    )


def _verdict(pair: Mapping[str, Any], higher_is_better: bool) -> str:
    """Which method is better, where the interval leaves out 0, and whether p is small after Holm's correction too."""
    if pair["interval"] is None:
        return "too few to tell"
    low, high = pair["interval"]
    if low <= 0 <= high:
        return "not told apart"
    after = "" if pair["p_holm"] < SIGNIFICANT else " (not after Holm)"
    return f"{'A' if (low > 0) == higher_is_better else 'B'} better{after}"


def p_text(p: float | None) -> str:
    """A p value to three decimals."""
    return MISSING if p is None else "< 0.001" if p < 0.001 else f"{p:.3f}"


def _rank_table(name: str, ranks: Mapping[str, Any]) -> list[TextTable]:
    """Per column the rank of each method, where the resamples put it, and how often it is first."""
    if not ranks:
        return []
    methods = list(dict.fromkeys(method for found in ranks.values() for method in found["methods"]))
    rows = tuple(
        (
            column_of(key).title,
            *(_rank_cell(found["methods"].get(method)) for method in methods),
            f"{found['agreement']:.2f}",
        )
        for key, found in ranks.items()
    )
    caption = f"{name}, ranks [95 % of 1,000 resamples], and how often first"
    return [TextTable(caption, ("Column", *methods, "Kendall's tau"), rows)]


def _rank_cell(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return MISSING
    low, high = found["interval"]
    return f"{found['rank']:g} [{low:g}, {high:g}], first {100 * found['first']:.0f} %"


def _seed_table(name: str, seeds: Mapping[str, Any]) -> list[TextTable]:
    if not seeds:
        return []
    methods = list(dict.fromkeys(method for found in seeds.values() for method in found["means"]))
    rows = []
    for key, found in seeds.items():
        digits = column_of(key).digits
        cells = []
        for method in methods:
            deviation = found["deviations"].get(method)
            spread = "" if deviation is None else f" ± {deviation:.{digits}f}"
            cells.append(f"{format_score(score_value(found['means'], method), digits)}{spread}")
        share = found["seed_share"]
        rows.append((column_of(key).title, *cells, MISSING if share is None else f"{100 * share:.0f} %"))
    titles = ("Column", *methods, "variance of runs that seeds explain")
    return [TextTable(f"{name}, mean ± deviation over seeds", titles, tuple(rows))]
