"""A run folder belongs to one run at a time, and nothing in it is replaced unless asked for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from measure.io import InputError, locked_folder

from ...runtime import World

__all__ = ["LOG", "claimed", "goes_on_in", "refuse_other_run", "runs_in"]

LOG = "log.csv"  # a row an epoch
ADVICE = "wait for its end, stop it, or choose another --train_model_save_path"
CHECKPOINT = re.compile(r"(last|best|checkpoint_epoch_\d+)\.pth")
LEFT_BESIDE = (LOG, "config.json", "data.csv", "events.out.tfevents.*")


def runs_in(folder: Path) -> list[Path]:
    """The checkpoints that runs leave in a folder; other weights that lie there are none of them."""
    return sorted(path for path in folder.glob("*.pth") if CHECKPOINT.fullmatch(path.name))


@contextmanager
def claimed(folder: str | Path, *, resumed: str | Path | None, overwrite: bool, world: World) -> Iterator[None]:
    """Hold a run folder for the block.

    Args:
        folder: of the run; it is made where it is not there.
        resumed: the checkpoint that the run goes on from.
        overwrite: remove what an earlier run left there.
        world: the first process holds the folder for all.

    Raises:
        InputError: another process trains into it, it holds a run that would be replaced, or it cannot be written to.
    """
    folder, fault = Path(folder), None
    with ExitStack() as held:
        if world.is_first:
            try:
                held.enter_context(locked_folder(folder, doing="trains into", advice=ADVICE))
                prepare(folder, resumed=resumed, overwrite=overwrite)
            except InputError as error:
                fault = str(error)
        if fault := world.all_gather(fault)[0]:
            raise InputError(fault)
        yield


def prepare(folder: Path, *, resumed: str | Path | None, overwrite: bool) -> None:
    """Refuse to replace a run, or remove it where that was asked for."""
    refuse_other_run(folder, resumed=resumed, overwrite=overwrite)
    if overwrite and not goes_on_in(folder, resumed):
        beside = [path for pattern in LEFT_BESIDE for path in folder.glob(pattern)]
        for path in runs_in(folder) + beside:
            path.unlink()


def goes_on_in(folder: Path, resumed: str | Path | None) -> bool:
    """Whether the run that is resumed is the one in the folder."""
    return resumed is not None and Path(resumed).resolve().parent == folder.resolve()


def refuse_other_run(folder: str | Path, *, resumed: str | Path | None, overwrite: bool) -> None:
    """Refuse a folder that holds another run than the one that is resumed, unless it may be replaced.

    Raises:
        InputError: it holds one; the message says what can be done.
    """
    folder = Path(folder)
    found = runs_in(folder)
    if found and not overwrite and not goes_on_in(folder, resumed):
        raise InputError(
            f"{folder} holds a run already ({', '.join(path.name for path in found[:3])}); add --resume auto to go on "
            "with it, choose another --train_model_save_path, or add --overwrite to replace it"
        )
