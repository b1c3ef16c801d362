"""myTest.py's flags, made of `PredictConfig`. Imports no PyTorch."""

from __future__ import annotations

from collections.abc import Sequence

from measure.io import CommandParser

from ..prediction import GROUPS, PredictConfig
from ..runtime import add_flags

__all__ = ["parse_predict_args"]

DESCRIPTION = """Write prediction maps:

  python myTest.py --model_state_dict_path best.pth --test_data_path data/TestDataset

Or draw what the network sees into a video:

  python myTest.py --model_state_dict_path best.pth --input clip.mp4 --overlay out.mp4
"""


def parse_predict_args(argv: Sequence[str] | None = None) -> PredictConfig:
    """Parse flags.

    Raises:
        InputError: an unknown flag, a value that cannot be used, or flags that do not go together.
    """
    parser = CommandParser(usage="python myTest.py [flags]", description=DESCRIPTION)
    for title in GROUPS:
        parser.add_argument_group(title)
    add_flags(parser, PredictConfig)
    return PredictConfig.from_flags(vars(parser.parse_args(argv)))
