"""What the DNS says about a hosted domain beside what it should say: each difference with its cause and the fix.

Owns: nothing. Trusts: nobody; records of strangers are compared, never believed. Asks through a `Dns` that is passed
in, all questions at once per record.
Standards: RFC 5321 5.1, RFC 7505 (null MX), RFC 7208 3.2, RFC 6376 3.6.1, RFC 9989 4.7, RFC 8461 3.1, RFC 8460 3,
RFC 8601 3 (a name that its address confirms), RFC 7672 2.2.
On failure: a question nobody answered becomes a finding of state "unknown".
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, Final

from postroom.identity.records import Record, Site, reports_address
from postroom.mailauth.spf import check as check_spf
from postroom.values.dns import Dns, DnsUnavailable, NoSuchName, RecordType

OK: Final = "ok"
MISSING: Final = "missing"
DIFFERENT: Final = "different"
UNKNOWN: Final = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One record as found. need: of the record; found: what the DNS says, as text; cause and fix "" when all is well,
    or a remark although it is.
    """

    name: str
    type: str
    kind: str
    need: str
    state: str
    wanted: str = ""
    found: tuple[str, ...] = ()
    cause: str = ""
    fix: str = ""


#: what a comparison says: state, cause, fix
Judged = tuple[str, str, str]
_FINE: Final[Judged] = (OK, "", "")


@dataclass(frozen=True, slots=True)
class Question:
    """What a comparison may look at."""

    dns: Dns
    domain: str
    site: Site
    addresses: tuple[str, ...]  # of the server's name


async def check(dns: Dns, domain: str, wanted: Sequence[Record], site: Site) -> list[Finding]:
    """A finding for the server's own name and for every record, in their order."""
    findings, addresses = await _check_host(dns, site)
    question = Question(dns, domain, site, addresses)
    for record in wanted:
        findings.append(await _check_one(question, record))
    return findings


async def _check_one(question: Question, record: Record) -> Finding:
    found: tuple[str, ...] = ()
    try:
        found = await _found(question.dns, record)
        if not found:
            judged = _missing(record)
        else:
            judged = await _COMPARE.get(record.kind, _same)(question, record, found)
    except DnsUnavailable as fault:
        judged = _unanswered(fault)
    state, cause, fix = judged
    return Finding(
        name=record.name,
        type=record.type,
        kind=record.kind,
        need=record.need,
        state=state,
        wanted=record.zone_value(),
        found=found,
        cause=cause,
        fix=fix,
    )


async def _found(dns: Dns, record: Record) -> tuple[str, ...]:
    """The records of the name, those that are of the same kind."""
    lookup = await _look_up(dns, record.name, RecordType.A if record.type == "CNAME" else RecordType(record.type))
    if record.type != "TXT":
        return tuple(map(_printed, lookup))
    texts = [_text(one) for one in lookup]
    version = record.value.partition(";")[0].partition(" ")[0].lower()
    if record.kind == "dkim":
        return tuple(texts)
    return tuple(text for text in texts if text.lower().replace(" ", "").startswith(version))


def _text(octets: bytes) -> str:
    return octets.decode("utf-8", "backslashreplace")


def _printed(record: object) -> str:
    """MX and SRV as a zone file has them, names with a dot."""
    if isinstance(record, tuple):
        *numbers, last = record
        end = last.hex() if isinstance(last, bytes) else f"{last}."
        return " ".join([*map(str, numbers), end])
    return str(record)


async def _look_up(dns: Dns, name: str, kind: RecordType) -> tuple[Any, ...]:
    try:
        return (await dns.lookup(name, kind)).records
    except NoSuchName:
        return ()


def _missing(record: Record) -> Judged:
    cause = f"there is no {record.type} record at {record.name}"
    if record.kind == "spf":
        cause += " that begins with v=spf1"
    return MISSING, f"{cause}. {record.why}", f"Publish: {record.name}. {record.type} {record.zone_value()}"


# the server's own name


async def _check_host(dns: Dns, site: Site) -> tuple[list[Finding], tuple[str, ...]]:
    host = site.hostname
    try:
        four, six = await _look_up(dns, host, RecordType.A), await _look_up(dns, host, RecordType.AAAA)
    except DnsUnavailable as fault:
        return [_host_finding(host, _unanswered(fault))], ()
    addresses: tuple[str, ...] = (*four, *six)
    if not addresses:
        fix = f"Publish the server's public address: {host}. A ADDRESS (and AAAA), or set server.hostname right."
        cause = f"the server's name {host} has no address, so nobody can send mail to it"
        return [_host_finding(host, (MISSING, cause, fix))], ()
    private = [one for one in addresses if not is_public(one)]
    judged = _FINE
    if private:
        cause = f"{', '.join(private)} cannot be reached from the outside"
        judged = DIFFERENT, cause, "Publish the address that the outside sees."
    first = _host_finding(host, judged, addresses)
    return [first, *[await _check_reverse(dns, host, one) for one in addresses]], addresses


def _host_finding(host: str, judged: Judged, found: tuple[str, ...] = ()) -> Finding:
    state, cause, fix = judged
    return Finding(name=host, type="A", kind="host", need="must", state=state, found=found, cause=cause, fix=fix)


def _unanswered(fault: DnsUnavailable) -> Judged:
    return UNKNOWN, f"the DNS could not tell: {fault}", "Try again later; look at server.dns if it stays so."


def is_public(address: str) -> bool:
    """Whether an address can be reached from everywhere."""
    return ip_address(address).is_global


async def _check_reverse(dns: Dns, host: str, address: str) -> Finding:
    """The name of the address should be ours (RFC 8601 3): many receivers refuse mail when it is not."""
    name = ip_address(address).reverse_pointer
    found: tuple[str, ...] = ()
    judged = _FINE
    try:
        found = await _look_up(dns, name, RecordType.PTR)
    except DnsUnavailable as fault:
        judged = _unanswered(fault)
    else:
        if host not in found:
            called = f"is called {', '.join(found)}, not {host}" if found else "has no name"
            cause = f"{address} {called}: large receivers refuse or suspect mail from it"
            fix = f"Ask whoever gave you the address to name it: {name}. PTR {host}."
            judged = DIFFERENT if found else MISSING, cause, fix
    state, cause, fix = judged
    return Finding(
        name=name,
        type="PTR",
        kind="ptr",
        need="must",
        state=state,
        wanted=f"{host}.",
        found=found,
        cause=cause,
        fix=fix,
    )


# one kind of record each


async def _same(_question: Question, record: Record, found: tuple[str, ...]) -> Judged:
    wanted = record.value if record.type == "TXT" else record.zone_value()
    if any(_squeezed(one) == _squeezed(wanted) for one in found):
        return _FINE
    return DIFFERENT, f"it says {' and '.join(found)}", f"Publish: {record.name}. {record.type} {record.zone_value()}"


def _squeezed(text: str) -> str:
    return "".join(text.lower().split())


async def _mx(question: Question, record: Record, found: tuple[str, ...]) -> Judged:
    hosts = {one.split()[1].rstrip("."): int(one.split()[0]) for one in found}
    ours = question.site.hostname
    if ours not in hosts:
        if "" in hosts:  # RFC 7505
            cause = "the domain says that it takes no mail at all (null MX)"
        else:
            cause = f"mail goes to {', '.join(sorted(hosts))}, not to this server"
        return DIFFERENT, cause, f"Replace it by: {record.name}. MX {record.zone_value()}"
    others = {host: preference for host, preference in hosts.items() if host != ours}
    before = sorted(host for host, preference in others.items() if preference <= hosts[ours])
    if before:
        cause = f"mail goes to {', '.join(before)} before or as well as to this server"
        return DIFFERENT, cause, "Remove that MX record, unless it is a filter or a backup that hands mail on to us."
    if others:
        cause = f"{', '.join(sorted(others))} takes mail when this server does not answer"
        return OK, cause, "A backup that knows no recipients sends spam back to forged senders; one server is enough."
    return _FINE


async def _spf(question: Question, record: Record, found: tuple[str, ...]) -> Judged:
    if len(found) > 1:  # RFC 7208 3.2
        cause = f"there are {len(found)} SPF records, so that receivers believe none"
        return DIFFERENT, cause, "Join them into one record: one v=spf1, all mechanisms, one all at the end."
    for address in question.addresses:
        result = await check_spf(
            question.dns,
            ip=address,
            helo=question.site.hostname,
            mail_from=f"postmaster@{record.name}",
            receiver=question.site.hostname,
        )
        if result.result == "temperror":
            raise DnsUnavailable(result.reason)
        if result.result != "pass":
            cause = f"mail from this server ({address}) gets the SPF result {result.result}: {result.reason}"
            return DIFFERENT, cause, f"Let it allow this server, such as: {record.name}. TXT {record.zone_value()}"
    if found[0].lower().split()[-1] in {"+all", "all"}:
        return DIFFERENT, "it ends in +all: everybody may send for the domain", "End it in -all."
    return _FINE


def _tags(text: str) -> dict[str, str]:
    """tag=value lists (RFC 6376 3.2), white space dropped."""
    pairs = (piece.partition("=") for piece in text.split(";"))
    return {name.strip().lower(): "".join(value.split()) for name, _, value in pairs if name.strip()}


async def _dkim(_question: Question, record: Record, found: tuple[str, ...]) -> Judged:
    publish = f"Publish: {record.name}. TXT {record.zone_value()}"
    if len(found) > 1:
        return DIFFERENT, f"there are {len(found)} records, receivers may take the wrong one", "Leave only ours."
    here, ours = _tags(found[0]), _tags(record.value)
    if not here.get("p"):
        return DIFFERENT, "the key is withdrawn there (an empty p=)", publish
    if here["p"] != ours["p"] or here.get("k", "rsa") != ours.get("k", "rsa"):
        cause = "it is another key than the one that signs here"
        if ours["p"].startswith(here["p"]):
            cause = "the key is cut off: it must be given in pieces of up to 255 characters"
        return DIFFERENT, cause, publish
    if "y" in here.get("t", "").split(":"):
        return OK, "t=y says that this is a test, so some receivers ignore the signatures", "Remove t=y."
    return _FINE


async def _dmarc(question: Question, record: Record, found: tuple[str, ...]) -> Judged:
    if len(found) > 1:  # RFC 9989 4.7
        return DIFFERENT, f"there are {len(found)} DMARC records, so that receivers believe none", "Leave one."
    tags = _tags(found[0])
    policy = tags.get("p", "").lower()
    if policy not in {"none", "quarantine", "reject"}:
        return DIFFERENT, f"its policy p={policy or '(none)'} is unknown", "Say p=none, p=quarantine or p=reject."
    if policy == "none":
        return (
            OK,
            "p=none only watches: forged mail in your name is delivered",
            "Once the reports show only your own servers, publish p=quarantine, then p=reject.",
        )
    if reports_address("dmarc", question.domain) not in tags.get("rua", ""):
        return OK, "its reports do not come here", f"Add rua=mailto:{reports_address('dmarc', question.domain)}"
    return _FINE


async def _tlsa(question: Question, record: Record, found: tuple[str, ...]) -> Judged:
    lookup = await question.dns.lookup(record.name, RecordType.TLSA)
    wanted = _squeezed(record.value)
    if not any(_squeezed(_printed(one)).rstrip(".") == wanted for one in lookup.records):
        cause = "no TLSA record fits the certificate in use: senders that check DANE will not deliver"
        return DIFFERENT, cause, f"Publish: {record.name}. TLSA {record.value}, or remove the old ones."
    if not lookup.secure:
        cause = "the record is not signed (DNSSEC), or the resolver does not say so: it has no effect"
        return OK, cause, "Sign the zone, or ask a validating resolver (server.dns)."
    return _FINE


async def _alias(question: Question, record: Record, found: tuple[str, ...]) -> Judged:
    if set(found) & set(question.addresses):
        return _FINE
    return (
        DIFFERENT,
        f"{record.name} leads to {', '.join(found)}, not to this server",
        f"Publish: {record.name}. CNAME {record.value}",
    )


async def _mta_sts(question: Question, record: Record, found: tuple[str, ...]) -> Judged:
    if record.type == "CNAME":
        return await _alias(question, record, found)
    if len(found) > 1:
        return DIFFERENT, "there are several MTA-STS records, so that senders believe none", "Leave one."
    return await _same(question, record, found)


_COMPARE: Final[dict[str, Callable[[Question, Record, tuple[str, ...]], Awaitable[Judged]]]] = {
    "mx": _mx,
    "spf": _spf,
    "dkim": _dkim,
    "dmarc": _dmarc,
    "tlsa": _tlsa,
    "mta-sts": _mta_sts,
    "autoconfig": _alias,
}
