"""A look at whole data sets: every pair by the checks of training, then what pairs have to do with one another."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from measure.io import Classes, available_cores, counted, first_names, mask_notes, one_thread

from ..inspection import ALMOST_ALL, DataFault, check_pair, open_image, refuse_mixed_masks
from ..pairs import Pair
from ..published_sets import Count, compare_counts
from .near_duplicates import NEAR, Duplicate, find_duplicates
from .parts import Part
from .problems import Problem
from .statistics import PairStatistics, measure_pair, summarize_part

__all__ = ["DuplicatePair", "Findings", "check_parts"]

MOST_LISTED = 10_000  # duplicates in a report; a set with more is a video, or one of two that are the same


@dataclass(frozen=True)
class DuplicatePair:
    """Two images that show the same.

    Attributes:
        first: path of one.
        second: path of the other.
        parts: the names of their parts.
        distance: see `near_duplicates`.
        exact: whether the files' bytes are equal.
    """

    first: Path
    second: Path
    parts: tuple[str, str]
    distance: float
    exact: bool

    @property
    def across(self) -> bool:
        """Whether the images are in different parts."""
        return self.parts[0] != self.parts[1]


@dataclass(frozen=True)
class Findings:
    """What a check found.

    Attributes:
        pairs: how many pairs there are.
        problems: what is wrong.
        notes: what a reader should know.
        duplicates: images that show the same, those of different parts first, then by distance.
        parts: a summary of each part, see `summarize_part`.
        counts: published numbers beside what was found.
        seconds: how long it took.
    """

    pairs: int
    problems: list[Problem]
    notes: list[str]
    duplicates: list[DuplicatePair]
    parts: dict[str, dict[str, Any]]
    counts: list[Count]
    seconds: float

    def as_plain(self) -> dict[str, Any]:
        """As JSON holds it."""
        listed = self.duplicates[:MOST_LISTED]
        return {
            "pairs": self.pairs,
            "problems": [problem.as_plain() for problem in self.problems],
            "duplicates": [
                {
                    "a": str(pair.first),
                    "b": str(pair.second),
                    "distance": pair.distance,
                    "exact": pair.exact,
                    "parts": list(pair.parts),
                }
                for pair in listed
            ],
            "duplicates_left_out": len(self.duplicates) - len(listed),
            "notes": self.notes,
            "parts": self.parts,
            "counts": [vars(count) for count in self.counts],
            "seconds": round(self.seconds, 2),
        }


def check_parts(parts: Sequence[Part], *, classes: Classes | None = None, distance: float = NEAR) -> Findings:
    """Check parts, each by itself and against one another.

    Args:
        parts: of different names.
        classes: what the values of masks stand for; None: masks show polyp alone.
        distance: up to which two images show the same.
    """
    started = time.perf_counter()
    problems = [problem for part in parts for problem in part.problems]
    notes: list[str] = []
    measured: dict[str, dict[Pair, PairStatistics]] = {}
    for part in parts:
        found = list(zip(part.pairs, _look_at(part, classes), strict=True))
        problems += [problem for _, problem in found if isinstance(problem, Problem)]
        whole = {pair: facts for pair, facts in found if isinstance(facts, PairStatistics)}
        measured[part.name] = whole
        problems += _doubts(part.name, whole, notes)
    duplicates = _duplicates(parts, measured, distance)
    problems += [*_copies(duplicates), *_leaks(duplicates), *_shared_groups(parts)]
    counts = _counts(parts)
    problems += [
        Problem("count", f"{count.name} has {count.found}; {count.published} are published")
        for count in counts
        if not count.agrees
    ]
    return Findings(
        pairs=sum(len(part.pairs) for part in parts),
        problems=problems,
        notes=notes,
        duplicates=duplicates,
        parts={
            part.name: {"folder": str(part.folder), "pairs": len(part.pairs)}
            | summarize_part(list(measured[part.name].values()))
            for part in parts
        },
        counts=counts,
        seconds=time.perf_counter() - started,
    )


def _look_at(part: Part, classes: Classes | None) -> Iterator[PairStatistics | Problem]:
    """Yield what was measured of each pair, or what is wrong with it."""

    def look(pair: Pair) -> PairStatistics | Problem:
        try:
            image, mask = open_image(pair.image), open_image(pair.mask)
            return measure_pair(image, mask, check_pair(pair, image, mask, classes))
        except DataFault as fault:
            return Problem(fault.kind, str(fault), fault.files)

    with one_thread(), ThreadPoolExecutor(available_cores()) as pool:
        found = pool.map(look, part.pairs)
        yield from tqdm(found, desc=part.name, total=len(part.pairs), unit="pair", disable=None, leave=False)


def _doubts(name: str, measured: Mapping[Pair, PairStatistics], notes: list[str]) -> Iterator[Problem]:
    """Problems of a part's masks taken together; what is no more than remarkable is added to `notes`."""
    masks, facts = list(measured), list(measured.values())
    try:
        refuse_mixed_masks(name, masks, facts)
    except DataFault as fault:
        yield Problem(fault.kind, str(fault), fault.files)
    zero_one = sum(found.zero_one for found in facts)
    empty, full = sum(found.polyp == 0 for found in facts), sum(found.polyp > ALMOST_ALL for found in facts)
    notes += [f"{name}: {note}" for note in mask_notes(masks=len(masks), zero_one=zero_one)]
    large = sum(found.polyp > 0.5 for found in facts)
    doubts = mask_notes(masks=len(masks), empty=empty, full=full, large=large)
    yield from (Problem("doubtful masks", f"{name}: {doubt}") for doubt in doubts)


def _duplicates(
    parts: Sequence[Part], measured: Mapping[str, Mapping[Pair, PairStatistics]], distance: float
) -> list[DuplicatePair]:
    rows = [
        (part, pair, clip and f"{part.name}/{clip}", measured[part.name][pair])
        for part in parts
        for pair, clip in zip(part.pairs, part.clips, strict=True)
        if pair in measured[part.name]
    ]
    if not rows:
        return []
    signatures = np.stack([facts.signature for *_, facts in rows])
    found = find_duplicates(
        signatures, [facts.hash for *_, facts in rows], [clip for _, _, clip, _ in rows], distance=distance
    )
    return sorted((_named(one, rows) for one in found), key=lambda pair: (not pair.across, pair.distance))


def _named(found: Duplicate, rows: Sequence[tuple[Part, Pair, Any, Any]]) -> DuplicatePair:
    (part, pair, *_), (other_part, other, *_) = rows[found.first], rows[found.second]
    return DuplicatePair(pair.image, other.image, (part.name, other_part.name), found.distance, found.exact)


def _copies(duplicates: Sequence[DuplicatePair]) -> Iterator[Problem]:
    """Equal files within a part."""
    copies = [pair for pair in duplicates if pair.exact and not pair.across]
    for (name, _), pairs in _grouped(copies, lambda pair: pair.parts).items():
        files = tuple(dict.fromkeys(path for pair in pairs for path in (pair.first, pair.second)))
        text = f"{name}: {len(files)} images are copies of one another, first: {_first(files)}"
        yield Problem("duplicate", text, files)


def _leaks(duplicates: Sequence[DuplicatePair]) -> Iterator[Problem]:
    """Images of one part that show what images of another one show."""
    for (name, other), pairs in _grouped([d for d in duplicates if d.across], lambda pair: pair.parts).items():
        files = tuple(dict.fromkeys(pair.second for pair in pairs))
        exact = sum(pair.exact for pair in pairs)
        copies = f", {exact} of the pairs copies" if exact else ""
        yield Problem(
            "leak",
            f"{counted(len(files), f'image of {other} shows', f'images of {other} show')} the same as images of {name} "
            f"({counted(len(pairs), 'pair')} up to a distance of {max(pair.distance for pair in pairs):g}{copies}), "
            f"first: {_first(files)}",
            files,
        )


def _shared_groups(parts: Sequence[Part]) -> Iterator[Problem]:
    """Groups with images in two parts."""
    for place, part in enumerate(parts):
        for other in parts[place + 1 :]:
            shared = [group for group in dict.fromkeys(other.groups) if group is not None and group in set(part.groups)]
            pairs = zip(other.pairs, other.groups, strict=True)
            files = tuple(pair.image for pair, group in pairs if group in set(shared))
            if shared:
                who = "(patients, polyps, sequences)"
                told = counted(len(shared), f"group {who} has", f"groups {who} have")
                yield Problem(
                    "shared group",
                    f"{told} images in {part.name} and in {other.name}, first: {first_names(shared)}; "
                    f"{counted(len(files), f'image of {other.name} is', f'images of {other.name} are')} theirs",
                    files,
                )


def _counts(parts: Sequence[Part]) -> list[Count]:
    clips = {part.name: len(set(part.clips)) for part in parts if part.clips and None not in part.clips}
    return compare_counts({part.name: [pair.stem for pair in part.pairs] for part in parts}, clips)


def _grouped(items: Sequence[Any], key: Callable[[Any], Any]) -> dict[Any, list[Any]]:
    groups: dict[Any, list[Any]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return groups


def _first(files: Sequence[Path]) -> str:
    return first_names([path.name for path in files])
