"""Scores of a network on held-out data while it trains."""

from measure.io import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "classes": ["ClassValidation"],
        "clips": ["ClipValidation"],
        "images": ["ImageValidation", "Validation"],
    },
)
