"""Reports of others are read, kept once, and never trouble anybody."""

from __future__ import annotations

import asyncio
import base64
import gzip
import io
import zipfile
from collections.abc import Sequence
from typing import Any

import pytest

from postroom.delivery.report_reading import NoReport, reports_in, unpack
from postroom.delivery.reports import ReportDelivery
from postroom.mailauth.dmarc.aggregate import Aggregate
from postroom.message.feedback import Feedback
from postroom.message.tlsrpt import TlsReport
from postroom.queue.outcome import Kind, Outcome
from postroom.store.api import DomainRow, Entry, Recipient, ReportQuery, StoreUnavailable
from postroom.store.memory import MemoryStore
from postroom.testing.mailflow import Events
from postroom.values.content import Content

NOW = 1_772_700_000.0
XML = b"""<?xml version="1.0"?><feedback>
<report_metadata><org_name>far.test</org_name><email>a@far.test</email><report_id>%s</report_id>
<date_range><begin>1772582400</begin><end>1772668799</end></date_range></report_metadata>
<policy_published><domain>%s</domain><p>none</p></policy_published>
<record><row><source_ip>192.0.2.1</source_ip><count>5</count>
<policy_evaluated><disposition>none</disposition><dkim>pass</dkim><spf>fail</spf></policy_evaluated></row>
<identifiers><header_from>here.test</header_from></identifiers><auth_results/></record></feedback>"""
JSON = b"""{"organization-name":"Far","report-id":"t1","contact-info":"x","date-range":
{"start-datetime":"2026-03-04T00:00:00Z","end-datetime":"2026-03-04T23:59:59Z"},"policies":[{"policy":
{"policy-type":"sts","policy-domain":"here.test"},"summary":{"total-successful-session-count":9}}]}"""


def xml(name: str = "r1", domain: str = "here.test") -> bytes:
    return XML % (name.encode(), domain.encode())


def zipped(octets: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("report.xml", octets)
    return file.getvalue()


def mail(media_type: str, octets: bytes, name: str = "r.bin", top: str = "multipart/mixed") -> bytes:
    encoded = base64.encodebytes(octets).replace(b"\n", b"\r\n")
    return (
        (
            f"From: x@far.test\r\nSubject: Report\r\nMIME-Version: 1.0\r\nContent-Type: {top}; boundary=b\r\n\r\n"
            "--b\r\nContent-Type: text/plain\r\n\r\nThis is a report.\r\n"
            f'--b\r\nContent-Type: {media_type}\r\nContent-Disposition: attachment; filename="{name}"\r\n'
            "Content-Transfer-Encoding: base64\r\n\r\n"
        ).encode()
        + encoded
        + b"--b--\r\n"
    )


def alone(media_type: str, octets: bytes) -> bytes:
    encoded = base64.encodebytes(octets).replace(b"\n", b"\r\n")
    head = f"From: x@far.test\r\nContent-Type: {media_type}\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    return head.encode() + encoded


ARF = b"""From: fbl@far.test\r
MIME-Version: 1.0\r
Content-Type: multipart/report; report-type=feedback-report; boundary=b\r
\r
--b\r
Content-Type: text/plain\r
\r
A reader complained.\r
--b\r
Content-Type: message/feedback-report\r
\r
Feedback-Type: abuse\r
User-Agent: Far/1\r
Version: 1\r
Source-IP: 192.0.2.9\r
\r
--b\r
Content-Type: message/rfc822\r
\r
From: ann@here.test\r
Subject: News\r
\r
hello\r
--b--\r
"""


@pytest.mark.parametrize(
    "octets",
    [
        mail("application/gzip", gzip.compress(xml())),
        mail("application/zip", zipped(xml())),
        mail("application/x-zip-compressed", zipped(xml())),
        mail("application/octet-stream", gzip.compress(xml()), "r.xml.gz"),
        mail("text/plain", xml()),
        mail("text/xml", xml()),
        mail("image/png", gzip.compress(xml())),
        mail("application/gzip", gzip.compress(gzip.compress(xml()))),
        alone("application/gzip", gzip.compress(xml())),
        alone("application/zip", zipped(xml())),
    ],
)
def test_dmarc_reports_whatever_they_are_called(octets: bytes) -> None:
    (found,) = reports_in(octets, NOW)
    assert (found.kind, found.org, found.id, found.domains) == ("dmarc", "far.test", "r1", ("here.test",))


@pytest.mark.parametrize(
    "octets",
    [
        mail("application/tlsrpt+gzip", gzip.compress(JSON), top="multipart/report; report-type=tlsrpt"),
        mail("application/tlsrpt+json", JSON, top="multipart/report; report-type=tlsrpt"),
        mail("application/octet-stream", gzip.compress(JSON)),
        alone("application/tlsrpt+gzip", gzip.compress(JSON)),
    ],
)
def test_tls_reports(octets: bytes) -> None:
    (found,) = reports_in(octets, NOW)
    assert (found.kind, found.org, found.id, found.domains) == ("tls", "Far", "t1", ("here.test",))


def test_feedback() -> None:
    (found,) = reports_in(ARF, NOW)
    assert isinstance(found.report, Feedback)
    assert (found.kind, found.report.type, found.report.subject) == ("feedback", "abuse", "News")
    assert "here.test" in found.domains


@pytest.mark.parametrize(
    ("octets", "reason"),
    [
        (b"", "no report"),
        (b"Subject: hi\r\n\r\nhello\r\n", "no report"),
        (mail("text/html", b"<html><p>hello"), "no report"),
        (mail("application/pdf", b"%PDF"), "no XML"),
        (mail("application/gzip", gzip.compress(b"\0" * 40_000_000)), "cannot be unpacked"),
        (mail("application/gzip", gzip.compress(b"<!DOCTYPE feedback []>" + xml())), "no XML|DOCTYPE"),
        (mail("text/xml", b'<!DOCTYPE a [<!ENTITY b "c">]><feedback>&b;</feedback>'), "DOCTYPE"),
        (mail("application/json", b"{"), "JSON"),
        (ARF.replace(b"Feedback-Type", b"Type"), "Feedback-Type"),
    ],
)
def test_mail_without_a_report(octets: bytes, reason: str) -> None:
    with pytest.raises(NoReport, match=reason):
        reports_in(octets, NOW)


class House:
    """A consumer, and the queue's side of it."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.events = Events()
        self.outcomes: list[Outcome] = []
        self.given: list[Recipient] = []
        self.reports = ReportDelivery(self, self.store.reports, self.store.directory, self.events)

    async def settle(self, entry: Entry, outcomes: Sequence[Outcome]) -> None:
        self.outcomes += outcomes

    def give_back(self, entry: Entry, recipients: Sequence[Recipient]) -> None:
        self.given += recipients

    async def take(self, octets: bytes, to: str = "dmarc-reports@here.test", proven: str = "far.test") -> None:
        await self.store.directory.put_domain(DomainRow(name="here.test", created=0.0))
        recipient = Recipient(index=0, address=to, route="reports")
        entry = Entry(
            id="q1",
            slot=0,
            sender="x@far.test",
            received=NOW,
            size=len(octets),
            content=Content.of(octets),
            recipients=(recipient,),
            proven=proven,
        )
        self.reports.take(entry, (recipient,))
        await self.reports.settled()

    async def kept(self, kind: str = "dmarc", **query: Any) -> list[Any]:
        return await self.store.reports.find(ReportQuery(kind=kind, **query))


async def test_they_are_kept_once() -> None:
    house = House()
    for _ in range(2):
        await house.take(mail("application/gzip", gzip.compress(xml())))
    (one,) = await house.kept()
    assert (one.domain, one.proven, one.org, one.id) == ("here.test", "far.test", "far.test", "r1")
    assert unpack(one.data, Aggregate).rows[0].count == 5
    assert [fields["new"] for fields in house.events.of("reports.received")] == [True, False]
    assert {outcome.kind for outcome in house.outcomes} == {Kind.DELIVERED}
    with pytest.raises(ValueError, match=r"\w"):
        unpack(one.data, TlsReport)
    with pytest.raises(ValueError, match=r"\w"):
        unpack(b"x", Aggregate)


async def test_unproven_ones_are_kept_apart() -> None:
    house = House()
    await house.take(alone("application/gzip", gzip.compress(xml())), proven="")
    assert await house.kept() == []
    assert len(await house.kept(unproven=True)) == 1


async def test_a_subdomain_is_its_hosted_domains() -> None:
    house = House()
    await house.take(alone("text/xml", xml(domain="news.here.test")))
    assert [one.domain for one in await house.kept()] == ["here.test"]


@pytest.mark.parametrize(
    ("octets", "to", "reason"),
    [
        (alone("text/xml", xml(domain="else.test")), "dmarc-reports@here.test", "not hosted"),
        (alone("text/xml", xml().replace(b"1772582400", b"1472582400")), "dmarc-reports@here.test", "time"),
        (alone("text/xml", xml().replace(b"1772668799", b"1972668799")), "dmarc-reports@here.test", "time"),
        (b"Subject: buy\r\n\r\nnow\r\n", "tls-reports@here.test", "no report"),
        (alone("text/xml", xml()), "noreply-dmarc@here.test", "comes back"),
    ],
)
async def test_the_rest_is_dropped_with_an_event(octets: bytes, to: str, reason: str) -> None:
    house = House()
    await house.take(octets, to)
    assert await house.kept(unproven=True) == []
    assert reason in str(house.events.of("reports.unusable")[0]["reason"])
    assert house.outcomes[0].kind is Kind.DELIVERED


async def test_feedback_is_about_whom_it_names_or_whom_it_is_sent_to() -> None:
    house = House()
    await house.take(ARF, "feedback-reports@here.test")
    await house.take(ARF.replace(b"ann@here.test", b"ann@else.test"), "feedback-reports@here.test")
    assert [one.domain for one in await house.kept("feedback")] == ["here.test", "here.test"]


async def test_a_store_that_cannot_write_makes_it_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    house = House()

    async def broken(_: object) -> bool:
        raise StoreUnavailable("disk full")

    monkeypatch.setattr(house.store.reports, "keep", broken)
    await house.take(alone("text/xml", xml()))
    assert house.outcomes[0].kind is Kind.DEFERRED


async def test_stopping_gives_back_what_has_not_begun() -> None:
    house = House()
    await house.take(alone("text/xml", xml()))
    await house.reports.stop()
    house.reports.take(*_entry(b""))
    await asyncio.sleep(0)
    assert len(house.given) == 1


def _entry(octets: bytes) -> tuple[Entry, tuple[Recipient, ...]]:
    recipient = Recipient(index=0, address="dmarc-reports@here.test", route="reports")
    content = Content.of(octets)
    entry = Entry(id="q", slot=0, sender="", received=NOW, size=0, content=content, recipients=(recipient,))
    return entry, entry.recipients
