"""Patterns of :matches: "*" is any text, "?" one character, a backslash takes their meaning away.

Wildcards take as little as they can, from the left (RFC 5229 3.2); so each stretch between two stars is looked for
once, and no pattern costs more than the length of the text times its own.
Standards: RFC 5228 2.7.1, RFC 5229 3.2 (what each wildcard stood for).
"""

from __future__ import annotations

import re
from typing import Final

_PIECE: Final = re.compile(r"\\(.)|([*?])|([^\\*?]+|\\\Z)", re.DOTALL)

#: places of what a wildcard stood for
Span = tuple[int, int]


class _Stretch:
    """What stands between two stars: characters and question marks."""

    __slots__ = ("_literal", "_pattern", "_questions", "size")

    def __init__(self, pieces: list[str | None]) -> None:
        self.size = sum(1 if piece is None else len(piece) for piece in pieces)
        self._questions: list[int] = []
        at = 0
        for piece in pieces:
            if piece is None:
                self._questions.append(at)
                at += 1
            else:
                at += len(piece)
        self._literal = "".join(piece or "" for piece in pieces) if not self._questions else None
        source = "".join("." if piece is None else re.escape(piece) for piece in pieces)
        self._pattern = None if self._literal is not None else re.compile(source, re.DOTALL)

    def find(self, text: str, start: int, end: int) -> int:
        if self._pattern is None:
            return text.find(self._literal or "", start, end)
        found = self._pattern.search(text, start, end)
        return found.start() if found else -1

    def at(self, text: str, place: int) -> bool:
        if self._pattern is None:
            return text.startswith(self._literal or "", place)
        return self._pattern.match(text, place, place + self.size) is not None

    def spans(self, place: int) -> list[Span]:
        return [(place + at, place + at + 1) for at in self._questions]


class Wildcards:
    """One pattern, for text that is folded as the pattern was."""

    __slots__ = ("_stretches",)

    def __init__(self, pattern: str) -> None:
        stretches: list[list[str | None]] = [[]]
        for escaped, wildcard, plain in _PIECE.findall(pattern):
            if wildcard == "*":
                stretches.append([])
            else:
                stretches[-1].append(None if wildcard else escaped or plain)
        self._stretches = [_Stretch(pieces) for pieces in stretches]

    def match(self, text: str) -> list[Span] | None:
        """What each wildcard stands for when the whole text matches, None when it does not."""
        first, *rest = self._stretches
        size = len(text)
        if not rest:
            return first.spans(0) if first.size == size and first.at(text, 0) else None
        last = rest.pop()
        end = size - last.size
        at = first.size
        if at > end or not first.at(text, 0) or not last.at(text, end):
            return None
        found = first.spans(0)
        for stretch in rest:
            place = stretch.find(text, at, end)
            if place < 0:
                return None
            found.append((at, place))
            found += stretch.spans(place)
            at = place + stretch.size
        found.append((at, end))
        return found + last.spans(end)
