"""Archives are not trusted: nothing outside the folder, no links, no bombs, and what is there in full stays."""

import io
import os
import stat
import tarfile
import zipfile

import pytest

from measure.io.errors import InputError
from utils.preparation.unpacking import unpack


def zipped(path, files):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def tarred(path, members):
    with tarfile.open(path, f"w:{path.suffix[1:]}") as archive:
        for info, content in members:
            archive.addfile(info, io.BytesIO(content))
    return path


def tar_file(name, content=b"x"):
    info = tarfile.TarInfo(name)
    info.size = len(content)
    return info, content


@pytest.mark.parametrize(
    "name", ["../out.png", "/out.png", "a/../../out.png", "..\\out.png", "C:/out.png", "a\\..\\..\\o.png"]
)
@pytest.mark.parametrize("kind", ["zip", "gz"])
def test_paths_that_lead_outside_are_refused(tmp_path, name, kind):
    archive = tmp_path / ("a.zip" if kind == "zip" else "a.tar.gz")
    zipped(archive, {name: b"x"}) if kind == "zip" else tarred(archive, [tar_file(name)])
    with pytest.raises(InputError, match="a.(zip|tar.gz) is not unpacked: the path .* in it leads outside"):
        unpack(archive, tmp_path / "inner" / "unpacked")
    assert {path.name for path in tmp_path.rglob("*")} == {archive.name, "inner", "unpacked"}


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_are_refused(tmp_path, kind):
    info = tarfile.TarInfo("images")
    info.type, info.linkname = kind, "/etc"
    archive = tarred(tmp_path / "a.tar.xz", [(info, b""), tar_file("images/passwd")])
    with pytest.raises(InputError, match="'images' is a link or a device"):
        unpack(archive, tmp_path / "unpacked")
    assert not any((tmp_path / "unpacked").iterdir())


def test_a_link_in_a_zip_is_refused(tmp_path):
    info = zipfile.ZipInfo("images")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(info, "/etc")
    with pytest.raises(InputError, match="'images' is a link or a device"):
        unpack(tmp_path / "a.zip", tmp_path / "unpacked")


def test_a_bomb_is_refused_before_its_content_is_written(tmp_path):
    archive = zipped(tmp_path / "a.zip", {"small.png": b"x", "large.png": bytes(2 * 2**20)})
    assert archive.stat().st_size < 10_000
    with pytest.raises(InputError, match="unpacks to more than 0.000977 GiB .* or raise --max_gigabytes"):
        unpack(archive, tmp_path / "unpacked", limit=2**20)
    assert [path.name for path in (tmp_path / "unpacked").iterdir()] == ["small.png"]


def test_a_member_larger_than_it_says_is_cut_off_and_refused(tmp_path):
    archive = zipped(tmp_path / "a.zip", {"a.png": bytes(5000)})
    content = archive.read_bytes()
    archive.write_bytes(content.replace((5000).to_bytes(4, "little"), (50).to_bytes(4, "little")))
    with pytest.raises(InputError, match="a.zip (is not unpacked: 'a.png' in it is larger|cannot be unpacked)"):
        unpack(archive, tmp_path / "unpacked")
    assert not any((tmp_path / "unpacked").iterdir())


@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz", "a.tar"])
def test_damaged_archives_are_told_in_a_sentence(tmp_path, name):
    whole = zipped(tmp_path / name, {"a/1.png": os.urandom(5000)}) if name == "a.zip" else None
    if whole is None:
        packed = name.rpartition(".")[2]
        with tarfile.open(tmp_path / name, f"w:{'' if packed == 'tar' else packed}") as archive:
            info, content = tar_file("a/1.png", os.urandom(5000))
            archive.addfile(info, io.BytesIO(content))
    path = tmp_path / name
    path.write_bytes(path.read_bytes()[:2500])
    with pytest.raises(InputError, match=f"{name} (cannot be unpacked: it is damaged|is not unpacked)"):
        unpack(path, tmp_path / "unpacked")


@pytest.mark.parametrize("place", [0.5, 0.9])
@pytest.mark.parametrize("packed", ["gz", "bz2", "xz"])
def test_a_changed_byte_in_the_middle_is_damage(tmp_path, packed, place):
    """Nobody would see it in the pixels; and what cannot be read is no full disk."""
    path = tmp_path / f"a.tar.{packed}"
    small_blocks = {} if packed == "xz" else {"compresslevel": 1}
    with tarfile.open(path, f"w:{packed}", **small_blocks) as archive:
        for number in range(4):
            info, content = tar_file(f"a/{number}.png", os.urandom(80_000))
            archive.addfile(info, io.BytesIO(content))
    changed = bytearray(path.read_bytes())
    changed[int(place * len(changed))] ^= 255
    path.write_bytes(changed)
    with pytest.raises(InputError, match="damaged") as error:
        unpack(path, tmp_path / "unpacked")
    assert "free some space" not in str(error.value)


def test_kinds_that_are_not_read_here_say_what_to_do(tmp_path):
    (tmp_path / "CVC-ClinicDB.rar").write_bytes(b"Rar!")
    with pytest.raises(InputError, match="CVC-ClinicDB.rar is no zip or tar; unpack it yourself, as by `7z x`"):
        unpack(tmp_path / "CVC-ClinicDB.rar", tmp_path / "unpacked")


def test_what_is_there_in_full_stays_and_the_rest_is_written(tmp_path):
    files = {"a/1.png": b"one", "a/2.png": b"two", "__MACOSX/a/._1.png": b"junk", "a/.DS_Store": b"junk"}
    archive = zipped(tmp_path / "a.zip", files)
    unpack(archive, tmp_path / "unpacked")
    first, second = tmp_path / "unpacked" / "a" / "1.png", tmp_path / "unpacked" / "a" / "2.png"
    os.utime(first, (1, 1))
    second.write_bytes(b"t")  # cut off
    unpack(archive, tmp_path / "unpacked")
    assert first.stat().st_mtime == 1 and second.read_bytes() == b"two"
    assert sorted(path.name for path in (tmp_path / "unpacked").rglob("*")) == ["1.png", "2.png", "a"]
