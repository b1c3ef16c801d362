"""How certain scores are: bootstrap intervals, paired tests, ranks, seeds; from arrays alone."""

from ..io import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "bootstrap": ["FEWEST_UNITS", "Bootstrap", "bca_intervals"],
        "paired": ["PairedTest", "holm", "paired_test"],
        "ranking": ["Ranks", "bootstrap_ranks"],
        "seeds": ["SeedEffect", "seed_effect"],
    },
)
