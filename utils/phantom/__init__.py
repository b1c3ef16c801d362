"""Deterministic synthetic colonoscopy images with exact masks, in the project's folder layouts.

    image, mask = phantom_still(seed=7, size=(288, 352))
    write_stills("data/TrainDataset", count=200, seed=0)
    frames, masks = phantom_clip(seed=7, frames=24)
    write_clips("data/SUN-SEG", split="TrainDataset", cases=8, frames=24, seed=0)

`scene` draws what there is to see, `wall` paints it, `camera` renders the image, `stills` and `clips` write the
files; `python -m utils phantom` is the command. No picture of a patient went into any of it.
"""

from .clips import check_clip, check_clip_folders, phantom_clip, write_clips
from .files import check_count
from .scene import LOOKS, find_look
from .stills import check_still_folders, phantom_still, write_stills

__all__ = [
    "LOOKS",
    "check_clip",
    "check_clip_folders",
    "check_count",
    "check_still_folders",
    "find_look",
    "phantom_clip",
    "phantom_still",
    "write_clips",
    "write_stills",
]
