"""The colors of every picture: one per method, and those of right and wrong pixels.

The method colors are Okabe and Ito's set (2008), told apart with every common form of color blindness; line styles
repeat the difference for grey prints. False positives are yellow and false negatives blue, a pair that stays apart on
grey, while red and green would neither be told apart by everyone nor stand out on mucosa.
"""

from __future__ import annotations

__all__ = [
    "FALSE_NEGATIVE",
    "FALSE_POSITIVE",
    "INK",
    "MUTED",
    "RULE",
    "TRUE_POSITIVE",
    "line_style",
    "method_color",
]

INK, MUTED, RULE = "#1f2933", "#66727f", "#dfe4ea"

TRUE_POSITIVE = "#ffffff"
FALSE_POSITIVE = "#ffc20a"
FALSE_NEGATIVE = "#0c7bdc"

_METHODS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#4d4d4d")
_STYLES = ("-", "--", "-.", ":")


def method_color(position: int) -> str:
    """Color of the method at `position` in the list of results; the seventh is followed by the first again."""
    return _METHODS[position % len(_METHODS)]


def line_style(position: int) -> str:
    """Line style of the method at `position`, so that color is never the only difference."""
    return _STYLES[position % len(_STYLES)]
