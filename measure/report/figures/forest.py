"""Pictures of a comparison: differences with their intervals, and mean ranks with what is not told apart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ..certainty import Comparison
from ..colors import INK, MUTED, method_color
from ..columns import column_of
from ..representatives import dice_key
from ..tables import Result
from .plot_style import file_stem, label, quiet_axes

__all__ = ["comparison_figures", "forest_figure", "rank_figure"]

MOST_PAIRS = 30
"""Rows of a forest plot; with more methods, only the pairs with the first one are drawn."""


def comparison_figures(
    results: Sequence[Result], comparison: Comparison | None
) -> Iterator[tuple[str, str, str, Figure]]:
    """Title, caption, file stem and figure of every picture; of the Dice that ranks images alone."""
    if not comparison or not comparison["metrics"]:
        return
    usual = dice_key(results[0])
    key = usual if usual in comparison["metrics"] else comparison["metrics"][0]
    for name in comparison["units"]:
        if pairs := _pairs_of(comparison, name, key):
            yield f"Differences, {name}", _FOREST_TEXT, file_stem("differences", name), forest_figure(pairs, name)
        if len(comparison["ranks"].get(name, {}).get(key, {}).get("methods", ())) > 2:
            figure = rank_figure(comparison, name, key, [result["method"] for result in results])
            yield f"Ranks, {name}", _RANK_TEXT, file_stem("ranks", name), figure


_FOREST_TEXT = (
    "A dot is the difference of two methods' means on the same images, the line its 95 % bootstrap interval. Filled: "
    "the interval leaves out 0; hollow: the two are not told apart."
)
_RANK_TEXT = (
    "A dot is a method's rank, the line where 95 % of the resamples put it. Bars on the right join methods that are "
    "not told apart: the interval of their difference holds 0."
)


def _pairs_of(comparison: Comparison, name: str, key: str) -> list[Mapping[str, Any]]:
    pairs = [p for p in comparison["pairs"] if p["dataset"] == name and p["metric"] == key and p["interval"]]
    return pairs if len(pairs) <= MOST_PAIRS else [pair for pair in pairs if pair["a"] == pairs[0]["a"]][:MOST_PAIRS]


def forest_figure(pairs: Sequence[Mapping[str, Any]], name: str) -> Figure:
    """A row per pair of methods: the difference and its interval, and a line at 0."""
    figure = Figure(figsize=(8.0, 1.1 + 0.3 * len(pairs)), layout="constrained")
    axes = figure.subplots()
    column = column_of(pairs[0]["metric"])
    better = "right of 0 the first is better" if column.higher_is_better else "left of 0 the first is better"
    quiet_axes(axes, title=label(name), x=f"difference in {column.key}; {better}")
    for row, pair in enumerate(reversed(pairs)):
        low, high = pair["interval"]
        certain = not low <= 0 <= high
        color = INK if certain else MUTED
        axes.plot([low, high], [row, row], color=color, linewidth=1.6, solid_capstyle="round")
        axes.plot(
            pair["difference"], row, "o", markersize=6, color=color if certain else "white", markeredgecolor=color
        )
    axes.axvline(0, color=MUTED, linewidth=0.8)
    axes.set_yticks(range(len(pairs)), [label(f"{p['a']} - {p['b']}") for p in reversed(pairs)], fontsize=9)
    axes.set_ylim(-0.6, len(pairs) - 0.4)
    axes.tick_params(axis="y", labelcolor=INK)
    axes.grid(visible=False, axis="y")
    return figure


def rank_figure(comparison: Comparison, name: str, key: str, order: Sequence[str]) -> Figure:
    """A row per method, the best on top, with bars that join methods that are not told apart."""
    ranks = comparison["ranks"][name][key]["methods"]
    methods = sorted(ranks, key=lambda method: ranks[method]["rank"])
    joined = _joined(comparison, name, key, methods)
    figure = Figure(figsize=(7.0, 1.1 + 0.32 * len(methods)), layout="constrained")
    axes = figure.subplots()
    quiet_axes(axes, title=label(name), x=f"rank by {key}")
    for row, method in enumerate(methods):
        color = method_color(order.index(method))
        axes.plot(ranks[method]["interval"], [row, row], color=color, linewidth=2, solid_capstyle="round")
        axes.plot(ranks[method]["rank"], row, "o", color=color, markersize=7)
    edge = len(methods) + 0.5
    for place, (first, last) in enumerate(joined):
        axes.plot([edge + 0.18 * place] * 2, [first - 0.15, last + 0.15], color=INK, linewidth=3, solid_capstyle="butt")
    axes.set(xlim=(0.7, edge + 0.18 * len(joined)), ylim=(len(methods) - 0.4, -0.6))
    axes.set_xticks(np.arange(1, len(methods) + 1))
    axes.set_yticks(range(len(methods)), [label(method) for method in methods], fontsize=9)
    axes.tick_params(axis="y", labelcolor=INK)
    axes.grid(visible=False, axis="y")
    return figure


def _joined(comparison: Comparison, name: str, key: str, methods: Sequence[str]) -> list[tuple[int, int]]:
    """Runs of places, first and last, in which no two methods are told apart; those within a longer run left out."""
    apart = set()
    for pair in comparison["pairs"]:
        if pair["dataset"] == name and pair["metric"] == key and pair["interval"]:
            if not pair["interval"][0] <= 0 <= pair["interval"][1]:
                apart |= {(pair["a"], pair["b"]), (pair["b"], pair["a"])}
    runs: list[tuple[int, int]] = []
    for first in range(len(methods)):
        last = first
        while last + 1 < len(methods) and all((m, methods[last + 1]) not in apart for m in methods[first : last + 1]):
            last += 1
        if last > first and (not runs or last > runs[-1][1]):
            runs.append((first, last))
    return runs
