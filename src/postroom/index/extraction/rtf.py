"""Text of an RTF file (Rich Text Format 1.9.1). Runs in the limited child; the work grows with the length.

On failure: Unreadable.
"""

from __future__ import annotations

import re
from typing import Final

from postroom.index.extraction.limits import Gathered, Unreadable
from postroom.message.charsets import codec_name

_TOKEN = re.compile(
    rb"\\([a-zA-Z]{1,32})(-?\d{1,10})? ?|\\'([0-9a-fA-F]{2})|\\([^a-zA-Z\r\n])|([{}])|([^\\{}\r\n]+)|[\r\n]+|\\"
)
#: groups whose content is not for readers
_SKIPPED: Final = frozenset(
    (b"fonttbl", b"colortbl", b"stylesheet", b"pict", b"object", b"themedata", b"colorschememapping", b"datastore",
     b"listtable", b"listoverridetable", b"rsidtbl", b"generator", b"latentstyles", b"xmlnstbl", b"fldinst", b"filetbl",
     b"revtbl", b"objdata", b"blipuid", b"bin")
)  # fmt: skip
_BREAKS: Final = {b"par": "\n", b"line": "\n", b"sect": "\n", b"page": "\n", b"row": "\n", b"cell": " ", b"tab": " "}
_CHARACTERS: Final = {
    b"emdash": "—", b"endash": "–", b"lquote": "‘", b"rquote": "’", b"ldblquote": "“", b"rdblquote": "”",
    b"bullet": "•", b"emspace": " ", b"enspace": " ",
}  # fmt: skip
#: groups that are lines of their own
_LINES: Final = frozenset((b"title", b"subject", b"author", b"keywords", b"doccomm", b"footnote", b"header", b"footer"))
_DEEPEST: Final = 10_000


def rtf_text(data: bytes, out: Gathered) -> None:
    """Gather the text of the file. Raises Unreadable, Enough."""
    if not data.startswith(b"{\\rtf"):
        raise Unreadable("not an RTF file")
    reader = _Reader(out)
    for token in _TOKEN.finditer(data):
        reader.take(token)
    reader.flush()


class _Reader:
    """The state of a group: is it skipped, and how many characters stand in for a Unicode one."""

    def __init__(self, out: Gathered) -> None:
        self._out = out
        self._codec = "cp1252"
        self._octets = bytearray()
        self._skipped = False
        self._replaced = 1  # \\uc
        self._ignore = 0  # characters that stand in for the last Unicode one
        self._half = 0  # the first half of a surrogate pair
        self._line = False  # a new line begins after this group
        self._outer: list[tuple[bool, int, bool]] = []

    def take(self, token: re.Match[bytes]) -> None:
        """One token."""
        word, number, octet, symbol, brace, text = token.groups()
        if brace:
            self._brace(brace)
        elif word:
            self._word(word, int(number) if number else None)
        elif octet:
            self._characters(bytes((int(octet, 16),)))
        elif symbol:
            self._symbol(symbol)
        elif text:
            self._characters(text)

    def _brace(self, brace: bytes) -> None:
        self.flush()
        if brace == b"{":
            if len(self._outer) > _DEEPEST:
                raise Unreadable("nested too deep")
            self._outer.append((self._skipped, self._replaced, self._line))
            self._line = False
        elif self._outer:
            if self._line:
                self._out.add("\n")
            self._skipped, self._replaced, self._line = self._outer.pop()
        self._ignore = 0

    def _symbol(self, symbol: bytes) -> None:
        if symbol == b"*":  # RTF 1.9.1: a destination that readers may not know
            self._skipped = True
        elif symbol == b"~":
            self._characters(b" ")
        elif symbol in b"\\{}":
            self._characters(symbol)

    def _word(self, word: bytes, number: int | None) -> None:
        if word in _SKIPPED:
            self._skipped = True
        elif word in _LINES:
            self._line = True
        elif word == b"u" and number is not None:
            self._unicode(number & 0xFFFF)
        elif word == b"uc" and number is not None:
            self._replaced = max(0, min(number, 16))
        elif word == b"ansicpg" and number is not None:
            self._codec = codec_name(f"cp{number}") or "cp1252"
        elif word == b"mac":
            self._codec = "mac_roman"
        elif not self._skipped and (word in _BREAKS or word in _CHARACTERS):
            self.flush()
            self._out.add(_BREAKS.get(word) or _CHARACTERS[word])

    def _unicode(self, unit: int) -> None:
        self.flush()
        self._ignore = self._replaced
        if self._skipped:
            return
        if 0xD800 <= unit < 0xDC00:
            self._half = unit
            return
        if 0xDC00 <= unit < 0xE000:
            unit = 0x10000 + ((self._half - 0xD800) << 10) + (unit - 0xDC00) if self._half else 0xFFFD
        self._half = 0
        self._out.add(chr(unit))

    def _characters(self, octets: bytes) -> None:
        if self._ignore:
            cut = min(self._ignore, len(octets))
            self._ignore -= cut
            octets = octets[cut:]
        if not self._skipped:
            self._octets += octets

    def flush(self) -> None:
        """What was gathered in the file's code page."""
        if self._octets:
            text = self._octets.decode(self._codec, "replace")
            self._octets.clear()
            self._out.add(text)
