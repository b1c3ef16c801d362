"""What a check can find."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["KINDS", "Problem"]

# what each kind of problem means, as it heads the page
KINDS: dict[str, str] = {
    "missing mask": "Images without a mask",
    "missing image": "Masks without an image",
    "unreadable": "Files that cannot be read",
    "size": "Pairs of two sizes",
    "orientation": "Pairs that viewers turn differently",
    "mask": "Masks whose values nobody can tell",
    "mixed masks": "Masks of two kinds in one part",
    "doubtful masks": "Parts whose masks show hardly anything, or too much",
    "count": "Parts that are not as published",
    "duplicate": "Files that are there twice",
    "leak": "Parts that show the same images",
    "shared group": "Parts with frames of one patient or sequence",
}


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        kind: one of `KINDS`.
        text: what it is, in a sentence.
        files: the files it is about.
    """

    kind: str
    text: str
    files: tuple[Path, ...] = ()

    def as_plain(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {"kind": self.kind, "files": list(map(str, self.files)), "text": self.text}
