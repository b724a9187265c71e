"""A header block as signatures see it: the fields in order, octet by octet, in both canonical forms.

Made once for a message and shared by all its signatures, so that a field is canonicalised once. Bounded by what it
is given: intake limits the header. Names are compared in lower case.
Standards: RFC 6376 3.4.1 and 3.4.2 (canonical forms), 5.4.2 (repeated fields are taken from the bottom).
On failure: never; what is no field is left out, and `fault` tells of what other software may read differently.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import StrEnum

_FIELD_END = re.compile(rb"\r\n(?![ \t])")
_NAME = re.compile(rb"([!-9;-~]+)[ \t]*:")
_WSP_RUN = re.compile(rb"[ \t]+")
_HEADER_END = b"\r\n\r\n"
#: what a mailbox file puts before the header
_MBOX = (b"From ", b">From ")


class Canonical(StrEnum):
    """The two canonicalisation algorithms (RFC 6376 3.4)."""

    SIMPLE = "simple"
    RELAXED = "relaxed"


def relaxed_field(raw: bytes) -> bytes:
    """One field with or without its line end, as RFC 6376 3.4.2 wants it, without a line end."""
    name, _, value = raw.partition(b":")
    if b"\r\n" in value:
        value = value.replace(b"\r\n", b"")
    if b"  " in value or b"\t" in value:
        value = _WSP_RUN.sub(b" ", value)
    return name.rstrip(b" \t").lower() + b":" + value.strip(b" ")


def split_message(message: bytes) -> tuple[bytes, bytes]:
    """Header block with its empty line, and body (RFC 5322 2.1). Without an empty line all of it is header."""
    if message.startswith(b"\r\n"):
        return message[:2], message[2:]
    end = message.find(_HEADER_END)
    return (message, b"") if end < 0 else (message[: end + 4], message[end + 4 :])


def network_form(message: bytes) -> bytes:
    """A message kept in a file with LF alone gets back the CRLF it travelled with; any other is left as it is.

    RFC 6376 3.8 and 5.3: what is signed has CRLF at every line's end.
    """
    return message if b"\r\n" in message else message.replace(b"\n", b"\r\n")


class HeaderFields:
    """The fields of one header block. `header` may end with the empty line or without it."""

    __slots__ = ("_positions", "_relaxed", "fault", "raw")

    def __init__(self, header: bytes) -> None:
        block = header[: header.find(_HEADER_END) + 2] if _HEADER_END in header else header
        #: what makes programs disagree about this header, in plain words; "" for a sound one (RFC 6376 3.8, 8.15)
        self.fault = ""
        ends = block.count(b"\r\n")
        if ends != block.count(b"\r") or ends != block.count(b"\n"):
            self.fault = "the header has a CR or LF alone, so programs disagree about where its lines end"
        #: each field with its line end, from the top
        self.raw: list[bytes] = []
        self._positions: dict[bytes, list[int]] = {}
        self._relaxed: dict[int, bytes] = {}
        for index, piece in enumerate(_FIELD_END.split(block)):
            name = _NAME.match(piece)
            if name:
                self._positions.setdefault(name[1].lower(), []).append(len(self.raw))
                self.raw.append(piece + b"\r\n")
            elif piece and not (index == 0 and piece.startswith(_MBOX)):
                self.fault = self.fault or "the header has a line that is no field, so programs disagree where it ends"

    def at(self, name: bytes) -> list[int]:
        """The places of all fields of this lower-case name, from the top."""
        return self._positions.get(name, [])

    def count(self, name: bytes) -> int:
        """How often a field of this lower-case name stands there."""
        return len(self.at(name))

    def value(self, place: int) -> bytes:
        """What follows the colon, folding included, without the last line end."""
        return self.raw[place].partition(b":")[2][:-2]

    def canonical(self, place: int, form: Canonical) -> bytes:
        """One field in a canonical form, with its line end."""
        if form is Canonical.SIMPLE:
            return self.raw[place]
        known = self._relaxed.get(place)
        if known is None:
            known = self._relaxed[place] = relaxed_field(self.raw[place]) + b"\r\n"
        return known

    def selected(self, names: Iterable[bytes], leave: int = -1) -> list[int]:
        """The places that a list of signed names stands for: each name takes the lowest field not yet taken.

        A name with no field left stands for nothing (RFC 6376 5.4). `leave`: a place that is never taken, the
        signature's own.
        """
        taken: dict[bytes, int] = {}
        places: list[int] = []
        for name in names:
            key = name.lower()
            candidates = self._positions.get(key)
            if not candidates:
                continue
            left = taken.get(key, len(candidates)) - 1
            if left >= 0 and candidates[left] == leave:
                left -= 1
            taken[key] = max(left, 0)
            if left >= 0:
                places.append(candidates[left])
        return places
