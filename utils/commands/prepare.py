"""Lay a published data set out as all commands read it, from the download that its makers offer.

    python -m utils prepare kvasir-seg                                        (where to get it, and what it asks for)
    python -m utils prepare kvasir-seg --from kvasir-seg.zip --to data
    python -m utils prepare coco --from annotations.json images --to data --name Ours

Nothing is downloaded: most sets ask for a form or an account. Archives are unpacked safely, numbers compared with what
was published, and every file is listed with its SHA-256 in <to>/<NAME>.manifest.json. Run again, it goes on: what is
there stays; images beside the set's own are refused, since all commands would read them, and files of their names that
no run laid out are not replaced. At the end the set is looked through as by python -m utils check.

Exit status 0: laid out, and the check found nothing; 1: laid out, and it found something; 2: not done.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from measure.io import CommandParser, InputError, Switch, counted, first_names, nonempty, number, path

from .. import data, preparation  # rooms load their files when a name is used: --help needs no PyTorch
from ..runtime import run

__all__ = ["main", "prepare_set"]


def main(argv: Sequence[str] | None = None) -> int:
    """Lay out what the flags name; returns the exit status."""
    return run(lambda: prepare_set(parse_args(argv)))


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    known = ", ".join([*preparation.SOURCES, *preparation.ANNOTATION_TOOLS])
    parser = CommandParser(prog="python -m utils prepare", description=__doc__, epilog=f"data sets: {known}")
    parser.add_argument("set", nargs="?", type=nonempty, metavar="NAME", help="of the data set; none: list them")
    parser.add_argument(
        "--from", nargs="+", type=path, dest="downloads", metavar="DOWNLOAD", help="archives (zip, tar) or folders"
    )
    parser.add_argument("--to", type=path, default=Path("data"), metavar="DIR", help="where the set's folder goes")
    parser.add_argument("--name", type=nonempty, metavar="NAME", help="of coco and labelme: what the set is called")
    parser.add_argument(
        "--categories",
        nargs="+",
        type=nonempty,
        metavar="NAME",
        help="of coco and labelme: what is polyp (default: all)",
    )
    parser.add_argument("--link", action=Switch, help="link to the files of a folder in place of copying them")
    parser.add_argument("--partial", action=Switch, help="take what is there where the number is not as published")
    parser.add_argument("--check", action=Switch, default=True, help="look the set through at the end")
    parser.add_argument(
        "--max_gigabytes",
        type=number(float, low_open=True, high=1e5),
        metavar="N",
        help="that an archive may unpack to (default: 200 times its own size, at least 1)",
    )
    return parser.parse_args(argv)


def prepare_set(args: argparse.Namespace) -> int:
    """Lay the set out and check it; returns 1 where the check found something, else 0.

    Raises:
        InputError: a flag or a download that cannot be used.
    """
    if not args.set:
        for name, source in preparation.SOURCES.items():
            print(f"{name:<15} {source.title}")
        return 0
    find, source = finder_of(args)
    if not args.downloads:
        if source is None:
            raise InputError(f"give the files of {args.set} with --from; see python -m utils prepare --help")
        note = f"\n{source.note}" if source.note else ""
        print(
            f"{source.title}\n{source.where}{note}\nthen: python -m utils prepare {args.set} --from DOWNLOAD --to data"
        )
        return 0
    done = preparation.lay_out_set(
        args.name or args.set,
        args.downloads,
        args.to,
        find=find,
        images=source.images if source else (),
        about={"title": source.title, "where": source.where} if source else {"title": f"from {args.set}"},
        link=args.link,
        partial=args.partial,
        limit=round(args.max_gigabytes * 2**30) if args.max_gigabytes else None,
    )
    folders = first_names([str(folder) for folder in done.folders])
    print(f"{counted(done.samples, 'sample')} in {folders}; {done.manifest} lists them")
    if source and source.note:
        print(f"note: {source.note}", file=sys.stderr)
    if done.changed:
        told = f"{counted(len(done.changed), 'file is', 'files are')} not as an earlier run laid them out"
        print(f"note: {told}, first {first_names(done.changed)}", file=sys.stderr)
    return look_through(done.folders, colored=args.set == "bkai") if args.check else 0


def finder_of(args: argparse.Namespace) -> tuple[preparation.Finder, preparation.Source | None]:
    """What finds the samples, and the entry of a published set.

    Raises:
        InputError: no such set, or flags that do not go together.
    """
    own = preparation.ANNOTATION_TOOLS.get(args.set)
    if own is None:
        source = preparation.source_of(args.set)
        if args.name or args.categories:
            raise InputError(f"--name and --categories are for coco and labelme; {args.set} has a name of its own")
        is_sun = args.set == "sun-seg"
        return (partial(source.find, partial=args.partial) if is_sun else source.find), source
    if args.downloads and (not args.name or set(args.name) & set("/\\") or args.name.startswith(".")):
        raise InputError(f"give the set a name that a folder can have, as --name Ours; {args.name!r} was given")
    return partial(own, folder=args.name, categories=tuple(args.categories or ())), None


def look_through(folders: Sequence[Path], *, colored: bool) -> int:
    """Check what was laid out; 1 where there are problems."""
    from measure.io import parse_classes

    classes = parse_classes(["neoplastic=255,0,0", "non-neoplastic=0,255,0"]) if colored else None
    findings = data.check_parts(data.find_parts_to_check(folders), classes=classes)
    print(data.render_text(findings))
    return 1 if findings.problems else 0
