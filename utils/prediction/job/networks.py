"""The networks that the options name, in what runs them."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ...runtime import network_options
from ..averaging import averaged
from ..config import PredictConfig
from ..network import TrainedNetwork
from ..runtimes import load_all, with_runtime

__all__ = ["networks_of", "running"]

NETWORK = "sepnet"  # where neither the weights nor the flags name one, as the released script has it


def networks_of(config: PredictConfig) -> list[TrainedNetwork]:
    """The networks that the weights or the options name."""
    return load_all(
        config.model_state_dict_path or (None,),
        name=config.model,
        fallback=NETWORK,
        options=network_options(config),
        size=config.test_size,
        size_flag="--test_size",
    )


def running(
    networks: Sequence[TrainedNetwork], config: PredictConfig, device: torch.device, *, many: bool = False
) -> tuple[list[TrainedNetwork], TrainedNetwork]:
    """Put networks into the runtime that the options name.

    Args:
        networks: as they were loaded.
        config: runtime, precision, what is averaged.
        device: what runs them.
        many: a video's frames are coming, so starting another runtime pays.

    Returns:
        All of them, for the record, and the one that gives their mean answer; of one network it is itself.
    """
    how = {"amp": config.amp, "cuda_graphs": config.cuda_graphs}
    ready = [with_runtime(each, config.runtime, device, many=many, **how) for each in networks]
    return ready, averaged(ready, config)
