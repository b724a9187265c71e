"""A message is released from quarantine by a mail to its address in the digest, or by answering the digest."""

from __future__ import annotations

import re
import smtplib
from collections.abc import Callable
from email.message import EmailMessage

import pytest
from network_house import PASSWORD, Company, until

from postroom.testing.dnsserver import DnsServer

Make = Callable[..., list[Company]]
pytestmark = pytest.mark.timeout(240)
HOST = "127.0.9.47"
EXTRA = """
[quarantine]
digest = "00:00"
"""


@pytest.fixture
def company(companies: Make, dns: DnsServer) -> Company:
    (found,) = companies(1, extra=EXTRA)
    dns.add({
        "far.test": {"MX": [[10, "mx.far.test"]], "TXT": [f"v=spf1 ip4:{HOST} -all"]},
        "mx.far.test": {"A": [HOST]},
        "47.9.0.127.in-addr.arpa": {"PTR": ["mx.far.test"]},
    })  # fmt: skip
    found.postroom("filter", "block", "a.test", "far.test")
    found.postroom("filter", "set", "a.test", "--quarantine", "8", "--refuse", "0")
    return found


def keep(company: Company, subject: str, to: str = "ann@a.test") -> None:
    head = f"From: Shop <shop@far.test>\r\nTo: {to}\r\nSubject: {subject}\r\nMessage-ID: <{subject}@far.test>"
    with smtplib.SMTP(company.address, company.ports["port"], "mx.far.test", 30, (HOST, 0)) as client:
        client.sendmail("shop@far.test", [to], f"{head}\r\n\r\nhi\r\n".encode())
    until(lambda: any(subject in str(one) for one in company.json("quarantine", "list", "--account", to)["items"]))


def write(company: Company, person: str, to: str, more: str = "") -> None:
    """Any mail, by a log-in of the company."""
    with smtplib.SMTP(company.address, company.ports["submission"], timeout=30) as client:
        client.starttls(context=company.tls())
        client.login(f"{person}@a.test", PASSWORD)
        text = f"From: {person}@a.test\r\nSubject: Re: x\r\n{more}\r\nplease\r\n"
        client.sendmail(f"{person}@a.test", [to], text.encode())


def digest(company: Company) -> EmailMessage:
    company.postroom("quarantine", "list")
    return company.one("ann", "in your quarantine")


def test_answering_the_digest_releases_its_message(company: Company) -> None:
    keep(company, "bargain")
    company.stop()
    company.start()  # what is new is told at once: the time of day has come
    mail = digest(company)
    address = str(mail["Reply-To"])
    assert re.fullmatch(r"release\+[0-9a-z-]+\.[0-9]+\.[a-z2-7]{20}@a\.test", address)
    plain = mail.get_body(("plain",))
    assert plain is not None
    assert "Answer this mail" in plain.get_content()
    assert address in plain.get_content()

    with pytest.raises(smtplib.SMTPRecipientsRefused, match=r"5\.7\.1 Nothing is released.*not made for you"):
        write(company, "ben", address)
    with pytest.raises(smtplib.SMTPRecipientsRefused, match=r"5\.7\.1 Nothing is released"):
        write(company, "ann", address.replace("release+", "release+0"))
    with (
        smtplib.SMTP(company.address, company.ports["port"], "mx.far.test", 30, (HOST, 0)) as client,
        pytest.raises(smtplib.SMTPRecipientsRefused, match="its owner's own log-in only"),
    ):
        client.sendmail("ann@far.test", [address], b"From: ann@far.test\r\n\r\nplease\r\n")
    write(company, "ann", address, "Auto-Submitted: auto-replied\r\n")
    until(lambda: company.events("quarantine.answered"))
    assert company.events("quarantine.answered")[0]["reason"] == "it was answered by a program"
    assert len(company.json("quarantine", "list")["items"]) == 1
    assert "bargain" not in company.subjects("ann")

    write(company, "ann", address)
    company.one("ann", "bargain")
    confirmed = company.one("ann", "Released from quarantine")
    assert "Subject:  bargain" in confirmed.get_content()
    write(company, "ann", address)
    again = company.one("ann", "Not released from quarantine")
    assert "It was not released: it is released already" in " ".join(again.get_content().split())
    assert company.subjects("ann").count("bargain") == 1
    assert len([one for one in company.subjects("ann") if one.startswith("Released")]) == 1
    assert "as its owner wants" in company.postroom("trace", address, "--steps").stdout


def test_of_several_messages_each_has_an_address(company: Company) -> None:
    keep(company, "first")
    keep(company, "second")
    company.stop()
    company.start()
    mail = digest(company)
    assert mail["Reply-To"] is None
    plain = mail.get_body(("plain",))
    assert plain is not None
    blocks = "\n".join(plain.get_content().splitlines()).split("\n\n")
    [block] = [one for one in blocks if "Subject:  second" in one]
    [address] = re.findall(r"^Write to: (\S+)$", block, re.MULTILINE)
    html = mail.get_body(("html",))
    assert html is not None
    assert html.get_content().count('href="mailto:release%2B') == 2
    write(company, "ann", address)
    company.one("ann", "second")
    assert "first" not in company.subjects("ann")
    assert [one["subject"] for one in company.json("quarantine", "list")["items"]] == ["first"]
