"""A new message made of its parts: text, HTML, attachments, and whom it is from and to.

Owns: the octets: header fields folded and encoded, bodies in the simplest transfer encoding that carries them.
Trusts nothing: values come from programs. What could break out of a field (controls, line ends) is refused, never
repaired, so that a program's fault is seen.
Standards: RFC 5322 2.2.3 and 3.6, RFC 2045 6, RFC 2046 5.1, RFC 2047, RFC 2183, RFC 2231 4, RFC 2387, RFC 2392,
RFC 6532 (addresses that are not ASCII).
On failure: Unsuitable, which names the field.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from postroom.message.downgrade import LONGEST_LINE, binascii_lines
from postroom.values.address import Address

_WIDTH: Final = 76
_CONTROLS: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_LINE_END: Final = re.compile(rb"\r\n|\r|\n")
_PLAIN_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?: [A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_TOKEN: Final = r"[A-Za-z0-9!#$&^_.+-]{1,64}"  # noqa: S105 - of RFC 6838 4.2
_MEDIA_TYPE: Final = re.compile(rf"{_TOKEN}/{_TOKEN}")
_CID: Final = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.@-]{1,200}")
_PLAIN_FILE: Final = re.compile(r"[A-Za-z0-9!#$%&'()*+,./:;=?@^_`{|}~ -]+")
_UNRESERVED: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_LONGEST_FILE: Final = 255
_LONGEST_VALUE: Final = 8192
_WORD_ROOM: Final = 75 - len("=?utf-8?b??=")  # RFC 2047 2


class Unsuitable(ValueError):
    """A value that no message can have. field: which it is, as its user knows it."""

    def __init__(self, field: str, text: str) -> None:
        super().__init__(f"{field}: {text}")
        self.field = field
        self.text = text


@dataclass(frozen=True, slots=True)
class Person:
    """A mailbox as people see it."""

    address: Address
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Enclosure:
    """A file that goes with the message. cid: what HTML calls it (`cid:…`), "" for an ordinary attachment."""

    name: str
    media_type: str
    octets: bytes
    cid: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """What the message says. date: as RFC 5322 3.3 has it; seed: letters and digits that make boundaries differ."""

    author: Person
    date: str
    message_id: str
    seed: str
    to: Sequence[Person] = ()
    cc: Sequence[Person] = ()
    reply_to: Sequence[Person] = ()
    subject: str = ""
    fields: Sequence[tuple[str, str]] = ()
    text: str | None = None
    html: str | None = None
    enclosures: Sequence[Enclosure] = ()


@dataclass(frozen=True, slots=True)
class _Entity:
    """A MIME entity: its header fields as lines, and its body in pieces, none of which ends in a line end."""

    fields: list[str]
    body: list[bytes]


def compose(letter: Letter) -> list[bytes]:
    """The message, CR LF everywhere, in pieces. Raises Unsuitable."""
    root = _content(letter)
    lines = [
        f"Date: {letter.date}",
        _people("From", (letter.author,)),
        *(_people(name, people) for name, people in _groups(letter) if people),
        unstructured("Subject", letter.subject),
        f"Message-ID: <{letter.message_id}>",
        *(unstructured(name, value) for name, value in letter.fields),
        "MIME-Version: 1.0",
        *root.fields,
    ]
    return [*_head(lines), *root.body, b"\r\n"]


def _groups(letter: Letter) -> tuple[tuple[str, Sequence[Person]], ...]:
    return (("Reply-To", letter.reply_to), ("To", letter.to), ("Cc", letter.cc))


def _head(lines: Sequence[str]) -> Iterator[bytes]:
    yield "".join(f"{line}\r\n" for line in (*lines, "")).encode("utf-8")


# header fields


def check_text(field: str, text: str) -> str:
    """The text, when a header field can hold it. Raises Unsuitable."""
    if _CONTROLS.search(text):
        raise Unsuitable(field, "it holds control characters or line ends")
    if len(text) > _LONGEST_VALUE:
        raise Unsuitable(field, f"it is longer than {_LONGEST_VALUE} characters")
    return text


def unstructured(name: str, value: str) -> str:
    """A field of text, folded; encoded words where it is not ASCII (RFC 2047). Raises Unsuitable."""
    check_text(name, value)
    words = value.split(" ")
    plain = value.isascii() and "=?" not in value and max(map(len, words)) < LONGEST_LINE // 2
    if not plain:
        return f"{name}: {_encoded_words(value, len(name) + 2)}"
    lines = [f"{name}:"]
    for word in words:
        # never a line of white space alone (RFC 5322 3.2.2), so runs of spaces stay on their line
        if len(lines[-1]) + 1 + len(word) > _WIDTH and word and lines[-1].strip():
            lines.append(f" {word}")
        else:
            lines[-1] += f" {word}"
    return "\r\n".join(lines)


def _encoded_words(text: str, taken: int) -> str:
    """RFC 2047 2 and 5: words of whole characters; taken: columns of the first line that are used."""
    room = max((_WORD_ROOM - taken) // 4 * 3, 9)
    words: list[str] = []
    chunk = b""
    for character in text:
        octets = character.encode("utf-8")
        if len(chunk) + len(octets) > room:
            words.append(_encoded_word(chunk))
            chunk, room = b"", _WORD_ROOM // 4 * 3
        chunk += octets
    words.append(_encoded_word(chunk))
    return "\r\n ".join(words)


def _encoded_word(octets: bytes) -> str:
    return f"=?utf-8?b?{binascii.b2a_base64(octets, newline=False).decode('ascii')}?="


def _people(name: str, people: Sequence[Person]) -> str:
    return f"{name}: " + ",\r\n ".join(_person(name, one) for one in people)


def _person(field: str, person: Person) -> str:
    name = check_text(field, person.name).strip()
    if not name:
        return str(person.address)
    if not name.isascii() or "=?" in name or len(name) > _WIDTH:
        shown = _encoded_words(name, len(field) + 2)
    elif _PLAIN_NAME.fullmatch(name):
        shown = name
    else:
        shown = '"{}"'.format(name.replace("\\", "\\\\").replace('"', '\\"'))
    return f"{shown} <{person.address}>"


# content


def _content(letter: Letter) -> _Entity:
    """alternative in related in mixed, as far as they are needed."""
    inline = [one for one in letter.enclosures if one.cid and letter.html is not None]
    attached = [one for one in letter.enclosures if not (one.cid and letter.html is not None)]
    entities = []
    if letter.text is not None:
        entities.append(_text("text", letter.text, "plain"))
    if letter.html is not None:
        html = _text("html", letter.html, "html")
        if inline:
            parts = [html, *(_enclosure(one, "inline") for one in inline)]
            html = _multipart("related", parts, f"{letter.seed}r", ';\r\n type="text/html"')
        entities.append(html)
    if len(entities) == 2:
        entities = [_multipart("alternative", entities, f"{letter.seed}a")]
    if not attached and entities:
        return entities[0]
    return _multipart("mixed", [*entities, *(_enclosure(one, "attachment") for one in attached)], f"{letter.seed}m")


def _multipart(subtype: str, parts: Sequence[_Entity], seed: str, more: str = "") -> _Entity:
    boundary = f"=_{seed}"  # no quoted-printable and no base64 has "=_"
    while any(boundary.encode("ascii") in piece for part in parts for piece in part.body):
        boundary += "_"
    body: list[bytes] = []
    for part in parts:
        body += [f"--{boundary}\r\n".encode("ascii"), *_head(part.fields), *part.body, b"\r\n"]
    body.append(f"--{boundary}--".encode("ascii"))
    return _Entity([f'Content-Type: multipart/{subtype}{more};\r\n boundary="{boundary}"'], body)


def _text(field: str, text: str, subtype: str) -> _Entity:
    try:
        octets = text.encode("utf-8")
    except UnicodeEncodeError:
        raise Unsuitable(field, "it holds half a character (a lone surrogate)") from None
    lines = _LINE_END.sub(b"\n", octets).removesuffix(b"\n")  # whoever writes the entity ends its last line
    if lines.isascii() and b"\0" not in lines and max(map(len, lines.split(b"\n"))) <= LONGEST_LINE:
        encoding, body = "7bit", lines
    elif 4 * sum(octet > 126 for octet in lines) <= len(lines):
        encoding, body = "quoted-printable", binascii.b2a_qp(lines, istext=True).replace(b"\r\n", b"\n")
    else:
        encoding, body = "base64", binascii_lines(lines.replace(b"\n", b"\r\n")).replace(b"\r\n", b"\n")
    charset = "us-ascii" if lines.isascii() else "utf-8"
    return _Entity(
        [f"Content-Type: text/{subtype}; charset={charset}", f"Content-Transfer-Encoding: {encoding}"],
        [body.replace(b"\n", b"\r\n")],
    )


def text_entity(text: str) -> bytes:
    """A text/plain content with its header and the line end behind it. Raises Unsuitable."""
    entity = _text("text", text, "plain")
    return b"".join([*_head(entity.fields), *entity.body, b"\r\n"])


def _enclosure(one: Enclosure, disposition: str) -> _Entity:
    kind = one.media_type.strip().lower()
    if not _MEDIA_TYPE.fullmatch(kind):
        raise Unsuitable("attachments.type", f"{one.media_type[:80]!r} is no media type, such as application/pdf")
    if kind.startswith(("multipart/", "message/")):  # RFC 2046 5.1 and 5.2.1: never in base64
        raise Unsuitable("attachments.type", f"{kind} cannot be attached as a file; call it application/octet-stream")
    fields = [
        f"Content-Type: {kind}",
        f"Content-Disposition: {disposition}{_file_name(one.name)}",
        "Content-Transfer-Encoding: base64",
    ]
    if one.cid:
        cid = one.cid.strip("<>")
        if not _CID.fullmatch(cid):
            raise Unsuitable("attachments.cid", f"{one.cid[:80]!r} is no content id, such as logo")
        fields.append(f"Content-ID: <{cid}>")
    return _Entity(fields, [binascii_lines(one.octets)])


def _file_name(name: str) -> str:
    """The parameter of a file's name; RFC 2231 4 where it is not ASCII."""
    name = check_text("attachments.name", name).strip()
    octets = name.encode("utf-8")
    if len(octets) > _LONGEST_FILE:
        raise Unsuitable("attachments.name", f"it is longer than {_LONGEST_FILE} octets")
    if not name:
        return ""
    if _PLAIN_FILE.fullmatch(name):
        return f';\r\n filename="{name}"'
    coded = "".join(chr(octet) if octet in _UNRESERVED else f"%{octet:02X}" for octet in octets)
    return f";\r\n filename*=utf-8''{coded}"
