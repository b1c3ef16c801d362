"""`python -m measure`: score folders of saved maps against ground truth and write the reports."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from . import compare
from .arguments import parse_args
from .errors import InputError
from .files import make_folder, replace_when_whole
from .json_file import write_json
from .options import Options
from .report import markdown_table, write_reports, write_tables
from .scoring import score_folder

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


def _score(args: Any) -> None:
    options = Options(
        protocol=args.protocol,
        minmax=args.minmax,
        border=args.BR == "on",
        br_rate=args.br_rate,
        partial=args.partial,
    )
    _refuse_inside_inputs(args.out, [args.GT_root, *args.pred_root])
    results = [
        score_folder(args.GT_root, pred_root, options=options, method=name, workers=args.workers)
        for pred_root, name in zip(args.pred_root, args.model, strict=True)
    ]
    out = make_folder(args.out)
    for result in results:
        folder = out if len(results) == 1 else make_folder(out / result["method"])
        write_json(result, folder / "scores.json")
    write_tables(results, out)
    if args.record_path:
        _write_record(results, args.record_path)
    write_reports(
        results, out, gt_root=args.GT_root, pred_roots=args.pred_root, image_root=args.image_root, plots=args.plots
    )
    print(markdown_table(results))
    print(f"\nall scores and reports: {out}")


def _refuse_inside_inputs(out: Path, inputs: Sequence[Path]) -> None:
    """Scoring never writes into what it scores."""
    for folder in inputs:
        if out.resolve().is_relative_to(folder.resolve()):
            raise InputError(f"--out {out} lies in the input folder {folder}; choose a place outside it")


def _write_record(results: Sequence[dict[str, Any]], path: Path) -> None:
    """The table as plain text; a path without a suffix is a folder."""
    if not path.suffix:
        path = path / f"{'_'.join(result['method'] for result in results)}.txt"
    make_folder(path.parent)
    with replace_when_whole(path) as partial:
        partial.write_text(markdown_table(results) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
