"""The piece of a text around what was found, with the hits marked.

The text is searched folded, as everywhere, and shown as it was written: hits are told as places in what is shown.
Pure; work is bounded by the beginning of each text. On failure: never.
Standards: RFC 8621 5 (what a search snippet is for).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

from postroom.index.terms import Wanted
from postroom.message.folding import fold

#: characters of a snippet, and of them before the first hit
LENGTH: Final = 160
_LEAD: Final = 50
#: characters that are looked at together, how many the next piece repeats, and how far a text is looked through
_AT_ONCE: Final = 4000
_OVERLAP: Final = 200
_FARTHEST: Final = 400_000


@dataclass(frozen=True, slots=True)
class Snippet:
    """text: on one line; marks: (start, end) of each hit in it, ascending, not overlapping."""

    text: str
    marks: tuple[tuple[int, int], ...] = ()


def snippet(texts: Iterable[str], wanted: Sequence[Wanted], length: int = LENGTH) -> Snippet | None:
    """Around the first hit of any of what is wanted; None when there is none."""
    for text in texts:
        for start in range(0, min(len(text), _FARTHEST), _AT_ONCE - _OVERLAP):
            piece = " ".join(text[start : start + _AT_ONCE].split())
            folded = fold(piece)
            places = [place for each in wanted if each.text and (place := each.find(folded, 0)) >= 0]
            if places:
                return _around(piece, min(places), wanted, length)
    return None


def beginning(texts: Iterable[str], length: int = LENGTH) -> Snippet:
    """The first words there are."""
    for text in texts:
        piece = " ".join(text[: 4 * length].split())
        if piece:
            return Snippet(_cut(piece, 0, length)[0])
    return Snippet("")


def marked(text: str, wanted: Sequence[Wanted]) -> Snippet:
    """A whole short text, such as a subject, with its hits."""
    return Snippet(text, _marks(text, wanted))


def _around(piece: str, place: int, wanted: Sequence[Wanted], length: int) -> Snippet:
    """place: of the first hit, in the folded piece."""
    starts = _starts(piece)
    at = _original(starts, place)
    text, lead = _cut(piece, max(0, at - _LEAD), length)
    return Snippet(text, _marks(text, wanted, lead))


def _cut(piece: str, start: int, length: int) -> tuple[str, int]:
    """Whole words from about `start`, with dots where something was left out; and how long those before it are."""
    if start:
        space = piece.find(" ", start, start + _LEAD)
        start = space + 1 if space >= 0 else start
    end = start + length
    if end < len(piece):
        space = piece.rfind(" ", start + length // 2, end)
        end = space if space >= 0 else end
    lead = "… " if start else ""
    return f"{lead}{piece[start:end]}{' …' if end < len(piece) else ''}", len(lead)


def _marks(text: str, wanted: Sequence[Wanted], lead: int = 0) -> tuple[tuple[int, int], ...]:
    starts = _starts(text)
    folded = fold(text)
    if starts[-1] != len(folded):
        return ()  # characters that are put together when they are folded: nobody knows where they were
    found: list[tuple[int, int]] = []
    for each in wanted:
        at = each.find(folded, starts[lead]) if each.text else -1
        while at >= 0:
            end = at + len(each.text)
            found.append((_original(starts, at), _original(starts, end - 1) + 1))
            at = each.find(folded, end)
    return tuple(_joined(sorted(found)))


def _joined(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    joined: list[tuple[int, int]] = []
    for start, end in spans:
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined


def _starts(text: str) -> list[int]:
    """Where each character's folded form begins, and where the last one's ends."""
    if text.isascii():
        return list(range(len(text) + 1))
    return [0, *accumulate(1 if char.isascii() else len(fold(char)) for char in text)]


def _original(starts: Sequence[int], place: int) -> int:
    """The character whose folded form holds this place."""
    return min(bisect_right(starts, place), len(starts) - 1) - 1
