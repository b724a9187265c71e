"""The daily report about TLS to a domain's servers, and who wants it. Pure.

Owns: the form. Trusts: the counts; the DNS record is the domain's, and it may ask for nothing but mail and HTTPS.
Standards: RFC 8460 3 (who wants reports), 4.4 (JSON), 5.1 (file name), 5.3 (mail).
On failure: a record that cannot be read wants no reports.
"""

from __future__ import annotations

import gzip
import hashlib
import re
from collections.abc import Iterable, Sequence
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import msgspec

from postroom.queue.daily import DailyReport, ReportDay, Submitter
from postroom.relay.tls_results import unpacked
from postroom.store.api import TlsCount

_VERSION: Final = re.compile(rb"v=TLSRPTv1[ \t]*(?:;|$)")
_MOST_PLACES: Final = 5
_DAY: Final = 86400


class Wish(msgspec.Struct, frozen=True):
    """Where reports go. to: addresses; post: https URIs."""

    to: tuple[str, ...] = ()
    post: tuple[str, ...] = ()


def read_record(records: Sequence[bytes]) -> Wish:
    """The TXT records of _smtp._tls.DOMAIN (RFC 8460 3)."""
    ours = [record for record in records if _VERSION.match(record)]
    if len(ours) != 1:
        return Wish()
    to: list[str] = []
    post: list[str] = []
    for field in ours[0].decode("utf-8", "replace").split(";")[1:]:
        name, _, value = field.strip().partition("=")
        if name.strip() != "rua":
            continue
        for uri in value.split(",")[:_MOST_PLACES]:
            _place(uri.strip(), to, post)
    return Wish(tuple(dict.fromkeys(to)), tuple(dict.fromkeys(post)))


def _place(uri: str, to: list[str], post: list[str]) -> None:
    scheme, _, rest = uri.partition(":")
    if scheme.lower() == "mailto":
        address = unquote(rest.partition("?")[0].partition("!")[0])
        if address.count("@") == 1 and address.isprintable():
            to.append(address)
    elif https_target(uri) is not None:
        post.append(uri)


def https_target(uri: str) -> tuple[str, str] | None:
    """Host and path of a URI that reports may be posted to; None for others, such as ones with a port or a log-in."""
    try:
        parts = urlsplit(uri)
        if parts.scheme.lower() != "https" or parts.port not in (None, 443) or "@" in parts.netloc:
            return None
    except ValueError:
        return None
    host = (parts.hostname or "").rstrip(".")
    if not re.fullmatch(r"[a-z0-9.-]+\.[a-z][a-z0-9-]*", host) or not re.fullmatch(r"[\x21-\x7e]*", uri):
        return None
    return host, (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def report(domain: str, counts: Sequence[TlsCount], wish: Wish, day: ReportDay, submitter: Submitter) -> DailyReport:
    """The report on one domain's day. The same counts give the same octets."""
    number = hashlib.sha256(f"{day.name} {domain} {submitter.hostname}".encode()).hexdigest()[:16]
    name = f"{day.name}.{number}@{submitter.domain}"
    document = {
        "organization-name": submitter.org,
        "date-range": {"start-datetime": f"{day.name}T00:00:00Z", "end-datetime": f"{day.name}T23:59:59Z"},
        "contact-info": submitter.contact,
        "report-id": name,
        "policies": _policies(domain, counts),
    }
    octets = gzip.compress(msgspec.json.encode(document), mtime=day.begin)
    return DailyReport(
        name=domain,
        to=wish.to,
        post=wish.post,
        id=name,
        subject=f"Report Domain: {domain} Submitter: {submitter.domain} Report-ID: <{name}>",
        words=_words(domain, counts, day, submitter),
        file=f"{submitter.domain}!{domain}!{day.begin}!{day.begin + _DAY - 1}!{number}.json.gz",
        media_type="application/tlsrpt+gzip",
        octets=octets,
        report_type="tlsrpt",
        fields=(("TLS-Report-Domain", domain), ("TLS-Report-Submitter", submitter.domain)),
        messages=sum(each.count for each in counts),
        tls="optional",
    )


def _policies(domain: str, counts: Sequence[TlsCount]) -> list[dict[str, Any]]:
    by_policy: dict[str, list[TlsCount]] = {}
    for each in counts:
        by_policy.setdefault(each.policy, []).append(each)
    return [_policy(domain, policy, rows) for policy, rows in sorted(by_policy.items())]


def _policy(domain: str, policy: str, rows: Sequence[TlsCount]) -> dict[str, Any]:
    """RFC 8460 4.4: one element of "policies"."""
    applied = unpacked(policy)
    about: dict[str, Any] = {"policy-type": applied.kind}
    if applied.texts:
        about["policy-string"] = list(applied.texts)
    about["policy-domain"] = applied.domain or domain
    if applied.hosts:
        about["mx-host"] = list(applied.hosts)
    failures = [each for each in rows if each.failure]
    found: dict[str, Any] = {
        "policy": about,
        "summary": {
            "total-successful-session-count": _sum(each for each in rows if not each.failure),
            "total-failure-session-count": _sum(failures),
        },
    }
    if failures:
        found["failure-details"] = [_failure(each) for each in failures]
    return found


def _sum(rows: Iterable[TlsCount]) -> int:
    return sum(each.count for each in rows)


def _failure(row: TlsCount) -> dict[str, Any]:
    pairs = {
        "result-type": row.failure,
        "sending-mta-ip": row.source,
        "receiving-mx-hostname": row.host,
        "receiving-ip": row.address,
        "failed-session-count": row.count,
        "failure-reason-code": row.detail,
    }
    return {name: value for name, value in pairs.items() if value != ""}


def _words(domain: str, counts: Sequence[TlsCount], day: ReportDay, submitter: Submitter) -> str:
    good, bad = _sum(each for each in counts if not each.failure), _sum(each for each in counts if each.failure)
    return (
        f"This is a report on TLS by {submitter.org} about connections of {submitter.hostname} to the mail servers of"
        f" {domain} on {day.name} (UTC): {good} succeeded, {bad} failed. The attachment has the details (RFC 8460).\n"
    )
