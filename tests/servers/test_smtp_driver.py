"""SMTP, submission and LMTP over real sockets, with the standard library's client, another one, and by hand."""

from __future__ import annotations

import asyncio
import smtplib
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar, cast

import aiosmtplib
import pytest
from scramp import ScramClient

from postroom.config import Listener, Protocol, TlsMode
from postroom.net import Link
from postroom.store.api import StoreUnavailable

from .house import House, Wire

MAIL = b"From: Ann <ann@here.test>\r\nSubject: hi\r\n\r\nhello\r\n.dot\r\n"
ENVELOPE = b"EHLO client.test\r\nMAIL FROM:<x@far.test>\r\nRCPT TO:<ann@here.test>\r\n"
T = TypeVar("T")


async def blocking(work: Callable[[], T]) -> T:
    return await asyncio.wait_for(asyncio.to_thread(work), 20)


async def test_a_stranger_delivers(house: House) -> None:
    port = await house.serve(Protocol.SMTP)

    def send() -> dict[str, tuple[int, bytes]]:
        with smtplib.SMTP("127.0.0.1", port, local_hostname="client.test") as client:
            client.starttls(context=house.tls)
            return client.sendmail("x@far.test", ["ann@here.test", "nobody@here.test"], MAIL)

    refused = await blocking(send)
    assert list(refused) == ["nobody@here.test"] and refused["nobody@here.test"][0] == 550
    (entry,) = await house.queued()
    content = entry.content.read()
    assert content.endswith(MAIL) and b"with ESMTPS (TLSv1.3 " in content and b"for <ann@here.test>" in content
    assert house.events.of("mail.refused")[0]["code"] == "550 5.1.1"
    await house.nobody_left()


async def test_no_relaying_not_even_on_loopback(house: House) -> None:
    async with Wire(await house.serve(Protocol.SMTP)) as wire:
        await wire.reply()
        await wire.ask(ENVELOPE[:-2].replace(b"\r\nRCPT TO:<ann@here.test>", b""))
        await wire.reply()
        assert (await wire.ask(b"RCPT TO:<y@far.test>")).startswith(b"550 5.7.1 ")
        assert (await wire.ask(b"RCPT TO:<postmaster>"))[:4] in (b"250 ", b"550 ")


async def test_a_large_message_is_spooled(house: House) -> None:
    port = await house.serve(Protocol.SMTP)
    body = b"Subject: big\r\n\r\n" + (b"." + b"x" * 70 + b"\r\n") * 40_000

    def send() -> None:
        with smtplib.SMTP("127.0.0.1", port) as client:
            client.sendmail("x@far.test", ["ann@here.test"], body)

    await blocking(send)
    (entry,) = await house.queued()
    assert entry.content.path and entry.content.read().endswith(body)


async def test_content_above_64_kib_lies_in_a_file(house: House) -> None:
    """Also when it arrives in one piece."""
    async with Wire(await house.serve(Protocol.SMTP)) as wire:
        await wire.reply()
        wire.writer.write(ENVELOPE + b"DATA\r\n")
        for _ in range(4):
            await wire.reply()
        wire.writer.write(b"Subject: x\r\n\r\n" + b"y" * 70 + b"\r\n" * 33_000 + b".\r\n")
        assert (await wire.reply()).startswith(b"250 2.0.0 ")
    (entry,) = await house.queued()
    assert entry.content.path


async def test_submission_over_implicit_tls(house: House) -> None:
    port = await house.serve(Protocol.SUBMISSION, TlsMode.IMPLICIT)
    client = aiosmtplib.SMTP(hostname="localhost", port=port, use_tls=True, tls_context=house.tls, source_address=None)
    async with client:
        with pytest.raises(aiosmtplib.SMTPSenderRefused) as refused:
            await client.sendmail("ann@here.test", ["y@far.test"], MAIL)
        assert refused.value.code == 530
        await client.login("ann@here.test", "secret")
        with pytest.raises(aiosmtplib.SMTPSenderRefused) as refused:
            await client.sendmail("ben@here.test", ["y@far.test"], MAIL)
        assert refused.value.code == 553
        await client.sendmail("ann@here.test", ["y@far.test"], MAIL)
    (entry,) = await house.queued()
    content = entry.content.read()
    assert b"with ESMTPSA" in content and b"\r\nMessage-ID: <" in content and entry.account == "a1"


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"])
async def test_scram(house: House, mechanism: str) -> None:
    port = await house.serve(Protocol.SUBMISSION)

    def log_in(password: str) -> tuple[int, bytes]:
        with smtplib.SMTP("localhost", port) as client:
            client.starttls(context=house.tls)
            client.ehlo()
            binding = ("tls-server-end-point", client.sock) if mechanism.endswith("PLUS") else None
            scram = ScramClient([mechanism], "ann@here.test", password, channel_binding=binding)
            state = ["first"]

            def answer(challenge: bytes | None = None) -> str:
                if state[0] == "first":
                    state[0] = "final"
                    return scram.get_client_first()
                if state[0] == "final":
                    state[0] = "end"
                    assert challenge is not None
                    scram.set_server_first(challenge.decode())
                    return scram.get_client_final()
                assert challenge is not None
                scram.set_server_final(challenge.decode())
                return ""

            return client.auth(mechanism, answer)

    assert (await blocking(lambda: log_in("secret")))[0] == 235
    with pytest.raises(smtplib.SMTPAuthenticationError) as wrong:
        await blocking(lambda: log_in("wrong"))
    assert wrong.value.smtp_code == 535


async def test_credentials_need_tls(house: House) -> None:
    async with Wire(await house.serve(Protocol.SUBMISSION)) as wire:
        await wire.reply()
        await wire.ask(b"EHLO x")
        assert (await wire.ask(b"AUTH PLAIN AGFubkBoZXJlLnRlc3QAc2VjcmV0")).startswith(b"538 5.7.11 ")
        assert (await wire.ask(b"MAIL FROM:<ann@here.test>")).startswith(b"530 5.7.0 ")


async def test_loopback_may_be_trusted_with_passwords(house: House) -> None:
    house.loopback = True
    async with Wire(await house.serve(Protocol.SUBMISSION)) as wire:
        await wire.reply()
        await wire.ask(b"EHLO x")
        assert (await wire.ask(b"AUTH PLAIN AGJlbkBoZXJlLnRlc3QAc2VjcmV0")).startswith(b"525 5.7.13 ")
        assert (await wire.ask(b"AUTH PLAIN eABhbm5AaGVyZS50ZXN0AHNlY3JldA==")).startswith(b"535 5.7.8 ")
        assert (await wire.ask(b"AUTH PLAIN AGFubkBoZXJlLnRlc3QAc2VjcmV0")).startswith(b"235 2.7.0 ")
    assert house.events.names().count("login.failed") == 1


async def test_too_many_failed_logins(house: House) -> None:
    house.loopback = True
    async with Wire(await house.serve(Protocol.SUBMISSION)) as wire:
        await wire.reply()
        await wire.ask(b"EHLO x")
        for _ in range(3):
            assert (await wire.ask(b"AUTH PLAIN AGFubkBoZXJlLnRlc3QAd3Jvbmc=")).startswith(b"535 5.7.8 ")
        assert (await wire.ask(b"AUTH PLAIN AGFubkBoZXJlLnRlc3QAc2VjcmV0")).startswith(b"421 4.7.0 ")
        assert await wire.rest() == b""


async def test_a_directory_that_cannot_be_read(house: House) -> None:
    house.loopback = house.people.broken = house.faults_expected = True
    async with Wire(await house.serve(Protocol.SUBMISSION)) as wire:
        await wire.reply()
        await wire.ask(b"EHLO x")
        assert (await wire.ask(b"AUTH PLAIN AGFubkBoZXJlLnRlc3QAc2VjcmV0")).startswith(b"454 4.7.0 ")


async def test_pipelined_behind_a_slow_login(house: House) -> None:
    house.loopback, house.people.slow = True, asyncio.Event()
    async with Wire(await house.serve(Protocol.SUBMISSION)) as wire:
        await wire.reply()
        await wire.ask(b"EHLO x")
        wire.writer.write(b"AUTH PLAIN AGFubkBoZXJlLnRlc3QAc2VjcmV0\r\nMAIL FROM:<ann@here.test>\r\nRCPT TO:")
        await asyncio.sleep(0)
        house.people.slow.set()
        assert (await wire.reply()).startswith(b"235 ")
        assert (await wire.reply()).startswith(b"250 2.1.0 ")
        assert (await wire.ask(b"<y@far.test>")).startswith(b"250 2.1.5 ")


async def test_lmtp(house: House) -> None:
    port = await house.serve(Protocol.LMTP, TlsMode.NONE)
    async with Wire(port) as wire:
        assert (await wire.reply()).startswith(b"220 mx.here.test LMTP ")
        await wire.ask(ENVELOPE[:-2].replace(b"EHLO", b"LHLO"))
        await wire.reply()
        await wire.reply()
        assert (await wire.ask(b"RCPT TO:<nobody@here.test>")).startswith(b"550 5.1.1 ")
        assert (await wire.ask(b"RCPT TO:<x@slow.test>")).startswith(b"250 ")
        assert (await wire.ask(b"DATA")).startswith(b"354 ")
        assert await wire.ask(b"Subject: x\r\n\r\ny\r\n.") == b"250 2.0.0 Queued as id1"
        assert await wire.reply() == b"250 2.0.0 Queued as id1"
        assert (await wire.ask(b"QUIT")).startswith(b"221 ")
        assert await wire.rest() == b""


async def test_250_only_when_the_queue_has_it(house: House) -> None:
    house.queue.gate = asyncio.Event()
    async with Wire(await house.serve(Protocol.SMTP)) as wire:
        await wire.reply()
        wire.writer.write(ENVELOPE + b"DATA\r\nSubject: x\r\n\r\ny\r\n.\r\nQUIT\r\n")
        for code in (b"250 mx", b"250 2.1.0", b"250 2.1.5", b"354"):
            assert (await wire.reply()).startswith(code) or code == b"250 mx"
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(wire.reader.readline(), 0.05)
        house.queue.gate.set()
        assert (await wire.reply()).startswith(b"250 2.0.0 Queued as id1")
        assert (await wire.reply()).startswith(b"221 ")


async def test_a_queue_that_cannot_take_it(house: House) -> None:
    house.queue.fault = StoreUnavailable("disk full")
    async with Wire(await house.serve(Protocol.SMTP)) as wire:
        await wire.reply()
        wire.writer.write(ENVELOPE + b"DATA\r\nSubject: x\r\n\r\ny\r\n.\r\n")
        for _ in range(4):
            await wire.reply()
        assert (await wire.reply()).startswith(b"452 4.3.1 ")
        house.queue.fault = None
        wire.writer.write(ENVELOPE + b"BDAT 17 LAST\r\nSubject: x\r\n\r\ny\r\n")
        for _ in range(3):
            await wire.reply()
        assert (await wire.reply()).startswith(b"250 2.0.0 Queued")
    assert house.events.of("mail.refused")[0]["reason"] == "disk full"


async def test_what_a_shell_pipe_sends(house: House) -> None:
    """printf … | nc: everything at once, then the end of the stream; the answers still come."""
    house.queue.gate = asyncio.Event()
    async with Wire(await house.serve(Protocol.SMTP)) as wire:
        wire.writer.write(ENVELOPE + b"DATA\r\nSubject: x\r\n\r\ny\r\n.\r\nQUIT\r\n")
        wire.half_close()
        asyncio.get_running_loop().call_later(0.05, house.queue.gate.set)
        answers = (await wire.rest()).splitlines()
    assert answers[-1].startswith(b"221 ") and answers[-2].startswith(b"250 2.0.0 ")


async def test_smuggling_is_refused_to_the_end(house: House) -> None:
    async with Wire(await house.serve(Protocol.SMTP)) as wire:
        await wire.reply()
        wire.writer.write(
            ENVELOPE + b"DATA\r\nhello\n.\nMAIL FROM:<evil@far.test>\n" + b"x" * 70_000 + b"\r\n.\r\nNOOP\r\n"
        )
        for _ in range(4):
            await wire.reply()
        assert (await wire.reply()).startswith(b"550 5.5.2 ")
        assert (await wire.reply()).startswith(b"250 2.0.0 ")
    assert await house.queued() == []


async def test_too_many_connections(house: House) -> None:
    house.policy.most = 1
    port = await house.serve(Protocol.SMTP)
    async with Wire(port) as first:
        assert (await first.reply()).startswith(b"220 ")
        async with Wire(port) as second:
            assert await second.rest() == b"421 4.7.0 Too many connections from 127.0.0.1, 1 are allowed\r\n"
        await first.ask(b"QUIT")
        assert await first.rest() == b""
    async with Wire(port) as third:
        assert (await third.reply()).startswith(b"220 ")


async def test_too_many_messages(house: House) -> None:
    house.policy.messages = 1
    async with Wire(await house.serve(Protocol.SMTP)) as wire:
        await wire.reply()
        await wire.ask(b"HELO x")
        assert (await wire.ask(b"MAIL FROM:<x@far.test>")).startswith(b"250 ")
        await wire.ask(b"RSET")
        assert (await wire.ask(b"MAIL FROM:<x@far.test>")).startswith(b"450 4.7.1 Too many messages")


async def test_who_speaks_first_is_refused(house: House) -> None:
    house.limits(greeting_delay=0.2)
    port = await house.serve(Protocol.SMTP)
    async with Wire(port) as early:
        early.writer.write(b"EHLO spam\r\n")
        assert (await early.rest()).startswith(b"554 5.5.1 ")
    async with Wire(port) as patient:
        assert (await patient.reply()).startswith(b"220 ")


async def test_silence_ends_a_session(house: House) -> None:
    house.limits(idle_smtp=0.1, idle_login=0.1)
    async with Wire(await house.serve(Protocol.SMTP)) as wire:
        assert (await wire.rest()).splitlines()[-1].startswith(b"421 4.4.2 ")
    async with Wire(await house.serve(Protocol.SUBMISSION)) as wire:
        assert (await wire.rest()).splitlines()[-1].startswith(b"421 4.7.0 No login")


async def test_graceful_stop(house: House) -> None:
    house.queue.gate = asyncio.Event()
    port = await house.serve(Protocol.SMTP)
    async with Wire(port) as idle, Wire(port) as busy:
        await idle.reply()
        await busy.reply()
        busy.writer.write(ENVELOPE + b"DATA\r\nSubject: x\r\n\r\ny\r\n.\r\n")
        for _ in range(4):
            await busy.reply()
        await asyncio.wait_for(house.queue.asked.wait(), 10)
        assert house.smtp is not None
        house.smtp.stop()
        assert (await idle.rest()).startswith(b"421 4.3.2 ")
        house.queue.gate.set()
        answers = (await busy.rest()).splitlines()
        assert answers[0].startswith(b"250 2.0.0 ")
        assert answers[-1].startswith(b"421 4.3.2 ")
        async with Wire(port) as late:
            assert (await late.rest()).startswith(b"421 4.3.2 ")


async def test_a_peer_that_goes_away_in_the_middle(house: House) -> None:
    port = await house.serve(Protocol.SMTP)
    async with Wire(port) as wire:
        await wire.reply()
        wire.writer.write(ENVELOPE + b"DATA\r\n" + b"x" * 60 + b"\r\n" * 60_000)
        for _ in range(4):
            await wire.reply()
    await house.nobody_left()
    assert await house.queued() == []


@pytest.mark.parametrize("stop", [True, False])
async def test_leaving_in_the_handshake(house: House, stop: bool) -> None:
    async with Wire(await house.serve(Protocol.SMTP)) as wire:
        await wire.reply()
        await wire.ask(b"EHLO x")
        assert (await wire.ask(b"STARTTLS")).startswith(b"220 ")
        assert house.smtp is not None
        if stop:
            house.smtp.stop()
        else:
            wire.writer.write(b"no handshake\r\n")
        await house.nobody_left()


async def drip(wire: Wire, octets: bytes) -> bytes:
    """Send one octet after the other until the server has had enough; what it said."""
    for octet in octets:
        wire.writer.write(bytes((octet,)))
        try:
            return await asyncio.wait_for(wire.reader.read(200), 0.02)
        except TimeoutError:
            continue
    raise AssertionError("the server still waits")


async def test_octets_now_and_then_do_not_keep_a_message_open(house: House) -> None:
    house.limits(idle_smtp=0.2, transfer_seconds=0.2)
    async with Wire(await house.serve(Protocol.SMTP)) as wire:
        await wire.reply()
        wire.writer.write(ENVELOPE + b"DATA\r\n")
        for _ in range(4):
            await wire.reply()
        assert (await drip(wire, b"x\r\n" * 100)).startswith(b"421 4.4.2 ")
    await house.nobody_left()


class Deadlines:
    """A link that only remembers what its deadline was set to."""

    peer, tls, secure, loopback = ("192.0.2.1", 1), None, False, False
    alive = standing = True

    def __init__(self) -> None:
        self.armed: list[float] = []
        self.said = b""
        self.spoke = asyncio.Event()

    def deadline(self, seconds: float) -> None:
        self.armed.append(seconds)

    def pause(self) -> None: ...
    def resume(self) -> None: ...

    def send_now(self, data: bytes) -> None:
        self.said += data
        self.spoke.set()


async def test_deadlines_in_and_after_a_message(house: House) -> None:
    house.limits(transfer_octets=1000)
    await house.serve(Protocol.SMTP)
    assert house.smtp is not None
    link = Deadlines()
    driver = house.smtp.driver(cast(Link, link), Listener(protocol=Protocol.SMTP, port=25))
    driver.connected()
    driver.received(ENVELOPE + b"DATA\r\n")
    assert b"354 " in link.said
    limits = house.smtp.limits
    steps = [
        (b"y" * 900, []),
        (b"y" * 99, []),
        (b"y", [limits.transfer_seconds]),
        (b"y" * 999, []),
        (b"y" * 5000, [limits.transfer_seconds]),
        (b"\r\n.\r\n", [limits.idle_smtp]),
        (b"NOO", []),
        (b"P\r\n", [limits.idle_smtp]),
    ]
    for data, expected in steps:
        link.armed.clear()
        link.spoke.clear()
        driver.received(data)
        assert link.armed == expected, data
        if data.endswith(b".\r\n"):
            await asyncio.wait_for(link.spoke.wait(), 10)
    driver.closed(None)


async def test_octets_now_and_then_are_no_command(house: House) -> None:
    house.limits(idle_smtp=0.2)
    async with Wire(await house.serve(Protocol.SMTP)) as wire:
        await wire.reply()
        assert (await drip(wire, b"x" * 300)).startswith(b"421 4.4.2 ")


async def test_a_message_that_comes_fast_enough_may_take_its_time(house: House) -> None:
    """More than 64 KiB within each deadline."""
    house.limits(idle_smtp=0.3, transfer_seconds=0.3, transfer_octets=65536)
    async with Wire(await house.serve(Protocol.SMTP)) as wire:
        await wire.reply()
        wire.writer.write(ENVELOPE + b"DATA\r\nFrom: a@b.test\r\n\r\n")
        for _ in range(4):
            await wire.reply()
        for _ in range(12):
            wire.writer.write((b"y" * 70 + b"\r\n") * 1000)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(wire.reader.read(100), 0.08)
        wire.writer.write(b".\r\n")
        assert (await wire.reply()).startswith(b"250 ")


async def test_help_lists_what_may_be_said_here(house: House) -> None:
    async with Wire(await house.serve(Protocol.SMTP)) as wire:
        await wire.reply()
        wire.writer.write(b"HELP\r\n")
        lines = []
        while (line := await wire.line())[3:4] == b"-":
            lines.append(line)
        names = {line[10:].split(b" ")[0] for line in lines}
        assert b"AUTH" not in names and b"STARTTLS" in names
        assert (await wire.ask(b"HELP AUTH")).startswith(b"504 ")


async def test_who_loses_the_account_is_sent_away(house: House) -> None:
    house.loopback = True
    async with Wire(await house.serve(Protocol.SUBMISSION)) as wire:
        await wire.reply()
        await wire.ask(b"EHLO client.test")
        assert (await wire.ask(b"AUTH PLAIN AGFubkBoZXJlLnRlc3QAc2VjcmV0")).startswith(b"235")
        assert house.smtp is not None
        await house.smtp.recheck()
        assert (await wire.ask(b"NOOP")).startswith(b"250")
        row = await house.store.directory.account("a1")
        assert row is not None
        await house.store.directory.put_account(replace(row, disabled=True))
        await house.smtp.recheck()
        assert (await wire.rest()).startswith(b"421 4.7.0 ")
    await asyncio.wait_for(house.smtp.settled(), 5)
