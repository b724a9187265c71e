"""What scanners say of mail from outside: refused, junk, marked, or asked to come again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from intake_house import ALICE, House

from postroom.config import Authentication
from postroom.delivery.sorting import virus_of
from postroom.filter.judge import Judge, Sources
from postroom.filter.rules import built_in, load
from postroom.filter.scanners import NOTHING, Postponed, Scanned
from postroom.filter.scoring import Act, Reason
from postroom.identity.model import Hosted, Target
from postroom.intake.filtering import Filtering
from postroom.intake.model import Peer
from postroom.intake.outside import Means, Outside
from postroom.intake.scanning import Scanning
from postroom.mailauth.zone import ZoneData
from postroom.policy.blocklists import Blocklists
from postroom.store.api import AccountRow, DomainRow, FilterRow, NewEntry
from postroom.store.memory import MemoryStore
from postroom.testing.mailflow import StandingClock
from postroom.values.address import Address
from postroom.values.content import Content
from postroom.values.refusal import Refusal
from postroom.wire.rspamd import Question

ZONE: Mapping[str, Any] = {"far.test": {"TXT": ["v=spf1 ip4:192.0.2.10 -all"]}}
PEER = Peer(service="smtp", ip="192.0.2.10", port=4711, helo="mail.far.test")
MAIL = (
    b"From: X <x@far.test>\r\nTo: alice@here.test\r\nSubject: lunch\r\nDate: Fri, 15 Jan 2027 08:00:00 +0000\r\n"
    b"Message-ID: <1@far.test>\r\nX-Virus-Status: clean; by me\r\n\r\nShall we have lunch on Tuesday?\r\n"
)
VIRUS = Scanned(
    (Reason("VIRUS", 0.0, "it holds the virus Eicar"),), Act.REFUSE, None, b"X-Virus-Status: infected (Eicar); x\r\n"
)


class FakeScanners:
    """Says what it is told to say."""

    def __init__(self, says: Scanned | Exception) -> None:
        self.says = says
        self.asked: list[Question] = []

    async def scan(self, content: Content, question: Question) -> Scanned:
        self.asked.append(question)
        return await self.viruses(content)

    async def viruses(self, content: Content) -> Scanned:
        assert content.size
        if isinstance(self.says, Exception):
            raise self.says
        return self.says


class Doors(House):
    """A house whose mail from outside is scanned."""

    def __init__(self, folder: Path, says: Scanned | Exception, *, judged: bool = True) -> None:
        self.told: list[tuple[str, dict[str, Any]]] = []
        self.rows = MemoryStore(StandingClock(1_800_000_000.0))
        self.scanners = FakeScanners(says)
        scanning: Any = Scanning(self.scanners, "mx.here.test")  # type: ignore[arg-type]
        sources = Sources(
            training=self.rows.training,
            limits=self.rows.limits,
            directory=self.rows.directory,
            blocklists=Blocklists(ZoneData({}), [], StandingClock(0.0), self.event),
            rules=load([built_in()]),
        )
        filtering = Filtering(Judge(sources) if judged else None, self.rows.directory, scanning)
        means = Means(
            directory=self.rows.directory,
            dns=ZoneData(dict(ZONE)),
            hostname="mx.here.test",
            events=self.event,  # type: ignore[arg-type]
            filtering=filtering,
        )
        super().__init__(folder, outside=Outside(means, Authentication()))

    def event(self, name: str, **fields: Any) -> None:
        self.told.append((name, fields))

    async def take(self, *wishes: FilterRow) -> NewEntry:
        await self.rows.directory.put_domain(DomainRow(name="here.test", created=0.0))
        await self.rows.directory.put_account(AccountRow(id=ALICE.id, login=ALICE.login, created=0.0))
        for row in wishes:
            await self.rows.directory.put_wishes(row)
        await self.send(PEER, MAIL, "alice@here.test")
        return self.queue.entries[-1]


async def test_a_virus_is_refused_whatever_anybody_wishes(tmp_path: Path) -> None:
    doors = Doors(tmp_path, VIRUS)
    with pytest.raises(Refusal) as caught:
        await doors.take(FilterRow(owner=ALICE.login, allow=("far.test",), off=True))
    assert caught.value.code == 550
    assert caught.value.public == "This message cannot be taken: it holds the virus Eicar"
    assert not doors.queue.entries
    checked = doors.told[-1][1]
    assert checked["verdict"] == "refuse"


@pytest.mark.parametrize("judged", [True, False])
async def test_a_virus_may_be_junk_and_sieve_hears_of_it(tmp_path: Path, judged: bool) -> None:
    doors = Doors(tmp_path, Scanned(VIRUS.findings, Act.JUNK, None, VIRUS.added, {"virus": "Eicar"}), judged=judged)
    entry = await doors.take()
    assert entry.junk
    whole = entry.trace + entry.content.read()
    assert whole.lower().count(b"x-virus-status") == 1  # the one the message came with is gone
    assert virus_of(whole) == 5
    assert doors.told[-1][1]["virus"] == "Eicar"
    assert (b"X-Spam-Score" in whole) is judged


@pytest.mark.parametrize(
    ("field", "value"),
    [
        (b"X-Virus-Status: clean; ClamAV 1\r\n", 1),
        (b"X-Virus-Status: suspicious (PUA.X); ClamAV 1\r\n", 4),
        (b"X-Virus-Status: encrypted (x); ClamAV 1\r\n", 4),
        (b"X-Virus-Status:\r\n infected (x); ClamAV 1\r\n", 5),
        (b"X-Virus-Status: oversized; ClamAV 1\r\n", 0),
        (b"X-Virus-Status: unchecked; mx\r\n", 0),
        (b"Received: ours\r\nX-Virus-Status: clean; mx\r\n", 1),
        (b"Received: ours\r\nReceived: theirs\r\nX-Virus-Status: infected; mx\r\n", 0),
        (b"", 0),
    ],
)
def test_what_virustest_is_told(field: bytes, value: int) -> None:
    assert virus_of(field + b"Subject: x\r\n\r\n") == value


async def test_a_decision_holds_where_people_wish_nothing_else(tmp_path: Path) -> None:
    says = Scanned((Reason("RSPAMD", 6.0, "rspamd gives it 7.5"),), Act.ACCEPT, Act.JUNK)
    doors = Doors(tmp_path, says)
    assert (await doors.take()).junk
    assert not (await doors.take(FilterRow(owner=ALICE.login, off=True))).junk
    assert not (await doors.take(FilterRow(owner=ALICE.login, allow=("far.test",)))).junk
    doors.scanners.says = Scanned(says.findings, Act.ACCEPT, Act.ACCEPT)
    assert not (await doors.take(FilterRow(owner=ALICE.login))).junk
    with pytest.raises(Refusal, match="never wants"):
        await doors.take(FilterRow(owner=ALICE.login, block=("far.test",)))


async def test_its_score_is_one_reason_of_many(tmp_path: Path) -> None:
    doors = Doors(tmp_path, Scanned((Reason("RSPAMD", 6.0, "rspamd gives it 7.5"),), told={"rspamd": "7.5 of 15"}))
    entry = await doors.take()
    assert entry.junk
    assert b"tests=RSPAMD" in entry.trace.replace(b"\r\n ", b" ")
    asked = doors.scanners.asked[0]
    assert (asked.sender, list(asked.recipients), asked.ip) == ("x@far.test", ["alice@here.test"], "192.0.2.10")
    assert (asked.helo, asked.here, asked.id) == ("mail.far.test", "mx.here.test", entry.id)


async def test_what_must_be_looked_at_and_cannot_comes_again(tmp_path: Path) -> None:
    doors = Doors(tmp_path, Postponed("clamd is gone"))
    with pytest.raises(Refusal) as caught:
        await doors.take()
    assert (caught.value.code, caught.value.reason) == (451, "clamd is gone")


class Trapped(Doors):
    """trap@here.test is a trap."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, NOTHING)
        known = self.identity.resolve

        async def resolve(address: Address) -> Any:
            if str(address) == "trap@here.test":
                return Hosted((Target("trap@here.test", None, trap=True),))
            return await known(address)

        self.identity.resolve = resolve  # type: ignore[method-assign]

    async def to(self, *addresses: str, mail: bytes = MAIL) -> NewEntry:
        await self.rows.directory.put_domain(DomainRow(name="here.test", created=0.0))
        await self.rows.directory.put_account(AccountRow(id=ALICE.id, login=ALICE.login, created=0.0))
        await self.send(PEER, mail, *addresses)
        return self.queue.entries[-1]


async def test_mail_that_also_goes_to_a_trap_is_junk_for_the_others(tmp_path: Path) -> None:
    doors = Trapped(tmp_path)
    assert not (await doors.to("alice@here.test")).junk
    entry = await doors.to("alice@here.test", "trap@here.test")
    assert entry.junk
    assert [(one.address, one.route) for one in entry.recipients] == [
        ("alice@here.test", "local"),
        ("trap@here.test", "trap"),
    ]
    assert "which only senders of spam know" in doors.told[-1][1]["because"]


async def test_mail_to_traps_alone_is_never_refused(tmp_path: Path) -> None:
    doors = Trapped(tmp_path)
    forged = MAIL.replace(b"x@far.test", b"boss@here.test")
    with pytest.raises(Refusal):
        await doors.to("alice@here.test", "trap@here.test", mail=forged)
    entry = await doors.to("trap@here.test", mail=forged)
    assert [one.route for one in entry.recipients] == ["trap"]
