"""What the real clamd and the real rspamd answer decides where a message ends: from SMTP to the mailbox."""

from __future__ import annotations

import base64
import smtplib
from collections.abc import Callable, Iterator

import pytest
from network_house import Company, until
from real_scanners import CLAMD, EVIL, RSPAMD, Program, clamd, rspamd

from postroom.testing.dnsserver import DnsServer

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.system,
    pytest.mark.skipif(CLAMD is None or RSPAMD is None, reason="clamd or rspamd is not installed"),
]
Make = Callable[..., list[Company]]
HOST = "127.0.9.46"
EXTRA = """
[filter]
refuse = 0

[clamav]
socket = "{clamd}"
virus = "quarantine"
seconds = {seconds}
on_failure = "{on_failure}"

[rspamd]
url = "{rspamd}"
mode = "{mode}"
seconds = {seconds}
on_failure = "{on_failure}"
"""


@pytest.fixture
def scanners() -> Iterator[tuple[Program, Program]]:
    with clamd() as one, rspamd() as other:
        yield one, other


@pytest.fixture
def begin(companies: Make, dns: DnsServer, scanners: tuple[Program, Program]) -> Callable[..., Company]:
    def made(mode: str = "decide", seconds: float = 30, on_failure: str = "accept") -> Company:
        one, other = scanners
        extra = EXTRA.format(
            clamd=one.place, rspamd=other.place, mode=mode, seconds=seconds, on_failure=on_failure
        )  # fmt: skip
        (company,) = companies(1, extra=extra)
        dns.add({
            "far.test": {"MX": [[10, "mx.far.test"]], "TXT": [f"v=spf1 ip4:{HOST} -all"]},
            "mx.far.test": {"A": [HOST]},
            "46.9.0.127.in-addr.arpa": {"PTR": ["mx.far.test"]},
        })  # fmt: skip
        return company

    return made


def letter(subject: str, points: float | None = None, octets: bytes = b"hello") -> bytes:
    said = "" if points is None else f"X-Points: {points}\r\n"
    body = base64.encodebytes(octets).decode().replace("\n", "\r\n")
    return (
        f"From: Somebody <writer@far.test>\r\nTo: ann@a.test\r\nSubject: {subject}\r\n"
        f"Message-ID: <{subject}@far.test>\r\nDate: Sun, 22 Nov 2026 11:00:00 +0000\r\n{said}MIME-Version: 1.0\r\n"
        f'Content-Type: text/plain; name="a.txt"\r\nContent-Transfer-Encoding: base64\r\n\r\n{body}'
    ).encode()


def hand_in(company: Company, message: bytes) -> None:
    with smtplib.SMTP(company.address, company.ports["port"], "mx.far.test", 60, (HOST, 0)) as client:
        client.sendmail("writer@far.test", ["ann@a.test"], message)


def explained(company: Company, message: bytes, *options: str) -> dict[str, str]:
    path = company.folder / "asked.eml"
    path.write_bytes(message)
    sources: dict[str, str] = company.json("explain", "spam", str(path), "--for", "ann@a.test", *options)["sources"]
    return sources


def test_each_answer_leads_to_its_place(begin: Callable[..., Company]) -> None:
    company = begin()
    hand_in(company, letter("wanted", 1))
    wanted = company.one("ann", "wanted")
    assert str(wanted["X-Virus-Status"]).startswith("clean; ClamAV ")
    hand_in(company, letter("unwanted", 7))
    unwanted = company.one("ann", "unwanted", "Junk")
    assert "rspamd gives it 7.0 points of 15.0, add header: OURS" in " ".join(str(unwanted["X-Spam-Report"]).split())
    with pytest.raises(smtplib.SMTPDataError, match=r"5\.7\.1.*rspamd gives it 20\.0 points"):
        hand_in(company, letter("worst", 20))
    hand_in(company, letter("evil", 1, EVIL))
    [kept] = until(lambda: company.json("quarantine", "list", "--account", "ann@a.test")["items"])
    assert "virus Postroom.Test" in str(kept)
    assert company.subjects("ann") == ["wanted"]
    told = company.postroom("trace", "<evil@far.test>").stdout
    assert "viruses: infected Postroom.Test" in told
    assert "rspamd: 20.0 of 15.0, reject" in company.postroom("trace", "<worst@far.test>").stdout

    said = explained(company, letter("asked", 7, EVIL))
    assert said["clamav"] == "infected Postroom.Test.UNOFFICIAL"
    assert said["rspamd"] == "7.0 of 15.0, add header"
    said = explained(company, letter("asked", 7), "--no-scanners")
    assert said["clamav"] == said["rspamd"] == "not asked (--no-scanners)"
    (company.folder / "asked.eml").write_bytes(letter("asked", 7))
    assert (
        "filed as junk"
        in company.postroom("explain", "spam", str(company.folder / "asked.eml"), "--for", "ann@a.test").stdout
    )


def test_its_score_is_one_more_reason(begin: Callable[..., Company]) -> None:
    company = begin("add")
    hand_in(company, letter("little", 4))
    report = " ".join(str(company.one("ann", "little")["X-Spam-Report"]).split())
    assert "rspamd gives it 4.0 points of 15.0, no action: OURS (+4.0) (+3.2)" in report
    hand_in(company, letter("much", 14))
    company.one("ann", "much", "Junk")


def test_slow_and_gone_scanners_hold_nothing_up(
    begin: Callable[..., Company], scanners: tuple[Program, Program]
) -> None:
    company = begin(seconds=1)
    for one in scanners:
        one.stall()
    hand_in(company, letter("slow", 20, EVIL))
    slow = company.one("ann", "slow")
    assert str(slow["X-Virus-Status"]).startswith("unchecked; ")
    told = " ".join(company.postroom("trace", "<slow@far.test>").stdout.split())
    assert "not looked at by: clamav: " in told
    assert "rspamd: " in told
    alarms = until(
        lambda: (
            (found := company.postroom("alarm", "list", "--json").stdout)
            and found.count("scanner.failed") > 1
            and found
        )
    )
    assert "clamav" in alarms
    assert "rspamd" in alarms
    said = explained(company, letter("asked", 7))
    assert said["clamav"].startswith("no answer, mail goes on without it: clamav: ")
    assert said["rspamd"].startswith("no answer, mail goes on without it: rspamd: ")
    for one in scanners:
        one.end()
    hand_in(company, letter("gone", 20, EVIL))
    company.one("ann", "gone")


def test_or_mail_waits_for_them(begin: Callable[..., Company], scanners: tuple[Program, Program]) -> None:
    company = begin(seconds=1, on_failure="defer")
    hand_in(company, letter("before", 1))
    company.one("ann", "before")
    scanners[1].stall()
    with pytest.raises(smtplib.SMTPDataError) as refused:
        hand_in(company, letter("meanwhile", 1))
    assert refused.value.smtp_code == 451
    assert b"cannot be checked now, try again later" in refused.value.smtp_error
    assert "comes again" in explained(company, letter("asked", 7))["rspamd"]
    scanners[1].go_on()
    hand_in(company, letter("after", 1))
    company.one("ann", "after")
    assert "meanwhile" not in company.subjects("ann")
