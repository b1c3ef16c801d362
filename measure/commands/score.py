"""`python -m measure`: score folders of saved maps against ground truth and write the reports."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..io import InputError, make_folder, replace_when_whole, write_json
from ..options import Options
from ..report import definitions_table, markdown_table, write_reports, write_tables
from ..scoring import score_folder
from . import compare
from .arguments import parse_args

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status: 0 done, 2 the user's mistake, 130 interrupted."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments[:1] == ["why"]:
        return compare.main(arguments[1:])
    try:
        _score(parse_args(arguments))
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; files written so far are whole", file=sys.stderr)
        return 130
    return 0


def _score(args: Namespace) -> None:
    options = Options(
        protocol=args.protocol,
        minmax=args.minmax,
        border=args.BR == "on",
        br_rate=args.br_rate,
        partial=args.partial,
        classes=args.classes,
    )
    out = args.out
    folders = [out] if len(args.model) == 1 else [out / name for name in args.model]
    record = _record_file(args.record_path, args.model) if args.record_path else None
    _refuse_inside_inputs([out, *folders, *([record] if record else [])], [args.GT_root, *args.pred_root])
    results = _score_methods(args, options)
    for result, folder in zip(results, folders, strict=True):
        write_json(result, make_folder(folder) / "scores.json")
    write_tables(results, out)
    if record:
        _write_text(markdown_table(results), record)
    if args.all_definitions:
        other = _score_methods(args, replace(options, minmax=not options.minmax))
        _write_text(_definitions(results, other), out / "definitions.md")
    write_reports(
        results, out, gt_root=args.GT_root, pred_roots=args.pred_root, image_root=args.image_root, plots=args.plots
    )
    print(markdown_table(results))
    print(f"\nall scores and reports: {out}")


def _refuse_inside_inputs(outputs: Sequence[Path], inputs: Sequence[Path]) -> None:
    """Scoring never writes into what it scores."""
    for output in outputs:
        for folder in inputs:
            if output.resolve().is_relative_to(folder.resolve()):
                raise InputError(f"{output} would be written into the input folder {folder}; choose another --out")


def _score_methods(args: Namespace, options: Options) -> list[dict[str, Any]]:
    return [
        score_folder(args.GT_root, pred_root, options=options, method=name, workers=args.workers)
        for pred_root, name in zip(args.pred_root, args.model, strict=True)
    ]


def _definitions(results: Sequence[dict[str, Any]], other: Sequence[dict[str, Any]]) -> str:
    """Per method, every Dice and IoU with and without the stretch."""
    tables = []
    for pair in zip(results, other, strict=True):
        stretched_first = sorted(pair, key=lambda result: not result["options"]["minmax"])
        tables.append(f"## {pair[0]['method']}\n\n{definitions_table(stretched_first)}")
    return "\n\n".join(tables)


def _record_file(path: Path, methods: Sequence[str]) -> Path:
    """A record's path without a suffix is a folder."""
    return path if path.suffix else path / f"{'_'.join(methods)}.txt"


def _write_text(text: str, path: Path) -> None:
    make_folder(path.parent)
    with replace_when_whole(path) as partial:
        partial.write_text(f"{text}\n", encoding="utf-8")
