"""Whether an exported network says what PyTorch says, on images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from .graph import GraphNetwork

__all__ = ["Parity", "compare_outputs", "reference_outputs"]

Run = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Parity:
    """How far two runs of a network are apart.

    Attributes:
        greatest: difference of a probability.
        mean: difference of the probabilities.
        dice: mean Dice, over the images, of the two runs' masks at probability 1/2; two empty ones count 1.
        images: their number.
    """

    greatest: float
    mean: float
    dice: float
    images: int

    @property
    def told(self) -> str:
        """The difference in a sentence."""
        return (
            f"probabilities differ from PyTorch's by at most {self.greatest:.2g}, {self.mean:.2g} on average, and "
            f"masks at 1/2 have a Dice of {self.dice:.4f} with PyTorch's"
        )


def reference_outputs(graph: GraphNetwork, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    """What PyTorch makes of each input, (1, ...) arrays."""
    with torch.inference_mode():
        return [graph(torch.from_numpy(array)).numpy() for array in inputs]


def compare_outputs(run: Run, inputs: Sequence[np.ndarray], reference: Sequence[np.ndarray], *, logits: bool) -> Parity:
    """Compare a runtime with PyTorch.

    Args:
        run: takes an input, returns the runtime's output.
        inputs: (1, ...) arrays.
        reference: PyTorch's outputs of them.
        logits: outputs are logits, whose probabilities are compared; otherwise they are probabilities.
    """
    greatest, means, dice = 0.0, [], []
    for array, expected in zip(inputs, reference, strict=True):
        found, expected = (probability(output, logits) for output in (run(array), expected))
        difference = np.abs(found - expected)
        greatest = max(greatest, float(difference.max()))
        means.append(float(difference.mean()))
        first, second = found >= 0.5, expected >= 0.5
        total = first.sum() + second.sum()
        dice.append(2 * float((first & second).sum()) / float(total) if total else 1.0)
    return Parity(greatest, float(np.mean(means)), float(np.mean(dice)), len(inputs))


def probability(output: np.ndarray, logits: bool) -> np.ndarray:
    output = output.astype(np.float64)
    return 1 / (1 + np.exp(-np.clip(output, -500, 500))) if logits else output
