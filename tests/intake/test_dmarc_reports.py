"""What was examined in a day becomes the reports that owners of domains asked for (RFC 9990)."""

from __future__ import annotations

import contextlib
import gzip
from pathlib import Path
from typing import Any

import pytest
from test_outside import BAD, GOOD, NOW, ZONE, Doors, message, signed

from postroom.intake.collected import collected, seen
from postroom.intake.dmarc_maker import DmarcMaker, Tally
from postroom.intake.verdict import Verdict
from postroom.intake.verify import Evidence, Sender
from postroom.mailauth.arc import ArcResult
from postroom.mailauth.dmarc import DmarcResult, Policy, parse_policy_record
from postroom.mailauth.dmarc import Result as Dmarc
from postroom.mailauth.dmarc.aggregate import Aggregate, DkimTold, Override, SpfTold
from postroom.mailauth.dmarc.aggregate_reading import read_aggregate
from postroom.mailauth.spf import Result as SpfWord
from postroom.mailauth.spf import SpfResult
from postroom.mailauth.zone import ZoneData
from postroom.queue.daily import DailyReport, ReportDay, Submitter, Unsent
from postroom.store.memory import MemoryStore
from postroom.testing.mailflow import StandingClock
from postroom.values.refusal import Refusal
from postroom.values.told import Told

DAY = ReportDay.of(NOW)
WHO = Submitter(domain="here.test", org="Here Ltd", contact="postmaster@here.test", hostname="mx.here.test")
ASKING = {
    "_dmarc.far.test": {"TXT": ["v=DMARC1; p=reject; rua=mailto:dmarc@far.test"]},
    "_dmarc.soft.test": {"TXT": ["v=DMARC1; p=quarantine; t=y; adkim=s; rua=mailto:a@collect.test,mailto:b@shy.test"]},
    "_dmarc.here.test": {"TXT": ["v=DMARC1; p=none; rua=mailto:dmarc-reports@here.test"]},
    "soft.test._report._dmarc.collect.test": {"TXT": ["v=DMARC1"]},
}


@pytest.fixture
def doors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Doors:
    for name, records in ASKING.items():
        monkeypatch.setitem(ZONE, name, records)
    return Doors(tmp_path)


async def take(doors: Doors, content: bytes, **options: Any) -> None:
    with contextlib.suppress(Refusal):
        await doors.take(content, **options)


async def made(doors: Doors, **zone: Any) -> list[DailyReport | Unsent]:
    store = MemoryStore(clock=StandingClock(NOW))
    for name, fields in doors.told:
        store.events.add(NOW, name, fields)
    store.events.add(DAY.begin - 1.0, "mail.checked", doors.checked)
    store.events.add(DAY.end + 1.0, "mail.checked", doors.checked)
    maker = DmarcMaker(store.events, ZoneData(ZONE | zone))
    return [one async for one in maker.reports(DAY, WHO)]


def opened(report: DailyReport | Unsent) -> Aggregate:
    assert isinstance(report, DailyReport)
    return read_aggregate(gzip.decompress(report.octets))


async def test_a_day(doors: Doors) -> None:
    for _ in range(3):
        await take(doors, message())
    await take(doors, message(), ip=BAD, sender="x@evil.test")  # refused, and counted
    await take(doors, message("x@watch.test"))  # asks for nothing
    (report,) = await made(doors)
    assert isinstance(report, DailyReport)
    assert (report.name, report.to, report.messages) == ("far.test", ("dmarc@far.test",), 4)
    assert report.file == f"here.test!far.test!{DAY.begin}!{DAY.end}.xml.gz"
    assert report.subject == f"Report Domain: far.test Submitter: here.test Report-ID: <{DAY.name}_far.test@here.test>"
    found = opened(report)
    assert (found.org, found.email, found.begin, found.end) == ("Here Ltd", WHO.contact, DAY.begin, DAY.end)
    assert (found.published.policy, found.published.discovery) == ("reject", "treewalk")
    good, bad = found.rows
    assert (good.ip, good.count, good.disposition, good.dkim, good.spf) == (GOOD, 3, "pass", False, True)
    assert (good.header_from, good.envelope_from, good.spfs) == ("far.test", "far.test", (SpfTold("far.test", "pass"),))
    assert (bad.ip, bad.count, bad.disposition, bad.dkim, bad.spf) == (BAD, 1, "reject", False, False)
    assert (bad.envelope_from, bad.reasons) == ("evil.test", ())


async def test_the_same_day_gives_the_same_octets(doors: Doors) -> None:
    await take(doors, message())
    assert await made(doors) == await made(doors)


async def test_why_another_policy_was_applied(doors: Doors) -> None:
    listed = message("x@far.test", "List-Id: <l.list.test>", "List-Post: <mailto:l@list.test>")
    await take(doors, signed(listed, "list.test"), ip=BAD, sender="bounce@list.test")
    await take(doors, message("x@soft.test"), ip=BAD, sender="x@evil.test")
    reports = {one.name: one for one in await made(doors)}
    (row,) = opened(reports["far.test"]).rows
    assert (row.disposition, row.reasons) == ("quarantine", (Override("mailing_list"),))
    assert row.dkims == (DkimTold("list.test", "s", "pass"),)


async def test_testing_and_destinations_outside(doors: Doors) -> None:
    await take(doors, message("x@soft.test"), ip=BAD, sender="x@evil.test")
    unsent, report = await made(doors)
    assert isinstance(unsent, Unsent) and "shy.test does not say" in unsent.reason
    assert isinstance(report, DailyReport) and report.to == ("a@collect.test",)
    found = opened(report)
    (row,) = found.rows
    assert (row.disposition, row.reasons) == ("none", (Override("policy_test_mode"),))
    assert (found.published.testing, found.published.adkim, found.published.policy) == ("y", "s", "quarantine")


async def test_what_we_do_with_forgeries_of_our_own_domains(doors: Doors) -> None:
    await take(doors, message("alice@here.test"), ip=BAD, sender="x@evil.test")
    (report,) = await made(doors)
    (row,) = opened(report).rows
    assert (row.disposition, row.reasons) == ("reject", (Override("local_policy"),))


async def test_the_null_sender_has_an_empty_envelope(doors: Doors) -> None:
    await take(doors, message(), sender=None)
    (row,) = opened((await made(doors))[0]).rows
    assert row.envelope_from == ""
    assert row.spfs[0].domain == "mail.far.test"


async def test_who_asks_no_more_gets_none_and_a_silent_dns_is_told_of(doors: Doors) -> None:
    await take(doors, message())
    assert await made(doors, **{"_dmarc.far.test": {"TXT": ["v=DMARC1; p=reject"]}}) == []
    (unsent,) = await made(doors, **{"_dmarc.far.test": {"TXT": "SERVFAIL"}})
    assert isinstance(unsent, Unsent) and "DNS" in unsent.reason


async def test_rows_have_a_limit_and_what_is_left_out_is_told(doors: Doors) -> None:
    await take(doors, message())
    tally = Tally(most=5)
    for number in range(10):
        report = [f"192.0.2.{number}", *doors.checked["report"][1:]]
        tally.add([Told(NOW, "mail.checked", {"report": report})] * 2)
    counted = tally.domains["far.test"]
    assert (len(counted.rows), counted.left_out, counted.messages) == (5, 10, 20)


@pytest.mark.parametrize("field", [None, "x", [], [1, 2], ["192.0.2.1", "", ["a", "b"], [["x"]]], {"ip": "x"}])
def test_events_of_another_form_are_passed_over(field: object) -> None:
    assert not seen(field)


async def test_mail_to_report_addresses_is_not_counted(doors: Doors) -> None:
    """Else two servers would report on each other's reports for ever."""
    from postroom.intake.model import Peer

    await take(doors, message())
    assert "report" in doors.checked
    peer = Peer(service="smtp", ip=GOOD, port=1, helo="mail.far.test")
    await doors.send(peer, message(), "dmarc-reports@here.test", sender="x@far.test")
    assert "report" not in doors.checked
    await doors.send(peer, message(), "dmarc-reports@here.test", "alice@here.test", sender="x@far.test")
    assert "report" in doors.checked


async def test_what_could_not_be_known_says_so(doors: Doors, monkeypatch: pytest.MonkeyPatch) -> None:
    """RFC 9990 3.1.1.9: without alignment and with another policy than published there must be a reason."""
    unsure = DmarcResult(
        Dmarc.TEMPERROR,
        Policy.NONE,
        "far.test",
        "the DNS was late",
        "far.test",
        record=parse_policy_record(b"v=DMARC1; p=reject; rua=mailto:a@far.test"),
    )
    spf = SpfResult(SpfWord.TEMPERROR, "far.test", "mailfrom", "late")
    evidence = Evidence(spf=spf, arc=ArcResult("none", ""), dmarc=(unsure,))
    (one,) = seen(collected(Sender(GOOD, "mx", "x@far.test"), evidence, Verdict()))
    assert (one.row.disposition, one.row.reasons[0].type) == ("none", "other")


async def test_two_author_domains_are_two_rows() -> None:
    published = ["p", "reject", "", "", "r", "r", "0", "n"]
    authors = [[[name, *published[1:]], name, "none", False, False, [], []] for name in ("a.test", "b.test")]
    tally = Tally()
    tally.add([Told(NOW, "mail.checked", {"report": ["192.0.2.1", "", ["a.test", "none"], authors]})] * 3)
    assert {name: counted.messages for name, counted in tally.domains.items()} == {"a.test": 3, "b.test": 3}
    assert tally.domains["b.test"].merged()[0].header_from == "b.test"


async def test_the_policy_seen_last_is_told_and_rows_are_merged() -> None:  # RFC 9990 3.1
    def told(policy: str) -> dict[str, object]:
        published = ["a.test", policy, "", "", "r", "r", "0", "n"]
        return {"report": ["192.0.2.1", "", ["a.test", "none"], [[published, "a.test", "none", False, True, [], []]]]}

    tally = Tally()
    tally.add([Told(NOW + 5, "mail.checked", told("reject")), Told(NOW, "mail.checked", told("none"))])
    counted = tally.domains["a.test"]
    assert counted.published.policy == "reject"
    assert [row.count for row in counted.merged()] == [2]
