"""Modules of the networks, one file each: SEPNet's MAP, CRC and PSE; SALI's RFB, pooled attention and decoder."""

from .crc import CRC
from .map import MAP, LowLevelMAP
from .pooled_attention import PooledAttention
from .pse import PSE
from .reverse_decoder import ReverseDecoder
from .rfb import RFB

__all__ = ["CRC", "MAP", "PSE", "RFB", "LowLevelMAP", "PooledAttention", "ReverseDecoder"]
