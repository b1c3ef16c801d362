"""What is wrong with data sets before anything is trained on them: faults, duplicates, leaks, and what is in them."""

from measure.io import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "checker": ["DuplicatePair", "Findings", "check_parts"],
        "near_duplicates": ["NEAR"],
        "page": ["render_page"],
        "parts": ["Part", "find_parts_to_check", "parts_of_splits"],
        "problems": ["Problem"],
        "text": ["render_text"],
    },
)
