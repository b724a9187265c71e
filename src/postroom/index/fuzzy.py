"""Searching as people mean it: words that are nearly the wanted ones count too, and what fits best comes first.

Each word of the question is looked for as it is, in its other forms (stems.py), at the beginning of words, within
them, and with slips of the keyboard; a rare word counts for more than one that is everywhere, so words like "the"
decide nothing in any language.
Addresses and subjects count for more than text. A message must have most of the words.
Work is bounded: so many words of a question, so many terms that are looked at closely.
Pure, over segments. Trusts nothing. On failure: BadSegment.
Standards: RFC 6203 3 and 4.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import log
from typing import Final

from postroom.index.likeness import BEGINS, FORM, ONE_SLIP, SAME, TWO_SLIPS, WITHIN, likeness, slips, slips_allowed
from postroom.index.segment import BLOCK_BITS, Dictionary, Field, Segment
from postroom.index.stems import common_start, same_stem
from postroom.index.terms import Place, Probe, words_of

#: words of a question that are looked for
_MOST_WORDS: Final = 24
#: terms of one segment that are compared letter by letter, for one word
_MOST_COMPARED: Final = 20_000
#: and whose stems are
_MOST_STEMS: Final = 2_000
#: what a word is worth by where it stands
WEIGHTS: Final = {Field.SHOWN: 1.0, Field.BODY: 0.6, Field.ATTACHED: 0.5, Field.OTHER: 0.2}
#: the share of a question (rare words count for more) that a message must have
_LEAST: Final = 0.6

#: message to how well a word fits it
Fits = dict[int, float]


@dataclass(slots=True)
class Ranked:
    """words: of the question, with how rare each is; scores: message id to a score above 0, 1 being the best there is.

    until, witness: see lookup.Found.
    """

    words: Mapping[str, float] = field(default_factory=dict)
    scores: dict[int, float] = field(default_factory=dict)
    until: int = 0
    witness: str = ""


def question(text: str) -> list[str]:
    """The words of folded text that are looked for."""
    return words_of(text)[:_MOST_WORDS]


def rank(segments: Iterable[Segment], words: Sequence[str], fields: Sequence[int], messages: int) -> Ranked:
    """Messages that fit. messages: how many there are in all. Raises BadSegment."""
    fits: list[Fits] = [{} for _ in words]
    for segment in segments:
        base = segment.block << BLOCK_BITS
        for word, known in zip(words, fits, strict=True):
            known.update((base + low, fit) for low, fit in _fits(segment, word, fields).items())
    rarity = {word: log(1 + max(messages, 1) / max(len(known), 1)) for word, known in zip(words, fits, strict=True)}
    return Ranked(rarity, scored(fits, [rarity[word] for word in words]))


def scored(fits: Sequence[Fits], rarity: Sequence[float]) -> dict[int, float]:
    """The scores of messages that have enough of the words."""
    total = sum(rarity)
    scores: dict[int, float] = {}
    covered: dict[int, float] = {}
    for known, worth in zip(fits, rarity, strict=True):
        for message, fit in known.items():
            scores[message] = scores.get(message, 0.0) + worth * fit
            covered[message] = covered.get(message, 0.0) + worth
    return {message: score / total for message, score in scores.items() if covered[message] >= _LEAST * total}


def fit(word: str, terms: Mapping[int, Iterable[bytes]], fields: Sequence[int]) -> float:
    """How well a word fits one message whose terms are at hand."""
    best = 0.0
    for place in fields:
        worth = WEIGHTS[place]
        for term in terms.get(place, ()):
            if worth <= best:
                break
            alike = likeness(word, term.decode("utf-8", "surrogatepass"))
            best = max(best, worth * alike)
    return best


def _fits(segment: Segment, word: str, fields: Sequence[int]) -> Fits:
    """Low halves of the messages that have a word like this one, with how well it fits."""
    found: Fits = {}
    for place in sorted(fields, key=WEIGHTS.__getitem__):
        dictionary = segment.dictionary(place)
        if dictionary is None:
            continue
        here: Fits = {}
        # the worst first: what is better takes its place
        for alike, spans in sorted(_alike(dictionary, word).items()):
            here.update(dict.fromkeys(array("H", dictionary.postings(spans)), alike * WEIGHTS[place]))
        for low, how in here.items():
            if how > found.get(low, 0.0):
                found[low] = how
    return found


def _alike(dictionary: Dictionary, word: str) -> dict[float, list[tuple[int, int]]]:
    """Where the postings of terms like the word are, by how alike they are."""
    spans: dict[float, list[tuple[int, int]]] = {}
    octets = word.encode("utf-8", "surrogatepass")
    for at in dictionary.matches(Probe(octets, Place.ANYWHERE)):
        term = dictionary.term(at)
        alike = SAME if term == octets else BEGINS if term.startswith(octets) else WITHIN
        spans.setdefault(alike, []).append(dictionary.span(at))
    for at in _forms(dictionary, word):
        spans.setdefault(FORM, []).append(dictionary.span(at))
    allowed = slips_allowed(word)
    if allowed:
        for at, made in _slipped(dictionary, word, allowed):
            spans.setdefault(ONE_SLIP if made == 1 else TWO_SLIPS, []).append(dictionary.span(at))
    return spans


def _forms(dictionary: Dictionary, word: str) -> Iterator[int]:
    """Where terms are that are other forms of the word."""
    start = common_start(word)
    if not start:
        return
    for number, at in enumerate(dictionary.matches(Probe(start.encode("utf-8", "surrogatepass"), Place.START))):
        if number >= _MOST_STEMS:
            return
        term = dictionary.term(at).decode("utf-8", "surrogatepass")
        if term != word and same_stem(word, term):
            yield at


def _slipped(dictionary: Dictionary, word: str, allowed: int) -> Iterator[tuple[int, int]]:
    """Where terms are that are the word with slips, and how many.

    A word cut into one piece more than there may be slips keeps one of them whole, unless two letters that changed
    places lie in two pieces: so it is cut in two ways.
    """
    octets = word.encode("utf-8", "surrogatepass")
    looked_at: set[int] = set()
    for piece in dict.fromkeys((*_pieces(word, allowed + 1, 0), *_pieces(word, allowed + 1, 1))):
        for at in dictionary.matches(Probe(piece, Place.ANYWHERE)):
            if at in looked_at:
                continue
            looked_at.add(at)
            if len(looked_at) > _MOST_COMPARED:
                return
            term = dictionary.term(at)
            if abs(len(term) - len(octets)) > 4 * allowed or octets in term:
                continue
            other = term.decode("utf-8", "surrogatepass")
            made = slips(word, other, allowed)
            if 0 < made <= allowed and other.isalpha():
                yield at, made


def _pieces(word: str, count: int, shift: int) -> Iterator[bytes]:
    size = len(word) // count
    cuts = [0, *(size * number + shift for number in range(1, count)), len(word)]
    for start, end in pairwise(cuts):
        yield word[start:end].encode("utf-8", "surrogatepass")
