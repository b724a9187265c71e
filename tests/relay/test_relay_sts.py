"""MTA-STS: policies found, kept and obeyed, and what somebody on the way can do about it."""

from __future__ import annotations

import datetime
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from relay_house import House

from postroom.net.resolver import Resolver
from postroom.queue.outcome import Kind, Outcome
from postroom.relay.mta_sts import MtaSts, StsMeans
from postroom.relay.protection import Protection, StrictTls
from postroom.relay.tls_policy import TlsResult
from postroom.store.memory import MemoryStore
from postroom.testing.authority import Authority
from postroom.testing.dnsserver import DnsServer
from postroom.testing.mailflow import Events, StandingClock
from postroom.testing.scripted_peer import ScriptedPeer
from postroom.testing.scripted_web import ScriptedWeb
from postroom.values.dns import DnsUnavailable, NoSuchName

NOW = datetime.datetime.now(datetime.UTC)  # OpenSSL looks at the clock of the system
ROOT = Authority("root", NOW)
STRANGER = Authority("stranger", NOW)
WEEK = 7 * 86400


def policy(mode: str = "enforce", mx: str = "mx.far.test", max_age: int = WEEK) -> bytes:
    return f"version: STSv1\nmode: {mode}\nmx: {mx}\nmax_age: {max_age}\n".encode()


class Place:
    """A domain with a mail server, a policy host and DNS; and a sender with a store that outlives its relay."""

    def __init__(self, folder: Path, peer: ScriptedPeer, server: DnsServer, web: ScriptedWeb) -> None:
        self.folder = folder
        self.peer = peer
        self.dns = server
        self.web = web
        self.clock = StandingClock(NOW.timestamp())
        self.store = MemoryStore()
        self.events = Events()
        self.results: list[TlsResult] = []
        self.lost = False  # the policy host's name
        server.add({"far.test": {"MX": [[10, "mx.far.test"]]}, "mx.far.test": {"A": ["127.0.0.1"]}})
        self.announce("1")
        web.page(policy())

    def announce(self, number: str) -> None:
        self.dns.add({"_mta-sts.far.test": {"TXT": [f"v=STSv1; id={number};"]}})

    async def _hosts(self, host: str) -> tuple[str, ...]:
        assert host == "mta-sts.far.test"
        if self.lost:
            raise NoSuchName("no such name")
        return ("127.0.0.1",)

    def policies(self, resolver: Resolver) -> MtaSts:
        means = StsMeans(
            dns=resolver,
            hosts=self._hosts,
            store=self.store.transport,
            clock=self.clock,
            event=self.events,
            tls=StrictTls(str(self.folder / "ca.pem")),
            port=self.web.port,
        )
        return MtaSts(means)

    async def send(self, times: int = 1, **entry: Any) -> Outcome:
        """Mail from a relay that has just started."""
        resolver = Resolver([self.dns.address], self.clock)
        policies = self.policies(resolver)
        authorities = str(self.folder / "ca.pem")
        security = Protection(resolver, self.clock, policies, authorities=authorities, told=self.results.append)
        house = House(self.peer, resolver, security=security)
        try:
            for _ in range(times):
                outcome = await house.outcome(**entry)
            await policies.settled()
            return outcome
        finally:
            await house.relay.stop()
            resolver.close()

    def failures(self) -> list[str]:
        return [each.failure for each in self.results]

    def show(self, *names: str, by: Authority = ROOT, **wish: Any) -> None:
        self.peer.tls = by.issue(*(names or ("mx.far.test",)), **wish).server_context(self.folder)


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    (tmp_path / "ca.pem").write_bytes(ROOT.pem)
    peer = ScriptedPeer(features=("STARTTLS", "PIPELINING"))
    web = ScriptedWeb(ROOT.issue("mta-sts.far.test").server_context(tmp_path, "web"))
    await peer.start()
    await web.start()
    async with DnsServer(negative_ttl=0, ttl=0) as server:
        place = Place(tmp_path, peer, server, web)
        place.show()
        yield place
    await peer.stop()
    await place.web.stop()


def waits(place: Place, outcome: Outcome, status: str, *words: str) -> None:
    assert (outcome.kind, outcome.status) == (Kind.DEFERRED, status), outcome.reply
    for each in words:
        assert each in outcome.reply
    assert not place.peer.messages


async def test_mail_goes_to_a_server_that_the_policy_names(place: Place) -> None:
    outcome = await place.send()
    assert outcome.via == f"[127.0.0.1]:{place.peer.port} TLSv1.3, MTA-STS"
    [request] = place.web.asked
    assert request.startswith(b"GET /.well-known/mta-sts.txt HTTP/1.1\r\nHost: mta-sts.far.test")
    [result] = place.results
    applied = result.requirement.applied
    assert (result.failure, applied.kind, applied.hosts) == ("", "sts", ("mx.far.test",))
    assert applied.texts == ("version: STSv1", "mode: enforce", "mx: mx.far.test", f"max_age: {WEEK}")
    assert place.events.names() == ["sts.fetched"]


async def test_a_policy_is_fetched_once(place: Place) -> None:
    await place.send(times=3)
    await place.send()
    assert len(place.web.asked) == 1


async def test_a_server_that_hides_tls(place: Place) -> None:
    place.peer.features = ()
    words = "mx.far.test offers no TLS, but far.test demands it (MTA-STS): not sent in the clear"
    waits(place, await place.send(), "4.7.4", words)
    assert place.failures() == ["starttls-not-supported"]


@pytest.mark.parametrize(
    ("names", "by", "days", "failure"),
    [
        (["mx.other.test"], ROOT, (-1, 30), "certificate-host-mismatch"),
        (["mx.far.test"], ROOT, (-30, -1), "certificate-expired"),
        (["mx.far.test"], STRANGER, (-1, 30), "certificate-not-trusted"),
    ],
)
async def test_certificates_that_do_not_prove_it(
    place: Place, names: list[str], by: Authority, days: tuple[int, int], failure: str
) -> None:
    place.show(*names, by=by, days=days)
    waits(place, await place.send(), "4.7.5", "certificate verify failed: ", "; far.test demands TLS (MTA-STS)")
    assert place.failures() == [failure]


async def test_the_common_name_alone_proves_nothing(place: Place) -> None:
    place.peer.tls = ROOT.issue(common_name="mx.far.test").server_context(place.folder)
    waits(place, await place.send(), "4.7.5")


async def test_a_server_that_the_policy_does_not_name(place: Place) -> None:
    place.web.page(policy(mx="*.mx.far.test"))
    waits(place, await place.send(), "4.7.5", "must not be used: the MTA-STS policy of far.test does not name it")
    assert place.failures() == ["validation-failure"]
    assert place.peer.lines == []


async def test_a_server_under_a_wildcard(place: Place) -> None:
    place.web.page(policy(mx="*.far.test"))
    assert (await place.send()).kind is Kind.RELAYED


@pytest.mark.parametrize("trouble", ["no TLS", "certificate", "name"])
async def test_a_policy_that_is_being_tested_is_only_reported(place: Place, trouble: str) -> None:
    place.web.page(policy("testing", "other.test" if trouble == "name" else "mx.far.test"))
    if trouble == "no TLS":
        place.peer.features = ()
    elif trouble == "certificate":
        place.show(by=STRANGER)
    outcome = await place.send()
    assert outcome.kind is Kind.RELAYED
    assert "MTA-STS" not in outcome.via
    expected = {"no TLS": "starttls-not-supported", "certificate": "certificate-not-trusted"}
    assert place.failures() == [expected.get(trouble, "validation-failure")]


async def test_a_policy_that_demands_nothing(place: Place) -> None:
    place.web.page(policy("none"))
    place.peer.features = ()
    assert (await place.send()).kind is Kind.RELAYED


# somebody on the way


def _hide_record(place: Place) -> None:
    place.dns.add({"_mta-sts.far.test": {"TXT": []}})


def _hide_everything(place: Place) -> None:
    del place.dns.zone["_mta-sts.far.test"]
    place.lost = True


def _break_dns(place: Place) -> None:
    place.dns.fault("_mta-sts.far.test", "TXT", "SERVFAIL")


def _announce_another_and_break_the_web(place: Place) -> None:
    place.announce("2")
    place.web.page(b"", status="404 Not Found")


def _announce_another_of_their_own(place: Place) -> None:
    place.announce("2")
    place.lost = True


@pytest.mark.parametrize(
    "attack",
    [_hide_record, _hide_everything, _break_dns, _announce_another_and_break_the_web, _announce_another_of_their_own],
)
async def test_a_policy_rules_until_it_ends_whatever_happens(place: Place, attack: Any) -> None:
    assert (await place.send()).kind is Kind.RELAYED
    place.peer.messages.clear()
    place.peer.features = ()
    attack(place)
    waits(place, await place.send(), "4.7.4", "MTA-STS")
    place.clock.time += WEEK - 10
    waits(place, await place.send(), "4.7.4", "MTA-STS")
    place.clock.time += 20
    assert (await place.send()).kind is Kind.RELAYED


async def test_a_newer_policy_takes_the_place_of_the_older(place: Place) -> None:
    await place.send()
    place.announce("2")
    place.web.page(policy("none"))
    place.peer.features = ()
    assert (await place.send()).kind is Kind.RELAYED
    assert place.store.transport.sts("far.test").mode == "none"


# policies that cannot be had


@pytest.mark.parametrize(
    ("break_it", "kind"),
    [
        (lambda web: web.page(policy(), status="301 Moved"), "sts-policy-fetch-error"),
        (lambda web: web.page(policy(), status="404 Not Found"), "sts-policy-fetch-error"),
        (lambda web: web.page(policy(), "text/html"), "sts-policy-fetch-error"),
        (lambda web: web.page(policy() + b"x: y\n" * 20_000), "sts-policy-fetch-error"),
        (lambda web: setattr(web, "answer", b""), "sts-policy-fetch-error"),
        (lambda web: web.page(b"<html>"), "sts-policy-invalid"),
    ],
)
async def test_without_a_policy_mail_goes_as_it_can(place: Place, break_it: Any, kind: str) -> None:
    break_it(place.web)
    place.peer.features = ()
    assert (await place.send(times=2)).kind is Kind.RELAYED
    assert place.results[0].requirement.troubles[0][0] == kind
    assert len(place.web.asked) == 1  # not again at once


async def test_a_policy_host_without_a_good_certificate(place: Place, tmp_path: Path) -> None:
    await place.web.stop()
    place.web = ScriptedWeb(STRANGER.issue("mta-sts.far.test").server_context(tmp_path, "web"))
    await place.web.start()
    place.web.page(policy())
    assert (await place.send()).kind is Kind.RELAYED
    assert place.results[0].requirement.troubles[0][0] == "sts-webpki-invalid"
    assert place.web.asked == []


async def test_a_fetch_that_failed_is_tried_again_later(place: Place) -> None:
    place.web.page(b"", status="503 Busy")
    resolver = Resolver([place.dns.address], place.clock)
    policies = place.policies(resolver)
    assert (await policies.policy("far.test"))[0] is None
    place.clock.time += 599
    assert (await policies.policy("far.test"))[0] is None
    place.web.page(policy())
    place.clock.time += 2
    assert (await policies.policy("far.test"))[0].mode == "enforce"
    assert len(place.web.asked) == 2
    resolver.close()


async def test_a_record_that_is_none_asks_no_web_server(place: Place) -> None:
    place.dns.add({"_mta-sts.far.test": {"TXT": ["v=spf1 -all"]}})
    assert (await place.send()).kind is Kind.RELAYED
    assert place.web.asked == []


# renewal


async def test_a_policy_in_use_is_renewed_before_it_ends(place: Place) -> None:
    await place.send()
    for _ in range(10):
        place.clock.time += 86400 + 1
        await place.send()
    kept = place.store.transport.sts("far.test")
    assert kept.until == place.clock.now() + WEEK
    assert kept.used > place.clock.now() - 86400 * 2
    assert len(place.web.asked) == 11


async def test_policies_are_renewed_without_mail_for_a_month(place: Place) -> None:
    await place.send()
    resolver = Resolver([place.dns.address], place.clock)
    policies = place.policies(resolver)
    await policies.renew()
    assert len(place.web.asked) == 1
    for _ in range(60):
        place.clock.time += 86400 + 1
        await policies.renew()
    assert 30 <= len(place.web.asked) <= 31
    resolver.close()


async def test_a_renewal_that_fails_changes_nothing(place: Place) -> None:
    await place.send()
    before = place.store.transport.sts("far.test")
    resolver = Resolver([place.dns.address], place.clock)
    policies = place.policies(resolver)
    place.clock.time += 86400 + 1
    place.web.page(b"", status="500 Oops")
    await policies.renew()
    assert place.store.transport.sts("far.test") == before
    assert place.events.names() == ["sts.fetched", "sts.failed"]
    resolver.close()


# with DANE


async def test_dane_goes_before(place: Place) -> None:
    place.dns.signed = {"far.test"}
    issued = STRANGER.issue("other.test")
    place.peer.tls = issued.server_context(place.folder)
    record = issued.tlsa(3)
    place.dns.add({f"_{place.peer.port}._tcp.mx.far.test": {"TLSA": [[*record[:3], record[3].hex()]]}})
    place.web.page(policy(mx="nobody.test"))
    assert (await place.send()).via.endswith("DANE")
    place.show()  # MTA-STS would take it
    place.web.page(policy())
    place.peer.messages.clear()
    waits(place, await place.send(), "4.7.5", "(DANE)")


async def test_where_dane_has_no_usable_record_the_policy_counts(place: Place) -> None:
    place.dns.signed = {"far.test"}
    place.dns.add({f"_{place.peer.port}._tcp.mx.far.test": {"TLSA": [[0, 0, 1, "00" * 32]]}})
    assert (await place.send()).via.endswith("MTA-STS")


# REQUIRETLS and TLS-Required


async def test_a_policy_vouches_for_requiretls(place: Place) -> None:
    place.peer.secure_features = ("REQUIRETLS",)
    assert (await place.send(tls="required")).kind is Kind.RELAYED
    place.web.page(policy("testing"))
    place.announce("2")
    place.show(by=STRANGER)
    outcome = await place.send(tls="required")
    assert (outcome.kind, outcome.status) == (Kind.FAILED, "5.7.10")


async def test_mail_that_needs_no_tls(place: Place) -> None:
    place.peer.features = ()
    assert (await place.send(tls="optional")).kind is Kind.RELAYED


async def test_nobody_answers_the_dns(place: Place) -> None:
    resolver = Resolver([place.dns.address], place.clock)
    policies = place.policies(resolver)
    place.dns.fault("_mta-sts.far.test", "TXT", "SERVFAIL")
    assert await policies.policy("far.test") == (None, None)
    resolver.close()
    with pytest.raises(DnsUnavailable):
        await resolver.addresses("far.test")
