"""Code, data and weights in one archive, for a machine with a GPU and without a network."""

from __future__ import annotations

import io
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import torch

from lib import read_checkpoint
from measure.io import InputError, replace_when_whole

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
    words = ["python -m utils gpu"]
    if options.train_data_path:
        files |= data_files(Path(options.train_data_path))
        words.append(f"--train_data_path {DATA}")
    weights = b""
    if options.net_pretrained_backbone_path != "none":
        weights = halved(options.net_pretrained_backbone_path)
        words.append(f"--net_pretrained_backbone_path {WEIGHTS}")
    size = sum(path.stat().st_size for path in files.values()) + len(weights)
    if size > options.pack_limit * MIB:
        raise InputError(
            f"{size / MIB:.0f} MiB would be packed and --pack_limit is {options.pack_limit:g}; take fewer images or "
            "raise it"
        )
    with replace_when_whole(target) as partial, tarfile.open(partial, "w") as archive:
        for name, path in files.items():
            archive.add(path, name, recursive=False)
        if weights:
            entry = tarfile.TarInfo(WEIGHTS)
            entry.size = len(weights)
            archive.addfile(entry, io.BytesIO(weights))
    return f"{target} holds {len(files)} files, {size / MIB:.1f} MiB; unpack it there and run: {' '.join(words)}"


def code_files() -> Iterator[tuple[str, Path]]:
    """Name in the archive and path of everything git knows of this checkout."""
    listed = subprocess.run(["git", "-C", str(ROOT), "ls-files", "-z"], capture_output=True, text=True, check=False)
    if listed.returncode:
        raise InputError(f"git does not list the files of {ROOT}; pack from a clone")
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            yield name, ROOT / name


def data_files(folder: Path) -> dict[str, Path]:
    """Name in the archive and path of everything in a data folder.

    Raises:
        InputError: there is nothing in it.
    """
    found = {f"{DATA}/{path.relative_to(folder)}": path for path in sorted(folder.rglob("*")) if path.is_file()}
    if not found:
        raise InputError(f"{folder} holds no file; give a folder with images/ and masks/")
    return found


def halved(path: str) -> bytes:
    """A weight file in half precision, which its loader widens again."""
    weights = read_checkpoint(path)
    small = {name: value.half() if is_float(value) else value for name, value in weights.items()}
    buffer = io.BytesIO()
    torch.save(small, buffer)
    return buffer.getvalue()


def is_float(value: object) -> bool:
    return isinstance(value, torch.Tensor) and value.is_floating_point()
