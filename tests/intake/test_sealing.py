"""Mail that an alias passes on outside is sealed (RFC 8617), and mail that the server writes is signed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from intake_house import House
from test_intake_signing import KEYS as KEYS_HERE
from test_intake_signing import ZONE as ZONE_HERE
from test_intake_signing import results as dkim_results
from test_outside import NOW, ZONE, message, signed

from postroom.config import Authentication
from postroom.intake.model import Peer
from postroom.intake.notices import Notices
from postroom.intake.outside import Means, Outside
from postroom.intake.routing import Routes
from postroom.intake.signing import Signer
from postroom.mailauth.arc import ArcResult, ArcVerifier
from postroom.mailauth.dkim import SigningKey
from postroom.mailauth.header import split_message
from postroom.mailauth.zone import ZoneData
from postroom.policy.words import Notice
from postroom.store.api import DomainRow, NewEntry, SigningKeyRow
from postroom.store.memory import MemoryStore
from postroom.testing.mailflow import StandingClock
from postroom.values.content import Content

ALL = ZONE | {
    f"{row.selector}._domainkey.here.test": {"TXT": [SigningKey.load("here.test", "s", row.private).record]}
    for row in KEYS_HERE
}


class Passing(House):
    """A house with keys and a view of the outside."""

    def __init__(self, folder: Path, config: Authentication | None = None) -> None:
        self.people = MemoryStore(StandingClock(NOW)).directory
        self.signer = Signer(self.people, self.event, enabled=True)
        config = config or Authentication()
        means = Means(
            directory=self.people,
            dns=ZoneData(ALL),
            hostname="mx.here.test",
            events=self.event,
            signer=self.signer,
        )
        outside = Outside(means, config)
        super().__init__(folder, self.signer, outside=outside)

    def event(self, name: str, **fields: Any) -> None:
        """Nobody asks."""

    async def keys(self, rows: Sequence[SigningKeyRow] = tuple(KEYS_HERE)) -> None:
        await self.people.put_domain(DomainRow(name="here.test", created=0.0))
        await self.people.put_signing_keys(rows)

    async def take(self, content: bytes | Content, *to: str, keys: bool = True) -> NewEntry:
        await self.keys(KEYS_HERE if keys else ())
        peer = Peer(service="smtp", ip="192.0.2.10", port=4711, helo="mail.far.test")
        await self.send(peer, content, *to)
        return self.queue.entries[-1]


async def chain(entry: NewEntry, changed: bytes = b"") -> ArcResult:
    header, body = split_message(entry.trace + entry.content.read() + changed)
    verifier = ArcVerifier(header)
    verifier.body(body)
    return await verifier.result(ZONE_HERE, int(NOW))


async def test_what_an_alias_passes_on_is_sealed(tmp_path: Path) -> None:
    house = Passing(tmp_path)
    original = signed(message(), "far.test")
    entry = await house.take(original, "out@here.test")
    found = await chain(entry)
    assert (found.result, found.sealer, found.newest) == ("pass", "here.test", 1)
    told = b" ".join(found.chain[0].results.split())
    assert told.startswith(b"mx.here.test; spf=pass")
    assert b"dmarc=pass" in told and b"dkim=pass" in told
    assert entry.content.read() == original
    assert (await chain(entry, b"more\r\n")).result == "fail"


async def test_a_second_seal_stands_on_the_first(tmp_path: Path) -> None:
    house = Passing(tmp_path)
    first = await house.take(message(), "out@here.test")
    seal = first.trace[first.trace.index(b"ARC-Seal:") : first.trace.index(b"Authentication-Results: mx")]
    again = await house.take(seal + first.content.read(), "out@here.test")
    found = await chain(again)
    assert (found.result, found.newest) == ("pass", 2)
    assert b"i=2; a=rsa-sha256; cv=pass" in again.trace
    broken = await house.take(seal + first.content.read() + b"more\r\n", "out@here.test")
    assert b"i=2; a=rsa-sha256; cv=fail" in broken.trace


async def test_a_large_file_and_several_recipients(tmp_path: Path) -> None:
    house = Passing(tmp_path)
    octets = signed(message(body="line\r\n" * 200_000), "far.test")
    path = tmp_path / "large"
    path.write_bytes(octets)
    entry = await house.take(Content(size=len(octets), path=str(path)), "alice@here.test", "team@here.test")
    found = await chain(entry)
    assert (found.result, found.newest) == ("pass", 1)


@pytest.mark.parametrize(
    ("config", "to", "keys"),
    [
        (Authentication(), "alice@here.test", True),
        (Authentication(seal=False), "out@here.test", True),
        (Authentication(), "out@here.test", False),
    ],
)
async def test_what_is_not_sealed(tmp_path: Path, config: Authentication, to: str, keys: bool) -> None:
    house = Passing(tmp_path, config)
    entry = await house.take(message(), to, keys=keys)
    assert b"ARC-" not in entry.trace
    assert b"Authentication-Results:" in entry.trace


async def test_notices_are_signed(tmp_path: Path) -> None:
    house = Passing(tmp_path)
    await house.keys()
    notices = Notices(
        house.queue, Routes(house.identity), "alice@here.test", house.clock, house.event, house.signer.own
    )
    notices(Notice("alice@here.test", "here.test", "A limit", "Slow down.\n"))
    await notices.settled()
    assert await dkim_results(house.queue.entries[-1]) == [("pass", "here.test")] * 2


@pytest.mark.parametrize(
    ("octets", "wanted"),
    [
        (b"From: MX <postmaster@mx.here.test>\r\nSubject: x\r\n\r\nhi\r\n", True),
        (b"From: postmaster@else.test\r\n\r\nhi\r\n", False),
        (b"Subject: x\r\n\r\nhi\r\n", False),
        (b"From: postmaster@here.test\r\n", False),
        (b"From: nobody\r\n\r\nhi\r\n", False),
        (b"", False),
    ],
)
async def test_what_the_server_writes_is_signed_by_the_nearest_domain(
    tmp_path: Path, octets: bytes, wanted: bool
) -> None:
    house = Passing(tmp_path)
    await house.keys()
    found = await house.signer.own(Content.of(octets), NOW)
    assert (found.count(b"d=here.test;") == 2) is wanted
    assert bool(found) is wanted
