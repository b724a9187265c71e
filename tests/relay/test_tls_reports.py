"""Reports about TLS: what is counted, who wants to know, and what they are told."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
from msgspec.structs import replace

from postroom.mailauth.zone import ZoneData
from postroom.message.tlsrpt import read_tls_report
from postroom.queue.daily import DailyReport, ReportDay, Submitter, Unsent
from postroom.relay.tls_maker import TlsMaker
from postroom.relay.tls_policy import NO_TLS_REQUIRED, Applied, TlsLevel, TlsRequirement, TlsResult
from postroom.relay.tls_report import Wish, https_target, read_record, report
from postroom.relay.tls_results import TlsResults
from postroom.store.api import StoreUnavailable
from postroom.store.memory import MemoryStore
from postroom.testing.mailflow import Events, StandingClock

DAY = ReportDay.named("2026-03-04")
US = Submitter(domain="here.test", org="Here", contact="postmaster@here.test", hostname="mx.here.test")
STS = TlsRequirement(
    level=TlsLevel.VERIFY,
    applied=Applied("sts", "far.test", ("version: STSv1", "mode: enforce", "mx: mx.far.test"), ("mx.far.test",)),
)
PLAIN = TlsRequirement(level=TlsLevel.OPPORTUNISTIC)
GOOD = TlsResult(
    domain="far.test", host="mx.far.test", address="192.0.2.1", requirement=STS, version="TLSv1.3", source="192.0.2.7"
)
BAD = replace(GOOD, kind="handshake", failure="certificate-expired", detail="it has expired\r\n", version="")


class Counting:
    """A collector with its store."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.clock = StandingClock(DAY.begin + 100.0)
        self.events = Events()
        self.results = TlsResults(self.store.transport, self.clock, self.events)

    async def count(self, *results: TlsResult) -> None:
        for each in results:
            self.results.told(each)
        await self.results.flush()

    async def made(self, zone: dict[str, Any]) -> list[DailyReport | Unsent]:
        maker = TlsMaker(self.store.transport, ZoneData(zone))
        return [each async for each in maker.reports(DAY, US)]


def wish(domain: str, text: str = "v=TLSRPTv1; rua=mailto:tls@{}") -> dict[str, Any]:
    return {f"_smtp._tls.{domain}": {"TXT": [text.format(domain)]}}


async def test_a_report_tells_successes_and_failures_apart() -> None:
    counting = Counting()
    await counting.count(GOOD, BAD, GOOD)
    await counting.count(GOOD, BAD, replace(GOOD, requirement=PLAIN, failure="starttls-not-supported"))
    [made] = await counting.made(wish("far.test"))
    assert isinstance(made, DailyReport)
    document = json.loads(gzip.decompress(made.octets))
    assert document == {
        "organization-name": "Here",
        "date-range": {"start-datetime": "2026-03-04T00:00:00Z", "end-datetime": "2026-03-04T23:59:59Z"},
        "contact-info": "postmaster@here.test",
        "report-id": made.id,
        "policies": [
            {
                "policy": {"policy-type": "no-policy-found", "policy-domain": "far.test"},
                "summary": {"total-successful-session-count": 0, "total-failure-session-count": 1},
                "failure-details": [
                    {
                        "result-type": "starttls-not-supported",
                        "sending-mta-ip": "192.0.2.7",
                        "receiving-mx-hostname": "mx.far.test",
                        "receiving-ip": "192.0.2.1",
                        "failed-session-count": 1,
                    }
                ],
            },
            {
                "policy": {
                    "policy-type": "sts",
                    "policy-string": ["version: STSv1", "mode: enforce", "mx: mx.far.test"],
                    "policy-domain": "far.test",
                    "mx-host": ["mx.far.test"],
                },
                "summary": {"total-successful-session-count": 3, "total-failure-session-count": 2},
                "failure-details": [
                    {
                        "result-type": "certificate-expired",
                        "sending-mta-ip": "192.0.2.7",
                        "receiving-mx-hostname": "mx.far.test",
                        "receiving-ip": "192.0.2.1",
                        "failed-session-count": 2,
                        "failure-reason-code": "it has expired",
                    }
                ],
            },
        ],
    }
    assert (made.to, made.report_type, made.media_type, made.tls) == (
        ("tls@far.test",),
        "tlsrpt",
        "application/tlsrpt+gzip",
        "optional",
    )
    assert made.fields == (("TLS-Report-Domain", "far.test"), ("TLS-Report-Submitter", "here.test"))
    assert made.file.startswith(f"here.test!far.test!{DAY.begin}!{DAY.end}!")
    assert "3 succeeded, 3 failed" in made.words


async def test_our_own_reader_reads_it() -> None:
    counting = Counting()
    await counting.count(GOOD, BAD)
    [made] = await counting.made(wish("far.test"))
    read = read_tls_report(gzip.decompress(made.octets))
    assert (read.org, read.id, tuple(read.domains)) == ("Here", made.id, ("far.test",))


async def test_the_same_day_gives_the_same_report() -> None:
    counting = Counting()
    await counting.count(GOOD, BAD)
    assert await counting.made(wish("far.test")) == await counting.made(wish("far.test"))


async def test_reports_go_to_those_who_ask() -> None:
    counting = Counting()
    await counting.count(*(replace(GOOD, domain=f"d{number}.test") for number in range(45)))
    assert await counting.made({}) == []
    found = await counting.made({**wish("d3.test"), **wish("d44.test"), **wish("other.test"), **wish("d5.test", "x")})
    assert [each.name for each in found] == ["d3.test", "d44.test"]


async def test_a_silent_dns_is_told() -> None:
    counting = Counting()
    await counting.count(GOOD)
    [unsent] = await counting.made({"_smtp._tls.far.test": {"TXT": "SERVFAIL"}})
    assert isinstance(unsent, Unsent) and unsent.name == "far.test"


async def test_a_policy_that_could_not_be_had_is_a_failure() -> None:
    counting = Counting()
    trouble = replace(PLAIN, troubles=(("sts-policy-fetch-error", "no answer"),))
    await counting.count(replace(GOOD, requirement=trouble))
    [count] = counting.store.transport.tls_counts(DAY.name, "far.test")
    assert (count.failure, count.detail, count.policy) == ("sts-policy-fetch-error", "no answer", "")


async def test_what_is_not_counted() -> None:
    counting = Counting()
    ignored = replace(GOOD, requirement=replace(PLAIN, reason=NO_TLS_REQUIRED))
    await counting.count(ignored, replace(GOOD, domain="[192.0.2.1]"))
    assert counting.store.transport.tls_domains(DAY.name) == []


async def test_counts_belong_to_their_day() -> None:
    counting = Counting()
    counting.results.told(GOOD)
    counting.clock.time += 86400
    await counting.count(GOOD)
    assert counting.store.transport.tls_domains("2026-03-04") == counting.store.transport.tls_domains("2026-03-05")


async def test_memory_is_bounded() -> None:
    counting = Counting()
    await counting.count(*(replace(BAD, host=f"h{number}.test") for number in range(6_000)))
    found = counting.store.transport.tls_counts(DAY.name, "far.test")
    assert sum(each.count for each in found) == 6_000 and len(found) <= 101


async def test_a_full_disk_costs_counts_only() -> None:
    counting = Counting()

    async def fails(*_: object) -> None:
        raise StoreUnavailable("disk full")

    counting.store.transport.count_tls = fails
    await counting.count(GOOD)
    assert counting.events.of("tls.uncounted") == [{"count": 1, "reason": "disk full"}]


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        ([b"v=TLSRPTv1;rua=mailto:a@x.test"], Wish(("a@x.test",))),
        (
            [b"v=TLSRPTv1; rua=mailto:a%2Bb@x.test?subject=y, https://x.test/v1?a=b ;"],
            Wish(("a+b@x.test",), ("https://x.test/v1?a=b",)),
        ),
        ([b"v=spf1 -all", b"v=TLSRPTv1; rua=mailto:a@x.test"], Wish(("a@x.test",))),
        ([b"v=TLSRPTv1; rua=mailto:a@x.test", b"v=TLSRPTv1; rua=mailto:b@x.test"], Wish()),
        ([b"v=TLSRPTv12; rua=mailto:a@x.test"], Wish()),
        ([b"v=TLSRPTv1"], Wish()),
        ([b"v=TLSRPTv1; rua=http://x.test/,ftp:x,mailto:nobody,mailto:a@b@c"], Wish()),
        (
            [b"v=TLSRPTv1; rua=" + b",".join(b"mailto:a%d@x.test" % n for n in range(50))],
            Wish(tuple(f"a{n}@x.test" for n in range(5))),
        ),
        ([b"\xff\xfe;;;=,"], Wish()),
    ],
)
def test_records(records: list[bytes], expected: Wish) -> None:
    assert read_record(records) == expected


@pytest.mark.parametrize(
    "uri",
    [
        "http://x.test/",
        "https://x.test:8443/",
        "https://user@x.test/",
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://localhost/",
        "https://x.test/\r\nHost: y",
        "https://x.test:99999999/",
    ],
)
def test_places_nothing_is_posted_to(uri: str) -> None:
    assert https_target(uri) is None


def test_places_something_is_posted_to() -> None:
    assert https_target("https://Reports.X.test/v1/tls?a=b#c") == ("reports.x.test", "/v1/tls?a=b")
    assert https_target("https://x.test") == ("x.test", "/")


def test_a_report_on_nothing_is_whole() -> None:
    made = report("far.test", [], Wish(("a@far.test",)), DAY, US)
    assert json.loads(gzip.decompress(made.octets))["policies"] == []
