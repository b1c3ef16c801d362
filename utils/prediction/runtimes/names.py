"""What runs a network, and the packages it needs. No PyTorch is needed."""

from __future__ import annotations

from importlib.util import find_spec

from measure.io import InputError

__all__ = ["RUNTIMES", "check_runtime", "has_packages", "needed"]

RUNTIMES = ("auto", "torch", "onnxruntime", "openvino")
PACKAGES = {"onnxruntime": ("onnx", "onnxruntime"), "openvino": ("openvino",)}


def check_runtime(runtime: str) -> None:
    """Refuse what runs no network here, before one is read.

    Raises:
        InputError: an unknown name (the known ones are listed), or one that is not installed.
    """
    if runtime not in RUNTIMES:
        raise InputError(f"the runtime {runtime!r} was asked for; there are {', '.join(RUNTIMES)}")
    needed(f"--runtime {runtime}", *PACKAGES.get(runtime, ()))


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
