"""An exported video network behind the face of one: two ONNX files answer `encode` and `step`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lib import Encoding, Memory
from measure.io import InputError

from .clip_graphs import StepGraph
from .onnx_file import read_facts
from .sessions import open_session, runtime_config

__all__ = ["OnnxClipNetwork", "clip_files", "is_second_part", "read_clip_network"]

PARTS = ("encode", "step")


class OnnxClipNetwork(nn.Module):
    """Both ONNX files of a video network in ONNX Runtime, clip by clip.

    In the `Memory` that it takes and gives stand, in place of a clip's banks, the arrays that the graphs exchange: a
    level's entries, (M, W) float32. PyTorch's networks do not read such a memory.

    Args:
        files: the file of each part.
        facts: what they say of themselves (`read_facts`).

    Raises:
        InputError: ONNX Runtime is not installed or cannot use a file.
    """

    kind = "video"

    def __init__(self, files: dict[str, Path], facts: dict[str, Any]):
        super().__init__()
        self.name, self.facts = facts["model"], facts
        self.sessions = {part: open_session(files[part]) for part in PARTS}
        self.config = runtime_config(facts)
        memory = [given for given in self.sessions["step"].get_inputs() if given.name.startswith("memory_")]
        self.nothing = [np.zeros((0, given.shape[1]), np.float32) for given in memory]

    def encode(self, frame: Tensor) -> Encoding:
        """(N, 3, S, S) frames -> their features."""
        answers = [self.sessions["encode"].run(None, {"frame": array}) for array in single_arrays(frame)]
        return Encoding(*(torch.from_numpy(np.concatenate(level)) for level in zip(*answers, strict=True)))

    def step(
        self, frame: Encoding, neighbour: Encoding, memory: Memory, write: Sequence[bool]
    ) -> tuple[dict[str, Tensor], Memory]:
        """Segment a frame of each of N clips and remember those of `write`.

        Args:
            frame: what `encode` made of the frames.
            neighbour: of the frames after them.
            memory: what the last step returned; empty at the start.
            write: N switches.

        Returns:
            {"out": (N, 1, S, S) logits}, and the memory for the next step.
        """
        features = zip(*map(single_arrays, (*frame, *neighbour)), strict=True)
        logits, clips = [], []
        for own, clip, remembers in zip(features, memory.for_batch(len(write)).clips, write, strict=True):
            given = [*own, *(clip or self.nothing), np.array(remembers)]
            found, *rows = self.sessions["step"].run(None, dict(zip(StepGraph.input_names, given, strict=True)))
            logits.append(found)
            clips.append(tuple(rows))
        return {"out": torch.from_numpy(np.concatenate(logits))}, Memory(tuple(clips))


def single_arrays(batch: Tensor) -> list[np.ndarray]:
    """A (N, C, h, w) batch as N arrays (1, C, h, w)."""
    array = np.ascontiguousarray(batch.float().cpu().numpy())
    return [array[number : number + 1] for number in range(len(array))]


def clip_files(out: Path) -> dict[str, Path]:
    """The files of a video network by their part, named after one that is asked for."""
    return {part: out.with_name(f"{out.stem}.{part}.onnx") for part in PARTS}


def pair_of(path: Path) -> dict[str, Path]:
    """The files of a video network by their part, of which one is given."""
    return clip_files(path.with_name(f"{Path(path.stem).stem}.onnx"))


def is_second_part(path: str | Path, others: Sequence[str | Path]) -> bool:
    """Whether a file is the step of a video network whose encode is among others, so that both are one network."""
    path = Path(path)
    return path.name.endswith(".step.onnx") and pair_of(path)["encode"] in map(Path, others)


def read_clip_network(path: str | Path) -> tuple[OnnxClipNetwork, Path]:
    """Read an exported video network, of which one file is given; the other lies beside it.

    Returns:
        The network and its encode file.

    Raises:
        InputError: a file under another name than it was exported, one that is missing or damaged, or two of different
            networks.
    """
    path = Path(path)
    files = pair_of(path)
    if path not in files.values():
        raise InputError(
            f"{path} is a part of a video network under another name; its parts are found by their names, so call "
            "them NAME.encode.onnx and NAME.step.onnx, in one folder"
        )
    for other in files.values():
        if not other.is_file():
            raise InputError(f"{path} is a part of a video network and {other} is missing; put both into one folder")
    told = {part: read_facts(file) for part, file in files.items()}
    if any(told[part] != told["encode"] | {"part": part} for part in PARTS):
        raise InputError(
            f"{files['encode']} and {files['step']} are not the encode and the step of one network; "
            "export both together"
        )
    return OnnxClipNetwork(files, told["encode"]), files["encode"]
