"""Terms: what folded text is taken apart into, so that a part of it is found without reading it.

A term is a run of letters and digits. Scripts that write no spaces give overlapping pieces instead: two characters of
Chinese and Japanese, three of Thai, Lao, Khmer and Burmese. Every piece of a text lies in its terms, so whatever
`probes` asks for, a text that holds the needle has it; when one term can answer alone, the answer is exact.
Pure: folded text in, octets out. Trusts nothing; the caller limits lengths.
On failure: never.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from operator import add
from typing import Final, Self

from postroom.message.folding import fold

#: what separates words beyond ASCII, after folding; what is missing here only makes words longer
_SEPARATORS: Final = (
    "\u0080-\u00a9\u00ab-\u00b4\u00b6-\u00b9\u00bb-\u00bf\u00d7\u00f7\u02c2-\u02df\u060c\u060d\u061b\u061f\u066a-\u066d"
    "\u06d4\u0964\u0965\u0589\u05be\u05c0\u05c3\u05f3\u05f4\u0f0b-\u0f14\u1361-\u1368\u1680\u104a-\u104f\u17d4-\u17da"
    "\u2000-\u2bff\u2e00-\u2e7f\u3000-\u3004\u3008-\u3020\u3030\ufd3e\ufd3f\ufe10-\ufe1f\ufe30-\ufe6f\ufff0-\uffff"
)
#: written without spaces; two characters say enough
_PAIRED: Final = (
    "\u2e80-\u2fdf\u3005-\u3007\u3021-\u302f\u3031-\u312f\u3190-\u31ff\u3400-\u4dbf\u4e00-\u9fff\ua000-\ua4cf"
    "\uf900-\ufaff\U00020000-\U0003ffff"
)
#: written without spaces, with few letters
_TRIPLED: Final = "\u0e00-\u0e7f\u0e80-\u0eff\u1000-\u1049\u1050-\u109f\u1780-\u17d3\u17dc-\u17ff\uaa60-\uaa7f"
_ASCII_SEPARATORS: Final = "\\x00-/:-@\\[-`{-\\x7f"

_RUNS = re.compile(f"([{_PAIRED}]+)|([{_TRIPLED}]+)|([^{_ASCII_SEPARATORS}{_SEPARATORS}{_PAIRED}{_TRIPLED}]+)")
_WORD_CHARACTER = re.compile(f"[^{_ASCII_SEPARATORS}{_SEPARATORS}{_PAIRED}{_TRIPLED}]")
#: ASCII letters in lower case, ASCII octets that separate as spaces, all others as they are
_WORDS: Final = bytes(octet if octet > 127 or chr(octet).isalnum() else 32 for octet in range(256)).lower()
#: octets of a word beyond ASCII whose terms are remembered: longer ones are sentences of scripts without spaces
_REMEMBERED: Final = 48


def terms_of(text: str) -> set[bytes]:
    """The terms of text as people write it, each once, in UTF-8."""
    return octet_terms(text.encode("utf-8", "surrogatepass"))


def octet_terms(octets: bytes) -> set[bytes]:
    """The same of text in UTF-8.

    It is taken apart before it is folded, which is dear: nothing that folding does reaches across an ASCII separator.
    """
    words = set(octets.translate(_WORDS).split())
    if octets.isascii():
        return words
    odd = [word for word in words if not word.isascii()]
    words.difference_update(odd)
    long = []
    for word in odd:
        if len(word) <= _REMEMBERED:
            words.update(_known(word))
        else:
            long.append(word)
    if long:
        words.update(_folded(b" ".join(long)))
    return words


@lru_cache(maxsize=16_384)
def _known(word: bytes) -> tuple[bytes, ...]:
    return tuple(_folded(word))


def _folded(words: bytes) -> set[bytes]:
    """The terms of words that are not ASCII, in which separators and scripts without spaces may stand."""
    found: set[str] = set()
    for pairs, triples, word in _RUNS.findall(fold(words.decode("utf-8", "surrogatepass"))):
        if word:
            found.add(word)
        elif pairs:
            found.update(map(add, pairs, pairs[1:]) if len(pairs) > 1 else (pairs,))
        else:
            found.update(_triples(triples))
    return set("\n".join(found).encode("utf-8", "surrogatepass").split(b"\n")) if found else set()


def _triples(run: str) -> list[str]:
    return [run[at : at + 3] for at in range(len(run) - 2)] or [run]


def words_of(text: str) -> list[str]:
    """The words of folded text in order, each once; of scripts without spaces their pieces."""
    found: dict[str, None] = {}
    for pairs, triples, word in _RUNS.findall(text):
        if word:
            found[word] = None
        elif pairs:
            found.update(dict.fromkeys(map(add, pairs, pairs[1:]) if len(pairs) > 1 else (pairs,)))
        else:
            found.update(dict.fromkeys(_triples(triples)))
    return list(found)


class Place(Enum):
    """Where a term must have the octets of a probe."""

    ANYWHERE = 0
    START = 1
    END = 2
    WHOLE = 3


@dataclass(frozen=True, slots=True)
class Probe:
    """A message must have a term with these octets there."""

    octets: bytes
    place: Place


@dataclass(frozen=True, slots=True)
class Wanted:
    """Text that is looked for. text: folded; at_word: it must stand at the beginning of a word."""

    text: str
    at_word: bool = False

    @classmethod
    def of(cls, text: str, *, at_word: bool = False) -> Self:
        """From text as people write it."""
        return cls(fold(text), at_word)

    def within(self, folded: str) -> bool:
        """Is it in this folded text?"""
        if not self.at_word:
            return self.text in folded
        return self.find(folded, 0) >= 0

    def find(self, folded: str, start: int) -> int:
        """Where it stands next in folded text, -1 when nowhere."""
        at = folded.find(self.text, start)
        if self.at_word and _WORD_CHARACTER.match(self.text):
            while at > 0 and _WORD_CHARACTER.match(folded, at - 1):
                at = folded.find(self.text, at + 1)
        return at

    def probes(self) -> tuple[list[Probe], bool]:
        """What a text that holds it must have, and whether that says everything; no probes: nothing is known."""
        found: list[Probe] = []
        exact = True
        end = len(self.text)
        for run in _RUNS.finditer(self.text):
            pairs, triples, word = run.groups()
            alone = run.start() == 0 and run.end() == end
            if word:
                left = run.start() > 0 or self.at_word
                place = Place((1 if left else 0) + (2 if run.end() < end else 0))
                found.append(Probe(word.encode("utf-8", "surrogatepass"), place))
            else:
                size, pieces = (2, list(map(add, pairs, pairs[1:]))) if pairs else (3, _triples(triples))
                shorter = len(run[0]) < size
                place = Place.ANYWHERE if shorter else Place.WHOLE
                found += [
                    Probe(piece.encode("utf-8", "surrogatepass"), place) for piece in ([run[0]] if shorter else pieces)
                ]
                exact = exact and len(run[0]) <= size
            exact = exact and alone
        return list(dict.fromkeys(found)), exact
