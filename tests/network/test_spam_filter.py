"""The spam filter from the SMTP session to the mailbox, and what it learns from what readers do."""

from __future__ import annotations

import base64
import imaplib
import json
import random
import smtplib
from collections.abc import Callable

import pytest
from network_house import PASSWORD, Company, until

from postroom.testing.dnsserver import DnsServer

Make = Callable[..., list[Company]]
pytestmark = pytest.mark.timeout(240)
HOST = "127.0.9.40"
UNWANTED = "horoscope stars destiny fortune zodiac moon rising crystal aura healing energy karma".split()  # noqa: SIM905
WANTED = "meeting invoice project report agenda contract review minutes budget team draft planning".split()  # noqa: SIM905


def letter(subject: str, body: str, *, kind: str = "text/plain; charset=utf-8", more: str = "") -> bytes:
    head = (
        f"From: Somebody <writer@far.test>\r\nTo: ann@a.test\r\nSubject: {subject}\r\nMessage-ID: <{subject}@far.test>"
    )
    date = "Date: Sun, 22 Nov 2026 11:00:00 +0000"
    return f"{head}\r\n{date}\r\n{more}MIME-Version: 1.0\r\nContent-Type: {kind}\r\n\r\n{body}\r\n".encode()


def hand_in(company: Company, message: bytes, *to: str, name: str = "mx.far.test") -> None:
    with smtplib.SMTP(company.address, company.ports["port"], name, 30, (HOST, 0)) as client:
        client.sendmail("writer@far.test", list(to) or ["ann@a.test"], message)


def imap(company: Company) -> imaplib.IMAP4:
    client = imaplib.IMAP4(company.address, company.ports["imap"])
    client.starttls(company.tls())
    client.login("ann@a.test", PASSWORD)
    return client


@pytest.fixture
def company(companies: Make, dns: DnsServer) -> Company:
    (found,) = companies(1)
    dns.add({
        "far.test": {"MX": [[10, "mx.far.test"]], "TXT": [f"v=spf1 ip4:{HOST} -all"]},
        "_dmarc.far.test": {"TXT": ["v=DMARC1; p=none"]},
        "mx.far.test": {"A": [HOST]},
        "40.9.0.127.in-addr.arpa": {"PTR": ["mx.far.test"]},
    })  # fmt: skip
    return found


def test_spam_is_junk_worse_is_refused_and_all_is_explained(company: Company) -> None:
    hand_in(company, letter("lunch", "Shall we have lunch on Tuesday, after the meeting about the contract?"))
    good = company.one("ann", "lunch")
    assert not good["X-Spam-Flag"]
    assert float(str(good["X-Spam-Score"])) < 3

    bait = '<a href="http://evil.far.test/login">https://www.bank.example.com/</a> verify your account'
    bad = letter("bank", f"<p>Dear customer, {bait}, or your account will be closed", kind="text/html")
    hand_in(company, b"X-Spam-Flag: NO\r\nX-Spam-Score: -9\r\n" + bad)
    junk = company.one("ann", "bank", "Junk")
    assert junk.get_all("X-Spam-Flag") == ["YES"]
    assert len(junk.get_all("X-Spam-Score") or []) == 1
    assert "LINK_MISMATCH" in str(junk["X-Spam-Status"])

    program = base64.b64encode(b"MZ" + bytes(60)).decode()
    more = "Content-Transfer-Encoding: base64\r\n"
    virus = letter("bill", program, kind='application/octet-stream; name="bill.pdf.exe"', more=more)
    with pytest.raises(smtplib.SMTPDataError, match=r"5\.7\.1.*taken for spam.*pretends to be a pdf"):
        hand_in(company, virus)
    assert "bill" not in company.subjects("ann")

    told = company.postroom("trace", "<bank@far.test>").stdout
    assert "spam score" in told
    assert "leads to evil.far.test" in told
    assert "spam score" in company.postroom("trace", "<bill@far.test>").stdout

    path = company.folder / "bank.eml"
    path.write_bytes(bad)
    found = company.json("explain", "spam", str(path), "--for", "ann@a.test")
    assert found["act"] == "junk"
    assert "LINK_MISMATCH" in {one["name"] for one in found["reasons"]}


def test_people_and_domains_have_wishes(company: Company) -> None:
    company.postroom("filter", "block", "a.test", "far.test")
    company.postroom("filter", "allow", "ben@a.test", "writer@far.test")
    with pytest.raises(smtplib.SMTPDataError, match="never wants mail"):
        hand_in(company, letter("one", "hello"))
    hand_in(company, letter("two", "hello"), "ann@a.test", "ben@a.test")
    assert company.one("ben", "two")
    assert company.one("ann", "two", "Junk")
    company.postroom("filter", "unlist", "a.test", "far.test")
    hand_in(company, letter("three", "How are you? It would be good to see you at the meeting."))
    assert company.one("ann", "three")


def test_it_learns_from_what_readers_move(company: Company) -> None:
    chance = random.Random(4)
    client = imap(company)
    for number in range(40):
        for mailbox, words in (("Junk", UNWANTED), ("Archive", WANTED)):
            text = letter(f"{mailbox}{number}", " ".join(chance.sample(words, 8)))
            assert client.append(mailbox, "", "", text)[0] == "OK"
    trained = json.loads(
        company.postroom("filter", "train", "ann@a.test", "--spam", "Junk", "--ham", "Archive", "--json").stdout
    )
    assert trained["learned"] == 80
    assert company.json("filter", "train", "ann@a.test", "--spam", "Junk")["learned"] == 0

    hand_in(company, letter("one", " ".join(chance.sample(UNWANTED, 9))))
    hand_in(company, letter("two", " ".join(chance.sample(WANTED, 9))))
    good = company.one("ann", "two")
    assert "WORDS" in str(good["X-Spam-Status"])
    bad = next(mail for box in ("INBOX", "Junk") for mail in company.mail("ann", box) if str(mail["Subject"]) == "one")
    assert float(str(bad["X-Spam-Score"])) > float(str(good["X-Spam-Score"])) + 4

    # out of Junk is a lesson, and into it is another
    status = company.json("filter", "status", "ann@a.test")
    assert (status["spam"], status["ham"]) == (40, 40)
    client.select("INBOX")
    uid = client.uid("SEARCH", "SUBJECT", "two")[1][0].decode()
    client.uid("MOVE", uid, "Junk")
    until(lambda: company.json("filter", "status", "ann@a.test")["spam"] == 41)
    client.select("Junk")
    uid = client.uid("SEARCH", "SUBJECT", "two")[1][0].decode()
    client.uid("MOVE", uid, "INBOX")
    until(lambda: company.json("filter", "status", "ann@a.test")["ham"] == 41)
    assert company.json("filter", "status", "ann@a.test")["spam"] == 40
    client.select("INBOX")
    client.uid("STORE", "1:*", "+FLAGS", "($Junk)")
    until(lambda: company.json("filter", "status", "ann@a.test")["spam"] > 40)
    client.logout()

    company.postroom("filter", "forget", "ann@a.test", "--yes")
    assert company.json("filter", "status", "ann@a.test")["spam"] == 0


def test_newer_rules_and_traps_act_at_once(company: Company) -> None:
    body = "Shall we have lunch on Tuesday, after the meeting about the contract?"
    hand_in(company, letter("before", body))
    company.one("ann", "before")
    version = company.json("filter", "rules")["version"]
    path = company.folder / "newer.toml"
    rule = '[[rule]]\nname = "LUNCH"\nwords = ["lunch"]\npoints = 9\ntext = "it is about lunch"\n'
    path.write_text(f"version = {version + 1}\n{rule}")
    assert company.json("filter", "rules", "update", str(path))["added"] == ["LUNCH"]

    def junk() -> bool:
        hand_in(company, letter("after", body))
        return "after" in company.subjects("ann", "Junk")

    until(junk)
    company.postroom("filter", "rules", "undo")

    company.postroom("filter", "trap", "add", "bait@a.test")
    learned = company.json("filter", "status")["spam"]
    hand_in(company, letter("trap", "Buy this and that"), "bait@a.test")
    until(lambda: company.json("filter", "status")["spam"] == learned + 1)
    hand_in(company, letter("both", "How are you?"), "bait@a.test", "ann@a.test")
    assert "SPAM_TRAP" in str(company.one("ann", "both", "Junk")["X-Spam-Status"])
    until(lambda: "it came to the spam trap bait@a.test" in company.postroom("trace", "<trap@far.test>").stdout)
