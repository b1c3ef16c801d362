"""Published rows as data, the commands that reproduce them, and how far the results lie apart."""

from measure.io import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "comparison": ["compare_rows", "list_rows"],
        "rows": ["PublishedRow", "pick_rows", "read_rows"],
        "run": ["RunOptions", "missing_for", "reproduce_row"],
        "studies": ["STUDIES"],
    },
)
