"""Printing replies (RFC 5321 4.2, RFC 2034 4)."""

from __future__ import annotations

import re

from postroom.values.refusal import Refusal

# RFC 5321 4.2  textstring = 1*(%d09 / %d32-126)
_UNPRINTABLE = re.compile(r"[^\t\x20-\x7e]+")
_TEXT_LIMIT = 480  # RFC 5321 4.5.3.1.5: a reply line has 512 octets with code and CR LF


def reply(code: int, enhanced: str, text: str) -> bytes:
    """One line. enhanced "" prints none (greeting, EHLO, 3yz)."""
    if not (text.isascii() and text.isprintable()):
        text = _UNPRINTABLE.sub("?", text)
    if len(text) > _TEXT_LIMIT:
        text = text[:_TEXT_LIMIT]
    if enhanced:
        return f"{code} {enhanced} {text}\r\n".encode()
    return f"{code} {text}\r\n".encode()


def lines(code: int, texts: list[str], enhanced: str = "") -> bytes:
    """A reply of several lines; the code stands on each (RFC 5321 4.2.1), and so does the enhanced one (RFC 2034 4)."""
    lead = f"{enhanced} " if enhanced else ""
    last = len(texts) - 1
    return "".join(f"{code}{' ' if n == last else '-'}{lead}{text}\r\n" for n, text in enumerate(texts)).encode()


def refusal(fault: Refusal) -> bytes:
    """The reply a refusal carries."""
    return reply(fault.code, fault.enhanced, fault.public)
