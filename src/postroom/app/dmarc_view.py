"""What DMARC reports of others say of a domain, summed by source, and what to do about it.

Pure: reports and names in, sums and sentences out. Trusts: reports may lie; the sums are of those whose sender is
proven, unless the caller gives others too, and name who told it.
Standards: RFC 9990 3.1.1; RFC 9989 Appendix B (how a policy is raised). On failure: never.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Final

from postroom.mailauth.dmarc.aggregate import Aggregate, Published, Row

DAY: Final = 86400.0
#: what must be known before a policy is raised: days, reporters, messages
_DAYS, _REPORTERS, _MESSAGES = 14, 2, 100
#: share of messages without proof that may be left
_SPARE: Final = 0.02
_FORWARDED: Final = frozenset({"mailing_list", "trusted_forwarder", "forwarded"})


@dataclass(slots=True, kw_only=True)
class Source:
    """Messages from one address. proven: DMARC passed; spf, dkim: aligned; dispositions: what was done with them.

    who: its name, or the SPF term that allows it; allowed: the domain's SPF allows it now; own: our own server.
    signers, senders: other domains whose DKIM or SPF passed; forwarded: messages that a list or forwarder passed on.
    """

    ip: str
    count: int = 0
    proven: int = 0
    spf: int = 0
    dkim: int = 0
    forwarded: int = 0
    dispositions: Counter[str] = field(default_factory=Counter)
    reporters: set[str] = field(default_factory=set)
    signers: set[str] = field(default_factory=set)
    senders: set[str] = field(default_factory=set)
    who: str = ""
    allowed: str = ""
    own: bool = False

    @property
    def unproven(self) -> int:
        """Messages that nothing proves."""
        return self.count - self.proven


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known of addresses beside reports: their names, the term of the domain's SPF record that allows them
    now, and those that are our own.
    """

    names: Mapping[str, str] = field(default_factory=dict)
    allowed: Mapping[str, str] = field(default_factory=dict)
    own: AbstractSet[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A domain's sums. sources: those with most messages without proof first; reporters: who told, and how much."""

    domain: str
    reports: int
    since: float
    until: float
    published: Published | None
    sources: tuple[Source, ...]
    reporters: Mapping[str, int]

    @property
    def messages(self) -> int:
        return sum(one.count for one in self.sources)

    @property
    def unproven(self) -> int:
        return sum(one.unproven for one in self.sources)


def addresses(told: Iterable[Aggregate]) -> list[str]:
    """The addresses in the reports, those with most messages first."""
    counts: Counter[str] = Counter()
    for report in told:
        for row in report.rows:
            counts[row.ip] += row.count
    return [ip for ip, _ in counts.most_common()]


def view(domain: str, told: Sequence[tuple[str, Aggregate]], known: Known) -> View:
    """told: reports, each with the name of who is proven to have sent it."""
    sources: dict[str, Source] = {}
    reporters: Counter[str] = Counter()
    newest: Aggregate | None = None
    for reporter, report in told:
        if report.published.domain == domain and (newest is None or report.end >= newest.end):
            newest = report
        for row in report.rows:
            reporters[reporter] += row.count
            _add(sources.setdefault(row.ip, Source(ip=row.ip)), row, reporter)
    for ip, source in sources.items():
        source.who, source.allowed = known.names.get(ip, ""), known.allowed.get(ip, "")
        source.own = ip in known.own
    return View(
        domain=domain,
        reports=len(told),
        since=min((float(report.begin) for _, report in told), default=0.0),
        until=max((float(report.end) for _, report in told), default=0.0),
        published=newest.published if newest else None,
        sources=tuple(sorted(sources.values(), key=lambda one: (-one.unproven, -one.count, one.ip))),
        reporters=dict(reporters.most_common()),
    )


def _add(source: Source, row: Row, reporter: str) -> None:
    source.count += row.count
    source.proven += row.count * row.aligned
    source.spf += row.count * row.spf
    source.dkim += row.count * row.dkim
    source.dispositions[row.disposition] += row.count
    source.reporters.add(reporter)
    if not row.aligned:
        source.forwarded += row.count * any(reason.type in _FORWARDED for reason in row.reasons)
        source.signers.update(one.domain for one in row.dkims if one.result == "pass" and one.domain)
        source.senders.update(one.domain for one in row.spfs if one.result == "pass" and one.domain)


def sentences(found: View) -> list[str]:
    """What each source does, in plain words: our own servers in one, then what needs somebody, then the rest."""
    own = [one for one in found.sources if one.own]
    others = [one for one in found.sources if not one.own]
    lines = [_own(own)] if own else []
    lines += [_unproven(one, found.domain) for one in others if one.unproven]
    fine = [one for one in others if not one.unproven]
    if fine:
        lines.append(f"{_count(sum(one.count for one in fine))} from {_many(len(fine), 'other source')} passed.")
    return lines


def _own(own: Sequence[Source]) -> str:
    total, bad = sum(one.count for one in own), sum(one.unproven for one in own)
    if not bad:
        return f"{f'All {total:,} messages' if total > 1 else 'The one message'} from your own server passed."
    where = ", ".join(one.ip for one in own if one.unproven)
    return (
        f"{bad:,} of {_count(total)} from your own server ({where}) came without proof:"
        " compare the records with `postroom dns check`."
    )


def _unproven(one: Source, domain: str) -> str:
    name = one.who or one.allowed
    start = f"{one.ip}{f' ({name})' if name else ''} sends {_count(one.count)} as {domain}"
    if not one.proven:
        start += " without proof"
    else:
        start += f", {one.unproven:,} of them without proof"
    hint = _hint(one)
    if one.forwarded >= one.unproven:
        return f"{start}: passed on by a mailing list or forwarder, nothing to do{hint}."
    if one.allowed:
        return (
            f"{start}, though SPF allows it ({one.allowed}): it sends under another envelope sender."
            f" Give it a DKIM key of {domain}, or have it use {domain} as envelope sender{hint}."
        )
    if one.proven:
        return f"{start}: what lacks proof was changed on the way, or that sender does not sign everything{hint}."
    return f"{start}: allow it in SPF or give it a DKIM key if it is yours; otherwise it is forged{hint}."


def _hint(one: Source) -> str:
    """What its mail proves instead."""
    instead = sorted((one.signers | one.senders) - {""})[:3]
    return f" (its mail proves {', '.join(instead)} instead)" if instead else ""


def advice(found: View) -> str:
    """Whether p= can be raised."""
    if found.published is None or not found.messages:
        return "No reports yet. They come a day after rua= is published: see `postroom dns check`."
    policy, share = found.published.policy, found.unproven / found.messages
    after = {"none": "quarantine", "quarantine": "reject"}.get(policy)
    if after is None:
        tail = ", but t=y lowers it to quarantine: take t=y out." if found.published.testing == "y" else "."
        return f"p=reject is published: who does as you ask refuses what is forged{tail}"
    days = (found.until - found.since + 1) / DAY
    if days < _DAYS or len(found.reporters) < _REPORTERS or found.messages < _MESSAGES:
        return (
            f"p={policy} is published. Before you raise it, wait for {_DAYS} days and {_MESSAGES} messages told of by"
            f" {_REPORTERS} reporters; so far it is {_many(int(days + 0.5), 'day')}, {_count(found.messages)},"
            f" {_many(len(found.reporters), 'reporter')}."
        )
    doubtful = [one for one in found.sources if one.unproven > one.forwarded and (one.own or one.allowed or one.proven)]
    if sum(one.unproven - one.forwarded for one in doubtful) > _SPARE * found.messages:
        seem = ", ".join(one.ip for one in doubtful[:3])
        return f"p={policy} is published. Do not raise it yet: {seem} seem to be yours and send without proof."
    services = [one for one in found.sources if one not in doubtful and (one.signers or one.senders)]
    services = [one for one in services if one.unproven - one.forwarded > _SPARE / 2 * found.messages]
    if services:
        told = ", ".join(f"{one.ip} (proves {min(one.signers | one.senders)})" for one in services[:3])
        return (
            f"p={policy} is published. Before you raise it to p={after}, find out whether these send for you: {told}."
            " If they do, prove their mail first; what is left would be filed as junk or refused."
        )
    rest = (
        "everything is proven"
        if not found.unproven
        else f"what has no proof ({share:.1%}) comes from sources that are not yours as far as can be told"
    )
    return f"p={policy} is published and can be raised to p={after}: {rest}. Look at the list above first."


def _count(number: int) -> str:
    return f"{number:,} message{'' if number == 1 else 's'}"


def _many(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
