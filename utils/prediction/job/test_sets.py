"""What there is to predict: test sets, clips, or the images that --input names."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from measure.io import STILLS, Layout, refuse_outputs_in_inputs

from ..clips import find_clips
from ..config import PredictConfig
from ..images import find_sets
from ..inputs import find_images

__all__ = ["TestSets", "find_inputs", "find_test_sets"]


@dataclass(frozen=True)
class TestSets:
    """What was found to be predicted.

    Attributes:
        root: where it lies, as it was given.
        images: set, folder of the results, or `<split>/<case>`, -> stem -> image file.
        kind: "sets" of images, "folders" of them (--input), or "clips".
        read: files and folders that nothing may be written to.
    """

    root: str
    images: Mapping[str, Mapping[str, Path]]
    kind: str
    read: Sequence[Path]


def find_test_sets(root: str, layout: Layout = STILLS) -> TestSets:
    """Find sets of images, clips laid out as SUN-SEG's, or one image, at or below `root`.

    Args:
        root: a folder, or an image file.
        layout: see `find_sets`.

    Raises:
        InputError: there are none.
    """
    clips = {} if Path(root).is_file() else find_clips(root)
    images = clips or find_sets(root, layout)
    return TestSets(root, images, "clips" if clips else "sets", [Path(root)])


def find_inputs(config: PredictConfig) -> TestSets:
    """Find the images of --input; see `find_images`."""
    trees = [Path(word) for word in config.input if Path(word).is_dir()]
    named = (config.pred_save_path, config.masks, config.overlay, config.uncertainty, config.contours, config.table)
    refuse_outputs_in_inputs([place for place in named if place], trees)
    found = find_images(config.input, config.layout)
    if found.passed_over:
        told = ", ".join(f"{count} {suffix}" for suffix, count in found.passed_over.items())
        print(f"note: passed over {told}: files of kinds that are no images here", file=sys.stderr)
    files = [path for images in found.by_folder.values() for path in images.values()]
    return TestSets(" ".join(config.input), found.by_folder, "folders", [*found.trees, *files])
