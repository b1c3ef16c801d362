"""Mixed precision by name."""

from __future__ import annotations

import torch

__all__ = ["autocast"]

AMP_TYPES = {"off": torch.bfloat16, "bf16": torch.bfloat16, "fp16": torch.float16}


def autocast(device: torch.device, amp: str) -> torch.autocast:
    """The context for a network's forward; `amp` is a key of `AMP_TYPES`, "off" changes nothing."""
    return torch.autocast(device.type, AMP_TYPES[amp], enabled=amp != "off")
