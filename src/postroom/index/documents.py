"""What the index knows of a message: its terms by field, of the very texts that a search without the index reads.

Work is bounded: of endless text only the beginning is taken apart, and the message is marked as known in part, so that
it is always looked at itself.
Pure; messages are hostile octets. On failure: never, but OSError of `read` passes through.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from postroom.index.segment import Field
from postroom.index.terms import octet_terms
from postroom.message.charsets import Guess
from postroom.message.decode import decode_parameters
from postroom.message.fields import field_values, unfold
from postroom.message.parts import Parts
from postroom.message.search import Read, all_headers, body_texts, line_texts

#: characters of text that are taken apart, and octets of different terms
MAX_TEXT: Final = 4 * 1024 * 1024
MAX_TERMS: Final = 512 * 1024
#: octets of terms that are kept of a message with more
_SHORT: Final = 40
#: octets of text that may have so many terms: folding makes one character eighteen at most, and pairs name each twice
_MANY: Final = MAX_TERMS // 64

#: fields of a message's own header that people see
SHOWN: Final = frozenset(
    (b"from", b"to", b"cc", b"bcc", b"reply-to", b"sender", b"subject", b"comments", b"keywords", b"organization")
)
_SHOWN_LINE = re.compile(rb"(?:%b)[ \t]*:" % b"|".join(sorted(SHOWN)), re.IGNORECASE)
#: its value, in a header in lower case after a line feed
_SHOWN_VALUE = re.compile(rb"\n(?:%b)[ \t]*:([^\n]*(?:\n[ \t][^\n]*)*)" % b"|".join(sorted(SHOWN)))
_NAMING: Final = (b"content-type", b"content-disposition")


@dataclass(slots=True)
class Document:
    """Terms by field (segment.Field). whole: they tell everything; names: of files, by index of the part."""

    terms: dict[int, set[bytes]] = field(default_factory=dict)
    whole: bool = True
    names: dict[int, str] = field(default_factory=dict)

    def add(self, place: int, octets: bytes) -> None:
        """More text of a field, in UTF-8."""
        found = octet_terms(octets)
        if len(octets) > _MANY and sum(map(len, found)) > MAX_TERMS:
            found = {term for term in found if len(term) <= _SHORT}
            self.whole = False
        if found:
            known = self.terms.get(place)
            self.terms[place] = known | found if known else found


def document(read: Read, parts: Parts) -> Document:
    """The terms of a message."""
    made = Document()
    _add_headers(made, read, parts)
    _add_bodies(made, read, parts)
    other = made.terms.get(Field.OTHER)
    if other:  # TEXT looks at all fields: what is in one of them need not be in this one
        for place in (Field.SHOWN, Field.BODY):
            other.difference_update(made.terms.get(place, ()))
    return made


def _add_headers(made: Document, read: Read, parts: Parts) -> None:
    guess = Guess()
    shown: list[bytes] = []
    other: list[bytes] = []
    for part, header in all_headers(read, parts):
        lower = header.lower()
        if b"=?" in header or b"*" in header or not header.isascii():
            lower = _add_odd_lines(header, guess, shown if part.index == 0 else other, other)
        if part.index == 0:
            shown += _SHOWN_VALUE.findall(b"\n" + lower)
        other.append(lower)
        if b"name" in lower:
            names = file_names(header)
            if names:
                shown += [_octets(name) for name in names]
                made.names[part.index] = names[0]
    # what is shown stands in here too; it is taken out again at the end
    made.add(Field.OTHER, b"\n".join(other))
    if shown:
        made.add(Field.SHOWN, b"\n".join(shown))


def _add_odd_lines(header: bytes, guess: Guess, shown: list[bytes], other: list[bytes]) -> bytes:
    """Lines that differ from the text in them, decoded; gives the others, in lower case.

    shown: takes the text of fields that people see.
    """
    even: list[bytes] = []
    for line in unfold(header, -1):
        if b"=?" not in line and b"*" not in line and line.isascii():
            even.append(line)
            continue
        texts = line_texts(line, guess)
        if _SHOWN_LINE.match(line):
            shown += [_octets(text.partition(":")[2]) for text in texts]
        else:
            other += map(_octets, texts)
        even.append(line.partition(b":")[0])
    return b"\n".join(even).lower()


def _octets(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def shown_texts(read: Read, parts: Parts) -> list[str]:
    """What people see of a message beside its text: addresses, subject, names of files."""
    guess = Guess()
    found: list[str] = []
    for part, header in all_headers(read, parts):
        if part.index == 0:
            for line in unfold(header, -1):
                if _SHOWN_LINE.match(line):
                    found += [text.partition(":")[2] for text in line_texts(line, guess)]
        found += file_names(header)
    return found


def file_names(header: bytes) -> list[str]:
    """Names of the file that a part's header gives (RFC 2183 2.3, RFC 2045)."""
    if b"name" not in header and b"NAME" not in header and b"Name" not in header:
        return []
    found: list[str] = []
    for field_name in _NAMING:
        for value in field_values(header, field_name):
            parameters = decode_parameters(value)
            found += [parameters[name] for name in ("filename", "name") if name in parameters]
    return found


def names_of(read: Read, parts: Parts) -> dict[int, str]:
    """Names of the files in a message, by index of the part."""
    found = ((part.index, file_names(header)) for part, header in all_headers(read, parts))
    return {index: names[0] for index, names in found if names}


def _add_bodies(made: Document, read: Read, parts: Parts) -> None:
    left = MAX_TEXT
    for _part, texts in body_texts(read, parts, tidy=False):
        for number, text in enumerate(texts):
            if number and text and not text.isspace():
                made.whole = False  # a word may lie in two pieces
            if left <= 0:
                made.whole = False
                return
            made.add(Field.BODY, _octets(text[:left]))
            if len(text) > left:
                made.whole = False
            left -= len(text)
