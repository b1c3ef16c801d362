"""Which names belong together: groups (patients, sequences) from a file or a pattern.

A name in no group stands alone.
"""

from __future__ import annotations

import argparse
import itertools
import re
import reprlib
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path

from .command_line import nonempty
from .command_line import path as path_type
from .errors import InputError
from .pairing import IMAGE_SUFFIXES

__all__ = [
    "GroupOf",
    "add_group_flags",
    "group_reader",
    "group_reading",
    "name_without_suffix",
    "pattern_reader",
    "text_lines",
]

GroupOf = Callable[[str], str | None]  # the group of a name; None: it is in no group


def add_group_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags that `group_reading` reads."""
    groups = parser.add_mutually_exclusive_group()
    groups.add_argument(
        "--groups",
        type=path_type,
        help="file of `name,group` lines, or of `first last` ranges of numbered names; a name in none stands alone",
    )
    groups.add_argument(
        "--group_pattern", type=nonempty, help="regular expression that finds the group in a name, as '^case\\d+'"
    )


def group_reading(groups: str | Path | None, group_pattern: str | None) -> GroupOf:
    """The function that the flags ask for: name -> its group, None where it is in none.

    Raises:
        InputError: the file or the pattern cannot be read.
    """
    if groups:
        return group_reader(groups)
    return pattern_reader(group_pattern) if group_pattern else lambda name: None


def group_reader(path: str | Path) -> GroupOf:
    """Read groups from a file: lines `name,group`, or `first last` for a range of numbers that are names.

    A name that the file does not speak of is in no group; a range is called `first-last`.

    Raises:
        InputError: the file cannot be read, holds another kind of line, or puts a name into two groups.
    """
    named: dict[str, str] = {}
    ranges: list[tuple[int, int]] = []
    for line in text_lines(path):
        if form := re.fullmatch(r"(\d{1,18})\s+(\d{1,18})", line):
            ranges.append((int(form[1]), int(form[2])))
        elif form := re.fullmatch(r"([^,]*[^,\s])\s*,\s*([^,]+)", line):
            name, group = name_without_suffix(form[1]), form[2]
            if named.setdefault(name, group) != group:
                raise InputError(f"{path} puts {name} into two groups, {named[name]} and {group}; keep one")
        else:
            raise InputError(f"{path}: {reprlib.repr(line)} is neither `name,group` nor `first last`, two numbers")
    _check_ranges(sorted(ranges), path)

    def group_of(name: str) -> str | None:
        if name.isdecimal():
            for first, last in ranges:
                if first <= int(name) <= last:
                    return f"{first}-{last}"
        return named.get(name)

    return group_of


def _check_ranges(ranges: Sequence[tuple[int, int]], path: str | Path) -> None:
    """Refuse ranges that end before they begin or share numbers; they are sorted by their first one."""
    for first, last in ranges:
        if last < first:
            raise InputError(f"{path}: the range {first} {last} ends before it begins; write {last} {first}")
    for (first, last), (following, end) in itertools.pairwise(ranges):
        if following <= last:
            raise InputError(f"{path}: the ranges {first} {last} and {following} {end} share numbers; make them apart")


def pattern_reader(pattern: str) -> GroupOf:
    """Take what the pattern's first bracket (or the whole pattern) finds in a name as its group; nothing is none.

    Raises:
        InputError: it is no regular expression.
    """
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise InputError(f"--group_pattern {pattern!r} is no regular expression ({error})") from error

    def group_of(name: str) -> str | None:
        found = compiled.search(name)
        return found[min(1, compiled.groups)] or None if found else None

    return group_of


def text_lines(path: str | Path) -> list[str]:
    """Lines of a text file without spaces around them; empty ones and comments (#) are passed over.

    Raises:
        InputError: the file cannot be read.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text in UTF-8"
        raise InputError(f"cannot read {path} ({reason}); expected a text file with a name a line") from error
    return [line for line in map(str.strip, lines) if line and not line.startswith("#")]


def name_without_suffix(name: str) -> str:
    """A name as stems are spelled: without an image's suffix, composed letters."""
    name = unicodedata.normalize("NFC", name)
    return Path(name).stem if name.lower().endswith(IMAGE_SUFFIXES) else name
