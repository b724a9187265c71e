"""What intake counts for the limits on sending, and the mails the server writes itself."""

from __future__ import annotations

from pathlib import Path

import pytest
from intake_house import ALICE, MAIL, OWN, STRANGER, USER, House

from postroom.config import Config, Limits, Sending, Server
from postroom.intake.model import Peer
from postroom.intake.notices import Notices, written
from postroom.intake.rooms import Rooms
from postroom.intake.routing import Routes
from postroom.intake.service import Intake
from postroom.policy import Outgoing
from postroom.policy.words import Notice
from postroom.store.api import DomainRow, Freeze, StoreUnavailable
from postroom.store.memory import MemoryStore
from postroom.values.refusal import Refusal

SENDING = Sending(account_messages_per_day=2, account_new_recipients_per_day=3)
APP = Peer(service="smtp", ip="10.0.0.5", port=4711, helo="app")


class Limited(House):
    """A house whose people may send little."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.counts = MemoryStore(clock=self.clock)
        self.told: list[str] = []
        outgoing = Outgoing(
            SENDING,
            (self.counts.limits, self.counts.directory),
            self.clock,
            lambda name, /, **_: self.told.append(name),
            lambda notice: self.told.append(notice.subject),
        )
        config = Config(
            server=Server(hostname="mx.here.test"), sending=SENDING, limits=Limits(relay_networks=("10.0.0.0/8",))
        )
        self.intake = Intake(
            Rooms(store=self.store, queue=self.queue, identity=self.identity, clock=self.clock, outgoing=outgoing),
            config,
        )


@pytest.fixture
def house(tmp_path: Path) -> Limited:
    return Limited(tmp_path)


async def refusal_of(house: House, peer: Peer, content: bytes, *to: str, **options: str) -> Refusal:
    with pytest.raises(Refusal) as caught:
        await house.send(peer, content, *to, **options)
    return caught.value


async def test_only_what_leaves_is_counted(house: Limited) -> None:
    for _ in range(5):
        await house.send(USER, OWN, "bob@here.test", sender="alice@here.test")
    for _ in range(2):
        await house.send(USER, OWN, "bob@here.test", "r@far.test", sender="alice@here.test")
    refusal = await refusal_of(house, USER, OWN, "r@far.test", sender="alice@here.test")
    assert (refusal.code, refusal.enhanced) == (450, "4.7.1")
    assert "alice@here.test may send 2 messages a day" in refusal.public
    await house.send(USER, OWN, "bob@here.test", sender="alice@here.test")


async def test_an_alias_with_members_outside_leaves_too(house: Limited) -> None:
    await house.send(USER, OWN, "team@here.test", sender="alice@here.test")
    assert house.counts.limits.correspondents(ALICE.id, 9) == [("x@far.test", house.clock.now())]


async def test_answers_to_what_left_are_known(house: Limited) -> None:
    await house.send(USER, OWN, "bob@here.test", sender="alice@here.test")
    assert not house.counts.limits.answered(ALICE.id, ["1@here.test"])
    await house.send(USER, OWN, "r@far.test", sender="alice@here.test")
    assert house.counts.limits.answered(ALICE.id, ["1@here.test"])
    bare = OWN.replace(b"Message-ID:", b"X-Other:")
    entry = (await house.send(USER, bare, "r@far.test", sender="alice@here.test")).id
    assert house.counts.limits.answered(ALICE.id, [f"{entry}@mx.here.test"])


async def test_mail_from_outside_never_asks(house: Limited) -> None:
    house.counts.limits.take = None  # type: ignore[assignment] - would fail
    house.counts.limits.rules = None  # type: ignore[assignment]
    for _ in range(5):
        await house.send(STRANGER, MAIL, "team@here.test")


async def test_the_null_sender_counts_for_the_login(house: Limited) -> None:
    for _ in range(2):
        await house.send(USER, OWN, "r@far.test", sender=None)
    assert (await refusal_of(house, USER, OWN, "r@far.test", sender=None)).code == 450


async def test_relaying_machines_count_for_their_domain(house: Limited) -> None:
    await house.counts.directory.put_domain(DomainRow(name="here.test", created=0.0, hourly_messages=1))
    await house.send(APP, OWN, "r@far.test", sender="alice@here.test")
    assert "here.test may send 1" in (await refusal_of(house, APP, OWN, "r@far.test", sender="alice@here.test")).public
    await house.send(APP, OWN, "r@far.test", sender="x@other.test")


async def test_the_frozen_hear_it_at_mail(house: Limited) -> None:
    await house.counts.limits.freeze(Freeze(account=ALICE.id, since=0.0, score=100, reasons=("why",)))
    with pytest.raises(Refusal) as caught:
        await house.open(USER, "alice@here.test")
    assert (caught.value.code, caught.value.enhanced) == (550, "5.7.1")


async def test_what_the_queue_does_not_take_is_not_counted(house: Limited) -> None:
    house.queue.fault = StoreUnavailable("no space left")
    for number in range(5):
        refusal = await refusal_of(house, USER, OWN, f"r{number}@far.test", sender="alice@here.test")
        assert refusal.code == 452
    house.queue.fault = None
    for _ in range(2):
        await house.send(USER, OWN, "new@far.test", sender="alice@here.test")


async def test_user_and_administrator_get_the_notice(house: Limited) -> None:
    notices = Notices(
        house.queue, Routes(house.identity), "", house.clock, lambda name, /, **_: house.told.append(name)
    )
    notices(Notice("bob@here.test", "here.test", "A subject", "A line.\n\n    command\n" + "word " * 40))
    await notices.settled()
    (entry,) = house.queue.entries
    assert entry.sender == ""
    assert [each.address for each in entry.recipients] == ["bob@here.test", "postmaster@here.test"]
    text = entry.content.read().decode()
    assert text.startswith("From: Mail server <postmaster@here.test>\r\nTo: bob@here.test, postmaster@here.test\r\n")
    assert "\r\nAuto-Submitted: auto-generated\r\n" in text
    assert "\r\n\r\nA line.\r\n\r\n    command\r\nword word" in text
    assert max(map(len, text.split("\r\n"))) <= 80


async def test_the_configured_administrator_gets_it_and_each_once(house: Limited) -> None:
    notices = Notices(house.queue, Routes(house.identity), "alice@here.test", house.clock, lambda *_, **__: None)
    notices(Notice("alice@here.test", "here.test", "x", "y"))
    await notices.settled()
    assert [each.address for each in house.queue.entries[0].recipients] == ["alice@here.test"]


async def test_a_notice_that_cannot_be_sent_is_an_event(house: Limited) -> None:
    house.queue.fault = StoreUnavailable("no space left")
    notices = Notices(
        house.queue, Routes(house.identity), "", house.clock, lambda name, /, **_: house.told.append(name)
    )
    notices(Notice("bob@here.test", "here.test", "x", "y"))
    await notices.settled()
    assert house.told == ["notice.dropped"]


def test_octets_that_are_not_ascii() -> None:
    octets = written(Notice("", "here.test", "x", "Grüße \ud800"), "id1", "a@b.test", 0.0)
    assert "Grüße \\ud800".encode() in octets
