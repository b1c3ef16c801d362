"""What prediction writes: maps, masks, overlays, outlines and boxes, a table, heat maps, videos."""

from measure.io import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "files": ["ImageFiles", "Places"],
        "heatmaps": ["HEAT_FOLDER", "heats_of", "recorded"],
        "regions": ["Region", "cut", "find_regions"],
        "smoothing": ["TemporalAverage"],
        "thresholds": ["best_threshold"],
        "video_writer": ["VideoWriter", "has_h264"],
    },
)
