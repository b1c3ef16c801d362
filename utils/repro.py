"""What a run is made of: versions and machine, recorded beside every result."""

from __future__ import annotations

import platform

import cv2
import numpy as np
import timm
import torch

__all__ = ["versions"]


def versions() -> dict[str, str]:
    """Versions of Python and of every library that can change a number."""
    return {
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "timm": timm.__version__,
        "numpy": np.__version__,
        "opencv": cv2.__version__,
        "machine": platform.platform(),
    }
