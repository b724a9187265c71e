"""Reports that others send to our people, read: what became of a message, and complaints about one.

Trusts nothing: anybody may send a report about anything. What is read here is told as an event and changes nothing.
Standards: RFC 6522 3 (multipart/report), RFC 3464 2 (delivery status), RFC 6533 3 (international ones); feedback
reports are read by `message.feedback`.
On failure: None when it is no report; fields that cannot be read are left out. Never raises.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from msgspec import Struct

from postroom.message.feedback import BadFeedback, Feedback, read_feedback
from postroom.message.fields import header_fields
from postroom.message.index import index
from postroom.message.parts import Part, Parts

#: octets of a report's machine-readable part that are read, and recipients in it
MOST_OCTETS: Final = 256 * 1024
MOST_RECIPIENTS: Final = 1000
_LONGEST = 500  # characters of a value
_GROUPS = re.compile(rb"\r?\n(?:[ \t]*\r?\n)+")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_STATUS = re.compile(r"[245]\.\d{1,3}\.\d{1,3}")
_UNITEXT = re.compile(r"\\x\{([0-9A-Fa-f]{2,6})\}")


class DeliveryStatus(Struct, frozen=True, kw_only=True):
    """What became of one recipient (RFC 3464 2.3). original: as we sent it, when the report says so."""

    final: str
    action: str
    status: str
    original: str = ""
    diagnostic: str = ""
    remote: str = ""


class StatusReport(Struct, frozen=True, kw_only=True):
    """A delivery status notification. envelope: RFC 3461 4.4 ENVID; message_id: of the message it is about."""

    recipients: tuple[DeliveryStatus, ...]
    reporter: str = ""
    envelope: str = ""
    message_id: str = ""


def read_report(octets: bytes) -> StatusReport | Feedback | None:
    """The report in a message, or None when it holds none."""
    parts = Parts.unpack(index(octets).parts)
    root = parts.root
    if root.content_type != "multipart/report":
        return None
    children = list(parts.children(root))
    about = _message_id(octets, children[2:])
    for part in children[1:2]:
        body = octets[part.body_start : min(part.end, part.body_start + MOST_OCTETS)]
        if part.content_type in ("message/delivery-status", "message/global-delivery-status"):
            return _status(body, about)
        if part.content_type == "message/feedback-report":
            return _feedback(body, octets, children[2:])
    return None


def _groups(body: bytes) -> Iterator[dict[bytes, str]]:
    """RFC 3464 2.1: groups of fields with an empty line between them; of a field that is repeated, the first."""
    for group in _GROUPS.split(body.strip(b"\r\n")):
        fields: dict[bytes, str] = {}
        for name, value in header_fields(group + b"\r\n"):
            fields.setdefault(name.lower(), _CONTROLS.sub(" ", value.decode("utf-8", "replace"))[:_LONGEST].strip())
        if fields:
            yield fields


def _status(body: bytes, about: str) -> StatusReport | None:
    groups = list(_groups(body))[: MOST_RECIPIENTS + 1]
    if not groups:
        return None
    first, rest = (groups[0], groups[1:]) if b"final-recipient" not in groups[0] else ({}, groups)
    recipients = tuple(
        DeliveryStatus(
            final=_address(fields.get(b"final-recipient", "")),
            action=fields.get(b"action", "").lower(),
            status=_code(fields.get(b"status", "")),
            original=_address(fields.get(b"original-recipient", "")),
            diagnostic=_value(fields.get(b"diagnostic-code", "")),
            remote=_value(fields.get(b"remote-mta", "")),
        )
        for fields in rest
    )
    if not recipients:
        return None
    return StatusReport(
        recipients=recipients,
        reporter=_value(first.get(b"reporting-mta", "")),
        envelope=first.get(b"original-envelope-id", ""),
        message_id=about,
    )


def _feedback(body: bytes, octets: bytes, rest: list[Part]) -> Feedback | None:
    original = b"".join(octets[part.body_start : min(part.end, part.body_start + MOST_OCTETS)] for part in rest[:1])
    try:
        return read_feedback(body, original.partition(b"\r\n\r\n")[0])
    except BadFeedback:
        return None


def _value(text: str) -> str:
    """RFC 3464 2.1.2  type ";" value: the value."""
    kind, semicolon, value = text.partition(";")
    return value.strip() if semicolon else kind.strip()


def _address(text: str) -> str:
    """The address of a recipient field, without its type (RFC 3464 2.3.1, RFC 6533 3)."""
    kind, _, _ = text.partition(";")
    address = _value(text).strip("<>")
    if kind.strip().lower() == "utf-8":
        address = _UNITEXT.sub(lambda found: chr(min(int(found[1], 16), 0x10FFFF)), address)
        address = address.encode("utf-8", "replace").decode()
    return address


def _code(text: str) -> str:
    found = _STATUS.match(text)
    return found[0] if found else ""


def _message_id(octets: bytes, children: list[Part]) -> str:
    """Of the message that came back, or of its header."""
    for part in children[:1]:
        head = octets[part.body_start : min(part.end, part.body_start + MOST_OCTETS)]
        if part.encoding not in ("7bit", "8bit", "binary"):
            return ""
        for fields in _groups(head.partition(b"\r\n\r\n")[0]):
            return fields.get(b"message-id", "")
    return ""
