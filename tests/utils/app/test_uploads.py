"""What is taken of strangers' files: kinds by their first bytes, sizes, lengths, and for how long."""

import io
import os
import struct
import time
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from measure.io import InputError
from utils.app.uploads import LimitedSource, bytes_in, discard, open_clip, read_image, remove_older, turned
from utils.phantom import phantom_clip
from utils.prediction import Source
from utils.prediction.outputs import VideoWriter


def encoded(kind, size=(6, 4), **options):
    data = io.BytesIO()
    Image.new("RGB", size, (200, 10, 30)).save(data, kind, **options)
    return data.getvalue()


def png_of(width, height):
    """A small file that states a size and holds no pixels."""

    def chunk(name, content):
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "TIFF", "WebP"])
def test_images_are_read_whatever_their_name_is(tmp_path, kind):
    (tmp_path / "a.txt").write_bytes(encoded(kind, **({"lossless": True} if kind == "WebP" else {})))
    image = read_image(tmp_path / "a.txt")
    assert image.shape == (4, 6, 3) and np.abs(image[2, 3].astype(int) - (200, 10, 30)).max() <= 3


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "the file is empty; give PNG, JPEG, BMP, TIFF or WebP"),
        (b"#!/bin/sh\nrm -rf /\n", "the file is no image of the kinds taken"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "no image of the kinds taken"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "no image of the kinds taken"),
        (encoded("GIF"), "no image of the kinds taken"),
        (encoded("JPEG")[:-40], "cannot read the image: the JPEG is cut off"),
        (encoded("PNG")[:-20], "cannot read the image: the PNG is"),
        (b"RIFF\0\0\0\0WEBPVP8 junk", "cannot read the image"),
        (b"II*\0junk", "cannot read the image"),
        (png_of(30000, 30000), "the image has 30000 x 30000 pixels; 50 megapixels are taken"),
        (png_of(2**31 - 1, 2**31 - 1), "50 megapixels are taken"),
        (png_of(0, 5), "cannot read the image"),
    ],
)
def test_other_files_are_refused_in_a_sentence_without_a_path(tmp_path, data, told):
    (tmp_path / "polyp.png").write_bytes(data)
    with pytest.raises(InputError, match=told) as error:
        read_image(tmp_path / "polyp.png")
    assert str(tmp_path) not in str(error.value)


def test_a_large_image_is_refused_before_it_is_decoded(tmp_path, monkeypatch):
    (tmp_path / "a.png").write_bytes(png_of(10000, 6000))
    monkeypatch.setattr("utils.app.uploads.read_rgb", lambda *args: pytest.fail("decoded"))
    with pytest.raises(InputError, match="10000 x 6000"):
        read_image(tmp_path / "a.png")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_images_are_turned_as_browsers_show_them(orientation):
    from PIL import ImageOps

    image = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    tagged = Image.fromarray(image)
    tagged.getexif()[0x0112] = orientation
    assert np.array_equal(turned(image, orientation), np.array(ImageOps.exif_transpose(tagged)))


def test_a_tagged_photograph_is_turned(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    (tmp_path / "a.jpg").write_bytes(encoded("JPEG", exif=exif))
    assert read_image(tmp_path / "a.jpg").shape == (6, 4, 3)


def test_a_file_that_is_gone_is_told(tmp_path):
    for read in (read_image, lambda path: open_clip(path, max_seconds=1)):
        with pytest.raises(InputError, match="the file is gone, uploads stay 10 minutes; give it again"):
            read(tmp_path / "a.png")


PLAYLIST = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{}\n#EXT-X-ENDLIST\n"


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "the file is empty; give MP4, MOV, WebM, MKV, AVI or MPEG"),
        (b"ffconcat version 1.0\nfile '{}'\n", "no clip of the kinds taken"),
        (PLAYLIST.encode(), "no clip of the kinds taken"),
        (encoded("PNG"), "no clip of the kinds taken"),  # OpenCV would go on to a_02.mp4
        (b"v=0\no=- 0 0 IN IP4 127.0.0.1\n", "no clip of the kinds taken"),
        (b"\0\0\0\x18ftypisom\0\0\0\0isom", "the clip cannot be read, or it is cut off"),
        (b"\x1a\x45\xdf\xa3" + bytes(100), "the clip cannot be read, or it is cut off"),
        (b"RIFF\0\0\0\0AVI junk", "the clip cannot be read, or it is cut off"),
    ],
)
def test_files_that_are_no_clips_or_name_other_files_are_refused(tmp_path, data, told):
    write_clip(tmp_path / "secret.mp4")
    (tmp_path / "a_01.mp4").write_bytes(data.replace(b"{}", os.fsencode(tmp_path / "secret.mp4")))
    with pytest.raises(InputError, match=told) as error:
        open_clip(tmp_path / "a_01.mp4", max_seconds=60)
    assert str(tmp_path) not in str(error.value)


def write_clip(path, rate=10, frames=6):
    with VideoWriter(path, rate=rate) as writer:
        for frame in phantom_clip(seed=1, frames=frames, size=(64, 96))[0]:
            writer.write(frame)


@pytest.mark.parametrize("name", ["a.txt", "a.png"])
def test_a_clip_is_no_list_and_no_image_whatever_its_name_is(tmp_path, name):
    write_clip(tmp_path / "a.avi")
    os.rename(tmp_path / "a.avi", tmp_path / name)
    assert len(list(open_clip(tmp_path / name, max_seconds=60))) == 6


@pytest.mark.parametrize("suffix", [".mp4", ".avi", ".webm"])
def test_a_clip_is_read(tmp_path, suffix):
    write_clip(tmp_path / f"a{suffix}")
    clip = open_clip(tmp_path / f"a{suffix}", max_seconds=1)
    assert len(list(clip)) == clip.given == 6


def test_a_clip_without_a_frame_has_none(tmp_path):
    writer = cv2.VideoWriter(str(tmp_path / "a.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 10, (64, 64))
    writer.release()
    assert list(open_clip(tmp_path / "a.avi", max_seconds=1)) == []


class Endless(Source):
    """A source that says little of itself and goes on."""

    def __iter__(self):
        while True:
            yield "frame"


@pytest.mark.parametrize(("rate", "taken"), [(10, 20), (25, 50), (1e6, 240)])
def test_a_clip_ends_where_it_is_too_long_whatever_it_says(rate, taken):
    endless = Endless(name="clip", rate=rate, count=0)
    clip = LimitedSource(name="clip", rate=rate, count=0, source=endless, max_seconds=2, left=lambda: False)
    with pytest.raises(InputError, match="the clip is longer than it says; 2 are taken"):
        list(clip)
    assert clip.given == taken


def test_a_clip_ends_where_nobody_waits_for_it():
    endless = Endless(name="clip", rate=10, count=0)
    clip = LimitedSource(name="clip", rate=10, count=0, source=endless, max_seconds=60, left=lambda: clip.given >= 7)
    assert len(list(clip)) == 7


def test_old_uploads_go_and_new_ones_stay(tmp_path):
    for name, age in (("old", 700), ("new", 500)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.png").write_bytes(bytes(10))
        os.utime(tmp_path / name / "a.png", (time.time() - age,) * 2)
    (tmp_path / "drawn.mp4").write_bytes(bytes(5))
    assert bytes_in(tmp_path) == 25
    remove_older(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["drawn.mp4", "new"]
    assert bytes_in(tmp_path) == 15
    discard(tmp_path / "new" / "a.png", tmp_path)
    discard(tmp_path / "new" / "a.png", tmp_path)
    discard(tmp_path / "drawn.mp4", tmp_path)
    assert list(tmp_path.iterdir()) == []
