"""Train a network on images or clips and their masks: python myTrain.py --train_data_path data/TrainDataset"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from utils import commands, runtime, training  # rooms load their files when a name is used: --help needs no PyTorch


def main(argv: Sequence[str] | None = None) -> int:
    words = sys.argv[1:] if argv is None else list(argv)

    def start() -> None:
        command = commands.parse_train_args(words)
        config, world = command.config, runtime.world()
        with (
            runtime.join(world),
            runtime.kernels(tf32=config.tf32, cudnn_benchmark=config.cudnn_benchmark),
            runtime.deterministic(config.deterministic, model=config.model),
        ):
            if command.folds.folds:
                commands.train_folds(command, argv=words, world=world)
            elif command.start.seeds:
                commands.train_seeds(command, argv=words, world=world)
            else:
                training.train(config, command.start, argv=words, world=world, resume=command.resume)

    return runtime.run(start)


if __name__ == "__main__":
    sys.exit(main())
