"""The contract of the queue."""

from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace

from postroom.store.api import (
    Attempt,
    Depth,
    Entry,
    NewRecipient,
    NotFound,
    Once,
    QueueFilter,
    Recipient,
    RecipientState,
    Store,
    StoreError,
)
from postroom.testing.store_contract.build import received

WAITING, HELD = RecipientState.WAITING, RecipientState.HELD
DELIVERED, DROPPED = RecipientState.DELIVERED, RecipientState.DROPPED
EVERYTHING = QueueFilter()
LARGE = 200_000


def ids(entries: list[Entry]) -> list[str]:
    """Their ids."""
    return [entry.id for entry in entries]


def over(entry: Entry, state: RecipientState = DELIVERED) -> list[Recipient]:
    """Every recipient in a terminal state."""
    return [replace(item, state=state) for item in entry.recipients]


class QueueContract:
    """What QueueStore promises."""

    async def test_accept_keeps_everything(self, store: Store) -> None:
        new = received(
            "q1",
            recipients=(
                NewRecipient(address="ä@b.test", route="local", orcpt="rfc822;x@y", notify="NEVER", inbox=True),
                NewRecipient(address="c@d.test", route="remote"),
            ),
            envid="env",
            ret="HDRS",
            body="8BITMIME",
            smtputf8=True,
            account="acc",
            peer="192.0.2.1",
            junk=True,
            keywords=("$Junk", "$other"),
        )
        kept = await store.queue.accept(new)
        (found,) = await store.queue.due(1000.0)
        assert found == kept
        for name in ("id", "sender", "received", "envid", "ret", "body", "smtputf8", "account", "peer", "junk"):
            assert getattr(found, name) == getattr(new, name)
        assert found.keywords == ("$Junk", "$other")
        assert found.content.read() == b"Received: by test\r\nhello\r\n"
        assert found.size == len(found.content.read())
        assert [(item.index, item.address, item.route, item.orcpt, item.notify) for item in found.recipients] == [
            (0, "ä@b.test", "local", "rfc822;x@y", "NEVER"),
            (1, "c@d.test", "remote", "", ""),
        ]
        assert [item.inbox for item in found.recipients] == [True, False]
        assert {(item.state, item.next_try, item.attempts) for item in found.recipients} == {(WAITING, 1000.0, 0)}

    async def test_a_request_with_a_key_is_answered_for_a_day(self, store: Store) -> None:
        queue = store.queue
        assert await queue.answered(b"k" * 32, 1000.0) is None
        once = Once(key=b"k" * 32, request=b"r" * 32, answer=b"{}")
        kept = await queue.accept(received("q1", once=once))
        assert await queue.answered(b"k" * 32, kept.received) == once
        await queue.update("q1", over(kept))
        assert await queue.answered(b"k" * 32, kept.received + 86_400) == once
        assert await queue.answered(b"k" * 32, kept.received + 86_401) is None
        assert await queue.answered(b"x" * 32, kept.received) is None

    async def test_a_key_is_worked_on_by_one(self, store: Store) -> None:
        with store.queue.claim(b"k" * 32) as mine:
            with store.queue.claim(b"k" * 32) as theirs, store.queue.claim(b"x" * 32) as other:
                assert (mine, theirs, other) == (True, False, True)
            with store.queue.claim(b"k" * 32) as theirs:
                assert not theirs
        with store.queue.claim(b"k" * 32) as again:
            assert again

    async def test_large_content_survives_its_spool(self, store: Store) -> None:
        spool = store.spool()
        for _ in range(LARGE // 1000):
            spool.write(b"0123456789" * 100)
        kept = await store.queue.accept(received("big", octets=await spool.seal()))
        spool.close()
        (found,) = await store.queue.due(2000.0)
        assert found.content.read() == kept.content.read() == b"Received: by test\r\n" + b"0123456789" * (LARGE // 10)
        await store.queue.update("big", over(found))
        assert await store.queue.due(2000.0) == []

    async def test_large_content_in_memory(self, store: Store) -> None:
        await store.queue.accept(received("big", octets=b"z" * LARGE))
        (found,) = await store.queue.due(2000.0)
        assert found.content.read() == b"Received: by test\r\n" + b"z" * LARGE

    @pytest.mark.parametrize("first", [b"first", LARGE * b"y" + b"first"])
    async def test_an_id_is_used_once(self, store: Store, first: bytes) -> None:
        await store.queue.accept(received("q1", octets=first))
        for octets in (b"second", b"z" * LARGE):
            with pytest.raises(Exception):  # noqa: B017 - what it is does not matter, the first one stays
                await store.queue.accept(received("q1", octets=octets))
        (found,) = await store.queue.due(2000.0)
        assert found.content.read() == b"Received: by test\r\n" + first

    async def test_many_at_once(self, store: Store) -> None:
        await asyncio.gather(*(store.queue.accept(received(f"q{number}")) for number in range(300)))
        assert len(await store.queue.due(2000.0, limit=1000)) == 300
        assert len(await store.queue.due(2000.0)) == 100

    async def test_due_in_time_and_order(self, store: Store) -> None:
        for number, when in (("late", 3000.0), ("early", 1000.0), ("middle", 2000.0)):
            await store.queue.accept(received(number, received=when))
        assert await store.queue.due(999.0) == []
        assert ids(await store.queue.due(2000.0)) == ["early", "middle"]
        assert ids(await store.queue.due(9999.0)) == ["early", "middle", "late"]
        assert await store.queue.next_due() == 1000.0

    async def test_due_skips_what_is_under_way(self, store: Store) -> None:
        for number in ("q1", "q2", "q3"):
            await store.queue.accept(received(number))
        assert ids(await store.queue.due(2000.0, 1, {"q1", "other"})) == ["q2"]
        assert ids(await store.queue.due(2000.0, skip=["q1", "q2", "q3"])) == []

    async def test_looking_page_by_page(self, store: Store) -> None:
        for number in range(7):
            octets = LARGE * b"y" if number == 3 else b"%d" % number
            await store.queue.accept(received(f"q{number}", received=1000.0 + number // 2, octets=octets))
        await store.queue.accept(received("later", received=5000.0))
        first, place = await store.queue.look(2000.0, 3)
        second, place = await store.queue.look(2000.0, 3, place)
        third, end = await store.queue.look(2000.0, 3, place)
        assert [ids(page) for page in (first, second, third)] == [["q0", "q1", "q2"], ["q3", "q4", "q5"], ["q6"]]
        assert end is None
        assert store.queue.load(first[1]).content.read() == b"Received: by test\r\n1"
        assert store.queue.load(second[0]).content.read() == b"Received: by test\r\n" + LARGE * b"y"
        store.queue.finish("q6", over(third[0]))
        assert await store.queue.look(2000.0, 3, place) == ([], None)
        await store.queue.update("q1", over(first[1]))
        with pytest.raises(NotFound):
            store.queue.load(first[1])

    async def test_finish_acts_at_once_for_readers(self, store: Store) -> None:
        one, two = [await store.queue.accept(received(number, "a@b", "c@d")) for number in ("q1", "q2")]
        store.queue.finish("q1", over(one))
        assert ids(await store.queue.due(2000.0)) == ["q2"]
        first, second = two.recipients
        store.queue.finish("q2", [replace(first, state=DELIVERED)])
        store.queue.finish("q2", [replace(second, attempts=1, next_try=5000.0, last_reply="451 later")])
        assert await store.queue.due(2000.0) == []
        assert await store.queue.next_due() == 5000.0
        assert ids(await store.queue.entries(EVERYTHING)) == ["q2"]
        (left,) = await store.queue.due(5000.0)
        assert [item.state for item in left.recipients] == [DELIVERED, WAITING]
        assert (left.recipients[1].last_reply, left.recipients[1].attempts) == ("451 later", 1)
        await store.queue.accept(received("q3"))  # whatever waited is committed with this
        assert ids(await store.queue.entries(EVERYTHING)) == ["q2", "q3"]
        store.queue.finish("gone", over(one))

    async def test_update(self, store: Store) -> None:
        kept = await store.queue.accept(received("q1", "a@b", "c@d"))
        await store.queue.update("q1", [replace(kept.recipients[0], state=RecipientState.BOUNCED, delay_told=True)])
        (left,) = await store.queue.due(2000.0)
        assert left.recipients[0].delay_told
        await store.queue.update("q1", [replace(kept.recipients[1], state=DELIVERED)])
        assert await store.queue.entries(EVERYTHING) == []
        assert await store.queue.next_due() is None

    async def test_entries_by_filter(self, store: Store) -> None:
        await store.queue.accept(received("q1", "a@x.test", sender="One@example.org"))
        await store.queue.accept(received("q2", "b@y.test", "c@x.test", sender="two@example.org", received=1500.0))
        for which, expected in (
            (QueueFilter(), ["q1", "q2"]),
            (QueueFilter(ids=("q2", "q9")), ["q2"]),
            (QueueFilter(sender="ONE@"), ["q1"]),
            (QueueFilter(recipient="B@y"), ["q2"]),
            (QueueFilter(domain="x.test"), ["q1", "q2"]),
            (QueueFilter(domain="test"), []),
            (QueueFilter(older_than=1500.0), ["q1"]),
            (QueueFilter(state=HELD), []),
            (QueueFilter(limit=1), ["q1"]),
        ):
            assert ids(await store.queue.entries(which)) == expected, which
        (shown,) = await store.queue.entries(QueueFilter(ids=("q1",)))
        assert shown.content.read() == b"Received: by test\r\nhello\r\n"

    async def test_hold_release_flush_drop(self, store: Store) -> None:
        for number in ("q1", "q2", "q3"):
            await store.queue.accept(received(number, "a@x.test", "b@y.test"))
        assert await store.queue.change(QueueFilter(domain="x.test"), HELD, None) == 3
        held = (await store.queue.entries(QueueFilter(ids=("q1",))))[0]
        assert [item.state for item in held.recipients] == [HELD, WAITING]
        assert await store.queue.change(QueueFilter(ids=("q1", "q2")), HELD, None) == 2
        assert ids(await store.queue.due(2000.0)) == ["q3"]
        assert await store.queue.change(QueueFilter(ids=("q1",), state=HELD), WAITING, 7000.0) == 1
        assert ids(await store.queue.due(6999.0)) == ["q3"]
        assert ids(await store.queue.due(7000.0)) == ["q3", "q1"]
        assert await store.queue.change(QueueFilter(ids=("q1",)), None, 10.0) == 1
        assert await store.queue.next_due() == 10.0
        assert await store.queue.change(QueueFilter(ids=("q1",)), DROPPED, None) == 1
        assert ids(await store.queue.entries(EVERYTHING)) == ["q2", "q3"]
        assert await store.queue.change(QueueFilter(ids=("nothing",)), DROPPED, None) == 0

    async def test_what_was_held_or_dropped_meanwhile_stays_so(self, store: Store) -> None:
        kept = await store.queue.accept(received("q1", "a@x.test", "b@y.test", "c@z.test"))
        await store.queue.change(QueueFilter(domain="x.test"), HELD, None)
        await store.queue.change(QueueFilter(domain="y.test"), DROPPED, None)
        later = [replace(item, attempts=1, next_try=3000.0, last_reply="451 later") for item in kept.recipients]
        store.queue.finish("q1", later)
        (left,) = await store.queue.entries(EVERYTHING)
        assert [(item.state, item.attempts) for item in left.recipients] == [(HELD, 1), (DROPPED, 1), (WAITING, 1)]
        await store.queue.update("q1", later)
        (left,) = await store.queue.due(3000.0)
        assert [item.state for item in left.recipients] == [HELD, DROPPED, WAITING]
        await store.queue.update("q1", over(left))
        assert await store.queue.entries(EVERYTHING) == []

    async def test_an_unfit_id_is_refused(self, store: Store) -> None:
        for number in ("", "../x", "a/b", "x" * 65):
            with pytest.raises(StoreError):
                await store.queue.accept(received(number))

    async def test_what_belongs_to_the_way_out_is_kept(self, store: Store) -> None:
        recipients = (NewRecipient(address="a@x.test", route="remote", forwarder="info@here.test"),)
        kept = await store.queue.accept(
            received("q1", recipients=recipients, release=3000.0, tls="required", bulk=True)
        )
        assert kept.since == 3000.0
        assert await store.queue.due(2999.0) == []
        (found,) = await store.queue.due(3000.0)
        assert found == kept
        assert (found.release, found.tls, found.recipients[0].forwarder) == (3000.0, "required", "info@here.test")
        assert found.bulk
        tries = (Attempt(3000.0, "4.2.2", "452 full"), Attempt(3300.0, "4.4.1", "nobody answers"))
        await store.queue.update("q1", [replace(found.recipients[0], history=tries, next_try=3600.0)])
        (found,) = await store.queue.due(3600.0)
        assert found.recipients[0].history == tries

    async def test_reroute(self, store: Store) -> None:
        await store.queue.accept(received("q1", "a@x.test", "b@y.test"))
        assert await store.queue.change(QueueFilter(domain="x.test"), None, 0.0, "mx.example.test:2525") == 1
        (found,) = await store.queue.due(2000.0)
        assert [item.nexthop for item in found.recipients] == ["mx.example.test:2525", ""]
        assert await store.queue.change(EVERYTHING, None, None, "") == 1
        (found,) = await store.queue.due(2000.0)
        assert [item.nexthop for item in found.recipients] == ["", ""]

    async def test_commands_do_not_hurry_what_has_a_date(self, store: Store) -> None:
        await store.queue.accept(received("q1", release=5000.0))
        assert await store.queue.change(EVERYTHING, None, 0.0) == 1
        assert await store.queue.next_due() == 5000.0
        assert await store.queue.change(EVERYTHING, HELD, None) == 1
        assert await store.queue.change(QueueFilter(state=HELD), WAITING, 0.0) == 1
        assert await store.queue.next_due() == 5000.0

    async def test_the_depth_is_what_has_not_arrived(self, store: Store) -> None:
        assert await store.queue.depth() == Depth(0, 0.0)
        for number in range(3):
            await store.queue.accept(received(f"e{number}", received=1000.0 + number))
        assert await store.queue.depth() == Depth(3, 1000.0)
        entries = await store.queue.entries(QueueFilter(ids=("e0",)))
        await store.queue.update("e0", over(entries[0]))
        assert await store.queue.depth() == Depth(2, 1001.0)
