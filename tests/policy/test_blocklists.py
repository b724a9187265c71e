"""Lists in the DNS: what they say is weighed, and lists that lie, fail or are slow count nothing."""

from __future__ import annotations

import asyncio

import pytest

from postroom.config import Blocklist, BlocklistKind
from postroom.policy.blocklists import Blocklists, Listed, address_digest, file_digest
from postroom.policy.networks import reversed_labels
from postroom.testing.mailflow import Events, StandingClock

from .peer_dns import TXT, A, FakeDns

BAD, GOOD = "192.0.2.66", "192.0.2.1"
SIX = "2001:db8::66"


class Bench:
    def __init__(self, *lists: Blocklist) -> None:
        self.dns, self.clock, self.events = FakeDns(), StandingClock(), Events()
        self.lists = Blocklists(self.dns, lists, self.clock, self.events)

    async def judge(self, ip: str = BAD, *domains: str, seconds: float = 5.0) -> Listed:
        return await self.lists.judge(ip, domains, seconds)

    def ignored(self) -> list[object]:
        return [fields["reason"] for fields in self.events.of("blocklist.ignored")]


def test_addresses_as_lists_have_them() -> None:
    assert reversed_labels("192.0.2.99") == "99.2.0.192"
    nibbles = "b.a.9.8.7.6.5.4.3.2.1.0.8.b.d.0.1.0.0.0.4.0.0.0.3.0.0.0.8.b.d.0"  # RFC 5782 2.4 has such an example
    assert reversed_labels("db8:3:4:1:db8:123:4567:89ab").count(".") == 31
    assert reversed_labels("0db8:0003:0004:0001:0db8:0123:4567:89ab") == nibbles.replace("0.8.b.d.0", "0.8.b.d.0")
    assert reversed_labels("no address") == ""


async def test_weights_are_summed_and_named() -> None:
    bench = Bench(Blocklist(zone="a.test", weight=0.6), Blocklist(zone="B.test.", weight=0.5), Blocklist(zone="c.test"))
    bench.dns.list("a.test", "66.2.0.192")
    bench.dns.list("b.test", "66.2.0.192", code="127.0.0.9")
    bench.dns.list("c.test")
    listed = await bench.judge()
    assert listed.score == pytest.approx(1.1)
    assert [(hit.zone, hit.codes) for hit in listed.hits] == [("a.test", ("127.0.0.2",)), ("b.test", ("127.0.0.9",))]
    assert listed.reason.startswith(f"{BAD} is listed by a.test (127.0.0.2; +0.6); ")
    assert await bench.judge(GOOD) == Listed()


async def test_codes_choose_what_counts_and_how_much() -> None:
    zone = "zen.test"
    bench = Bench(
        Blocklist(zone=zone, codes=("127.0.0.2", "127.0.0.4/30"), weight=1.0),
        Blocklist(zone=zone, codes=("127.0.0.10",), weight=0.3),
        Blocklist(zone=zone, codes=("127.0.0.99",), weight=9.0),
    )
    bench.dns.list(zone)
    bench.dns.add(f"66.2.0.192.{zone}", A, "127.0.0.7", "127.0.0.10")
    bench.dns.add(f"1.2.0.192.{zone}", A, "127.0.0.11")
    assert (await bench.judge()).score == pytest.approx(1.3)
    assert (await bench.judge(GOOD)).score == 0
    assert bench.dns.asked.count(f"66.2.0.192.{zone}") == 1, "a zone is asked once"


async def test_lists_of_good_ones_lower_the_score() -> None:
    bench = Bench(Blocklist(zone="bad.test"), Blocklist(zone="good.test", weight=-2))
    bench.dns.list("bad.test", "66.2.0.192")
    bench.dns.list("good.test", "66.2.0.192")
    assert (await bench.judge()).score == -1


async def test_lists_of_domains() -> None:
    bench = Bench(Blocklist(zone="dbl.test", kind=BlocklistKind.DOMAIN))
    bench.dns.list("dbl.test", "spam.example", "helo.example")
    listed = await bench.judge(GOOD, "spam.example", "helo.example", "fine.example")
    assert (listed.score, [hit.item for hit in listed.hits]) == (1.0, ["spam.example", "helo.example"])
    assert not any("192" in name for name in bench.dns.asked), "such a list is not asked for addresses"
    assert (await bench.judge(BAD)).score == 0


async def test_addresses_of_ipv6() -> None:
    bench = Bench(Blocklist(zone="six.test"))
    bench.dns.add(f"{reversed_labels('::ffff:7f00:2')}.six.test", A, "127.0.0.2")  # it has IPv6 only
    bench.dns.add(f"{reversed_labels(SIX)}.six.test", A, "127.0.0.2")
    assert (await bench.judge(SIX)).score == 1
    assert bench.ignored() == []


async def test_a_list_that_lists_everything_is_left_out_and_told_once() -> None:
    bench = Bench(Blocklist(zone="a.test"), Blocklist(zone="b.test"))
    bench.dns.list("a.test", "66.2.0.192", "1.0.0.127")
    bench.dns.list("b.test", "66.2.0.192")
    for _ in range(3):
        assert (await bench.judge()) == Listed(1.0, (await bench.judge()).hits, ("a.test",))
    assert bench.ignored() == ["it lists everything, also 127.0.0.1"]
    asked = len(bench.dns.asked)
    await bench.judge(GOOD)
    assert [name for name in bench.dns.asked[asked:] if "a.test" in name] == []
    del bench.dns.records["1.0.0.127.a.test", A]
    bench.clock.time += 601
    assert (await bench.judge()).score == 2
    assert bench.events.of("blocklist.restored") == [{"zone": "a.test"}]


@pytest.mark.parametrize("kind", [BlocklistKind.IP, BlocklistKind.DOMAIN, BlocklistKind.URL])
async def test_a_list_without_its_test_entry_is_left_out(kind: BlocklistKind) -> None:
    bench = Bench(Blocklist(zone="gone.test", kind=kind))
    bench.dns.add("66.2.0.192.gone.test", A, "127.0.0.2")
    assert (await bench.judge(BAD, "x.example")).score == 0
    assert bench.ignored() == [f"its test entry {'127.0.0.2' if kind is BlocklistKind.IP else 'TEST'} is missing"]


def test_digests_as_lists_have_them() -> None:
    assert address_digest("Noreply@Example.COM") == "ca62660225ab299b9e7611e088cda21e2a9c298b"
    assert file_digest(b"") == "4oymiquy7qobjgx36tejs35zeqt24qpemsnzgtfeswmrw6csxbkq"  # SHA-256 of nothing


@pytest.mark.parametrize("kind", [BlocklistKind.EMAIL, BlocklistKind.FILE])
async def test_lists_of_digests(kind: BlocklistKind) -> None:
    bench = Bench(
        Blocklist(zone="a.test", kind=kind), Blocklist(zone="b.test"), Blocklist(zone="c.test", kind=BlocklistKind.URL)
    )
    bench.dns.add("abc.a.test", A, "127.0.0.2")
    found = await bench.lists.judge_digests(kind, [("one", "abc"), ("two", "def")], 5.0)
    assert (found.score, [hit.item for hit in found.hits]) == (1.0, ["one"])
    assert bench.ignored() == []
    assert await bench.lists.judge_digests(kind, [("two", "def")], 5.0) == Listed()
    assert (await bench.judge(BAD, "x.example")).unheard == ("b.test", "c.test")  # of which nothing is known here
    everything = Bench(Blocklist(zone="a.test", kind=kind))
    everything.dns.add("invalid.a.test", A, "127.0.0.2")
    assert (await everything.lists.judge_digests(kind, [("one", "abc")], 5.0)).unheard == ("a.test",)


async def test_a_list_of_addresses_with_a_test_entry() -> None:
    bench = Bench(Blocklist(zone="a.test", kind=BlocklistKind.EMAIL, test="Test@example.org"))
    bench.dns.add("abc.a.test", A, "127.0.0.2")
    assert (await bench.lists.judge_digests(BlocklistKind.EMAIL, [("one", "abc")], 5.0)).score == 0
    assert bench.ignored() == ["its test entry Test@example.org is missing"]
    good = Bench(Blocklist(zone="a.test", kind=BlocklistKind.EMAIL, test="Test@example.org"))
    for label in ("abc", address_digest("test@example.org")):
        good.dns.add(f"{label}.a.test", A, "127.0.0.2")
    assert (await good.lists.judge_digests(BlocklistKind.EMAIL, [("one", "abc")], 5.0)).score == 1


async def test_a_domain_list_that_lists_everything() -> None:
    bench = Bench(Blocklist(zone="a.test", kind=BlocklistKind.DOMAIN))
    bench.dns.list("a.test", "invalid")
    assert (await bench.judge(BAD, "x.example")).unheard == ("a.test",)
    assert bench.ignored() == ["it lists everything, also INVALID"]


@pytest.mark.parametrize(
    ("kind", "test", "label"), [("ip", "192.0.2.2", "2.2.0.192"), ("domain", "t.example", "t.example")]
)
async def test_a_test_entry_of_its_own(kind: str, test: str, label: str) -> None:
    bench = Bench(Blocklist(zone="a.test", kind=BlocklistKind(kind), test=test))
    for each in (label, "66.2.0.192", "x.example"):
        bench.dns.add(f"{each}.a.test", A, "127.0.0.2")
    assert (await bench.judge(BAD, "x.example")).score == 1


@pytest.mark.parametrize(
    ("code", "cause"),
    [("127.255.255.254", "it refuses our questions"), ("203.0.113.5", "no code of a list")],
)
async def test_answers_that_are_no_codes(code: str, cause: str) -> None:
    bench = Bench(Blocklist(zone="a.test"))
    bench.dns.list("a.test")
    assert (await bench.judge(GOOD)).unheard == ()
    bench.dns.add("66.2.0.192.a.test", A, code)
    listed = await bench.judge()
    assert (listed.score, listed.unheard) == (0, ("a.test",))
    assert cause in str(bench.ignored()[0])


@pytest.mark.parametrize("code", ["127.255.255.254", "203.0.113.5"])
async def test_a_list_that_answers_nonsense_to_everybody(code: str) -> None:
    bench = Bench(Blocklist(zone="a.test"))
    bench.dns.list("a.test", "66.2.0.192", code=code)
    assert (await bench.judge()).unheard == ("a.test",)
    assert len(bench.ignored()) == 1
    bench.dns.add("1.0.0.127.a.test", A, code)
    bench.clock.time += 601
    assert (await bench.judge()).unheard == ("a.test",)
    assert len(bench.ignored()) == 1


async def test_late_answers_are_no_answers() -> None:
    bench = Bench(Blocklist(zone="a.test"), Blocklist(zone="slow.test"))
    bench.dns.list("a.test", "66.2.0.192")
    bench.dns.list("slow.test")
    bench.dns.hang("66.2.0.192.slow.test")
    for number in range(3):
        listed = await bench.judge(seconds=0.2)
        assert (listed.score, listed.unheard) == (1.0, ("slow.test",))
        await asyncio.sleep(0)
        assert bench.dns.cancelled == number + 1, "nothing is left waiting"
    assert bench.ignored() == ["its answers come too late"]
    assert (await bench.judge(seconds=60)).unheard == ("slow.test",), "it is not waited for again"
    bench.clock.time += 61
    bench.dns.list("slow.test", "66.2.0.192")
    assert (await bench.judge()).score == 2


async def test_a_list_that_fails_counts_nothing() -> None:
    bench = Bench(Blocklist(zone="a.test"), Blocklist(zone="b.test"))
    bench.dns.list("a.test")
    bench.dns.fail("66.2.0.192.a.test")
    bench.dns.fail("1.0.0.127.b.test")
    listed = await bench.judge()
    assert (listed.score, sorted(listed.unheard)) == (0, ["a.test", "b.test"])
    assert bench.ignored() == ["it does not answer: SERVFAIL"]


async def test_who_is_cancelled_leaves_nothing_behind() -> None:
    bench = Bench(Blocklist(zone="a.test"))
    bench.dns.list("a.test")
    bench.dns.hang("66.2.0.192.a.test")
    task = asyncio.ensure_future(bench.judge(seconds=60))
    await bench.dns.hanging.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert bench.dns.cancelled == 1
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_the_words_of_a_list() -> None:
    bench = Bench(Blocklist(zone="a.test"))
    bench.dns.list("a.test", "66.2.0.192")
    hit = (await bench.judge()).hits[0]
    assert await bench.lists.words(hit) == ""
    bench.dns.add("66.2.0.192.a.test", TXT, b"See https://a.test/66\r\n\xff\x00250 OK " + b"x" * 500)
    words = await bench.lists.words(hit)
    assert words.startswith("See https://a.test/66 ??250 OK xx") and len(words) == 160
    bench.dns.fail("66.2.0.192.a.test", TXT)
    assert await bench.lists.words(hit) == ""


async def test_without_lists_nothing_is_asked() -> None:
    bench = Bench()
    assert not bench.lists.active
    assert await bench.judge(BAD, "spam.example") == Listed()
    assert bench.dns.asked == []
