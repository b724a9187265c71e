"""Reading the stored ENVELOPE of a message, for searches that it can answer without the message (RFC 9051 7.5.2).

Trusts: the text our own index wrote; anything else gives None for fields, never an exception.
"""

from __future__ import annotations

import re
from typing import Final

from postroom.mailbox.printed import Value, value_at
from postroom.message.decode import decode_words

#: places of the fields in an ENVELOPE
DATE, SUBJECT, FROM, SENDER, REPLY_TO, TO, CC, BCC, IN_REPLY_TO, MESSAGE_ID = range(10)

#: fields a HEADER search is answered from. Sender and Reply-To are filled in from From, so they are not here.
SEARCHED: Final = {
    "SUBJECT": SUBJECT,
    "FROM": FROM,
    "TO": TO,
    "CC": CC,
    "BCC": BCC,
    "DATE": DATE,
    "IN-REPLY-TO": IN_REPLY_TO,
    "MESSAGE-ID": MESSAGE_ID,
}
ADDRESSES: Final = frozenset({FROM, TO, CC, BCC})

# the usual beginning: date and subject without escapes
_HEAD = re.compile(rb'\((?:NIL|"([^"\\]*)") (?:NIL|"([^"\\]*)") ')


def field(envelope: bytes, wanted: int) -> Value:
    """The field at a place: None for NIL, octets, or a list of addresses (name, route, mailbox, host)."""
    if wanted <= SUBJECT and (head := _HEAD.match(envelope)):
        return head[wanted + 1]
    end = 1
    value: Value = None
    for _ in range(wanted + 1):
        value, end = value_at(envelope, end)
        if end < 0:
            return None
    return value


def text(envelope: bytes, wanted: int) -> str | None:
    """A field as a reader would see it: encoded words decoded, addresses as `name <mailbox@host>`. None: absent."""
    value = field(envelope, wanted)
    if value is None:
        return None
    if isinstance(value, bytes):
        return decoded(value)
    shown = [_address(item) for item in value if isinstance(item, list) and len(item) == 4]
    return ", ".join(filter(None, shown))  # the end of a group shows nothing


def _address(item: list[Value]) -> str:
    name, _, mailbox, host = [decoded(part) if isinstance(part, bytes) else None for part in item]
    address = mailbox or ""
    if host is not None:
        address = f"{address}@{host}"
    return f"{name} <{address}>" if name else address


def decoded(raw: bytes) -> str:
    """A value as a reader would see it."""
    return raw.decode("ascii") if raw.isascii() and b"=?" not in raw else decode_words(raw)
