"""What SEARCH needs of a message, without an index: is this text in a field, in the body, anywhere.

Text is compared as people read it: encoded words, parameters, transfer encodings and charsets undone, HTML without
its tags, and folded (message.folding). Parts whose type is neither text nor message are not looked into. Parts are
read in pieces of at most PIECE octets, so a large message costs bounded memory.
The full-text index is made of the same texts (header_lines, body_texts), so that it can say what these tests say.
Trusts nothing. Offsets come from `parts`, octets from `read(start, end)`.
Standards: RFC 9051 6.4.4 (HEADER, BODY, TEXT), RFC 5255 4 (comparison beyond ASCII).
On failure: never; what cannot be decoded is searched as it stands. OSError of `read` passes through.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Self

from postroom.message.charsets import Guess, codec_name, incremental, reads_as_ascii, to_text
from postroom.message.decode import decode_parameters, decode_words
from postroom.message.fields import field_values, unfold
from postroom.message.folding import fold
from postroom.message.html_text import html_pieces
from postroom.message.parts import LEAF, MESSAGE, Part, Parts
from postroom.message.transfer import UndecodableContent, decode_pieces

__all__ = [
    "Needle",
    "Read",
    "all_headers",
    "body_contains",
    "body_text",
    "body_texts",
    "fold",
    "header_contains",
    "header_lines",
    "header_matches",
    "line_texts",
    "text_contains",
]

PIECE: Final = 1024 * 1024

#: octets start to end of the stored message, such as Content.read
Read = Callable[[int, int], bytes]

_WITH_PARAMETERS: Final = frozenset((b"content-type", b"content-disposition"))


@dataclass(frozen=True, slots=True)
class Needle:
    """What is searched for. text: folded; octets: the same in ASCII, b"" when it is not ASCII or empty."""

    text: str
    octets: bytes

    @classmethod
    def of(cls, text: str) -> Self:
        """From the text as the client sent it, decoded."""
        folded = fold(text)
        return cls(folded, folded.encode() if folded.isascii() else b"")


def header_matches(header: bytes, name: bytes, needle: Needle) -> bool:
    """RFC 9051 6.4.4 HEADER: a field of this name holds the text; with empty text: there is such a field."""
    values = field_values(header, name)
    guess = Guess()
    return bool(values and not needle.text) or any(
        _line_contains(name + b":", value, needle, guess) for value in values
    )


def header_contains(header: bytes, needle: Needle, guess: Guess | None = None) -> bool:
    """The text stands anywhere in this header, field names included."""
    guess = guess or Guess()
    lines = unfold(header, -1)
    if not needle.octets:
        return any(_line_contains(line, line, needle, guess) for line in lines)
    odd = [line for line in lines if b"=?" in line or b"*" in line or not line.isascii()]
    if odd:
        seen = set(odd)
        lines = [line for line in lines if line not in seen]
    return needle.octets in b"\n".join(lines).lower() or any(_line_contains(line, line, needle, guess) for line in odd)


def header_lines(header: bytes, guess: Guess | None = None) -> Iterator[str]:
    """Every text that header_contains looks at."""
    guess = guess or Guess()
    for line in unfold(header, -1):
        yield from line_texts(line, guess)


def line_texts(line: bytes, guess: Guess) -> list[str]:
    """A logical line of a header decoded, then its parameters if it has any that need decoding."""
    texts = [decode_words(line, guess)]
    if b"*" in line or b"=?" in line:
        texts += _parameters(line, line, guess)
    return texts


def _line_contains(line: bytes, value: bytes, needle: Needle, guess: Guess) -> bool:
    """Is the text in `value`, which belongs to the field that `line` begins with."""
    if value is line or value.isascii():
        shown = decode_words(value, guess)
    else:  # octets without a label are guessed by all of the line, as header_lines does
        shown = decode_words(b"%b %b" % (line, value), guess).partition(":")[2]
    if needle.text in fold(shown):
        return True
    if b"*" not in value and b"=?" not in value:
        return False
    return any(needle.text in fold(text) for text in _parameters(line, value, guess))


def _parameters(line: bytes, value: bytes, guess: Guess) -> Iterable[str]:
    name, _, content = line.partition(b":")
    if name.rstrip().lower() not in _WITH_PARAMETERS:
        return ()
    return decode_parameters(content or value, guess).values()


def body_contains(read: Read, parts: Parts, needle: Needle) -> bool:
    """RFC 9051 6.4.4 BODY: the text stands in a part of type text or message, headers of inner messages included."""
    if not needle.text:
        return True
    guess = Guess()
    inner = False  # is this part the message inside the part before it
    for part in parts.walk():
        if inner and header_contains(_header(read, part), needle, guess):
            return True
        if _is_searched(part) and _holds(read, part, needle, guess):
            return True
        inner = part.kind == MESSAGE
    return False


def text_contains(read: Read, parts: Parts, needle: Needle) -> bool:
    """RFC 9051 6.4.4 TEXT: the same, or in the header of the message or of any part."""
    guess = Guess()
    return any(header_contains(header, needle, guess) for _, header in all_headers(read, parts)) or body_contains(
        read, parts, needle
    )


def all_headers(read: Read, parts: Parts) -> Iterator[tuple[Part, bytes]]:
    """The header of the message and of every part that has one, in order."""
    for part in parts.walk():
        if part.body_start > part.header_start:
            yield part, _header(read, part)


def body_texts(read: Read, parts: Parts, *, tidy: bool = True) -> Iterator[tuple[Part, Iterator[str]]]:
    """Everything BODY searches, not folded: the texts of each part in pieces, and headers of inner messages.

    tidy: see html_pieces.
    """
    inner = False
    guess = Guess()
    for part in parts.walk():
        if inner:
            yield part, iter(("\n".join(header_lines(_header(read, part), guess)),))
        if _is_searched(part):
            yield part, _texts(read, part, guess, tidy=tidy)
        inner = part.kind == MESSAGE


def body_text(read: Read, parts: Parts, overlap: int = 0) -> Iterator[str]:
    """The folded text of everything BODY searches, in pieces; a part's next piece repeats `overlap` characters."""
    for _, texts in body_texts(read, parts):
        yield from _folded(texts, overlap)


def _is_searched(part: Part) -> bool:
    """Text, delivery reports and the like; and an inner message that is encoded, so that its parts are not seen."""
    if part.kind == LEAF:
        return part.type in ("text", "message")
    return part.kind == MESSAGE and part.encoding in ("base64", "quoted-printable")


def _holds(read: Read, part: Part, needle: Needle, guess: Guess) -> bool:
    """Is the text in the content of this part."""
    if needle.octets and part.subtype != "html" and reads_as_ascii(part.charset):
        sure = _holds_octets(_octets(read, part), needle.octets, labelled=bool(codec_name(part.charset)))
        if sure is not None:
            return sure
    return any(needle.text in text for text in _folded(_texts(read, part, guess), len(needle.text) - 1))


def _header(read: Read, part: Part) -> bytes:
    return read(part.header_start, min(part.body_start, part.header_start + PIECE))


def _holds_octets(pieces: Iterable[bytes], needle: bytes, *, labelled: bool) -> bool | None:
    """The usual case, without decoding a charset.

    None: only the decoded text can tell, because 8-bit octets could fold to ASCII, or without a label belong to a
    charset in which an octet below 0x80 may be half a character.
    """
    tail = b""
    plain = True
    for piece in pieces:
        octets = tail + piece
        if needle in octets.lower():
            return True if labelled or octets.isascii() else None
        plain = plain and piece.isascii()
        tail = octets[len(octets) - len(needle) + 1 :] if len(needle) > 1 else b""
    return False if plain else None


def _octets(read: Read, part: Part) -> Iterator[bytes]:
    """The part's content, transfer encoding undone, in pieces."""
    raw = (read(at, min(at + PIECE, part.end)) for at in range(part.body_start, part.end, PIECE))
    try:
        yield from decode_pieces(raw, part.encoding)
    except UndecodableContent:
        yield from raw


def _texts(read: Read, part: Part, guess: Guess, *, tidy: bool = True) -> Iterator[str]:
    """The part's text in pieces, HTML without its tags."""
    decoded = _decoded(read, part, guess)
    return html_pieces(decoded, tidy=tidy) if part.subtype == "html" else decoded


def _decoded(read: Read, part: Part, guess: Guess) -> Iterator[str]:
    """The part's text in pieces; a part in one piece is decoded with all care, a longer one as it comes."""
    pieces = _octets(read, part)
    first = next(pieces, b"")
    if part.size <= PIECE:
        yield to_text(b"".join((first, *pieces)), part.charset, guess)
        return
    decoder = incremental(part.charset, first, guess)
    yield decoder.decode(first)
    for piece in pieces:
        yield decoder.decode(piece)
    yield decoder.decode(b"", True)


def _folded(texts: Iterable[str], overlap: int) -> Iterator[str]:
    tail = ""
    for text in texts:
        folded = tail + fold(text)
        yield folded
        tail = folded[len(folded) - overlap :] if 0 < overlap <= len(folded) else (folded if overlap else "")
