"""Where the parts of a message lie, packed for the store and unpacked for FETCH.

Offsets count octets from the first octet of the stored message. Parts stand in preorder; each row knows how many
rows its subtree takes, so a part is found without building the others.
Standards: RFC 9051 6.4.5.1 (section numbers).
On failure: unpack raises ValueError for octets that `pack` did not write.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

LEAF: Final = 0
MULTIPART: Final = 1
MESSAGE: Final = 2  # its one child is the message inside

#: kind, header start, body start, end, rows of the subtree
Row = tuple[int, int, int, int, int]

_ROW = struct.Struct("<BIIII")
_WIDE_ROW = struct.Struct("<BQQQI")
_HEAD = struct.Struct("<BI")
_WIDEST = 0xFFFF_FFFF


@dataclass(frozen=True, slots=True)
class Part:
    """One part: [header_start, body_start) is its header with the empty line, [body_start, end) its body.

    type, subtype, encoding and charset are lower case, encoding is "7bit" and charset "" when not given.
    depth: 0 for the message itself. index: its row. kind: LEAF, MULTIPART or MESSAGE (message/rfc822, global).
    """

    kind: int
    type: str
    subtype: str
    encoding: str
    charset: str
    header_start: int
    body_start: int
    end: int
    depth: int
    index: int

    @property
    def content_type(self) -> str:
        """Such as "text/plain"."""
        return f"{self.type}/{self.subtype}"

    @property
    def size(self) -> int:
        """Octets of the body in its transfer encoding."""
        return self.end - self.body_start


def pack(rows: Sequence[Sequence[int]], labels: Sequence[bytes]) -> bytes:
    """Rows and, for each, b"type/subtype NUL encoding NUL charset" as one octet string."""
    wide = rows[0][3] > _WIDEST
    row = (_WIDE_ROW if wide else _ROW).pack
    return _HEAD.pack(1 if wide else 0, len(rows)) + b"".join([row(*each) for each in rows]) + b"\n".join(labels)


def may_hold_files(data: bytes) -> bool:
    """Of what `pack` wrote: may a part be a file that has text to be taken out? Pictures and plain text are none."""
    return b"application/" in data or b"message/" in data or b"/rtf\0" in data


def shifted(data: bytes, lead: int) -> bytes:
    """What `pack` wrote, for the same message with `lead` more octets of header fields before it
    (fewer, when it is negative). Raises ValueError when it was not written by `pack`.
    """
    if len(data) < _HEAD.size:
        raise ValueError("not packed parts")
    layout, count = _HEAD.unpack_from(data)
    row = _WIDE_ROW if layout else _ROW
    end = _HEAD.size + count * row.size
    rows = [
        (kind, start + lead if number else 0, body + lead, last + lead, subtree)
        for number, (kind, start, body, last, subtree) in enumerate(row.iter_unpack(data[_HEAD.size : end]))
    ]
    return pack(rows, [data[end:]])


class Parts:
    """The parts of one message."""

    __slots__ = ("_labels", "_packed_labels", "_rows", "_walked")

    def __init__(self, rows: list[Row], packed_labels: bytes) -> None:
        self._rows = rows
        self._packed_labels = packed_labels
        self._labels: list[bytes] = []  # taken apart when first asked for; `section` never asks
        self._walked: list[Part] = []  # the same

    @classmethod
    def unpack(cls, data: bytes) -> Parts:
        """Read what the store kept. Raises ValueError when it was not written by `pack`."""
        try:
            layout, count = _HEAD.unpack_from(data)
            row = (_ROW, _WIDE_ROW)[layout]
            end = _HEAD.size + count * row.size
            rows: list[Row] = list(row.iter_unpack(data[_HEAD.size : end]))
        except (struct.error, IndexError) as fault:
            raise ValueError("not packed parts") from fault
        labels = data[end:]
        if not count or len(rows) != count or labels.count(b"\n") != count - 1:
            raise ValueError("not packed parts")
        return cls(rows, labels)

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def root(self) -> Part:
        """The message itself."""
        return self._part(0, 0)

    def walk(self) -> Iterator[Part]:
        """Every part in the order it stands in the message, the message itself first."""
        if len(self._walked) == len(self._rows):
            return iter(self._walked)
        return self._walk()

    def _walk(self) -> Iterator[Part]:
        walked: list[Part] = []
        ends: list[int] = []
        for index, row in enumerate(self._rows):
            while ends and ends[-1] <= index:
                ends.pop()
            part = self._part(index, len(ends))
            walked.append(part)
            yield part
            ends.append(index + row[4])
        self._walked = walked

    def children(self, part: Part) -> Iterator[Part]:
        """The parts of a multipart, or the message inside a message part."""
        index, end = part.index + 1, part.index + self._rows[part.index][4]
        while index < end:
            yield self._part(index, part.depth + 1)
            index += self._rows[index][4]

    def message(self, part: Part) -> Part | None:
        """The message inside a part of type message/rfc822 or message/global."""
        return self._part(part.index + 1, part.depth + 1) if part.kind == MESSAGE else None

    def headers(self) -> Iterator[tuple[int, int]]:
        """(start, end) of every header there is, the message's own first, ascending; empty ones are left out."""
        return ((start, body) for _, start, body, _, _ in self._rows if start < body)

    def find(self, numbers: Sequence[int]) -> Part | None:
        """The part that a section number such as (1, 2) names; () is the message itself.

        RFC 9051 6.4.5.1: a message that is no multipart has one part, itself, numbered 1; the same holds for a
        message inside a part.
        """
        found = self._locate(numbers)
        return None if found is None else self._part(*found)

    def section(self, numbers: Sequence[int], text: str = "") -> tuple[int, int] | None:
        """(start, end) of the octets of BODY[numbers.text]; text: "", "HEADER", "TEXT" or "MIME".

        None when there is no such part, or HEADER or TEXT is asked of a part that is no message.
        """
        found = self._locate(numbers)
        if found is None:
            return None
        kind, header_start, body_start, end, _ = self._rows[found[0]]
        if text == "MIME":
            return (header_start, body_start) if numbers else None
        if not text:
            return (body_start if numbers else header_start), end
        if numbers:
            if kind != MESSAGE:
                return None
            _, header_start, body_start, end, _ = self._rows[found[0] + 1]
        return (header_start, body_start) if text == "HEADER" else (body_start, end)

    def _locate(self, numbers: Sequence[int]) -> tuple[int, int] | None:
        """(row, depth) of a part by its section number."""
        rows = self._rows
        index = depth = 0
        whole = True  # row `index` is a message, whose parts are numbered, rather than a part
        for number in numbers:
            if not whole and rows[index][0] == MESSAGE:
                index, depth, whole = index + 1, depth + 1, True
            if rows[index][0] == MULTIPART:
                end = index + rows[index][4]
                index, depth = index + 1, depth + 1
                for _ in range(1, number):
                    if index >= end:
                        return None
                    index += rows[index][4]
                if number < 1 or index >= end:
                    return None
            elif not whole or number != 1:
                return None
            whole = False
        return index, depth

    def _part(self, index: int, depth: int) -> Part:
        kind, header_start, body_start, end, _ = self._rows[index]
        if not self._labels:
            self._labels = self._packed_labels.split(b"\n")
        content_type, encoding, charset = self._labels[index].decode("ascii", "replace").split("\0")
        main, _, sub = content_type.partition("/")
        return Part(kind, main, sub, encoding, charset, header_start, body_start, end, depth, index)
