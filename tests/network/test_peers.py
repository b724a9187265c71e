"""A company sends to servers of every kind: greylisting, refusing, lying, with TLS that breaks or proves itself."""

from __future__ import annotations

import contextlib
import datetime
import email.message
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from network_house import Company, Peers, until

from postroom.testing.authority import Authority
from postroom.testing.dnsserver import DnsServer
from postroom.testing.scripted_peer import ScriptedPeer
from postroom.testing.scripted_web import ScriptedWeb

Make = Callable[..., list[Company]]
pytestmark = pytest.mark.timeout(240)
ROOT = Authority("root", datetime.datetime.now(datetime.UTC))
PLAIN = ("PIPELINING", "8BITMIME")
TLS = ("STARTTLS", *PLAIN)


class Street:
    """Domains that are each served by a scripted peer on an address of its own."""

    def __init__(self, company: Company, dns: DnsServer, peers: Peers) -> None:
        self.company, self.dns, self.peers = company, dns, peers
        self.of: dict[str, ScriptedPeer] = {}

    def add(self, name: str, **script: Any) -> ScriptedPeer:
        """The domain name.test, whose server does as the script says."""
        domain, address = f"{name}.test", f"127.0.10.{len(self.of) + 1}"
        peer = ScriptedPeer(name=f"mx.{domain}", **{"features": PLAIN, **script})
        self.peers.start(peer, address, self.company.ports["port"])
        self.of[name] = peer
        self.dns.add({domain: {"MX": [[10, f"mx.{domain}"]]}, f"mx.{domain}": {"A": [address]}})
        return peer

    def send_to_all(self) -> None:
        for name in self.of:
            self.company.submit("ann", f"x@{name}.test", f"about {name}")

    def relayed(self) -> dict[str, str]:
        """name -> via, of what was handed over."""
        return {_name(one): str(one["via"]) for one in self.company.events("message.relayed")}

    def waiting(self) -> dict[str, str]:
        """name -> why, of what lies in the queue."""
        entries = self.company.json("queue", "list")["entries"]
        return {_name(one, "address"): str(one["last_reply"]) for entry in entries for one in entry["recipients"]}

    def bounces(self) -> dict[str, str]:
        """name -> status, of reports in the sender's mailbox."""
        found = {}
        for mail in self.company.mail("ann"):
            for part in mail.walk():
                if part.get_content_type() == "message/delivery-status":
                    fields = part.get_payload(1)  # the first recipient's
                    assert isinstance(fields, email.message.Message)
                    name = str(fields["Final-Recipient"]).partition("@")[2].removesuffix(".test")
                    found[name] = f"{fields['Action']} {fields['Status']}"
        return found


def _name(told: dict[str, Any], key: str = "recipient") -> str:
    return str(told[key]).partition("@")[2].removesuffix(".test")


@pytest.fixture
def street(companies: Make, dns: DnsServer, peers: Peers, tmp_path: Path) -> Street:
    (tmp_path / "ca.pem").write_bytes(ROOT.pem)
    [company] = companies(1, relay=f'authorities = "{tmp_path / "ca.pem"}"')
    return Street(company, dns, peers)


def test_servers_that_refuse(street: Street) -> None:
    """For now at each stage: it arrives once. For good: it comes back. It waits where nobody is let in."""
    street.add("grey", replies={"RCPT": ["450 4.2.0 greylisted"] * 2})
    for stage in ("greeting", "EHLO", "MAIL", "DATA", "end"):
        street.add(f"later-{stage.lower()}", replies={stage: ["451 4.3.0 later", "421 4.3.2 closing"]})
    hopeless = {"mail": "MAIL", "rcpt": "RCPT", "data": "DATA", "end": "end"}
    for name, stage in hopeless.items():
        street.add(f"never-{name}", replies={stage: "550 5.7.1 never"})
    street.add("unknown", replies={"RCPT": "550 5.1.1 no such user"})
    street.add("closed", replies={"greeting": "554 5.3.2 not here"})
    street.add("hangs-up", replies={"MAIL": [None, None]})
    street.add("breaks", drop_in_data=20)
    street.add("lies", lying=True, replies={"MAIL": "550 5.7.1 never"})
    street.add("nonsense", replies={"MAIL": [b"what?\r\n"]})
    street.add("says 250 to DATA".replace(" ", "-").lower(), replies={"DATA": ["250 2.0.0 sure"]})
    street.send_to_all()

    never = {f"never-{name}" for name in hopeless} | {"unknown", "lies"}
    kept = {"closed", "breaks"}
    delivered = street.of.keys() - never - kept
    until(lambda: street.company.postroom("queue", "flush") and street.relayed().keys() >= delivered, 90)
    bounces = until(lambda: found if len(found := street.bounces()) == len(never) else {}, 60)
    assert bounces == {name: "failed 5.1.1" if name == "unknown" else "failed 5.7.1" for name in never}
    waiting = street.waiting()
    assert waiting.keys() == kept
    assert "554" in waiting["closed"]
    for name in delivered:
        peer = street.of[name]
        accepted = [each for each in peer.whole if each.data]
        again = 2 if name == "later-end" else 0  # refused there after the text
        assert len(accepted) == 1 + again, name
        assert len([one for one in street.company.events("message.relayed") if _name(one) == name]) == 1
    assert not any(each.data for each in street.of["lies"].messages), "no text after a refusal"
    for peer in street.of.values():
        for each in peer.messages:
            assert b"\r\n.\r\n" not in each.data
    street.company.postroom(
        "queue", "drop", *[entry["id"] for entry in street.company.json("queue", "list")["entries"]], "--yes", ok=False
    )


def test_tls_that_is_offered_demanded_and_broken(street: Street, dns: DnsServer, tmp_path: Path) -> None:
    """Opportunistic TLS falls back; DANE and MTA-STS do not; DNS that is tampered with stops the mail."""
    port = street.company.ports["port"]
    dns.signed = {"dane.test", "wrong.test", "bare.test", "bogus-tlsa.test"}

    def server(name: str, folder: str) -> Any:
        (tmp_path / folder).mkdir()
        return ROOT.issue(name).server_context(tmp_path / folder)

    street.add("any", features=TLS, tls=server("elsewhere.example", "any"))
    street.add("breaks", features=TLS, tls=None)  # it hangs up in the handshake
    leaf = ROOT.issue("mx.dane.test")
    (tmp_path / "dane").mkdir()
    street.add("dane", features=TLS, tls=leaf.server_context(tmp_path / "dane"))
    street.add("wrong", features=TLS, tls=server("mx.wrong.test", "wrong"))
    street.add("bare")
    for name, record in (("dane", leaf.tlsa(3)), ("wrong", leaf.tlsa(3)), ("bare", leaf.tlsa(3))):
        dns.add({f"_{port}._tcp.mx.{name}.test": {"TLSA": [[*record[:3], record[3].hex()]]}})
    street.add("bogus", features=TLS, tls=server("mx.bogus.test", "bogus"))
    dns.bogus = {"bogus.test"}
    street.add("bogus-tlsa", features=TLS, tls=server("mx.bogus-tlsa.test", "bogus-tlsa"))
    dns.fault(f"_{port}._tcp.mx.bogus-tlsa.test", "TLSA", "SERVFAIL")
    with_sts = sts(street, dns, tmp_path, server)
    street.send_to_all()

    good = {"any", "breaks", "dane"} | ({"sts"} if with_sts else set())
    until(lambda: street.relayed().keys() >= good, 60)
    until(lambda: all(street.waiting().values()) and street.waiting().keys() == street.of.keys() - good, 60)
    via, waiting = street.relayed(), street.waiting()
    assert via.keys() == good
    assert "TLS" in via["any"]
    assert via["breaks"].endswith("in the clear")
    assert via["dane"].endswith("DANE")
    assert "DANE" in waiting["wrong"]
    assert "DANE" in waiting["bare"]
    assert "bogus.test" in waiting["bogus"]
    assert "DANE" in waiting["bogus-tlsa"] or "TLSA" in waiting["bogus-tlsa"]
    if with_sts:
        assert via["sts"].endswith("MTA-STS")
        assert "MTA-STS" in waiting["sts-name"]
        assert "MTA-STS" in waiting["sts-bare"]
    for name in waiting:
        assert not any(each.data for each in street.of[name].messages), name


def sts(street: Street, dns: DnsServer, folder: Path, server: Callable[[str, str], Any]) -> bool:
    """Three domains with a policy: one that fits, a certificate for another name, no TLS at all. False where port 443
    is not ours to take.
    """
    domains = ("sts", "sts-name", "sts-bare")
    names = [f"mta-sts.{name}.test" for name in domains]
    (folder / "web").mkdir()
    web = ScriptedWeb(ROOT.issue(names[0], *names[1:]).server_context(folder / "web"))
    web.page(
        b"version: STSv1\r\nmode: enforce\r\nmax_age: 86400\r\n"
        + b"".join(b"mx: *.%b.test\r\n" % name.encode() for name in domains)
    )
    with contextlib.suppress(OSError):
        street.peers.start(web, "127.0.11.1", 443)
    if not web.port:
        return False
    street.add("sts", features=TLS, tls=server("mx.sts.test", "sts"))
    street.add("sts-name", features=TLS, tls=server("mx.elsewhere.test", "sts-name"))
    street.add("sts-bare")
    for name in domains:
        dns.add({f"_mta-sts.{name}.test": {"TXT": ["v=STSv1; id=1"]}, f"mta-sts.{name}.test": {"A": ["127.0.11.1"]}})
    return True
