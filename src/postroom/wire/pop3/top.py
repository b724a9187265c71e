"""The part of a message that TOP gives: its header, the empty line, and n lines of the body (RFC 1939 7)."""

from __future__ import annotations


class TopCutter:
    """Feed the message in pieces until `full`."""

    __slots__ = ("_begun", "_header", "_left", "full")

    def __init__(self, lines: int) -> None:
        """lines: of the body, after the empty line."""
        self.full = False
        self._left = lines
        self._header = True
        self._begun = b""  # the first octets of a line that came in pieces; two are enough to tell it is not empty

    def feed(self, chunk: bytes) -> bytes:
        """What of the chunk belongs to the answer."""
        at = 0
        while not self.full:
            end = chunk.find(b"\n", at)
            line = self._begun + chunk[at : end if end >= 0 else len(chunk)][:2]
            if end < 0:
                self._begun = line[:2]
                return chunk
            at = end + 1
            if self._header:
                self._header = line not in (b"", b"\r")
                self.full = not self._header and self._left == 0
            else:
                self._left -= 1
                self.full = self._left == 0
            self._begun = b""
        return chunk[:at]
