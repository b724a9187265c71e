"""Reports beside a running server: what was examined is reported once, what others report is shown."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import smtplib
import time
from pathlib import Path
from typing import Any

from running import Running, start_demo, stop_demo, until

from postroom.queue.daily import ReportDay
from postroom.store.embedded import EmbeddedStore
from postroom.testing.dnsserver import running

REPORT = """<feedback xmlns="urn:ietf:params:xml:ns:dmarc-2.0"><version>1.0</version>
<report_metadata><org_name>Far</org_name><email>a@far.test</email><report_id>r1</report_id>
<date_range><begin>{begin}</begin><end>{end}</end></date_range></report_metadata>
<policy_published><domain>{domain}</domain><p>none</p></policy_published>
<record><row><source_ip>198.51.100.9</source_ip><count>300</count>
<policy_evaluated><disposition>none</disposition><dkim>fail</dkim><spf>fail</spf></policy_evaluated></row>
<identifiers><header_from>{domain}</header_from></identifiers><auth_results/></record></feedback>"""


def told(server: Running, *arguments: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(server.postroom("report", *arguments, "--json").stdout)
    return found


def send(server: Running, to: str, octets: bytes, port: str = "smtp") -> None:
    with smtplib.SMTP(server.host, server.ports[port]) as smtp:
        smtp.ehlo("mx.far.test")
        assert smtp.mail("x@far.test")[0] == 250
        assert smtp.rcpt(to)[0] == 250, to
        assert smtp.data(octets)[0] == 250


async def seen_yesterday(data: str, day: ReportDay) -> None:
    """Move what was seen today to yesterday."""
    store = EmbeddedStore(data, None)
    today = day.begin + 86400.0
    async for some in store.events.told("mail.checked", today, today + 86400):
        for one in some:
            store.events.add(one.time - 86400, one.name, one.fields)
    await store.close()


def test_reports_go_out_once_and_come_in(folder: Path) -> None:
    zone = {
        "far.test": {"TXT": ["v=spf1 ip4:127.0.0.1 -all"]},
        "_dmarc.far.test": {"TXT": ["v=DMARC1; p=reject; rua=mailto:dmarc@far.test"]},
    }
    with running(zone) as dns:
        server = start_demo(folder, "--workers", "2", "--dns", dns.address)
        try:
            server.postroom("dns", "rotate", server.domain, "--now")
            domain = server.domain
            for _ in range(3):
                send(server, server.login(), b"From: x@far.test\r\nSubject: hi\r\n\r\nhello\r\n")
            server.postroom("trace", server.login())  # has what was told written
            day = ReportDay.of(time.time()).before(1)
            asyncio.run(seen_yesterday(server.data, day))
            (row,) = told(server, "send", "--dry-run")["reports"]
            assert (row["domain"], row["to"], row["messages"], row["state"]) == (
                "far.test",
                ["dmarc@far.test"],
                3,
                "would go",
            )
            for _ in range(2):
                server.postroom("report", "send")
                until(lambda: told(server, "send", "--dry-run")["reports"][0]["state"] == "sent")
            waiting = json.loads(server.postroom("queue", "list", "--json").stdout)["entries"]
            assert [one["sender"] for one in waiting] == [f"noreply-dmarc@{domain}"]
            octets = REPORT.format(begin=day.begin, end=day.end, domain=domain).encode()
            mail = b"From: x@far.test\r\nContent-Type: application/gzip\r\nContent-Transfer-Encoding: base64\r\n\r\n"
            mail += base64.encodebytes(gzip.compress(octets)).replace(b"\n", b"\r\n")
            for _ in range(2):
                send(server, f"dmarc-reports@{domain}", mail)
            send(server, f"noreply-dmarc@{domain}", b"From: x@far.test\r\nSubject: bounce\r\n\r\nno\r\n")
            until(lambda: told(server, "dmarc", "--no-dns")["domains"][0]["messages"] == 300)
            (found,) = told(server, "dmarc", "--no-dns")["domains"]
            assert (found["reports"], found["reporters"]) == (1, {"far.test": 300})
            assert "198.51.100.9 sends 300 messages" in server.postroom("report", "dmarc", "--no-dns").stdout
        finally:
            stop_demo(server)
