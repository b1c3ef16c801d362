"""`python -m measure`: score folders of saved maps against ground truth and write the reports."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..io import (
    drop_partials,
    group_reading,
    locked_folder,
    make_folder,
    refuse_outputs_in_inputs,
    run_command,
    write_json,
    write_text,
)
from ..options import Options
from ..report import (
    Result,
    average_table,
    cautions,
    definitions_table,
    headline_table,
    kind_of,
    mean_metrics,
    metric_keys,
    remove_figures,
    write_reports,
    write_tables,
)
from ..scoring import score_folder
from .score_flags import options_of, parse_args

__all__ = ["main"]

WRITTEN = ("scores.json", "scores.csv", "scores.md", "scores.tex", "per_image.csv", "per_case.csv", "definitions.md")
WRITTEN += ("intervals.csv", "comparison.json", "report.html")
"""Files of a run but its figures."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status: 0 done, 2 the user's mistake, 130 interrupted."""
    return run_command(lambda: score(parse_args(argv)), interrupted="interrupted; files written so far are whole")


def score(args: Namespace) -> None:
    """Score every method and write what the flags ask for.

    Raises:
        InputError: a folder or a file that cannot be used.
    """
    options = options_of(args)
    out = args.out
    folders = [out] if len(args.model) == 1 else [out / name for name in args.model]
    record = _record_file(args.record_path, args.model) if args.record_path else None
    inputs = [args.GT_root, *args.pred_root, *([args.image_root] if args.image_root else [])]
    refuse_outputs_in_inputs([out, *folders, *([record] if record else [])], inputs)
    results = _score_methods(args, options)
    other = []
    if args.all_definitions:
        plain = replace(options, intervals=False, groups=None, group_pattern=None)
        other = _score_methods(args, replace(plain, minmax=not options.minmax))
    comparison = _compare(results, options)
    # files of two runs side by side would pass for those of one
    with locked_folder(out, doing="writes scores into", advice="choose another --out", wait=True):
        for folder in {out, *folders}:
            _remove_previous(make_folder(folder))
        for result, folder in zip(results, folders, strict=True):
            write_json({**result, "cautions": cautions([result])}, folder / "scores.json")
        if comparison:
            write_json(comparison, out / "comparison.json")
            if args.mark == "certain":
                from ..statistics import told_apart

                results = [{**result, "beaten": told_apart(comparison, result["method"])} for result in results]
        write_tables(results, out, comparison)
        if record:
            make_folder(record.parent)
            write_text(f"{headline_table(results)}\n", record)
        if other:
            write_text(f"{_definitions(results, other)}\n", out / "definitions.md")
        write_reports(
            results,
            out,
            gt_root=args.GT_root,
            pred_roots=args.pred_root,
            image_root=args.image_root,
            plots=args.plots,
            comparison=comparison,
        )
    print("\n\n".join(filter(None, (headline_table(results), average_table(results)))))
    for sentence in cautions(results):
        print(f"caution: {sentence}", file=sys.stderr)
    print(f"\nall scores and reports: {out}")


def _compare(results: Sequence[Result], options: Options) -> dict[str, Any] | None:
    """The comparison of several methods, where intervals are asked for."""
    if len(results) < 2 or not options.intervals:
        return None
    from ..statistics import Bootstrap, compare_methods  # needs scipy's tests, which one method does not

    grouped = options.groups or options.group_pattern
    return compare_methods(
        results,
        mean_metrics(kind_of(results[0]), metric_keys(results)),
        bootstrap=Bootstrap(options.resamples, options.seed),
        group_of=group_reading(options.groups, options.group_pattern) if grouped else None,
    )


def _remove_previous(folder: Path) -> None:
    """Remove what an earlier run left that this one may not replace, so that nothing old stands beside new scores."""
    drop_partials(folder)
    for name in WRITTEN:
        (folder / name).unlink(missing_ok=True)
    remove_figures(folder)


def _score_methods(args: Namespace, options: Options) -> list[Result]:
    return [
        score_folder(args.GT_root, pred_root, options=options, method=name, workers=args.workers)
        for pred_root, name in zip(args.pred_root, args.model, strict=True)
    ]


def _definitions(results: Sequence[Result], other: Sequence[Result]) -> str:
    """Per method, every Dice and IoU with and without min-max normalization."""
    tables = []
    for pair in zip(results, other, strict=True):
        normalized_first = sorted(pair, key=lambda result: not result["options"]["minmax"])
        tables.append(f"## {pair[0]['method']}\n\n{definitions_table(normalized_first)}")
    return "\n\n".join(tables)


def _record_file(place: Path, methods: Sequence[str]) -> Path:
    """A record's path without a suffix is a folder, and so is one that exists."""
    return place if place.suffix and not place.is_dir() else place / f"{'_'.join(methods)}.txt"
