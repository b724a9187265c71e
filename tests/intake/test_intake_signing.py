"""What our users send carries signatures that anybody can verify against what we publish."""

from __future__ import annotations

from pathlib import Path

import pytest
from intake_house import USER, House

from postroom.intake.signing import Signer
from postroom.mailauth.dkim import DkimVerifier, SigningKey, generate_key
from postroom.mailauth.header import split_message
from postroom.mailauth.zone import ZoneData
from postroom.store.api import DomainRow, KeyState, NewEntry, SigningKeyRow
from postroom.store.memory import MemoryStore
from postroom.testing.mailflow import StandingClock
from postroom.values.content import Content

NOW = 1_800_000_000.0
KINDS = ("ed25519", "rsa")
KEYS = [
    SigningKeyRow(
        domain="here.test",
        selector=kind,
        algorithm=f"{kind}-sha256",
        private=generate_key(kind),
        state=KeyState.ACTIVE,
        since=NOW,
    )
    for kind in KINDS
]
ZONE = ZoneData(
    {
        f"{row.selector}._domainkey.here.test": {"TXT": [SigningKey.load("here.test", "s", row.private).record]}
        for row in KEYS
    }
)


class Signed(House):
    """A house whose domain has keys."""

    def __init__(self, folder: Path, *, enabled: bool = True) -> None:
        self.told: list[tuple[str, dict[str, object]]] = []
        self.keys = MemoryStore(StandingClock(NOW)).directory
        self.signer = Signer(self.keys, self.event, enabled=enabled)
        super().__init__(folder, self.signer)

    def event(self, name: str, **fields: object) -> None:
        self.told.append((name, fields))

    async def signed(self, content: bytes | Content) -> NewEntry:
        await self.keys.put_domain(DomainRow(name="here.test", created=0.0))
        await self.keys.put_signing_keys(KEYS)
        await self.send(USER, content, "x@far.test", sender="alice@here.test")
        return self.queue.entries[-1]


async def test_mail_that_was_converted_is_signed_anew(tmp_path: Path) -> None:
    house = Signed(tmp_path)
    entry = await house.signed(COMPLETE + b"\r\nHello\r\n")
    whole = Content.of((entry.trace + entry.content.read()).replace(b"Hello", b"Goodbye"))
    again = await house.signer.again(whole, NOW)
    assert again.data.count(b"DKIM-Signature:") == 2
    assert await verified(again.data) == BOTH
    for broken in (b"no header at all", b"Subject: no author\r\n\r\n"):
        assert (await house.signer.again(Content.of(broken), NOW)).data == broken


async def results(entry: NewEntry) -> list[tuple[str, str]]:
    return await verified(entry.trace + entry.content.read())


async def verified(message: bytes) -> list[tuple[str, str]]:
    header, body = split_message(message)
    verifier = DkimVerifier(header)
    verifier.body(body)
    return [(str(one.result), one.domain) for one in await verifier.results(ZONE, int(NOW))]


BOTH = [("pass", "here.test"), ("pass", "here.test")]
HEAD = b"From: Alice <alice@here.test>\r\nTo: x@far.test\r\nSubject: =?utf-8?q?=C3=A4?=\r\n"
COMPLETE = HEAD + b"Date: Thu, 1 Jan 2026 00:00:00 +0000\r\nMessage-ID: <1@here.test>\r\n"


@pytest.mark.parametrize(
    "message",
    [
        HEAD + b"\r\nHello\r\n",
        COMPLETE + b"\r\nHello  \r\n\r\n\r\n",
        HEAD + b"Bcc: secret@far.test\r\n\r\nHello\r\n",
        b"Bcc: a@b.test,\r\n c@d.test\r\n" + COMPLETE + b"Return-Path: <x>\r\n\r\n",
        COMPLETE,
        COMPLETE + b"\r\n",
    ],
)
async def test_both_signatures_verify(tmp_path: Path, message: bytes) -> None:
    entry = await Signed(tmp_path).signed(message)
    assert await results(entry) == BOTH
    octets = entry.trace + entry.content.read()
    assert octets.startswith(b"Received: ")
    assert b"bcc:" not in octets.lower()


@pytest.mark.parametrize("lines", [10_000, 60_000])
@pytest.mark.parametrize("head", [HEAD, COMPLETE, HEAD + b"Bcc: a@b.test\r\n", COMPLETE + b"Bcc: a@b.test\r\n"])
async def test_large_messages_in_files(tmp_path: Path, head: bytes, lines: int) -> None:
    """Above half a MiB the body is hashed in a thread."""
    path = tmp_path / "large"
    path.write_bytes(head + b"\r\n" + b"a line of text\r\n" * lines)
    entry = await Signed(tmp_path).signed(Content(size=path.stat().st_size, path=str(path)))
    assert await results(entry) == BOTH
    assert b"Bcc" not in entry.content.read()


async def test_every_octet_that_is_signed_counts(tmp_path: Path) -> None:
    entry = await Signed(tmp_path).signed(HEAD + b"\r\nHello\r\n")
    message = entry.trace + entry.content.read()
    for old, new in ((b"Hello", b"Hallo"), (b"To: x", b"To: y"), (b"Date: ", b"Date: Z"), (b"Alice", b"Elice")):
        header, body = split_message(message.replace(old, new))
        verifier = DkimVerifier(header)
        verifier.body(body)
        assert {str(one.result) for one in await verifier.results(ZONE, int(NOW))} == {"fail"}


async def test_without_keys_or_switched_off_nothing_is_added(tmp_path: Path) -> None:
    off = Signed(tmp_path, enabled=False)
    assert b"DKIM-Signature" not in (await off.signed(HEAD + b"\r\nx\r\n")).trace
    keyless = Signed(tmp_path)
    await keyless.send(USER, HEAD + b"\r\nx\r\n", "x@far.test", sender="alice@here.test")
    assert b"DKIM-Signature" not in keyless.queue.entries[-1].trace


async def test_keys_that_wait_or_are_retired_do_not_sign(tmp_path: Path) -> None:
    house = Signed(tmp_path)
    await house.signed(HEAD + b"\r\nx\r\n")
    waiting = SigningKeyRow(
        domain="here.test", selector="new", algorithm="rsa-sha256", private=KEYS[1].private, state=KeyState.NEXT
    )
    await house.keys.put_signing_keys([waiting])
    entry = await house.signed(HEAD + b"\r\nx\r\n")
    assert b"s=new" not in entry.trace
    await house.keys.remove_signing_key("here.test", "rsa")  # acts on the next message
    await house.send(USER, HEAD + b"\r\nx\r\n", "x@far.test", sender="alice@here.test")
    assert await results(house.queue.entries[-1]) == [("pass", "here.test")]


async def test_a_broken_key_is_told_and_the_other_signs(tmp_path: Path) -> None:
    house = Signed(tmp_path)
    await house.signed(HEAD + b"\r\nx\r\n")
    broken = SigningKeyRow(
        domain="here.test", selector="rsa", algorithm="rsa-sha256", private="junk", state=KeyState.ACTIVE
    )
    await house.keys.put_signing_keys([broken])
    await house.send(USER, HEAD + b"\r\nx\r\n", "x@far.test", sender="alice@here.test")
    assert await results(house.queue.entries[-1]) == [("pass", "here.test")]
    assert house.told[-1][0] == "message.unsigned"
    assert "rsa: " in str(house.told[-1][1]["reason"])
