"""Images that show what a network sees: outlines of masks and maps, samples side by side."""

from measure.io import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "montage": ["draw_comparison", "draw_montage"],
        "overlays": ["MAP_COLOR", "draw_heat", "draw_prediction"],
    },
)
