"""A message on its way in, by DATA or BDAT: framed, checked, and handed on in pieces.

Ownership: keeps at most four octets of what was fed. Trust: hostile octets.
Standards: RFC 5321 4.1.1.4, 4.5.2, 4.5.3.1.6; RFC 1870 6.3 (too large); RFC 3030 2 (BDAT).
On failure: `fault` is set, nothing more is handed on, and the rest is swallowed up to the true end.
"""

from __future__ import annotations

from postroom.values.refusal import Refusal
from postroom.wire.lines import END, LongLines, Unstuffer, bare


class Incoming:
    """One message. DATA: `text`. BDAT: `chunk` for each command, then `octets`."""

    __slots__ = ("_cr", "_limit", "_line_limit", "_lines", "_unstuffer", "fault", "last", "left", "size", "told")

    def __init__(self, size_limit: int, line_limit: int) -> None:
        """size_limit: octets of the message; line_limit: octets of a line of text without CR LF."""
        self.size = 0
        self.fault: Refusal | None = None
        self.told = False  # has the driver heard that nothing more comes?
        self.left = 0  # octets of this BDAT chunk still to come
        self.last = True
        self._limit = size_limit
        self._line_limit = line_limit
        self._lines = LongLines(line_limit)
        self._unstuffer: Unstuffer | None = None
        self._cr = False

    def text(self, data: bytes) -> tuple[bytes, bytes | None]:
        """DATA: (octets of the message, what follows its end or None while it has not come)."""
        if self._unstuffer is None:
            # Most messages arrive whole: the end is found once, and nothing has to be kept between pieces.
            end = data.find(END)
            if end > 0 and end + 5 == len(data) and not data.startswith(b"."):
                text = data[: end + 2]
                text = text.replace(b"\r\n.", b"\r\n") if b"\r\n." in text else text
                # What is shorter than one line may be holds no line that is too long.
                return self._checked(text, lines=len(text) > self._line_limit), b""
            self._unstuffer = Unstuffer()
        text, rest = self._unstuffer.feed(data)
        return self._checked(text), rest

    def chunk(self, size: int, *, last: bool) -> None:
        """BDAT: the next `size` octets belong to the message."""
        self.left = size
        self.last = last

    @property
    def received(self) -> int:
        """BDAT: octets of the message so far, with a CR that still waits for its LF."""
        return self.size + self._cr

    def octets(self, data: bytes) -> tuple[bytes, bytes | None]:
        """BDAT: as `text`, with the end of the chunk in place of the end of the text."""
        taken = data[: self.left]
        self.left -= len(taken)
        rest = None if self.left else data[len(taken) :]
        if self._cr:
            taken = b"\r" + taken
        # A CR at the end waits for its LF, also over the border of two chunks; after the last there is none.
        self._cr = taken.endswith(b"\r") and not (rest is not None and self.last)
        return self._checked(taken[:-1] if self._cr else taken), rest

    def _checked(self, text: bytes, *, lines: bool = True) -> bytes:
        if self.fault or not text:
            return b""
        self.size += len(text)
        if self.size > self._limit:
            self.fault = Refusal(552, "5.3.4", f"The message is larger than {self._limit} octets, the limit here")
        elif bare(text):
            self.fault = Refusal(
                550, "5.5.2", "The message holds a bare CR or LF: each line must end with CR LF (RFC 5321 2.3.8)"
            )
        elif lines and self._lines.found(text):
            self.fault = Refusal(
                550, "5.6.0", f"A line of the message is longer than {self._line_limit} octets (RFC 5321 4.5.3.1.6)"
            )
        return b"" if self.fault else text
