"""Learning from readers and spam traps follows the configuration at a reload, also in sessions that are open."""

from __future__ import annotations

import imaplib
import signal
import smtplib
from collections.abc import Callable

import pytest
from network_house import PASSWORD, Company, until

Make = Callable[..., list[Company]]
pytestmark = pytest.mark.timeout(240)
OFF, ON = "\n[filter]\nenabled = false\n", "\n[filter]\nenabled = true\n"


def hand_in(company: Company, subject: str, to: str) -> None:
    head = f"From: x@far.test\r\nTo: {to}\r\nSubject: {subject}\r\nMessage-ID: <{subject}@far.test>"
    with smtplib.SMTP(company.address, company.ports["port"], "mx.far.test", 30, ("127.0.9.48", 0)) as client:
        client.sendmail("x@far.test", [to], f"{head}\r\n\r\nbuy {subject}\r\n".encode())


def reload(company: Company, filtering: str) -> None:
    path = company.folder / "postroom.toml"
    path.write_text(path.read_text().replace(OFF, "").replace(ON, "") + filtering)
    before = len(company.events("config.reloaded"))
    assert company.process is not None
    company.process.send_signal(signal.SIGHUP)
    until(lambda: len(company.events("config.reloaded")) > before)


def learned(company: Company) -> int:
    count: int = company.json("filter", "status")["spam"]
    return count


def test_learning_follows_the_configuration(companies: Make) -> None:
    (company,) = companies(1, extra=OFF)
    company.postroom("filter", "trap", "add", "bait@a.test")
    client = imaplib.IMAP4(company.address, company.ports["imap"])
    client.starttls(company.tls())
    client.login("ann@a.test", PASSWORD)

    def junk(subject: str) -> None:
        hand_in(company, subject, "ann@a.test")
        company.one("ann", subject)
        client.select("INBOX")
        _, [found] = client.uid("SEARCH", "SUBJECT", subject)
        answer, _ = client.uid("MOVE", found.decode(), "Junk")
        assert answer == "OK"

    hand_in(company, "first", "bait@a.test")
    [caught] = until(lambda: company.events("trap.caught"))
    assert not caught["learned"]
    junk("one")
    reload(company, ON)
    junk("two")  # in the session that was open before
    until(lambda: learned(company) == 1)
    hand_in(company, "second", "bait@a.test")
    until(lambda: learned(company) == 2)
    reload(company, OFF)
    junk("three")
    hand_in(company, "third", "bait@a.test")
    until(lambda: len(company.events("trap.caught")) == 3)
    assert company.events("trap.caught")[-1]["reason"] == "the filter is off"
    assert learned(company) == 2
    client.logout()
