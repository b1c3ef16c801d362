"""`python -m measure`: score folders of saved maps against ground truth and write the reports."""

from __future__ import annotations

import sys
from argparse import Namespace, _ArgumentGroup
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ..io import (
    CommandParser,
    InputError,
    Switch,
    add_layout_flags,
    available_cores,
    drop_partials,
    make_folder,
    nonempty,
    number,
    parse_classes,
    path,
    read_layout,
    refuse_outputs_in_inputs,
    run_command,
    write_json,
    write_text,
)
from ..options import PROTOCOLS, Options
from ..report import Result, cautions, definitions_table, headline_table, write_reports, write_tables
from ..scoring import score_folder

__all__ = ["main", "parse_args"]

DESCRIPTION = """\
Score saved 8-bit maps against ground-truth masks, exactly as the released tools do.

  image protocol  <GT_root>/<dataset>/masks/<stem>.png   <pred_root>/<dataset>/<stem>.png
                  (or a single set: masks in <GT_root>, maps in <pred_root>)
    with --classes  <pred_root>/<class>/<dataset>/<stem>.png for every class, and for all of them <pred_root>/merged/
  vps protocol    <GT_root>/<split>/GT/<case>/<frame>.png   <pred_root>/<split>/<case>/<frame>.png
"""

EXAMPLES = """\
examples:
  python -m measure --GT_root data/TestDataset --pred_root result/SEPNet --BR on
  python -m measure --protocol vps --GT_root data/SUN-SEG --pred_root result/A result/B --out result/comparison
  python -m measure why result/A-scores/scores.json result/B-scores/scores.json     (why two scores differ)

Nothing is ever written into GT_root or pred_root. Exit status: 0 done, 2 a mistake in what was given.
"""

WRITTEN = ("scores.json", "scores.csv", "scores.md", "scores.tex", "per_image.csv", "per_case.csv", "definitions.md")
WRITTEN += ("report.html",)
"""Files of a run; figures are embedded in the page."""

MOST_WORKERS = 1024
WIDEST_BAND = 1000  # pixels
LONGEST_TOLERANCE = 1000  # pixels


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status: 0 done, 2 the user's mistake, 130 interrupted."""
    return run_command(lambda: score(parse_args(argv)), interrupted="interrupted; files written so far are whole")


def score(args: Namespace) -> None:
    """Score every method and write what the flags ask for.

    Raises:
        InputError: a folder or a file that cannot be used.
    """
    options = Options(
        protocol=args.protocol,
        minmax=args.minmax,
        border=args.BR == "on",
        br_rate=args.br_rate,
        distances=args.distances,
        nsd_tolerance=args.nsd_tolerance,
        threshold=args.threshold,
        partial=args.partial,
        classes=args.classes,
        layout=args.layout,
    )
    out = args.out
    folders = [out] if len(args.model) == 1 else [out / name for name in args.model]
    record = _record_file(args.record_path, args.model) if args.record_path else None
    inputs = [args.GT_root, *args.pred_root, *([args.image_root] if args.image_root else [])]
    refuse_outputs_in_inputs([out, *folders, *([record] if record else [])], inputs)
    results = _score_methods(args, options)
    for folder in {out, *folders}:
        _remove_previous(make_folder(folder))
    for result, folder in zip(results, folders, strict=True):
        write_json({**result, "cautions": cautions([result])}, folder / "scores.json")
    write_tables(results, out)
    if record:
        make_folder(record.parent)
        write_text(f"{headline_table(results)}\n", record)
    if args.all_definitions:
        other = _score_methods(args, replace(options, minmax=not options.minmax))
        write_text(f"{_definitions(results, other)}\n", out / "definitions.md")
    write_reports(
        results, out, gt_root=args.GT_root, pred_roots=args.pred_root, image_root=args.image_root, plots=args.plots
    )
    print(headline_table(results))
    for sentence in cautions(results):
        print(f"caution: {sentence}", file=sys.stderr)
    print(f"\nall scores and reports: {out}")


def _remove_previous(folder: Path) -> None:
    """Remove what an earlier run left that this one may not replace, so that nothing old stands beside new scores."""
    drop_partials(folder)
    for name in WRITTEN:
        (folder / name).unlink(missing_ok=True)


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


def parse_args(argv: Sequence[str] | None = None) -> Namespace:
    """Parse the command line; `model`, `minmax` and `out` are filled in where they were left out.

    Raises:
        InputError: an unknown option, a wrong value, or names that do not fit the folders.
    """
    parser = CommandParser(prog="python -m measure", description=DESCRIPTION, epilog=EXAMPLES)
    _add_input(parser.add_argument_group("what is scored"))
    add_layout_flags(parser.add_argument_group("how it is laid out"))
    _add_definitions(parser.add_argument_group("how it is scored (the defaults give the published numbers)"))
    _add_output(parser.add_argument_group("what is written"))
    args = parser.parse_args(argv)
    args.classes = parse_classes(args.classes) if args.classes is not None else None
    args.layout = read_layout(args)
    if args.minmax is None:
        args.minmax = args.classes is None
    args.model = _method_names(args.model, args.pred_root)
    first = args.pred_root[0].resolve()
    args.out = args.out or first.with_name(f"{first.name}-scores")
    return args


def _add_input(group: _ArgumentGroup) -> None:
    group.add_argument("--protocol", choices=PROTOCOLS, default="image", help="which tool's numbers")
    group.add_argument("--GT_root", type=path, default=Path("data/TestDataset"), metavar="DIR", help="ground truth")
    group.add_argument(
        "--pred_root",
        type=path,
        nargs="+",
        default=[Path("result")],
        metavar="DIR",
        help="maps, a folder per method",
    )
    group.add_argument(
        "--classes",
        type=nonempty,
        nargs="+",
        metavar="NAME=VALUE",
        help="classes of the masks and their colors R,G,B or indices; each is scored by itself, then all merged",
    )
    group.add_argument(
        "--model", type=nonempty, nargs="+", metavar="NAME", help="names of the methods (default: the folders')"
    )
    group.add_argument(
        "--partial",
        action="store_true",
        help="score the maps that are there and readable; missing and extra ones are only recorded",
    )


def _add_definitions(group: _ArgumentGroup) -> None:
    group.add_argument(
        "--minmax",
        action=Switch,
        default=None,
        help="min-max normalize each map first, as published tables have it; --no-minmax scores maps as saved "
        "(default: --minmax; with --classes --no-minmax, or every image would be made to show every class)",
    )
    group.add_argument("--BR", choices=("on", "off"), default="off", help="border-region scores too")
    group.add_argument(
        "--br_rate",
        type=number(int, low=1, high=WIDEST_BAND),
        default=15,
        metavar="PIXELS",
        help="side of the square that widens the contour to the border region",
    )
    group.add_argument(
        "--distances",
        action=Switch,
        help="distances between the outlines of map and mask too: HD, HD95, ASSD, NSD, boundary IoU",
    )
    group.add_argument(
        "--nsd_tolerance",
        type=number(float, low=0, high=LONGEST_TOLERANCE),
        default=2.0,
        metavar="PIXELS",
        help="distance up to which NSD takes two outlines for the same",
    )
    group.add_argument(
        "--threshold",
        type=number(float, low=0, low_open=True, high=1),
        default=0.5,
        metavar="T",
        help="distances are taken of the map cut at this value of its saved levels / 255",
    )


def _add_output(group: _ArgumentGroup) -> None:
    group.add_argument("--out", type=path, metavar="DIR", help="reports (default: <first pred_root>-scores)")
    group.add_argument(
        "--all-definitions",
        action="store_true",
        help="score again without (with) min-max normalization; every Dice and IoU side by side: definitions.md",
    )
    group.add_argument(
        "--record_path",
        type=path,
        metavar="PATH",
        help="also write the table as text to this file, or to <method>.txt in this folder",
    )
    group.add_argument(
        "--plots", action=Switch, default=True, help="curves, bars and contact sheets; --no-plots leaves them out"
    )
    group.add_argument(
        "--image_root",
        type=path,
        metavar="DIR",
        help="images for the contact sheets: <image_root>/<dataset>/images/ (default: beside the masks)",
    )
    group.add_argument(
        "--workers",
        type=number(int, low=1, high=MOST_WORKERS),
        default=available_cores(),
        metavar="N",
        help="processes (default: every core, %(default)s here)",
    )


def _method_names(given: Sequence[str] | None, folders: Sequence[Path]) -> list[str]:
    """The methods' names, which become folders' and must differ.

    Raises:
        InputError: too many or too few of them, two alike, or one that no folder can have.
    """
    names = list(given or _folder_names(folders))
    if len(names) != len(folders):
        raise InputError(f"{len(names)} names in --model for {len(folders)} folders in --pred_root")
    if any(set(name) & set("/\\\0") or name in ("", ".", "..") for name in names):
        raise InputError(f"a name in --model ({', '.join(names)}) cannot be that of a folder")
    if len(set(names)) < len(names):
        raise InputError(f"two methods of one name ({', '.join(names)}); name them apart with --model")
    return names


def _folder_names(folders: Sequence[Path]) -> list[str]:
    """Folder names, preceded by their parent's where they would be alike."""
    names = [folder.resolve().name for folder in folders]
    if len(set(names)) < len(names):
        names = [f"{folder.resolve().parent.name}-{folder.resolve().name}" for folder in folders]
    return names
