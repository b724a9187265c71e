"""Mail from outside: proven, filed as junk, refused, or marked; and nobody can write our results."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from intake_house import FakeIdentity, House

from postroom.config import Authentication
from postroom.intake.lists import Lists
from postroom.intake.model import Peer
from postroom.intake.outside import Means, Outside
from postroom.mailauth.authres import parse
from postroom.mailauth.body import BodyHashes
from postroom.mailauth.dkim import BODY_FORM, SigningKey, generate_key, sign
from postroom.mailauth.header import HeaderFields, split_message
from postroom.mailauth.zone import ZoneData
from postroom.store.api import AccountRow, DomainRow, NewEntry
from postroom.store.memory import MemoryStore
from postroom.store.memory.limits import MemoryLimits
from postroom.testing.mailflow import StandingClock
from postroom.values.content import Content
from postroom.values.refusal import Refusal

NOW = 1_800_000_000.0
GOOD, BAD = "192.0.2.10", "203.0.113.66"
KEYS = {name: SigningKey.load(name, "s", generate_key("ed25519")) for name in ("far.test", "here.test", "list.test")}
ZONE: dict[str, Any] = {
    "far.test": {"TXT": [f"v=spf1 ip4:{GOOD} -all"]},
    "_dmarc.far.test": {"TXT": ["v=DMARC1; p=reject"]},
    "soft.test": {"TXT": [f"v=spf1 ip4:{GOOD} -all"]},
    "_dmarc.soft.test": {"TXT": ["v=DMARC1; p=quarantine"]},
    "watch.test": {"TXT": [f"v=spf1 ip4:{GOOD} -all"]},
    "_dmarc.watch.test": {"TXT": ["v=DMARC1; p=none"]},
    "open.test": {"A": [GOOD]},
    "evil.test": {"TXT": [f"v=spf1 ip4:{BAD} -all"]},
    "list.test": {"TXT": [f"v=spf1 ip4:{BAD} -all"]},
    "here.test": {"TXT": ["v=spf1 ip4:198.51.100.7 include:payroll.test -all"]},
    "news.here.test": {"TXT": ["v=spf1 ip4:192.0.2.77 -all"]},
    "payroll.test": {"TXT": ["v=spf1 ip4:198.51.100.99 -all"]},
    "slow.test": {"TXT": "TIMEOUT"},
    "_dmarc.slow.test": {"TXT": "TIMEOUT"},
    **{f"s._domainkey.{name}": {"TXT": [key.record]} for name, key in KEYS.items()},
}


class Doors(House):
    """A house with a view of the outside."""

    def __init__(self, folder: Path) -> None:
        self.told: list[tuple[str, dict[str, Any]]] = []
        self.people = MemoryStore(StandingClock(NOW)).directory
        self.written = MemoryLimits()
        config = Authentication(trusted_sealers=("sealer.test",))
        dns = ZoneData(ZONE)
        means = Means(
            directory=self.people,
            dns=dns,
            hostname="mx.here.test",
            events=self.event,
            lists=Lists(self.written, FakeIdentity(), dns),
        )
        super().__init__(folder, outside=Outside(means, config))

    def event(self, name: str, **fields: Any) -> None:
        self.told.append((name, fields))

    async def take(
        self, content: bytes | Content, ip: str = GOOD, sender: str | None = "x@far.test", spoof: str = "refuse"
    ) -> NewEntry:
        await self.people.put_domain(DomainRow(name="here.test", created=0.0, spoof=spoof))
        await self.people.put_account(AccountRow(id="a", login="alice@here.test", created=0.0, name="Alice Adams"))
        peer = Peer(service="smtp", ip=ip, port=4711, helo="mail.far.test")
        await self.send(peer, content, "alice@here.test", sender=sender)
        return self.queue.entries[-1]

    @property
    def checked(self) -> dict[str, Any]:
        return next(fields for name, fields in reversed(self.told) if name == "mail.checked")


@pytest.fixture
def doors(tmp_path: Path) -> Doors:
    return Doors(tmp_path)


def message(sender: str = "X <x@far.test>", *more: str, body: str = "hello\r\n") -> bytes:
    lines = [f"From: {sender}", "To: alice@here.test", "Subject: hi", *more]
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


def signed(octets: bytes, domain: str) -> bytes:
    header, body = split_message(octets)
    hashes = BodyHashes()
    hashes.want(BODY_FORM)
    hashes.update(body)
    return sign(header, hashes.digest(BODY_FORM), [KEYS[domain]], int(NOW)) + octets


def results(entry: NewEntry) -> dict[str, str]:
    """method -> result, of our field, which must be the first and the only one of ours."""
    fields = HeaderFields(entry.trace + entry.content.read())
    ours = []
    for place in fields.at(b"authentication-results"):
        found = parse(fields.value(place))
        if found.authserv_id == "mx.here.test":
            ours.append({one.method: one.result for one in found.results})
    assert len(ours) == 1
    return ours[0]


async def refused(doors: Doors, content: bytes, **options: Any) -> str:
    with pytest.raises(Refusal) as caught:
        await doors.take(content, **options)
    assert caught.value.code == 550
    assert not doors.queue.entries
    assert caught.value.public.isascii()
    return caught.value.public


# what is proven


async def test_spf_proves_the_author(doors: Doors) -> None:
    entry = await doors.take(message())
    assert results(entry) == {"spf": "pass", "dkim": "none", "dmarc": "pass", "arc": "none"}
    assert not entry.junk
    assert entry.keywords == ()
    assert doors.checked["verdict"] == "accept"
    assert doors.checked["queue_id"] == entry.id


async def test_a_signature_proves_the_author_from_any_address(doors: Doors) -> None:
    entry = await doors.take(signed(message(), "far.test"), ip=BAD, sender="bounce@forwarder.test")
    assert results(entry) == {"spf": "none", "dkim": "pass", "dmarc": "pass", "arc": "none"}


async def test_nothing_published_is_no_fault(doors: Doors) -> None:
    entry = await doors.take(message("x@open.test"), ip=BAD, sender=None)
    assert results(entry) == {"spf": "none", "dkim": "none", "dmarc": "none", "arc": "none"}
    assert not entry.junk


async def test_a_dns_that_does_not_answer_loses_no_mail(doors: Doors) -> None:
    entry = await doors.take(message("x@slow.test"), sender="x@slow.test")
    assert results(entry)["spf"] == "temperror"
    assert results(entry)["dmarc"] == "temperror"
    assert not entry.junk


# what is not


async def test_reject_is_refused_with_words_that_help(doors: Doors) -> None:
    text = await refused(doors, message(), ip=BAD)
    assert "DMARC" in text
    assert "far.test" in text
    assert doors.checked["verdict"] == "refuse"


async def test_a_broken_signature_does_not_help(doors: Doors) -> None:
    await refused(doors, signed(message(), "far.test").replace(b"hello", b"hullo"), ip=BAD)


async def test_another_domains_proof_does_not_help(doors: Doors) -> None:
    await refused(doors, message(), ip=BAD, sender="x@evil.test")


async def test_quarantine_goes_to_junk_with_a_warning(doors: Doors) -> None:
    entry = await doors.take(message("x@soft.test"), ip=BAD)
    assert entry.junk
    assert set(entry.keywords) == {"$Junk", "$Suspicious"}
    assert b"\r\nX-Postroom-Warning: This message may not come from soft.test" in entry.trace


async def test_watching_changes_nothing(doors: Doors) -> None:
    entry = await doors.take(message("x@watch.test"), ip=BAD)
    assert results(entry)["dmarc"] == "fail"
    assert not entry.junk


@pytest.mark.parametrize("shape", [("List-Id: <l.list.test>", "List-Post: <mailto:l@list.test>")])
async def test_a_mailing_list_is_not_refused(doors: Doors, shape: tuple[str, ...]) -> None:
    entry = await doors.take(message("X <x@far.test>", *shape), ip=BAD, sender="l-bounce@list.test")
    assert entry.junk
    assert "mailing list" in doors.checked["reason"]
    doors.queue.entries.clear()
    await refused(doors, message("X <x@far.test>", *shape), ip="198.51.100.200", sender="l-bounce@list.test")


# our own domain from outside


async def test_our_domain_from_outside_is_refused(doors: Doors) -> None:
    text = await refused(doors, message("Alice <alice@here.test>"), ip=BAD, sender="x@evil.test")
    assert "here.test" in text
    await refused(doors, message("Alice <alice@here.test>"), ip=BAD, sender="alice@here.test")
    await refused(doors, message("Alice <alice@here.test>"), ip=BAD, sender=None)


@pytest.mark.parametrize(("policy", "junk"), [("junk", True), ("mark", False)])
async def test_our_domain_as_its_owner_wants(doors: Doors, policy: str, junk: bool) -> None:
    entry = await doors.take(message("alice@here.test"), ip=BAD, spoof=policy)
    assert entry.junk is junk
    assert "$Suspicious" in entry.keywords
    assert b"X-Postroom-Warning: This message claims to be from here.test" in entry.trace


@pytest.mark.parametrize(("policy", "junk"), [("refuse", True), ("junk", True), ("mark", False)])
async def test_a_domain_below_ours(doors: Doors, policy: str, junk: bool) -> None:
    """Somebody else may run it, so unproven mail is not refused; but our name stands in it."""
    entry = await doors.take(message("boss@office.here.test"), ip=BAD, sender="x@evil.test", spoof=policy)
    assert entry.junk is junk
    assert "$Suspicious" in entry.keywords
    assert b"X-Postroom-Warning: This message claims to be from a part of here.test" in entry.trace


async def test_a_domain_below_ours_that_is_proven(doors: Doors) -> None:
    for proof in ({"ip": "192.0.2.77", "sender": "news@news.here.test"}, {"ip": "192.0.2.77", "sender": "b@evil.test"}):
        entry = await doors.take(message("news@news.here.test"), **proof)
        assert not entry.junk
        assert entry.keywords == ()
    entry = await doors.take(signed(message("news@news.here.test"), "here.test"), ip=BAD, sender="x@evil.test")
    assert not entry.junk


async def test_several_authors_and_one_of_them_ours(doors: Doors) -> None:
    await refused(doors, message("x@below.here.test, alice@here.test"), ip=BAD, sender="x@evil.test")


async def test_our_domain_by_a_third_party_that_spf_allows(doors: Doors) -> None:
    """Payroll: From is ours, the envelope is the provider's."""
    entry = await doors.take(message("payroll@here.test"), ip="198.51.100.99", sender="bounce@payroll.test")
    assert not entry.junk
    assert entry.keywords == ()


async def test_our_domain_with_our_signature(doors: Doors) -> None:
    """Our own mail comes back through a forwarder."""
    entry = await doors.take(signed(message("alice@here.test"), "here.test"), ip=BAD, sender="x@evil.test")
    assert not entry.junk
    assert results(entry)["dkim"] == "pass"


async def test_our_domain_by_a_mailing_list(doors: Doors) -> None:
    shape = ("List-Id: <l.list.test>", "List-Post: <mailto:l@list.test>")
    entry = await doors.take(message("alice@here.test", *shape), ip=BAD, sender="l@list.test")
    assert entry.junk


async def test_one_of_two_authors_is_ours(doors: Doors) -> None:
    await refused(doors, message("x@evil.test, alice@here.test"), ip=BAD, sender="x@evil.test")


# From that cannot be read in one way only


@pytest.mark.parametrize(
    "head",
    [
        b"To: alice@here.test\r\n",
        b"From: a@evil.test\r\nFrom: b@far.test\r\n",
        b"From: a@evil.test\r\nfrom : b@far.test\r\n",
        b"From:\r\n",
        b"From: nobody\r\n",
        b"From: <>\r\n",
        b"From: ceo@far.test <a@evil.test>\r\n",
        b"From: <@far.test,@x.test:a@evil.test>\r\n",
        b"From: <a@evil.test><b@far.test>\r\n",
        b"From: a@evil.test\x00, b@far.test\r\n",
        b"From: <a@[192.0.2.1]>\r\n",
        b"From: a@a.test, a@b.test, a@c.test, a@d.test, a@e.test, a@f.test\r\n",
        b"From: a@evil.test\r\n\t@far.test\r\n",
    ],
)
async def test_from_must_be_one_and_clear(doors: Doors, head: bytes) -> None:
    text = await refused(doors, head + b"Subject: x\r\n\r\nhello\r\n", ip=BAD, sender="x@evil.test")
    assert "From" in text


@pytest.mark.parametrize(
    "sender",
    [
        "x@evil.test",
        "<x@evil.test>",
        '"Doe, Jane (IT)" <x@evil.test>',
        '"a@b" <x@evil.test>',
        "x@evil.test (Jane (the one at b@c))",
        "=?utf-8?q?J=C3=A4ne?= <x@EVIL.test>",
        "Jane\r\n <x@evil.test>",
    ],
)
async def test_usual_shapes_of_from(doors: Doors, sender: str) -> None:
    entry = await doors.take(message(sender), ip=BAD, sender="x@evil.test")
    assert results(entry)["spf"] == "pass"


# results that others wrote


FORGED = [
    b"Authentication-Results: mx.here.test; dmarc=pass header.from=far.test",
    b"authentication-results : MX.HERE.TEST 1; spf=pass",
    b"Authentication-Results: (x) mx.here.test; none",
    b'Authentication-Results: "mx.here.test"; none',
    b"Authentication-Results:\r\n mx.here.test\r\n ; spf=pass",
    b"X-Postroom-Warning: all is well",
]


@pytest.mark.parametrize("forged", FORGED)
async def test_forged_results_are_removed(doors: Doors, forged: bytes) -> None:
    other = b"Authentication-Results: other.test; spf=fail\r\n"
    entry = await doors.take(other + forged + b"\r\n" + message("x@evil.test"), ip=BAD, sender="x@evil.test")
    octets = entry.trace + entry.content.read()
    assert results(entry)["spf"] == "pass"
    assert octets.lower().count(b"mx.here.test;") == 1
    assert b"all is well" not in octets
    assert other in octets
    assert octets.endswith(b"\r\n\r\nhello\r\n")


async def test_forged_results_of_a_large_message(doors: Doors, tmp_path: Path) -> None:
    large = FORGED[0] + b"\r\n" + signed(message("x@far.test", body="line\r\n" * 200_000), "far.test")
    path = tmp_path / "large"
    path.write_bytes(large)
    entry = await doors.take(Content(size=len(large), path=str(path)), ip=BAD)
    assert results(entry)["dkim"] == "pass"
    octets = entry.content.read()
    assert octets == large[len(FORGED[0]) + 2 :]


# imitations


@pytest.mark.parametrize(
    ("sender", "words"),
    [
        ("x@hеre.test".encode().decode(), "looks like here.test"),  # a Cyrillic e
        ("x@here.test.evil.test", "although that name stands in it"),
        ('"alice@here.test" <x@evil.test>', "The name shows alice@here.test"),
        ("Alice Adams <x@evil.test>", "is the name of alice@here.test"),
        ("=?utf-8?b?QWRhbXMsIEFsaWNl?= <x@evil.test>", "is the name of alice@here.test"),
    ],
)
async def test_imitations_are_marked(doors: Doors, sender: str, words: str) -> None:
    entry = await doors.take(message(sender), ip=BAD, sender="x@evil.test")
    assert not entry.junk
    assert entry.keywords == ("$Suspicious",)
    assert words in entry.trace.decode().replace("\r\n ", " ")


async def test_our_own_people_are_not_imitations_of_themselves(doors: Doors) -> None:
    entry = await doors.take(signed(message("Alice Adams <alice@here.test>"), "here.test"), ip=BAD)
    assert entry.keywords == ()
