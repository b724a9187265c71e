"""What intake reads of a message: the header block, once, without taking it apart further than needed.

Owns: the rules on header fields at acceptance. Trusts: lines end in CR LF (`wire.smtp` saw to that).
Standards: RFC 5321 6.3 (loops), RFC 6409 8 (what submission may change), RFC 5322 3.6 (From).
On failure: Refusal with the code for the reply after the content.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from postroom.intake.authors import one_reading, readings
from postroom.message.addresses import Mailbox, parse
from postroom.values.address import Address, BadAddress, parse_domain
from postroom.values.content import Content
from postroom.values.refusal import Refusal

_START = re.compile(rb"[!-9;-~]+[ \t]*:")
_WANTED = re.compile(
    rb"^(from|sender|resent-from|resent-sender|date|message-id|bcc|resent-bcc|return-path)[ \t]*:"
    rb"((?:.*\n)(?:[ \t].*\n)*)",
    re.IGNORECASE | re.MULTILINE,
)
_DELIVERED_TO = re.compile(rb"^delivered-to[ \t]*:[ \t]*<?([^\s<>]+)>?[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)
# `user@host` or `Words <user@host>`: what nearly every client writes, without anything that needs a parser
_ATOM = rb"[^\s\"(),:;<>@\\]+@[^\s\"(),:;<>@\\]+"
_PLAIN_FROM = re.compile(rb"(?:(?:[^\"(),:;<>@\[\]\\]|\"[^\"\\<>]*\")*<(" + _ATOM + rb")>|(" + _ATOM + rb"))")
_LONGEST_FROM = 16 * 1024
_FIRST_LOOK = 64 * 1024
_SHOWN = 250  # octets of a field that its events hold
#: fields that leave a submitted message: blind copies stay blind, and Return-Path is for the last server
_REMOVED = frozenset((b"bcc", b"resent-bcc", b"return-path"))


@dataclass(frozen=True, slots=True)
class Submitted:
    """What a submitted header holds. from_: octets of the From field; senders: names and octets of the other fields
    that say who sends; removed: spans that must go.
    """

    from_: bytes
    senders: tuple[tuple[str, bytes], ...]
    has_date: bool
    has_id: bool
    removed: tuple[tuple[int, int], ...]


def header_of(content: Content, limit: int) -> bytes:
    """The header block with the line end of its last field. Raises Refusal when it is longer than limit octets."""
    size = content.size
    for look in (min(_FIRST_LOOK, limit), limit):
        block = content.data if not content.path and size <= look else content.read(0, look + 4)
        if block.startswith(b"\r\n"):
            return b""
        end = block.find(b"\r\n\r\n")
        if end >= 0:
            return block[: end + 2]
        if size <= look:
            return block
    # RFC 3463 X.3.4: message too big for the system, here its header
    raise Refusal(552, "5.3.4", f"The message header is longer than {limit} octets")


def named(header: bytes, sender: str) -> dict[str, str]:
    """What people know the message by, for its events: message_id without brackets, and From when it is not the sender.

    Only what is there; nothing is refused for it. Cut to 250 octets.
    """
    low = header.lower()
    found: dict[str, str] = {}
    identity = _first(header, low, b"message-id:").strip(b"<>")
    if identity:
        found["message_id"] = identity[:_SHOWN].decode("utf-8", "replace")
    author = _first(header, low, b"from:")
    known = sender.encode("utf-8", "replace")
    if known and (author == known or author.endswith(b"<%b>" % known)):
        return found
    plain = _PLAIN_FROM.fullmatch(author[:_LONGEST_FROM])
    if plain:
        author = plain[1] or plain[2]
    if author:
        found["from"] = author[:_SHOWN].decode("utf-8", "replace")
    return found


def _first(header: bytes, low: bytes, name: bytes) -> bytes:
    """The value of the first field of this name, unfolded; low: the header in lower case."""
    start = 0 if low.startswith(name) else low.find(b"\n" + name) + 1
    if not start and not low.startswith(name):
        return b""
    start += len(name)
    end = header.find(b"\n", start)
    while end >= 0 and header[end + 1 : end + 2] in (b" ", b"\t"):
        end = header.find(b"\n", end + 1)
    value = header[start:end] if end >= 0 else header[start:]
    return value.replace(b"\r\n", b"").strip()


def separator(header: bytes) -> bytes:
    """What must stand between our trace and a content that does not begin with a header field."""
    if not header or _START.match(header) or header.startswith((b"From ", b">From ")):
        return b""
    return b"\r\n"


def check_loops(header: bytes, limit: int) -> None:
    """RFC 5321 6.3: too many Received fields mean a loop. Raises Refusal 554 5.4.6."""
    low = header.lower()
    count = low.count(b"\nreceived:") + low.startswith(b"received:")
    if count > limit:
        raise Refusal(554, "5.4.6", f"Mail loop: the message has passed {count} servers, {limit} are allowed")


def delivered_to(header: bytes) -> frozenset[str]:
    """Addresses (keys) of the Delivered-To fields: who has had this message."""
    if b"delivered-to" not in header.lower():
        return frozenset()
    return frozenset(_keys(match[1].decode("utf-8", "replace") for match in _DELIVERED_TO.finditer(header)))


def _keys(texts: Iterator[str]) -> Iterator[str]:
    for text in texts:
        try:
            yield Address.parse(text).key
        except BadAddress:
            yield text.casefold()


def read_submitted(header: bytes) -> Submitted:
    """Find the fields submission looks at. Raises Refusal when From is missing or repeated (RFC 5322 3.6)."""
    authors: list[bytes] = []
    senders: list[tuple[str, bytes]] = []
    has_date = has_id = False
    removed: list[tuple[int, int]] = []
    for match in _WANTED.finditer(header):
        name = match[1].lower()
        if name == b"from":
            authors.append(match[2])
        elif name == b"date":
            has_date = True
        elif name == b"message-id":
            has_id = True
        elif name in _REMOVED:
            removed.append(match.span())
        else:
            senders.append((match[1].decode(), match[2]))
    if not authors:
        raise Refusal(550, "5.6.0", "The message has no From field")
    if len(authors) > 1:
        raise Refusal(550, "5.6.0", "The message has more than one From field")
    if readings(header) > 1:
        raise Refusal(550, "5.6.0", "The message has a line that some programs take for another From field")
    return Submitted(authors[0], tuple(senders), has_date, has_id, tuple(removed))


def from_addresses(value: bytes, name: str = "From") -> list[Address]:
    """The mailboxes of a From field, or one like it. Raises Refusal when there is none or one is no address."""
    if len(value) > _LONGEST_FROM:
        raise _unreadable(name)
    plain = _PLAIN_FROM.fullmatch(value.strip())
    try:
        if plain:
            return [Address.parse((plain[1] or plain[2]).decode("utf-8"))]
        found = [
            _address(each) for each in parse(value.replace(b"\r\n", b"")) if each.mailbox and each.host is not None
        ]
    except (BadAddress, UnicodeDecodeError):
        raise _unreadable(name) from None
    if not found:
        raise _unreadable(name)
    return found


def check_reading(value: bytes, name: str) -> None:
    """Raises Refusal when programs may read other addresses in a From field, or one like it."""
    value = value.replace(b"\r\n", b"").strip()
    if not _PLAIN_FROM.fullmatch(value) and not one_reading(value, parse(value)):
        raise Refusal(550, "5.6.0", f"The {name} field is one that programs read differently")


def _unreadable(name: str) -> Refusal:
    return Refusal(550, "5.6.0", f"The {name} field holds no mail address that can be read")


def _address(found: Mailbox) -> Address:
    """`found` has its quotes removed already. Raises BadAddress, UnicodeDecodeError."""
    local = (found.mailbox or b"").decode("utf-8")
    if not local.isprintable() or len(local) > 64:
        raise BadAddress(local)
    return Address(local, parse_domain((found.host or b"").decode("utf-8")))


def without(block: bytes, spans: tuple[tuple[int, int], ...]) -> bytes:
    """The octets without the spans (ascending, apart)."""
    kept: list[bytes] = []
    start = 0
    for first, last in spans:
        kept.append(block[start:first])
        start = last
    kept.append(block[start:])
    return b"".join(kept)
