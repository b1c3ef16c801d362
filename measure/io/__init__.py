"""Files in and out: pairing, reading, class masks, damage, atomic writes."""

from .atomic_write import drop_partials, make_folder, replace_when_whole
from .class_masks import LABELS, MERGED, Classes, parse_classes, read_mask
from .errors import InputError
from .integrity import damage
from .json_file import write_json
from .opencv_env import one_thread, quiet_opencv
from .pairing import (
    IMAGE_SUFFIXES,
    first_names,
    images_by_stem,
    natural_key,
    pair_by_stem,
    pair_stems,
    read_grey,
    read_rgb,
    subfolders,
)

__all__ = [
    "Classes",
    "IMAGE_SUFFIXES",
    "InputError",
    "LABELS",
    "MERGED",
    "damage",
    "drop_partials",
    "first_names",
    "images_by_stem",
    "make_folder",
    "natural_key",
    "one_thread",
    "pair_by_stem",
    "pair_stems",
    "parse_classes",
    "quiet_opencv",
    "read_grey",
    "read_mask",
    "read_rgb",
    "replace_when_whole",
    "subfolders",
    "write_json",
]
