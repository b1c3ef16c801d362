"""Put SUN-SEG together from its two downloads.

    python -m utils sunseg --sun downloads/SUN --annotations downloads/SUN-SEG-Annotation --out data/SUN-SEG

The frames come with the SUN database (Misawa et al., GIE 2021), the masks with SUN-SEG (Ji et al., MIR 2022), which
cuts SUN's cases into clips. What is expected of them:

    <annotations>/<split>/GT/<clip>/<frame>.png     the five published splits; other annotations are left alone
    <sun>/**/<case>/<frame>.jpg                     at any depth: the parts of the download need not be merged

A mask's frame is the one of its name; where SUN has several, the one in the clip's case (`case7_2` is a clip of
`case7`). What is written is what training, prediction and scoring read:

    <out>/<split>/Frame/<clip>/<frame>.jpg          <out>/<split>/GT/<clip>/<frame>.png

as links, or with --copy as files. Run again, it goes on: what is there is passed over.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from measure.io import (
    FRAME_MASKS,
    FRAMES,
    TRAINING_SPLIT,
    CommandParser,
    InputError,
    Switch,
    drop_partials,
    first_names,
    images_by_stem,
    make_folder,
    path,
    refuse_outputs_in_inputs,
    replace_when_whole,
    subfolders,
)

from ..data import SUN_SEG
from ..runtime import run

__all__ = ["Member", "assemble", "find_members", "main"]


@dataclass(frozen=True)
class Member:
    """A mask, and the frame it belongs to (None where SUN has none)."""

    split: str
    clip: str
    stem: str
    mask: Path
    frame: Path | None


def main(argv: Sequence[str] | None = None) -> int:
    """Lay out what the flags name; returns the exit status."""
    return run(lambda: put_together(parse_args(argv)))


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = CommandParser(prog="python -m utils sunseg", description=__doc__)
    parser.add_argument("--sun", type=path, required=True, help="folder of the SUN database's cases with polyps")
    parser.add_argument("--annotations", type=path, required=True, help="folder of SUN-SEG's annotations")
    parser.add_argument("--out", type=path, default=Path("data/SUN-SEG"), help="where it is put together")
    parser.add_argument("--copy", action=Switch, help="copy the files in place of linking to them")
    parser.add_argument("--partial", action=Switch, help="take what is there where something is missing")
    return parser.parse_args(argv)


def put_together(args: argparse.Namespace) -> None:
    count = assemble(**vars(args))
    print(f"{count} frames with masks in {args.out}")


def assemble(*, sun: Path, annotations: Path, out: Path, copy: bool = False, partial: bool = False) -> int:
    """Link or copy frames and masks into one layout.

    Args:
        sun: folder of the SUN database, searched at any depth.
        annotations: folder of SUN-SEG's annotations, with the published splits.
        out: where the layout is made; not inside the other two.
        copy: files in place of links.
        partial: go on where frames or clips are missing, and say what is.

    Returns:
        The number of frames that are in place.

    Raises:
        InputError: a folder is missing, something is not as published (unless `partial`), or a file cannot be made.
    """
    refuse_outputs_in_inputs([out], [sun, annotations])
    members = find_members(sun, annotations)
    faults = shortcomings(members)
    if faults and not partial:
        raise InputError(f"{'; '.join(faults)}; complete the downloads, or take what is there with --partial")
    for fault in faults:
        print(f"note: {fault}", file=sys.stderr)
    found = [member for member in members if member.frame]
    folders = {out / member.split / kind / member.clip for member in found for kind in (FRAMES, FRAME_MASKS)}
    for folder in folders:
        drop_partials(make_folder(folder))
    for member in tqdm(found, desc="frames", unit="frame", disable=None):
        for kind, source in ((FRAMES, member.frame), (FRAME_MASKS, member.mask)):
            folder = out / member.split / kind / member.clip
            place(source, folder / f"{member.stem}{source.suffix.lower()}", copy=copy)
    return len(found)


def find_members(sun: Path, annotations: Path) -> list[Member]:
    """Find every mask of the published splits, and its frame.

    Raises:
        InputError: a folder is missing, or holds nothing of what is expected.
    """
    frames = frames_by_stem(sun)
    members = []
    for split in SUN_SEG:
        masks = annotations / split / FRAME_MASKS
        for clip in subfolders(masks) if masks.is_dir() else []:
            for stem, mask in images_by_stem(masks / clip, allow_empty=True).items():
                members.append(Member(split, clip, stem, mask, frame_of(frames.get(stem, []), clip)))
    if not members:
        raise InputError(
            f"no mask under {annotations}; expected {annotations}/{TRAINING_SPLIT}/{FRAME_MASKS}/<clip>/<frame>.png"
        )
    return members


def frames_by_stem(sun: Path) -> dict[str, list[Path]]:
    """Every JPEG below a folder, by the stem of its name."""
    if not sun.is_dir():
        raise InputError(f"there is no folder {sun}; give the folder of SUN's cases as --sun")
    frames: dict[str, list[Path]] = {}
    for folder, _, names in tqdm(os.walk(sun), desc="looking through SUN", unit="folder", disable=None, leave=False):
        for name in names:
            stem, suffix = os.path.splitext(name)
            if suffix.lower() in (".jpg", ".jpeg") and not name.startswith("."):
                frames.setdefault(stem, []).append(Path(folder, name))
    if not frames:
        raise InputError(f"no JPEG under {sun}; expected {sun}/<case>/<frame>.jpg")
    return frames


def frame_of(candidates: Sequence[Path], clip: str) -> Path | None:
    """The candidate that lies in the clip's case, or else the only one there is: SUN's names carry time and patient."""
    case = clip.partition("_")[0]
    own = [path for path in candidates if path.parent.name == case] or candidates
    return own[0] if len(own) == 1 else None


def shortcomings(members: Sequence[Member]) -> list[str]:
    """What is not as published: frames that are missing, and splits of other sizes."""
    faults = []
    lost = [f"{member.clip}/{member.stem}" for member in members if member.frame is None]
    if lost:
        faults.append(
            f"{len(lost)} of {len(members)} masks have no frame of their own in SUN, first {first_names(lost)}"
        )
    for split, (clips, frames) in SUN_SEG.items():
        own = [member for member in members if member.split == split]
        counts = len({member.clip for member in own}), len(own)
        if counts != (clips, frames):
            faults.append(f"{split} has {counts[0]} clips with {counts[1]} masks instead of {clips} with {frames}")
    return faults


def place(source: Path, target: Path, *, copy: bool) -> None:
    """Link or copy a file, unless it is there.

    Raises:
        InputError: it cannot be made; on Windows, links need the developer mode.
    """
    if target.exists():
        return
    with replace_when_whole(target) as new:
        if copy:
            shutil.copyfile(source, new)
        else:
            new.symlink_to(source.resolve())
