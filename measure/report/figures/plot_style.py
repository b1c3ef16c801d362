"""What all figures share: quiet axes, safe labels, and saving as PNG and PDF.

Only `Figure` objects are used, never pyplot: no window system is touched and no global state is left behind.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Sequence
from itertools import chain, count
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ...io import replace_when_whole
from ..colors import INK, MUTED, RULE, line_style, method_color

__all__ = ["file_stem", "free_path", "label", "method_legend", "quiet_axes", "save_figure"]

PNG_DOTS_PER_INCH = 160


def label(text: str) -> str:
    """Any name as a label: dollar signs do not start mathematics, a leading underscore does not hide it."""
    text = " ".join(text.split()).replace("$", r"\$")
    return f"\u200b{text}" if text.startswith("_") else text


def file_stem(*parts: str) -> str:
    """Names joined to a file stem: letters and digits of any script, dots and dashes; anything else a dash."""
    return "_".join(re.sub(r"[^\w.-]+", "-", part).strip("-.") for part in parts)


def free_path(stem: Path, taken: Iterable[Path]) -> Path:
    """`stem`, or `stem-2`, `stem-3` ... where names that differ only in odd characters meet.

    Args:
        taken: files already written; letters of either case count as one, as on Windows and macOS.
    """
    names = {path.stem.lower() for path in taken}
    numbered = (stem.with_name(f"{stem.name}-{number}") for number in count(2))
    return next(path for path in chain([stem], numbered) if path.name.lower() not in names)


def quiet_axes(axes: Axes, *, title: str = "", x: str = "", y: str = "") -> None:
    """Two thin spines, a light grid behind the data, small grey ticks."""
    axes.set_title(title, fontsize=10, color=INK, loc="left", pad=8)
    axes.set_xlabel(x, fontsize=9, color=MUTED)
    axes.set_ylabel(y, fontsize=9, color=MUTED)
    axes.tick_params(labelsize=8, colors=MUTED, length=0)
    axes.grid(color=RULE, linewidth=0.7)
    axes.set_axisbelow(True)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set(color=RULE, linewidth=1)


def method_legend(figure: Figure, methods: Sequence[str], *, lines: bool = True) -> None:
    """One legend for the whole figure, on top, a method after the other; `lines` shows line styles, else squares."""
    handles = [
        Line2D([], [], color=method_color(i), linestyle=line_style(i), linewidth=2)
        if lines
        else Line2D([], [], color=method_color(i), linestyle="", marker="s", markersize=7)
        for i in range(len(methods))
    ]
    names = [label(method) for method in methods]
    figure.legend(
        handles,
        names,
        loc="outside upper right",
        ncols=min(len(methods), 4),
        frameon=False,
        fontsize=9,
        labelcolor=INK,
        handlelength=2.4 if lines else 1.0,
    )


def save_figure(figure: Figure, stem: Path) -> Path:
    """Write `<stem>.png` and `<stem>.pdf`, each whole or not at all, and return the path of the PNG."""
    with warnings.catch_warnings():
        # a name in a script the font lacks is drawn as boxes; the tables carry it in full
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        for suffix, metadata in ((".pdf", {"CreationDate": None}), (".png", {})):
            with replace_when_whole(stem.with_name(stem.name + suffix)) as partial:
                figure.savefig(partial, dpi=PNG_DOTS_PER_INCH, metadata=metadata, facecolor="white")
    return stem.with_name(stem.name + ".png")
