"""Write prediction maps: python myTest.py --model_state_dict_path best.pth --test_data_path data/TestDataset"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from utils.commands import parse_predict_args
from utils.runtime import run


def main(argv: Sequence[str] | None = None) -> int:
    def start() -> None:
        config = parse_predict_args(argv)
        from utils.prediction import predict  # PyTorch is loaded for flags that can be used
        from utils.runtime import join, world

        processes = world()
        with join(processes):
            predict(config, processes)

    return run(start)


if __name__ == "__main__":
    sys.exit(main())
