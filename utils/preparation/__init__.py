"""From the downloads of published data sets, or annotations of other tools, to the layout that all commands read."""

from measure.io import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "layout": ["lay_out_set"],
        "samples": ["clip_targets", "place", "place_clips"],
        "sources": ["ANNOTATION_TOOLS", "SOURCES", "Finder", "Source", "source_of"],
        "sun_seg": ["assemble"],
    },
)
