"""Message disposition notifications: a reader, or a reader's filter, tells the sender what became of a message.

Trusts nothing of the original. Standards: RFC 8098 3, RFC 6522, RFC 5429 2.2.1 (refused by a filter).
On failure: never.
"""

from __future__ import annotations

from dataclasses import dataclass

from postroom.message.compose import text_entity, unstructured
from postroom.message.dates import format_date
from postroom.message.fields import field_values

_LONGEST_HEADER = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A message that a filter refuses. original: its header as it came; date: Unix seconds; seed: makes boundaries."""

    author: str
    to: str
    recipient: str
    original_recipient: str
    reason: str
    original: bytes
    hostname: str
    message_id: str
    date: float
    seed: str


def refusal_notice(refused: Refused) -> bytes:
    """The whole message."""
    about = field_values(refused.original, b"message-id")[:1]
    boundary = f"=_{refused.seed}"
    text = (
        "Your message was refused by the recipient's mail filter.\n"
        f"It was sent to {refused.recipient}. The reason given is:\n\n{refused.reason}\n"
    )
    lines = [
        f"Date: {format_date(refused.date)}",
        f"From: <{refused.author}>",
        f"To: <{refused.to}>",
        unstructured("Subject", "Your message was refused by the recipient's filter"),
        f"Message-ID: <{refused.message_id}>",
        "Auto-Submitted: auto-replied (rejected)",
        "MIME-Version: 1.0",
        f'Content-Type: multipart/report; report-type=disposition-notification;\r\n boundary="{boundary}"',
    ]
    fields = [
        f"Reporting-UA: {refused.hostname}; Postroom",
        f"Final-Recipient: rfc822;{refused.recipient}",
        "Disposition: automatic-action/MDN-sent-automatically; deleted",
    ]
    if refused.original_recipient:
        fields.insert(1, f"Original-Recipient: {refused.original_recipient}")
    if about and about[0].isascii():
        fields.append(f"Original-Message-ID: {about[0].decode('ascii')}")
        lines.append(f"In-Reply-To: {about[0].decode('ascii')}")
    head = "\r\n".join([*lines, "", ""]).encode()
    machine = "\r\n".join([*fields, "", ""]).encode()
    delimiter = b"--" + boundary.encode() + b"\r\n"
    return b"".join(
        (
            head,
            *(delimiter, text_entity(text)),
            *(b"\r\n", delimiter, b"Content-Type: message/disposition-notification\r\n\r\n", machine),
            *(b"\r\n", delimiter, b"Content-Type: text/rfc822-headers\r\n\r\n", refused.original[:_LONGEST_HEADER]),
            b"\r\n--" + boundary.encode() + b"--\r\n",
        )
    )
