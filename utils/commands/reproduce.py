"""Reproduce the rows of published tables: list them, run one from data to scores, compare what was reached.

    python -m utils reproduce list
    python -m utils reproduce run sepnet/Kvasir --data data --out result/reproduce --seeds 0 1 2
    python -m utils reproduce run sepnet --weights SEPNet.pth                       (published weights, all five sets)
    python -m utils reproduce run scrnet --flags="--epoch 20 --train_size 128"      (what this machine allows)
    python -m utils reproduce compare

A row is run by the commands that anybody would type, and they are printed: myTrain.py with the network's recipe,
myTest.py, python -m measure. What is finished is passed over, so the same command goes on. Where the data are missing
it says how to get them; rows known to be copied or impossible are marked, and run only if they are named in full.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from measure.io import CommandParser, InputError, Switch, nonempty, number, path, split_words, write_text

from .. import reproduction  # the room loads its files when a name is used: --help needs no PyTorch
from ..runtime import run

__all__ = ["main", "reproduce"]

VERBS = ("list", "run", "compare")


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the verb says; returns the exit status."""
    return run(lambda: reproduce(parse_args(argv)))


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = CommandParser(prog="python -m utils reproduce", description=__doc__)
    parser.add_argument("verb", choices=VERBS, help="what to do")
    parser.add_argument("rows", nargs="*", type=nonempty, metavar="ROW", help="as sepnet/Kvasir; a study: all its rows")
    parser.add_argument("--data", type=path, default=Path("data"), metavar="DIR", help="folder of the data sets")
    parser.add_argument(
        "--out", type=path, default=Path("result/reproduce"), metavar="DIR", help="where runs, maps and scores go"
    )
    parser.add_argument(
        "--seeds", nargs="+", type=number(int), default=[0], metavar="N", help="trainings, one after another"
    )
    parser.add_argument("--weights", type=path, metavar="FILE", help="test these weights in place of training")
    parser.add_argument(
        "--flags", type=nonempty, default=None, metavar="TEXT", help="of myTrain.py, where the recipe asks too much"
    )
    parser.add_argument("--partial", action=Switch, help="take data sets that are not complete, and say so")
    parser.add_argument(
        "--device", choices=("auto", "cpu", "cuda"), default="auto", help="auto: CUDA where there is one"
    )
    return parser.parse_intermixed_args(argv)  # rows may stand after flags


def reproduce(args: argparse.Namespace) -> None:
    """List, run or compare.

    Raises:
        InputError: a row or a flag that cannot be used, or data that are missing.
        CommandError: a step of a run failed.
    """
    rows = reproduction.pick_rows(args.rows) if args.rows else reproduction.read_rows()
    if args.verb == "list":
        print(reproduction.list_rows(rows, args.data))
    elif args.verb == "compare":
        text = reproduction.compare_rows(rows, args.out)
        write_text(f"{text}\n", args.out / "compare.md")
        print(text)
    else:
        run_rows(args, rows)


def run_rows(args: argparse.Namespace, rows: Sequence[reproduction.PublishedRow]) -> None:
    """Run the rows that were named, then compare them."""
    if not args.rows:
        raise InputError("name what to run, as sepnet/Kvasir, or a study, as sepnet; python -m utils reproduce list")
    if len(set(args.seeds)) < len(args.seeds):
        raise InputError(f"--seeds {' '.join(map(str, args.seeds))} was given; name each seed once")
    if args.weights and not args.weights.is_file():
        raise InputError(f"there is no file {args.weights}; give weights, ours or published, as --weights")
    if args.weights and args.flags:
        raise InputError("--weights and --flags were given; the second are for training: drop one")
    wanted = [row for row in rows if row.is_aim or row.id in args.rows]
    for row in rows:
        if row not in wanted:
            print(f"note: {row.id} is left out: {next(iter(row.values.values())).remark}", file=sys.stderr)
    options = reproduction.RunOptions(
        data=args.data,
        out=args.out,
        seeds=tuple(args.seeds),
        weights=args.weights,
        flags=tuple(split_words(args.flags or "", where="--flags")),
        partial=args.partial,
        device=args.device,
    )
    for row in wanted:
        reproduction.reproduce_row(row, options)
    print(reproduction.compare_rows(wanted, args.out))
