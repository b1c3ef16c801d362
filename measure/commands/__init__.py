"""The command lines of `python -m measure`."""
