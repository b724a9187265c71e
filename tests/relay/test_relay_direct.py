"""Delivery by MX: which servers are tried, in which order, and what is said when none takes the mail."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from msgspec.structs import replace
from relay_house import MAIL, House, Zone, until

from postroom.config import OutgoingTls, Route, Source
from postroom.identity.srs import Srs
from postroom.queue.outcome import Kind
from postroom.store.memory.limits import MemoryLimits
from postroom.testing.scripted_peer import ScriptedPeer
from postroom.values.address import Address

Start = Callable[..., Awaitable[ScriptedPeer]]


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Start peers on 127.0.0.2, 127.0.0.3 …, all on one port."""
    peers: list[ScriptedPeer] = []

    async def begin(**fields) -> ScriptedPeer:
        peer = ScriptedPeer(name=f"mx{len(peers) + 1}.test", **fields)
        await peer.start(f"127.0.0.{len(peers) + 2}", peers[0].port if peers else 0)
        peers.append(peer)
        return peer

    yield begin
    for peer in peers:
        await peer.stop()


def zone(*hosts: tuple[int, str, str], domain: str = "far.test", **more: dict) -> Zone:
    """A domain with these MX: preference, name, address."""
    data = {domain: {"MX": [(preference, name) for preference, name, _ in hosts]}}
    for _, name, address in hosts:
        data.setdefault(name, {}).setdefault("A", []).append(address)
    return Zone({**data, **more})


async def test_mail_goes_to_the_best_server(start: Start) -> None:
    first, second = await start(), await start()
    house = House(second, zone((20, "b.test", "127.0.0.3"), (10, "a.test", "127.0.0.2")))
    outcome = await house.outcome()
    assert (outcome.kind, outcome.remote) == (Kind.RELAYED, "a.test")
    assert outcome.via == f"[127.0.0.2]:{first.port} in the clear"
    assert len(first.messages) == 1
    assert second.lines == []
    await house.relay.stop()


async def test_connections_are_used_again(start: Start) -> None:
    peer = await start()
    house = House(peer, zone((10, "a.test", "127.0.0.2")))
    for _ in range(4):
        await house.outcome()
    assert len(peer.lines) == 1
    assert peer.verbs() == ["EHLO", *["MAIL", "RCPT", "DATA"] * 4]
    await house.relay.stop()
    await until(lambda: peer.verbs()[-1] == "QUIT")


async def test_domains_with_the_same_server_share_a_connection(start: Start) -> None:
    peer = await start()
    house = House(peer, zone((10, "a.test", "127.0.0.2"), **{"else.test": {"MX": [(5, "a.test")]}}))
    await house.outcome("x@far.test")
    await house.outcome("y@else.test")
    assert len(peer.lines) == 1
    await house.relay.stop()


async def test_a_connection_is_given_up_after_its_share(start: Start) -> None:
    peer = await start()
    house = House(peer, zone((10, "a.test", "127.0.0.2")), messages_per_connection=2)
    for _ in range(3):
        await house.outcome()
    assert [lines.count("DATA") for lines in peer.lines] == [2, 1]
    peer.features = ("LIMITS MAILMAX=1",)
    house = House(peer, zone((10, "a.test", "127.0.0.2")))
    for _ in range(2):
        await house.outcome()
    assert [lines.count("DATA") for lines in peer.lines[2:]] == [1, 1]
    peer.features = ()
    house = House(peer, zone((10, "a.test", "127.0.0.2")))
    await house.outcome()
    house.clock.time += 301
    await house.outcome()
    assert [lines.count("DATA") for lines in peer.lines[4:]] == [1, 1]


async def test_each_domain_gets_its_own_transaction(start: Start) -> None:
    peer = await start()
    house = House(peer, zone((10, "a.test", "127.0.0.2"), **{"else.test": {"MX": [(5, "a.test")]}}))
    house.take("x@far.test", "y@else.test", "z@far.test")
    await house.queue.until(3)
    assert sorted(each.rcpts for each in peer.messages) == [["<x@far.test>", "<z@far.test>"], ["<y@else.test>"]]


async def test_many_recipients_are_sent_in_parts(start: Start) -> None:
    peer = await start()
    house = House(peer, zone((10, "a.test", "127.0.0.2")))
    house.take(*[f"r{n}@far.test" for n in range(250)])
    assert {each.kind for each in await house.queue.until(250)} == {Kind.RELAYED}
    assert sorted(len(each.rcpts) for each in peer.messages) == [50, 100, 100]


@pytest.mark.parametrize("trouble", [{"greeting": "554 5.3.2 no"}, {"greeting": None}, {"EHLO": "421 later"}])
async def test_the_next_server_is_tried_when_one_is_out_of_order(start: Start, trouble: dict) -> None:
    await start(replies=trouble)
    second = await start()
    house = House(second, zone((10, "a.test", "127.0.0.2"), (20, "b.test", "127.0.0.3")))
    assert (await house.outcome()).remote == "b.test"


@pytest.mark.parametrize(
    "trouble",
    [
        {"greeting": "450 later"},
        {"EHLO": "451 later", "HELO": "451 later"},
        {"MAIL": "451 4.3.0 later"},
        {"MAIL": "421 4.3.2 closing"},
        {"MAIL": None},
        {"RCPT": "450 4.2.0 greylisted"},
        {"DATA": "451 4.3.0 later"},
    ],
)
async def test_the_next_server_is_asked_when_the_first_says_later(start: Start, trouble: dict) -> None:
    first = await start(replies=trouble)
    second = await start()
    house = House(second, zone((10, "a.test", "127.0.0.2"), (20, "b.test", "127.0.0.3")))
    outcome = await house.outcome()
    assert (outcome.kind, outcome.remote) == (Kind.RELAYED, "b.test")
    assert len(second.whole) == 1
    assert not any(each.data for each in first.messages)
    if next(iter(trouble)) in ("MAIL", "RCPT", "DATA"):
        told = house.events.of("relay.elsewhere")
        assert [(one["host"], one["next"]) for one in told] == [("a.test", "b.test")]
    await house.relay.stop()


async def test_what_two_servers_turn_away_waits(start: Start) -> None:
    peers = [await start(replies={"RCPT": f"45{n} 4.2.0 greylisted"}) for n in range(3)]
    house = House(peers[0], zone((10, "a.test", "127.0.0.2"), (20, "b.test", "127.0.0.3"), (30, "c.test", "127.0.0.4")))
    outcome = await house.outcome()
    assert (outcome.kind, outcome.remote) == (Kind.DEFERRED, "b.test")
    assert outcome.reply.startswith("451")
    assert [len(peer.lines) for peer in peers] == [1, 1, 0]
    one = House(peers[0], zone((10, "a.test", "127.0.0.2")))
    assert (await one.outcome()).reply.startswith("450")
    await house.relay.stop()
    await one.relay.stop()


@pytest.mark.parametrize(
    "trouble",
    [{"MAIL": "550 5.7.1 no"}, {"RCPT": "550 5.1.1 unknown"}, {"end": "451 4.3.0 later"}, {"RCPT b@far.test": "450 x"}],
)
async def test_what_is_settled_by_the_first_server(start: Start, trouble: dict) -> None:
    """A refusal, an answer to the text, and one recipient of several: no other server is asked."""
    await start(replies=trouble)
    second = await start()
    house = House(second, zone((10, "a.test", "127.0.0.2"), (20, "b.test", "127.0.0.3")))
    house.take("b@far.test", "c@far.test")
    await house.queue.until(2)
    assert second.lines == []
    await house.relay.stop()


async def test_the_first_server_is_asked_first_again(start: Start) -> None:
    first = await start(replies={"MAIL": ["451 4.3.0 later"]})
    second = await start()
    house = House(second, zone((10, "a.test", "127.0.0.2"), (20, "b.test", "127.0.0.3")))
    assert [(await house.outcome()).remote for _ in range(3)] == ["b.test", "a.test", "a.test"]
    assert len(first.lines) == 1
    await house.relay.stop()


async def test_the_next_address_is_tried_when_nobody_answers(start: Start) -> None:
    peer = await start()
    where = zone((10, "a.test", "127.0.0.9"), (10, "a.test", "127.0.0.2"))
    where.data["a.test"]["AAAA"] = ["::1"]
    house = House(peer, where, ip="prefer_ipv6")
    assert (await house.outcome()).kind is Kind.RELAYED
    refused = await House(peer, zone((10, "a.test", "127.0.0.9"))).outcome()
    assert (refused.kind, refused.status) == (Kind.DEFERRED, "4.4.1")
    assert refused.reply == f"a.test [127.0.0.9] port {peer.port} cannot be reached: Connection refused"


async def test_servers_of_one_preference_take_turns(start: Start) -> None:
    first, second = await start(), await start()
    numbers = iter([0.1, 0.9, 0.9, 0.1])
    where = zone((10, "a.test", "127.0.0.2"), (10, "b.test", "127.0.0.3"))
    assert (await House(first, where, random=lambda: next(numbers)).outcome()).remote == "a.test"
    assert (await House(second, where, random=lambda: next(numbers)).outcome()).remote == "b.test"


async def test_a_domain_without_mx_is_its_own_server(start: Start) -> None:
    peer = await start()
    house = House(peer, Zone({"far.test": {"A": ["127.0.0.2"]}}))
    assert (await house.outcome()).remote == "far.test"


async def test_an_address_literal(start: Start) -> None:
    peer = await start()
    house = House(peer, Zone({}))
    assert (await house.outcome("b@[127.0.0.2]")).kind is Kind.RELAYED
    assert peer.messages[0].rcpts == ["<b@[127.0.0.2]>"]


@pytest.mark.parametrize(
    ("data", "kind", "status", "words"),
    [
        ({}, Kind.FAILED, "5.1.2", "The domain far.test does not exist"),
        ({"far.test": {"MX": [(0, "")]}}, Kind.FAILED, "5.1.10", "The domain far.test takes no mail (null MX)"),
        ({"far.test": {"TXT": [b"x"]}}, Kind.FAILED, "5.4.4", "far.test has no address"),
        ({"far.test": {"MX": [(0, "gone.test")]}}, Kind.FAILED, "5.4.4", "gone.test has no address"),
        (
            {"far.test": {"MX": "TIMEOUT"}},
            Kind.DEFERRED,
            "4.4.3",
            "The servers of far.test cannot be looked up: no answer in time",
        ),
        (
            {"far.test": {"MX": [(0, "slow.test"), (9, "gone.test")]}, "slow.test": {"A": "TIMEOUT"}},
            Kind.DEFERRED,
            "4.4.3",
            "The address of slow.test cannot be looked up: no answer in time",
        ),
        (
            {"far.test": {"MX": [(10, "mx.here.test"), (20, "b.test")]}, "b.test": {"A": ["127.0.0.2"]}},
            Kind.FAILED,
            "5.4.6",
            "Mail for far.test comes back to this server, which does not host it: its MX record names us",
        ),
    ],
)
async def test_domains_that_cannot_be_reached(data: dict, kind: Kind, status: str, words: str) -> None:
    house = House(None, Zone(data))
    outcome = await house.outcome()
    assert (outcome.kind, outcome.status, outcome.reply, outcome.remote) == (kind, status, words, "")
    await house.relay.stop()


async def test_only_servers_better_than_ourselves_are_used(start: Start) -> None:
    peer = await start()
    where = zone((30, "c.test", "127.0.0.9"), (20, "mx.here.test", "127.0.0.9"), (10, "a.test", "127.0.0.2"))
    assert (await House(peer, where).outcome()).remote == "a.test"
    await peer.stop()
    outcome = await House(peer, where).outcome()
    assert (outcome.kind, outcome.status) == (Kind.DEFERRED, "4.4.1")
    assert "127.0.0.9" not in outcome.reply
    await peer.start("127.0.0.2", peer.port)


@pytest.mark.parametrize("listening", ["127.0.0.2", "0.0.0.0", "::"])
async def test_an_address_of_ours_under_another_name_is_a_loop_too(start: Start, listening: str) -> None:
    peer = await start()
    house = House(peer, zone((10, "alias.test", "127.0.0.2")), listening=((listening, peer.port),))
    outcome = await house.outcome()
    assert (outcome.kind, outcome.status) == (Kind.FAILED, "5.4.6")
    assert peer.lines == []


async def test_a_server_that_has_our_name_is_a_loop_too(start: Start) -> None:
    peer = await start()
    peer.name = "mx.here.test"
    outcome = await House(peer, zone((10, "nat.test", "127.0.0.2"))).outcome()
    assert (outcome.kind, outcome.status) == (Kind.FAILED, "5.4.6")
    assert outcome.reply == "nat.test is this server, which does not host it"
    assert peer.messages == []


async def test_the_family_that_is_wanted(start: Start) -> None:
    peer = await start()
    where = zone((10, "a.test", "127.0.0.2"))
    where.data["a.test"]["AAAA"] = ["2001:db8::1"]
    house = House(peer, where, ip="ipv4")
    await house.outcome()
    assert ("a.test", "AAAA") not in where.asked
    outcome = await House(peer, zone((10, "a.test", "127.0.0.2")), ip="ipv6").outcome()
    assert (outcome.kind, outcome.reply) == (Kind.FAILED, "a.test has no address")


async def test_routes_of_single_domains(start: Start) -> None:
    first, second = await start(), await start()
    routes = (
        Route(domain="far.test", host="127.0.0.2", port=first.port),
        Route(domain=".far.test", host="127.0.0.3", port=first.port),
        Route(domain="mx.test", port=first.port, tls=OutgoingTls.NONE),
    )
    where = zone((10, "b.test", "127.0.0.3"), domain="mx.test")
    house = House(None, where, {"route": routes}, host="nowhere.invalid")
    house.take("x@far.test", "y@deep.far.test", "z@mx.test")
    assert [each.remote for each in await house.queue.until(3)] == ["127.0.0.2", "127.0.0.3", "b.test"]
    await house.relay.stop()
    assert sorted(line for lines in second.lines for line in lines if line.startswith("RCPT")) == [
        "RCPT TO:<y@deep.far.test>",
        "RCPT TO:<z@mx.test>",
    ]


async def test_mail_that_is_passed_on_leaves_under_a_return_address_of_ours(start: Start) -> None:
    peer = await start()
    srs = Srs((b"secret",))
    source = Source(domain="here.test", addresses=("127.0.0.21",))
    house = House(peer, zone((10, "a.test", "127.0.0.2")), {"source": (source,)}, srs=srs)
    entry = house.entry("x@far.test", "y@far.test", sender="ann@outside.test")
    passed_on = replace(entry.recipients[1], forwarder="info@here.test")
    house.relay.take(entry, (entry.recipients[0], passed_on))
    await house.queue.until(2)
    mails = {taken.rcpts[0]: taken.mail.partition(">")[0].strip("<") for taken in peer.messages}
    assert mails["<x@far.test>"] == "ann@outside.test"
    returned = Address.parse(mails["<y@far.test>"])
    assert returned.domain == "here.test"
    assert str(srs.reverse(returned.local, house.clock.time)) == "ann@outside.test"
    assert {taken.data for taken in peer.messages} == {MAIL}
    assert "127.0.0.21" in peer.clients
    report = house.entry("y@far.test", sender="")
    house.relay.take(report, (replace(report.recipients[0], forwarder="info@here.test"),))
    await house.queue.until(3)
    assert peer.messages[-1].mail.startswith("<>")


async def test_an_administrator_sends_mail_another_way(start: Start) -> None:
    first, second = await start(), await start()
    house = House(first, zone((10, "a.test", "127.0.0.2")))
    entry = house.entry("x@far.test", "y@far.test")
    rerouted = replace(entry.recipients[1], nexthop=f"127.0.0.3:{second.port}")
    house.relay.take(entry, (entry.recipients[0], rerouted))
    assert [each.remote for each in await house.queue.until(2)] == ["a.test", "127.0.0.3"]


async def test_mail_leaves_from_the_addresses_of_its_domain(start: Start) -> None:
    peer = await start()
    sources = (
        Source(domain="here.test", addresses=("127.0.0.21", "127.0.0.22"), hostname="out.here.test"),
        Source(addresses=("127.0.0.23",)),
    )
    house = House(peer, zone((10, "a.test", "127.0.0.2")), {"source": sources})
    for sender in ("a@here.test", "b@here.test", "a@other.test"):
        await house.outcome(sender=sender)
    assert peer.clients == ["127.0.0.21", "127.0.0.22", "127.0.0.23"]
    assert [lines[0] for lines in peer.lines] == ["EHLO out.here.test", "EHLO out.here.test", "EHLO mx.here.test"]
    where = zone((10, "a.test", "::1"))
    where.data["a.test"] = {"AAAA": ["::1"]}
    outcome = await House(peer, where, {"source": sources}).outcome()
    assert (outcome.kind, outcome.reply) == (Kind.DEFERRED, "::1 cannot be reached from 127.0.0.21")


# addresses that are unknown there


async def test_an_address_its_server_calls_unknown_is_left_alone(start: Start) -> None:
    peer = await start(
        replies={
            "RCPT b@far.test": "550 5.1.1 no such user",
            "RCPT c@far.test": "550 5.7.1 spam",
            "RCPT d@far.test": "450 4.1.1 user unknown",
        }
    )
    limits = MemoryLimits()
    house = House(peer, zone((10, "a.test", "127.0.0.2")), suppressions=limits)
    house.take("b@far.test", "c@far.test", "d@far.test", "e@far.test")
    outcomes = await house.queue.until(4)
    assert [each.cause for each in outcomes] == ["unknown_user", "spam", "unknown_user", ""]
    assert outcomes[0].meaning == "There is no such address there."
    await until(lambda: not house.relay.busy)
    now = house.clock.time
    (one,) = limits.suppressions(now)
    assert (one.address, one.until, one.reason) == ("b@far.test", now + 14 * 86400, "550 5.1.1 no such user")
    assert [each["recipient"] for each in house.events.of("relay.suppressed")] == ["b@far.test"]


async def test_suppression_can_be_off(start: Start) -> None:
    peer = await start(replies={"RCPT": "550 5.1.1 no such user"})
    limits = MemoryLimits()
    house = House(peer, zone((10, "a.test", "127.0.0.2")), suppressions=limits, suppress_days=0)
    assert (await house.outcome()).kind is Kind.FAILED
    assert limits.suppressions(0.0) == []


# pace


async def test_a_dead_destination_is_left_alone_for_a_while(start: Start) -> None:
    peer = await start(replies={"greeting": "421 4.3.2 busy"})
    house = House(peer, zone((10, "a.test", "127.0.0.2")))
    for _ in range(3):
        outcome = await house.outcome()
        assert (outcome.kind, outcome.status, outcome.remote) == (Kind.DEFERRED, "4.3.2", "a.test")
    assert len(peer.lines) == 1
    house.clock.time += 61
    await house.outcome()
    assert len(peer.lines) == 2
    await house.outcome()
    assert len(peer.lines) == 2
    house.relay.retry_now()
    peer.replies = {}
    assert (await house.outcome()).kind is Kind.RELAYED
    assert [each["pause"] for each in house.events.of("relay.unusable")] == [60.0, 120.0]


async def test_a_peer_that_lets_few_in_gets_few_connections(start: Start) -> None:
    peer = await start(most_open=2, gate=asyncio.Event())
    house = House(peer, zone((10, "a.test", "127.0.0.2")))
    for _ in range(30):
        house.take()
    await until(lambda: len(peer.lines) >= 5)
    assert peer.gate is not None
    peer.gate.set()
    assert {each.kind for each in await house.queue.until(30)} == {Kind.RELAYED}
    assert len(peer.whole) == 30
    assert len(peer.lines) < 12
    assert house.events.names() == []


async def test_more_connections_come_with_success(start: Start) -> None:
    peer = await start(gate=asyncio.Event())
    house = House(peer, zone((10, "a.test", "127.0.0.2")), per_destination=8)
    for _ in range(100):
        house.take()
    await until(lambda: len(peer.whole) >= 5)
    assert peer.most == 5
    assert peer.gate is not None
    peer.gate.set()
    await house.queue.until(100)
    assert peer.most == 8


async def test_a_stalled_destination_does_not_hold_back_another(start: Start) -> None:
    slow, quick = await start(gate=asyncio.Event()), await start()
    where = zone((10, "a.test", "127.0.0.2"), **{"quick.test": {"MX": [(5, "b.test")]}, "b.test": {"A": ["127.0.0.3"]}})
    house = House(slow, where, connections=8)
    for _ in range(50):
        house.take("x@far.test")
    outcome = await house.outcome("y@quick.test", alone=False)
    assert outcome.kind is Kind.RELAYED
    assert len(quick.messages) == 1
    assert slow.gate is not None
    slow.gate.set()
    await house.queue.until(51)


async def test_destinations_take_turns_where_connections_are_few(start: Start) -> None:
    peer = await start()
    other = await start()
    where = zone((10, "a.test", "127.0.0.2"), **{"quick.test": {"MX": [(5, "b.test")]}, "b.test": {"A": ["127.0.0.3"]}})
    house = House(peer, where, connections=1)
    for _ in range(100):
        house.take("x@far.test")
    entry = house.take("y@quick.test")
    async with asyncio.timeout(20), house.queue.changed:
        await house.queue.changed.wait_for(lambda: (entry.id, 0) in house.queue.outcomes)
    assert len(house.queue.outcomes) < 60
    await house.queue.until(101)
    assert len(other.messages) == 1


async def test_so_many_messages_a_minute(start: Start) -> None:
    peer = await start()
    route = Route(domain="far.test", port=peer.port, tls=OutgoingTls.NONE, per_minute=30)
    house = House(None, zone((10, "a.test", "127.0.0.2")), {"route": (route,)})
    for _ in range(3):
        house.take()
    await house.queue.until(1)
    await until(lambda: not house.relay._couriers)
    house.relay.retry_now()
    assert len(peer.messages) == 1
    for count in (2, 3):
        house.clock.time += 2
        house.relay.retry_now()
        await house.queue.until(count)
        await until(lambda: not house.relay._couriers)
    assert len(peer.messages) == 3
    house.take()
    await house.relay.stop()
    assert len(house.queue.back) == 1


async def test_bulk_mail_of_a_sender_lets_letters_go_first(start: Start) -> None:
    peer = await start()
    house = House(peer, zone((10, "a.test", "127.0.0.2")), connections=1)
    for _ in range(50):
        house.take(bulk=True)
    await house.outcome(alone=False)
    assert len(house.queue.outcomes) < 6
    await house.queue.until(51)


async def test_the_mail_of_one_sender_does_not_hold_back_that_of_another(start: Start) -> None:
    peer = await start()
    house = House(peer, zone((10, "a.test", "127.0.0.2")), connections=1)
    for _ in range(100):
        house.take(sender="bulk@here.test")
    await house.outcome(sender="ann@here.test", alone=False)
    assert len(house.queue.outcomes) < 10
    await house.queue.until(101)


async def test_a_dead_domain_fails_for_all_that_wait(start: Start) -> None:
    house = House(None, Zone({"far.test": {"MX": [(0, "")]}}), connections=1)
    for _ in range(3):
        house.take()
    assert {each.status for each in await house.queue.until(3)} == {"5.1.10"}
    assert house.events.names() == []
    assert (await house.outcome()).status == "5.1.10"


async def test_of_many_destinations_only_some_are_remembered(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("postroom.relay.service._MOST_KNOWN", 10)
    house = House(None, Zone({}))
    for number in range(40):
        await house.outcome(f"b@d{number}.test")
        assert len(house.relay._known) <= 20
    await house.relay.stop()


async def test_stop_leaves_nothing_behind(start: Start) -> None:
    peer = await start(replies={"greeting": b""})
    house = House(peer, zone((10, "a.test", "127.0.0.2")), connections=2)
    for _ in range(10):
        house.take()
    await until(lambda: len(peer.lines) == 2)
    await house.relay.stop()
    await until(lambda: peer.open == 0 and not house.relay._couriers)
    assert len(house.queue.back) == 10
    assert house.queue.outcomes == {}


async def test_a_stop_that_is_cut_off_leaves_nothing_behind(start: Start) -> None:
    peer = await start(gate=asyncio.Event())
    house = House(peer, zone((10, "a.test", "127.0.0.2")), connections=2)
    for _ in range(3):
        house.take()
    await until(lambda: len(peer.whole) == 2)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await house.relay.stop()
    await until(lambda: not house.relay._couriers)
    assert peer.gate is not None
    peer.gate.set()
    await until(lambda: peer.open == 0)
    assert len(house.queue.back) == 1
