"""Which code, libraries and machine produced a result; recorded beside every result."""

from __future__ import annotations

import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from .process_group import world

__all__ = ["machine", "revision", "versions"]

PATIENCE = 10  # seconds for git on a slow file system


def versions() -> dict[str, str]:
    """Versions of Python and of every library that can change a number."""
    return {
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        **{name: metadata.version(name) for name in ("torchvision", "timm")},  # without the seconds of importing them
        "numpy": np.__version__,
        "opencv": cv2.__version__,
        "cuda": torch.version.cuda or "none",
        "cudnn": str(torch.backends.cudnn.version() or "none"),
        "machine": platform.platform(),
    }


def revision(file: str | Path = __file__) -> dict[str, Any] | None:
    """The git commit that the code around `file` is of, and whether tracked files differ from it.

    Returns:
        {"commit": ..., "dirty": ...}; None outside a clone, for a copy that its surrounding repository does not
        track, and where git is missing.
    """
    folder = Path(file).resolve().parent
    if git(folder, "ls-files", "--error-unmatch", str(file)) is None:
        return None
    commit, changes = git(folder, "rev-parse", "HEAD"), git(folder, "status", "--porcelain", "--untracked-files=no")
    return None if commit is None else {"commit": commit, "dirty": changes != ""}


def git(folder: Path, *words: str) -> str | None:
    """What a git command prints; None where it fails or git is missing."""
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *words], capture_output=True, text=True, timeout=PATIENCE, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def machine(device: torch.device) -> dict[str, Any]:
    """Describe the device, and the settings of the machine that can change the bits of a run.

    Returns:
        {"device": "cpu" or "cuda", "name": of the GPU or CPU, "threads": of PyTorch, "processes": of the run}.
    """
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else processor()
    return {
        "device": device.type,
        "name": name,
        "threads": torch.get_num_threads(),
        "processes": world().size,
    }


def processor() -> str:
    """The name of the CPU."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:  # not Linux
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())
