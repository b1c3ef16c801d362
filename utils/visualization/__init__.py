"""Pictures of what a network sees."""

from measure.io import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "montage": ["draw_montage"],
        "overlays": ["MAP_COLOUR", "draw", "draw_outline"],
    },
)
