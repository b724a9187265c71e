"""Which messages a report is about: the Message-IDs that it names.

A report brings back the message or its header (RFC 6522), names it in a field (RFC 8098 3.2.7, RFC 3834 3.1.5), or
quotes it in its text, as old servers do. All of these are read, also behind a transfer encoding.
Pure but for reading the content. Trusts nothing: whoever has had mail from here can name a message.
On failure: never for any octets; OSError when the content's file is gone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from typing import Final

from postroom.message.index import index
from postroom.message.parts import LEAF, Part, Parts
from postroom.message.transfer import IDENTITY, UndecodableContent, decode_transfer
from postroom.values.content import Content

#: octets of a message that are looked at, parts that are decoded, and Message-IDs that are asked about
_READ: Final = 512 * 1024
_PARTS: Final = 20
_MOST: Final = 30
_LONGEST: Final = 250  # characters that are known of one (intake.header.named)
_BACK: Final = re.compile(
    rb"^[ \t>]{0,8}(?:original-)?message-id:\s{0,80}<([^<>\s]{1,998})>", re.IGNORECASE | re.MULTILINE
)
_ANSWERED: Final = re.compile(
    rb"^(?:in-reply-to|references):((?:[^\r\n]|\r?\n(?=[ \t])){0,8192})", re.IGNORECASE | re.MULTILINE
)
_ID: Final = re.compile(rb"<([^<>\s]{1,998})>")


def returned_ids(content: Content) -> list[str]:
    """Without brackets, each once."""
    octets = content.read(0, min(content.size, _READ))
    found = index(content.source(), len(content.prefix))
    header = octets[: found.header]
    named = [one for field in _ANSWERED.findall(header) for one in _ID.findall(field)[-_MOST:]]
    named += _BACK.findall(octets, len(header))
    for part in islice(_encoded(Parts.unpack(found.parts)), _PARTS):
        named += _BACK.findall(_decoded(content, part))
    return list(dict.fromkeys(one[:_LONGEST].decode("utf-8", "replace") for one in named))[:_MOST]


def _encoded(parts: Parts) -> Iterator[Part]:
    return (one for one in parts.walk() if one.kind == LEAF and one.encoding not in IDENTITY and one.type != "image")


def _decoded(content: Content, part: Part) -> bytes:
    try:
        return decode_transfer(content.read(part.body_start, min(part.end, part.body_start + _READ)), part.encoding)
    except UndecodableContent:
        return b""
