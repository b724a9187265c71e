"""Searching a message's octets, in memory or in a mapping: ends of headers, lines, bodies between boundaries.

bytes are searched in place. A mapping is copied piece by piece, because its own find is far slower than that of
bytes; at most one piece is in memory.
Standards: RFC 2046 5.1.1 (boundary delimiter lines), RFC 5322 2.1 (the empty line).
On failure: never. Bare LF counts as a line end everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from postroom.values.content import Source

PIECE = 256 * 1024
_FIRST_LOOK = 8 * 1024
_SMALL = 16 * 1024
_MAX_PADDING = 1000


class Octets:
    """One message while it is looked at. false_boundaries: how many lines may look like a boundary and be none."""

    __slots__ = ("_data", "_false", "find", "size")

    #: find(needle, start, end): the first place of needle within [start, end), or -1
    find: Callable[[bytes, int, int], int]

    def __init__(self, source: Source, false_boundaries: int) -> None:
        self._data = source
        self._false = false_boundaries
        self.size = len(source)
        # not a method of ours: that would be a cycle, and a mapping would stay until the collector comes
        self.find = source.find if isinstance(source, bytes) else partial(_find_in_pieces, source)

    def slice(self, start: int, end: int) -> bytes:
        """A copy of octets start to end."""
        return self._data[start:end]

    def lines(self, start: int, end: int) -> int:
        """How many lines end within [start, end)."""
        data = self._data
        if end - start <= _SMALL:
            return len(data[start:end].split(b"\n")) - 1  # looks for LF eight octets at a time, count does not
        if isinstance(data, bytes):
            return data.count(b"\n", start, end)
        return sum(data[at : min(at + PIECE, end)].count(b"\n") for at in range(start, end, PIECE))

    def header_end(self, start: int, end: int) -> int:
        """Where the body begins: after the first empty line, or at `end` when there is none."""
        if start >= end:
            return end
        head = self._data[start : min(start + 2, end)]
        if head == b"\r\n":
            return start + 2
        if head[:1] == b"\n":
            return start + 1
        look = _FIRST_LOOK
        while True:
            # in growing steps, so that a message with bare LF is not read to its end for a CR LF
            upto = min(start + look, end)
            usual = self.find(b"\n\r\n", start, upto)
            bare = self.find(b"\n\n", start, upto if usual < 0 else usual + 1)
            if bare >= 0:
                return bare + 2
            if usual >= 0:
                return usual + 3
            if upto == end:
                return end
            look *= 4

    def bodies(self, boundary: bytes, start: int, end: int) -> Iterator[tuple[int, int]]:
        """(start, end) of each body part of a multipart whose body is [start, end).

        RFC 2046 5.1.1  delimiter = CRLF "--" boundary; the CRLF before it belongs to it. The last part may lack
        its delimiter, and what follows the close delimiter is no part.
        """
        needle = b"\n--" + boundary
        part = -1
        at = self.find(needle, max(start - 1, 0), end)  # the empty line before the body ends in LF
        while at >= 0:
            after, close = self._delimiter(at + len(needle), end)
            if after < 0:
                self._false -= 1
                at = self.find(needle, at + 1, end) if self._false > 0 else -1
                continue
            if part >= 0:
                yield part, max(part, at - (self._data[at - 1 : at] == b"\r"))
            if close:
                return
            part = after
            at = self.find(needle, after - 1, end)
        if part >= 0:
            yield part, end

    def _delimiter(self, at: int, end: int) -> tuple[int, bool]:
        """What follows a boundary: (start of the next line, is it the close delimiter), or (-1, …) for neither.

        RFC 2046 5.1.1  transport-padding = *LWSP-char. Anything else after the boundary makes it another line, so
        that one boundary may begin like another.
        """
        data = self._data
        tail = data[at : min(at + 4, end)]
        if tail[:2] == b"\r\n":
            return at + 2, False
        close = tail[:2] == b"--"
        if close:
            if tail[2:] == b"\r\n":
                return at + 4, True
            at += 2
        line = data[at : min(at + _MAX_PADDING, end)]
        text = line.lstrip(b" \t")
        at += len(line) - len(text)
        if text[:2] == b"\r\n":
            return at + 2, close
        if text[:1] == b"\n":
            return at + 1, close
        if text in (b"", b"\r") and at + len(text) == end:
            return end, close
        return -1, False


def _find_in_pieces(data: Source, needle: bytes, start: int, end: int) -> int:
    """`find` for a mapping."""
    reach = PIECE + len(needle) - 1
    while start < end:
        place = data[start : min(start + reach, end)].find(needle)
        if place >= 0:
            return start + place
        start += PIECE
    return -1
