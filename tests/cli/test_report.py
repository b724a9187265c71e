"""`postroom report`."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

from postroom.delivery.report_reading import Report, pack
from postroom.mailauth.dmarc.aggregate import Aggregate, Published, Row
from postroom.message.feedback import Feedback
from postroom.message.tlsrpt import TlsFailure, TlsPolicy, TlsReport
from postroom.queue.daily import ReportDay
from postroom.store.api import KeptReport
from postroom.store.embedded import EmbeddedStore
from postroom.testing.dnsserver import running

DAY = 86400


def keep(folder: Path, kind: str, report: Report, **fields: Any) -> None:
    async def work() -> None:
        store = EmbeddedStore(folder / "data", None)
        now = time.time()
        given: dict[str, Any] = {
            "kind": kind,
            "domain": "example.org",
            "proven": "far.test",
            "org": "Far",
            "id": "r1",
            "begin": now - 2 * DAY,
            "end": now - DAY,
            "received": now,
            "data": pack(report),
        }
        await store.reports.keep(KeptReport(**(given | fields)))
        await store.close()

    asyncio.run(work())


def aggregate(*rows: Row) -> Aggregate:
    return Aggregate(
        org="Far", email="", id="r1", begin=1, end=DAY, published=Published("example.org", "none"), rows=rows
    )


def test_dmarc(postroom: Any, site: Path) -> None:
    assert "No reports yet" in postroom("report", "dmarc").out
    row = Row("198.51.100.9", 300, "none", False, False, "example.org")
    keep(site, "dmarc", aggregate(row, Row("192.0.2.1", 5, "pass", True, True, "example.org")))
    keep(site, "dmarc", aggregate(Row("203.0.113.1", 9, "none", False, False, "example.org")), proven="", id="r2")
    done = postroom("report", "dmarc", "example.org", "--no-dns")
    assert done.code == 0
    assert "example.org: 305 messages, 300 without proof; 1 report of far.test" in done.out
    assert "198.51.100.9 sends 300 messages as example.org without proof" in done.out
    assert "Before you raise it" in done.out
    (told,) = postroom("report", "dmarc", "--no-dns", "--json").json["domains"]
    assert (told["messages"], told["unproven"], told["policy"]) == (305, 300, "none")
    assert told["sources"][0]["ip"] == "198.51.100.9"
    (told,) = postroom("report", "dmarc", "--no-dns", "--json", "--unproven").json["domains"]
    assert told["messages"] == 314
    assert "Far (unproven)" in told["reporters"]
    (told,) = postroom("report", "dmarc", "--no-dns", "--json", "--since", "1h").json["domains"]
    assert told["reports"] == 0
    assert postroom("report", "dmarc", "else.test").code == 3
    assert postroom("report", "dmarc", "--since", "soon").code == 2


def test_tls(postroom: Any, site: Path) -> None:
    assert "No reports yet" in postroom("report", "tls", "example.org").out
    failure = TlsFailure("sts-policy-fetch-error", 3, receiving_mx="mail.example.org")
    policies = (TlsPolicy("sts", "example.org", 97, 3, details=(failure,)),)
    keep(site, "tls", TlsReport(org="Far", id="t1", contact="", begin=1, end=DAY, policies=policies))
    done = postroom("report", "tls")
    assert "example.org: 97 sessions were fine, 3 failed; 1 report of far.test" in done.out
    assert "https://mta-sts.example.org" in done.out
    (told,) = postroom("report", "tls", "--json").json["domains"]
    assert told["details"][0]["sessions"] == 3
    assert told["policies"] == {"sts": {"successes": 97, "failures": 3}}


def test_feedback(postroom: Any, site: Path) -> None:
    assert "no feedback" in postroom("report", "feedback").err
    keep(site, "feedback", Feedback(type="abuse", subject="News", source_ip="192.0.2.9", rcpt_to=("x@far.test",)))
    keep(site, "feedback", Feedback(type="auth-failure", failure="dmarc"), id="r2", proven="")
    done = postroom("report", "feedback")
    assert "abuse" in done.out and "News" in done.out and "dmarc" not in done.out
    told = postroom("report", "feedback", "--json", "--unproven").json["feedback"]
    assert {one["type"] for one in told} == {"abuse", "auth-failure"}


def test_a_damaged_report_is_passed_over(postroom: Any, site: Path) -> None:
    keep(site, "dmarc", aggregate(Row("192.0.2.1", 5, "pass", True, True, "example.org")), data=b"broken")
    done = postroom("report", "dmarc", "--no-dns")
    assert done.code == 0
    assert "cannot be read" in done.err


async def _tell(folder: Path, day: ReportDay) -> None:
    store = EmbeddedStore(folder / "data", None)
    published = ["far.test", "reject", "", "", "r", "r", "0", "n"]
    report = [
        "192.0.2.7",
        "far.test",
        ["far.test", "pass"],
        [[published, "far.test", "pass", False, True, [], []]],
    ]
    for number in range(3):
        store.events.add(day.begin + 60.0 * number, "mail.checked", {"queue_id": f"q{number}", "report": report})
    await store.events.flush()
    await store.close()


def test_send(postroom: Any, site: Path) -> None:
    assert postroom("report", "send", "--day", "tomorrow").code == 2
    assert "not over yet" in postroom("report", "send", "--day", ReportDay.of(time.time()).name).err
    assert postroom("report", "send").code == 69
    done = postroom("report", "send", "--dry-run")
    assert (done.code, "nothing to report" in done.err) == (0, True)


def test_what_would_go(postroom: Any, site: Path) -> None:
    yesterday = ReportDay.of(time.time()).before(1)
    asyncio.run(_tell(site, yesterday))
    with running({"_dmarc.far.test": {"TXT": ["v=DMARC1; p=reject; rua=mailto:dmarc@far.test"]}}) as dns:
        path = site / "postroom.toml"
        path.write_text(path.read_text().replace("#dns = []", f'dns = ["{dns.address}"]'))
        (row,) = postroom("report", "send", "--dry-run", "--json").json["reports"]
        table = postroom("report", "send", "--dry-run", "--day", yesterday.name).out
    assert (row["kind"], row["domain"], row["to"], row["messages"], row["state"]) == (
        "dmarc",
        "far.test",
        ["dmarc@far.test"],
        3,
        "would go",
    )
    assert "far.test" in table
