"""Laying a data set out: unpack, find, copy or draw, hash. What is there stays, so a run that was cut short goes on."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from measure.io import (
    InputError,
    available_cores,
    counted,
    drop_partials,
    first_names,
    locked_folder,
    make_folder,
    refuse_outputs_in_inputs,
    write_json,
)

from .samples import Drawing, Sample, is_copied, refuse_strangers, write_file
from .sources import Finder
from .unpacking import is_archive, unpack

__all__ = ["Prepared", "lay_out_set"]

CHUNK = 2**20
BATCH = 256  # samples between two looks for a signal


@dataclass(frozen=True)
class Prepared:
    """What has been laid out.

    Attributes:
        folders: of the sets and splits.
        samples: how many there are.
        manifest: the file that lists every file with its hash.
        changed: files that an earlier run had laid out and that are not the same any more.
    """

    folders: tuple[Path, ...]
    samples: int
    manifest: Path
    changed: tuple[str, ...]


def lay_out_set(
    name: str,
    downloads: Sequence[Path],
    to: Path,
    *,
    find: Finder,
    images: Sequence[int] = (),
    about: dict[str, str] | None = None,
    link: bool = False,
    partial: bool = False,
    limit: int | None = None,
) -> Prepared:
    """Lay a data set out below `to`, and write `<to>/<name>.manifest.json`.

    Args:
        name: of the data set, for the manifest.
        downloads: archives, files and folders; they are only read.
        to: where its folders go.
        find: finds the samples in what was unpacked.
        images: how many there may be, as published; empty: any number.
        about: what else the manifest says.
        link: to the files of folders in place of copying them.
        partial: take what is there where the number is another one.
        limit: bytes that each archive may unpack to.

    Raises:
        InputError: a download that cannot be used, samples that are not as published, or a file that cannot be made;
            what was laid out until then is whole.
    """
    for download in downloads:
        if not download.exists():
            raise InputError(f"there is no {download}; give the downloaded archive, or the folder it was unpacked to")
    refuse_outputs_in_inputs([to], [download for download in downloads if download.is_dir()])
    unpacked = to / f".{name}.unpacked"
    with held(unpacked):
        roots = unpack_all(downloads, unpacked, link=link, limit=limit)
        samples = find(roots)
        check_number(len(samples), images, partial=partial)
        refuse_shared_targets(samples)
        targets = {to / target: to / sample.folder for sample in samples for target in sample.targets()}
        tops = {folder / target.relative_to(folder).parts[0] for target, folder in targets.items()}
        refuse_strangers(targets, tops, root=to, flag="--to")
        manifest = to / f"{name}.manifest.json"
        previous = read_manifest(manifest)
        for folder in {target.parent for target in targets}:
            drop_partials(make_folder(folder))
        files = lay_out_all(samples, to, unpacked, name=name, link=link, previous=previous)
        changed = [path for path, entry in files.items() if previous.get(path, entry)["sha256"] != entry["sha256"]]
        sources = [{"file": path.name} | ({"sha256": sha256_of(path)} if path.is_file() else {}) for path in downloads]
        write_json(
            {"name": name, **(about or {}), "downloads": sources, "samples": len(samples), "files": files}, manifest
        )
        shutil.rmtree(unpacked)
    folders = tuple(dict.fromkeys(to / sample.folder for sample in samples))
    return Prepared(folders, len(samples), manifest, tuple(changed))


@contextmanager
def held(unpacked: Path) -> Iterator[None]:
    """Keep other commands out of the folder to unpack to, which the first of two would remove under the second.

    The block removes it at its end; where it fails the folder stays, to go on from, unless nothing was unpacked.

    Raises:
        InputError: another one lays the same set out.
    """
    advice = "wait for its end, or choose another --to"
    with locked_folder(unpacked, doing="lays this set out and holds", advice=advice):
        try:
            yield
        except BaseException:
            if unpacked.is_dir() and all(path.is_file() for path in unpacked.iterdir()):
                shutil.rmtree(unpacked)
            raise


def unpack_all(downloads: Sequence[Path], unpacked: Path, *, link: bool, limit: int | None) -> list[Path]:
    """The folders and files to look in: archives, and those directly in a folder, are unpacked first."""
    roots = []
    for number, download in enumerate(downloads):
        inside = sorted(filter(is_archive, download.iterdir())) if download.is_dir() else []
        archives = [download] if download.is_file() and is_archive(download) else inside
        if archives and link:
            raise InputError(
                f"--link was given, but {archives[0]} is an archive; unpack it by yourself, or drop --link"
            )
        for place, archive in enumerate(archives):
            facts = archive.stat()  # what another archive has left there must not be taken for this one's
            own = hashlib.sha256(f"{archive.resolve()} {facts.st_size} {facts.st_mtime_ns}".encode()).hexdigest()[:12]
            roots.append(unpack(archive, unpacked / f"{number}_{place}_{own}", limit=limit))
        if not archives or download.is_dir():
            roots.append(download)
    return [root for root in roots if root.is_file() or any(root.iterdir())]


def check_number(found: int, images: Sequence[int], *, partial: bool) -> None:
    """Refuse a number that was not published; with `partial`, tell."""
    if not images or found in images:
        return
    told = counted(found, "image with its mask was", "images with masks were")
    text = f"{told} found, {' or '.join(map(str, images))} are published"
    if not partial:
        raise InputError(f"{text}; complete the download, or take what is there with --partial")
    print(f"note: {text}", file=sys.stderr)


def refuse_shared_targets(samples: Sequence[Sample]) -> None:
    """Refuse two samples of one place: one would replace the other."""
    seen: set[tuple[Path, str]] = set()
    twice = []
    for sample in samples:
        place = (sample.targets()[0].parent, sample.stem)
        twice += [f"{sample.folder}/{sample.stem}"] if place in seen else []
        seen.add(place)
    if twice:
        raise InputError(
            f"{counted(len(twice), 'image')} would replace others of the same name, first {first_names(twice)}; give "
            "one download at a time, or rename them"
        )


def lay_out_all(
    samples: Sequence[Sample],
    to: Path,
    unpacked: Path,
    *,
    name: str,
    link: bool,
    previous: Mapping[str, Mapping[str, str]],
) -> dict[str, dict[str, str]]:
    """Write the files of all samples, see `lay_out`, behind a bar that is called `name`."""
    files: dict[str, dict[str, str]] = {}
    with (
        ThreadPoolExecutor(available_cores()) as pool,
        tqdm(desc=name, total=len(samples), unit="sample", disable=None, leave=False) as bar,
    ):
        for start in range(0, len(samples), BATCH):
            batch = samples[start : start + BATCH]
            for entries in pool.map(lambda sample: lay_out(sample, to, unpacked, link=link, previous=previous), batch):
                files |= entries
                bar.update()
    return files


def lay_out(
    sample: Sample, to: Path, unpacked: Path, *, link: bool, previous: Mapping[str, Mapping[str, str]]
) -> dict[str, dict[str, str]]:
    """Write the two files of a sample, but for those that somebody has edited since they were laid out.

    Args:
        previous: what the manifest said of the files; others that are there are somebody's own.

    Returns:
        What the manifest says of them now, by their paths below `to`.
    """
    entries = {}
    for source, target, is_mask in zip((sample.image, sample.mask), sample.targets(), (False, True), strict=True):
        entry = previous.get(target.as_posix())
        if not is_edited(to / target, source, entry):
            write_file(source, to / target, link=link, is_mask=is_mask, replace=entry is not None)
        origin = origin_of(source, unpacked) if isinstance(source, Path) else "drawn from annotations"
        entries[target.as_posix()] = {"sha256": sha256_of(to / target), "from": origin}
    return entries


def is_edited(target: Path, source: Path | Drawing, entry: Mapping[str, str] | None) -> bool:
    """Whether a file is another than its entry in the manifest says, and not for having been cut short."""
    if entry is None or not target.is_file() or sha256_of(target) == entry["sha256"]:
        return False
    return not is_copied(source) or target.stat().st_size == source.stat().st_size


def origin_of(source: Path, unpacked: Path) -> str:
    """A file's path in its download, of an archive below its top."""
    inner = source.relative_to(unpacked).parts[1:] if source.is_relative_to(unpacked) else source.parts[-3:]
    return Path(*inner).as_posix()


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, hexadecimal, as `sha256sum` prints it."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def read_manifest(path: Path) -> dict[str, dict[str, str]]:
    """The files that an earlier run laid out; none where there is no manifest.

    Raises:
        InputError: it is damaged.
    """
    if not path.is_file():
        return {}
    try:
        files = json.loads(path.read_text(encoding="utf-8"))["files"]
        return {name: {"sha256": entry["sha256"]} for name, entry in files.items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(f"{path} is damaged; remove it, and it is written again") from error
