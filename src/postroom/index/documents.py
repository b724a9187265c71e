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
from postroom.index.terms import ascii_terms, terms_of
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

#: fields of a message's own header that people see
SHOWN: Final = frozenset(
    (b"from", b"to", b"cc", b"bcc", b"reply-to", b"sender", b"subject", b"comments", b"keywords", b"organization")
)
_SHOWN_LINE = re.compile(rb"(?:%b)[ \t]*:" % b"|".join(sorted(SHOWN)), re.IGNORECASE)
_SHOWN_VALUE = re.compile(rb"^(?:%b)[ \t]*:(.*)$" % b"|".join(sorted(SHOWN)), re.IGNORECASE | re.MULTILINE)
#: what makes a line differ from the text in it
_ODD = re.compile(rb"=\?|\*|[\x80-\xff]")
_NAMING: Final = (b"content-type", b"content-disposition")


@dataclass(slots=True)
class Document:
    """Terms by field (segment.Field). whole: they tell everything; names: of files, by index of the part."""

    terms: dict[int, set[bytes]] = field(default_factory=dict)
    whole: bool = True
    names: dict[int, str] = field(default_factory=dict)

    def add(self, place: int, found: set[bytes]) -> None:
        """More terms of a field."""
        if sum(map(len, found)) > MAX_TERMS:
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
            other -= made.terms.get(place, set())
    return made


def _add_headers(made: Document, read: Read, parts: Parts) -> None:
    guess = Guess()
    plain: list[bytes] = []
    decoded: dict[int, list[str]] = {Field.SHOWN: [], Field.OTHER: []}
    for part, header in all_headers(read, parts):
        lines = unfold(header, -1)
        if _ODD.search(header):
            even: list[bytes] = []
            for line in lines:
                if not _ODD.search(line):
                    even.append(line)
                    continue
                is_shown = part.index == 0 and _SHOWN_LINE.match(line)
                texts = line_texts(line, guess)
                shown = [text.partition(":")[2] for text in texts] if is_shown else texts
                decoded[Field.SHOWN if is_shown else Field.OTHER] += shown
                plain.append(line.partition(b":")[0])
            lines = even
        text = b"\n".join(lines)
        plain.append(text)
        if part.index == 0:
            made.add(Field.SHOWN, ascii_terms(b"\n".join(_SHOWN_VALUE.findall(text))))
        if b"name" in header.lower():
            names = file_names(header)
            if names:
                decoded[Field.SHOWN] += names
                made.names[part.index] = names[0]
    # what is shown stands in here too; it is taken out again at the end
    made.add(Field.OTHER, ascii_terms(b"\n".join(plain)))
    for place, texts in decoded.items():
        if texts:
            made.add(place, terms_of("\n".join(texts)))


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
    for _part, texts in body_texts(read, parts):
        for number, text in enumerate(texts):
            if number and text:
                made.whole = False  # a word may lie in two pieces
            if left <= 0:
                made.whole = False
                return
            made.add(Field.BODY, terms_of(text[:left]))
            if len(text) > left:
                made.whole = False
            left -= len(text)
