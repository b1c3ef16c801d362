"""What files a run was made of: a hash of every one, so that a change of the data is noticed and can be named."""

from __future__ import annotations

import csv
import hashlib
import os
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from measure.io import InputError, counted, first_names, replace_when_whole

__all__ = [
    "DATA_FILE",
    "FileRecord",
    "Fingerprint",
    "changes",
    "content_hash",
    "names_under_root",
    "read_fingerprint",
    "refuse_other_data",
    "size_and_hash",
]

HASH_BYTES = 16
DATA_FILE = "data.csv"  # in a run folder


@dataclass(frozen=True, order=True)
class FileRecord:
    """One file of a run.

    Attributes:
        part: what it is used for, "training" or "validation".
        file: its path under the part's folder.
        size: bytes.
        hash: BLAKE2b of the bytes, hexadecimal.
    """

    part: str
    file: str
    size: int
    hash: str


@dataclass(frozen=True)
class Fingerprint:
    """The files of a run, sorted by part and path."""

    entries: tuple[FileRecord, ...]

    def summary(self) -> dict[str, dict[str, Any]]:
        """Number of files, bytes and one hash of each part: what a checkpoint keeps.

        File names, which may name patients, stay out of it: weights travel further than data.
        """
        parts = dict.fromkeys(entry.part for entry in self.entries)
        return {part: summarize([entry for entry in self.entries if entry.part == part]) for part in parts}

    def write(self, path: Path) -> None:
        """Write a table of the files, `part,file,size,hash`."""
        with replace_when_whole(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(FileRecord.__dataclass_fields__)
            writer.writerows((entry.part, entry.file, entry.size, entry.hash) for entry in self.entries)


def summarize(entries: Sequence[FileRecord]) -> dict[str, Any]:
    lines = "".join(f"{entry.file}\0{entry.size}\0{entry.hash}\n" for entry in entries)
    return {
        "files": len(entries),
        "bytes": sum(entry.size for entry in entries),
        "hash": content_hash(lines.encode()),
    }


def names_under_root(paths: Sequence[Path]) -> list[tuple[Path, str]]:
    """Paths with their names under the folder that holds them all, as macOS and Linux write them alike."""
    root = os.path.commonpath(paths)
    return [(path, unicodedata.normalize("NFC", path.relative_to(root).as_posix())) for path in paths]


def size_and_hash(path: str | Path) -> tuple[int, str]:
    """Size in bytes and BLAKE2b hash of a file.

    Raises:
        InputError: it cannot be read.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path} ({error.strerror}); put it back") from error
    return len(content), content_hash(content)


def content_hash(content: bytes) -> str:
    """BLAKE2b of a file's bytes, hexadecimal."""
    return hashlib.blake2b(content, digest_size=HASH_BYTES).hexdigest()


def read_fingerprint(path: Path, summary: Mapping[str, Any]) -> Fingerprint | None:
    """Read the table of a run's files; None where there is none, or one that does not fit the run's summary."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        found = Fingerprint(tuple(FileRecord(row["part"], row["file"], int(row["size"]), row["hash"]) for row in rows))
    except (OSError, KeyError, ValueError):
        return None
    return found if found.summary() == summary else None


def changes(before: Fingerprint, after: Fingerprint) -> str:
    """Say how many files were added, removed and changed, the first five names of each; "" for equal ones.

    One more file can change which files are held out: files that only went to another part are reported where nothing
    else happened.
    """
    old, new = contents_of(before), contents_of(after)
    kinds = {
        "added": [name for name in new if name not in old],
        "removed": [name for name in old if name not in new],
        "changed": [name for name in new if name in old and new[name] != old[name]],
    }
    if not any(kinds.values()):
        was = {(entry.file, entry.part) for entry in before.entries}
        kinds = {"in another part": [entry.file for entry in after.entries if (entry.file, entry.part) not in was]}
    return "; ".join(
        f"{counted(len(names), 'file')} {kind} ({first_names(names)})" for kind, names in kinds.items() if names
    )


def contents_of(fingerprint: Fingerprint) -> dict[str, list[str]]:
    """The hashes of every name over all parts, sorted."""
    found: dict[str, list[str]] = {}
    for entry in fingerprint.entries:
        found.setdefault(entry.file, []).append(entry.hash)
    return {name: sorted(hashes) for name, hashes in found.items()}


def refuse_other_data(found: Fingerprint, config: Mapping[str, Any], *, folder: Path, advice: str) -> None:
    """Refuse data that are not those of the run whose checkpoint has `config` and lies in `folder`.

    Args:
        found: of the data as they are. advice: what to do, the end of the message.

    Raises:
        InputError: files were added, removed or changed, or are in another part.
    """
    recorded = config.get("data")
    if recorded is None or recorded == found.summary():
        return
    before = read_fingerprint(folder / DATA_FILE, recorded)
    how = changes(before, found) if before else f"{counts(found.summary())}, were {counts(recorded)}"
    raise InputError(f"the data are not those of the run in {folder}: {how}; {advice}")


def counts(summary: Mapping[str, Mapping[str, Any]]) -> str:
    return ", ".join(
        f"{part} {content['files']} files of {content['bytes']} bytes" for part, content in summary.items()
    )
