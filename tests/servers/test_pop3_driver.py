"""POP3 over real sockets, with the standard library's client and by hand."""

from __future__ import annotations

import asyncio
import poplib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import TypeVar

import pytest

from postroom.config import Protocol, TlsMode

from .house import ANN, House, Wire

ONE = b"Subject: one\r\n\r\nline\r\n.dot\r\n"
TWO = b"Subject: two\r\n\r\n" + b"x" * 60 + b"\r\n"
BIG = b"Subject: big\r\n\r\n" + (b"." + b"y" * 70 + b"\r\n") * 30_000
T = TypeVar("T")


async def blocking(work: Callable[[], T]) -> T:
    return await asyncio.wait_for(asyncio.to_thread(work), 30)


async def sizes(house: House) -> int:
    account = await house.mailboxes.open(ANN)
    inbox = await account.find("INBOX")
    return sum(len(page.uids) for page in (await account.snapshot(inbox.id)).pages)


async def test_reading_and_deleting(house: House) -> None:
    await house.add(ONE, TWO, BIG)
    port = await house.serve(Protocol.POP3)

    def read() -> None:
        client = poplib.POP3("localhost", port)
        assert b"USER" not in client.capa()
        client.stls(context=house.tls)
        assert client.capa()["SASL"] == ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "PLAIN", "LOGIN"]
        client.utf8()
        client.user("ann@here.test")
        client.pass_("secret")
        assert client.stat() == (3, len(ONE) + len(TWO) + len(BIG))
        assert client.list()[1] == [b"1 %d" % len(ONE), b"2 %d" % len(TWO), b"3 %d" % len(BIG)]
        uids = [line.split()[1] for line in client.uidl()[1]]
        assert len(set(uids)) == 3 and client.uidl(2).split()[2] == uids[1]
        assert client.retr(1)[1] == ONE.split(b"\r\n")[:-1]
        assert b"\r\n".join(client.retr(3)[1]) + b"\r\n" == BIG
        assert client.top(3, 2)[1] == BIG.split(b"\r\n")[:4]
        client.dele(1)
        client.dele(2)
        client.rset()
        client.dele(3)
        client.quit()

    await blocking(read)
    assert await sizes(house) == 2

    def again() -> list[bytes]:
        client = poplib.POP3_SSL("localhost", implicit, context=house.tls)
        client.user("Ann@Here.test")
        client.pass_("secret")
        found = client.list()[1]
        client.dele(1)
        client.close()
        return found

    implicit = await house.serve(Protocol.POP3, TlsMode.IMPLICIT)
    assert await blocking(again) == [b"1 %d" % len(ONE), b"2 %d" % len(TWO)]
    await house.nobody_left()
    assert await sizes(house) == 2


async def log_in(wire: Wire, *, greeted: bool = False) -> bytes:
    if not greeted:
        await wire.line()
    wire.writer.write(b"USER ann@here.test\r\nPASS secret\r\n")
    await wire.line()
    return await wire.line()


async def test_clients_without_utf8(house: House) -> None:
    """RFC 6856 2.1: the size announced is the size sent, in both modes."""
    house.loopback = True
    raw = "Subject: Grüße\r\nX-Note: ü\r\n\r\nbody\r\nmore\r\n".encode()
    shown = b"Subject: =?utf-8?B?R3LDvMOfZQ==?=\r\n\r\nbody\r\nmore\r\n"
    await house.add(raw)
    port = await house.serve(Protocol.POP3)
    for data, utf8 in ((shown, False), (raw, True)):
        async with Wire(port) as wire:
            await wire.line()
            if utf8:
                wire.writer.write(b"UTF8\r\n")
                await wire.line()
            await log_in(wire, greeted=True)
            wire.writer.write(b"STAT\r\nLIST 1\r\nRETR 1\r\nTOP 1 1\r\nQUIT\r\n")
            size = b"%d" % len(data)
            expected = b"+OK 1 %b\r\n+OK 1 %b\r\n+OK %b octets\r\n%b.\r\n" % (size, size, size, data)
            assert expected + b"+OK Top of the message follows\r\n%b.\r\n" % data[:-6] in await wire.rest()


async def test_one_session_at_a_time(house: House) -> None:
    house.loopback = True
    await house.add(ONE)
    port = await house.serve(Protocol.POP3)
    async with Wire(port) as first, Wire(port) as second:
        assert await log_in(first) == b"+OK 1 messages"
        assert (await log_in(second)).startswith(b"-ERR [IN-USE] ")
        first.writer.write(b"QUIT\r\n")
        assert await first.line() == b"+OK Goodbye"
        second.writer.write(b"USER ann@here.test\r\nPASS secret\r\n")
        await second.line()
        assert await second.line() == b"+OK 1 messages"


async def test_a_lost_connection_gives_the_maildrop_back(house: House) -> None:
    house.loopback = True
    await house.add(ONE)
    port = await house.serve(Protocol.POP3)
    async with Wire(port) as wire:
        await log_in(wire)
        wire.writer.write(b"DELE 1\r\n")
        await wire.line()
    await house.nobody_left()
    async with Wire(port) as wire:
        assert await log_in(wire) == b"+OK 1 messages"


async def test_refused_logins(house: House) -> None:
    port = await house.serve(Protocol.POP3)
    async with Wire(port) as wire:
        assert (await log_in(wire)).startswith(b"-ERR Passwords need encryption")
    house.loopback = True
    house.policy.most_failures = 2
    port = await house.serve(Protocol.POP3)
    async with Wire(port) as wire:
        await wire.line()
        for command, code in (
            (b"AUTH PLAIN AGFubkBoZXJlLnRlc3QAd3Jvbmc=", b"-ERR [AUTH] "),
            (b"AUTH PLAIN AGJlbkBoZXJlLnRlc3QAc2VjcmV0", b"-ERR [AUTH] "),
            (b"AUTH PLAIN AGFubkBoZXJlLnRlc3QAc2VjcmV0", b"-ERR [SYS/TEMP] "),
        ):
            wire.writer.write(command + b"\r\n")
            assert (await wire.line()).startswith(code)
    house.policy.failures = 0
    house.people.broken = house.faults_expected = True
    async with Wire(port) as wire:
        assert (await log_in(wire)).startswith(b"-ERR [SYS/TEMP] ")


async def test_sasl_login(house: House) -> None:
    house.loopback = True
    await house.add(ONE)
    async with Wire(await house.serve(Protocol.POP3)) as wire:
        await wire.line()
        wire.writer.write(b"AUTH LOGIN\r\n")
        assert await wire.line() == b"+ VXNlcm5hbWU6"
        wire.writer.write(b"YW5uQGhlcmUudGVzdA==\r\n")
        assert await wire.line() == b"+ UGFzc3dvcmQ6"
        wire.writer.write(b"c2VjcmV0\r\n")
        assert await wire.line() == b"+OK 1 messages"


async def test_login_delay(house: House) -> None:
    house.loopback = True
    house.drops(login_delay=100)
    port = await house.serve(Protocol.POP3)
    async with Wire(port) as wire:
        assert await log_in(wire) == b"+OK 0 messages"
        wire.writer.write(b"QUIT\r\n")
        await wire.line()
    async with Wire(port) as wire:
        assert (await log_in(wire)).startswith(b"-ERR [LOGIN-DELAY] ")


async def test_a_slow_reader_holds_little(house: House) -> None:
    house.loopback = True
    huge = BIG * 7
    await house.add(huge)
    port = await house.serve(Protocol.POP3)
    async with Wire(port) as wire:
        await log_in(wire)
        wire.writer.write(b"RETR 1\r\nNOOP\r\n")
        assert (await wire.line()).startswith(b"+OK ")
        text, most = b"", 0
        while not text.endswith(b"\r\n.\r\n+OK Nothing done\r\n"):
            piece = await asyncio.wait_for(wire.reader.read(1 << 18), 10)
            assert piece
            text += piece
            most = max(most, house.unsent())
    assert text.removesuffix(b".\r\n+OK Nothing done\r\n").replace(b"\r\n..", b"\r\n.") == huge
    assert 0 < most < 1 << 20


async def test_silence_ends_a_session(house: House) -> None:
    house.loopback = True
    house.limits(idle_login=0.1, idle_pop3=0.1)
    port = await house.serve(Protocol.POP3)
    async with Wire(port) as wire:
        assert (await wire.rest()).splitlines()[-1].startswith(b"-ERR Too long without a command")
    async with Wire(port) as wire:
        assert await log_in(wire) == b"+OK 0 messages"
        assert (await wire.rest()).startswith(b"-ERR Too long without a command")


async def test_octets_now_and_then_are_no_command(house: House) -> None:
    house.loopback = True
    house.limits(idle_pop3=0.2)
    async with Wire(await house.serve(Protocol.POP3)) as wire:
        await log_in(wire)
        for _ in range(100):
            wire.writer.write(b"N")
            with suppress(TimeoutError):
                assert (await asyncio.wait_for(wire.reader.read(100), 0.02)).startswith(b"-ERR Too long")
                return
    raise AssertionError("the server still waits")


async def test_stopping_and_too_many(house: House) -> None:
    house.policy.most = 1
    port = await house.serve(Protocol.POP3)
    async with Wire(port) as first:
        await first.line()
        async with Wire(port) as second:
            assert (await second.rest()).startswith(b"-ERR [SYS/TEMP] Too many connections")
        assert house.pop3 is not None
        house.pop3.stop()
        assert (await first.rest()).startswith(b"-ERR [SYS/TEMP] This server is stopping")


async def test_a_removal_that_fails_says_so(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.loopback = True
    await house.add(ONE)
    async with Wire(await house.serve(Protocol.POP3)) as wire:
        await log_in(wire)
        from postroom.mailbox.maildrop import Maildrop
        from postroom.store.api import StoreUnavailable

        async def fail(drop: Maildrop) -> None:
            raise StoreUnavailable("disk full")

        monkeypatch.setattr(Maildrop, "commit", fail)
        wire.writer.write(b"DELE 1\r\nQUIT\r\n")
        await wire.line()
        assert (await wire.line()).startswith(b"-ERR [SYS/TEMP] ")
    house.faults_expected = True


async def test_disabled_in_the_middle(house: House) -> None:
    house.loopback = True
    async with Wire(await house.serve(Protocol.POP3)) as wire:
        assert await log_in(wire) == b"+OK 0 messages"
        await house.store.directory.put_account(replace(ANN, disabled=True))
        assert house.pop3 is not None
        await house.pop3.recheck()
        assert (await wire.rest()).startswith(b"-ERR [SYS/TEMP] This account is disabled")


@pytest.mark.parametrize("stop", [True, False])
async def test_leaving_in_the_handshake(house: House, stop: bool) -> None:
    async with Wire(await house.serve(Protocol.POP3)) as wire:
        await wire.line()
        wire.writer.write(b"STLS\r\n")
        assert (await wire.line()).startswith(b"+OK ")
        assert house.pop3 is not None
        if stop:
            house.pop3.stop()
        else:
            wire.writer.write(b"no handshake\r\n")
        await house.nobody_left()
