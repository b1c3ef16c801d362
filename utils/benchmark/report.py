"""What a benchmark leaves: every number as JSON, a table as Markdown, and the same on the screen."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol

import torch

from measure.io import make_folder, replace_when_whole, write_json

from ..runtime import versions
from .timing import device_name

__all__ = ["conditions", "unrecorded", "write_report"]


def conditions(device: torch.device, amp: str) -> str:
    """What stands above a table: the device, and the precision that --amp chose."""
    return f"{device_name(device)}, precision {'float32' if amp == 'off' else amp}"


class Row(Protocol):
    """What a table tells of a network.

    Attributes:
        model: its name.
        not_recorded: why its times are without CUDA graphs; "" where nothing went wrong.
    """

    model: str
    not_recorded: str


def unrecorded(rows: Iterable[Row]) -> str:
    """The lines below a table about networks whose times are without the CUDA graphs that were asked for."""
    told = ((row.model, row.not_recorded) for row in rows if row.not_recorded)
    return "".join(f"\n{model}: these times are without CUDA graphs: {reason}\n" for model, reason in told)


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
