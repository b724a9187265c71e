"""Finds the reports in a mail (DMARC aggregates, TLS reports, feedback) by what they are, not by what they are called.

Owns: the form in which reports are kept (`pack`, `unpack`). Pure: runs in a thread.
Trusts nothing. At most MOST_PARTS parts are looked at, each unpacked up to a limit.
Standards: RFC 9990 3.5.2 (application/gzip, text/xml), RFC 7489 7.2.1.1 (application/zip), RFC 8460 5.3 and 6.4
(application/tlsrpt+json, +gzip), RFC 5965 2 (message/feedback-report).
On failure: NoReport with the reason.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, TypeVar

import msgspec

from postroom.mailauth.dmarc import aggregate_reading
from postroom.mailauth.dmarc.aggregate import Aggregate
from postroom.message import tlsrpt
from postroom.message.archive import BadArchive, unpacked
from postroom.message.feedback import BadFeedback, Feedback, read_feedback
from postroom.message.index import IndexLimits, index
from postroom.message.parts import LEAF, Part, Parts
from postroom.message.tlsrpt import TlsReport
from postroom.message.transfer import decode_transfer

Report = Aggregate | TlsReport | Feedback
T = TypeVar("T", Aggregate, TlsReport, Feedback)

#: octets of a mail that is looked into
LARGEST_MAIL: Final = 32 * 1024 * 1024
MOST_PARTS: Final = 20
_LIMITS: Final = IndexLimits(depth=10, parts=200, header=256 * 1024)
_ORIGINALS: Final = frozenset({"message/rfc822", "message/global", "text/rfc822-headers", "message/rfc822-headers"})
_MOST_UNPACKED: Final = 1 << 27
_ZIPPED: Final = (b"\x1f\x8b", b"PK\x03\x04")


class NoReport(ValueError):
    """There is no report in the mail that can be read; the text says why."""


@dataclass(frozen=True, slots=True)
class Found:
    """A report. kind: dmarc, tls or feedback; org, id: as it says, a feedback's are made up of its contents."""

    kind: str
    org: str
    id: str
    begin: int
    end: int
    domains: tuple[str, ...]
    report: Report


def reports_in(octets: bytes, received: float) -> list[Found]:
    """Every report in a mail; received: Unix seconds, the time of a feedback. Raises NoReport."""
    if len(octets) > LARGEST_MAIL:
        raise NoReport(f"the mail has more than {LARGEST_MAIL} octets")
    parts = Parts.unpack(index(octets, limits=_LIMITS).parts)
    walked = list(parts.walk())
    feedback = _feedback(octets, walked, received)
    if feedback is not None:
        return [feedback]
    found: list[Found] = []
    reasons: list[str] = []
    for part in [one for one in walked if one.kind == LEAF][:MOST_PARTS]:
        body = decode_transfer(octets[part.body_start : part.end], part.encoding)
        if not _promising(part, body):
            continue
        try:
            found.append(_read(body))
        except ValueError as fault:  # BadReport, BadTlsReport, BadArchive
            reasons.append(str(fault))
    if not found:
        raise NoReport(reasons[0] if reasons else "there is no report in it")
    return found


def _promising(part: Part, body: bytes) -> bool:
    """Could it be a report, whatever it is called? A text for people is none."""
    if body.startswith(_ZIPPED):
        return True
    start = body[:200].lstrip(b"\xef\xbb\xbf \t\r\n")
    if part.type == "text" and part.subtype in ("plain", "html"):
        return start.startswith((b"<?xml", b"<feedback", b"{"))
    return part.type in ("application", "text") or start.startswith((b"<", b"{"))


def _read(body: bytes) -> Found:
    """Raises ValueError with the reason."""
    try:
        octets = unpacked(body, max(aggregate_reading.LARGEST, tlsrpt.LARGEST))
        if octets.startswith(_ZIPPED):  # packed twice
            octets = unpacked(octets, max(aggregate_reading.LARGEST, tlsrpt.LARGEST))
    except BadArchive as fault:
        raise ValueError(f"its attachment cannot be unpacked: {fault}") from fault
    if octets[:200].lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
        tls = tlsrpt.read_tls_report(octets)
        return Found("tls", tls.org, tls.id, tls.begin, tls.end, tls.domains, tls)
    dmarc = aggregate_reading.read_aggregate(octets)
    return Found("dmarc", dmarc.org, dmarc.id, dmarc.begin, dmarc.end, (dmarc.published.domain,), dmarc)


def _feedback(octets: bytes, walked: list[Part], received: float) -> Found | None:
    """A feedback report, if the mail is one. Raises NoReport when it is one that cannot be read."""
    part = next((one for one in walked if one.content_type == "message/feedback-report"), None)
    if part is None:
        return None
    fields = decode_transfer(octets[part.body_start : part.end], part.encoding)
    original = b""
    for one in walked[walked.index(part) + 1 :]:
        if one.content_type in _ORIGINALS:
            copy = decode_transfer(octets[one.body_start : one.end][: 256 * 1024], one.encoding)
            original = copy.partition(b"\r\n\r\n")[0]
            break
    try:
        found = read_feedback(fields, original)
    except BadFeedback as fault:
        raise NoReport(str(fault)) from fault
    name = sha256(fields + b"\0" + original).hexdigest()[:32]
    moment = int(received)
    return Found("feedback", found.agent, name, moment, moment, tuple(_domains(found)), found)


def _domains(found: Feedback) -> Iterator[str]:
    """Domains it may be about, the likeliest first."""
    yield from found.domains
    for address in (found.author, found.mail_from):
        yield address.rpartition("@")[2].strip("<> ").lower()


def pack(report: Report) -> bytes:
    """As it is kept."""
    return zlib.compress(msgspec.msgpack.encode(report), 6)


def unpack(data: bytes, kind: type[T]) -> T:
    """What `pack` made of a report of this kind. Raises ValueError when it is damaged or of another version."""
    stream = zlib.decompressobj()
    try:
        return msgspec.msgpack.decode(stream.decompress(data, _MOST_UNPACKED), type=kind)
    except (zlib.error, msgspec.MsgspecError) as fault:
        raise ValueError(str(fault)) from fault
