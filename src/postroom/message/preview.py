"""The first words of a message, as a list of messages shows them.

The text is that of the first part with words in it, HTML without tags, without what is quoted or only drawn, on one
line. Parts are read as far as that needs, so a preview costs about the same for any message.
Pure; trusts nothing.
Standards: RFC 8970 3.2 and 3.3.
On failure: never; a message without words of its own (encrypted, pictures only) has the preview "".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Final

from postroom.message.charsets import Guess, to_text
from postroom.message.html_text import html_text
from postroom.message.parts import LEAF, Part, Parts
from postroom.message.transfer import UndecodableContent, decode_transfer

#: octets start to end of the stored message, such as Content.read
Read = Callable[[int, int], bytes]

#: characters of a preview (RFC 8970 3.3: not more than 200, never more than 256)
LONGEST: Final = 200
#: octets of a part that are looked at, and parts
_PLAIN_OCTETS: Final = 16 * 1024
_HTML_OCTETS: Final = 128 * 1024
_MOST_PARTS: Final = 20
_ENCRYPTED: Final = frozenset(("multipart/encrypted", "application/pkcs7-mime", "application/x-pkcs7-mime"))
#: characters that fill space without being seen: soft hyphens, joiners, marks of direction, and others
_UNSEEN = re.compile("[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff]+")  # fmt: skip  # noqa: E501
_CONTROL = re.compile("[\0-\x08\x0e-\x1f\x7f-\x9f]+")
_BODY = re.compile(r"<body\b", re.IGNORECASE)
#: a line that is quoted, or drawn
_NO_WORDS = re.compile(r"[ \t]*(?:>|[^\w]*$)")
_ARMOUR: Final = "-----BEGIN PGP MESSAGE-----"
_SIGNATURE: Final = "-- "


def preview(read: Read, parts: Parts) -> str:
    """Up to LONGEST characters; OSError of `read` passes through."""
    if any(part.content_type in _ENCRYPTED for part in islice(parts.walk(), 2)):
        return ""
    guess = Guess()
    quoted = ""
    for part in islice(_texts(parts), _MOST_PARTS):
        text = _text(read, part, guess)
        if _ARMOUR in text[:_PLAIN_OCTETS]:
            return ""
        own, whole = _words(text)
        if own:
            return own
        quoted = quoted or whole
    return quoted


def _texts(parts: Parts) -> Iterator[Part]:
    """Parts with text for readers, in order."""
    for part in parts.walk():
        if part.kind == LEAF and part.type == "text" and part.subtype in ("plain", "html", "enriched"):
            yield part


def _text(read: Read, part: Part, guess: Guess) -> str:
    html = part.subtype == "html"
    most = _HTML_OCTETS if html else _PLAIN_OCTETS
    octets = read(part.body_start, min(part.end, part.body_start + most))
    if part.size > most and part.encoding in ("base64", "quoted-printable"):
        octets = octets[: octets.rfind(b"\n") + 1]
    try:
        text = to_text(decode_transfer(octets, part.encoding), part.charset, guess)
    except UndecodableContent:
        return ""
    if not html:
        return text
    found = _BODY.search(text)
    return html_text(text[found.start() :] if found else text)


def _words(text: str) -> tuple[str, str]:
    """What the writer wrote, and everything, each on one line of bounded length."""
    own: list[str] = []
    whole: list[str] = []
    length = 0
    for line in text.splitlines():
        if line == _SIGNATURE:
            break
        shown = " ".join(_CONTROL.sub("", _UNSEEN.sub("", line)).split())
        if not shown:
            continue
        if len(whole) < LONGEST:
            whole.append(shown.lstrip("> "))
        if not _NO_WORDS.match(line):
            own.append(shown)
            length += len(shown) + 1
            if length > LONGEST:
                break
    return _cut(" ".join(own)), _cut(" ".join(filter(None, whole)))


def _cut(text: str) -> str:
    return text[:LONGEST].rstrip()
