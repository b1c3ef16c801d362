"""SUN-SEG from its two downloads.

The frames come with the SUN database (Misawa et al., GIE 2021), the masks with SUN-SEG (Ji et al., MIR 2022), which
cuts SUN's cases into clips. What is expected of them:

    <annotations>/<split>/GT/<clip>/<frame>.png     the five published splits; other annotations are left alone
    <sun>/**/<case>/<frame>.jpg                     at any depth: the parts of the download need not be merged

A mask's frame is the one of its name; where SUN has several, the one in the clip's case (`case7_2` is a clip of
`case7`).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from measure.io import (
    FRAME_MASKS,
    TRAINING_SPLIT,
    InputError,
    counted,
    first_names,
    images_by_stem,
    refuse_outputs_in_inputs,
    subfolders,
)

from ..data import SUN_SEG
from .samples import Sample, clip_targets, place_clips

__all__ = ["Member", "assemble", "find_members", "find_sun_seg"]


@dataclass(frozen=True)
class Member:
    """A mask, and the frame it belongs to (None where SUN has none)."""

    split: str
    clip: str
    stem: str
    mask: Path
    frame: Path | None


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
        InputError: a folder is missing, something is not as published (unless `partial`), `out` holds other images, or
            a file cannot be made.
    """
    refuse_outputs_in_inputs([out], [sun, annotations])
    members = published_members(sun, annotations, partial=partial)
    found = [member for member in members if member.frame]
    targets: dict[Path, Path] = {}
    for member in found:
        targets |= clip_targets(out / member.split, member.clip, member.stem, frame=member.frame, mask=member.mask)
    place_clips(targets, root=out, copy=copy)
    return len(found)


def published_members(sun: Path, annotations: Path, *, partial: bool) -> list[Member]:
    """Find the members, and compare them with what was published.

    Raises:
        InputError: a folder is missing, or something is not as published, unless `partial`: then it is told.
    """
    members = find_members(sun, annotations)
    faults = shortcomings(members)
    if faults and not partial:
        raise InputError(f"{'; '.join(faults)}; complete the downloads, or take what is there with --partial")
    for fault in faults:
        print(f"note: {fault}", file=sys.stderr)
    return members


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
            f"{counted(len(lost), 'mask has', 'masks have', of=len(members))} no frame of their own in SUN, "
            f"first {first_names(lost)}"
        )
    for split, (clips, frames) in SUN_SEG.items():
        own = [member for member in members if member.split == split]
        counts = len({member.clip for member in own}), len(own)
        if counts != (clips, frames):
            found = f"{counted(counts[0], 'clip')} with {counted(counts[1], 'mask')}"
            faults.append(f"{split} has {found} instead of {clips} with {frames}")
    return faults


def find_sun_seg(roots: Sequence[Path], *, partial: bool = False) -> list[Sample]:
    """The samples of `prepare sun-seg`: the annotations are the folder with SUN-SEG's splits, SUN's frames the others.

    Raises:
        InputError: a folder is missing, or something is not as published, unless `partial`.
    """
    annotated = [(root, place.parent) for root in roots for place in root.rglob(TRAINING_SPLIT) if place.is_dir()]
    others = [root for root in roots if root not in [own for own, _ in annotated]]
    if len(annotated) != 1 or len(others) != 1:
        raise InputError(
            f"{len(annotated)} folders with {TRAINING_SPLIT}/ and {len(others)} others were given; expected SUN's "
            "frames and SUN-SEG's annotations, as --from SUN SUN-SEG-Annotation"
        )
    members = published_members(others[0], annotated[0][1], partial=partial)
    return [
        Sample(f"SUN-SEG/{member.split}", member.stem, member.frame, member.mask, member.clip)
        for member in members
        if member.frame
    ]
