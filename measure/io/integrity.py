"""Telling a damaged or cut-off image file from its own structure, without decoding it.

OpenCV decodes such files as far as it can and fills the rest, which would score as a map nobody made.
"""

from __future__ import annotations

import struct
import zlib

__all__ = ["damage"]

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
JPEG_START, JPEG_END = b"\xff\xd8", b"\xff\xd9"
# Some writers append padding or camera data after the end marker.
JPEG_TAIL = 4096


def damage(data: bytes) -> str | None:
    """What is wrong with the bytes of an image file, in a few words; None when nothing is or it cannot be told.

    PNG: every chunk complete, every checksum right, the end chunk there. JPEG: the end marker near the end of the
    file. BMP: the length the header states. Other formats are left to the decoder.
    """
    if not data:
        return "the file is empty"
    if data.startswith(PNG_SIGNATURE):
        return _png_damage(data)
    if data.startswith(JPEG_START):
        return None if JPEG_END in data[-JPEG_TAIL:] else "the JPEG is cut off (no end marker)"
    if data.startswith(b"BM"):
        return _bmp_damage(data)
    return None


def _png_damage(data: bytes) -> str | None:
    view, position = memoryview(data), len(PNG_SIGNATURE)
    while position + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        end = position + 12 + length
        if end > len(data):
            break
        if zlib.crc32(view[position + 4 : end - 4]) != struct.unpack_from(">I", data, end - 4)[0]:
            return f"the PNG is damaged (wrong checksum in {kind.decode('ascii', 'replace')})"
        if kind == b"IEND":
            return None
        position = end
    return "the PNG is cut off"


def _bmp_damage(data: bytes) -> str | None:
    if len(data) < 26:
        return "the BMP is cut off"
    stated = struct.unpack_from("<I", data, 2)[0]
    return "the BMP is cut off" if len(data) < stated else None
