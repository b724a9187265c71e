"""ENVELOPE as IMAP prints it.

Owns: the wording of RFC 9051 7.5.2 and its defaults (sender and reply-to from from; group markers; NIL or "").
Encoded words stay as they are; 8-bit octets go out as literals.
On failure: never.
"""

from __future__ import annotations

from typing import Final

from postroom.message.addresses import Mailbox, parse
from postroom.message.imap_text import nstring

ADDRESS_FIELDS: Final = frozenset((b"from", b"sender", b"reply-to", b"to", b"cc", b"bcc"))
TEXT_FIELDS: Final = frozenset((b"date", b"subject", b"in-reply-to", b"message-id"))

EMPTY: Final = b"(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)"


def envelope(fields: dict[bytes, bytes]) -> bytes:
    """The ENVELOPE of a message with these fields (lower-case names, unfolded values)."""
    get = fields.get
    sent_by = _addresses(get(b"from"))
    sender = get(b"sender")
    reply_to = get(b"reply-to")
    answer = _addresses(reply_to) if reply_to else b"NIL"
    posted = _addresses(sender) if sender else b"NIL"
    return b"(%b %b %b %b %b %b %b %b %b %b)" % (
        nstring(get(b"date")),
        nstring(get(b"subject")),
        sent_by,
        sent_by if posted == b"NIL" else posted,
        sent_by if answer == b"NIL" else answer,
        _addresses(get(b"to")),
        _addresses(get(b"cc")),
        _addresses(get(b"bcc")),
        nstring(get(b"in-reply-to")),
        nstring(get(b"message-id")),
    )


def _addresses(value: bytes | None) -> bytes:
    if not value:
        return b"NIL"
    found = parse(value)
    if not found:
        return b"NIL"
    return b"(%b)" % b"".join([_address(each) for each in found])


def _address(address: Mailbox) -> bytes:
    name, route, mailbox, host = address
    return b"(%b %b %b %b)" % (nstring(name), nstring(route), nstring(mailbox), nstring(host))
