"""SEPNet's three modules: MAP, CRC and PSE, one file each."""

from .crc import CRC
from .map import MAP, LowLevelMAP
from .pse import PSE

__all__ = ["CRC", "MAP", "PSE", "LowLevelMAP"]
