"""From what was rendered of a message at delivery to its traits.

The ENVELOPE of nearly all mail is read with one pattern; what has literals, escapes or odd addresses is read with
care (mailbox.envelope).
Pure. Trusts nothing: every value is of bounded size.
Standards: RFC 5256 2 and 3 (base subject, sent date, references), RFC 5957 3 (display names), RFC 5255 4.6.
On failure: never.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from functools import lru_cache
from hashlib import blake2b
from typing import Final, NamedTuple

from postroom.mailbox import envelope
from postroom.mailbox.traits import NO_DAY, TOO_LONG
from postroom.message.collation import casemap, no_text
from postroom.message.dates import parse_date
from postroom.message.decode import message_ids, readable
from postroom.message.search import fold
from postroom.message.subjects import base_subject
from postroom.store.api import TraitSource

_EPOCH_DAY: Final = date(1970, 1, 1).toordinal()
#: characters of a text that are sorted by, octets of a text that are kept to be searched
_MOST_KEY: Final = 500
_MOST_TEXT: Final = 2_000
#: octets of an address list that is remembered
_MOST_KNOWN: Final = 500
_MOST_REFERENCES: Final = 200
#: of those left out when there are more, the first stay
_FIRST_REFERENCES: Final = 40

_TEXT: Final = rb'(?:NIL|"([^"\\]*)")'
_WORD: Final = rb'(?:NIL|"[^"\\]*")'
_ONE: Final = rb"\(" + rb" ".join([_WORD] * 4) + rb"\)"
_LIST: Final = rb"(?:NIL|\(((?:" + _ONE + rb")+)\))"
_SKIPPED: Final = rb"(?:NIL|\((?:" + _ONE + rb")+\))"
# date, subject, from, to, cc, in-reply-to, message-id
_USUAL = re.compile(
    rb"\(" + rb" ".join([_TEXT, _TEXT, _LIST, _SKIPPED, _SKIPPED, _LIST, _LIST, _SKIPPED, _TEXT, _TEXT]) + rb"\)"
)
_ADDRESS = re.compile(rb"\(" + _TEXT + rb" " + _WORD + rb" " + _TEXT + rb" " + _TEXT + rb"\)")
# RFC 5322 3.3
_USUAL_DATE = re.compile(rb"(?:[A-Za-z]{3}, )?(\d{1,2} [A-Za-z]{3} \d{4}) (\d\d):(\d\d):(\d\d) ([+-])(\d\d)(\d\d)\b")

#: name, mailbox, host; None for NIL
Address = tuple[bytes | None, bytes | None, bytes | None]


class Shown(NamedTuple):
    """Of an address field: the keys of its first address (RFC 5256 3, RFC 5957 3), and all of it as it is searched."""

    mailbox: bytes
    display: bytes
    text: bytes


_NOBODY: Final = Shown(b"", b"", b"")


class Fields(NamedTuple):
    """The fields of an ENVELOPE that traits are made of; None where there is none."""

    date: bytes | None
    subject: bytes | None
    sent_by: Shown
    to: Shown
    cc: Shown
    in_reply_to: bytes | None
    message_id: bytes | None


class Read(NamedTuple):
    """The traits of a message but for its thread: see traits.Traits."""

    sent: int
    day: int
    own: int
    subject: int
    reply: int
    references: Sequence[int]
    keys: Sequence[bytes]
    texts: Sequence[bytes]


def read_traits(source: TraitSource) -> Read:
    """Everything but the thread."""
    fields = _fields(source.envelope)
    sent, day = _sent(fields.date, source.internaldate)
    decoded, odd = readable(fields.subject or b"")
    base = base_subject(decoded[:_MOST_KEY])
    key = _key(base.text, base_subject(odd[:_MOST_KEY].decode("latin-1")).text.encode("latin-1") if odd else b"")
    sent_by, to, cc = fields.sent_by, fields.to, fields.cc
    own = message_ids(fields.message_id) if fields.message_id else ()
    return Read(
        sent,
        day,
        hash_of(normal_id(own[0])) if own else 0,
        hash_of(key) if key else 0,
        base.reply,
        references_of(source.references, fields.in_reply_to),
        (key, sent_by.mailbox, to.mailbox, cc.mailbox, sent_by.display, to.display),
        (_text(decoded), sent_by.text, to.text, cc.text, _text(_decoded(fields.message_id))),
    )


def hash_of(octets: bytes) -> int:
    """64 bits that stand for a text, never 0."""
    return int.from_bytes(blake2b(octets, digest_size=8).digest(), "little") or 1


def normal_id(message_id: bytes) -> bytes:
    """A message id in the form in which ids are compared: quoting undone (RFC 5256 3, REFERENCES)."""
    if b'"' not in message_id and b"\\" not in message_id:
        return message_id
    return re.sub(rb"\\(.)", rb"\1", message_id.replace(b'"', b""))


def references_of(references: bytes, in_reply_to: bytes | None) -> list[int]:
    """Hashes of the message ids a message refers to, oldest first; without References the first of In-Reply-To."""
    found = message_ids(references) if references else []
    if not found and in_reply_to:
        found = message_ids(in_reply_to)[:1]
    if len(found) > _MOST_REFERENCES:
        found = found[:_FIRST_REFERENCES] + found[_FIRST_REFERENCES - _MOST_REFERENCES :]
    return [hash_of(normal_id(each)) for each in found]


def _fields(text: bytes) -> Fields:
    usual = _USUAL.fullmatch(text)
    if usual is None:
        return _odd_fields(text)
    when, subject, sent_by, to, cc, in_reply_to, message_id = usual.groups()
    return Fields(when, subject, _list(sent_by), _list(to), _list(cc), in_reply_to, message_id)


def _list(found: bytes | None) -> Shown:
    """The same few people write and are written to all the time."""
    if not found:
        return _NOBODY
    return _known_list(found) if len(found) <= _MOST_KNOWN else _shown(_addresses(found))


@lru_cache(maxsize=4096)
def _known_list(found: bytes) -> Shown:
    return _shown(_addresses(found))


def _addresses(found: bytes) -> Sequence[Address]:
    if b"NIL)" in found:  # a group's beginning or end: findall cannot tell NIL from ""
        return [(each[1], each[2], each[3]) for each in _ADDRESS.finditer(found)]
    return _ADDRESS.findall(found)


def _odd_fields(text: bytes) -> Fields:
    def octets(place: int) -> bytes | None:
        value = envelope.field(text, place)
        return value if isinstance(value, bytes) else None

    def addresses(place: int) -> Shown:
        value = envelope.field(text, place)
        found: list[Address] = []
        for item in value if isinstance(value, list) else ():
            if isinstance(item, list) and len(item) == 4:
                name, _, mailbox, host = [part if isinstance(part, bytes) else None for part in item]
                found.append((name, mailbox, host))
        return _shown(found)

    return Fields(
        octets(envelope.DATE),
        octets(envelope.SUBJECT),
        addresses(envelope.FROM),
        addresses(envelope.TO),
        addresses(envelope.CC),
        octets(envelope.IN_REPLY_TO),
        octets(envelope.MESSAGE_ID),
    )


def _sent(raw: bytes | None, internaldate: int) -> tuple[int, int]:
    """RFC 5256 2.2: seconds, and the day as written; the INTERNALDATE when there is no date that can be read."""
    if not raw:
        return internaldate, NO_DAY
    usual = _USUAL_DATE.match(raw)
    if usual:
        day = _day(usual[1])
        hour, minute, second, east, west = int(usual[2]), int(usual[3]), int(usual[4]), int(usual[6]), int(usual[7])
        if day is not None:
            zone = (east * 60 + west) * 60
            time = hour * 3600 + minute * 60 + second - (zone if usual[5] == b"+" else -zone)
            return day * 86_400 + (time if hour < 24 and minute < 60 and second < 61 else 0), day
    found = parse_date(raw)
    if found is None:
        return internaldate, NO_DAY
    return found[0], date(*found[1]).toordinal() - _EPOCH_DAY


@lru_cache(maxsize=4096)
def _day(raw: bytes) -> int | None:
    found = parse_date(raw)
    return None if found is None else date(*found[1]).toordinal() - _EPOCH_DAY


def _shown(addresses: Sequence[Address]) -> Shown:
    if not addresses:
        return _NOBODY
    shown = []  # as envelope.text shows them
    for name, mailbox, host in addresses:
        address = _decoded(mailbox) if host is None else f"{_decoded(mailbox)}@{_decoded(host)}"
        shown.append(f"{_decoded(name)} <{address}>" if name else address)
    first = addresses[0]
    return Shown(_key(*readable(first[1] or b"")), _display(first), _text(", ".join(filter(None, shown))))


def _display(address: Address) -> bytes:
    """RFC 5957 3."""
    name, mailbox, host = address
    shown, odd = readable(name or b"")
    if shown:
        return _key(shown, odd)
    if mailbox is not None and host is not None:
        return _key(f"{_decoded(mailbox)}@{_decoded(host)}")
    return _key(_decoded(mailbox))


def _key(text: str, odd: bytes = b"") -> bytes:
    """odd: octets of a value that is no text (RFC 5255 4.6)."""
    key = no_text(odd[:_MOST_KEY]) if odd else casemap(text[:_MOST_KEY])
    return key.replace(b"\0", b" ") if b"\0" in key else key


def _text(text: str) -> bytes:
    if len(text) > _MOST_TEXT:
        return TOO_LONG
    folded = fold(text).encode("utf-8", "replace")
    if len(folded) > _MOST_TEXT or folded == TOO_LONG:
        return TOO_LONG
    return folded.replace(b"\0", b" ") if b"\0" in folded else folded


def _decoded(raw: bytes | None) -> str:
    return envelope.decoded(raw) if raw else ""
