"""A mailing list that works as most do (a mark in the subject, a footer, its own envelope): posts come back."""

from __future__ import annotations

import smtplib
from collections.abc import Callable

import pytest
from network_house import Company, Peers, until

from postroom.testing.dnsserver import DnsServer
from postroom.testing.scripted_peer import ScriptedPeer

Make = Callable[..., list[Company]]
pytestmark = pytest.mark.timeout(180)
HOST = "127.0.9.20"
SHAPE = b"List-Id: Talk <talk.list.test>\r\nList-Post: <mailto:talk@list.test>\r\nPrecedence: list\r\n"


def spread(post: bytes, company: Company, *to: str) -> None:
    """What the list sends to its members at a company."""
    post = post.replace(b"\r\nSubject: ", b"\r\nSubject: [talk] ") + b"-- \r\ntalk mailing list\r\n"
    with smtplib.SMTP(company.address, company.ports["port"], "mx.list.test", 30, (HOST, 0)) as client:
        client.sendmail("talk-bounces@list.test", list(to), SHAPE + post)


def test_posts_come_back(companies: Make, dns: DnsServer, peers: Peers) -> None:
    a, b = companies(2)
    dns.add({
        "list.test": {"MX": [[10, "mx.list.test"]], "TXT": [f"v=spf1 ip4:{HOST} -all"]},
        "mx.list.test": {"A": [HOST]},
        "20.9.0.127.in-addr.arpa": {"PTR": ["mx.list.test"]},
    })  # fmt: skip
    peer = ScriptedPeer()
    peers.start(peer, HOST, a.ports["port"])
    a.submit("ann", "talk@list.test", "weather")
    until(lambda: len(peer.whole) == 1)
    first = peer.whole[0].data

    # to the author, and to a colleague who has never posted
    spread(first, a, "ann@a.test", "ben@a.test")
    for person in ("ann", "ben"):
        mail = a.one(person, "[talk] weather")
        assert "dkim=fail" in str(mail["Authentication-Results"])
        assert "spf=pass" in str(mail["Authentication-Results"])
        assert "talk@list.test" in str(mail["X-Postroom-Warning"]), "ben has never written there"
    spread(first.replace(b"weather", b"climate"), a, "ann@a.test")
    assert "talk@list.test" in str(a.one("ann", "[talk] climate")["X-Postroom-Warning"]), "not what she has signed"

    # to another company: its policy is p=reject, and ben has not written there yet
    spread(first, b, "ben@b.test")
    assert b.one("ben", "[talk] weather", "Junk")
    b.submit("ben", "talk@list.test", "answer")
    until(lambda: len(peer.whole) == 2)
    spread(first, b, "ben@b.test")
    assert not b.one("ben", "[talk] weather")["X-Postroom-Warning"]
    answer = peer.whole[1].data
    spread(answer, b, "ben@b.test")
    spread(answer, a, "ann@a.test")
    assert not b.one("ben", "[talk] answer")["X-Postroom-Warning"]
    assert not a.one("ann", "[talk] answer")["X-Postroom-Warning"]
    told = a.events("mail.checked")
    assert all(one["verdict"] == "accept" and "mailing list talk@list.test" in one["reason"] for one in told), told

    # the same shape from elsewhere is refused
    with (
        smtplib.SMTP(a.address, a.ports["port"], "evil.test", 30, ("127.0.9.9", 0)) as client,
        pytest.raises(smtplib.SMTPDataError, match="550"),
    ):
        client.sendmail("talk-bounces@list.test", ["ann@a.test"], SHAPE + first + b"Pay!\r\n")
