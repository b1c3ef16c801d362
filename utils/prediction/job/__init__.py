"""What myTest.py does, from its options to files, a record beside them and a line on the terminal."""

from measure.io import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(__name__, {"start": ["predict"]})
