"""What a scoring run leaves to read: tables, plots, contact sheets, one page."""

from .dice_definitions import definitions_table
from .representatives import dice_key
from .tables import Result, aligned, number
from .write import markdown_table, write_reports, write_tables

__all__ = [
    "Result",
    "aligned",
    "definitions_table",
    "dice_key",
    "markdown_table",
    "number",
    "write_reports",
    "write_tables",
]
