"""Peers that take their time: they trickle octets, fall silent at any stage, or do not read.

What RFC 5321 4.5.3.2 gives them is minutes; here the relay gives them seconds, by the same code.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from network_house import Company, Peers, until
from test_peers import Street

from postroom.testing.dnsserver import DnsServer

Make = Callable[..., list[Company]]
pytestmark = pytest.mark.timeout(240)

PATIENCE = 3.0
LISTENING = "0A"
#: the times of relay/connection.py, all of them
IMPATIENT = f"""
import postroom.relay.connection as c
c.GREETING = c.ENVELOPE = c.BLOCK = c.END = {PATIENCE}
c._ALL_OF_ENVELOPE = 4 * {PATIENCE}
"""


def connections_of(company: Company) -> int:
    """TCP connections that the processes of a company have open."""
    assert company.process is not None
    listed = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    sockets = {f"socket:[{column[9]}]" for column in listed if column[3] != LISTENING}
    ours = [each for each in Path("/proc").iterdir() if each.name.isdigit() and _group(each) == company.process.pid]
    return sum(_leads_to(file) in sockets for process in ours for file in (process / "fd").iterdir())


def _group(process: Path) -> int:
    try:
        return os.getpgid(int(process.name))
    except ProcessLookupError:
        return 0


def _leads_to(file: Path) -> str:
    try:
        return str(file.readlink())
    except OSError:
        return ""


# the way out


@pytest.fixture
def impatient(companies: Make, dns: DnsServer, peers: Peers) -> Street:
    [company] = companies(1, before=IMPATIENT)
    return Street(company, dns, peers)


def test_mail_for_others_goes_on_and_nothing_is_left_open(impatient: Street) -> None:
    """Whatever a server does to keep us: its mail waits and says why, its connection ends, all other mail goes out."""
    street, company = impatient, impatient.company
    stalls = {
        "greeting": {"replies": {"greeting": [b""]}},
        "ehlo": {"replies": {"EHLO": [b"250-mx.ehlo.test\r\n250-PIPELI"]}},
        "mail": {"replies": {"MAIL": [b""]}, "features": ("8BITMIME",)},
        "rcpt": {"replies": {"RCPT": [b"250"]}},
        "data": {"replies": {"DATA": [b""]}},
        "drops": {"drop_in_data": 30},
        "trickles": {"trickle": 0.5},
    }
    for name, script in stalls.items():
        street.add(name, **script)
    street.add("end", replies={"end": [b""]})  # it has the mail, and does not say so
    street.add("patient", trickle=0.01)  # slow, but it gets there
    for number in range(5):
        street.add(f"quick{number}")
    street.send_to_all()

    quick = {f"quick{number}" for number in range(5)}
    until(lambda: quick <= street.relayed().keys(), 60)
    once = stalls.keys() - {"drops", "trickles"}  # the next time they behave
    until(
        lambda: company.postroom("queue", "flush") and street.relayed().keys() >= quick | once | {"end", "patient"}, 90
    )
    waiting = until(lambda: found if all((found := street.waiting()).values()) else {}, 30)
    assert waiting.keys() == {"drops", "trickles"}
    assert "the server did not greet in time" in waiting["trickles"]

    for name in once | quick | {"patient"}:
        assert len(street.of[name].whole) == 1, name
    assert not street.of["drops"].whole
    # RFC 1047: who takes mail and does not answer in time gets it again, no more often than that, and it is told
    assert len(street.of["end"].whole) == 2
    doubled = [one["recipients"] for one in company.events("relay.maybe_doubled")]
    assert doubled.count(["x@end.test"]) == 1
    assert not any(found not in (["x@end.test"], ["x@drops.test"]) for found in doubled)
    drop_all(company)
    until(lambda: all(peer.open == 0 for peer in street.of.values()), 60)
    until(lambda: connections_of(company) == 0, 60)


def test_who_does_not_read_the_text_is_left(impatient: Street) -> None:
    """More than fits into the buffers between us."""
    street, company = impatient, impatient.company
    street.add("deaf", deaf=True)
    street.add("quick")
    company.submit("ann", ["x@deaf.test", "x@quick.test"], "much", more=("0123456789" * 7 + "\n") * 170_000)
    until(lambda: "quick" in street.relayed(), 60)
    until(lambda: "did not take the text in time" in street.waiting().get("deaf", ""), 60)
    assert not street.of["deaf"].whole
    drop_all(company)
    until(lambda: connections_of(company) == 0, 60)


def test_more_slow_servers_than_connections(companies: Make, dns: DnsServer, peers: Peers) -> None:
    """With all connections at servers that keep silent, other mail need not wait for their deadlines."""
    soon = "import postroom.relay.service as s; s.SLOW = 1.0; s._LOOK_FOR_SLOW = 0.2"
    [company] = companies(1, before=soon, relay="connections = 4")
    street = Street(company, dns, peers)
    for number in range(4):
        street.add(f"slow{number}", replies={"greeting": b""})
    street.add("quick")
    for number in range(4):
        company.submit("ann", f"x@slow{number}.test", "hello")
    until(lambda: all(street.of[f"slow{number}"].open for number in range(4)))
    company.submit("ann", "x@quick.test", "hello")
    until(lambda: "quick" in street.relayed(), 60)
    assert all(street.of[f"slow{number}"].open == 1 for number in range(4)), "they still have their time"
    drop_all(company)


def drop_all(company: Company) -> None:
    names = [entry["id"] for entry in company.json("queue", "list")["entries"]]
    if names:
        company.postroom("queue", "drop", *names, "--yes", ok=False)


# the way in


@pytest.fixture
def strict(companies: Make) -> Iterator[Company]:
    limits = "idle_smtp = 2\nidle_login = 2\ntransfer_seconds = 2\ntransfer_octets = 200"
    [company] = companies(1, limits=limits)
    yield company


class Trickler:
    """Says an octet of its text each time it is asked to; what it is told lies in `heard`."""

    def __init__(self, company: Company, text: bytes, opening: bytes = b"") -> None:
        self.sock = socket.create_connection((company.address, company.ports["port"]), 30)
        self.text, self.at, self.heard, self.gone = text, 0, b"", False
        self.sock.sendall(opening)
        self.sock.setblocking(False)

    def step(self) -> bool:
        """True once the server has closed the connection."""
        try:
            while got := self.sock.recv(4096):
                self.heard += got
            self.gone = True
        except BlockingIOError:
            self.sock.send(self.text[self.at % len(self.text) : self.at % len(self.text) + 1])
            self.at += 1
        except OSError:
            self.gone = True
        return self.gone


def test_peers_that_trickle_hold_up_nobody_and_are_sent_away(strict: Company) -> None:
    """An octet now and then is neither a command nor a message."""
    envelope = b"EHLO x.test\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<ann@a.test>\r\n"
    tricklers = [Trickler(strict, b"x") for _ in range(10)]  # a command that never ends
    tricklers += [Trickler(strict, b"Subject: x\r\n", envelope + b"DATA\r\n") for _ in range(10)]
    tricklers += [Trickler(strict, b"y", envelope + b"BDAT 100000\r\n") for _ in range(10)]
    began = time.monotonic()
    strict.submit("ben", "ann@a.test", "not held up")
    strict.one("ann", "not held up")

    def all_gone() -> bool:
        return all([one.step() for one in tricklers if not one.gone] or [True])

    until(lambda: all_gone() and all(one.gone for one in tricklers), 60)
    assert time.monotonic() - began < 45
    assert all(b"\r\n421 4.4.2 " in b"\r\n" + one.heard for one in tricklers)
    for one in tricklers:
        one.sock.close()
    until(lambda: connections_of(strict) == 0, 60)
    assert strict.subjects("ann") == ["not held up"], "nothing of a message that was not ended"
