"""How certain scores are: bootstrap intervals, paired tests, ranks, seeds, and the comparison of methods by them."""

from ..io import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "bootstrap": ["FEWEST_UNITS", "Bootstrap", "bca_intervals"],
        "comparison": ["compare_methods", "told_apart"],
        "paired": ["holm", "paired_test"],
        "ranking": ["Ranks", "bootstrap_ranks"],
        "seeds": ["seed_effect"],
    },
)
