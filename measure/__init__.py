"""Saved 8-bit prediction maps in, the numbers papers print out: numpy, scipy and opencv, no torch."""

from __future__ import annotations

from .io import InputError
from .options import Options
from .scoring import score_folder

__all__ = ["InputError", "Options", "score_folder"]
