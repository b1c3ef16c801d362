"""From the options to what is done: stills and laid-out clips, or the frames of one video.

Here alone it is decided whether a network is given images or clips; how it runs on frames is `streaming`'s.
"""

from __future__ import annotations

import sys

from measure.io import limit_megapixels

from ...runtime import World
from ..config import PredictConfig
from ..inputs import is_moving
from ..outputs import best_threshold
from ..runtimes import check_runtime
from .frames import write_video
from .networks import networks_of
from .stills import write_images
from .test_sets import find_inputs, find_test_sets

__all__ = ["predict"]


def predict(config: PredictConfig, world: World) -> None:
    """Do what the options ask for.

    Raises:
        InputError, ModelError: an option, a folder, a file or weights that cannot be used.
        CommandError: images of --input that could not be read were left out; the others are done.
        Stopped: a signal ended a video; what was done so far is kept.
    """
    limit_megapixels(config.max_megapixels)
    check_runtime(config.runtime)
    if config.threshold_from:
        tell_threshold(config.threshold_from)
    single = config.input is not None and len(config.input) == 1
    if single and (config.draws_video or is_moving(config.input)):
        write_video(config, None, world)
        return
    found = find_inputs(config) if config.input else find_test_sets(config.test_data_path, config.layout)
    networks = networks_of(config)
    if single and networks[0].model.kind == "video":
        write_video(config, networks, world)
    else:
        write_images(config, found, networks, world)


def tell_threshold(path: str) -> None:
    """Say which threshold a file of scores tells, before anything is done with it."""
    found = best_threshold(path)
    told = f"the threshold is {found.threshold:.4g}, where mean Dice was {found.dice:.4f} on {found.images} images"
    print(f"note: {told} ({path})", file=sys.stderr)
