"""Daily reports leave once, signed, in the name of a hosted domain, whatever dies in between."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from postroom.app.daily import DailyReports, DailyRooms
from postroom.app.runfolder import Lock
from postroom.config import Config, Reports, Server
from postroom.identity.service import Identity
from postroom.intake.routing import Routes
from postroom.intake.signing import Signer
from postroom.mailauth.dkim import DkimVerifier, SigningKey, generate_key
from postroom.mailauth.header import split_message
from postroom.mailauth.zone import ZoneData
from postroom.queue.daily import DailyReport, ReportDay, Submitter, Unsent
from postroom.store.api import (
    DomainRow,
    Entry,
    KeyState,
    NewEntry,
    QueueFilter,
    RecipientState,
    SigningKeyRow,
    StoreUnavailable,
)
from postroom.store.embedded import EmbeddedStore
from postroom.store.memory import MemoryStore
from postroom.testing.mailflow import Events, StandingClock

DAY = ReportDay.named("2026-03-04")
KEY = SigningKeyRow(
    domain="here.test",
    selector="s",
    algorithm="ed25519-sha256",
    private=generate_key("ed25519"),
    state=KeyState.ACTIVE,
    since=0.0,
)
ZONE = ZoneData({"s._domainkey.here.test": {"TXT": [SigningKey.load("here.test", "s", KEY.private).record]}})


def report(name: str, *to: str, **fields: object) -> DailyReport:
    given: dict[str, object] = {
        "name": name,
        "to": to or (f"dmarc@{name}",),
        "id": f"id-{name}",
        "subject": f"Report Domain: {name} Submitter: here.test Report-ID: <2026-03-04_{name}@here.test>",
        "words": "A report.\n\nFor programs.",
        "file": f"here.test!{name}!1!2.xml.gz",
        "media_type": "application/gzip",
        "octets": b"\x1f\x8b" + bytes(200),
    }
    return DailyReport(**(given | fields))


class Maker:
    """Gives what it is told to."""

    kind = "dmarc"

    def __init__(self, *reports: DailyReport | Unsent) -> None:
        self.made = reports
        self.asked: list[tuple[str, Submitter]] = []
        self.broken = False

    async def reports(self, day: ReportDay, submitter: Submitter) -> AsyncIterator[DailyReport | Unsent]:
        self.asked.append((day.name, submitter))
        for one in self.made:
            yield one
        if self.broken:
            raise StoreUnavailable("disk full")


class House:
    """A worker with reports and nothing else."""

    def __init__(self, folder: Path, maker: Maker) -> None:
        self.clock = StandingClock(DAY.begin + 86400.0 + 6 * 3600)
        self.store = MemoryStore(clock=self.clock)
        self.events = Events()
        self.maker = maker
        self.config = Config(server=Server(hostname="mx.here.test"), reports=Reports(org_name="Here Ltd"))
        self.ids = (f"q{number}" for number in itertools.count(1))
        self.lock = folder / "reports.lock"
        self.crash = ""
        self.posted: list[str] = []
        self.entries: list[NewEntry] = []
        self.daily = self.fresh()

    def fresh(self) -> DailyReports:
        """As after a restart."""
        return DailyReports(self.rooms, lambda: (self.maker,), lambda: self.config, Lock(self.lock))

    def rooms(self) -> DailyRooms:
        identity = Identity(self.store.directory, None, self.clock, self.config.passwords, hostname="mx.here.test")  # type: ignore[arg-type]
        return DailyRooms(
            store=self.store,
            accept=self.accept,
            new_id=lambda: next(self.ids),
            route=Routes(identity),
            signer=Signer(self.store.directory, self.events, enabled=True),
            clock=self.clock,
            events=self.events,
            random=lambda: 0.5,
            post=self.post,
        )

    async def accept(self, entry: NewEntry) -> Entry:
        if self.crash == "before":
            raise KeyboardInterrupt
        kept = await self.store.queue.accept(entry)
        self.entries.append(entry)
        if self.crash == "after":
            raise KeyboardInterrupt
        return kept

    async def post(self, uri: str, what: DailyReport) -> None:
        self.posted.append(uri)

    async def open(self) -> None:
        await self.store.directory.put_domain(DomainRow(name="older.test", created=1.0))
        await self.store.directory.put_domain(DomainRow(name="here.test", created=2.0))
        await self.store.directory.put_signing_keys([KEY])


async def house(folder: Path, *reports: DailyReport | Unsent) -> House:
    made = House(folder, Maker(*reports))
    await made.open()
    return made


async def test_it_leaves_signed_in_the_name_of_the_servers_domain(tmp_path: Path) -> None:
    one = await house(tmp_path, report("far.test", "a@far.test", "b@collect.test"))
    await one.daily.send_day(DAY)
    (entry,) = one.entries
    assert one.maker.asked[0][1] == Submitter(
        domain="here.test", org="Here Ltd", contact="postmaster@here.test", hostname="mx.here.test"
    )
    assert entry.sender == "noreply-dmarc@here.test"
    assert [(each.address, each.route, each.notify) for each in entry.recipients] == [
        ("a@far.test", "remote", "NEVER"),
        ("b@collect.test", "remote", "NEVER"),
    ]
    head, body = split_message(entry.trace + entry.content.read())
    verifier = DkimVerifier(head)
    verifier.body(body)
    (result,) = await verifier.results(ZONE, int(one.clock.time))
    assert (result.result, result.domain) == ("pass", "here.test")
    assert b'From: "Here Ltd" <noreply-dmarc@here.test>\r\n' in head
    assert b"Auto-Submitted: auto-generated\r\n" in head
    assert b'filename="here.test!far.test!1!2.xml.gz"' in body
    assert entry.content.read().isascii()
    assert max(map(len, entry.content.read().split(b"\r\n"))) <= 998
    assert entry.release > one.clock.time
    assert one.events.of("reports.sent")[0]["domain"] == "far.test"


async def test_a_day_is_made_once(tmp_path: Path) -> None:
    one = await house(tmp_path, report("far.test"))
    await one.daily.send_day(DAY)
    await one.daily.send_day(DAY)
    await one.fresh().send_day(DAY)
    assert (len(one.entries), len(one.maker.asked)) == (1, 1)


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("gone", [False, True])
async def test_a_crash_sends_nothing_twice_and_skips_nothing(tmp_path: Path, moment: str, gone: bool) -> None:
    one = await house(tmp_path, report("far.test"), report("else.test"))
    one.crash = moment
    with pytest.raises(KeyboardInterrupt):
        await one.daily.send_day(DAY)
    if gone and one.entries:  # relayed before anybody looked
        (entry,) = await one.store.queue.due(1e12)
        await one.store.queue.update(entry.id, [replace(entry.recipients[0], state=RecipientState.DELIVERED)])
        one.store.events.add(one.clock.time, "message.relayed", {"queue_id": entry.id})
    one.crash = ""
    await one.fresh().send_day(DAY)
    assert sorted(entry.recipients[0].address for entry in one.entries) == ["dmarc@else.test", "dmarc@far.test"]
    assert len({entry.id for entry in one.entries}) == 2
    assert await one.store.reports.finished("dmarc", DAY.name)


async def test_a_store_that_fails_is_asked_again(tmp_path: Path) -> None:
    one = await house(tmp_path, report("far.test"))
    one.maker.broken = True
    await one.daily.send_day(DAY)
    assert one.events.of("reports.failed")[0]["day"] == DAY.name
    one.maker.broken = False
    await one.daily.send_day(DAY)
    assert len(one.entries) == 1
    assert one.events.names()[-1] == "reports.finished"


async def test_days_that_were_missed_are_made_up_but_not_today(tmp_path: Path) -> None:
    one = await house(tmp_path)
    one.clock.time = DAY.begin + 86400.0 * 20 + 60
    await one.daily.turn()
    first = ReportDay.of(one.clock.time)
    assert [name for name, _ in one.maker.asked] == [first.before(past).name for past in range(7, 0, -1)]
    one.maker.asked.clear()
    one.clock.time += 86400.0
    await one.daily.turn()
    assert [name for name, _ in one.maker.asked] == [first.name]


async def test_without_a_key_or_a_domain_nothing_leaves(tmp_path: Path) -> None:
    one = House(tmp_path, Maker(report("far.test")))
    await one.daily.send_day(DAY)
    assert "no domain is hosted" in str(one.events.of("reports.unsent")[0]["reason"])
    await one.store.directory.put_domain(DomainRow(name="here.test", created=2.0))
    await one.fresh().send_day(DAY)
    assert "no DKIM key" in str(one.events.of("reports.unsent")[1]["reason"])
    assert not one.entries
    await one.store.directory.put_signing_keys([KEY])
    await one.fresh().send_day(DAY)
    assert len(one.entries) == 1


async def test_who_gets_none_is_told_of(tmp_path: Path) -> None:
    one = await house(tmp_path, Unsent("shy.test", "it forbids"), report("far.test", "nobody@here.test"))
    await one.daily.send_day(DAY)
    assert [fields["reason"] for fields in one.events.of("reports.unsent")] == [
        "it forbids",
        "nobody of its addresses exists",
    ]


async def test_https_is_posted_to_once(tmp_path: Path) -> None:
    one = await house(tmp_path, report("far.test", post=("https://far.test/tlsrpt",)))
    await one.daily.send_day(DAY)
    await one.fresh().send_day(DAY)
    assert one.posted == ["https://far.test/tlsrpt"]
    assert len(one.entries) == 1


async def test_only_one_worker_sends(tmp_path: Path) -> None:
    one = await house(tmp_path, report("far.test"))
    other = Lock(one.lock)
    assert other.take()
    assert not one.daily.send_now(DAY)
    other.release()
    for _ in range(2):
        assert one.daily.send_now(DAY)
        assert not one.daily.send_now(DAY)
        await one.daily.settled()
    assert (len(one.entries), len(one.maker.asked)) == (1, 2)


async def test_a_key_that_comes_later_lets_the_days_before_leave(tmp_path: Path) -> None:
    one = House(tmp_path, Maker(report("far.test")))
    await one.store.directory.put_domain(DomainRow(name="here.test", created=2.0))
    for _ in range(3):
        await one.daily.turn()
    assert one.events.names() == ["reports.unsent"]
    await one.store.directory.put_signing_keys([KEY])
    one.clock.time += 4 * 3600.0
    await one.daily.turn()
    assert len(one.entries) == 7


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_the_same_on_disk(tmp_path: Path, moment: str) -> None:
    """The process is gone: another one opens the files, in another slot."""
    one = House(tmp_path, Maker(report("far.test"), report("else.test")))
    first = EmbeddedStore(tmp_path / "data", 0, clock=one.clock)
    one.store = first  # type: ignore[assignment]
    await one.open()
    one.crash = moment
    with pytest.raises(KeyboardInterrupt):
        await one.daily.send_day(DAY)
    await first.close()
    one.crash = ""
    second = EmbeddedStore(tmp_path / "data", 1, clock=one.clock)
    one.store = second  # type: ignore[assignment]
    try:
        await one.fresh().send_day(DAY)
        waiting = await second.queue.entries(QueueFilter())
        assert sorted(entry.recipients[0].address for entry in waiting) == ["dmarc@else.test", "dmarc@far.test"]
        assert [known.queued for known in await second.reports.sent("dmarc", DAY.name)] == [True, True]
        assert await second.reports.finished("dmarc", DAY.name)
    finally:
        await second.close()
