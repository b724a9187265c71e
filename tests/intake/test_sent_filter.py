"""What our own people send to others: told of, held or refused, and never slower than it must be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from intake_house import House

from postroom.config import Filter
from postroom.filter import rules
from postroom.filter.judge import Judge, Sources
from postroom.intake.model import Peer
from postroom.intake.sent_filter import A_MINUTE, A_SECOND, SentFilter, SentRooms
from postroom.mailauth.zone import ZoneData
from postroom.policy.blocklists import Blocklists
from postroom.policy.words import Notice
from postroom.store.api import AccountRow, DomainRow, FilterRow, NewEntry, StoreUnavailable
from postroom.store.memory import MemoryStore
from postroom.testing.mailflow import StandingClock
from postroom.values.content import Content
from postroom.values.refusal import Refusal

NOW = 1_800_000_000.0
ALICE = AccountRow(id="a", login="alice@here.test", created=0.0)
USER = Peer(service="submission", ip="192.0.2.8", port=4711, helo="laptop", account=ALICE)
RULE = '[[rule]]\nname = "PILLS"\nwords = ["miracle pills"]\npoints = 9.0\ntext = "it sells miracle pills"\n'
HAM = b"From: alice@here.test\r\nTo: bob@far.test\r\nSubject: lunch\r\n\r\nsee you at noon\r\n"
SPAM = HAM.replace(b"see you at noon", b"buy miracle pills")


class Desk(House):
    """A house whose people are looked at."""

    def __init__(self, folder: Path, **config: float) -> None:
        self.told: list[tuple[str, dict[str, Any]]] = []
        self.flagged: list[str] = []
        self.notices: list[Notice] = []
        self.clock_ = StandingClock(NOW)
        self.people = MemoryStore(self.clock_)
        judge = Judge(
            Sources(
                training=self.people.training,
                limits=self.people.limits,
                directory=self.people.directory,
                blocklists=Blocklists(ZoneData({}), [], self.clock_, self.event),
                rules=rules.load([RULE]),
            )
        )
        rooms = SentRooms(
            judge=judge,
            directory=self.people.directory,
            clock=self.clock_,
            event=self.event,
            flagged=lambda account: self.flagged.append(account.login),
            post=self.notices.append,
        )
        self.sent = SentFilter(rooms, Filter(**config))
        super().__init__(folder)
        self.intake._sent = self.sent

    def event(self, name: str, **fields: Any) -> None:
        self.told.append((name, fields))

    async def submit(self, octets: bytes | Content, *to: str) -> NewEntry:
        await self.people.directory.put_domain(DomainRow(name="here.test", created=0.0))
        await self.people.directory.put_account(ALICE)
        await self.send(USER, octets, *(to or ("bob@far.test",)), sender="alice@here.test")
        return self.queue.entries[-1]

    def verdicts(self) -> list[str]:
        return [str(fields["verdict"]) for name, fields in self.told if name == "mail.flagged"]


def routes(entry: NewEntry) -> list[str]:
    return [one.route for one in entry.recipients]


async def test_by_default_it_is_only_told_of_and_after_it_was_taken(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    entry = await desk.submit(SPAM)
    assert routes(entry) == ["remote"]
    assert desk.verdicts() == [], "nobody has waited for that"
    await desk.sent.settled()
    assert desk.verdicts() == ["flag"]
    told = desk.told[-1][1]
    assert (told["queue_id"], told["login"], told["spam"] >= 9) == (entry.id, "alice@here.test", True)
    assert "it sells miracle pills" in str(told["because"])
    assert desk.flagged == ["alice@here.test"]
    assert desk.notices == []
    await desk.submit(HAM)
    await desk.sent.settled()
    assert desk.verdicts() == ["flag"]


async def test_it_is_held_for_all_its_recipients(tmp_path: Path) -> None:
    desk = Desk(tmp_path, hold_sent=8.0)
    entry = await desk.submit(SPAM, "bob@far.test", "bob@here.test")
    assert routes(entry) == ["quarantine", "quarantine"]
    assert entry.recipients[0].why.endswith("it sells miracle pills (+9.0)")
    await desk.submit(SPAM)
    assert desk.verdicts() == ["hold", "hold"]
    (notice,) = desk.notices
    assert (notice.login, notice.to_admin) == ("alice@here.test", True)
    assert "postroom quarantine list --outgoing --account alice@here.test" in notice.text
    desk.clock_.time += 3601
    await desk.submit(SPAM)
    assert len(desk.notices) == 2
    assert routes(await desk.submit(HAM)) == ["remote"]


async def test_it_is_refused(tmp_path: Path) -> None:
    desk = Desk(tmp_path, hold_sent=5.0, refuse_sent=8.0)
    with pytest.raises(Refusal) as caught:
        await desk.submit(SPAM)
    assert (caught.value.code, caught.value.enhanced) == (550, "5.7.1")
    assert not desk.queue.entries
    assert desk.verdicts() == ["refuse"]


async def test_mail_that_stays_here_is_not_looked_at(tmp_path: Path) -> None:
    desk = Desk(tmp_path, refuse_sent=1.0)
    assert routes(await desk.submit(SPAM, "bob@here.test")) == ["local"]
    assert desk.told == []


async def test_a_person_or_domain_may_have_other_scores(tmp_path: Path) -> None:
    desk = Desk(tmp_path, hold_sent=8.0)
    await desk.people.directory.put_wishes(FilterRow(owner="here.test", hold=0.0, flag=0.0))
    assert routes(await desk.submit(SPAM)) == ["remote"]
    await desk.sent.settled()
    assert desk.verdicts() == []
    await desk.people.directory.put_wishes(FilterRow(owner="alice@here.test", hold=9.0))
    assert routes(await desk.submit(SPAM)) == ["quarantine"]


async def test_a_filter_that_fails_holds_up_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(tmp_path, hold_sent=8.0)

    async def broken(*_: object) -> None:
        raise StoreUnavailable("no directory")

    monkeypatch.setattr("postroom.intake.sent_filter.wishes_of", broken)
    assert routes(await desk.submit(SPAM)) == ["remote"]
    assert [name for name, _ in desk.told] == ["filter.fault"]


async def test_a_burst_is_looked_at_in_part(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    for _ in range(A_SECOND + 5):
        await desk.submit(SPAM)
    await desk.sent.settled()
    assert len(desk.verdicts()) == A_SECOND
    desk.clock_.time += 1
    for _ in range(A_MINUTE):
        await desk.submit(SPAM)
    await desk.sent.settled()
    assert len(desk.verdicts()) == A_MINUTE
    desk.clock_.time += 60
    await desk.submit(SPAM)
    await desk.sent.settled()
    assert len(desk.verdicts()) == A_MINUTE + 1


async def test_an_unforeseen_fault_holds_up_nothing_behind_it(tmp_path: Path) -> None:
    """Neither in the judge nor in whoever is told."""
    desk = Desk(tmp_path)
    told = desk.flagged.append
    faults = [RuntimeError("not foreseen")]

    def flagged(account: Any) -> None:
        if faults:
            raise faults.pop()
        told(account.login)

    object.__setattr__(desk.sent._rooms, "flagged", flagged)
    await desk.submit(SPAM)
    await desk.submit(SPAM)
    await desk.sent.settled()
    assert desk.verdicts() == ["flag", "flag"]
    assert desk.flagged == ["alice@here.test"]
    assert [fields["reason"] for name, fields in desk.told if name == "filter.fault"] == ["not foreseen"]
