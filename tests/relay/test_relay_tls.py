"""TLS to servers found by MX: taken when offered, done without only while nothing demands it."""

from __future__ import annotations

import datetime
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from relay_house import House, Zone, until

from postroom.config import OutgoingTls, Route
from postroom.net.tls import write_self_signed
from postroom.queue.outcome import Kind
from postroom.relay.tls_policy import OpportunisticTls, TlsLevel, TlsRequirement, TlsResult
from postroom.testing.scripted_peer import ScriptedPeer

ZONE = {"far.test": {"MX": [(10, "localhost")]}, "localhost": {"A": ["127.0.0.1"]}}


class Security(OpportunisticTls):
    """Demands what the test says, and remembers what it was told."""

    def __init__(self, level: TlsLevel = TlsLevel.OPPORTUNISTIC, authorities: str | None = None, **more) -> None:
        super().__init__(authorities)
        self.level = level
        self.more = more
        self.results: list[TlsResult] = []

    async def requirement(self, domain: str, host: str, *, secure: bool, port: int = 25) -> TlsRequirement:
        return TlsRequirement(level=self.level, reason="a policy", vouched=secure, **self.more)

    def told(self, result: TlsResult) -> None:
        self.results.append(result)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tls")
    pair = (folder / "cert.pem", folder / "key.pem")
    write_self_signed(*pair, ["localhost"], 2, datetime.datetime.now(datetime.UTC))
    return pair


@pytest.fixture
async def peer(certificate: tuple[Path, Path]) -> AsyncIterator[ScriptedPeer]:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(*certificate)
    peer = ScriptedPeer(tls=tls, features=("STARTTLS", "PIPELINING"))
    await peer.start()
    yield peer
    await peer.stop()


async def test_tls_is_taken_when_offered_whatever_the_certificate(peer: ScriptedPeer) -> None:
    security = Security()
    house = House(peer, Zone(ZONE), security=security)
    outcome = await house.outcome()
    assert outcome.kind is Kind.RELAYED
    assert outcome.via == f"[127.0.0.1]:{peer.port} TLSv1.3"
    assert peer.verbs()[:4] == ["EHLO", "STARTTLS", "EHLO", "MAIL"]
    assert [(each.kind, each.version) for each in security.results] == [("", "TLSv1.3")]
    await house.relay.stop()


@pytest.mark.parametrize("trouble", ["handshake", "not offered", "refused"])
async def test_without_a_policy_mail_goes_in_the_clear_when_tls_fails(peer: ScriptedPeer, trouble: str) -> None:
    _break(peer, trouble)
    security = Security()
    house = House(peer, Zone(ZONE), security=security)
    outcome = await house.outcome()
    assert outcome.kind is Kind.RELAYED
    assert outcome.via.endswith("in the clear")
    kinds = {"handshake": ["fallback"]}.get(trouble, ["starttls-not-supported"])
    assert [each.kind for each in security.results] == kinds
    await house.relay.stop()


def _break(peer: ScriptedPeer, trouble: str) -> None:
    if trouble == "handshake":
        peer.tls = None  # it says 220 and hangs up
    elif trouble == "not offered":
        peer.features = ()
    else:
        peer.replies = {"STARTTLS": "454 4.7.0 no TLS today"}


@pytest.mark.parametrize("level", [TlsLevel.ENCRYPT, TlsLevel.VERIFY])
@pytest.mark.parametrize("trouble", ["handshake", "not offered", "refused"])
async def test_with_a_policy_mail_waits_when_tls_fails(peer: ScriptedPeer, level: TlsLevel, trouble: str) -> None:
    _break(peer, trouble)
    security = Security(level)
    outcome = await House(peer, Zone(ZONE), security=security).outcome()
    assert outcome.kind is Kind.DEFERRED
    assert outcome.status.startswith("4.7.")
    assert peer.messages == []
    expected = "handshake" if trouble == "handshake" else "starttls-not-supported"
    assert [each.kind for each in security.results] == [expected]


async def test_a_certificate_that_a_policy_does_not_accept(peer: ScriptedPeer, certificate) -> None:
    outcome = await House(peer, Zone(ZONE), security=Security(TlsLevel.VERIFY)).outcome()
    assert (outcome.kind, outcome.status) == (Kind.DEFERRED, "4.7.5")
    assert outcome.reply.startswith("The TLS handshake with localhost [127.0.0.1] failed: ")
    assert "certificate verify failed" in outcome.reply
    trusting = House(peer, Zone(ZONE), security=Security(TlsLevel.VERIFY, str(certificate[0])))
    assert (await trusting.outcome()).kind is Kind.RELAYED
    await trusting.relay.stop()


async def test_a_host_that_a_policy_excludes_is_not_used(peer: ScriptedPeer) -> None:
    security = Security(TlsLevel.VERIFY, refused="the MTA-STS policy does not name it")
    outcome = await House(peer, Zone(ZONE), security=security).outcome()
    assert (outcome.kind, outcome.status) == (Kind.DEFERRED, "4.7.5")
    assert outcome.reply == "localhost must not be used: the MTA-STS policy does not name it"
    assert peer.lines == []


async def test_a_connection_with_less_is_not_used_where_more_is_demanded(peer: ScriptedPeer, certificate) -> None:
    security = Security(authorities=str(certificate[0]))
    data = {**ZONE, "strict.test": {"MX": [(10, "localhost")]}}
    house = House(peer, Zone(data), security=security)
    await house.outcome("b@far.test")
    security.level = TlsLevel.VERIFY
    await house.outcome("b@strict.test")
    assert len(peer.lines) == 2
    await house.relay.stop()


async def test_a_route_demands_tls_of_a_domain_found_by_mx(peer: ScriptedPeer, certificate) -> None:
    route = Route(domain="far.test", tls=OutgoingTls.STARTTLS, port=peer.port)
    house = House(None, Zone(ZONE), {"route": (route,)})
    assert (await house.outcome()).status == "4.7.5"
    house = House(None, Zone(ZONE), {"route": (route,)}, authorities=str(certificate[0]))
    assert (await house.outcome()).kind is Kind.RELAYED
    await house.relay.stop()


async def test_what_came_before_tls_is_forgotten(peer: ScriptedPeer) -> None:
    peer.secure_features = ("PIPELINING", "SIZE 10")
    house = House(peer, Zone(ZONE))
    assert (await house.outcome()).status == "5.3.4"
    await until(lambda: not house.relay.busy)
    await house.relay.stop()


# REQUIRETLS and TLS-Required


async def test_mail_that_demands_tls_goes_where_it_is_promised(peer: ScriptedPeer, certificate) -> None:
    peer.secure_features = ("REQUIRETLS", "PIPELINING")
    where = Zone({**ZONE, "far.test": {**ZONE["far.test"], "secure": True}})
    house = House(peer, where, authorities=str(certificate[0]))
    assert (await house.outcome(tls="required")).kind is Kind.RELAYED
    assert (await house.outcome()).kind is Kind.RELAYED
    assert [each.mail for each in peer.messages] == ["<a@here.test> REQUIRETLS", "<a@here.test>"]
    await house.relay.stop()


@pytest.mark.parametrize(
    ("trouble", "secure", "trusted", "status"),
    [
        ("no promise", True, True, "5.7.30"),
        ("not offered", True, True, "5.7.10"),
        ("handshake", True, True, "5.7.10"),
        ("", True, False, "5.7.10"),
        ("", False, True, "5.7.10"),
    ],
)
async def test_mail_that_demands_tls_is_sent_back_otherwise(
    peer: ScriptedPeer, certificate, trouble: str, secure: bool, trusted: bool, status: str
) -> None:
    peer.secure_features = () if trouble == "no promise" else ("REQUIRETLS",)
    if trouble in ("not offered", "handshake"):
        _break(peer, trouble)
    where = Zone({**ZONE, "far.test": {**ZONE["far.test"], "secure": secure}})
    house = House(peer, where, authorities=str(certificate[0]) if trusted else None)
    outcome = await house.outcome(tls="required")
    assert (outcome.kind, outcome.status) == (Kind.FAILED, status), outcome.reply
    assert peer.messages == []
    await house.relay.stop()


async def test_mail_that_demands_tls_waits_for_a_server_that_is_down(certificate) -> None:
    where = Zone({**ZONE, "far.test": {**ZONE["far.test"], "secure": True}})
    outcome = await House(None, where, port=1).outcome(tls="required")
    assert (outcome.kind, outcome.status) == (Kind.DEFERRED, "4.4.1")


async def test_a_report_about_mail_that_demanded_tls_goes_as_it_can(peer: ScriptedPeer) -> None:
    peer.features = ()
    house = House(peer, Zone(ZONE))
    assert (await house.outcome(sender="", tls="required")).kind is Kind.RELAYED
    assert peer.messages[0].mail == "<>"


async def test_mail_that_needs_no_tls_ignores_the_domains_policy(peer: ScriptedPeer) -> None:
    security = Security(TlsLevel.VERIFY)
    house = House(peer, Zone(ZONE), security=security)
    outcome = await house.outcome(tls="optional")
    assert outcome.kind is Kind.RELAYED
    assert "TLSv1.3" in outcome.via
    peer.features = ()
    assert (await House(peer, Zone(ZONE), security=security).outcome(tls="optional")).kind is Kind.RELAYED
    assert (await House(peer, Zone(ZONE), security=security).outcome()).kind is Kind.DEFERRED
