r"""Conversations as tests: what a person would type and see, in the order they would see it.

    play(peer, '''
        S: 220 mx ESMTP ...
        C: EHLO client
        S: 250-mx at your service
        S: ...
        S: 250 HELP
        C| MAIL FROM:<a\x00b>\r\n
        S: 500 5.5.2 ...
        C: QUIT
        S: 221 ...
    ''')

`C:` lines are sent with CR LF, neighbours in one piece (pipelined); `C|` lines are sent as they are, with Python's
escapes and without CR LF. `S:` lines are what comes back: `...` inside a line is any text, alone it is any number of
lines; `S|` understands escapes. Everything that was sent must be accounted for before the client speaks again, and at
the end. Other lines are comments.
"""

from __future__ import annotations

import re
from typing import Protocol


class Peer(Protocol):
    """One end of a protocol: octets in, octets out. Sessions that ask for decisions get a small wrapper."""

    def feed(self, data: bytes) -> None:
        """Octets from the client."""
        ...

    def data_to_send(self) -> bytes:
        """What came of it, once."""
        ...


def play(peer: Peer, text: str) -> None:
    """Speak the client's lines to the peer and compare its answers. Raises AssertionError with the whole talk."""
    talk: list[str] = []
    expected: list[str] = []
    said = b""
    for line in [*text.splitlines(), "C|"]:
        kind, content = line.lstrip()[:2], line.lstrip()[3:]
        content = content if kind[1:] == "|" else content.rstrip()
        if kind in ("S:", "S|"):
            if said:
                peer.feed(said)
                said = b""
            expected.append(_unescape(content).decode("latin-1") if kind == "S|" else content)
        elif kind in ("C:", "C|"):
            if expected:
                _compare(peer.data_to_send(), expected, talk)
                expected = []
            said += _unescape(content) if kind == "C|" else content.encode() + b"\r\n"
            talk.append(line.strip())
    if said:
        peer.feed(said)
    _compare(peer.data_to_send(), [], talk)


def _unescape(text: str) -> bytes:
    return text.encode("latin-1", "backslashreplace").decode("unicode_escape").encode("latin-1")


def _compare(data: bytes, expected: list[str], talk: list[str]) -> None:
    got = data.decode("utf-8", "replace").split("\r\n")
    last = got.pop()
    seen = "".join(f"S: {line}\n" for line in got)
    pattern = "".join("(?:.*\r\n)*?" if line == "..." else f"{_line(line)}\r\n" for line in expected)
    if last or not re.fullmatch(pattern, data.decode("utf-8", "replace")):
        wanted = "".join(f"S: {line}\n" for line in expected)
        raise AssertionError("\n".join(talk) + f"\nwanted:\n{wanted}got:\n{seen}{last!r}")
    talk.extend(f"S: {line}" for line in got)


def _line(line: str) -> str:
    return "[^\r\n]*".join(re.escape(piece) for piece in line.split("..."))
