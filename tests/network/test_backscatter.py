"""Reports that come back, through the whole server: to tagged senders, about forged mail, and in floods."""

from __future__ import annotations

import smtplib
from collections.abc import Callable

import pytest
from network_house import Company, Peers, until

from postroom.testing.dnsserver import DnsServer
from postroom.testing.scripted_peer import ScriptedPeer

Make = Callable[..., list[Company]]
pytestmark = pytest.mark.timeout(240)
HOST = "127.0.9.45"
EXTRA = """
[bounces]
hourly = 3
grace_days = 0
"""


def report(about: str, subject: str) -> bytes:
    return (
        f"From: Mail Delivery System <mailer-daemon@far.test>\r\nTo: ann@a.test\r\nSubject: {subject}\r\n"
        f"Date: Sun, 22 Nov 2026 11:00:00 +0000\r\nMessage-ID: <{subject}@far.test>\r\n"
        'MIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=delivery-status; boundary="q"\r\n\r\n'
        "--q\r\n\r\nYour message could not be delivered.\r\n\r\n"
        "--q\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns;mx.far.test\r\n\r\n"
        "Final-Recipient: rfc822;bob@far.test\r\nAction: failed\r\nStatus: 5.1.1\r\n\r\n"
        f"--q\r\nContent-Type: text/rfc822-headers\r\n\r\nFrom: ann@a.test\r\nMessage-ID: {about}\r\n\r\n--q--\r\n"
    ).encode()


def hand_in(company: Company, message: bytes, to: str, sender: str = "") -> None:
    with smtplib.SMTP(company.address, company.ports["port"], "mx.far.test", 30, (HOST, 0)) as client:
        client.sendmail(sender, [to], message)


@pytest.fixture
def company(companies: Make, dns: DnsServer) -> Company:
    (found,) = companies(1, extra=EXTRA)
    dns.add({
        "far.test": {"MX": [[10, "mx.far.test"]], "TXT": [f"v=spf1 ip4:{HOST} -all"]},
        "mx.far.test": {"A": [HOST], "TXT": [f"v=spf1 ip4:{HOST} -all"]},
        "45.9.0.127.in-addr.arpa": {"PTR": ["mx.far.test"]},
    })  # fmt: skip
    return found


@pytest.fixture
def far(company: Company, peers: Peers) -> ScriptedPeer:
    peer = ScriptedPeer(name="mx.far.test")
    peers.start(peer, HOST, company.ports["port"])
    return peer


def left(company: Company, far: ScriptedPeer, subject: str) -> tuple[str, str]:
    """Ann writes to somebody far away: with which sender and Message-ID it came there."""
    count = len(far.messages)
    company.submit("ann", "bob@far.test", subject)
    until(lambda: len(far.messages) > count)
    taken = far.messages[-1]
    [identity] = [line for line in taken.data.split(b"\r\n") if line.lower().startswith(b"message-id:")]
    return taken.mail.partition(">")[0].strip("<"), identity.partition(b":")[2].strip().decode()


def test_reports_on_what_was_sent_and_on_what_was_forged(company: Company, far: ScriptedPeer) -> None:
    sender, identity = left(company, far, "plain")
    assert sender == "ann@a.test"
    hand_in(company, report(identity, "real"), sender)
    real = company.one("ann", "real")
    assert "it reports on a message that was sent from here" in " ".join(str(real["X-Spam-Report"]).split())

    hand_in(company, report("<forged@far.test>", "strange"), sender)
    strange = company.one("ann", "strange")
    assert "it reports on a message that was not sent from here (+3.0)" in " ".join(
        str(strange["X-Spam-Report"]).split()
    )
    assert "not sent from here" in company.postroom("trace", "<strange@far.test>").stdout
    for number in (2, 3, 4):
        hand_in(company, report("<forged@far.test>", f"strange{number}"), "ann+any@a.test")
    flood = company.one("ann", "strange4", "Junk")
    assert "it is one of 4 such reports to ann+any@a.test within an hour" in " ".join(
        str(flood["X-Spam-Report"]).split()
    )
    assert "one of 4 such reports" in company.postroom("trace", "<strange4@far.test>").stdout
    until(lambda: "bounces.flood" in company.postroom("alarm", "list", "--json").stdout)
    hand_in(company, report(identity, "real2"), sender)
    company.one("ann", "real2")  # a real one still comes through

    path = company.folder / "strange.eml"
    path.write_bytes(strange.as_bytes())
    told = company.json("explain", "spam", str(path), "--for", "ann@a.test")
    assert "BACKSCATTER" in [reason["name"] for reason in told["reasons"]]
    assert "BACKSCATTER" in told["sources"]["reports"]


def test_tagged_senders(company: Company, far: ScriptedPeer) -> None:
    company.postroom("domain", "set", "a.test", "--batv", "tag")
    sender, _ = left(company, far, "tagged")
    assert sender.startswith("prvs=")
    assert sender.endswith("=ann@a.test")
    hand_in(company, report("<odd@far.test>", "returned"), sender)
    found = company.one("ann", "returned")
    assert "prvs" not in found.as_string().lower()
    assert str(found["Delivered-To"]) == "ann@a.test"
    assert "only mail from here has" in " ".join(str(found["X-Spam-Report"]).split())
    with pytest.raises(smtplib.SMTPRecipientsRefused, match=r"5\.7\.1 This return address was not made here"):
        hand_in(company, report("<odd@far.test>", "forged"), sender.replace("=ann", "=ben"))
    hand_in(company, report("<odd@far.test>", "bare"), "ann@a.test")
    company.one("ann", "bare")

    company.postroom("domain", "set", "a.test", "--batv", "require")
    with pytest.raises(smtplib.SMTPDataError, match=r"5\.7\.1 Mail from a\.test has a tag in its envelope sender"):
        hand_in(company, report("<odd@far.test>", "refused"), "ann@a.test")
    assert "without a tag" in company.postroom("trace", "<refused@far.test>").stdout
    hand_in(company, report("<odd@far.test>", "again"), sender)
    company.one("ann", "again")
    letter = b"From: x@far.test\r\nTo: ann@a.test\r\nSubject: letter\r\n\r\nhello\r\n"
    hand_in(company, letter, "ann@a.test", "x@far.test")
    company.one("ann", "letter")
    hand_in(company, letter.replace(b"letter", b"answer"), sender, "x@far.test")
    company.one("ann", "answer")
    shown = company.postroom("domain", "show", "a.test").stdout
    assert "leave with a tag (BATV) since" in shown
    assert "other reports are refused" in shown


def test_filters_see_the_address_without_its_tag(company: Company, far: ScriptedPeer) -> None:
    """A vacation answer to mail of ours that comes back in by a list, and the test `envelope`."""
    company.postroom("domain", "set", "a.test", "--batv", "tag")
    sender, _ = left(company, far, "outward")
    script = (
        'require ["envelope", "fileinto", "mailbox"];\n'
        'if allof (envelope :is "to" "ben@a.test", envelope :is "from" "ann@a.test") { fileinto :create "Seen"; }\n'
    )
    (company.folder / "ben.sieve").write_text(script)
    company.postroom("sieve", "put", "ben@a.test", "main", str(company.folder / "ben.sieve"), "--activate")
    tagged_ben = left_as(company, far, "ben")
    letter = b"From: list@far.test\r\nTo: ben@a.test\r\nSubject: listed\r\n\r\nhello\r\n"
    hand_in(company, letter, tagged_ben, sender)
    found = company.one("ben", "listed", "Seen")
    assert str(found["Return-Path"]).strip("<>") == "ann@a.test"


def left_as(company: Company, far: ScriptedPeer, person: str) -> str:
    count = len(far.messages)
    company.submit(person, "bob@far.test", f"from {person}")
    until(lambda: len(far.messages) > count)
    return far.messages[-1].mail.partition(">")[0].strip("<")
