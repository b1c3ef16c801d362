"""Prediction maps in, the numbers papers print out: `score_folder` for files, `score_pair`, `ScoreSet` for arrays."""

from .io import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "aggregation": ["size_class"],
        "arrays": ["ScoreSet", "score_pair"],
        "io": ["InputError"],
        "options": ["Options"],
        "scoring": ["score_folder"],
    },
)
