"""URLs of messages and their parts on this server, as CATENATE has them (RFC 4469 3, RFC 5092 and RFC 2192).

Only relative ones: "/Drafts;UIDVALIDITY=1/;UID=20/;SECTION=1.2", and ";UID=20/;SECTION=TEXT" within the selected
mailbox. The mailbox is percent-encoded UTF-8, a section is what stands between the brackets of BODY[…].
Trust: the text is hostile; it is short.
On failure: BadSyntax.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote_to_bytes

from msgspec import Struct

from postroom.wire.imap import fetch, names
from postroom.wire.imap.commands import Item
from postroom.wire.imap.errors import BadSyntax
from postroom.wire.imap.scanner import Scanner

_URL: Final = re.compile(
    r"(?:/(?P<mailbox>[^;/][^;]*))?(?:;UIDVALIDITY=(?P<validity>[1-9]\d{0,9}))?/?;UID=(?P<uid>[1-9]\d{0,9})"
    r"(?:/;SECTION=(?P<section>[^;]+?))?(?:/;PARTIAL=(?P<first>\d{1,18})(?:\.(?P<count>[1-9]\d{0,17}))?)?",
    re.IGNORECASE,
)
_MOST: Final = 2**32 - 1
_WHOLE: Final = 2**62


class MessageUrl(Struct, frozen=True):
    """mailbox: None for the selected one; item: the octets as FETCH would name them, which sets no flag."""

    mailbox: str | None
    uidvalidity: int | None
    uid: int
    item: Item


def parse(text: str) -> MessageUrl:
    """Raises BadSyntax."""
    found = _URL.fullmatch(text)
    if not found:
        raise BadSyntax("no URL of a message on this server")
    mailbox, section = found["mailbox"], found["section"]
    validity, uid = int(found["validity"] or 0), int(found["uid"])
    if uid > _MOST or validity > _MOST:
        raise BadSyntax("number in URL is too large")
    name = None if mailbox is None else names.decode(_decoded(mailbox.removesuffix("/")), utf8=True)
    return MessageUrl(name, validity or None, uid, _item(section, found["first"], found["count"]))


def _decoded(text: str) -> bytes:
    octets = unquote_to_bytes(text)
    if b"\0" in octets or b"\r" in octets or b"\n" in octets:
        raise BadSyntax("control characters in a URL")
    return octets


def _item(section: str | None, first: str | None, count: str | None) -> Item:
    text = b"BODY.PEEK[" + (_decoded(section) if section else b"") + b"]"
    if first is not None:
        text += b"<%d.%d>" % (int(first), int(count) if count else _WHOLE)
    scanner = Scanner(text)
    item = fetch.item(scanner)
    scanner.end()
    return item
