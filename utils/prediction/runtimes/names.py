"""What runs a network, and the packages it needs. No PyTorch is needed."""

from __future__ import annotations

from importlib.util import find_spec

from measure.io import InputError

__all__ = ["RUNTIMES", "has_packages", "needed"]

RUNTIMES = ("auto", "torch", "onnxruntime", "openvino")


def has_packages(*packages: str) -> bool:
    """Whether packages are installed."""
    return all(find_spec(package) is not None for package in packages)


def needed(purpose: str, *packages: str) -> None:
    """Refuse where a package that a purpose needs is not installed.

    Raises:
        InputError: the packages that are missing, and how to get them.
    """
    missing = [package for package in packages if not has_packages(package)]
    if missing:
        how = f"pip install {' '.join(missing)}, or leave it out"
        raise InputError(f"{purpose} needs {' and '.join(missing)}, not installed here; {how}")
