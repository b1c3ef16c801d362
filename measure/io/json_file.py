"""`scores.json`: plain JSON, in which NaN is null, written whole or not at all."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from .atomic_write import replace_when_whole

__all__ = ["write_json"]


def write_json(value: Any, path: str | Path) -> None:
    """Write dictionaries, lists, strings and numbers in full precision.

    Raises:
        InputError: the file cannot be written.
    """
    with replace_when_whole(path) as partial, partial.open("w", encoding="utf-8") as file:
        json.dump(_without_nan(value), file, indent=1, ensure_ascii=False, allow_nan=False)
        file.write("\n")


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_without_nan(inner) for inner in value]
    return None if isinstance(value, float) and math.isnan(value) else value
