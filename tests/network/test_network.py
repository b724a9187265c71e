"""Mail between companies, from a submission to the other's mailbox: MX, TLS, DKIM, SPF, DMARC, bounces, kills."""

from __future__ import annotations

import smtplib
from collections import Counter
from collections.abc import Callable

import pytest
from network_house import Company, until

from postroom.testing.dnsserver import DnsServer

Make = Callable[..., list[Company]]
pytestmark = pytest.mark.timeout(180)


def smuggle(company: Company, sender: str, author: str, to: str, source: str = "127.0.9.9") -> tuple[int, bytes]:
    """A stranger's server brings a mail; the reply to it."""
    text = f"From: {author}\r\nTo: {to}\r\nSubject: forged\r\nMessage-ID: <1@evil.test>\r\n\r\nPay!\r\n"
    with smtplib.SMTP(company.address, company.ports["port"], "evil.test", 30, (source, 0)) as client:
        client.ehlo()
        client.mail(sender)
        code, said = client.rcpt(to)
        return client.data(text) if code == 250 else (code, said)


def test_from_one_company_to_another(companies: Make, dns: DnsServer) -> None:
    a, b = companies(2)
    # what `dns show` says is what `dns check` wants; only the addresses are not the world's
    for company in (a, b):
        found = company.json("dns", "check", company.domain, ok=False)["findings"]
        wrong = [one for one in found if one["state"] != "ok" and one["kind"] not in ("host", "tlsa")]
        assert not wrong, wrong
    a.submit("ann", "ben@b.test", "contract")
    mail = b.one("ben", "contract")
    results = str(mail["Authentication-Results"])
    for words in ("mx.b.test;", "spf=pass", "dkim=pass", "header.d=a.test", "dmarc=pass", "header.from=a.test"):
        assert words in results, results
    assert results.count("dkim=pass") == 2, "RSA and Ed25519"
    assert "with ESMTPS" in str(mail["Received"])
    assert until(lambda: a.events("message.relayed"))[0]["recipient"] == "ben@b.test"
    told = a.postroom("trace", "ben@b.test").stdout
    assert "mx.b.test" in told
    there = b.postroom("trace", "ann@a.test").stdout
    assert "INBOX" in there

    # the answer finds its way back, and an alias to the outside keeps the proof
    b.submit("ben", "ann@a.test", "answer")
    assert "dmarc=pass" in str(a.one("ann", "answer")["Authentication-Results"])
    b.postroom("alias", "add", "sales@b.test", "ann@a.test")
    a.submit("ben", "sales@b.test", "passed on")
    forwarded = a.one("ann", "passed on")
    assert "dkim=pass" in str(forwarded["Authentication-Results"])

    # forged mail
    code, said = smuggle(b, "x@evil.test", "ann@a.test", "ben@b.test")
    assert code == 550, said
    assert b"DMARC" in said
    code, said = smuggle(b, "x@evil.test", "Ann <ann@b.test>", "ben@b.test")
    assert code == 550, said
    assert b"not a message from b.test" in said
    assert "forged" not in b.subjects("ben")
    assert "refused" in b.postroom("trace", "x@evil.test").stdout
    assert "not a message from b.test" in b.postroom("trace", "<1@evil.test>").stdout, "found by its Message-ID too"


def test_mail_that_cannot_be_delivered_comes_back(companies: Make, dns: DnsServer) -> None:
    [a] = companies(1)
    dns.add({
        "null.test": {"MX": [[0, ""]]},
        "gone.test": {"MX": [[10, "mx.gone.test"]], "A": ["127.0.8.8"]},
        "mx.gone.test": {"A": ["127.0.8.8"]},
    })  # fmt: skip
    a.submit("ann", "x@null.test", "to nobody")
    report = a.one("ann", "deliver")
    text = report.as_string()
    assert "null.test" in text
    assert "5.1.10" in text
    a.submit("ann", "x@nowhere.test", "to a domain that is not there")
    until(lambda: len(a.mail("ann")) == 2)
    a.submit("ann", "x@gone.test", "to a server that does not answer")
    entry = until(lambda: a.json("queue", "list")["entries"])[0]
    assert entry["recipients"][0]["last_reply"]
    assert "Waits for its next try" in a.postroom("trace", "x@gone.test").stdout
    assert len(a.mail("ann")) == 2


def test_nothing_is_lost_when_the_sender_is_killed(companies: Make, dns: DnsServer) -> None:
    """A message can come twice only when the other side had said 250 and our own commit had not happened."""
    a, b = companies(2)
    count = 60
    for number in range(count):
        a.submit("ann", "ben@b.test", f"n{number}.")
        if number in (20, 40):
            a.kill()
            a.start()
    until(lambda: len(set(b.subjects("ben"))) == count, 60)
    until(lambda: not a.json("queue", "list")["entries"])
    twice = {subject: times for subject, times in Counter(b.subjects("ben")).items() if times > 1}
    print(f"{len(twice)} of {count} messages came twice after two kills")
    assert len(twice) <= 2 * 5
