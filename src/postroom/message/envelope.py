"""ENVELOPE as IMAP prints it.

Owns: the wording of RFC 9051 7.5.2 and its defaults (sender and reply-to from from; group markers; NIL or "").
Encoded words stay as they are; 8-bit octets go out as literals.
On failure: never.
"""

from __future__ import annotations

import re
from typing import Final

from postroom.message.addresses import Mailbox, parse
from postroom.message.imap_text import nstring

ADDRESS_FIELDS: Final = frozenset((b"from", b"sender", b"reply-to", b"to", b"cc", b"bcc"))
TEXT_FIELDS: Final = frozenset((b"date", b"subject", b"in-reply-to", b"message-id"))

_MOST_USUAL: Final = 1_000  # more go the way that has limits

EMPTY: Final = b"(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)"

_ATEXT = rb"\-A-Za-z0-9!#$%&'*+/=?^_`{|}~"
# addresses as nearly all mail has them: ASCII, nothing to escape, so what is matched can be printed as it is
_USUAL = re.compile(
    rb"[ \t]*+(?:"
    rb'(?:"([ !#-\[\]-~]*)"[ \t]*+|([' + _ATEXT + rb". \t]*+))<([" + _ATEXT + rb".]++)@([A-Za-z0-9.-]++)>"
    rb"|([" + _ATEXT + rb".]++)@([A-Za-z0-9.-]++))[ \t]*+(?:,|\Z)"
)


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
    printed: list[bytes] = []
    at, end = 0, len(value)
    match = _USUAL.match
    while at < end:
        usual = match(value, at) if len(printed) < _MOST_USUAL else None
        if usual is None:
            return _odd_addresses(value)
        quoted, name, local, host, bare_local, bare_host = usual.groups()
        if bare_local is not None:
            printed.append(b'(NIL NIL "%b" "%b")' % (bare_local, bare_host))
        else:
            name = quoted if name is None else name.rstrip()
            printed.append(
                b'("%b" NIL "%b" "%b")' % (name, local, host) if name else b'(NIL NIL "%b" "%b")' % (local, host)
            )
        at = usual.end()
    return b"(%b)" % b"".join(printed)


def _odd_addresses(value: bytes) -> bytes:
    found = parse(value)
    return b"(%b)" % b"".join([_address(each) for each in found]) if found else b"NIL"


def _address(address: Mailbox) -> bytes:
    name, route, mailbox, host = address
    return b"(%b %b %b %b)" % (nstring(name), nstring(route), nstring(mailbox), nstring(host))
