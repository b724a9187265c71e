"""Delivery status notifications: what became of a message, for its sender and for the sender's software.

Owns: the multipart/report, its machine-readable part, and how much of the original goes back.
Trusts nothing of what other servers said or the original holds: controls are removed, lengths are capped, and the
boundary never occurs inside.
Standards: RFC 3461 6 (what a DSN contains, ENVID, ORCPT, RET), RFC 3464 (message/delivery-status), RFC 6522
(multipart/report), RFC 6533 (UTF-8 forms), RFC 3834 5 (Auto-Submitted). The null return path is the caller's.
On failure: never.
"""

from __future__ import annotations

import binascii
import re
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from postroom.message.dates import format_date
from postroom.message.decode import decode_words, message_ids
from postroom.message.fields import field_values
from postroom.message.octets import Octets
from postroom.message.report_text import human_text

#: octets of another server's reply that are repeated
MAX_REPLY: Final = 2_000


class Kind(StrEnum):
    """RFC 3464 2.3.3 Action."""

    FAILED = "failed"
    DELAYED = "delayed"
    DELIVERED = "delivered"
    RELAYED = "relayed"
    EXPANDED = "expanded"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedRecipient:
    """What became of one recipient.

    address: where we tried to deliver; status: RFC 3463 code such as "5.1.1"; orcpt: RFC 3461 4.2 as given, in
    xtext ("rfc822;a@b"); remote_mta: name of the server that answered; reply: what it answered, lines joined by
    LF; reason: our own words when no server answered; meaning: the cause in a sentence, "" explains the status;
    times in Unix seconds.
    """

    address: str
    kind: Kind
    status: str
    orcpt: str = ""
    remote_mta: str = ""
    reply: str = ""
    reason: str = ""
    meaning: str = ""
    last_attempt: float | None = None
    retry_until: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Everything a report says.

    reporting_mta: our host name; sender: the original envelope sender, who gets the report; original: the message,
    or at least its header; full: send all of it back (RET=FULL), else its header; arrival, date: Unix seconds of
    the message and of this report; message_id: of this report, with angle brackets; boundary: text that is hard to
    guess; envid: RFC 3461 4.4 as given, in xtext; utf8: the sender's software reads SMTPUTF8 mail (RFC 6533).
    reporter: address in From, by default postmaster@reporting_mta.
    """

    reporting_mta: str
    sender: str
    recipients: tuple[ReportedRecipient, ...]
    original: bytes
    full: bool
    arrival: float
    date: float
    message_id: str
    boundary: str
    envid: str = ""
    queue_id: str = ""
    utf8: bool = False
    reporter: str = ""


_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_XTEXT = re.compile(r"\+([0-9A-F]{2})")
_UNITEXT = re.compile(r"\\x\{([0-9A-Fa-f]{2,6})\}")
_NEEDS_UNITEXT = re.compile(r"[^\x21-\x7e]|[\\+=]")
_BARE_ENDS = re.compile(rb"\r\n|\r|\n")
_SUBJECTS: Final = {
    Kind.FAILED: "Your message could not be delivered",
    Kind.DELAYED: "Your message is delayed, nothing to do yet",
    Kind.DELIVERED: "Your message was delivered",
    Kind.RELAYED: "Your message was passed on",
    Kind.EXPANDED: "Your message was passed on to a list",
}


def delivery_report(report: Report) -> bytes:
    """The whole report, lines ended by CR LF. Not ASCII when the original is 8-bit: then send it as 8BITMIME."""
    original = report.original
    if report.full and b"\0" in original:  # no 8-bit transport carries NUL
        report = replace(report, full=False)
    header = original[: Octets(original, 0).header_end(0, len(original))]
    utf8 = report.utf8 and _is_utf8(header)
    parts = (
        _text_part(report, header),
        _status_part(report, utf8),
        _original_part(original, header, report.full, utf8),
    )
    boundary = report.boundary.encode("ascii", "ignore") or b"report"
    while any(b"--" + boundary in part for part in parts):
        boundary += b"x"
    delimiter = b"\r\n--" + boundary
    return b"".join(
        (
            _header(report, header, boundary.decode()),
            b"This is a delivery report in MIME format.\r\n",
            *(delimiter + b"\r\n" + part for part in parts),
            delimiter + b"--\r\n",
        )
    )


def _is_utf8(octets: bytes) -> bool:
    try:
        octets.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _clean(text: str, limit: int = 500) -> str:
    """One line without controls."""
    return _CONTROLS.sub(" ", text)[:limit].strip()


def _header(report: Report, original: bytes, boundary: str) -> bytes:
    kinds = {recipient.kind for recipient in report.recipients}
    subject = next((text for kind, text in _SUBJECTS.items() if kind in kinds), "Delivery report")
    reporter = _clean(report.reporter) or f"postmaster@{_clean(report.reporting_mta)}"
    fields = [
        f"From: Mail delivery <{reporter}>",
        f"To: <{_clean(report.sender)}>",
        f"Date: {format_date(report.date)}",
        f"Message-ID: {_clean(report.message_id)}",
        f"Subject: {subject}",
        "Auto-Submitted: auto-replied",  # RFC 3834 5
        "MIME-Version: 1.0",
        f'Content-Type: multipart/report; report-type=delivery-status;\r\n boundary="{boundary}"',
    ]
    answered = [each for value in field_values(original, b"message-id")[:1] for each in message_ids(value)[:1]]
    if answered and answered[0].isascii() and len(answered[0]) < 900:
        known = answered[0].decode()
        fields[5:5] = [f"In-Reply-To: {known}", f"References: {known}"]
    return ("\r\n".join(fields) + "\r\n\r\n").encode("utf-8", "replace")


def _text_part(report: Report, original: bytes) -> bytes:
    """For people: what happened, to whom, what the other server said, what to do."""
    subjects = field_values(original, b"subject")
    text = human_text(report, _clean(decode_words(subjects[0])) if subjects else "").replace("\n", "\r\n")
    head = b"Content-Type: text/plain; charset=utf-8\r\nContent-Language: en\r\n"
    if text.isascii():
        return head + b"\r\n" + text.encode()
    coded = binascii.b2a_qp(text.encode("utf-8", "replace"), istext=True)
    return head + b"Content-Transfer-Encoding: quoted-printable\r\n\r\n" + _BARE_ENDS.sub(b"\r\n", coded)


def _status_part(report: Report, utf8: bool) -> bytes:
    """For software: RFC 3464 2.1  delivery-status-content = per-message-fields 1*(CRLF per-recipient-fields)."""
    message = [("Reporting-MTA", f"dns; {_clean(report.reporting_mta)}"), ("Arrival-Date", format_date(report.arrival))]
    if report.envid:
        message.insert(0, ("Original-Envelope-Id", _decode_xtext(report.envid)))
    groups = [message]
    groups.extend(_recipient_fields(recipient, report, utf8) for recipient in report.recipients)
    text = "\r\n".join("".join(_field(name, value) for name, value in group) for group in groups)
    if utf8 and not text.isascii():
        head = b"Content-Type: message/global-delivery-status\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
        return head + text.encode("utf-8", "replace")
    return b"Content-Type: message/delivery-status\r\n\r\n" + text.encode("ascii", "replace")


def _recipient_fields(recipient: ReportedRecipient, report: Report, utf8: bool) -> list[tuple[str, str]]:
    fields = []
    if recipient.orcpt:
        fields.append(("Original-Recipient", _original_recipient(recipient.orcpt, utf8)))
    fields.append(("Final-Recipient", _typed_address(_clean(recipient.address), utf8)))
    fields.append(("Action", recipient.kind.value))
    fields.append(("Status", _clean(recipient.status)))
    if recipient.remote_mta:
        fields.append(("Remote-MTA", f"dns; {_clean(recipient.remote_mta)}"))
    if recipient.reply:
        fields.append(("Diagnostic-Code", f"smtp; {_clean(recipient.reply, MAX_REPLY)}"))
    elif recipient.reason:
        fields.append(("Diagnostic-Code", f"x-postroom; {_clean(recipient.reason, MAX_REPLY)}"))
    if recipient.last_attempt is not None:
        fields.append(("Last-Attempt-Date", format_date(recipient.last_attempt)))
    if report.queue_id:
        fields.append(("Final-Log-ID", _clean(report.queue_id)))
    if recipient.kind is Kind.DELAYED and recipient.retry_until is not None:
        fields.append(("Will-Retry-Until", format_date(recipient.retry_until)))
    return fields


def _field(name: str, value: str) -> str:
    """One field, folded at white space so that lines stay below 78 characters where they can."""
    lines, line = [], f"{name}:"
    for word in value.split():
        if len(line) + len(word) > 76 and len(line) > len(name) + 1:
            lines.append(line)
            line = ""
        line += f" {word}"
    return "\r\n".join((*lines, line)) + "\r\n"


def _decode_xtext(text: str) -> str:
    """RFC 3461 4  xtext: "+" and two hexadecimal digits are one octet. Kept as it is when that gives no plain text."""
    decoded = _XTEXT.sub(lambda found: chr(int(found[1], 16)), text)
    return decoded if decoded.isascii() and decoded.isprintable() else _clean(text)


def _original_recipient(orcpt: str, utf8: bool) -> str:
    kind, _, address = orcpt.partition(";")
    if kind.lower() != "utf-8":
        return f"{_clean(kind)}; {_decode_xtext(address)}"
    try:
        plain = _UNITEXT.sub(lambda found: chr(int(found[1], 16)), address)
        plain.encode("utf-8")
    except (ValueError, OverflowError):
        return f"utf-8; {_clean(address)}"
    return _typed_address(_clean(plain), utf8, "utf-8")


def _typed_address(address: str, utf8: bool, kind: str = "rfc822") -> str:
    """RFC 6533 3: an address that is not ASCII has the type utf-8, and its 7-bit form where UTF-8 cannot go."""
    if address.isascii():
        return f"{kind}; {address}"
    if utf8:
        return f"utf-8; {address}"
    return "utf-8; " + _NEEDS_UNITEXT.sub(lambda found: f"\\x{{{ord(found[0]):02X}}}", address)


def _original_part(original: bytes, header: bytes, full: bool, utf8: bool) -> bytes:
    """The message or its header (RFC 3461 4.3 RET), each in the form that may hold its octets."""
    if full:
        content = _crlf(original)
        kind = b"message/global" if utf8 and not header.isascii() else b"message/rfc822"
        coding = b"" if content.isascii() else b"Content-Transfer-Encoding: 8bit\r\n"
        return b"Content-Type: %b\r\n%b\r\n%b" % (kind, coding, content)
    content = _crlf(header.replace(b"\0", b""))
    if content.isascii():
        return b"Content-Type: text/rfc822-headers\r\n\r\n" + content
    if utf8:  # RFC 6533 4.3
        return b"Content-Type: message/global-headers\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" + content
    # RFC 6522 3: headers that are not 7-bit go in quoted-printable
    coded = _BARE_ENDS.sub(b"\r\n", binascii.b2a_qp(content.replace(b"\r\n", b"\n"), istext=True))
    return b"Content-Type: text/rfc822-headers\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n" + coded


def _crlf(octets: bytes) -> bytes:
    """Every line ended by CR LF, as SMTP needs it."""
    count = octets.count(b"\r\n")
    if octets.count(b"\n") == count and octets.count(b"\r") == count:
        return octets
    return _BARE_ENDS.sub(b"\r\n", octets)
