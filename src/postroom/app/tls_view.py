"""What TLS reports of others say of a domain: how many sessions to our servers were fine, and why others failed.

Pure. Standards: RFC 8460 4.3 (result types). On failure: never.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from postroom.message.tlsrpt import TlsReport

#: what each result type means and how it is mended (RFC 8460 4.3.1, 4.3.2)
FIXES: Final = {
    "starttls-not-supported": "The server did not offer STARTTLS there: give the listener a certificate ([tls]).",
    "certificate-host-mismatch": "The certificate does not name this MX: put the name in, or correct the MX record.",
    "certificate-expired": "The certificate had expired: renew it, and reload the server.",
    "certificate-not-trusted": "The certificate is of no authority that senders know: get one that is.",
    "validation-failure": "The TLS handshake failed: look for the sender's address in the log (listener.failed).",
    "tlsa-invalid": "The TLSA record does not fit the certificate: see `postroom dns check`.",
    "dnssec-invalid": "DNSSEC of the zone is broken: ask whoever runs the DNS.",
    "dane-required": "The sender insists on DANE, and found no TLSA record it can use.",
    "sts-policy-fetch-error": "The MTA-STS policy could not be fetched: is https://mta-sts.DOMAIN reachable?",
    "sts-policy-invalid": "The MTA-STS policy is not valid: see `postroom dns check`.",
    "sts-webpki-invalid": "The certificate of https://mta-sts.DOMAIN is not valid.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Sessions that failed alike at one of our servers. senders: who told."""

    type: str
    mx: str
    count: int
    senders: tuple[str, ...]
    info: str = ""

    @property
    def fix(self) -> str:
        return FIXES.get(self.type, "Look at what the sender says of it.")


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsView:
    """A domain's sums. policies: sessions by kind of policy (tlsa, sts, no-policy-found): good, failed."""

    domain: str
    reports: int
    since: float
    until: float
    successes: int
    failed: int
    policies: Mapping[str, tuple[int, int]]
    failures: tuple[Failure, ...]
    reporters: Mapping[str, int]


def view(domain: str, told: Sequence[tuple[str, TlsReport]]) -> TlsView:
    """told: reports, each with the name of who is proven to have sent it."""
    good: Counter[str] = Counter()
    bad: Counter[str] = Counter()
    reporters: Counter[str] = Counter()
    failures: Counter[tuple[str, str]] = Counter()
    senders: dict[tuple[str, str], set[str]] = {}
    infos: dict[tuple[str, str], str] = {}
    for reporter, report in told:
        for policy in report.policies:
            if policy.domain != domain and not policy.domain.endswith(f".{domain}"):
                continue
            good[policy.type] += policy.successes
            bad[policy.type] += policy.failures
            reporters[reporter] += policy.successes + policy.failures
            for one in policy.details:
                place = one.type, one.receiving_mx
                failures[place] += one.count
                senders.setdefault(place, set()).add(reporter)
                infos[place] = one.reason or one.info or infos.get(place, "")
    return TlsView(
        domain=domain,
        reports=len(told),
        since=min((float(report.begin) for _, report in told), default=0.0),
        until=max((float(report.end) for _, report in told), default=0.0),
        successes=sum(good.values()),
        failed=sum(bad.values()),
        policies={name: (good[name], bad[name]) for name in sorted({*good, *bad})},
        failures=tuple(
            Failure(type=place[0], mx=place[1], count=count, senders=tuple(sorted(senders[place])), info=infos[place])
            for place, count in failures.most_common()
        ),
        reporters=dict(reporters.most_common()),
    )
