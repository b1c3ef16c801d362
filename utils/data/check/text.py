"""A check's findings for the terminal."""

from __future__ import annotations

from typing import Any

from measure.io import counted, markdown_table, markdown_text

from .checker import Findings
from .problems import KINDS

__all__ = ["render_text"]

MOST_PROBLEMS = 10  # of one kind that are told
MOST_DUPLICATES = 10  # pairs of different parts that are told


def render_text(findings: Findings) -> str:
    """What there is, what is wrong with it, and what shows the same."""
    blocks = [_table(findings)]
    if findings.counts:
        told = (
            f"  {count.name}: {count.found}{'' if count.agrees else f', published {count.published}'}"
            for count in findings.counts
        )
        blocks.append("\n".join(["Published sets:", *told]))
    if findings.notes:
        blocks.append("\n".join(f"note: {note}" for note in findings.notes))
    blocks += _problems(findings)
    blocks += _duplicates(findings)
    count = len(findings.problems)
    blocks.append(
        f"{counted(findings.pairs, 'pair')} in {findings.seconds:.1f} s: "
        + (counted(count, "problem") if count else "no problem found")
    )
    return "\n\n".join(blocks)


def _table(findings: Findings) -> str:
    titles = ("part", "pairs", "sizes", "image files", "mask files", "empty", "polyp, median", "brightness", "border")
    rows = [
        (
            markdown_text(name),
            str(part["pairs"]),
            _commonest(part["sizes"]),
            _commonest(part["image_kinds"]),
            _commonest(part["mask_kinds"]),
            str(part["masks_empty"]),
            _percent(part["polyp_fraction"]),
            f"{part['brightness']['50%']:.0f}" if part["brightness"] else "",
            _percent(part["border_fraction"]),
        )
        for name, part in findings.parts.items()
    ]
    return markdown_table(titles, rows)


def _commonest(counts: dict[str, int]) -> str:
    """The most common value, and how many others there are."""
    if not counts:
        return ""
    first, *others = counts
    return f"{first} and {counted(len(others), 'other')}" if others else first


def _percent(spread: dict[str, Any]) -> str:
    return f"{spread['50%']:.1%}" if spread else ""


def _problems(findings: Findings) -> list[str]:
    blocks = []
    for kind, title in KINDS.items():
        found = [problem.text for problem in findings.problems if problem.kind == kind]
        if found:
            rest = len(found) - MOST_PROBLEMS
            more = [f"  and {rest} more, see --json"] if rest > 0 else []
            blocks.append("\n".join([f"{title}:", *(f"  {text}" for text in found[:MOST_PROBLEMS]), *more]))
    return blocks


def _duplicates(findings: Findings) -> list[str]:
    across = [pair for pair in findings.duplicates if pair.across]
    within = len(findings.duplicates) - len(across)
    blocks = []
    if across:
        told = [
            f"  {pair.distance:.4f}  {pair.parts[0]}/{pair.first.name}  {pair.parts[1]}/{pair.second.name}"
            for pair in across[:MOST_DUPLICATES]
        ]
        rest = len(across) - len(told)
        more = [f"  and {rest} more, see --json or --html"] if rest > 0 else []
        blocks.append("\n".join(["Nearest images of different parts (distance, 0 for the same):", *told, *more]))
    if within:
        pairs = counted(within, "pair of images within a part shows", "pairs of images within a part show")
        blocks.append(f"note: {pairs} the same, as frames of one sequence do")
    return blocks
