"""Write prediction maps: python myTest.py --model_state_dict_path best.pth --test_data_path data/TestDataset"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from utils import commands, prediction, runtime  # rooms load their files when a name is used: --help needs no PyTorch


def main(argv: Sequence[str] | None = None) -> int:
    def start() -> None:
        config = commands.parse_predict_args(argv)
        processes = runtime.world()
        with runtime.join(processes):
            prediction.predict(config, processes)

    return runtime.run(start)


if __name__ == "__main__":
    sys.exit(main())
