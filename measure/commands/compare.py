"""Why two runs print different numbers, or which definition a published row fits.

    python -m measure why A/scores.json B/scores.json
    python -m measure why --published mDice=.8587,mIoU=.734 --GT_root data/TestDataset --pred_root result
    python -m measure why --published mDice=.8587,mIoU=.734 scores.json

The report goes from settings to single images: protocol, options and versions that differ, images that only one run
has, scores that moved, and the images that moved most.
"""

from __future__ import annotations

import json
import math
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..io import CommandParser, InputError, available_cores, counted, first_names, nonempty, number, path, run_command
from ..options import PROTOCOLS, Options
from ..report import Result, dice_key, score_value
from .published import (
    Definition,
    PublishedNumber,
    definitions_in,
    impossibility,
    parse_published,
    score_definitions,
)

__all__ = ["explain", "main", "parse_args", "read_scores"]

SAME = 1e-9
"""Scores closer than this are equal: two machines may round sums differently."""

_SETTINGS = ("protocol", "method", "options", "versions", "format_version")


def main(argv: Sequence[str] | None = None) -> int:
    """Compare two score files on the command line; 0 when compared, 2 when a file cannot be used."""

    def compare() -> None:
        args = parse_args(argv)
        if args.published:
            print(explain_published(args))
            return
        first, second = (read_scores(file) for file in args.files)
        text = explain(first, second, metric=args.metric, top=args.top)
        print(f"A: {args.files[0]}\nB: {args.files[1]}\n\n{text}")

    return run_command(compare)


def parse_args(argv: Sequence[str] | None = None) -> Namespace:
    """Parse the command line.

    Raises:
        InputError: an unknown option or a wrong value.
    """
    parser = CommandParser(prog="python -m measure why", description=__doc__)
    parser.add_argument(
        "files", type=path, nargs="*", metavar="scores.json", help="two to compare; one for --published"
    )
    parser.add_argument(
        "--published",
        type=nonempty,
        metavar="NAME=VALUE,...",
        help="numbers of a paper's row: by which definition do these maps, or this file, give them?",
    )
    parser.add_argument(
        "--GT_root", type=path, metavar="DIR", help="masks, for --published without a file (default: data/TestDataset)"
    )
    parser.add_argument("--pred_root", type=path, metavar="DIR", help="their maps (default: result)")
    parser.add_argument("--protocol", choices=PROTOCOLS, help="by which these are scored (default: image)")
    parser.add_argument("--dataset", type=nonempty, metavar="NAME", help="for --published: this data set alone")
    parser.add_argument(
        "--metric", type=nonempty, help="rank images by this metric (default: the metric that moved most per image)"
    )
    parser.add_argument(
        "--top", type=number(int, low=1), default=10, metavar="N", help="images (definitions) listed per data set"
    )
    args = parser.parse_args(argv)
    if not args.published and len(args.files) != 2:
        parser.error(
            f"{counted(len(args.files), 'file was', 'files were')} given; give two scores.json, "
            "or a row with --published"
        )
    if args.published and (len(args.files) > 1 or (args.files and (args.GT_root or args.pred_root))):
        parser.error("--published takes one scores.json, or --GT_root and --pred_root")
    unused = ("GT_root", "pred_root", "protocol", "dataset")
    if args.published:
        unused = ("metric", "protocol") if args.files else ("metric",)
    for name in unused:
        if getattr(args, name) is not None:
            parser.error(f"--{name} was given, which {_use(args)} does not use; leave it out")
    return args


def _use(args: Namespace) -> str:
    """What the command line is for, in words."""
    if not args.published:
        return "a comparison of two files"
    return "--published with a file" if args.files else "--published"


def explain_published(args: Namespace) -> str:
    """Which definition a published row fits, per data set, as text.

    Raises:
        InputError: the row is none, a file or a folder cannot be used, or there is no such data set.
    """
    row = parse_published(args.published)
    if args.files:
        found = definitions_in(read_scores(args.files[0]))
    else:
        roots = args.GT_root or Path("data/TestDataset"), args.pred_root or Path("result")
        found = score_definitions(*roots, options=Options(protocol=args.protocol or "image"), workers=available_cores())
    if args.dataset and args.dataset not in found:
        raise InputError(f"no data set is called {args.dataset}; there are {first_names(list(found))}")
    doubt = impossibility(row)
    parts = [doubt] if doubt else []
    for name in [args.dataset] if args.dataset else found:
        parts.append(_section(name, _published_lines(row, found[name], args.top)))
    return "\n\n".join(parts)


def _published_lines(row: Sequence[PublishedNumber], definitions: Sequence[Definition], top: int) -> list[str]:
    """The definitions in the order of their distance, and what follows."""
    ranked = sorted(definitions, key=lambda definition: definition.distance(row))
    known = [definition for definition in ranked if math.isfinite(definition.distance(row))]
    if not known:
        names = sorted({key for definition in definitions for key in definition.scores})
        raise InputError(
            f"no definition has all of {', '.join(number.name for number in row)}; known are {', '.join(names)}, and "
            "other words for Dice and IoU such as mDice and mIoU"
        )
    titles = ["", *(number.name for number in row), "distance", ""]
    published = ["published", *(f"{number.value:.4f}" for number in row), "", ""]
    rows = [
        [d.text, *(f"{d.scores[n.key]:.4f}" for n in row), f"{d.distance(row):.4f}", "fits" if d.fits(row) else ""]
        for d in known[:top]
    ]
    return [*_columns([titles, published, *rows]), _published_verdict(row, known), *_fits_alone(row, known)]


def _published_verdict(row: Sequence[PublishedNumber], ranked: Sequence[Definition]) -> str:
    fitting = [definition.text for definition in ranked if definition.fits(row)]
    if fitting:
        return f"as printed this is: {' | '.join(fitting)}"
    nearest = ranked[0]
    sample = ""
    if nearest.may_be_another_sample(row):
        sample = "; it lies in the 95 % interval, so other images, as a split of another size has, could give it"
    away = f"{nearest.distance(row):.4f} away"
    return f"no definition gives the row as printed; the nearest is {away}: {nearest.text}{sample}"


def _fits_alone(row: Sequence[PublishedNumber], definitions: Sequence[Definition]) -> list[str]:
    """Where the row fits as a whole nowhere: what its numbers fit one by one."""
    if len(row) < 2 or any(definition.fits(row) for definition in definitions):
        return []
    fitting = {number.name: [d.text for d in definitions if d.fits([number])] for number in row}
    return [f"{name} alone fits: {' | '.join(texts)}" for name, texts in fitting.items() if texts]


def read_scores(path: str | Path) -> dict[str, Any]:
    """Load one method's `scores.json`, and look at the form of what is compared.

    Raises:
        InputError: the file is missing, is no JSON, holds no scores, or what it holds is of another form.
    """
    try:
        scores = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot read {path} ({error.strerror}); give a scores.json of a scoring run") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is no JSON ({error}); give a scores.json of a scoring run") from error
    if not isinstance(scores, dict) or not isinstance(scores.get("datasets"), dict):
        raise InputError(f'{path} holds no "datasets"; give a scores.json of a scoring run')
    if fault := _fault_of(scores):
        raise InputError(f"{path}: {fault}; give a scores.json as a scoring run wrote it")
    return scores


def _fault_of(scores: Mapping[str, Any]) -> str:
    """What is not as a scoring run writes it, in words; "" where all is."""
    if not isinstance(scores.get("protocol"), str):
        return '"protocol" is no text'
    for key in ("options", "versions", "per_image"):
        if not isinstance(scores.get(key, {}), dict):
            return f'"{key}" holds no names'
    units = [(f'"datasets" of {name}', values) for name, values in scores["datasets"].items()]
    for name, stems in scores.get("per_image", {}).items():
        if not isinstance(stems, dict):
            return f'"per_image" of {name} holds no images'
        units += [(f'"per_image" of {name}, {stem}', values) for stem, values in stems.items()]
    for place, values in units:
        if not isinstance(values, dict):
            return f"{place} holds no scores"
        odd = next((key for key, value in values.items() if not _is_score(value)), None)
        if odd is not None:
            return f"{place}: {odd} is {str(values[odd])[:40]!r}, a number or null was expected"
    return ""


def _is_score(value: Any) -> bool:
    if value is None or isinstance(value, bool) or not isinstance(value, (int, float)):
        return value is None
    try:
        return math.isfinite(value)
    except OverflowError:  # whole numbers beyond what floating point holds
        return False


def explain(first: Result, second: Result, *, metric: str | None = None, top: int = 10) -> str:
    """The whole comparison as text.

    Args:
        first: the run A, as in its `scores.json`.
        second: the run B, likewise.
        metric: the column images are ranked by; by default the ranking Dice, or where that did not move the column
            whose largest difference on any one image is greatest.
        top: how many images to list per data set.

    Raises:
        InputError: no image of either run has a `metric`.
    """
    _check_metric(metric, first, second)
    shared = [name for name in first["datasets"] if name in second["datasets"]]
    parts = [_section("Settings", _settings(first, second)), _section("Data sets", _datasets(first, second))]
    for name in shared:
        scores = _moved(first["datasets"][name], second["datasets"][name])
        lines = [*_images_in_one(first, second, name), *_score_lines(scores)]
        lines += _image_lines(first, second, name, metric=metric, top=top)
        parts.append(_section(name, lines))
    return "\n\n".join(parts)


def _check_metric(metric: str | None, *results: Result) -> None:
    images = (
        scores for result in results for stems in result.get("per_image", {}).values() for scores in stems.values()
    )
    known = {key for scores in images for key in scores}
    if metric is not None and metric not in known:
        raise InputError(f"no image has a score named {metric}; known are {', '.join(sorted(known))}")


def _section(title: str, lines: Sequence[str]) -> str:
    return "\n".join([title, *(f"  {line}" for line in lines)])


def _settings(first: Result, second: Result) -> list[str]:
    """What differs of protocol, options and versions, A's value then B's."""
    flat = [dict(_flat({key: result.get(key) for key in _SETTINGS})) for result in (first, second)]
    names = sorted({**flat[0], **flat[1]}, key=lambda name: _SETTINGS.index(name.partition(".")[0]))
    different = [name for name in names if flat[0].get(name) != flat[1].get(name)]
    rows = [[name, _setting(flat[0], name), _setting(flat[1], name)] for name in different]
    return _columns([["", "A", "B"], *rows]) if rows else ["protocol, options and versions agree"]


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def _setting(settings: Mapping[str, Any], name: str) -> str:
    return json.dumps(settings[name], ensure_ascii=False) if name in settings else "not recorded"


def _datasets(first: Result, second: Result) -> list[str]:
    """Data sets in both, then those in one."""
    names = dict.fromkeys([*first["datasets"], *second["datasets"]])
    rows = [[name, _image_count(first, name), _image_count(second, name)] for name in names]
    return _columns([["", "images in A", "images in B"], *rows])


def _image_count(result: Result, name: str) -> str:
    if name not in result["datasets"]:
        return "absent"
    images = result.get("per_image", {}).get(name)
    return "not recorded" if images is None else str(len(images))


def _images_in_one(first: Result, second: Result, name: str) -> list[str]:
    a, b = (result.get("per_image", {}).get(name, {}) for result in (first, second))
    only = {"A": [stem for stem in a if stem not in b], "B": [stem for stem in b if stem not in a]}
    return [f"only in {run}: {len(stems)}, namely {first_names(stems)}" for run, stems in only.items() if stems]


def _moved(a: Mapping[str, Any], b: Mapping[str, Any]) -> dict[str, tuple[float, float]]:
    """Metrics of both that differ, the largest move first; a score missing on one side only comes foremost."""
    pairs = {key: (score_value(a, key), score_value(b, key)) for key in a if key in b}
    moved = {key: pair for key, pair in pairs.items() if _move(pair) > SAME}
    return dict(sorted(moved.items(), key=lambda item: -_move(item[1])))


def _move(pair: tuple[float, float]) -> float:
    """Distance of two scores: 0 if both are missing, infinite if one is."""
    missing = [math.isnan(value) for value in pair]
    return abs(pair[1] - pair[0]) if not any(missing) else 0.0 if all(missing) else math.inf


def _score_lines(moved: Mapping[str, tuple[float, float]]) -> list[str]:
    if not moved:
        return ["every score agrees"]
    foremost = next(iter(moved))
    rows = [[key, *_pair_cells(pair)] for key, pair in moved.items()]
    return [
        f"{foremost} moved most of {counted(len(moved), 'score that differs', 'scores that differ')}",
        *_columns([["", "A", "B", "B - A"], *rows]),
    ]


def _pair_cells(pair: tuple[float, float]) -> list[str]:
    a, b = pair
    return [
        *("missing" if math.isnan(value) else f"{value:.6f}" for value in pair),
        f"{b - a:+.6f}".replace("+nan", ""),
    ]


def _image_lines(first: Result, second: Result, name: str, *, metric: str | None, top: int) -> list[str]:
    """The images in both that moved, the largest difference first."""
    a, b = (result.get("per_image", {}).get(name, {}) for result in (first, second))
    moved = {stem: _moved(a[stem], b[stem]) for stem in a if stem in b}
    moved = {stem: metrics for stem, metrics in moved.items() if metrics}
    if not moved:
        return [_agreement(a, b)]
    key = metric or _ranking_metric(first, moved)
    pairs = {stem: metrics[key] for stem, metrics in moved.items() if key in metrics}
    ranked = sorted(pairs, key=lambda stem: -_move(pairs[stem]))
    rows = [[stem, *_pair_cells(pairs[stem])] for stem in ranked[:top]]
    both = counted(len(moved), "image in both differs", "images in both differ", of=len(set(a) & set(b)))
    summary = f"{both}, {len(pairs)} of them in {key}"
    return [summary, *_columns([[key, "A", "B", "B - A"], *rows])] if rows else [summary]


def _agreement(a: Mapping[str, Any], b: Mapping[str, Any]) -> str:
    """What follows where no image of both runs moved."""
    if not (a and b):
        return "no image list to compare"
    if a.keys() == b.keys():
        return "every image agrees; a score that differs, if any, was averaged otherwise"
    return "every image in both agrees, so a score that differs does so by the images that one run lacks"


def _ranking_metric(result: Result, moved: Mapping[str, Mapping[str, tuple[float, float]]]) -> str:
    """The Dice that ranks images if it moved anywhere, else the metric of the largest single difference."""
    usual = dice_key(result)
    if any(usual in metrics for metrics in moved.values()):
        return usual
    return max(((_move(pair), key) for metrics in moved.values() for key, pair in metrics.items()))[1]


def _columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows as lines: the first column flush left, the others flush right."""
    widths = [max(map(len, place)) for place in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if i else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
