"""DANE: servers that prove themselves by TLSA records, those that do not, and DNS that is tampered with."""

from __future__ import annotations

import datetime
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from relay_house import House

from postroom.net.resolver import Resolver
from postroom.queue.outcome import Kind, Outcome
from postroom.relay import dane
from postroom.relay.protection import Protection
from postroom.relay.tls_policy import TlsResult
from postroom.testing.authority import Authority, Issued
from postroom.testing.dnsserver import DnsServer
from postroom.testing.mailflow import StandingClock
from postroom.testing.scripted_peer import ScriptedPeer
from postroom.values.dns import DnsUnavailable

CLOCK = StandingClock()
NOW = datetime.datetime.fromtimestamp(CLOCK.now(), datetime.UTC)
ROOT = Authority("root", NOW)
LEAF = ROOT.issue("mx.far.test")
HOST = {"A": ["127.0.0.1"]}


class Place:
    """A domain whose server listens on loopback, the DNS of it, and a relay that asks for it."""

    def __init__(self, peer: ScriptedPeer, server: DnsServer) -> None:
        self.peer = peer
        self.dns = server
        self.results: list[TlsResult] = []
        server.signed = {"far.test"}
        server.add({"far.test": {"MX": [[10, "mx.far.test"]]}, "mx.far.test": HOST})

    def publish(self, *records: tuple[int, int, int, bytes], at: str = "mx.far.test", **more: Any) -> None:
        values = [[*record[:3], record[3].hex()] for record in records]
        self.dns.add({f"_{self.peer.port}._tcp.{at}": {"TLSA": values, **more}})

    async def send(self, **options: Any) -> Outcome:
        resolver = Resolver([self.dns.address], CLOCK)
        security = Protection(resolver, CLOCK, told=self.results.append)
        house = House(self.peer, resolver, security=security, **options)
        try:
            return await house.outcome()
        finally:
            await house.relay.stop()
            resolver.close()

    def show(self, issued: Issued, folder: Path) -> None:
        self.peer.tls = issued.server_context(folder)

    def failures(self) -> list[str]:
        return [each.failure for each in self.results]


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    peer = ScriptedPeer(tls=LEAF.server_context(tmp_path), features=("STARTTLS", "PIPELINING"))
    await peer.start()
    async with DnsServer() as server:
        yield Place(peer, server)
    await peer.stop()


def waits(place: Place, outcome: Outcome, status: str, *words: str) -> None:
    assert (outcome.kind, outcome.status) == (Kind.DEFERRED, status), outcome.reply
    for each in words:
        assert each in outcome.reply
    assert place.peer.messages == []


@pytest.mark.parametrize("record", [LEAF.tlsa(3), LEAF.tlsa(3, 0, 2), ROOT.issued.tlsa(2, 0, 0)])
async def test_mail_goes_to_a_server_that_fits_its_records(place: Place, record: Any) -> None:
    place.publish(record)
    outcome = await place.send()
    assert outcome.kind is Kind.RELAYED, outcome.reply
    assert outcome.via == f"[127.0.0.1]:{place.peer.port} TLSv1.3, DANE"
    [result] = place.results
    assert (result.failure, result.version, result.source) == ("", "TLSv1.3", "127.0.0.1")
    assert (result.requirement.applied.kind, result.requirement.applied.domain) == ("tlsa", "mx.far.test")
    assert result.requirement.applied.texts == (f"{record[0]} {record[1]} {record[2]} {record[3].hex()}",)


async def test_an_authority_that_is_sent_along(place: Place, tmp_path: Path) -> None:
    place.show(Issued(LEAF.certificate, LEAF.key, (ROOT.issued.certificate,)), tmp_path)
    place.publish(ROOT.issued.tlsa(2))
    assert (await place.send()).kind is Kind.RELAYED


async def test_one_record_of_several_is_enough(place: Place) -> None:
    place.publish(ROOT.issue("next.test").tlsa(3), LEAF.tlsa(3))
    assert (await place.send()).kind is Kind.RELAYED


async def test_a_certificate_that_does_not_fit(place: Place, tmp_path: Path) -> None:
    place.publish(LEAF.tlsa(3))
    place.show(ROOT.issue("mx.far.test"), tmp_path)
    words = "failed: the server's certificate fits none of the TLSA records; far.test demands TLS (DANE)"
    waits(place, await place.send(), "4.7.5", words)
    assert place.failures() == ["tlsa-invalid"]


@pytest.mark.parametrize(
    ("name", "days", "failure", "words"),
    [
        ("mx.far.test", (-30, -1), "certificate-expired", "has expired"),
        ("mx.other.test", (-1, 30), "certificate-host-mismatch", "is for mx.other.test, not for mx.far.test"),
    ],
)
async def test_below_an_authority_names_and_dates_count(
    place: Place, tmp_path: Path, name: str, days: tuple[int, int], failure: str, words: str
) -> None:
    place.publish(ROOT.issued.tlsa(2, 0, 0))
    place.show(ROOT.issue(name, days=days), tmp_path)
    waits(place, await place.send(), "4.7.5", words)
    assert place.failures() == [failure]


@pytest.mark.parametrize("name", ["far.test", "*.far.test"])
async def test_the_domains_own_name_will_do_too(place: Place, tmp_path: Path, name: str) -> None:
    place.publish(ROOT.issued.tlsa(2, 0, 0))
    place.show(ROOT.issue(name), tmp_path)
    assert (await place.send()).kind is Kind.RELAYED


async def test_a_server_that_hides_tls(place: Place) -> None:
    place.publish(LEAF.tlsa(3))
    place.peer.features = ()
    words = "mx.far.test offers no TLS, but far.test demands it (DANE): not sent in the clear"
    waits(place, await place.send(), "4.7.4", words)
    assert place.failures() == ["starttls-not-supported"]


async def test_a_handshake_that_breaks(place: Place) -> None:
    place.publish(LEAF.tlsa(3))
    place.peer.tls = None
    waits(place, await place.send(), "4.7.5", "far.test demands TLS (DANE)")
    assert place.failures() == ["validation-failure"]


async def test_unusable_records_still_demand_tls(place: Place, tmp_path: Path) -> None:
    place.publish((1, 1, 1, bytes(32)), (3, 1, 7, b"x"))
    place.show(Authority("nobody", NOW).issue("elsewhere.test"), tmp_path)
    assert (await place.send()).kind is Kind.RELAYED
    place.peer.features = ()
    place.peer.messages.clear()
    waits(place, await place.send(), "4.7.4", "demands it (DANE)")
    assert place.results[0].requirement.troubles[0][0] == "tlsa-invalid"


@pytest.mark.parametrize("how", ["SERVFAIL", "bogus"])
async def test_records_that_cannot_be_looked_up(place: Place, how: str) -> None:
    place.publish(LEAF.tlsa(3))
    name = f"_{place.peer.port}._tcp.mx.far.test"
    if how == "bogus":
        place.dns.bogus = {name}
    else:
        place.dns.fault(name, "TLSA", how)
    waits(place, await place.send(), "4.7.5", "mx.far.test must not be used: its DANE records cannot be looked up")
    assert place.failures() == ["dnssec-invalid"]
    assert place.peer.lines == []


async def test_another_server_of_the_domain_is_tried(place: Place) -> None:
    place.publish(LEAF.tlsa(3))
    place.dns.add({"far.test": {"MX": [[5, "broken.far.test"], [10, "mx.far.test"]]}, "broken.far.test": HOST})
    place.dns.fault(f"_{place.peer.port}._tcp.broken.far.test", "TLSA", "SERVFAIL")
    assert (await place.send()).kind is Kind.RELAYED
    assert place.failures() == ["dnssec-invalid", ""]


async def test_without_dnssec_records_mean_nothing(place: Place, tmp_path: Path) -> None:
    place.dns.signed = set()
    place.publish(ROOT.issue("other.test").tlsa(3))
    place.peer.features = ()
    outcome = await place.send()
    assert (outcome.kind, outcome.via) == (Kind.RELAYED, f"[127.0.0.1]:{place.peer.port} in the clear")
    assert place.dns.count(f"_{place.peer.port}._tcp.mx.far.test") == 0


async def test_a_secure_server_named_by_an_insecure_domain(place: Place) -> None:
    place.dns.add({"plain.test": {"MX": [[10, "mx.far.test"]]}})
    place.publish(ROOT.issue("other.test").tlsa(3))
    resolver = Resolver([place.dns.address], CLOCK)
    found = await Protection(resolver, CLOCK).requirement("plain.test", "mx.far.test", secure=False)
    assert found.level == 1 and not found.released
    resolver.close()


async def test_a_domain_without_mx_records_is_its_own_server(place: Place) -> None:
    place.dns.add({"far.test": HOST})
    place.publish(ROOT.issue("other.test").tlsa(3), at="far.test")
    waits(place, await place.send(), "4.7.5", "fits none of the TLSA records")


async def test_records_that_are_an_alias(place: Place) -> None:
    place.dns.add(
        {
            f"_{place.peer.port}._tcp.mx.far.test": {"CNAME": ["_dane.far.test"]},
            "_dane.far.test": {"TLSA": [[*LEAF.tlsa(3)[:3], LEAF.tlsa(3)[3].hex()]]},
        }
    )
    outcome = await place.send()
    assert outcome.via.endswith("DANE")
    place.dns.add({"_dane.far.test": {"TLSA": [[3, 1, 1, bytes(32).hex()]]}})
    place.peer.messages.clear()
    waits(place, await place.send(), "4.7.5", "fits none")


# names that are aliases (RFC 7672 2.2.2): asked of the function itself

_RECORD = [[3, 1, 1, "00" * 32]]


@pytest.mark.parametrize(
    ("zone", "signed", "expected"),
    [
        pytest.param(
            {"alias.far.test": {"CNAME": ["real.far.test"]}, "_25._tcp.real.far.test": {"TLSA": _RECORD}},
            {"far.test"},
            "real.far.test",
            id="at the end of a secure alias",
        ),
        pytest.param(
            {"alias.far.test": {"CNAME": ["real.far.test"]}, "_25._tcp.alias.far.test": {"TLSA": _RECORD}},
            {"far.test"},
            "alias.far.test",
            id="at the beginning of a secure alias",
        ),
        pytest.param(
            {
                "alias.far.test": {"CNAME": ["real.far.test"]},
                "_25._tcp.alias.far.test": {"TLSA": _RECORD},
                "_25._tcp.real.far.test": {"TLSA": _RECORD},
            },
            {"far.test"},
            "real.far.test",
            id="at both: the end counts",
        ),
        pytest.param(
            {
                "alias.far.test": {"CNAME": ["real.plain.test"]},
                "real.plain.test": HOST,
                "_25._tcp.alias.far.test": {"TLSA": _RECORD},
                "_25._tcp.real.plain.test": {"TLSA": _RECORD},
            },
            {"far.test"},
            "alias.far.test",
            id="a secure alias to an insecure name",
        ),
        pytest.param(
            {
                "alias.far.test": {"CNAME": ["real.signed.test"]},
                "real.signed.test": HOST,
                "_25._tcp.alias.far.test": {"TLSA": _RECORD},
                "_25._tcp.real.signed.test": {"TLSA": _RECORD},
            },
            {"signed.test"},
            None,
            id="an insecure alias to a secure name",
        ),
        pytest.param({"alias.far.test": HOST}, {"far.test"}, None, id="no records"),
        pytest.param(
            {"alias.far.test": HOST, "_25._tcp.alias.far.test": {"TLSA": _RECORD}}, set(), None, id="not secure"
        ),
        pytest.param(
            {
                "alias.far.test": HOST,
                "_25._tcp.alias.far.test": {"CNAME": ["t.plain.test"]},
                "t.plain.test": {"TLSA": _RECORD},
            },
            {"far.test"},
            None,
            id="records that are an alias into an insecure zone",
        ),
    ],
)  # fmt: skip
async def test_where_records_stand(zone: dict[str, Any], signed: set[str], expected: str | None) -> None:
    async with DnsServer({"real.far.test": HOST, **zone}, signed=signed) as server:
        resolver = Resolver([server.address], CLOCK)
        found = await dane.find(resolver, "alias.far.test", 25)
        assert (found.base if found else None) == expected
        resolver.close()


@pytest.mark.parametrize("broken", [("mx.far.test", "*"), ("_25._tcp.mx.far.test", "TLSA"), ("mx.far.test", "CNAME")])
async def test_what_cannot_be_looked_up_is_not_taken_for_nothing(broken: tuple[str, str]) -> None:
    async with DnsServer({"mx.far.test": HOST}, signed={"far.test"}) as server:
        server.fault(*broken, "SERVFAIL")
        resolver = Resolver([server.address], CLOCK)
        with pytest.raises(DnsUnavailable):
            await dane.find(resolver, "mx.far.test", 25)
        resolver.close()
