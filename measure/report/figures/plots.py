"""The figures of a report, each as PNG and PDF: curves, Dice against polyp size, bars per case.

matplotlib is needed here and in `contact_sheet.py` alone; tables are written without it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from ...aggregation import SIZE_CLASSES
from ...metrics import HALF_LEVEL
from ..certainty import Comparison
from ..colors import INK, MUTED, line_style, method_color
from ..html_page import ReportImage
from ..representatives import SIZE_KEY, dice_key
from ..tables import Result, dataset_names, score_value
from .forest import comparison_figures
from .plot_style import file_stem, free_path, label, method_legend, quiet_axes, save_figure

__all__ = ["case_figure", "curve_figure", "draw_plots", "size_figure"]

LEVELS = 255 - np.arange(256)
"""Threshold of each curve point, as an 8-bit level: curves run from strict to loose."""

SIZE_BOUNDS = [bound for bound in SIZE_CLASSES.values() if math.isfinite(bound)]

IMAGES_PER_MEDIAN, MEDIANS = 10, 8
"""A point of the trend line is the median of at least so many images; a line has at most so many points."""


def draw_plots(results: Sequence[Result], out: Path, comparison: Comparison | None = None) -> list[ReportImage]:
    """Write every figure the results allow into `out`; list them in reading order, a shared caption once."""
    pictures: list[ReportImage] = []
    for title, text, stem, figure in (*_figures(results), *comparison_figures(results, comparison)):
        path = save_figure(figure, free_path(out / stem, [picture.path for picture in pictures]))
        pictures.append(ReportImage(title, "" if text in {p.caption for p in pictures} else text, path))
    return pictures


def _figures(results: Sequence[Result]) -> Iterator[tuple[str, str, str, Figure]]:
    """Title, caption, file stem and figure of every plot."""
    for name in dataset_names(results):
        if any(result.get("curves", {}).get(name) for result in results):
            yield f"Curves, {name}", _CURVE_TEXT, file_stem("curves", name), curve_figure(results, name)
    if names := [n for n in dataset_names(results) if any(r.get("free_response", {}).get(n) for r in results)]:
        yield "Free response", _RESPONSE_TEXT, "free_response", response_figure(results, names)
    if names := [n for n in dataset_names(results) if any(r.get("reliability", {}).get(n) for r in results)]:
        yield "Reliability", _RELIABILITY_TEXT, "reliability", reliability_figure(results, names)
    if any(_sizes_and_dice(result, name)[0].size for result in results for name in dataset_names(results)):
        yield "Dice against polyp size", _SIZE_TEXT, "dice_by_size", size_figure(results)
    for name in dataset_names(results):
        if any(result.get("per_case", {}).get(name) for result in results):
            yield f"Cases, {name}", _CASE_TEXT, file_stem("cases", name), case_figure(results, name)


_CURVE_TEXT = (
    "Averages over images (video: over frames, then cases) at 256 thresholds. A dot marks each curve's maximum, "
    "which is the max column of the tables. Flat curves belong to maps that are nearly binary."
)
_RESPONSE_TEXT = (
    "Lesions found against false alarms per image, a point per threshold from 0.05 to 0.97 of the saved levels; the "
    "ring marks the one next to 0.5."
)
_RELIABILITY_TEXT = (
    "Of the pixels with a probability as saved, the share that is polyp, in 15 bins; on the diagonal maps are "
    "calibrated, below it they are too sure. The larger the dot, the more pixels (logarithmic)."
)
_SIZE_TEXT = (
    "A dot is an image; a line joins the medians of at most eight groups of equally many images. "
    "Thin vertical lines: 5 % and 20 % of the frame, the bounds of small, medium and large."
)
_CASE_TEXT = "Mean over the frames of each case; cases in the order of the first method's score."


def curve_figure(results: Sequence[Result], name: str) -> Figure:
    """Precision-recall, F, E and (where computed) swept Dice curves of one data set, a line per method."""
    curves = [result.get("curves", {}).get(name) or {} for result in results]
    panels = [panel for panel in _PANELS if any(panel.y in curve for curve in curves)]
    figure = Figure(figsize=(3.3 * len(panels), 3.5), layout="constrained")
    for axes, panel in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        quiet_axes(axes, title=panel.title, x=panel.x_title, y="")
        axes.set(xlim=panel.x_limits, ylim=(0, 1.02))
        for place, curve in enumerate(curves):
            if panel.y in curve:
                _draw_curve(axes, panel, curve, place)
    method_legend(figure, [result["method"] for result in results])
    return figure


@dataclass(frozen=True)
class _Panel:
    """One plot of curves.

    Attributes:
        title: above the plot.
        x: key in `curves` of the horizontal axis; "" for the 8-bit threshold.
        y: key in `curves` of the vertical axis.
        x_title: name of the horizontal axis.
        x_limits: its ends.
    """

    title: str
    x: str
    y: str
    x_title: str
    x_limits: tuple[float, float]


_PANELS = (
    _Panel("Precision over recall", "recall", "precision", "recall", (0, 1.02)),
    _Panel("F-measure (β² = 0.3)", "", "Fm", "threshold (8-bit level)", (0, 255)),
    _Panel("E-measure", "", "Em", "threshold (8-bit level)", (0, 255)),
    _Panel("Dice", "", "Dice", "threshold (8-bit level)", (0, 255)),
)


def _draw_curve(axes: Axes, panel: _Panel, curve: Mapping[str, Sequence[float | None]], place: int) -> None:
    y = np.array(curve[panel.y], dtype=float)
    x = np.array(curve[panel.x], dtype=float) if panel.x else LEVELS
    color = method_color(place)
    axes.plot(x, y, color=color, linestyle=line_style(place), linewidth=1.6)
    if not panel.x and np.isfinite(y).any():
        best = int(np.nanargmax(y))
        axes.plot(x[best], y[best], "o", color=color, markersize=4, markeredgecolor="white", clip_on=False)


def response_figure(results: Sequence[Result], names: Sequence[str]) -> Figure:
    """Free-response curves, a panel per data set and a line per method."""
    figure, panels = _grid(len(names), y_title="lesions found")
    for axes, name in zip(panels, names, strict=True):
        quiet_axes(axes, title=label(name), x="false alarms per image")
        axes.set(ylim=(0, 1.02))
        for place, result in enumerate(results):
            if curve := result.get("free_response", {}).get(name):
                color = method_color(place)
                x, y = (np.array(curve[key], dtype=float) for key in ("alarms_per_image", "sensitivity"))
                axes.plot(x, y, ".", color=color, linestyle=line_style(place), linewidth=1.6, markersize=5)
                half = int(np.argmin(np.abs(np.array(curve["levels"]) - HALF_LEVEL)))
                axes.plot(
                    x[half], y[half], "o", markersize=9, markerfacecolor="none", markeredgecolor=color, clip_on=False
                )
        axes.set_xlim(left=0)
    method_legend(figure, [result["method"] for result in results])
    return figure


def reliability_figure(results: Sequence[Result], names: Sequence[str]) -> Figure:
    """Observed share of polyp against the probability, a panel per data set and a line per method."""
    figure, panels = _grid(len(names), y_title="share that is polyp")
    for axes, name in zip(panels, names, strict=True):
        quiet_axes(axes, title=label(name), x="probability (level / 255)")
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
        axes.plot([0, 1], [0, 1], color=MUTED, linewidth=0.8)
        for place, result in enumerate(results):
            if diagram := result.get("reliability", {}).get(name):
                x, y, pixels = (np.array(diagram[key], dtype=float) for key in ("probability", "observed", "pixels"))
                color = method_color(place)
                axes.plot(x, y, color=color, linestyle=line_style(place), linewidth=1.4)
                axes.scatter(x, y, s=4 + 6 * np.log10(np.maximum(pixels, 1)), color=color, linewidths=0)
    method_legend(figure, [result["method"] for result in results])
    return figure


def size_figure(results: Sequence[Result]) -> Figure:
    """Dice of every image against the polyp's share of the frame (logarithmic), a panel per data set."""
    names = [n for n in dataset_names(results) if any(_sizes_and_dice(r, n)[0].size for r in results)]
    shares = [_sizes_and_dice(result, name)[0] for result in results for name in names]
    smallest = min(share.min() for share in shares if share.size)
    figure, panels = _grid(len(names), y_title=f"{dice_key(results[0])} of the image")
    for axes, name in zip(panels, names, strict=True):
        quiet_axes(axes, title=label(name), x="polyp, share of the frame")
        _share_axis(axes, smallest=smallest)
        for place, result in enumerate(results):
            _draw_sizes(axes, *_sizes_and_dice(result, name), color=method_color(place))
    method_legend(figure, [result["method"] for result in results], lines=False)
    return figure


def _grid(count: int, *, y_title: str) -> tuple[Figure, list[Axes]]:
    """A figure of `count` panels, at most three a row (four stand two by two), sharing the y axis."""
    columns = 2 if count == 4 else min(count, 3)
    rows = math.ceil(count / columns)
    figure = Figure(figsize=(max(7.0, 4.2 * columns), 3.4 * rows + 0.3), layout="constrained")
    panels = list(figure.subplots(rows, columns, squeeze=False, sharey=True).flat)
    figure.supylabel(y_title, fontsize=9, color=MUTED)
    for axes in panels[count:]:
        axes.set_visible(False)
    return figure, panels[:count]


def _share_axis(axes: Axes, *, smallest: float) -> None:
    """A logarithmic axis of percentages with the bounds of small, medium and large."""
    axes.set_xscale("log")
    axes.set(xlim=(0.8 * smallest, 1), ylim=(-0.02, 1.02))
    axes.set_xticks([share for share in (0.0001, 0.001, 0.01, *SIZE_BOUNDS, 1) if share > 0.8 * smallest])
    axes.xaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:g} %"))
    axes.xaxis.set_minor_locator(NullLocator())
    for bound in SIZE_BOUNDS:
        axes.axvline(bound, color=MUTED, linewidth=0.8, alpha=0.6)


def _draw_sizes(axes: Axes, sizes: np.ndarray, dice: np.ndarray, *, color: str) -> None:
    opacity = min(0.35, max(0.06, 5 / math.sqrt(len(sizes) or 1)))
    axes.scatter(sizes, dice, s=9, color=color, alpha=opacity, linewidths=0, rasterized=True)
    groups = min(MEDIANS, len(sizes) // IMAGES_PER_MEDIAN)
    if groups > 2:  # through two medians a straight line would pass for a trend
        bins = np.array_split(np.argsort(sizes, kind="stable"), groups)
        middle = [(np.median(sizes[chosen]), np.median(dice[chosen])) for chosen in bins]
        axes.plot(*zip(*middle, strict=True), color="white", linewidth=3.6)
        axes.plot(*zip(*middle, strict=True), color=color, linewidth=1.8)


def _sizes_and_dice(result: Result, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Shares of the frame and Dice of the images that have both and hold a polyp."""
    key = dice_key(result)
    rows = [(score_value(s, SIZE_KEY), score_value(s, key)) for s in result.get("per_image", {}).get(name, {}).values()]
    pairs = np.array(rows, dtype=float).reshape(-1, 2)
    pairs = pairs[np.isfinite(pairs).all(axis=1) & (pairs[:, 0] > 0)]
    return pairs[:, 0], pairs[:, 1]


def case_figure(results: Sequence[Result], name: str) -> Figure:
    """A group of horizontal bars per case, a bar per method; the first method's best case on top."""
    cases = [result.get("per_case", {}).get(name, {}) for result in results]
    key = dice_key(results[0], level="per_case")
    names = list(dict.fromkeys(case for scores in cases for case in scores))
    names.sort(key=lambda case: np.nan_to_num(score_value(cases[0].get(case), key), nan=-1.0))
    figure = Figure(figsize=(8.5, 1.3 + len(names) * (0.1 * len(results) + 0.1)), layout="constrained")
    axes = figure.subplots()
    quiet_axes(axes, title=label(name), x=f"{key} of the case")
    thickness = 0.8 / len(results)
    for place, scores in enumerate(cases):
        middles = np.arange(len(names)) + 0.4 - thickness * (place + 0.5)
        values = np.nan_to_num([score_value(scores.get(case), key) for case in names])
        axes.barh(middles, values, thickness * 0.9, color=method_color(place))
    axes.set_yticks(range(len(names)), [label(case) for case in names])
    axes.set(xlim=(0, 1), ylim=(-0.7, len(names) - 0.3))
    axes.tick_params(axis="y", labelcolor=INK)
    axes.grid(visible=False, axis="y")
    method_legend(figure, [result["method"] for result in results], lines=False)
    return figure
