"""Unpacking downloads without trusting them: nothing outside the folder, no links, no archive that swells without end.

Zip and tar files (plain, gzip, bzip2, xz). Run again, it goes on: members that are there in full are passed over.
"""

from __future__ import annotations

import lzma
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Protocol

from tqdm import tqdm

from measure.io import InputError, drop_partials, make_folder, replace_when_whole

__all__ = ["ARCHIVE_SUFFIXES", "is_archive", "unpack"]

ARCHIVE_SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
FOREIGN_SUFFIXES = (".rar", ".7z")  # the standard library does not read them

MOST_MEMBERS = 1_000_000
MOST_RATIO = (
    200  # times the archive's size that it may unpack to; images hardly shrink, black masks up to a hundredfold
)
LEAST_LIMIT = 2**30  # bytes that every archive may unpack to, whatever its size
CHUNK = 2**20

NOT_OURS = ("__MACOSX", ".DS_Store", "Thumbs.db")
DAMAGED = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    NotImplementedError,
    RuntimeError,
)


@dataclass(frozen=True)
class FileInside:
    """A regular file in an archive.

    Attributes:
        name: its path as the archive spells it.
        size: bytes, as the archive says.
        key: what the archive opens it by.
    """

    name: str
    size: int
    key: zipfile.ZipInfo | tarfile.TarInfo


class Archive(Protocol):
    def files(self) -> Iterator[FileInside]: ...
    def open(self, member: FileInside) -> BinaryIO: ...


class ZipArchive:
    def __init__(self, path: Path):
        self.file = zipfile.ZipFile(path)

    def files(self) -> Iterator[FileInside]:
        for info in self.file.infolist():
            mode = info.external_attr >> 16
            if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise InputError(f"{info.filename!r} is a link or a device")
            if not info.is_dir():
                yield FileInside(info.filename, info.file_size, info)

    def open(self, member: FileInside) -> BinaryIO:
        return self.file.open(member.key)


class TarArchive:
    def __init__(self, path: Path):
        self.file = tarfile.open(path)  # noqa: SIM115 (closed by `unpack`)

    def files(self) -> Iterator[FileInside]:
        try:
            for info in self.file:
                if info.isdir():
                    continue
                if not info.isreg():
                    raise InputError(f"{info.name!r} is a link or a device")
                yield FileInside(info.name, info.size, info)
            while self.file.fileobj.read(CHUNK):  # behind the last member: the checksum stands at the end
                pass
        except OSError as error:
            if error.errno is not None:
                raise
            raise tarfile.ReadError(f"{error}") from error  # gzip and bzip2 tell of damage so

    def open(self, member: FileInside) -> BinaryIO:
        return self.file.extractfile(member.key)


def is_archive(path: Path) -> bool:
    """Whether a file's name is that of an archive, one that can be unpacked here or not."""
    return path.name.lower().endswith(ARCHIVE_SUFFIXES + FOREIGN_SUFFIXES)


def unpack(archive: Path, folder: Path, *, limit: int | None = None) -> Path:
    """Unpack the files of an archive below `folder`, and return it.

    Args:
        limit: bytes that it may unpack to; None: 200 times its own size, at least 1 GiB.

    Raises:
        InputError: it is damaged, locked, of a kind that is not read here, larger inside than `limit`, or holds a path
            that leads outside, a link or a device. Nothing is written outside `folder` in any case.
    """
    if archive.name.lower().endswith(FOREIGN_SUFFIXES):
        raise InputError(f"{archive} is no zip or tar; unpack it yourself, as by `7z x`, and give the folder as --from")
    limit = max(LEAST_LIMIT, MOST_RATIO * archive.stat().st_size) if limit is None else limit
    try:
        opened = ZipArchive(archive) if archive.suffix.lower() == ".zip" else TarArchive(archive)
        with opened.file:
            _unpack_members(opened, archive, make_folder(folder), limit)
    except InputError as error:
        raise InputError(f"{archive} is not unpacked: {error}") from error
    except DAMAGED as error:
        reason = "it is locked by a password" if "password" in str(error) else f"it is damaged ({error})"
        raise InputError(f"{archive} cannot be unpacked: {reason}; unpack it yourself or download it again") from error
    return folder


def _unpack_members(opened: Archive, archive: Path, folder: Path, limit: int) -> None:
    total = 0
    cleaned: set[Path] = set()
    with tqdm(desc=f"unpacking {archive.name}", unit="file", disable=None, leave=False) as bar:
        for number, member in enumerate(opened.files(), start=1):
            total += member.size
            if total > limit or number > MOST_MEMBERS:
                raise InputError(
                    f"it unpacks to more than {limit / 2**30:.3g} GiB or {MOST_MEMBERS} files, as no data set of its "
                    "size does; unpack it yourself if you trust it, or raise --max_gigabytes"
                )
            target = folder / _inside(member.name)
            bar.update()
            if any(part in NOT_OURS for part in target.parts) or _is_there(target, member.size):
                continue
            make_folder(target.parent)
            if target.parent not in cleaned:
                drop_partials(target.parent)
                cleaned.add(target.parent)
            with opened.open(member) as source, replace_when_whole(target) as partial:
                _copy(source, partial, member)


def _inside(name: str) -> PurePosixPath:
    """The path of a member below the folder.

    Raises:
        InputError: it leads outside, or is none.
    """
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or not path.parts or ":" in path.parts[0] or "\0" in name:
        raise InputError(f"the path {name!r} in it leads outside")
    return path


def _is_there(target: Path, size: int) -> bool:
    return target.is_file() and not target.is_symlink() and target.stat().st_size == size


def _copy(source: BinaryIO, target: Path, member: FileInside) -> None:
    """Copy a member, never more than the archive said it has."""
    left = member.size
    with target.open("wb") as file:
        while chunk := _read(source, member):
            left -= len(chunk)
            if left < 0:
                raise InputError(f"{member.name!r} in it is larger than it says")
            file.write(chunk)
    if left:
        raise InputError(f"{member.name!r} in it is cut off")


def _read(source: BinaryIO, member: FileInside) -> bytes:
    try:
        return source.read(CHUNK)
    except OSError as error:  # which would be taken for one of writing
        raise InputError(f"{member.name!r} in it is damaged ({error})") from error
