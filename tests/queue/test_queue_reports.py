"""Reports to senders as messages: read back by the standard library."""

from __future__ import annotations

import email
import email.policy
from pathlib import Path

import pytest

from postroom.queue.outcome import Kind, Outcome
from postroom.queue.reports import LARGEST_RETURNED, SenderReports
from postroom.store.api import Entry, NewRecipient, Recipient
from postroom.testing.mailflow import StandingClock
from postroom.values.address import Address
from postroom.values.content import Content

MAIL = b"Received: x\r\nMessage-ID: <1@here.test>\r\nSubject: hi\r\n\r\nbody\r\n"


async def route(address: Address) -> tuple[NewRecipient, ...]:
    if address.local == "unknown":
        return ()
    return (NewRecipient(address=str(address), route="local" if address.domain == "here.test" else "remote"),)


def entry(sender: str = "a@here.test", content: bytes | Content = MAIL, **fields) -> Entry:
    content = Content.of(content) if isinstance(content, bytes) else content
    return Entry(
        id="qid",
        slot=0,
        sender=sender,
        received=1_799_000_000.0,
        size=content.size,
        content=content,
        recipients=(),
        **fields,
    )


def outcome(kind: Kind = Kind.FAILED, remote: str = "mx.far.test", orcpt: str = "", reply: str = "550 no such user"):
    recipient = Recipient(index=0, address="b@far.test", route="remote", orcpt=orcpt)
    return Outcome(recipient=recipient, kind=kind, status="5.1.1", reply=reply, remote=remote)


async def made(what: Entry, kind: str, *outcomes: Outcome):
    reports = SenderReports("mx.here.test", route, StandingClock())
    return await reports.report("rid", what, kind, outcomes, 1_800_100_000.0)


def parts(new) -> tuple:
    message = email.message_from_bytes(new.content.data, policy=email.policy.SMTP)
    text, status, original = message.iter_parts()
    return message, text.get_content(), status.get_payload(), original


async def test_a_failure() -> None:
    new = await made(entry(envid="e+1", ret="HDRS"), "failed", outcome(orcpt="rfc822;list+x@here.test"))
    assert (new.sender, new.body, new.smtputf8) == ("", "7BIT", False)
    assert new.recipients == (NewRecipient(address="a@here.test", route="local"),)
    message, text, (about, recipient), original = parts(new)
    assert message.get_content_type() == "multipart/report"
    assert message["To"] == "a@here.test"
    assert message["Auto-Submitted"] == "auto-replied"
    assert message["In-Reply-To"] == "<1@here.test>"
    assert "b@far.test" in text
    assert about["Reporting-MTA"] == "dns; mx.here.test"
    assert about["Original-Envelope-Id"] == "e+1"
    assert recipient["Original-Recipient"] == "rfc822; list+x@here.test"
    assert recipient["Final-Recipient"] == "rfc822; b@far.test"
    assert (recipient["Action"], recipient["Status"]) == ("failed", "5.1.1")
    assert recipient["Remote-MTA"] == "dns; mx.far.test"
    assert recipient["Diagnostic-Code"] == "smtp; 550 no such user"
    assert original.get_content_type() == "text/rfc822-headers"
    assert b"body" not in new.content.data


async def test_a_failure_of_our_own_has_no_remote() -> None:
    new = await made(entry(), "failed", outcome(remote="", reply="There is no such mailbox here"))
    _, _, (_, recipient), _ = parts(new)
    assert recipient["Remote-MTA"] is None
    assert recipient["Diagnostic-Code"] == "x-postroom; There is no such mailbox here"


async def test_ret_full_returns_the_message() -> None:
    _, _, _, original = parts(await made(entry(ret="FULL"), "failed", outcome()))
    assert original.get_content_type() == "message/rfc822"
    assert original.get_payload(0).get_payload() == "body\r\n"


async def test_a_delay_says_until_when_and_brings_the_header_only() -> None:
    new = await made(entry(ret="FULL"), "delayed", outcome(Kind.DEFERRED))
    _, _, (_, recipient), original = parts(new)
    assert recipient["Action"] == "delayed"
    assert recipient["Will-Retry-Until"]
    assert original.get_content_type() == "text/rfc822-headers"


@pytest.mark.parametrize("kind", [Kind.DELIVERED, Kind.RELAYED])
async def test_success(kind: Kind) -> None:
    _, _, (_, recipient), _ = parts(await made(entry(), kind.value, outcome(kind)))
    assert recipient["Action"] == kind.value


async def test_a_large_message_is_not_returned_whole(tmp_path: Path) -> None:
    path = tmp_path / "large"
    path.write_bytes(MAIL + b"x" * LARGEST_RETURNED)
    content = Content(size=path.stat().st_size, path=str(path))
    new = await made(entry(content=content, ret="FULL"), "failed", outcome())
    assert new.content.size < 10_000


async def test_eight_bit_text_returned_whole_needs_8bitmime() -> None:
    new = await made(entry(content=MAIL + b"\xe4\r\n", ret="FULL"), "failed", outcome())
    assert (new.body, new.smtputf8) == ("8BITMIME", False)


async def test_an_international_sender() -> None:
    new = await made(entry(sender="ä@here.test", smtputf8=True), "failed", outcome())
    assert (new.body, new.smtputf8) == ("8BITMIME", True)


@pytest.mark.parametrize("sender", ["unknown@here.test", "no address"])
async def test_nobody_to_tell(sender: str) -> None:
    assert await made(entry(sender=sender), "failed", outcome()) is None


async def test_it_is_signed_by_whoever_can() -> None:
    async def sign(content: Content, now: float) -> bytes:
        return b"DKIM-Signature: of %d octets\r\n" % content.size

    reports = SenderReports("mx.here.test", route, StandingClock(), sign)
    new = await reports.report("rid", entry(), "failed", [outcome()], 1_800_100_000.0)
    assert new is not None
    assert new.trace == b"DKIM-Signature: of %d octets\r\n" % new.content.size
    assert (await made(entry(), "failed", outcome())).trace == b""
