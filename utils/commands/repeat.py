"""The command that repeats a run: python -m utils repeat checkpoint/run

The command goes to stdout. Notes on stderr say what is not as it was then: revision, libraries, machine. A run whose
data or first weights have changed is refused.
"""

from __future__ import annotations

import itertools
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from measure.io import CommandParser, InputError

from .. import data, runtime, training  # rooms load their files when a name is used: --help needs no PyTorch
from .train_flags import words_of_run

__all__ = ["command_words", "differences", "main", "repeat"]

GIVE_BACK = "put the files back; the run cannot be repeated on others"


def repeat(place: Path) -> None:
    """Print the command that repeats the run in a run folder, or of a checkpoint.

    Raises:
        InputError, ModelError: there is no record of a run, or its data or first weights have changed.
    """
    record = training.read_record(place)
    folder = place if place.is_dir() else place.parent
    data.refuse_other_data(
        training.fingerprint_of_run(training.config_of(record)), record, folder=folder, advice=GIVE_BACK
    )
    refuse_other_weights(record)
    for note in differences(record):
        print(f"note: {note}", file=sys.stderr)
    print(shlex.join(command_words(record, folder=unused_folder_beside(folder))))


def unused_folder_beside(folder: Path) -> Path:
    """A name beside `folder` that is not taken."""
    folder = folder.resolve() if folder.name in ("", "..") else folder
    names = (folder.with_name(f"{folder.name}-again{number}") for number in itertools.chain([""], itertools.count(2)))
    return next(name for name in names if not name.exists())


def command_words(record: Mapping[str, Any], *, folder: str | Path) -> list[str]:
    """Return the command for a run of the same flags into `folder`; it names those that are not --model's defaults."""
    weights = {name: found["path"] for name, found in record.get("weights", {}).items()}
    config = training.config_of({"flags": record["flags"] | weights | {"train_model_save_path": str(folder)}})
    processes = record.get("machine", {}).get("processes", 1)
    words = ["python"] if processes == 1 else ["torchrun", "--nproc_per_node", str(processes)]
    init_weights = weights.get("init_weights", weights.get("load_checkpoint_path"))
    return [*words, "myTrain.py", *words_of_run(config), *(["--init_weights", init_weights] if init_weights else [])]


def refuse_other_weights(record: Mapping[str, Any]) -> None:
    """Refuse weight files that are not those the run started from.

    Raises:
        InputError: one is missing or has changed.
    """
    for name, weights in record.get("weights", {}).items():
        if data.size_and_hash(weights["path"])[1] != weights["hash"]:
            raise InputError(f"{weights['path']} of --{name} has changed since the run read it; {GIVE_BACK}")


def differences(record: Mapping[str, Any]) -> Iterator[str]:
    """Say what is not as it was when the run was made, and what changed while it was made."""
    then, now = record.get("revision"), runtime.revision()
    if then is not None and then["dirty"] and then == now:
        yield f"the code was {described(then)}, which may be others now"
    elif then is None or then["dirty"] or then != now:
        yield f"the code was {described(then)}; it is {described(now)}"
    import torch  # only where a record was found

    device = "cuda" if record.get("machine", {}).get("device") == "cuda" and torch.cuda.is_available() else "cpu"
    here = {"versions": runtime.versions(), "machine": runtime.machine(torch.device(device))}
    for kind, values in here.items():
        for name, was in record.get(kind, {}).items():
            if name != "processes" and values.get(name) != was:
                yield f"{name} was {was}; it is {values.get(name)}"
    for change in record.get("earlier", []):
        flags = [f"--{name} {value}" for name, value in change.get("flags", {}).items()]
        others = ", ".join([*flags, *(name for name in change if name != "flags")])
        yield f"the run began with other settings ({others}); the command has those of its last resume"


def described(revision: Mapping[str, Any] | None) -> str:
    if revision is None:
        return "of no known commit"
    return f"{revision['commit'][:12]}{' with uncommitted changes' if revision['dirty'] else ''}"


def main(argv: Sequence[str] | None = None) -> int:
    parser = CommandParser(prog="python -m utils repeat", description=__doc__)
    parser.add_argument("run", type=Path, help="a run folder, or a checkpoint of ours")
    return runtime.run(lambda: repeat(parser.parse_args(argv).run))
