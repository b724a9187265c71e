"""What the servers tell of their peers' conduct, and how they turn the banned away."""

from __future__ import annotations

import pytest

from postroom.config import Protocol, TlsMode
from postroom.policy import Offence, Tally

from .house import Admission, House, Wire

HELLO = b"EHLO client.test"
SUBMISSION = (Protocol.SUBMISSION, TlsMode.STARTTLS)


async def conduct(house: House, port: int, *lines: bytes) -> Tally:
    """Say these lines, each after the answer to the last; what was told of the session."""
    async with Wire(port) as wire:
        await wire.reply()
        for line in lines:
            if not await wire.ask(line):
                break
    await house.nobody_left()
    return house.policy.tallies.pop()


@pytest.mark.parametrize("protocol", [Protocol.SMTP, Protocol.SUBMISSION, Protocol.LMTP])
@pytest.mark.parametrize(("final", "code"), [(False, b"421 4.7.0"), (True, b"554 5.7.1")])
async def test_the_banned_hear_why_and_are_gone(house: House, protocol: Protocol, final: bool, code: bytes) -> None:
    house.policy.banned = Admission(False, "192.0.2.1 is turned away", final)
    async with Wire(await house.serve(protocol)) as wire:
        assert await wire.rest() == code + b" 192.0.2.1 is turned away\r\n"
    assert house.policy.tallies == []


async def test_the_banned_hear_why_in_pop3(house: House) -> None:
    house.policy.banned = Admission(False, "192.0.2.1 is turned away")
    async with Wire(await house.serve(Protocol.POP3)) as wire:
        assert await wire.rest() == b"-ERR [SYS/TEMP] 192.0.2.1 is turned away\r\n"


async def test_mail_that_is_welcome(house: House) -> None:
    port = await house.serve(Protocol.SMTP)
    lines = (
        HELLO,
        b"MAIL FROM:<x@far.test>",
        b"RCPT TO:<ann@here.test>",
        b"DATA",
        b"Subject: x\r\n\r\nhi\r\n.",
        b"QUIT",
    )
    assert await conduct(house, port, *lines) == Tally(wanted=True, welcome=1, kept=1)
    assert house.policy.received > 10


async def test_unknown_recipients_and_relaying(house: House) -> None:
    port = await house.serve(Protocol.SMTP)
    recipients = [b"RCPT TO:<nobody%d@here.test>" % number for number in range(3)]
    lines = (HELLO, b"MAIL FROM:<x@far.test>", *recipients, b"RCPT TO:<y@far.test>", b"QUIT")
    assert await conduct(house, port, *lines) == Tally(wanted=True, unknown=3, relaying=1)


async def test_a_message_that_is_refused(house: House) -> None:
    port = await house.serve(Protocol.SMTP)
    loop = b"".join(b"Received: x\r\n" for _ in range(200))
    lines = (HELLO, b"MAIL FROM:<x@far.test>", b"RCPT TO:<ann@here.test>", b"DATA", loop + b"\r\n.", b"QUIT")
    assert await conduct(house, port, *lines) == Tally(wanted=True, welcome=1, refused=1)


@pytest.mark.parametrize("protocol", [Protocol.SMTP, Protocol.SUBMISSION, Protocol.POP3])
async def test_who_wants_nothing(house: House, protocol: Protocol) -> None:
    assert await conduct(house, await house.serve(protocol), b"QUIT") == Tally()


@pytest.mark.parametrize("protocol", [Protocol.SMTP, Protocol.POP3])
async def test_nonsense(house: House, protocol: Protocol) -> None:
    house.limits(smtp_errors=3)
    port = await house.serve(protocol)
    assert await conduct(house, port, *[b"XYZZY"] * 4) == Tally(nonsense=True)


async def test_browsers(house: House) -> None:
    port = await house.serve(Protocol.SMTP)
    assert await conduct(house, port, b"GET / HTTP/1.1") == Tally(nonsense=True)


async def test_lmtp_and_our_own_people_are_not_judged(house: House) -> None:
    async with Wire(await house.serve(Protocol.LMTP)) as wire:
        await wire.reply()
        await wire.ask(b"QUIT")
    await house.nobody_left()
    house.loopback = True
    async with Wire(await house.serve(*SUBMISSION)) as wire:
        await wire.reply()
        await wire.ask(HELLO)
        answer = await wire.ask(b"AUTH PLAIN AGFubkBoZXJlLnRlc3QAc2VjcmV0")
        assert answer.startswith(b"235 "), answer
        await wire.ask(b"QUIT")
    await house.nobody_left()
    assert house.policy.tallies == []


async def test_a_wrong_password_is_the_throttles_business(house: House) -> None:
    house.loopback = True
    port = await house.serve(*SUBMISSION)
    tally = await conduct(house, port, HELLO, b"AUTH PLAIN AGFubkBoZXJlLnRlc3QAd3Jvbmc=", b"QUIT")
    assert tally == Tally(wanted=True)
    assert house.policy.failures == 1


async def test_early_talkers(house: House) -> None:
    house.limits(greeting_delay=5)
    async with Wire(await house.serve(Protocol.SMTP)) as wire:
        assert (await wire.ask(HELLO)).startswith(b"554 ")
    await house.nobody_left()
    assert house.policy.noted == [Offence.EARLY]
    assert house.policy.tallies == [Tally(wanted=True)]
