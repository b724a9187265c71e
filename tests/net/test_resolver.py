"""The resolver against a server on loopback that does everything wrong in turn."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from postroom.net.resolver import Resolver, this_machine
from postroom.net.resolver_exchange import Patience
from postroom.net.resolver_servers import Servers
from postroom.testing.dnsserver import DnsServer
from postroom.testing.mailflow import StandingClock
from postroom.values.dns import DnsUnavailable, Lookup, NoSuchName, RecordType

A, AAAA, MX, TXT, CNAME = RecordType.A, RecordType.AAAA, RecordType.MX, RecordType.TXT, RecordType.CNAME
TRUE = ("192.0.2.1",)
LONG = ["x" * 250 for _ in range(20)]
ZONE = {
    "a.test": {"A": list(TRUE), "MX": [[10, "MX.a.test"]], "TXT": ["v=spf1 -all", ["two ", "strings"]]},
    "six.test": {"A": ["192.0.2.6"], "AAAA": ["2001:db8::6"]},
    "four.test": {"A": ["192.0.2.4"], "AAAA": "SERVFAIL"},
    "w.test": {"CNAME": ["a.test"]},
    "loop.test": {"CNAME": ["pool.test"]},
    "pool.test": {"CNAME": ["loop.test"]},
    "long.test": {"TXT": LONG},
    "broken.test": {"*": "SERVFAIL"},
    "moment.test": {"A": ["192.0.2.7"], "TTL": 0},
    "ok.signed.test": {"A": ["192.0.2.8"]},
    "out.signed.test": {"CNAME": ["a.test"]},
    "x.bogus.test": {"A": ["192.0.2.9"]},
    "old.test": {"A": ["192.0.2.5"], "TTL": 60},
}
QUICK = Patience(budget=0.3, first=0.1)


def closed_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


class House:
    """One server that knows the zone, a clock that stands, and resolvers that are closed at the end."""

    def __init__(self, server: DnsServer) -> None:
        self.server = server
        self.clock = StandingClock()
        self.made: list[Resolver] = []

    def resolver(self, *servers: str, patience: Patience | None = None, **options: object) -> Resolver:
        made = Resolver(servers or (self.server.address,), self.clock, patience=patience, **options)  # type: ignore[arg-type]
        self.made.append(made)
        return made


@pytest.fixture
async def house() -> AsyncIterator[House]:
    async with DnsServer(ZONE, signed=["signed.test"], bogus=["bogus.test"]) as server:
        house = House(server)
        before = asyncio.all_tasks()
        yield house
        for each in house.made:
            each.close()
            assert each.busy == 0
        await asyncio.sleep(0)
        left = {task for task in asyncio.all_tasks() - before if "_stream" in repr(task) and "resolver" in repr(task)}
        assert not left, "the resolver leaves tasks behind"


async def test_records_as_mail_wants_them(house: House) -> None:
    resolver = house.resolver()
    assert await resolver.lookup("A.Test.", A) == Lookup(TRUE)
    assert (await resolver.lookup("a.test", MX)).records == ((10, "mx.a.test"),)
    assert (await resolver.lookup("a.test", TXT)).records == (b"v=spf1 -all", b"two strings")
    assert (await resolver.lookup("w.test", A)).records == TRUE
    assert (await resolver.lookup("w.test", CNAME)).records == ("a.test",)
    assert (await resolver.lookup("a.test", AAAA)).records == ()
    with pytest.raises(NoSuchName, match=r"no name no\.test"):
        await resolver.lookup("no.test", A)


@pytest.mark.parametrize(
    "name", ["", "a..b", "x" * 64 + ".test", "b\u00fccher.test", "a." * 130, "\ud800", "a b\n.test"]
)
async def test_any_name_at_all(house: House, name: str) -> None:
    with contextlib.suppress(NoSuchName):
        assert (await house.resolver().lookup(name, A)).records == ()


# the cache


async def test_answers_are_kept_for_their_time(house: House) -> None:
    resolver, server = house.resolver(), house.server
    for _ in range(3):
        await resolver.lookup("old.test", A)
    assert server.count("old.test") == 1
    house.clock.time += 59
    await resolver.lookup("OLD.test.", A)
    assert server.count("old.test") == 1
    house.clock.time += 2
    await resolver.lookup("old.test", A)
    assert server.count("old.test") == 2


async def test_names_that_do_not_exist_are_kept_as_long_as_the_soa_says(house: House) -> None:
    resolver, server = house.resolver(), house.server
    for name, question in (("no.test", A), ("a.test", AAAA)):
        for wait, count in ((0, 1), (59, 1), (2, 2)):
            house.clock.time += wait
            with contextlib.suppress(NoSuchName):
                await resolver.lookup(name, question)
            assert server.count(name) == count, (name, wait)


async def test_a_ttl_of_zero_is_not_kept(house: House) -> None:
    resolver = house.resolver()
    await resolver.lookup("moment.test", A)
    await resolver.lookup("moment.test", A)
    assert house.server.count("moment.test") == 2


async def test_the_cache_has_a_bound_and_forgets_what_nobody_asks_for(house: House) -> None:
    house.server.add({"*.many.test": {"A": ["192.0.2.1"]}})
    resolver = house.resolver(room=20_000)
    for number in range(100):
        await resolver.lookup("a.test", A)
        await resolver.lookup(f"n{number}.many.test", A)
    assert house.server.count("a.test") == 1
    assert 10 < len(resolver._cache) < 40
    await resolver.lookup("n0.many.test", A)
    assert house.server.count("n0.many.test") == 2


async def test_an_old_answer_is_better_than_none(house: House) -> None:
    resolver, server = house.resolver(), house.server
    await resolver.lookup("old.test", A)
    house.clock.time += 61
    server.fault("old.test", what="SERVFAIL")
    assert (await resolver.lookup("old.test", A)).records == ("192.0.2.5",)
    await resolver.lookup("old.test", A)
    assert server.count("old.test") == 2, "it is not asked again for a moment"
    house.clock.time += 31
    await resolver.lookup("old.test", A)
    assert server.count("old.test") == 3
    house.clock.time += 3600
    with pytest.raises(DnsUnavailable, match="SERVFAIL"):
        await resolver.lookup("old.test", A)


async def test_an_old_answer_is_given_when_the_new_one_is_slow(house: House) -> None:
    resolver, server = house.resolver(patience=Patience(budget=30, first=20, stale=0.02)), house.server
    await resolver.lookup("old.test", A)
    house.clock.time += 61
    server.fault("old.test", what="TIMEOUT")
    assert (await resolver.lookup("old.test", A)).records == ("192.0.2.5",)
    assert resolver.busy == 1, "the question goes on"
    assert (await resolver.lookup("old.test", A)).records == ("192.0.2.5",)


async def test_a_name_that_is_gone_is_not_answered_from_old_memory(house: House) -> None:
    resolver, server = house.resolver(), house.server
    await resolver.lookup("old.test", A)
    house.clock.time += 61
    del server.zone["old.test"]
    with pytest.raises(NoSuchName):
        await resolver.lookup("old.test", A)


async def test_failures_are_remembered_for_a_moment(house: House) -> None:
    resolver, server = house.resolver(), house.server
    for wait, count in ((0, 1), (4, 1), (2, 2)):
        house.clock.time += wait
        with pytest.raises(DnsUnavailable, match=r"broken\.test A \(127\.0\.0\.1:\d+: SERVFAIL\)"):
            await resolver.lookup("broken.test", A)
        assert server.count("broken.test") == count


# many at once


async def test_equal_questions_are_asked_once(house: House) -> None:
    resolver = house.resolver()
    house.server.fault("a.test", delay=0.02)
    answers = await asyncio.gather(*[resolver.lookup("a.test", A) for _ in range(50)])
    assert set(answers) == {Lookup(TRUE)}
    assert house.server.count("a.test") == 1


async def test_who_is_cancelled_leaves_the_question_to_the_others(house: House) -> None:
    resolver = house.resolver()
    house.server.fault("a.test", delay=0.02)
    tasks = [asyncio.ensure_future(resolver.lookup("a.test", A)) for _ in range(3)]
    await asyncio.sleep(0)
    tasks[0].cancel()
    assert await tasks[1] == await tasks[2] == Lookup(TRUE)
    assert tasks[0].cancelled()
    assert resolver.busy == 0


async def test_when_all_are_cancelled_nothing_is_left(house: House) -> None:
    resolver = house.resolver()
    house.server.fault("a.test", what="TIMEOUT")
    task = asyncio.ensure_future(resolver.lookup("a.test", A))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert resolver.busy == 1
    resolver.close()
    assert resolver.busy == 0


async def test_closing_tells_who_waits(house: House) -> None:
    resolver = house.resolver()
    house.server.fault("*", what="TIMEOUT")
    waiting = [asyncio.ensure_future(resolver.lookup(f"{n}.test", A)) for n in range(3)]
    await asyncio.sleep(0)
    resolver.close()
    for each in await asyncio.gather(*waiting, return_exceptions=True):
        assert isinstance(each, DnsUnavailable) and "stopping" in str(each)
    with pytest.raises(DnsUnavailable):
        await resolver.lookup("b.test", A)


async def test_more_questions_than_may_fly_wait_their_turn(house: House) -> None:
    house.server.add({"*.many.test": {"A": ["192.0.2.1"]}})
    resolver = house.resolver()
    before = len(os.listdir("/proc/self/fd"))
    waiting = [asyncio.ensure_future(resolver.lookup(f"n{number}.many.test", A)) for number in range(700)]
    await asyncio.sleep(0)
    assert len(os.listdir("/proc/self/fd")) - before <= 256
    assert {each.records for each in await asyncio.gather(*waiting)} == {TRUE}
    assert len(os.listdir("/proc/self/fd")) <= before + 1


async def test_who_waited_in_line_too_long_is_told(house: House) -> None:
    house.server.fault("*", what="TIMEOUT")
    resolver = house.resolver(patience=Patience(budget=0.1, first=0.2))
    outcomes = await asyncio.gather(
        *[resolver.lookup(f"n{number}.test", A) for number in range(1200)], return_exceptions=True
    )
    texts = [str(each) for each in outcomes]
    assert all(isinstance(each, DnsUnavailable) for each in outcomes)
    assert sum("no answer from" in text for text in texts) >= 256
    assert any("too many questions" in text for text in texts)


# servers that fail or lie


@pytest.mark.parametrize("what", ["WRONG_ID", "WRONG_QUESTION", "WRONG_SOURCE"])
async def test_lies_are_not_heard(house: House, what: str) -> None:
    house.server.fault("a.test", what=what)
    assert (await house.resolver().lookup("a.test", A)).records == TRUE


async def test_who_guesses_numbers_makes_us_ask_by_tcp(house: House) -> None:
    house.server.fault("a.test", what="FLOOD")
    assert (await house.resolver().lookup("a.test", A)).records == TRUE
    assert [each.tcp for each in house.server.asked] == [False, True]


async def test_what_is_cut_off_comes_by_tcp(house: House) -> None:
    resolver = house.resolver()
    assert b"".join((await resolver.lookup("long.test", TXT)).records) == "".join(LONG).encode()
    house.server.fault("a.test", what="TRUNCATED")
    assert (await resolver.lookup("a.test", A)).records == TRUE
    assert [each.tcp for each in house.server.asked] == [False, True, False, True]


async def test_what_is_cut_off_is_never_used(house: House) -> None:
    house.server.fault("a.test", what="NO_TCP")
    with pytest.raises(DnsUnavailable, match="cannot be asked by TCP"):
        await house.resolver().lookup("a.test", A)


async def test_a_server_without_tcp_is_not_the_last_word(house: House) -> None:
    async with DnsServer(ZONE) as other:
        house.server.fault("a.test", what="NO_TCP")
        assert (await house.resolver(house.server.address, other.address).lookup("a.test", A)).records == TRUE


@pytest.mark.parametrize(
    ("what", "cause"),
    [
        ("SERVFAIL", "SERVFAIL"),
        ("REFUSED", "REFUSED"),
        ("FORMERR", "FORMERR"),
        ("GARBAGE", "cannot be read"),
        ("EMPTY", "SERVFAIL"),
        ("TIMEOUT", "no answer"),
    ],
)
async def test_failures_are_named_and_the_next_server_is_asked(house: House, what: str, cause: str) -> None:
    house.server.fault("a.test", what=what)
    with pytest.raises(DnsUnavailable, match=cause):
        await house.resolver(patience=QUICK if what == "TIMEOUT" else None).lookup("a.test", A)
    async with DnsServer(ZONE) as other:
        resolver = house.resolver(house.server.address, other.address, patience=Patience(first=0.1))
        assert (await resolver.lookup("a.test", A)).records == TRUE


async def test_an_old_server_is_asked_without_edns(house: House) -> None:
    house.server.fault("a.test", what="NO_EDNS")
    assert (await house.resolver().lookup("a.test", A)).records == TRUE
    assert [each.edns for each in house.server.asked] == [True, False]


async def test_a_lost_datagram_is_sent_again(house: House) -> None:
    house.server.fault("a.test", what="TIMEOUT", times=1)
    assert (await house.resolver(patience=Patience(first=0.3)).lookup("a.test", A)).records == TRUE
    assert house.server.count("a.test") == 2


async def test_a_late_answer_to_the_first_try_counts(house: House) -> None:
    house.server.fault("a.test", times=1, delay=0.1)
    house.server.fault("*", what="TIMEOUT")
    resolver = house.resolver(patience=Patience(budget=5, first=0.02))
    assert (await resolver.lookup("a.test", A)).records == TRUE
    assert house.server.count("a.test") >= 2, "the others were never answered"


async def test_nobody_listens(house: House) -> None:
    dead = f"127.0.0.1:{closed_port()}"
    with pytest.raises(DnsUnavailable, match="cannot be reached"):
        await house.resolver(dead).lookup("a.test", A)
    resolver = house.resolver(dead, house.server.address)
    assert (await resolver.lookup("a.test", A)).records == TRUE


async def test_a_silent_server_is_passed_over_for_a_while(house: House) -> None:
    async with DnsServer() as silent:
        silent.fault("*", what="TIMEOUT")
        house.server.add({"*.many.test": {"A": ["192.0.2.1"]}})
        resolver = house.resolver(silent.address, house.server.address, patience=Patience(first=0.2))
        for number in range(6):
            await resolver.lookup(f"n{number}.many.test", A)
        assert len(silent.asked) == 3
        house.clock.time += 31
        await resolver.lookup("late.many.test", A)
        assert len(silent.asked) == 4
        silent.fault("*", what="NXDOMAIN")
        house.clock.time += 31
        with pytest.raises(NoSuchName):
            await resolver.lookup("well.many.test", A)


async def test_a_chain_without_an_end(house: House) -> None:
    with pytest.raises(DnsUnavailable):
        await house.resolver().lookup("loop.test", A)


# DNSSEC


async def test_the_word_of_a_configured_server_counts(house: House) -> None:
    resolver = house.resolver()
    assert (await resolver.lookup("ok.signed.test", A)).secure
    assert not (await resolver.lookup("a.test", A)).secure
    assert not (await resolver.lookup("out.signed.test", A)).secure
    with pytest.raises(DnsUnavailable, match="SERVFAIL"):
        await resolver.lookup("x.bogus.test", A)
    assert {each.authentic for each in house.server.asked} == {True}


async def test_the_word_of_a_server_found_in_the_network_does_not(house: House) -> None:
    resolver = house.resolver()
    [server] = resolver._servers.order()
    server.trusted = False  # as if its address came from resolv.conf and were not on this machine
    assert not (await resolver.lookup("ok.signed.test", A)).secure
    assert {each.authentic for each in house.server.asked} == {False}


def test_which_servers_are_trusted(tmp_path: Path) -> None:
    file = tmp_path / "resolv.conf"
    file.write_text(
        "# x\nnameserver 192.0.2.53\nnameserver 127.0.0.53\nnameserver bad\noptions edns0\nnameserver ::1\n"
    )
    clock = StandingClock()
    servers = Servers((), clock, str(file))
    assert [(each.text, each.trusted) for each in servers.order()] == [
        ("192.0.2.53:53", False),
        ("127.0.0.53:53", True),
        ("[::1]:53", True),
    ]
    file.unlink()
    assert len(servers.order()) == 3, "it is not looked at each time"
    clock.time += 6
    assert [each.text for each in servers.order()] == ["127.0.0.1:53"]
    assert [each.trusted for each in Servers(["192.0.2.53", "[2001:db8::1]:54"], clock).order()] == [True, True]


# hosts


async def test_addresses_of_a_host(house: House, tmp_path: Path) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_text("192.0.2.77 inside.test alias # comment\n2001:db8::77 inside.test\nbroken line\n")
    resolver = house.resolver(hosts=str(hosts))
    assert await resolver.addresses("six.test") == ("2001:db8::6", "192.0.2.6")
    assert await resolver.addresses("four.test") == ("192.0.2.4",)
    assert await resolver.addresses("Inside.test.") == ("192.0.2.77", "2001:db8::77")
    assert await resolver.addresses("ALIAS") == ("192.0.2.77",)
    assert await resolver.addresses("localhost") == ("127.0.0.1", "::1")
    assert await resolver.addresses("192.0.2.200") == ("192.0.2.200",)
    assert await resolver.addresses("[IPv6:2001:db8::1]") == ("2001:db8::1",)
    with pytest.raises(NoSuchName):
        await resolver.addresses("no.test")
    with pytest.raises(DnsUnavailable):
        await resolver.addresses("broken.test")
    hosts.write_text("192.0.2.78 inside.test\n")
    os.utime(hosts, (1, 1))
    house.clock.time += 6
    assert await resolver.addresses("inside.test") == ("192.0.2.78",)


async def test_this_machine_without_any_server() -> None:
    assert await this_machine("LOCALHOST.") == ("127.0.0.1",)
    assert await this_machine("::1") == ("::1",)
    with pytest.raises(NoSuchName):
        await this_machine("mx.test")


async def test_other_servers_from_now_on(house: House) -> None:
    async with DnsServer({"a.test": {"A": ["192.0.2.99"]}}) as other:
        resolver = house.resolver()
        await resolver.lookup("a.test", A)
        resolver.follow([house.server.address])
        await resolver.lookup("a.test", A)
        assert house.server.count("a.test") == 1, "nothing has changed"
        resolver.follow([other.address])
        assert (await resolver.lookup("a.test", A)).records == ("192.0.2.99",)
        other.fault("*", what="SERVFAIL")
        with pytest.raises(DnsUnavailable):
            await resolver.lookup("b.test", A)
        assert resolver.counts == {"memory": 1, "servers": 2, "stale": 0, "failed": 1}
