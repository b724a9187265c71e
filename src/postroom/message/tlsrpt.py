"""SMTP TLS reports as other servers send them.

Lenient about what senders get wrong (names of members, numbers as text, missing counts), strict about times, domains
and counts. What a report says is kept in bounded form, whatever it holds.
Trusts nothing. Standards: RFC 8460 4.4 (schema), 4.3 (result types), RFC 3339 (times), RFC 7493 (I-JSON).
On failure: BadTlsReport with the reason.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from msgspec import Struct

LARGEST: Final = 16 * 1024 * 1024
MOST_POLICIES: Final = 1000
MOST_FAILURES: Final = 5000  # of all policies together
_LONGEST: Final = 500
_MOST_COUNT: Final = 10**12


class BadTlsReport(ValueError):
    """Not a report that can be used; the text says why."""


class TlsFailure(Struct, frozen=True, array_like=True):
    """Sessions that failed alike (RFC 8460 4.3). type: such as "certificate-expired"."""

    type: str
    count: int
    sending_ip: str = ""
    receiving_mx: str = ""
    receiving_ip: str = ""
    info: str = ""
    reason: str = ""


class TlsPolicy(Struct, frozen=True, array_like=True):
    """What was seen under one policy. type: tlsa, sts or no-policy-found."""

    type: str
    domain: str
    successes: int
    failures: int
    mx: tuple[str, ...] = ()
    details: tuple[TlsFailure, ...] = ()


class TlsReport(Struct, frozen=True, kw_only=True):
    """A whole report. begin, end: Unix seconds; contact: an address or URI of its sender."""

    org: str
    id: str
    contact: str
    begin: int
    end: int
    policies: tuple[TlsPolicy, ...]

    @property
    def domains(self) -> tuple[str, ...]:
        """Domains it is about, each once."""
        return tuple(dict.fromkeys(one.domain for one in self.policies))


def read_tls_report(octets: bytes) -> TlsReport:
    """The report in these octets, which are JSON. Raises BadTlsReport."""
    if len(octets) > LARGEST:
        raise BadTlsReport(f"it has more than {LARGEST} octets")
    try:
        found = msgspec.json.decode(octets.strip(b"\xef\xbb\xbf \t\r\n\0"))
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as fault:
        raise BadTlsReport(f"it is no JSON that can be read: {fault}") from fault
    about = _object(found)
    times = _object(about.get("date-range"))
    begin, end = _moment(times.get("start-datetime")), _moment(times.get("end-datetime"))
    if end < begin:
        raise BadTlsReport("its time ends before it begins")
    name = _text(about.get("report-id"))
    policies = _policies(about.get("policies"))
    if not name or not policies:
        raise BadTlsReport("it has no report-id" if not name else "it tells of no policy")
    return TlsReport(
        org=_text(about.get("organization-name")),
        id=name,
        contact=_text(about.get("contact-info")),
        begin=begin,
        end=end,
        policies=policies,
    )


def _policies(found: object) -> tuple[TlsPolicy, ...]:
    policies: list[TlsPolicy] = []
    room = MOST_FAILURES
    for one in _list(found)[:MOST_POLICIES]:
        policy = _object(_object(one).get("policy"))
        domain = _text(policy.get("policy-domain")).lower().removesuffix(".")
        if not domain:
            continue
        details = tuple(_failure(each) for each in _list(_object(one).get("failure-details"))[:room])
        room -= len(details)
        summary = _object(_object(one).get("summary"))
        failed = _count(summary.get("total-failure-session-count"))
        policies.append(
            TlsPolicy(
                type=_text(policy.get("policy-type")).lower() or "no-policy-found",
                domain=domain,
                successes=_count(summary.get("total-successful-session-count")),
                failures=failed or sum(each.count for each in details),
                mx=tuple(_text(each) for each in _list(policy.get("mx-host") or policy.get("mx-host-pattern"))[:20]),
                details=details,
            )
        )
    return tuple(policies)


def _failure(found: object) -> TlsFailure:
    told = _object(found)
    return TlsFailure(
        type=_text(told.get("result-type")).lower() or "unknown",
        count=_count(told.get("failed-session-count")),
        sending_ip=_text(told.get("sending-mta-ip")),
        receiving_mx=_text(told.get("receiving-mx-hostname")),
        receiving_ip=_text(told.get("receiving-ip")),
        info=_text(told.get("additional-information") or told.get("additional-info-uri")),
        reason=_text(told.get("failure-reason-code") or told.get("failure-error-code")),
    )


def _object(found: object) -> dict[str, Any]:
    return found if isinstance(found, dict) else {}


def _list(found: object) -> list[Any]:
    if isinstance(found, list):
        return found
    return [] if found is None else [found]


def _text(found: object) -> str:
    """Printable and bounded."""
    text = found if isinstance(found, str) else str(found) if isinstance(found, (int, float)) else ""
    return "".join(letter if letter.isprintable() else "?" for letter in text[:_LONGEST]).strip()


def _count(found: object) -> int:
    if isinstance(found, str) and found.isascii() and found.isdigit():
        found = int(found[:20])
    if isinstance(found, bool) or not isinstance(found, (int, float)) or not 0 <= found <= _MOST_COUNT:
        return 0
    return int(found)


def _moment(found: object) -> int:
    """RFC 3339 5.6; without an offset it is UTC."""
    text = _text(found)
    try:
        moment = datetime.fromisoformat(text)
        seconds = int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
    except (ValueError, OverflowError) as fault:
        raise BadTlsReport(f'its time "{text[:40]}" is none of RFC 3339') from fault
    if not 946_684_800 <= seconds <= 7_258_118_400:
        raise BadTlsReport(f"its time {text[:40]} cannot be true")
    return seconds
