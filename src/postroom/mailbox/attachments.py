"""What a message carries besides its text, told from its stored BODYSTRUCTURE (RFC 9051 7.5.2).

Trusts: the text our own index wrote; anything else gives fewer parts, never an exception.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from postroom.mailbox.printed import Value, value_at
from postroom.message.decode import decode_words, to_text
from postroom.message.parameters import decode_extended

_MESSAGES: Final = (b"rfc822", b"global")
_DEEPEST: Final = 200


@dataclass(frozen=True, slots=True)
class Leaf:
    """A part that holds no others. type: such as "application/pdf"; name: of the file, "" when it has none.

    attached: marked as an attachment, or a named part that is neither text nor a picture shown in its place.
    """

    type: str
    name: str
    attached: bool


def leaves(bodystructure: bytes) -> list[Leaf]:
    """The leaves in order, those of messages inside too; a message inside is one itself."""
    whole, _ = value_at(bodystructure, 0)
    return list(_leaves(whole, 0)) if isinstance(whole, list) else []


def _leaves(part: list[Value], depth: int) -> Iterator[Leaf]:
    if not part or depth > _DEEPEST:
        return
    if isinstance(part[0], list):
        for inner in part:
            if not isinstance(inner, list):
                return
            yield from _leaves(inner, depth + 1)
        return
    if len(part) < 2 or not isinstance(part[0], bytes) or not isinstance(part[1], bytes):
        return
    main, sub = part[0].lower(), part[1].lower()
    is_message = main == b"message" and sub in _MESSAGES and len(part) > 9
    # RFC 9051 7.5.2: md5 and disposition come after the fields of the type
    disposition = _at(part, 11 if is_message else 9 if main == b"text" else 8)
    kind = _at(disposition, 0)
    marked = isinstance(kind, bytes) and kind.lower() != b"inline"
    name = _parameter(_at(disposition, 1), "filename") or _parameter(_at(part, 2), "name")
    label = f"{main.decode('latin-1')}/{sub.decode('latin-1')}"
    shown = main == b"text" or (main == b"image" and kind is not None)
    yield Leaf(label, name, marked or is_message or (bool(name) and not shown))
    inside = _at(part, 8) if is_message else None
    if isinstance(inside, list):
        yield from _leaves(inside, depth + 1)


def _at(values: Value, place: int) -> Value:
    return values[place] if isinstance(values, list) and len(values) > place else None


def _parameter(values: Value, wanted: str) -> str:
    """A parameter decoded, "" when it is not there (RFC 2231, RFC 2047)."""
    if not isinstance(values, list):
        return ""
    found = ""
    for name, value in zip(values[::2], values[1::2], strict=False):
        if isinstance(name, bytes) and isinstance(value, bytes):
            key = name.decode("latin-1").lower()
            if key == f"{wanted}*":
                charset, octets = decode_extended(value)
                return to_text(octets, charset.decode("latin-1"))
            if key == wanted:
                found = decode_words(value)
    return found
