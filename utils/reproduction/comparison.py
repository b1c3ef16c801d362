"""Published rows beside results of ours, as tables: what there is to reproduce, and how far it is reached."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from measure.io import InputError, first_names, markdown_table

from .rows import MARKS, PublishedRow, Value
from .run import RESULT, missing_for
from .studies import STUDIES

__all__ = ["compare_rows", "list_rows"]


def list_rows(rows: Sequence[PublishedRow], data: Path) -> str:
    """The rows with their numbers, sources and doubts, and whether their data are below `data`; a block each."""
    return "\n\n".join("\n    ".join(told_of(row, data)) for row in rows)


def told_of(row: PublishedRow, data: Path) -> Iterator[str]:
    """The lines about a row."""
    marks = [value.mark for value in row.values.values()]
    yield f"{row.id} ({MARKS[marks[0]]})" if marks[0] and len(set(marks)) == 1 else row.id
    for source in dict.fromkeys(value.source for value in row.values.values()):
        numbers = [f"{metric} {printed(value)}" for metric, value in row.values.items() if value.source == source]
        yield f"{', '.join(numbers)}: {source}"
    remarks = dict.fromkeys(value.remark for value in row.values.values())
    yield from filter(None, [*remarks, STUDIES[row.study].left_open])
    yield "; ".join(missing_for(row, data)) or f"the data are in {data}"


def printed(value: Value) -> str:
    """A number as it was printed: `.922`."""
    return f"{value.value:.{value.digits}f}".removeprefix("0")


def compare_rows(rows: Sequence[PublishedRow], out: Path) -> str:
    """Published number, ours, difference, interval and image counts of every number that has a result below `out`.

    Of several seeds, ours is their mean, with its standard deviation; the interval, over images at 95 %, has the means
    of the seeds' ends. The difference is ours less the published.

    Raises:
        InputError: no row has a result, or one cannot be read.
    """
    lines, remarks = [], []
    for row in rows:
        for file in sorted((out / row.study).glob(f"scores_*/{row.name}/{RESULT}")):
            result, scores = read_result(file)
            lines += [line_of(row, metric, value, scores) for metric, value in row.values.items()]
            remarks += remarks_of(row, result)
    if not lines:
        asked = first_names([row.id for row in rows])
        raise InputError(f"{asked}: no result in {out}; run one first, as python -m utils reproduce run {rows[0].id}")
    titles = ("row", "metric", "published", "ours", "difference", "95 % over images", "images", "seeds")
    return "\n\n".join([markdown_table(titles, lines, text_columns=2), *dict.fromkeys(remarks)])


def read_result(file: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A result and the scores of its seeds.

    Raises:
        InputError: a file is missing or damaged.
    """
    try:
        result = json.loads(file.read_text(encoding="utf-8"))
        return result, [json.loads(Path(path).read_text(encoding="utf-8")) for path in result["scores"]]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise InputError(f"{file} or its scores cannot be read ({error}); run the row again") from error


def line_of(row: PublishedRow, metric: str, value: Value, scores: Sequence[dict[str, Any]]) -> tuple[str, ...]:
    """A line of the table; empty cells where ours has no such number."""
    sets = [next(iter(each["datasets"].values())) for each in scores]
    found = [each[metric] for each in sets if each.get(metric) is not None]
    images = sum(count["images"] for count in scores[0]["counts"].values())
    counts = f"{images} of {STUDIES[row.study].images[row.name]}"
    name = f"{row.id} ({value.mark})" if value.mark else row.id
    if not found:
        return name, metric, printed(value), "", "", "", counts, str(len(scores))
    ours = statistics.fmean(found)
    spread = f" ± {statistics.stdev(found):.3f}" if len(found) > 1 else ""
    ends = [next(iter(each.get("intervals", {}).values()), {}).get(metric) for each in scores]
    low, high = (statistics.fmean(end) for end in zip(*ends, strict=True)) if all(ends) else (None, None)
    return (
        name,
        metric,
        printed(value),
        f"{ours:.3f}{spread}",
        f"{ours - value.value:+.3f}",
        "" if low is None else f"{low:.3f} to {high:.3f}",
        counts,
        str(len(scores)),
    )


def remarks_of(row: PublishedRow, result: dict[str, Any]) -> list[str]:
    """What stands between a result and the published row, in sentences."""
    told = [f"{row.id}: {value.remark}" for value in row.values.values() if value.remark]
    if left_open := STUDIES[row.study].left_open:
        told.append(f"{row.id}: {left_open}")
    if result["other_flags"]:
        told.append(f"{row.id}: not the recipe, but {' '.join(result['other_flags'])}")
    if result["weights"]:
        told.append(f"{row.id}: not trained here, but the weights of {result['weights']}")
    return told + [f"{row.id}: {sentence}" for sentence in result["incomplete"]]
