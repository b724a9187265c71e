"""A running server with a DNS of its own: lists, names of other servers, and a change of the DNS server by a reload."""

from __future__ import annotations

import re
import signal
import smtplib
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from running import Running, configure, events, start_demo, stop_demo, until

from postroom.testing.dnsserver import DnsServer, running

LISTED, GOOD = "127.0.0.66", "127.0.0.77"
ZONE = {
    "2.0.0.127.bl.test": {"A": ["127.0.0.2"]},
    "66.0.0.127.bl.test": {"A": ["127.0.0.3"], "TXT": ["Spam was seen"]},
    "77.0.0.127.in-addr.arpa": {"PTR": ["mx.far.test"]},
    "mx.far.test": {"A": [GOOD]},
    "far.test": {"A": ["127.0.0.77"], "TXT": ["v=spf1 a -all"]},
}
MAIL = (
    b"From: x@far.test\r\nTo: %b\r\nSubject: hi\r\nMessage-ID: <1@far.test>\r\n"
    b"Date: Mon, 02 Mar 2026 10:00:00 +0000\r\n\r\nx\r\n"
)


@pytest.fixture
def dns() -> Iterator[DnsServer]:
    with running(ZONE) as server:
        yield server


@pytest.fixture
def demo(folder: Path, dns: DnsServer) -> Iterator[Running]:
    server = start_demo(folder, "--dns", dns.address)
    yield server
    assert stop_demo(server) == 0, (folder / "stderr.log").read_text()[-2000:]


def reload(server: Running) -> None:
    before = len(events(server, "config.reloaded"))
    server.process.send_signal(signal.SIGHUP)
    until(lambda: len(events(server, "config.reloaded")) >= before + 2)


def send(server: Running, source: str) -> tuple[int, bytes]:
    """The reply to RCPT, or to the message."""
    with smtplib.SMTP(server.host, server.ports["smtp"], "mx.far.test", 30, (source, 0)) as client:
        client.ehlo()
        assert client.mail("x@far.test")[0] == 250
        reply = client.rcpt(server.login())
        return client.data(MAIL % server.login().encode()) if reply[0] == 250 else reply


def asked(server: Running) -> float:
    """Look-ups that the DNS server answered, as /metrics tells."""
    with urllib.request.urlopen(f"http://{server.host}:{server.ports['metrics']}/metrics", timeout=10) as page:
        found = re.findall(
            r'(?m)^postroom_dns_lookups_total\{source="servers",worker="\d"\} (\S+)$', page.read().decode()
        )
    return sum(map(float, found))


def test_lists_and_names_in_a_running_server(demo: Running, dns: DnsServer) -> None:
    assert send(demo, LISTED)[0] == 250, "no list is configured"
    path = Path(demo.config)
    path.write_text(path.read_text() + '\n[[blocklist]]\nzone = "bl.test"\n')
    reload(demo)
    code, text = send(demo, LISTED)
    assert (code, text) == (550, b"5.7.1 Refused: 127.0.0.66 is listed by bl.test, which says: Spam was seen")
    assert send(demo, GOOD)[0] == 250
    refused = until(lambda: [told for told in events(demo, "mail.refused") if told.get("ip") == LISTED])
    assert (refused[0]["sender"], refused[0]["recipient"]) == ("x@far.test", demo.login())
    assert until(lambda: "is listed by bl.test" in demo.postroom("trace", demo.login(), "--json").stdout)

    assert until(lambda: asked(demo)) > 0

    with running({"*.bl.test": {"A": ["127.0.0.2"]}}) as other:  # a list that has come to list everything
        configure(demo, dns=[other.address])
        reload(demo)
        assert send(demo, LISTED)[0] == 250
        told = until(lambda: events(demo, "blocklist.ignored"))
        assert told[0]["reason"] == "it lists everything, also 127.0.0.1"
        assert other.count("66.0.0.127.in-addr.arpa") >= 1
