"""Training and judging through the filter's own rooms, and the figures that come of it.

Every message is judged as intake would have it judged, by a store of its own on disk; `Result` has the points.
On failure: what the store raises.
"""

from __future__ import annotations

import resource
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from pathlib import Path

from postroom.config import Blocklist
from postroom.filter import rules
from postroom.filter.findings import findings
from postroom.filter.judge import Judge, Known, Reader, Sources, sender_keys
from postroom.filter.scoring import Score
from postroom.filter.seen import see
from postroom.filter.tokens import tokens
from postroom.mailauth.zone import ZoneData
from postroom.policy.blocklists import Blocklists
from postroom.store.api import EVERYBODY, Charge, Demand, DomainRow, Lesson, Per, Store
from postroom.store.embedded import EmbeddedStore
from postroom.testing.spam.make import BOSS, NOW, READER, Sample
from postroom.values.clock import SystemClock
from postroom.values.content import Content

_WARNING = f"{BOSS} is the name of one of ours, but this message comes from outside."
_READER = Reader(READER, "reader")


@dataclass(slots=True)
class Result:
    """One judged message. seconds: of CPU."""

    sample: Sample
    score: Score
    seconds: float


@dataclass(slots=True)
class Outcome:
    """All of it. memory: MiB of the process at most; learned: messages."""

    results: list[Result] = field(default_factory=list)
    learned: int = 0
    memory: float = 0.0

    def points(self, spam: bool) -> list[float]:
        """Of all messages of a kind, lowest first."""
        return sorted(one.score.points for one in self.results if one.sample.spam is spam)

    def lost(self, caught: float) -> float:
        """Share of wanted mail at or above the score that this share of unwanted mail reaches."""
        unwanted, wanted = self.points(True), self.points(False)
        bound = unwanted[int(len(unwanted) * (1 - caught))]
        return sum(one >= bound for one in wanted) / len(wanted)

    def caught(self, lost: float) -> float:
        """Share of unwanted mail above the score that no more than this share of wanted mail passes."""
        wanted, unwanted = self.points(False), self.points(True)
        bound = wanted[-1 - int(len(wanted) * lost)]
        return sum(one > bound for one in unwanted) / len(unwanted)

    def share(self, spam: bool, bound: float) -> float:
        """Share of a kind at or above a score."""
        points = self.points(spam)
        return sum(one >= bound for one in points) / len(points)

    def costs(self) -> tuple[float, float]:
        """Mean and 99th percentile of the CPU time of judging a message, in milliseconds."""
        seconds = sorted(one.seconds for one in self.results)
        return sum(seconds) / len(seconds) * 1e3, seconds[int(len(seconds) * 0.99)] * 1e3

    def wrong(self, bound: float) -> Counter[str]:
        """Messages on the wrong side of a score, by kind."""
        found = (one for one in self.results if (one.score.points >= bound) is not one.sample.spam)
        return Counter(f"{'missed' if one.sample.spam else 'lost'}: {one.sample.kind}" for one in found)


async def measured(train: Iterable[Sample], held: Iterable[Sample], folder: Path) -> Outcome:
    """Train with one part and judge the other, with a store in this folder."""
    store = EmbeddedStore(str(folder), 0)
    try:
        await store.directory.put_domain(DomainRow(name=READER.rpartition("@")[2], created=0))
        outcome = Outcome()
        for number, sample in enumerate(train):
            await learn(store, sample, number)
            outcome.learned += 1
        judge = judge_of(store)
        for sample in held:
            await _acquaint(store, sample)
            outcome.results.append(await _judged(judge, sample))
        outcome.memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        return outcome
    finally:
        await store.close()


def judge_of(store: Store) -> Judge:
    """With the built-in rules and no list in the DNS."""
    clock = SystemClock()
    no_lists: Sequence[Blocklist] = ()
    return Judge(
        Sources(
            training=store.training,
            limits=store.limits,
            directory=store.directory,
            blocklists=Blocklists(ZoneData({}), no_lists, clock, lambda name, /, **fields: None),
            rules=rules.load([rules.built_in()]),
        )
    )


async def learn(store: Store, sample: Sample, number: int) -> None:
    """As if a reader had moved it (filter.training)."""
    lesson = Lesson(id=str(number), tokens=tuple(tokens(see(Content.of(sample.octets)))), spam=sample.spam)
    await store.training.learn(EVERYBODY, [lesson], NOW)
    keys = sender_keys(sample.facts.ip, sample.author if sample.facts.proven else "")
    if keys:
        await store.training.rate(keys, float(not sample.spam), float(sample.spam), NOW)


async def _acquaint(store: Store, sample: Sample) -> None:
    """The reader has written to the author before."""
    if sample.facts.known:
        charge = Charge(name=_READER.account, kind="day", per=Per.NEW, limit=0, window=60)
        demand = Demand(account=_READER.account, recipients=(sample.author,), charges=(charge,))
        await store.limits.take(demand, NOW)


async def _judged(judge: Judge, sample: Sample) -> Result:
    facts = sample.facts
    content = Content.of(sample.octets)
    known = Known(
        ip=facts.ip,
        now=_now(sample),
        author=sample.author if facts.proven else "",
        findings=tuple(findings(facts.proofs, facts.peer, _WARNING if facts.warned else "")),
    )
    began = time.process_time()
    found = await judge.judge(content, known, [_READER])
    return Result(sample, found.scores[0], time.process_time() - began)


def _now(sample: Sample) -> float:
    """When it came: mail of a corpus came when it was written."""
    if sample.facts.ip:
        return NOW
    for line in sample.octets.partition(b"\r\n\r\n")[0].split(b"\r\n"):
        if line.lower().startswith(b"received:") or line.startswith((b"\t", b" ")):
            stamp = line.rpartition(b";")[2].strip().decode("latin-1")
            try:
                return parsedate_to_datetime(stamp).timestamp()
            except (ValueError, TypeError, IndexError):
                continue
    return NOW
