"""Lists of addresses and domains in the DNS: what they say of a peer, summed by weight.

Owns: the health of each list. A list that lists everything, has lost its test entries, refuses our questions or leaves
them unanswered is left out for a while, and that is told once.
Trusts: nothing a list says but codes in 127.0.0.0/8; answers that come late are no answers.
Standards: RFC 5782 2.1 (addresses), 2.4 (IPv6), 3 (domains), 5 (test entries). 127.255.255.0/24 is how large lists say
that they will not answer us.
On failure: nothing raises; a list that cannot be asked counts nothing.
"""

from __future__ import annotations

import asyncio
from base64 import b32encode
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import sha1, sha256
from ipaddress import ip_network
from typing import Final, Protocol, TypeVar

from postroom.config import Blocklist, BlocklistKind
from postroom.policy.networks import Networks, reversed_labels
from postroom.values.clock import Clock
from postroom.values.dns import Dns, DnsProblem, DnsUnavailable, NoSuchName, RecordType

_PROVEN: Final = 3600.0  # seconds a list is used after its test entries were right
_BROKEN: Final = 600.0  # seconds it is left out after they were wrong
_SILENT: Final = 60.0  # seconds it is left out after it did not answer
_LATE: Final = 3  # answers in a row that came too late, until it is left out
_TEXT: Final = 160  # octets of a list's own words that a peer is told
_WORDS: Final = 1.0  # seconds to wait for them
_REFUSES: Final = "127.255.255."

#: lists that are asked about the peer; the others about the message
OF_PEERS: Final = frozenset((BlocklistKind.IP, BlocklistKind.DOMAIN))
#: lists whose entries are digests
_DIGESTS: Final = frozenset((BlocklistKind.EMAIL, BlocklistKind.FILE))

_T = TypeVar("_T")


class Event(Protocol):
    """Where the log is told."""

    def __call__(self, name: str, /, **fields: object) -> None: ...


@dataclass(frozen=True, slots=True)
class Hit:
    """One list has one address or domain. codes: its answers; question: the name that was asked for."""

    zone: str
    item: str
    codes: tuple[str, ...]
    weight: float
    question: str

    def __str__(self) -> str:
        return f"{self.item} is listed by {self.zone} ({', '.join(self.codes)}; {self.weight:+g})"


@dataclass(frozen=True, slots=True)
class Listed:
    """What all lists say. score: the sum of the weights; unheard: lists that did not answer in time or are left out."""

    score: float = 0.0
    hits: tuple[Hit, ...] = ()
    unheard: tuple[str, ...] = ()

    @property
    def reason(self) -> str:
        """In words."""
        return "; ".join(map(str, self.hits)) or "not listed"


NOT_LISTED: Final = Listed()


@dataclass(slots=True)
class _List:
    """One zone and what its codes weigh."""

    zone: str
    kind: BlocklistKind
    test: str
    rows: list[tuple[Callable[[str], bool], float]] = field(default_factory=list)
    until: float = float("-inf")  # what `fault` says holds until then; "" is a list that works
    fault: str = ""
    late: int = 0

    def weigh(self, codes: Iterable[str]) -> list[float]:
        """The weights of the rows that one of these codes belongs to."""
        return [weight for matches, weight in self.rows if any(map(matches, codes))]


class Blocklists:
    """Asks the configured lists. Without any, `active` is False and nothing is asked."""

    def __init__(self, dns: Dns, lists: Sequence[Blocklist], clock: Clock, event: Event) -> None:
        self._dns = dns
        self._clock = clock
        self._event = event
        found: dict[tuple[str, BlocklistKind], _List] = {}
        for one in lists:
            zone = one.zone.lower().strip(".")
            row = found.setdefault((zone, one.kind), _List(zone, one.kind, one.test))
            row.test = row.test or one.test
            row.rows.append((_codes(one.codes), one.weight))
        self._lists = list(found.values())

    @property
    def active(self) -> bool:
        """True when there is a list to ask."""
        return bool(self._lists)

    @property
    def kinds(self) -> frozenset[BlocklistKind]:
        """What there are lists of."""
        return frozenset([one.kind for one in self._lists])

    async def judge_digests(self, kind: BlocklistKind, digests: Sequence[tuple[str, str]], seconds: float) -> Listed:
        """What lists of addresses or files in messages say: of each its name for people, and its digest."""
        return await self._judge([one for one in self._lists if one.kind is kind], lambda _: digests, seconds)

    async def judge(self, ip: str, domains: Sequence[str], seconds: float) -> Listed:
        """What the lists say of an address and of domains, within so many seconds."""
        address = reversed_labels(ip)

        def items(one: _List) -> Sequence[tuple[str, str]]:
            return [(ip, address)] if one.kind is BlocklistKind.IP else [(domain, domain) for domain in domains]

        return await self._judge([one for one in self._lists if one.kind not in _DIGESTS], items, seconds)

    async def _judge(
        self, lists: Sequence[_List], items: Callable[[_List], Sequence[tuple[str, str]]], seconds: float
    ) -> Listed:
        if not lists:
            return NOT_LISTED
        asked: dict[asyncio.Task[Hit | None], _List] = {}
        left_out = []
        for one in lists:
            if one.fault and self._clock.monotonic() < one.until:
                left_out.append(one.zone)
                continue
            for item, labels in items(one):
                if labels:
                    asked[asyncio.ensure_future(self._ask(one, item, labels))] = one
        done = await _within(seconds, asked)
        best: dict[int, Hit] = {}
        hits, unheard = [], left_out
        for task, one in asked.items():
            answered = task in done and task.exception() is None
            if not self._heard(one, answered):
                unheard.append(one.zone)
            hit = task.result() if answered else None
            if hit is not None:
                hits.append(hit)
                known = best.get(id(one))
                if known is None or abs(known.weight) < abs(hit.weight):
                    best[id(one)] = hit  # a list counts once, for the address or for one of the domains
        return Listed(sum(hit.weight for hit in best.values()), tuple(hits), tuple(dict.fromkeys(unheard)))

    async def words(self, hit: Hit) -> str:
        """What a list says about an entry (RFC 5782 2.1), as harmless ASCII; "" when it says nothing in time."""
        task = asyncio.ensure_future(self._dns.lookup(hit.question, RecordType.TXT))
        try:
            if not await _within(_WORDS, [task]):
                return ""
            records = task.result().records
        except DnsProblem:
            return ""
        text = " ".join(records[0].decode("ascii", "replace").split()) if records else ""
        return "".join(each if each.isascii() and each.isprintable() else "?" for each in text)[:_TEXT]

    async def _ask(self, one: _List, item: str, labels: str) -> Hit | None:
        """Raises DnsUnavailable."""
        if self._clock.monotonic() >= one.until:
            await self._prove(one)
        if one.fault:
            return None
        question = f"{labels}.{one.zone}"
        codes = await self._codes_of(one, question)
        weights = one.weigh(codes)
        return Hit(one.zone, item, codes, sum(weights), question) if weights else None

    async def _codes_of(self, one: _List, question: str) -> tuple[str, ...]:
        """The codes a list has for a name. Raises DnsUnavailable."""
        try:
            records = (await self._dns.lookup(question, RecordType.A)).records
        except NoSuchName:
            return ()
        refusals = [code for code in records if code.startswith(_REFUSES)]
        strange = [code for code in records if not code.startswith("127.")]
        if refusals:
            self._leave_out(one, f"it refuses our questions ({refusals[0]})", _BROKEN)
        elif strange:
            self._leave_out(one, f"{strange[0]} is no code of a list: the zone is somebody else's now", _BROKEN)
        else:
            return tuple(records)
        return ()

    # health

    async def _prove(self, one: _List) -> None:
        """RFC 5782 5: the test entry must be there, and its opposite must not."""
        must, must_not = _test_entries(one)
        began = self._clock.monotonic()
        try:
            if await self._codes_of(one, f"{must_not[1]}.{one.zone}"):
                self._leave_out(one, f"it lists everything, also {must_not[0]}", _BROKEN)
                return
            there = not must
            for _, labels in must:
                there = there or bool(await self._codes_of(one, f"{labels}.{one.zone}"))
        except DnsUnavailable as fault:
            self._leave_out(one, f"it does not answer: {fault}", _SILENT)
            return
        if one.fault and began < one.until:
            return  # its answers were no codes
        if not there:
            self._leave_out(one, f"its test entry {must[0][0]} is missing", _BROKEN)
            return
        if one.fault:
            self._event("blocklist.restored", zone=one.zone)
        one.fault, one.until = "", self._clock.monotonic() + _PROVEN

    def _heard(self, one: _List, in_time: bool) -> bool:
        """Count answers that came too late."""
        one.late = 0 if in_time else one.late + 1
        if one.late >= _LATE:
            one.late = 0
            self._leave_out(one, "its answers come too late", _SILENT)
        return in_time and not one.fault

    def _leave_out(self, one: _List, fault: str, seconds: float) -> None:
        if not one.fault:
            self._event("blocklist.ignored", zone=one.zone, reason=fault)
        one.fault = fault
        one.until = self._clock.monotonic() + seconds


async def _within(seconds: float, tasks: Iterable[asyncio.Task[_T]]) -> set[asyncio.Task[_T]]:
    """Those that are done by then; the others are cancelled, and all of them when the caller is."""
    waiting = list(tasks)
    if not waiting:
        return set()
    try:
        done, _ = await asyncio.wait(waiting, timeout=seconds)
    finally:
        for task in waiting:
            task.cancel()  # nothing for those that are done
    return done


def _test_entries(one: _List) -> tuple[list[tuple[str, str]], tuple[str, str]]:
    """What must be listed (one of them), and what must not: each in words, and as labels before the zone."""
    if one.kind in _DIGESTS:
        label = address_digest(one.test) if one.kind is BlocklistKind.EMAIL else one.test.lower()
        return [(one.test, label)] if one.test else [], ("INVALID", "invalid")
    if one.kind is not BlocklistKind.IP:
        test = one.test or "TEST"
        return [(test, test.lower())], ("INVALID", "invalid")
    if one.test:
        return [(one.test, reversed_labels(one.test))], ("127.0.0.1", "1.0.0.127")
    six = "::ffff:127.0.0.2"  # a list of IPv6 addresses only has this one (RFC 5782 5)
    return [("127.0.0.2", "2.0.0.127"), (six, reversed_labels(six))], ("127.0.0.1", "1.0.0.127")


def address_digest(address: str) -> str:
    """What lists of addresses have: SHA-1 of the address in lower case, hexadecimal."""
    return sha1(address.lower().encode("utf-8", "replace"), usedforsecurity=False).hexdigest()


def file_digest(octets: bytes) -> str:
    """What lists of files have: SHA-256 in base32, which fits into one label of a name."""
    return b32encode(sha256(octets).digest()).decode("ascii").rstrip("=").lower()


def _codes(texts: Sequence[str]) -> Callable[[str], bool]:
    """Is an answer one of these codes? Each is an address or a network; none: every code."""
    return Networks(str(ip_network(text, strict=False)) for text in texts).contains if texts else _any


def _any(_code: str) -> bool:
    return True
