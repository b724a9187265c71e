"""What `postroom explain spam` does: judge a message as intake would, and say why."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from postroom.app.filtering import make_judge
from postroom.cli.explain_scanners import ask
from postroom.cli.explain_sources import sources
from postroom.cli.people import directory
from postroom.filter.findings import PeerFacts, Proofs, findings
from postroom.filter.judge import Judgement, Known, Reader
from postroom.filter.scoring import Act, Reason, Thresholds
from postroom.filter.seen import Seen
from postroom.filter.tokens import read
from postroom.filter.training import origin
from postroom.intake.bounces import about_ours, named, unknown
from postroom.mailauth.authres import BadResults, parse
from postroom.message.dates import parse_date
from postroom.policy.blocklists import OF_PEERS, Blocklists
from postroom.values.clock import SystemClock
from postroom.values.content import Content
from postroom.wire.rspamd import Question

if TYPE_CHECKING:
    from collections.abc import Iterator

    from postroom.cli.site import Site
    from postroom.store.api import Store
    from postroom.values.dns import Dns


_SECONDS: Final = 5.0  # to wait for lists in the DNS
_WORDS = {
    Act.ACCEPT: "it is delivered to the inbox",
    Act.JUNK: "it is filed as junk",
    Act.QUARANTINE: "it is kept in quarantine",
    Act.REFUSE: "it is refused",
}


@dataclass(frozen=True, slots=True)
class Explained:
    """judgement: and why; sources: each source of evidence, and what it says in words, also when that is nothing."""

    judgement: Judgement
    sources: tuple[tuple[str, str], ...]


async def explain_spam(site: Site, octets: bytes, login: str, dns: Dns, *, scanners: bool = True) -> Explained:
    """login: for whom, "" for nobody in particular; scanners: ask them. The peer, and what proved its author when it
    came, are taken from the fields that we wrote at its top.
    """
    content = Content.of(octets)
    (seen, words), hostname = read(content), site.config.server.hostname
    ip, author = origin(seen, hostname)
    clock = SystemClock()
    lists = [one for one in site.config.blocklist if one.kind in OF_PEERS]
    domains = [author.rpartition("@")[2]] if author else []
    listed = await Blocklists(dns, lists, clock, _unheard).judge(ip, domains, _SECONDS)
    today = PeerFacts(listed=tuple([(hit.weight, str(hit)) for hit in listed.hits]))
    reasons = (*found_then(seen, hostname), *findings(Proofs(), today))
    sender = next(iter(seen.values("return-path")), "").strip("<> ")
    question = Question(sender=sender, recipients=(login,) if login else (), ip=ip, here=hostname)
    asked = await ask(site.config, content, question, clock, wanted=scanners)
    reasons += asked.found.findings
    async with directory(site) as (people, store):
        reasons += tuple(await _as_report(site, store, seen, content))
        known = Known(
            ip=ip,
            now=arrived(seen, time.time()),
            author=author,
            findings=reasons,
            at_least=asked.found.at_least,
            decided=asked.found.decided,
        )
        readers = []
        if login:
            row = await people.account(login)
            readers = [Reader(row.login, row.id, row.contacts)]
        judgement = await make_judge(site.config, store, dns, clock, _unheard).judge(content, known, readers)
        told = (*sources(site, store, judgement, (ip, author), words), *asked.said.items())
        return Explained(judgement, told)


async def _as_report(site: Site, store: Store, seen: Seen, content: Content) -> list[Reason]:
    """What speaks for and against a report: a message whose Return-Path, which we wrote, is empty."""
    if next(iter(seen.values("return-path")), "") != "<>":
        return []
    ids = await named(content)
    if ids and store.limits.answered("", ids):
        return [about_ours()]
    points = site.config.bounces.score
    return [unknown(bool(ids), points)] if points else []


def found_then(seen: Seen, hostname: str) -> Iterator[Reason]:
    """What intake found out about who sent it, as our Authentication-Results at its top tell; nothing without them."""
    try:
        told = parse(next(iter(seen.values("authentication-results")), "").encode("utf-8", "replace"))
    except BadResults:
        return
    if told.authserv_id.lower() != hostname.lower():
        return
    of = {one.method: one for one in reversed(told.results)}
    spf, dmarc, iprev = of.get("spf"), of.get("dmarc"), of.get("iprev")
    proofs = Proofs(
        spf=spf.result if spf else "",
        spf_says=spf.reason if spf else "",
        dkim=tuple([one.result for one in told.results if one.method == "dkim"]),
        dmarc=dmarc.result if dmarc else "",
        dmarc_says=dmarc.reason if dmarc else "",
    )
    says = (iprev.reason or f"the name of its address: {iprev.result}") if iprev else ""
    peer = PeerFacts(iprev=iprev.result if iprev else "", iprev_says=says)
    yield from findings(proofs, peer, next(iter(seen.values("x-postroom-warning")), ""))


def arrived(seen: Seen, now: float) -> float:
    """When it came here, Unix seconds; `now` when nothing says so (RFC 5321 4.4: the time in Received)."""
    for value in seen.values("received")[:1]:
        parsed = parse_date(value.rpartition(";")[2].strip().encode("ascii", "replace"))
        if parsed is not None:
            return float(parsed[0])
    return now


def fate(found: Judgement) -> tuple[str, Thresholds]:
    """What happens with it, in words, and from which scores on, for the reader or for nobody in particular."""
    if not found.acts:
        bounds = Thresholds(junk=found.spam)
        return "for nobody in particular: --for says what happens", bounds
    return _WORDS[found.fates()[0]], found.bounds[0]


def plain(explained: Explained) -> dict[str, Any]:
    """For --json."""
    found = explained.judgement
    score = found.told()
    told: dict[str, Any] = {
        "check": "spam",
        "score": score.points,
        "junk_from": found.spam,
        "act": str(found.acts[0]) if found.acts else None,
        "reasons": [{"name": one.name, "points": one.points, "text": one.text} for one in score.reasons],
    }
    if found.bounds:
        bounds = found.bounds[0]
        told |= {"junk_from": bounds.junk, "quarantine_from": bounds.quarantine, "refuse_from": bounds.refuse}
    return told | {"sources": dict(explained.sources)}


def _unheard(name: str, /, **fields: object) -> None:
    """A command has no log."""
