"""The DNS records a hosted domain needs, each with its purpose, and how they are written for people and programs.

Owns: what we ask an administrator to publish; `records_check` compares it with what the DNS says.
Trusts: domain and host names are A-labels in lower case, without a trailing dot.
Standards: RFC 5321 5 (MX), RFC 7208 (SPF), RFC 6376 3.6 (DKIM keys), RFC 9989 (DMARC), RFC 8461 3.1 (MTA-STS),
RFC 8460 3 (TLSRPT), RFC 6186 and RFC 8314 5.1 (SRV), RFC 7672 3.1 (TLSA), RFC 1035 5.1 (zone files).
On failure: nothing here fails.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

#: local parts that every hosted domain has for programs, unless an account or alias has the address
REPORT_LOCALS: Final = frozenset({"dmarc-reports", "tls-reports", "feedback-reports", "noreply-dmarc", "noreply-tls"})
#: octets of one character-string (RFC 1035 3.3)
_STRING: Final = 255
TTL: Final = 3600
#: SRV names of what a listener speaks: (configured protocol, implicit TLS) to the service (RFC 6186 3, RFC 8314 5.1)
_SERVICES: Final = {
    ("submission", True): "submissions",
    ("submission", False): "submission",
    ("imap", True): "imaps",
    ("imap", False): "imap",
    ("pop3", True): "pop3s",
    ("pop3", False): "pop3",
    ("managesieve", False): "sieve",  # RFC 5804 1.8
}
#: lower is tried first: TLS from the first octet (RFC 8314 5.1), IMAP before POP3 is the client's business
_PRIORITY: Final = {True: 0, False: 10}


@dataclass(frozen=True, slots=True)
class PublishedKey:
    """A DKIM key as the DNS shows it. state: next, active or retired; text: the value of the TXT record."""

    selector: str
    state: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What the records are made of. services: (protocol, implicit TLS, port) of listeners the world may reach.

    tlsa: SHA-256 of the certificate's public key (SPKI), b"" when there is none to publish; https: an HTTPS listener
    answers, which the world must reach on port 443; sts_mode: "enforce", "testing" or "none".
    """

    hostname: str
    services: tuple[tuple[str, bool, int], ...] = ()
    tlsa: bytes = b""
    https: bool = False
    sts_mode: str = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A record to publish. value: as people type it (TXT without quotes; names with a trailing dot); priority: of
    MX and SRV, part of a zone file's value; need: "must", "should" or "may"; why: in plain words.
    """

    name: str
    type: str
    value: str
    why: str
    need: str = "must"
    priority: int | None = None
    kind: str = field(
        default=""
    )  # what it is for, for programs: mx, spf, dkim, dmarc, mta-sts, tlsrpt, srv, autoconfig, tlsa

    def zone_value(self) -> str:
        """The value as a zone file has it (RFC 1035 5.1)."""
        if self.type == "TXT":
            return " ".join(_quoted(self.value))
        return self.value if self.priority is None else f"{self.priority} {self.value}"


def records(domain: str, keys: Sequence[PublishedKey], site: Site) -> list[Record]:
    """Everything to publish for the domain, the most important first."""
    return [
        *_mail(domain, site),
        *_keys(domain, keys),
        *_policies(domain, site),
        *_services(domain, site),
        *_settings(domain, site),
        *_transport(domain, site),
    ]


def _mail(domain: str, site: Site) -> Iterator[Record]:
    host = site.hostname
    yield Record(
        name=domain,
        type="MX",
        value=f"{host}.",
        priority=10,
        kind="mx",
        why="Mail for the domain comes to this server.",
    )
    yield Record(
        name=domain,
        type="TXT",
        value="v=spf1 mx -all",
        kind="spf",
        why="Only this server sends mail for the domain. Add include: for each service that also does, before -all.",
    )
    if host != domain:
        yield Record(
            name=host,
            type="TXT",
            value="v=spf1 a -all",
            kind="spf",
            need="should",
            why="The server's own name, given in HELO, sends only from its own address (bounces have no other sender).",
        )


_KEY_WHY: Final = {
    "next": "The next key: it begins to sign once the DNS shows it everywhere.",
    "active": "Receivers check the signatures on our mail with it.",
    "retired": "Signs no more; keep it until mail it signed has arrived everywhere.",
}


def _keys(domain: str, keys: Sequence[PublishedKey]) -> Iterator[Record]:
    for key in keys:
        yield Record(
            name=f"{key.selector}._domainkey.{domain}",
            type="TXT",
            value=key.text,
            kind="dkim",
            need="may" if key.state == "retired" else "must",
            why=_KEY_WHY[key.state],
        )


def _policies(domain: str, site: Site) -> Iterator[Record]:
    yield Record(
        name=f"_dmarc.{domain}",
        type="TXT",
        value=f"v=DMARC1; p=quarantine; rua=mailto:{reports_address('dmarc', domain)}",
        kind="dmarc",
        why="What receivers do with mail that claims the domain and is not ours, and where their reports go."
        " Begin with p=none if other services send for the domain; end with p=reject.",
    )
    yield Record(
        name=f"_smtp._tls.{domain}",
        type="TXT",
        value=f"v=TLSRPTv1; rua=mailto:{reports_address('tls', domain)}",
        kind="tlsrpt",
        need="should",
        why="Senders report when they cannot reach this server over TLS.",
    )
    if site.https and site.sts_mode != "none":
        yield Record(
            name=f"_mta-sts.{domain}",
            type="TXT",
            value=f"v=STSv1; id={sts_id(sts_policy(site))}",
            kind="mta-sts",
            need="should",
            why="Senders that know MTA-STS send over TLS only. The id changes with the policy.",
        )
        yield Record(
            name=f"mta-sts.{domain}",
            type="CNAME",
            value=f"{site.hostname}.",
            kind="mta-sts",
            need="should",
            why="Where senders read the MTA-STS policy. The certificate must hold this name too.",
        )


def _services(domain: str, site: Site) -> Iterator[Record]:
    for protocol, implicit, port in site.services:
        name = _SERVICES.get((protocol, implicit))
        if name is not None:
            yield Record(
                name=f"_{name}._tcp.{domain}",
                type="SRV",
                value=f"1 {port} {site.hostname}.",
                priority=_PRIORITY[implicit],
                kind="srv",
                need="should" if implicit else "may",
                why="Mail programs find the server by the address alone.",
            )


def _settings(domain: str, site: Site) -> Iterator[Record]:
    if site.https and site.services:
        yield Record(
            name=f"autoconfig.{domain}",
            type="CNAME",
            value=f"{site.hostname}.",
            kind="autoconfig",
            need="may",
            why="Thunderbird and others read their settings there. The certificate must hold this name too.",
        )


def _transport(domain: str, site: Site) -> Iterator[Record]:
    if site.tlsa:
        yield Record(
            name=f"_25._tcp.{site.hostname}",
            type="TLSA",
            value=f"3 1 1 {site.tlsa.hex()}",
            kind="tlsa",
            need="may",
            why="DANE: senders check this server's key. Only with DNSSEC on the host name's zone, and to be changed"
            " before the key is.",
        )


def reports_address(kind: str, domain: str) -> str:
    """Where reports about the domain are sent: "dmarc", "tls" or "feedback" (see REPORT_LOCALS)."""
    return f"{kind}-reports@{domain}"


def reports_sender(kind: str, domain: str) -> str:
    """Whom reports of ours are from; what comes back to it is dropped."""
    return f"noreply-{kind}@{domain}"


def sts_policy(site: Site) -> str:
    """The MTA-STS policy of every domain hosted here (RFC 8461 3.2)."""
    return f"version: STSv1\r\nmode: {site.sts_mode}\r\nmx: {site.hostname}\r\nmax_age: 604800\r\n"


def sts_id(policy: str) -> str:
    """An id that changes when the policy does (RFC 8461 3.1: up to 32 letters and digits)."""
    return hashlib.sha256(policy.encode()).hexdigest()[:20]


def zone_file(domain: str, wanted: Iterable[Record]) -> str:
    """The records as lines for a zone file, with what each is for as a comment."""
    lines = [f"; mail for {domain}", f"$TTL {TTL}"]
    for record in wanted:
        lines.append(f"; {record.need}: {record.why}")
        lines.append(f"{record.name}.\tIN\t{record.type}\t{record.zone_value()}")
    return "\n".join(lines) + "\n"


def provider_rows(domain: str, wanted: Iterable[Record]) -> list[tuple[str, str, str, str]]:
    """(type, name below the domain or "@", priority or "", value) as forms of DNS providers ask for them.

    Records outside the domain keep their full name with a trailing dot.
    """
    rows = []
    for record in wanted:
        if record.name == domain:
            name = "@"
        elif record.name.endswith("." + domain):
            name = record.name[: -len(domain) - 1]
        else:
            name = record.name + "."
        rows.append((record.type, name, "" if record.priority is None else str(record.priority), record.value))
    return rows


def _quoted(text: str) -> Iterator[str]:
    for start in range(0, len(text), _STRING):
        piece = text[start : start + _STRING].replace("\\", "\\\\").replace('"', '\\"')
        yield f'"{piece}"'
