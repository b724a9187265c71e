"""A virus on its way through the whole server, with the real clamd: refused at both doors, and told of."""

from __future__ import annotations

import base64
import smtplib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import real_scanners
from network_house import PASSWORD, Company, until
from real_scanners import CLAMD, EVIL

from postroom.testing.dnsserver import DnsServer

pytestmark = [
    pytest.mark.timeout(240),
    pytest.mark.system,
    pytest.mark.skipif(CLAMD is None, reason="clamd is not installed"),
]
Make = Callable[..., list[Company]]
HOST = "127.0.9.41"


@pytest.fixture
def clamd() -> Iterator[Path]:
    """Its socket."""
    with real_scanners.clamd() as program:
        yield Path(program.place)


def letter(subject: str, octets: bytes) -> bytes:
    head = (
        f"From: Somebody <writer@far.test>\r\nTo: ann@a.test\r\nSubject: {subject}\r\nMessage-ID: <{subject}@far.test>"
    )
    kind = 'Content-Type: application/octet-stream; name="a.dat"\r\nContent-Transfer-Encoding: base64'
    date = "Date: Sun, 22 Nov 2026 11:00:00 +0000"
    body = base64.encodebytes(octets).decode().replace("\n", "\r\n")
    return f"{head}\r\n{date}\r\nMIME-Version: 1.0\r\n{kind}\r\n\r\n{body}".encode()


def test_a_virus_is_refused_at_both_doors_and_without_the_scanner_mail_goes_on(
    companies: Make, dns: DnsServer, clamd: Path
) -> None:
    (company,) = companies(1, extra=f'\n[clamav]\nsocket = "{clamd}"\n')
    dns.add({"far.test": {"TXT": [f"v=spf1 ip4:{HOST} -all"]}, "mx.far.test": {"A": [HOST]}})

    def hand_in(message: bytes) -> None:
        with smtplib.SMTP(company.address, company.ports["port"], "mx.far.test", 30, (HOST, 0)) as client:
            client.sendmail("writer@far.test", ["ann@a.test"], message)

    hand_in(letter("clean", b"hello"))
    assert str(company.one("ann", "clean")["X-Virus-Status"]).startswith("clean; ClamAV ")
    with pytest.raises(smtplib.SMTPDataError, match=r"5\.7\.1.*it holds the virus Postroom\.Test"):
        hand_in(letter("evil", EVIL))
    assert "viruses: infected Postroom.Test" in company.postroom("trace", "<evil@far.test>").stdout

    with smtplib.SMTP(company.address, company.ports["submission"], timeout=30) as client:
        client.starttls(context=company.tls())
        client.login("ann@a.test", PASSWORD)
        own = letter("own", EVIL).replace(b"writer@far.test", b"ann@a.test")
        with pytest.raises(smtplib.SMTPDataError, match="it holds the virus"):
            client.sendmail("ann@a.test", ["ben@a.test"], own)

    clamd.unlink()
    hand_in(letter("unchecked", b"hello"))
    assert str(company.one("ann", "unchecked")["X-Virus-Status"]).startswith("unchecked; ")
    until(lambda: "scanner.failed" in company.postroom("alarm", "list", "--json").stdout)
