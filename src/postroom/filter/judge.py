"""The verdict on a message from outside, for each of its recipients, with the reasons.

What speaks against and for a message is the same for all; what a reader has learned, written to, allowed or blocked is
his own. The strictest verdict that all recipients share may refuse the message; where they differ, the strict ones get
it as junk.
Owns: the rules, loaded once. Trusts: nothing in the message; `Known` is what intake has proven.
On failure: StoreUnavailable of the store is left out of the score: mail never waits for its filter.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Final

from postroom.config import BlocklistKind
from postroom.filter import bayes, links, listings
from postroom.filter.attachments import dangers
from postroom.filter.borrowed import Trusted
from postroom.filter.rules import Rules
from postroom.filter.scoring import DEFAULT, Act, Reason, Score, Thresholds, stricter
from postroom.filter.seen import Seen
from postroom.filter.tokens import read
from postroom.filter.traits import traits
from postroom.filter.wishes import LISTED, Sender, Wishes, wishes_of
from postroom.message.dates import parse_date
from postroom.policy.blocklists import Blocklists
from postroom.policy.networks import neighbourhood
from postroom.store.api import EVERYBODY, AccountStore, DirectoryStore, LimitsStore, StoreError, TrainingStore
from postroom.values.content import Content

#: octets above which a message is read in a thread instead of on the loop: reading these takes some milliseconds
_IN_THREAD: Final = 16 * 1024
#: recipients whose own training is asked for
_PERSONAL: Final = 50
_SECONDS: Final = 3.0  # to wait for lists of domains
_REFERENCES: Final = 4096  # characters of what a message answers
_MESSAGE_ID: Final = re.compile(r"<([^<>\s]{1,250})>")
_HOSTS: Final = 20  # hosts of links that lists are asked about


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What intake knows. ip: of the peer; findings: of the checks that were made before; author: the address in From,
    "" when nothing proves its domain; sender: of the envelope; now: Unix seconds; at_least: what becomes of it whatever
    anybody wishes; decided: what becomes of it where nobody wishes anything else, instead of what the score says.
    """

    ip: str
    now: float
    author: str = ""
    sender: str = ""
    findings: tuple[Reason, ...] = ()
    at_least: Act = Act.ACCEPT
    decided: Act | None = None


@dataclass(frozen=True, slots=True)
class Reader:
    """A recipient of ours. account: its id; contacts: it may have an address book."""

    address: str
    account: str
    contacts: bool = False


@dataclass(frozen=True, slots=True)
class Judgement:
    """score: of what holds for all; acts, scores and bounds: for each reader, in order; floor: Known.at_least."""

    score: Score
    acts: tuple[Act, ...] = ()
    scores: tuple[Score, ...] = ()
    spam: float = field(default=DEFAULT.junk)
    bounds: tuple[Thresholds, ...] = ()
    floor: Act = Act.ACCEPT

    @property
    def refused(self) -> bool:
        """Nobody wants it."""
        return bool(self.acts) and all(act is Act.REFUSE for act in self.acts)

    def fates(self) -> tuple[Act, ...]:
        """What becomes of it for each reader. What only some would refuse is accepted, so they get it set apart."""
        if self.refused:
            return self.acts
        return tuple(
            [stricter(self.floor, _apart(act, bound)) for act, bound in zip(self.acts, self.bounds, strict=True)]
        )

    def told(self) -> Score:
        """What the message's header and the trace tell: the reader's own score when there is one reader."""
        return self.scores[0] if len(self.scores) == 1 else self.score


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """What judging works with. accounts: opens one, for its address book; None leaves those out."""

    training: TrainingStore
    limits: LimitsStore
    directory: DirectoryStore
    blocklists: Blocklists
    rules: Rules
    thresholds: Thresholds = DEFAULT
    accounts: Callable[[str], Awaitable[AccountStore]] | None = None


class Judge:
    """Judges messages for one worker."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._trusted: Trusted | None = None
        self._generation = -1

    async def judge(self, content: Content, known: Known, readers: Sequence[Reader]) -> Judgement:
        """The verdict. Raises OSError when the content's file is gone."""
        trusted = await self._trust()
        if content.size > _IN_THREAD:
            seen, words, found = await asyncio.to_thread(self._read, content, known, trusted)
        else:
            seen, words, found = self._read(content, known, trusted)
        reasons = [*known.findings, *found, *await self._listed(seen, known.sender), *self._standing(known)]
        everybody, answered = self._learned(EVERYBODY, words), _answered(seen)
        general = _weighed(bayes.opinion(everybody))
        score = Score.of([*reasons, *general])
        scores: list[Score] = []
        acts: list[Act] = []
        bounds: list[Thresholds] = []
        for place, reader in enumerate(readers):
            wishes = await wishes_of(self._sources.directory, reader.address)
            own = self._learned(reader.account, words) if place < _PERSONAL else None
            learned = own is not None and own.spam + own.ham > 0
            words_say = _weighed(bayes.opinion(everybody, own)) if learned else general
            personal = [*reasons, *words_say, *await self._acquainted(reader, known, answered)]
            personal += wishes.reasons(_sender(seen, known))
            own_score = Score.of(personal)
            scores.append(own_score)
            bounds.append(wishes.thresholds(self._sources.thresholds))
            act = _act(wishes, own_score, bounds[-1], known.decided)
            acts.append(stricter(known.at_least, act))
        spam, floor = self._sources.thresholds.junk, known.at_least
        return Judgement(score, tuple(acts), tuple(scores), spam, tuple(bounds), floor)

    async def of_ours(self, content: Content, now: float) -> Score:
        """What speaks against mail that our own people send: what is in it, whoever it is for. Raises OSError."""
        known, trusted = Known(ip="", now=now), await self._trust()
        if content.size > _IN_THREAD:
            seen, words, found = await asyncio.to_thread(self._read, content, known, trusted)
        else:
            seen, words, found = self._read(content, known, trusted)
        general = _weighed(bayes.opinion(self._learned(EVERYBODY, words)))
        return Score.of([*found, *await self._listed(seen, ""), *general])

    async def _trust(self) -> Trusted:
        """What others may borrow: made again when the directory changes."""
        directory, brands = self._sources.directory, self._sources.rules.brands
        try:
            generation = directory.generation()
            if self._trusted is None or generation != self._generation:
                self._trusted = Trusted([row.name for row in await directory.domains()], brands)
                self._generation = generation
        except StoreError:
            if self._trusted is None:
                self._trusted = Trusted((), brands)
        return self._trusted

    def _read(self, content: Content, known: Known, trusted: Trusted) -> tuple[Seen, list[int], list[Reason]]:
        """What is in the message, its tokens, and what speaks for and against it. Raises OSError."""
        seen, words = read(content)
        dates = seen.values("date")
        parsed = parse_date(dates[0].encode("ascii", "replace")) if dates else None
        age = None if parsed is None else known.now - parsed[0]
        found = [*self._sources.rules.apply(seen), *links.deceptions(seen), *trusted.reasons(seen), *dangers(seen)]
        warned = any(reason.name == "IMITATION" for reason in known.findings)
        found += [one for one in traits(seen, age) if not (warned and one.name == "NAME_IS_ADDRESS")]
        return seen, words, [*found, *links.phishing([*known.findings, *found])]

    async def _listed(self, seen: Seen, sender: str) -> list[Reason]:
        """What lists in the DNS say of the hosts of its links, of addresses in it, and of attachments."""
        lists = self._sources.blocklists
        if not lists.active:
            return []
        told = await asyncio.gather(
            self._links_listed(seen), self._addresses_listed(seen, sender), self._files_listed(seen)
        )
        return [reason for reason in told if reason is not None]

    async def _addresses_listed(self, seen: Seen, sender: str) -> Reason | None:
        lists = self._sources.blocklists
        if BlocklistKind.EMAIL not in lists.kinds:
            return None
        found = await lists.judge_digests(BlocklistKind.EMAIL, listings.addresses(seen, sender), _SECONDS)
        return Reason("ADDRESS_LISTED", round(3.0 * found.score, 2), found.reason) if found.hits else None

    async def _files_listed(self, seen: Seen) -> Reason | None:
        lists = self._sources.blocklists
        if BlocklistKind.FILE not in lists.kinds or not seen.attachments:
            return None
        digests = await asyncio.to_thread(listings.files, seen)
        found = await lists.judge_digests(BlocklistKind.FILE, digests, _SECONDS)
        return (
            Reason("FILE_LISTED", round(5.0 * found.score, 2), f"the attachment {found.reason}") if found.hits else None
        )

    async def _links_listed(self, seen: Seen) -> Reason | None:
        hosts = dict.fromkeys(links.organisation(link.host) for link in seen.links if "." in link.host)
        found = await self._sources.blocklists.judge("", list(hosts)[:_HOSTS], _SECONDS) if hosts else None
        if found is None or not found.hits:
            return None
        return Reason("LINK_LISTED", round(3.0 * found.score, 2), f"a link leads to where {found.reason}")

    def _learned(self, account: str, words: Sequence[int]) -> bayes.Base:
        try:
            found = self._sources.training.learned(account, words)
        except StoreError:
            return bayes.Base(0, 0, ((0, 0),) * len(words))
        return bayes.Base(found.spam, found.ham, found.counts)

    def _standing(self, known: Known) -> list[Reason]:
        """How those stand who sent it."""
        keys = sender_keys(known.ip, known.author)
        try:
            found = self._sources.training.standings(keys, known.now)
        except StoreError:
            return []
        reasons = []
        for key, standing in zip(keys, found, strict=True):
            total = standing.good + standing.bad
            if total >= 3:
                share = standing.bad / total
                points = round(3.0 * (share - 0.5) * min(total / 10, 1.0), 1)
                kind, _, name = key.partition(":")
                if abs(points) >= 0.3:
                    says = f"{share:.0%} of what came from {name} lately was unwanted"
                    reasons.append(Reason(f"STANDING_{kind.upper()}", points, says))
        return reasons

    async def _acquainted(self, reader: Reader, known: Known, answered: Sequence[str]) -> list[Reason]:
        """An answer to what the reader sent; somebody in his address book, or to whom he has written. Of authors only
        a proven one is believed, so that a forged address of a friend opens nothing.
        """
        limits, found = self._sources.limits, []
        if answered and limits.answered(reader.account, answered):
            found.append(Reason("ANSWER", -4.0, f"it answers a message that {reader.address} has sent"))
        if known.author and reader.contacts and await self._in_book(reader, known.author):
            found.append(Reason("CONTACT", -8.0, f"{known.author} is in the address book of {reader.address}"))
        elif known.author and limits.written(reader.account, known.author) is not None:
            found.append(Reason("CORRESPONDENT", -6.0, f"{reader.address} has written to {known.author} before"))
        return found

    async def _in_book(self, reader: Reader, author: str) -> bool:
        if self._sources.accounts is None:
            return False
        try:
            return await (await self._sources.accounts(reader.account)).contacts.has(author)
        except StoreError:
            return False


def _answered(seen: Seen) -> list[str]:
    """Message-IDs that the message says it answers, as many of the last as are looked at."""
    named = [*seen.values("references")[:1], *seen.values("in-reply-to")[:1]]
    return _MESSAGE_ID.findall(" ".join(named)[-_REFERENCES:])


def _act(wishes: Wishes, score: Score, bounds: Thresholds, decided: Act | None) -> Act:
    if wishes.off:
        return Act.ACCEPT
    if decided is not None and not any(one.name in LISTED for one in score.reasons):
        return decided
    return bounds.act(score.points)


def _apart(act: Act, bounds: Thresholds) -> Act:
    if act is not Act.REFUSE:
        return act
    return Act.QUARANTINE if bounds.quarantine else Act.JUNK


def _sender(seen: Seen, known: Known) -> Sender:
    claimed = [one.address for one in seen.authors]
    if known.sender:
        claimed.append(known.sender)
    return Sender((known.author,) if known.author else (), claimed, known.ip)


def _weighed(found: bayes.Opinion | None) -> list[Reason]:
    if found is None:
        return []
    points = bayes.points(found)
    return [Reason("WORDS", points, f"its words are {found.probability:.1%} those of unwanted mail")] if points else []


def sender_keys(ip: str, author: str) -> list[str]:
    """What a sender is known by: network, and the domain and address when they are proven."""
    keys = []
    try:
        address = ip_address(ip)
    except ValueError:
        pass
    else:
        if not address.is_loopback:
            keys.append(f"network:{neighbourhood(ip)}")
    if author:
        keys += [f"domain:{author.rpartition('@')[2]}", f"sender:{author}"]
    return keys
