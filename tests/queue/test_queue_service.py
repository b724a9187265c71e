"""The queue: acceptance, results, retries, reports, stop."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence

import pytest
from msgspec.structs import replace

from postroom.queue.ids import Ids
from postroom.queue.outcome import Kind, Outcome
from postroom.queue.schedule import Schedule
from postroom.queue.service import Queue
from postroom.queue.shares import MOST_ENTRIES
from postroom.store.api import Entry, NewEntry, NewRecipient, Recipient, RecipientState, StoreUnavailable
from postroom.testing.mailflow import Events, FakeQueueStore, FakeReports, StandingClock
from postroom.values.content import Content
from postroom.values.refusal import Refusal


class House:
    """A queue with everything around it, and consumers that remember what they were given."""

    def __init__(self, store: FakeQueueStore | None = None) -> None:
        self.clock = StandingClock()
        self.store = store or FakeQueueStore()
        self.events = Events()
        self.reports = FakeReports()
        self.queue = Queue(
            self.store,
            Ids(self.clock, random.Random(1).getrandbits),
            Schedule(jitter=lambda: 0.0),
            self.clock,
            self.reports,
            self.events,
        )
        self.given: list[tuple[Entry, Sequence[Recipient]]] = []
        self.again = asyncio.Event()
        for route in ("local", "remote"):
            self.queue.subscribe(route, self.take)

    def take(self, entry: Entry, recipients: Sequence[Recipient]) -> None:
        self.given.append((entry, recipients))
        if len(self.given) > 1:
            self.again.set()

    def new(self, *recipients: NewRecipient, sender: str = "a@here.test", size: int = 10) -> NewEntry:
        return NewEntry(
            id=self.queue.new_id(),
            sender=sender,
            recipients=recipients or (NewRecipient(address="b@here.test", route="local"),),
            content=Content.of(b"x" * size),
            received=self.clock.now(),
            trace=b"Received: x\r\n",
        )

    async def accept(self, *recipients: NewRecipient, **fields) -> Entry:
        return await self.queue.accept(self.new(*recipients, **fields))

    async def settle_last(self, kind: Kind, status: str = "2.0.0", reply: str = "said", **fields) -> None:
        entry, recipients = self.given[-1]
        await self.queue.settle(
            entry,
            [Outcome(recipient=each, kind=kind, status=status, reply=reply, **fields) for each in recipients],
        )

    def stored(self, entry: Entry, index: int = 0) -> Recipient:
        return self.store.kept[entry.id].recipients[index]


REMOTE = NewRecipient(address="b@far.test", route="remote")


def remote(notify: str = "") -> NewRecipient:
    return NewRecipient(address="b@far.test", route="remote", notify=notify)


async def turn(times: int = 5) -> None:
    for _ in range(times):
        await asyncio.sleep(0)


async def until(condition: Callable[[], object]) -> None:
    """Let the loop run until the condition holds."""
    async with asyncio.timeout(20):
        while True:
            if condition():
                return
            await asyncio.sleep(0)


class Running:
    """The queue's run() beside the test, ended at the end."""

    def __init__(self, house: House) -> None:
        self.house = house

    async def __aenter__(self) -> None:
        self.task = asyncio.create_task(self.house.queue.run())
        await turn()

    async def __aexit__(self, *_fault: object) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


async def test_accepted_mail_is_handed_out_once_it_is_durable() -> None:
    house = House()
    entry = await house.accept()
    assert entry.id in house.store.kept
    assert [(each.id, [r.address for r in recipients]) for each, recipients in house.given] == [
        (entry.id, ["b@here.test"])
    ]
    assert house.events.of("message.accepted")[0]["queue_id"] == entry.id


async def test_a_store_that_is_full_refuses_and_nothing_is_handed_out() -> None:
    house = House()
    house.store.broken = True
    with pytest.raises(StoreUnavailable):
        await house.accept()
    assert house.given == []
    await house.queue.stop()


async def test_routes_get_their_own_recipients() -> None:
    house = House()
    local = NewRecipient(address="b@here.test", route="local")
    await house.accept(local, REMOTE, local)
    assert [[(r.index, r.route) for r in recipients] for _, recipients in house.given] == [
        [(0, "local"), (2, "local")],
        [(1, "remote")],
    ]


async def test_a_delivered_entry_leaves_without_waiting_for_the_disk() -> None:
    house = House()
    await house.accept()
    await house.settle_last(Kind.DELIVERED)
    assert house.store.kept == {}
    assert len(house.store.finishes) == 1
    assert house.store.updates == []


async def test_a_relayed_recipient_is_written_before_it_can_be_tried_again() -> None:
    house = House()
    await house.accept(REMOTE)
    await house.settle_last(Kind.RELAYED, remote="mx.far.test")
    assert len(house.store.updates) == 1
    assert house.store.kept == {}


async def test_a_deferral_waits_for_the_schedule_and_says_why() -> None:
    house = House()
    entry = await house.accept(REMOTE)
    await house.settle_last(Kind.DEFERRED, "4.4.1", "no answer", remote="mx.far.test")
    kept = house.stored(entry)
    assert (kept.state, kept.attempts) == (RecipientState.WAITING, 1)
    assert kept.next_try == entry.received + 300
    assert kept.last_reply == "mx.far.test said: no answer"
    assert house.reports.made == []


async def test_run_tries_again_when_it_is_time_and_not_before() -> None:
    house = House()
    await house.accept()
    async with Running(house):
        await house.settle_last(Kind.DEFERRED, "4.2.2", "full")
        await turn()
        assert len(house.given) == 1
        house.clock.time += 29
        house.queue.poke()
        await turn()
        assert len(house.given) == 1
        house.clock.time += 1
        house.queue.poke()
        await turn()
        assert len(house.given) == 2
        assert house.given[1][1][0].attempts == 1


async def test_run_wakes_by_itself() -> None:
    house = House()
    await house.accept()

    class Moving(StandingClock):
        def now(self) -> float:
            self.time += 0.0001
            return self.time + asyncio.get_running_loop().time() * 1000  # a clock that runs a thousand times faster

    house.queue._clock = Moving()
    async with Running(house):
        await house.settle_last(Kind.DEFERRED, "4.2.2", "full")
        async with asyncio.timeout(60):
            await house.again.wait()
    assert len(house.given) == 2


async def test_what_is_being_worked_on_is_not_handed_out_twice() -> None:
    house = House()
    await house.accept()
    async with Running(house):
        house.clock.time += 4000
        for _ in range(3):
            house.queue.poke()
            await turn()
        assert len(house.given) == 1


async def test_a_start_takes_up_what_an_earlier_process_left() -> None:
    first = House()
    waiting = await first.accept()
    later = await first.accept(REMOTE)
    await first.settle_last(Kind.DEFERRED, "4.0.0", "later")
    second = House(first.store)
    async with Running(second):
        assert [entry.id for entry, _ in second.given] == [waiting.id]
        second.clock.time += 300
        second.queue.poke()
        await turn()
        assert [entry.id for entry, _ in second.given] == [waiting.id, later.id]


async def test_more_than_a_batch_is_taken_up() -> None:
    first = House()
    for _ in range(350):
        await first.accept()
    second = House(first.store)
    async with Running(second):
        await turn(20)
        assert len({entry.id for entry, _ in second.given}) == 350 == len(second.given)


async def test_held_mail_rests_and_released_mail_is_taken_up() -> None:
    from postroom.queue.administration import Administration
    from postroom.store.api import NotFound, QueueFilter

    house = House()
    entry = await house.accept()
    await house.settle_last(Kind.DEFERRED, "4.2.2", "full")
    admin = Administration(house.store)
    assert await admin.hold(QueueFilter(ids=(entry.id,))) == 1
    house.clock.time += 40_000
    async with Running(house):
        assert len(house.given) == 1
        assert await admin.retry(QueueFilter()) == 0
        assert await admin.release(QueueFilter()) == 1
        house.queue.poke()
        await turn()
        assert len(house.given) == 2
    assert [each.id for each in await admin.list(QueueFilter())] == [entry.id]
    assert (await admin.show(entry.id)).id == entry.id
    assert await admin.drop(QueueFilter(recipient="b@here")) == 1
    assert house.store.kept == {}
    with pytest.raises(NotFound):
        await admin.show(entry.id)


async def test_flush_tries_everything_now() -> None:
    from postroom.queue.administration import Administration
    from postroom.store.api import QueueFilter

    house = House()
    await house.accept()
    await house.settle_last(Kind.DEFERRED, "4.2.2", "full")
    async with Running(house):
        assert await Administration(house.store).retry(QueueFilter()) == 1
        house.queue.poke()
        await turn()
        assert len(house.given) == 2


async def test_a_failure_is_reported_before_it_is_written() -> None:
    house = House()
    entry = await house.accept(REMOTE)
    await house.settle_last(Kind.FAILED, "5.1.1", "no such user")
    assert house.reports.made == [(entry.id, "failed", ["b@far.test"])]
    assert entry.id not in house.store.kept
    report = house.given[-1][0]
    assert report.sender == ""
    assert [each.address for each in report.recipients] == ["a@here.test"]


async def test_failures_of_one_entry_make_one_report() -> None:
    house = House()
    entry = await house.accept(REMOTE, NewRecipient(address="c@far.test", route="remote"))
    await house.settle_last(Kind.FAILED, "5.1.1", "no such user")
    assert house.reports.made == [(entry.id, "failed", ["b@far.test", "c@far.test"])]


async def test_a_report_is_never_reported() -> None:
    house = House()
    entry = await house.accept(REMOTE, sender="")
    await house.settle_last(Kind.FAILED, "5.1.1", "no such user")
    assert house.reports.made == []
    assert house.store.kept == {}
    assert house.events.of("report.dropped")[0]["queue_id"] == entry.id


async def test_a_report_that_has_no_way_to_its_sender_is_dropped_with_an_event() -> None:
    house = House()
    house.reports.recipients = ()
    await house.accept(REMOTE)
    await house.settle_last(Kind.FAILED, "5.1.1", "no such user")
    assert house.store.kept == {}
    assert "report.dropped" in house.events.names()


@pytest.mark.parametrize(
    ("notify", "kind", "reported"),
    [
        ("", Kind.FAILED, True),
        ("NEVER", Kind.FAILED, False),
        ("SUCCESS", Kind.FAILED, False),
        ("FAILURE,DELAY", Kind.FAILED, True),
        ("", Kind.RELAYED, False),
        ("SUCCESS,FAILURE", Kind.RELAYED, True),
        ("SUCCESS", Kind.DELIVERED, True),
        ("FAILURE", Kind.DELIVERED, False),
        ("NEVER", Kind.DELIVERED, False),
    ],
)
async def test_notify_decides_who_is_told(notify: str, kind: Kind, reported: bool) -> None:
    house = House()
    await house.accept(remote(notify))
    await house.settle_last(kind)
    assert bool(house.reports.made) is reported


async def test_a_peer_that_reports_itself_needs_no_report_of_ours() -> None:
    house = House()
    await house.accept(remote("SUCCESS"))
    await house.settle_last(Kind.RELAYED, reported=True)
    assert house.reports.made == []


@pytest.mark.parametrize(("notify", "told"), [("", 1), ("DELAY", 1), ("FAILURE", 0), ("NEVER", 0)])
async def test_a_delay_is_told_once(notify: str, told: int) -> None:
    house = House()
    entry = await house.accept(remote(notify))
    await house.settle_last(Kind.DEFERRED, "4.4.1", "no answer")
    async with Running(house):
        for _ in range(3):
            first = [each for each in house.given if each[0].id == entry.id]
            house.clock.time += 14_400
            house.queue.poke()
            await turn()
            again = [each for each in house.given if each[0].id == entry.id]
            assert len(again) == len(first) + 1
            house.given.append(again[-1])
            await house.settle_last(Kind.DEFERRED, "4.4.1", "no answer")
            house.given.pop()
    assert [kind for _, kind, _ in house.reports.made] == ["delayed"] * told
    assert house.stored(entry).delay_told


async def test_mail_that_was_tried_for_its_whole_life_bounces() -> None:
    house = House()
    entry = await house.accept(REMOTE)
    house.clock.time += 432_000
    await house.settle_last(Kind.DEFERRED, "4.4.1", "no answer")
    assert house.reports.made == [(entry.id, "failed", ["b@far.test"])]
    assert entry.id not in house.store.kept


@pytest.mark.parametrize("fault", [StoreUnavailable("down"), Refusal(451, "4.3.0", "not now")])
async def test_a_failure_whose_report_cannot_be_kept_is_tried_again(fault: Exception) -> None:
    house = House()
    house.reports.fault = fault
    entry = await house.accept(REMOTE)
    await house.settle_last(Kind.FAILED, "5.1.1", "no such user")
    assert house.stored(entry).state is RecipientState.WAITING
    house.reports.fault = None
    async with Running(house):
        house.clock.time += 5
        house.queue.poke()
        await turn()
        assert len(house.given) == 2
        await house.settle_last(Kind.FAILED, "5.1.1", "no such user")
    assert entry.id not in house.store.kept


async def test_what_has_left_does_not_leave_twice_though_the_store_could_not_write_it() -> None:
    house = House()
    house.store.lagging = True
    await house.accept(REMOTE)
    house.store.broken = True
    await house.settle_last(Kind.RELAYED)
    house.store.broken = False
    async with Running(house):
        house.clock.time += 100_000
        house.queue.poke()
        await turn()
        assert len(house.given) == 1
    assert house.events.names().count("queue.unwritten") == 1


async def test_an_unreadable_store_is_asked_again() -> None:
    house = House()
    entry = await house.accept()
    second = House(house.store)
    house.store.broken = True
    async with Running(second):
        assert second.events.names() == ["queue.unreadable"]
        house.store.broken = False
        second.queue.poke()
        await turn()
        assert second.given[0][0].id == entry.id


async def test_stop_waits_for_what_is_in_flight_and_hands_out_nothing_more() -> None:
    house = House()
    await house.accept()
    stopping = asyncio.create_task(house.queue.stop())
    await turn()
    assert not stopping.done()
    kept = await house.accept()
    assert len(house.given) == 1
    await house.settle_last(Kind.DELIVERED)
    await asyncio.wait_for(stopping, 1)
    assert list(house.store.kept) == [kept.id]


async def test_stop_while_something_is_being_accepted() -> None:
    house = House()
    await house.accept()
    slow = asyncio.Event()
    accept = house.store.accept

    async def slowly(entry: NewEntry) -> Entry:
        await slow.wait()
        return await accept(entry)

    house.store.accept = slowly  # type: ignore[method-assign]
    accepting = asyncio.create_task(house.accept())
    await turn()
    stopping = asyncio.create_task(house.queue.stop())
    await turn()
    await house.settle_last(Kind.DELIVERED)
    slow.set()
    await accepting
    await asyncio.wait_for(stopping, 1)
    assert len(house.given) == 1


async def test_stop_ends_run() -> None:
    house = House()
    task = asyncio.create_task(house.queue.run())
    await turn()
    await house.queue.stop()
    await asyncio.wait_for(task, 1)


async def test_what_a_consumer_gives_back_stays_in_the_store() -> None:
    house = House()
    entry = await house.accept()
    house.queue.give_back(*house.given[0])
    await house.queue.stop()
    assert house.stored(entry).attempts == 0


async def test_what_is_given_back_is_handed_to_the_next_consumer() -> None:
    house = House()
    async with Running(house):
        await house.accept()
        later: list[Entry] = []
        house.queue.subscribe("local", lambda entry, _recipients: later.append(entry))
        house.queue.give_back(*house.given[0])
        await turn()
        assert [entry.id for entry in later] == [house.given[0][0].id]
        assert house.queue._routes["local"].shares.entries == 1


async def test_a_consumer_that_gives_everything_back_does_not_spin() -> None:
    first = House()
    for _ in range(250):
        await first.accept()
    second = House(first.store)
    second.queue.subscribe("local", second.queue.give_back)
    async with Running(second):
        await turn(50)
        looks = second.store.looks
        await turn(300)
        assert second.store.looks == looks < 10
        assert second.queue._routes["local"].shares.entries == 0


async def relayed(house: House, given: Sequence[tuple[Entry, Sequence[Recipient]]]) -> None:
    for entry, recipients in given:
        outcomes = [Outcome(recipient=each, kind=Kind.RELAYED, status="2.0.0", reply="ok") for each in recipients]
        await house.queue.settle(entry, outcomes)


def to(domain: str) -> NewRecipient:
    return NewRecipient(address=f"b@{domain}", route="remote")


async def test_a_route_that_is_full_leaves_mail_in_the_store_and_takes_it_up_later() -> None:
    house = House()
    async with Running(house):
        for number in range(MOST_ENTRIES + 50):
            await house.accept(to(f"d{number}.test"), sender=f"s{number}@here.test")
        assert len(house.given) == MOST_ENTRIES
        await house.accept()
        assert house.given[-1][1][0].route == "local"
        house.given.pop()
        await relayed(house, house.given[: MOST_ENTRIES // 2 + 1])
        await turn(60)
        assert len({entry.id for entry, _ in house.given}) == MOST_ENTRIES + 50


@pytest.mark.parametrize("bulk", ["sender", "domain"])
async def test_a_flood_leaves_room_for_others(bulk: str) -> None:
    """Half of the room, however much of it waits; half of what is left for the next flood."""
    house = House()
    async with Running(house):
        for number in range(2000):
            one, other = ("flood", f"n{number}") if bulk == "sender" else (f"n{number}", "flood")
            await house.accept(to(f"{other}.test"), sender=f"{one}@here.test")
        assert len(house.given) == MOST_ENTRIES // 2
        await house.accept(to("quiet.test"), sender="ann@here.test")
        assert house.given[-1][1][0].address == "b@quiet.test"


async def test_what_waits_behind_a_flood_in_the_store_is_found() -> None:
    first = House()
    for number in range(4500):
        await first.accept(to("flood.test"), sender="bulk@here.test")
        if number == 4300:
            await first.accept(to("quiet.test"), sender="ann@here.test")
    second = House(first.store)
    async with Running(second):
        await until(lambda: any(recipients[0].address == "b@quiet.test" for _, recipients in second.given))
        assert len(second.given) == MOST_ENTRIES // 2 + 1
        while second.store.kept:
            done, second.given[:] = list(second.given), []
            await relayed(second, done)
            await until(lambda: second.given or not second.store.kept)


async def test_large_mail_in_memory_counts_by_its_octets() -> None:
    house = House()
    for _ in range(600):
        await house.accept(REMOTE, size=64 * 1024)
    assert 500 <= len(house.given) <= 513


async def test_mail_with_a_date_waits_for_it_and_lives_from_then_on() -> None:
    house = House()
    date = house.clock.time + 100_000
    entry = await house.queue.accept(replace(house.new(REMOTE), release=date))
    assert house.given == []
    async with Running(house):
        assert house.given == []
        house.clock.time = date
        house.queue.poke()
        await turn()
        assert len(house.given) == 1
        await house.settle_last(Kind.DEFERRED, "4.2.2", "full")
    kept = house.stored(entry)
    assert kept.next_try == date + 300
    assert house.reports.made == []  # it is not late yet


async def test_the_last_tries_are_remembered() -> None:
    house = House()
    entry = await house.accept(REMOTE)
    for number in range(12):
        await house.settle_last(Kind.DEFERRED, "4.2.2", f"full {number}", remote="mx.far.test")
        recipient = house.stored(entry)
        house.given.append((house.store.kept[entry.id], [recipient]))
        house.clock.time += 10
    history = house.stored(entry).history
    assert [each.reply for each in history] == [f"mx.far.test said: full {number}" for number in range(2, 12)]
    assert (history[-1].status, history[-1].at) == ("4.2.2", house.clock.time - 10)
