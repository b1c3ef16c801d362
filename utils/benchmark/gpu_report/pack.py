"""Code, data and weights in one archive, for a machine with a GPU and without a network."""

from __future__ import annotations

import dataclasses
import io
import shlex
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import torch

from lib import read_checkpoint
from measure.io import InputError, replace_when_whole

from ...data import find_pairs
from ...runtime import words_of
from .stages import GpuOptions

__all__ = ["pack"]

ROOT = Path(__file__).resolve().parents[3]
DATA, WEIGHTS = "gpu_data", "gpu_encoder.pth"  # names in the archive
MIB = 2**20


def pack(options: GpuOptions) -> str:
    """Write the archive, and return what to do with it.

    Raises:
        InputError: no git checkout, a folder that is not there, or more than the limit.
        ModelError: weights that cannot be read.
    """
    target = Path(options.pack)
    files = dict(code_files())
    there = dataclasses.replace(options, pack=None, pack_limit=GpuOptions.pack_limit)
    if options.train_data_path:
        files |= data_files(Path(options.train_data_path))
        there = dataclasses.replace(there, train_data_path=DATA)
    weights = b""
    if options.net_pretrained_backbone_path != "none":
        weights = halved(options.net_pretrained_backbone_path)
        there = dataclasses.replace(there, net_pretrained_backbone_path=WEIGHTS)
    size = sum(path.stat().st_size for path in files.values()) + len(weights)
    if size > options.pack_limit * MIB:
        raise InputError(
            f"{size / MIB:.0f} MiB would be packed and --pack_limit is {options.pack_limit:g}; take fewer images or "
            "raise it"
        )
    # links, as data sets are often made of, point to nothing elsewhere: what they lead to is packed
    with replace_when_whole(target) as partial, tarfile.open(partial, "w", dereference=True) as archive:
        for name, path in files.items():
            archive.add(path, name, recursive=False)
        if weights:
            entry = tarfile.TarInfo(WEIGHTS)
            entry.size = len(weights)
            archive.addfile(entry, io.BytesIO(weights))
    words = shlex.join(["python", "-m", "utils", "gpu", *words_of(there, GpuOptions())])
    return f"{target} holds {len(files)} files, {size / MIB:.1f} MiB; unpack it there and run: {words}"


def code_files() -> Iterator[tuple[str, Path]]:
    """Name in the archive and path of everything git knows of this checkout."""
    try:
        words = ["git", "-C", str(ROOT), "ls-files", "-z"]
        listed = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise InputError(f"git does not list the files of {ROOT}; pack from a clone") from error
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            yield name, ROOT / name


def data_files(folder: Path) -> dict[str, Path]:
    """Name in the archive and path of everything in a data folder.

    Raises:
        InputError: nothing that can be trained on, which would be told only where the archive is unpacked.
    """
    find_pairs(folder)
    return {f"{DATA}/{path.relative_to(folder)}": path for path in sorted(folder.rglob("*")) if path.is_file()}


def halved(path: str) -> bytes:
    """A weight file in half precision where its values fit, which its loader widens again."""
    weights = read_checkpoint(path)
    small = {name: value.half() if fits_half(value) else value for name, value in weights.items()}
    buffer = io.BytesIO()
    torch.save(small, buffer)
    return buffer.getvalue()


def fits_half(value: object) -> bool:
    is_float = isinstance(value, torch.Tensor) and value.is_floating_point()
    return is_float and bool(value.half().isfinite().all())
