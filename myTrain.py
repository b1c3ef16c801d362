"""Train a network on images or clips and their masks: python myTrain.py --train_data_path data/TrainDataset"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from utils import commands, runtime, training  # rooms load their files when a name is used: --help needs no PyTorch


def main(argv: Sequence[str] | None = None) -> int:
    words = sys.argv[1:] if argv is None else list(argv)

    def start() -> None:
        command = commands.parse_train_args(words)
        world = runtime.world()
        with runtime.join(world), runtime.deterministic(command.config.deterministic, model=command.config.model):
            if command.start.seeds:
                commands.train_seeds(command, argv=words, world=world)
            else:
                training.train(command.config, command.start, argv=words, world=world, resume=command.resume)

    return runtime.run(start)


if __name__ == "__main__":
    sys.exit(main())
