"""Saved 8-bit prediction maps in, the numbers papers print out: numpy, scipy and opencv, no torch."""

from .io import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__, {"io": ["InputError"], "options": ["Options"], "scoring": ["score_folder"]}
)
