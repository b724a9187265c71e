"""Columns of numbers as octets: little-endian on every machine, one number after the other.

Whoever keeps a column in a row or a file writes and reads it with these two, so that a store may be carried to another
machine.
"""

from __future__ import annotations

import sys
from array import array
from typing import Final

_SWAP: Final = sys.byteorder == "big"


def packed(column: array[int]) -> bytes:
    """The octets of a column."""
    if _SWAP:
        column = array(column.typecode, column)
        column.byteswap()
    return column.tobytes()


def unpacked(typecode: str, data: bytes) -> array[int]:
    """The column of what `packed` made. Raises ValueError when octets are left over."""
    column: array[int] = array(typecode)
    column.frombytes(data)
    if _SWAP:
        column.byteswap()
    return column
