"""COMPRESS=DEFLATE and UNAUTHENTICATE."""

from __future__ import annotations

import tracemalloc
import zlib
from dataclasses import replace

import pytest
from imap_house import Client, House, message, play, settle

from postroom.config import Imap
from postroom.servers.imap.compress import Awake, Compression


class Squeezed:
    """A client behind COMPRESS."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.maker = zlib.compressobj(6, zlib.DEFLATED, -15)
        self.reader = zlib.decompressobj(-15)

    def pack(self, data: bytes, flush: int = zlib.Z_SYNC_FLUSH) -> bytes:
        return self.maker.compress(data) + self.maker.flush(flush)

    async def feed(self, data: bytes) -> bytes:
        return self.reader.decompress(await self.client.feed(data))

    async def say(self, text: str) -> str:
        return (await self.feed(self.pack(text.encode() + b"\r\n"))).decode()


async def squeezed(house: House) -> Squeezed:
    client = await house.login()
    assert await client.feed(b"c COMPRESS DEFLATE\r\n") == b"c OK Compression is on from here\r\n"
    return Squeezed(client)


async def test_both_ways(house: House) -> None:
    client = await squeezed(house)
    assert "* 0 EXISTS\r\n" in await client.say("a SELECT INBOX")
    assert await client.say("b NOOP\r\nc NOOP") == "b OK Noop completed\r\nc OK Noop completed\r\n"
    assert (await client.say("d COMPRESS DEFLATE")).startswith("d BAD [COMPRESSIONACTIVE] ")
    assert "BYE" in await client.say("e LOGOUT")
    assert not client.client.link.alive
    assert len(house.service.awake) == 0


async def test_refused(house: House) -> None:
    client = house.connect()
    await play(
        client,
        """
        S: * OK ...
        C: a1 COMPRESS DEFLATE
        S: a1 BAD ...
        C: a2 LOGIN ann@example.org secret
        S: a2 OK [CAPABILITY ...COMPRESS=DEFLATE ...] ...
        C: a3 COMPRESS LZMA
        S: a3 BAD The only algorithm is DEFLATE
        C: a4 COMPRESS
        S: a4 BAD ...
        C: a5 COMPRESS DEFLATE now
        S: a5 BAD ...
        C: a6 NOOP
        S: a6 OK ...
        """,
    )


async def test_every_cut(house: House) -> None:
    text = b"a SELECT INBOX\r\nb APPEND INBOX {%d+}\r\n" % len(message(1)) + message(1) + b"\r\nc NOOP\r\n"
    for step in (1, 2, 7, 50):
        client = await squeezed(house)
        stream = client.pack(text)
        heard = b""
        for begin in range(0, len(stream), step):
            heard += await client.feed(stream[begin : begin + step])
        assert b"b OK [APPENDUID " in heard
        assert heard.endswith(b"c OK Noop completed\r\n")
        client.client.link.close()


async def test_octets_sent_ahead_are_compressed(house: House) -> None:
    client = await house.login()
    maker = Squeezed(client)
    heard = await client.feed(b"c COMPRESS DEFLATE\r\n" + maker.pack(b"d NOOP\r\n"))
    plain, _, packed = heard.partition(b"\r\n")
    assert plain == b"c OK Compression is on from here"
    assert maker.reader.decompress(packed) == b"d OK Noop completed\r\n"


async def test_pushes_are_compressed(house: House) -> None:
    client = await squeezed(house)
    await client.say("a SELECT INBOX")
    assert await client.say("b IDLE") == "+ idling\r\n"
    other = await house.login()
    await other.feed(b"x APPEND INBOX {%d+}\r\n" % len(message(1)) + message(1) + b"\r\n")
    await settle(client.client)
    assert client.reader.decompress(client.client.hear()).startswith(b"* 1 EXISTS\r\n")
    assert await client.say("DONE") == "b OK Idle completed\r\n"


async def test_garbage_ends_the_connection(house: House) -> None:
    client = await squeezed(house)
    assert (await client.feed(b"a NOOP\r\na NOOP\r\n")).startswith(b"* BYE [CLIENTBUG] ")
    assert not client.client.link.alive


@pytest.mark.parametrize("text", [b"a " + b"x" * 50_000_000, b"a SELECT {40000000+}\r\n" + bytes(40_000_000)])
async def test_a_bomb(house: House, text: bytes) -> None:
    """RFC 4978 says nothing about it: a command expands to what it may have, and a slice or two more."""
    client = await squeezed(house)
    bomb = client.pack(text)
    assert len(bomb) < 70_000
    tracemalloc.start()
    heard = client.reader.decompress(await client.client.feed(bomb))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert b"* BYE [LIMIT] " in heard
    assert not client.client.link.alive
    assert peak < 2_000_000


async def test_a_message_may_be_large_but_not_larger_than_allowed(house: House) -> None:
    client = await squeezed(house)
    big = message(1, "x" * 76 + "\r\n") + (b"y" * 76 + b"\r\n") * 12_000
    heard = await client.feed(client.pack(b"a APPEND INBOX {%d+}\r\n" % len(big) + big + b"\r\n"))
    assert b"a OK [APPENDUID " in heard
    heard = await client.feed(client.pack(b"b APPEND INBOX {9000000+}\r\n" + bytes(9_000_000)))
    assert b"b NO [TOOBIG] " in heard
    assert b"* BYE [LIMIT] " in heard


def test_those_that_were_busy_long_ago_rest() -> None:
    awake = Awake(3)
    sessions = [Compression(awake, 1000) for _ in range(10)]
    for session in sessions:
        maker = zlib.compressobj(6, zlib.DEFLATED, -15)
        session.feed(maker.compress(b"a NOOP\r\n" * 3000) + maker.flush(zlib.Z_SYNC_FLUSH))
        while session.more():
            session.used()
    held = [session._inflater.held for session in sessions]
    assert max(held[:-3]) < 1000 < min(held[-3:])
    for session in sessions:
        session.end()
    assert len(awake) == 0


async def test_unauthenticate(house: House) -> None:
    await house.add_account("ben@example.org")
    client = house.connect()
    client.hear()
    await client.do("LOGIN ann@example.org secret")
    await client.do("ENABLE IMAP4rev2 QRESYNC")
    await client.do("SELECT INBOX")
    await client.do("SEARCH RETURN (SAVE) ALL")
    await play(
        client,
        """
        C: a1 UNAUTHENTICATE
        S: a1 OK You are logged out; log in again
        C: a2 SELECT INBOX
        S: a2 BAD SELECT: log in first
        C: a3 UNAUTHENTICATE
        S: a3 BAD UNAUTHENTICATE: log in first
        C: a4 LOGIN ben@example.org secret
        S: a4 OK [CAPABILITY ...] Logged in
        C: a5 SELECT INBOX (QRESYNC (1 1))
        S: a5 BAD ENABLE QRESYNC comes first (RFC 7162 3.2.5)
        C: a6 SELECT INBOX
        S: * FLAGS ...
        S: * OK [PERMANENTFLAGS ...
        S: * 0 EXISTS
        S: * 0 RECENT
        S: * OK [UIDVALIDITY ...
        S: * OK [UIDNEXT 1] ...
        S: * OK [HIGHESTMODSEQ ...
        S: * OK [MAILBOXID (F...-...)] ...
        S: a6 OK [READ-WRITE] ...
        C: a7 SEARCH $
        S: * SEARCH
        S: a7 OK ...
        """,
    )
    assert client.link.seconds == house.service.limits.idle_imap


async def test_unauthenticate_hears_nothing_of_the_old_account(house: House) -> None:
    client = await house.selected()
    heard = await client.feed(b"a UNAUTHENTICATE\r\n")
    assert heard.startswith(b"a OK ")
    assert client.link.seconds == house.service.limits.idle_login
    other = await house.login()
    await other.feed(b"x APPEND INBOX {%d+}\r\n" % len(message(1)) + message(1) + b"\r\n")
    assert await client.feed(b"b NOOP\r\n") == b"b OK Noop completed\r\n"
    row = await house.store.directory.account_by_login("ann@example.org")
    await house.store.directory.put_account(replace(row, disabled=True))
    await house.service.recheck()
    assert client.link.alive


async def test_unauthenticate_pipelined(house: House) -> None:
    client = await house.login()
    heard = await client.feed(b"a UNAUTHENTICATE\r\nb LOGIN ann@example.org secret\r\nc SELECT INBOX\r\n")
    assert b"b OK [CAPABILITY " in heard
    assert b"c OK [READ-WRITE] " in heard


@pytest.mark.parametrize("flush", [zlib.Z_SYNC_FLUSH, zlib.Z_FINISH])
async def test_unauthenticate_ends_compression(house: House, flush: int) -> None:
    client = await squeezed(house)
    await client.say("a SELECT INBOX")
    heard = await client.client.feed(
        client.pack(b"b UNAUTHENTICATE\r\n", flush) + b"c LOGIN ann@example.org secret\r\n"
    )
    at = heard.find(b"c OK")
    assert client.reader.decompress(heard[:at]) == b"b OK You are logged out; log in again\r\n"
    assert heard[at:].endswith(b"Logged in\r\n")
    again = await client.client.feed(b"d COMPRESS DEFLATE\r\n")
    assert again.startswith(b"d OK ")


async def test_unauthenticate_can_be_switched_off() -> None:
    house = House(options=Imap(disable=("UNAUTHENTICATE", "COMPRESS=DEFLATE")))
    await house.add_account("ann@example.org")
    client = await house.login()
    [line] = await client.do("CAPABILITY")
    assert "UNAUTHENTICATE" not in line
    assert "COMPRESS" not in line
    assert (await client.tagged("UNAUTHENTICATE")).startswith("BAD ")
    assert await client.do("NOOP") == []
