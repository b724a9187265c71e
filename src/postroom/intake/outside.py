"""Mail from outside: who sent it, and what follows, before it is ours.

One Outside per worker. What it finds goes into the message (Authentication-Results, a warning), into the trace
(event mail.checked), and decides whether the mail is refused, junk, or taken.
Owns: nothing between messages. Trusts: the directory. Everything in the message may be forged; fields that claim to be
ours are removed (RFC 8601 5).
On failure: Refusal; StoreError of the directory passes through.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from postroom.config import Authentication
from postroom.intake.authors import Author, authors
from postroom.intake.claims import claim_warning
from postroom.intake.collected import collected
from postroom.intake.filtering import Filtering, placed
from postroom.intake.imitation import Imitations
from postroom.intake.lists import Lists, is_list
from postroom.intake.marks import clean_header, results_field, vouches, warning_field
from postroom.intake.model import Envelope, Given, Peer
from postroom.intake.routing import REMOTE, REPORTS
from postroom.intake.signing import Arrived, Signer
from postroom.intake.traps import only_traps
from postroom.intake.verdict import ACCEPT, JUNK, REFUSE, Shape, Verdict, judge, proves, refusal_text, strictest
from postroom.intake.verify import Evidence, Sender, Verifier
from postroom.mailauth.header import HeaderFields
from postroom.observe.log import Events
from postroom.store.api import DirectoryStore
from postroom.values.content import Content
from postroom.values.dns import Dns
from postroom.values.refusal import Refusal


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What examining works with. events: told what was found; signer: seals what is passed on outside, None seals
    nothing; lists: knows the lists our people write to, None knows none; filtering: asks the spam filter, None: off.
    """

    directory: DirectoryStore
    dns: Dns
    hostname: str
    events: Events
    signer: Signer | None = None
    lists: Lists | None = None
    filtering: Filtering | None = None


@dataclass(frozen=True, slots=True)
class Examined:
    """What becomes of a message that is taken. added: fields to put before it; head: its header without fields that
    only pretend to be ours; keywords: IMAP keywords it gets; proven: the domain in From when DMARC proved it;
    inbox: recipients who get it in their INBOX although it is junk; kept: those for whom it is quarantined, and why.
    """

    added: bytes
    head: bytes
    junk: bool = False
    keywords: tuple[str, ...] = field(default=())
    proven: str = ""
    inbox: tuple[str, ...] = ()
    kept: Mapping[str, str] = field(default_factory=dict)


class Outside:
    """Examines mail from outside for one worker."""

    def __init__(self, means: Means, config: Authentication) -> None:
        self._directory = means.directory
        self._hostname = means.hostname
        self._events = means.events
        self._sealers = tuple(domain.lower() for domain in config.trusted_sealers)
        self._verifier = Verifier(means.dns, means.hostname, config.seconds)
        self._imitations = Imitations(means.directory)
        self._signer = means.signer if config.seal else None
        self._lists = means.lists
        self._filtering = means.filtering

    async def examine(
        self, peer: Peer, envelope: Envelope, head: bytes, content: Content, stamp: tuple[str, float]
    ) -> Examined:
        """stamp: queue id and Unix seconds. Raises Refusal 550 5.6.0 (From), 550 5.7.1 (forged), StoreError."""
        entry, now = stamp
        fields = HeaderFields(head)
        people = authors(fields, head)
        sender = Sender(peer.ip, peer.helo, "" if envelope.sender is None else str(envelope.sender))
        domains = tuple(dict.fromkeys(person.domain for person in people))
        body = (content, len(head) + 2)
        evidence = await self._verifier.look(sender, domains, fields, body, now)
        shape, evidence = await self._shape(fields, people, evidence, (sender, now))
        verdict = judge(evidence, shape)
        if verdict.warning or verdict.act != ACCEPT:
            verdict = await self._by_known_list(fields, (people, envelope.given), (evidence, shape), verdict, now)
        found = _collected(sender, envelope, evidence, verdict)
        if verdict.act == REFUSE and only_traps(envelope):
            verdict = replace(verdict, act=JUNK)  # what nobody reads can be learned from
        if verdict.act == REFUSE:
            self._tell(entry, evidence, verdict, found)
            own = "" if shape.below else shape.own
            raise Refusal(550, "5.7.1", refusal_text(verdict, own), reason=verdict.reason)
        warning = verdict.warning or await claim_warning(
            (fields, head),
            people,
            evidence,
            self._imitations.hosted,
            lambda domain: self._verifier.claim(domain, evidence),
        )
        if not warning and (shape.below or not shape.own):
            warning = await self._imitations.warning(
                people[0].name, (people[0].local, people[0].domain), is_list=shape.is_list
            )
        judged = None
        if self._filtering is not None:
            judged, refusal = await self._filtering.look(content, (peer, envelope), people, (evidence, warning), now)
            found |= judged.told
            if refusal is not None:
                self._tell(entry, evidence, replace(verdict, act=REFUSE, reason=refusal.reason), found)
                raise refusal
        self._tell(entry, evidence, verdict, found)
        peer_name = envelope.standing.iprev if envelope.standing is not None else None
        results = results_field(self._hostname, sender, evidence, verdict, peer_name)
        cleaned = clean_header(head, self._hostname)
        told = results.partition(b":")[2].strip()
        sealed = await self._seal(envelope, cleaned, body, Arrived(evidence.arc, told), now)
        added = sealed + results + warning_field(warning) + (judged.added if judged is not None else b"")
        junk, inbox = placed(verdict.act == JUNK, verdict.inbox, judged)
        keywords = ("$Junk",) * junk + ("$Suspicious",) * bool(warning)
        kept = judged.kept if judged is not None else {}
        return Examined(added, cleaned, junk, keywords, _proven(evidence), inbox, kept)

    async def _by_known_list(
        self,
        fields: HeaderFields,
        message: tuple[tuple[Author, ...], list[Given]],
        found: tuple[Evidence, Shape],
        verdict: Verdict,
        now: float,
    ) -> Verdict:
        """The verdict, milder when it came by a list that recipients write to. Raises StoreError, Refusal."""
        evidence, shape = found
        if self._lists is None or not shape.is_list:
            return verdict
        known = await self._lists.known(fields, message, found, now)
        return verdict if known is None else judge(evidence, replace(shape, known=known))

    async def _seal(
        self, envelope: Envelope, head: bytes, body: tuple[Content, int], arrived: Arrived, now: float
    ) -> bytes:
        """An ARC set where an address of ours passes it on outside (RFC 8617 5.1). Raises StoreError."""
        if self._signer is None:
            return b""
        for given in envelope.given:
            if any(target.route == REMOTE for target in given.targets):
                domain = given.address.rpartition("@")[2].lower()
                return await self._signer.seal(domain, head, body, arrived, now)
        return b""

    async def _shape(
        self, fields: HeaderFields, people: tuple[Author, ...], evidence: Evidence, asked: tuple[Sender, float]
    ) -> tuple[Shape, Evidence]:
        listed = is_list(fields)
        vouched = vouches(evidence.arc, self._sealers)
        hosted = [await self._imitations.hosted(person.domain) for person in people]
        for name, person in sorted(zip(hosted, people, strict=True), key=lambda pair: pair[0] != pair[1].domain):
            row = await self._directory.domain(name) if name else None
            if row is not None and not row.disabled:
                if not proves(evidence, row.name):
                    sender, now = asked
                    allowed = await self._verifier.author_spf(sender, person.domain, now)
                    evidence = replace(evidence, author_spf=allowed)
                below = row.name != person.domain
                return Shape(own=row.name, below=below, spoof=row.spoof, is_list=listed, vouched=vouched), evidence
        return Shape(is_list=listed, vouched=vouched), evidence

    def _tell(self, entry: str, evidence: Evidence, verdict: Verdict, found: dict[str, object]) -> None:
        worst = strictest(evidence.dmarc)
        self._events(
            "mail.checked",
            queue_id=entry,
            spf=str(evidence.spf.result),
            dkim=" ".join(f"{one.result}:{one.domain}" for one in evidence.dkims) or "none",
            dmarc=str(worst.result) if worst else "none",
            arc=evidence.arc.result,
            verdict=verdict.act,
            reason=verdict.reason,
            **found,
        )


def _proven(evidence: Evidence) -> str:
    """The author domain, when all there are have passed DMARC."""
    results = evidence.dmarc
    return results[0].domain if results and all(one.result == "pass" for one in results) else ""


def _collected(sender: Sender, envelope: Envelope, evidence: Evidence, verdict: Verdict) -> dict[str, object]:
    """What the owners of its author domains want to hear of it; nothing of mail that is a report itself."""
    if all(target.route == REPORTS for given in envelope.given for target in given.targets):
        return {}
    found = collected(sender, evidence, verdict)
    return {"report": found} if found else {}
