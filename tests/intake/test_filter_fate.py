"""What the filter's verdict does with a message: each recipient gets what his thresholds say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from intake_house import House

from postroom.config import Authentication
from postroom.filter import rules
from postroom.filter.judge import Judge, Sources
from postroom.filter.scoring import Thresholds
from postroom.intake.filtering import Filtering, folded
from postroom.intake.model import Peer
from postroom.intake.outside import Means, Outside
from postroom.mailauth.zone import ZoneData
from postroom.message.decode import decode_words
from postroom.message.fields import field_values
from postroom.policy.blocklists import Blocklists
from postroom.store.api import AccountRow, DomainRow, FilterRow, NewEntry
from postroom.store.memory import MemoryStore
from postroom.testing.mailflow import StandingClock
from postroom.values.refusal import Refusal

NOW = 1_800_000_000.0
MAIL = (
    b"From: x@far.test\r\nTo: alice@here.test\r\nSubject: hi\r\nDate: Fri, 15 Jan 2027 08:00:00 +0000\r\n\r\nhello\r\n"
)
STRANGER = Peer(service="smtp", ip="192.0.2.10", port=4711, helo="mail.far.test")


class Doors(House):
    """A house with a filter, for alice and bob."""

    def __init__(self, folder: Path) -> None:
        self.told: list[tuple[str, dict[str, Any]]] = []
        self.store_of_people = MemoryStore(StandingClock(NOW))
        people = self.store_of_people.directory
        dns = ZoneData({})
        judge = Judge(
            Sources(
                training=self.store_of_people.training,
                limits=self.store_of_people.limits,
                directory=people,
                blocklists=Blocklists(dns, [], StandingClock(NOW), self.event),
                rules=rules.load([rules.built_in()]),
                thresholds=Thresholds(junk=5, quarantine=0, refuse=0),
            )
        )
        means = Means(
            directory=people, dns=dns, hostname="mx.here.test", events=self.event, filtering=Filtering(judge, people)
        )
        super().__init__(folder, outside=Outside(means, Authentication()))

    def event(self, name: str, **fields: Any) -> None:
        self.told.append((name, fields))

    async def take(self, *to: str, **wishes: dict[str, Any]) -> NewEntry:
        """wishes: of alice and bob, who both block the sender."""
        people = self.store_of_people.directory
        await people.put_domain(DomainRow(name="here.test", created=0.0))
        for name in ("alice", "bob"):
            await people.put_account(AccountRow(id=name, login=f"{name}@here.test", created=0.0))
            given = {"block": ("far.test",), **wishes.get(name, {})}
            await people.put_wishes(FilterRow(owner=f"{name}@here.test", **given))
        await self.send(STRANGER, MAIL, *(f"{name}@here.test" for name in to), sender="x@far.test")
        return self.queue.entries[-1]


@pytest.fixture
def doors(tmp_path: Path) -> Doors:
    return Doors(tmp_path)


def routes(entry: NewEntry) -> list[str]:
    return [one.route for one in entry.recipients]


async def test_accept_junk_and_quarantine(doors: Doors) -> None:
    entry = await doors.take("alice", alice={"block": ()})
    assert (routes(entry), entry.junk) == (["local"], False)
    entry = await doors.take("alice")
    assert (routes(entry), entry.junk, entry.keywords) == (["local"], True, ("$Junk",))
    entry = await doors.take("alice", alice={"quarantine": 50.0})
    assert (routes(entry), entry.junk) == (["quarantine"], False)
    points, _, words = entry.recipients[0].why.partition(" ")
    assert float(points) > 99
    assert words.startswith("alice@here.test never wants mail from far.test (+100.0); ")
    told = doors.told[-1][1]
    assert told["quarantined"] == ["alice@here.test"]
    header = entry.trace.decode()
    assert "X-Spam-Flag: YES" in header
    assert "never wants mail from far.test" in " ".join(header.split())
    assert "never wants mail from far.test" in str(told["because"])


@pytest.mark.parametrize("address", ["Alice@here.test", "alice+news@here.test"])
async def test_any_address_of_a_reader_has_his_filter(doors: Doors, address: str) -> None:
    """Whoever writes it otherwise, or adds a detail, does not get round it."""
    await doors.take("alice")
    await doors.send(STRANGER, MAIL, address, sender="x@far.test")
    entry = doors.queue.entries[-1]
    assert (routes(entry), entry.junk) == (["local"], True)
    await doors.take("alice", alice={"quarantine": 50.0})
    await doors.send(STRANGER, MAIL, address, sender="x@far.test")
    entry = doors.queue.entries[-1]
    assert (routes(entry), entry.junk) == (["quarantine"], False)
    assert "alice@here.test never wants mail" in entry.recipients[0].why


async def test_refused_when_nobody_wants_it(doors: Doors) -> None:
    with pytest.raises(Refusal) as caught:
        await doors.take("alice", "bob", alice={"refuse": 20.0}, bob={"refuse": 20.0})
    assert caught.value.code == 550


async def test_recipients_differ(doors: Doors) -> None:
    entry = await doors.take("alice", "bob", alice={"quarantine": 20.0}, bob={})
    assert (routes(entry), entry.junk) == (["quarantine", "local"], True)
    assert [one.inbox for one in entry.recipients] == [False, False]
    entry = await doors.take("alice", "bob", alice={"quarantine": 20.0}, bob={"block": ()})
    assert (routes(entry), entry.junk) == (["quarantine", "local"], False)
    entry = await doors.take("alice", "bob", alice={"quarantine": 20.0, "refuse": 30.0}, bob={"junk": 0.0})
    assert (routes(entry), entry.junk) == (["quarantine", "local"], False)
    entry = await doors.take("alice", "bob", alice={"refuse": 30.0}, bob={"junk": 0.0})
    assert (routes(entry), entry.junk) == (["local", "local"], True)
    assert [one.inbox for one in entry.recipients] == [False, True]


def test_reasons_are_readable_whatever_letters_they_have() -> None:
    words = f"a link leads to p\u0430ypal.com\x07, which looks like paypal.com; {'and so on ' * 30}"
    lines = folded("X-Spam-Report", words)
    octets = "".join(f"{line}\r\n" for line in lines).encode("ascii")
    assert max(map(len, octets.split(b"\r\n"))) <= 78
    (value,) = (decode_words(each.replace(b"\r\n", b"")) for each in field_values(octets + b"\r\n", b"x-spam-report"))
    assert value.split() == words.replace("\x07", "?").split()
