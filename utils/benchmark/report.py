"""What a benchmark leaves: every number as JSON, a table as Markdown, and the same on the screen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from measure.io import make_folder, replace_when_whole, write_json

from ..runtime import versions
from .timing import device_name

__all__ = ["conditions", "write_report"]


def conditions(device: torch.device, amp: str) -> str:
    """What stands above a table: the device, and the precision that --amp chose."""
    return f"{device_name(device)}, precision {'float32' if amp == 'off' else amp}"


def write_report(out: Path, name: str, *, text: str, device: torch.device, shown: bool = True, **content: Any) -> None:
    """Write `<out>/<name>.json` and `<name>.md`, and print the text where it is to be `shown`.

    Raises:
        InputError: a file cannot be written.
    """
    make_folder(out)
    write_json({"device": device_name(device), **content, "versions": versions()}, out / f"{name}.json")
    with replace_when_whole(out / f"{name}.md") as partial:
        partial.write_text(text)
    if shown:
        print(f"{text}\n{out / name}.json has every number")
