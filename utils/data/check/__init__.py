"""What is wrong with data sets before anything is trained on them: faults, duplicates, leaks, and what is in them."""

from .checker import DuplicatePair, Findings, check_parts
from .near_duplicates import NEAR
from .page import render_page
from .parts import Part, find_parts_to_check, parts_of_splits
from .problems import Problem
from .text import render_text

__all__ = [
    "NEAR",
    "DuplicatePair",
    "Findings",
    "Part",
    "Problem",
    "check_parts",
    "find_parts_to_check",
    "parts_of_splits",
    "render_page",
    "render_text",
]
