"""Telling a damaged or cut-off image file from its own structure, without decoding it.

OpenCV decodes such files as far as it can and fills the rest, which would score as a map nobody made.
"""

from __future__ import annotations

import re
import struct
import zlib

from .headers import JPEG_SCAN, JPEG_START, PNG_SIGNATURE, jpeg_segments, png_chunks

__all__ = ["damage"]

JPEG_END = 0xD9
# In a scan 0xFF is followed by 0 where it is data, by 0xD0 to 0xD7 between parts that can be decoded alone.
JPEG_MARKER = re.compile(rb"\xff[^\x00\x01\xd0-\xd7\xff]")


def damage(data: bytes) -> str | None:
    """What is wrong with the bytes of an image file, in a few words; None when nothing is or it cannot be told.

    PNG: every chunk complete, every checksum right, the end chunk there. JPEG: the end marker after the last scan;
    what cameras and archives append behind it is passed over. BMP: the length the header states. Other formats are
    left to the decoder.
    """
    if not data:
        return "the file is empty"
    if data.startswith(PNG_SIGNATURE):
        return _png_damage(data)
    if data.startswith(JPEG_START):
        return None if _jpeg_ends(data) else "the JPEG is cut off (no end marker)"
    if data.startswith(b"BM"):
        return _bmp_damage(data)
    return None


def _png_damage(data: bytes) -> str | None:
    view = memoryview(data)
    for kind, start, end in png_chunks(data):
        if zlib.crc32(view[start - 4 : end]) != struct.unpack_from(">I", data, end)[0]:
            return f"the PNG is damaged (wrong checksum in {kind.decode('ascii', 'replace')})"
        if kind == b"IEND":
            return None
    return "the PNG is cut off"


def _jpeg_ends(data: bytes) -> bool:
    """Whether the end marker follows the scans; one inside a segment, such as a preview's, does not count."""
    for marker, _, end in jpeg_segments(data):
        if marker == JPEG_SCAN:
            return _scans_end(data, end)
    return False


def _scans_end(data: bytes, position: int) -> bool:
    """Whether an end marker is reached from the data of a scan at `position`; a file may hold several scans."""
    while found := JPEG_MARKER.search(data, position):
        if data[found.start() + 1] == JPEG_END:
            return True
        if found.end() + 2 > len(data):
            return False
        position = found.end() + struct.unpack_from(">H", data, found.end())[0]
    return False


def _bmp_damage(data: bytes) -> str | None:
    if len(data) < 26:
        return "the BMP is cut off"
    stated = struct.unpack_from("<I", data, 2)[0]
    return "the BMP is cut off" if len(data) < stated else None
