"""Checkpoints of a training run: plain data and tensors, written whole or not at all, enough to go on from exactly."""

from __future__ import annotations

import math
import os
import random
import shutil
import sys
import zipfile
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from lib import ModelError, read_checkpoint
from measure.io import InputError, counted, make_folder, replace_when_whole

from ...runtime import tensors_when_whole
from .run_folder import LOG, runs_in

__all__ = [
    "FORMAT_VERSION",
    "Saver",
    "furthest_checkpoint",
    "generator_states",
    "keep_left_course",
    "read_run",
    "restore_generators",
]

FORMAT_VERSION = 2
UNKNOWN = (math.inf, math.inf)  # the position of a file that does not tell it


class Saver:
    """Writes checkpoints in a thread of its own while training goes on; one at a time, each whole or not at all."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1)
        self._pending: Future | None = None

    def save(self, paths: Sequence[Path], content: dict[str, Any]) -> None:
        """Write `content`, as it is now, under all `paths`.

        Raises:
            InputError: the checkpoint before this one could not be written.
        """
        self.wait()
        self._pending = self._pool.submit(write, paths, snapshot({"format_version": FORMAT_VERSION, **content}))

    def wait(self) -> None:
        """Wait until everything is written.

        Raises:
            InputError: no space or no permission; a former checkpoint at that path is untouched.
        """
        if self._pending:
            pending, self._pending = self._pending, None
            pending.result()

    def close(self) -> None:
        """End the thread after the write under way."""
        self._pool.shutdown()


def write(paths: Sequence[Path], content: dict[str, Any]) -> None:
    """Write the first path beside it and move it there; the others become links to the same bytes, or copies.

    Every write makes a new file, so a link keeps what it had when another of the names is replaced.
    """
    first, *others = paths
    with tensors_when_whole(first) as file:
        torch.save(content, file)
    for path in others:
        same_bytes(first, path)


def same_bytes(first: Path, path: Path) -> None:
    """Make `path` a link to the bytes of `first`, or a copy."""
    with replace_when_whole(path) as partial:
        try:
            os.link(first, partial)
        except OSError:  # a file system without links
            shutil.copyfile(first, partial)


def keep_left_course(resumed: Path, *, is_best: bool) -> str:
    """Keep what a run in its own folder would replace after it has gone back to an earlier checkpoint.

    Checkpoints that are further than the one gone back to move into `left_at_epoch_N/`, with a copy of log.csv.

    Args:
        resumed: the checkpoint, in the run's folder. last.pth is where the run is: whatever is further was left before.
        is_best: whether its epoch has the best score up to there: then it becomes best.pth where that was moved.

    Returns:
        A sentence that says what is kept where; "" where nothing is further.

    Raises:
        InputError: the folder cannot be written to.
    """
    folder, here = resumed.parent, position(resumed)
    further = {path: at for path in runs_in(folder) if here < (at := position(path)) < UNKNOWN}
    if resumed.name == "last.pth" or not further:
        return ""
    epoch = max(further.values())[0]
    place, times = folder / f"left_at_epoch_{epoch}", 1
    while place.exists():
        times += 1
        place = folder / f"left_at_epoch_{epoch}_{times}"
    make_folder(place)
    kept = [path.name for path in further]
    if (folder / LOG).is_file():
        shutil.copyfile(folder / LOG, place / LOG)
        kept.append(LOG)
    for path in further:
        path.rename(place / path.name)
    if is_best and not (folder / "best.pth").exists():
        same_bytes(resumed, folder / "best.pth")
    return f"the run had gone further than {resumed.name} (to epoch {epoch}): its {', '.join(kept)} are kept in {place}"


def snapshot(state: Any) -> Any:
    """A copy of nested plain data whose tensors lie in main memory and change no more."""
    copy = copied(state)
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()  # once for all tensors, whose copies run side by side until then
    return copy


def copied(state: Any) -> Any:
    if isinstance(state, torch.Tensor):
        host = torch.empty_like(state, device="cpu", pin_memory=state.is_cuda)
        return host.copy_(state.detach(), non_blocking=True)
    if isinstance(state, dict):
        return {key: copied(value) for key, value in state.items()}
    return [copied(value) for value in state] if isinstance(state, list) else state


def is_resumable(checkpoint: dict[str, Any]) -> bool:
    """Tell a checkpoint of a run from weights alone: exported ones, or those of the released scripts."""
    return "format_version" in checkpoint and "config" in checkpoint


def read_run(path: str | Path) -> dict[str, Any] | None:
    """Return a checkpoint to go on from, every byte of it checked; None for weights that hold no run of ours.

    Raises:
        ModelError: the file is missing or damaged.
        InputError: it is of another format.
    """
    found = read_checkpoint(path)
    if not is_resumable(found):
        return None
    with zipfile.ZipFile(path) as archive:  # PyTorch's own reader passes over checksums
        if bad := archive.testzip():
            raise ModelError(f"{path} is damaged: the checksum of its part {bad} is wrong; go on from another one")
    if found["format_version"] != FORMAT_VERSION:
        raise InputError(
            f"{path} has format {found['format_version']} and this code goes on from format {FORMAT_VERSION}; "
            "take the revision of the code that wrote it, or start anew from its weights"
        )
    return found


def furthest_checkpoint(folder: str | Path) -> tuple[Path, dict[str, Any]] | None:
    """The checkpoint in a run folder whose run went furthest, and its content; None where there are no checkpoints.

    That is last.pth where it is whole: of a run that went back to an earlier checkpoint, the others may be of the
    course that was left. Damaged ones are passed over with a warning.

    Raises:
        InputError: there are checkpoints, but none that a run can go on from.
    """
    found = runs_in(Path(folder))
    found.sort(key=lambda path: (path.name == "last.pth", position(path)), reverse=True)
    faults = []
    for path in found:
        try:
            if content := read_run(path):
                return path, content
            fault = "it holds weights but no run to go on with"
        except (ModelError, InputError) as error:
            fault = str(error)
        faults.append(fault)
        tqdm.write(f"warning: {path} is passed over: {fault}", file=sys.stderr)
    if faults:
        raise InputError(
            f"--resume auto was given, but no run can go on from the {counted(len(faults), 'checkpoint')} in {folder} "
            f"(first: {faults[0]}); mend or remove them, or choose another --train_model_save_path"
        )
    return None


def position(path: Path) -> tuple[float, float]:
    """Epochs finished and steps done in the one after; infinite for a file that does not tell. Tensors are not read."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        return int(content["epoch"]), int(content["step"])
    except Exception:  # whatever is wrong, reading the whole file says it in a sentence
        return UNKNOWN


def generator_states(device: torch.device) -> dict[str, Any]:
    """The states of the random generators of this process and of its device, as plain data."""
    name, keys, position, has_gauss, cached = np.random.get_state()
    return {
        "python": random.getstate(),
        "numpy": (name, keys.tolist(), position, has_gauss, cached),
        "torch": torch.get_rng_state(),
        "cuda": [torch.cuda.get_rng_state(device)] if device.type == "cuda" else [],
    }


def restore_generators(states: dict[str, Any], device: torch.device) -> None:
    """Put the random generators back to a saved state; a note says where the device's cannot be."""
    version, internal, gauss = states["python"]
    random.setstate((version, tuple(internal), gauss))
    np.random.set_state(states["numpy"])
    torch.set_rng_state(states["torch"])
    if device.type == "cuda" and len(states["cuda"]) == 1:
        torch.cuda.set_rng_state(states["cuda"][0], device)
    elif (device.type == "cuda") != bool(states["cuda"]):
        tqdm.write(
            f"note: the run goes on on another kind of device ({device.type}); its random draws, of drop path for "
            "example, are not those it would have made",
            file=sys.stderr,
        )
