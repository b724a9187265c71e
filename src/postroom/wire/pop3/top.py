"""The part of a message that TOP gives: its header, the empty line, and n lines of the body (RFC 1939 7)."""

from __future__ import annotations


class TopCutter:
    """Feed the message in pieces until `full`."""

    __slots__ = ("_blank", "_header", "_left", "full")

    def __init__(self, lines: int) -> None:
        """lines: of the body, after the empty line."""
        self.full = False
        self._left = lines
        self._header = True
        self._blank = True  # nothing but CR in this line so far

    def feed(self, chunk: bytes) -> bytes:
        """What of the chunk belongs to the answer."""
        at = 0
        while not self.full:
            end = chunk.find(b"\n", at)
            line = chunk[at : end if end >= 0 else len(chunk)]
            self._blank = self._blank and line in (b"", b"\r")
            if end < 0:
                return chunk
            at = end + 1
            if self._header:
                self._header = not self._blank
                self.full = not self._header and self._left == 0
            else:
                self._left -= 1
                self.full = self._left == 0
            self._blank = True
        return chunk[:at]
