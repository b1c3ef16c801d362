"""What a scoring run leaves to read: tables, plots, contact sheets, one page."""

from ..io import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "certainty": ["Comparison"],
        "columns": ["OVERLAP_PAIRS", "is_share", "mean_metrics"],
        "dice_definitions": ["definitions_table"],
        "representatives": ["dice_key"],
        "sanity": ["cautions"],
        "table_files": ["average_table", "headline_table", "write_tables"],
        "tables": ["Result", "kind_of", "metric_keys", "score_value"],
        "write": ["remove_figures", "write_reports"],
    },
)
