"""The figures of a report, drawn with matplotlib: plots, contact sheets, comparisons."""
