"""How fast things are: `python -m utils benchmark VERB`, one module a verb; `timing` says how times are taken."""
