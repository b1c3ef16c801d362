"""Memory of a command's tensors on a CPU: kept for the next tensor, not handed back to the system after each.

glibc returns the free end of its memory to the kernel and maps large blocks one by one; the kernel clears every page
again before the next tensor gets it. How often that happens depends on what lies where: at 352 x 352 a training step of
SEPNet asked for none or for 55,000 to 150,000 pages, 5 to 12 % of its processor time.
"""

from __future__ import annotations

import ctypes
import os
import platform
from collections.abc import Mapping

__all__ = ["keep_freed_memory"]

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # parameters of mallopt, from glibc's malloc.h
NEVER = -1
LARGEST_KEPT = 2**30  # bytes of a block; what is larger (a data set, hardly a tensor) still goes back
OWN_SETTINGS = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES")  # read by glibc as it starts


def keep_freed_memory(environment: Mapping[str, str] = os.environ) -> bool:
    """Let this process keep the memory that it frees, up to the most it has held at a time. Results do not change.

    Returns:
        Whether it does. It does not, and nothing is changed, where the C library is not glibc (macOS, Windows, musl) or
        the user's `environment` sets glibc's thresholds.
    """
    if platform.libc_ver()[0] != "glibc" or any(name in environment for name in OWN_SETTINGS):
        return False
    set_parameter = ctypes.CDLL(None).mallopt
    return bool(set_parameter(M_MMAP_THRESHOLD, LARGEST_KEPT) and set_parameter(M_TRIM_THRESHOLD, NEVER))
