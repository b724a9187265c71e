"""Delivery reports: what people read, what software reads, and how much of the original goes back."""

from __future__ import annotations

import email
import email.policy
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.message.index import index
from postroom.message.parts import Parts
from postroom.message.report import Kind, Report, ReportedRecipient, delivery_report
from postroom.message.report_text import meaning

from .imap_reader import read_body

ORIGINAL = b"From: a@example.org\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nMessage-ID: <1@example.org>\r\n\r\nbody\r\n"
GONE = ReportedRecipient(
    address="bob@example.net",
    kind=Kind.FAILED,
    status="5.1.1",
    orcpt="rfc822;Bob+2Bx@example.net",
    remote_mta="mx.example.net",
    reply="550-5.1.1 No such user here,\n550 5.1.1 see https://example.net/help",
    last_attempt=1795323756.0,
)
LATE = ReportedRecipient(
    address="carol@example.net",
    kind=Kind.DELAYED,
    status="4.4.1",
    reason="The server did not answer.",
    retry_until=1795755756.0,
)
REPORT = Report(
    reporting_mta="mx.example.org",
    sender="a@example.org",
    recipients=(GONE, LATE),
    original=ORIGINAL,
    full=True,
    arrival=1795323700.0,
    date=1795323760.0,
    message_id="<r1@mx.example.org>",
    boundary="=_report_1",
    envid="QQ+2D314159",
    queue_id="q-1",
)


def bodies(data: bytes) -> list[bytes]:
    parts = Parts.unpack(index(data).parts)
    return [data[part.body_start : part.end] for part in parts.children(parts.root)]


def types(data: bytes) -> list[str]:
    parts = Parts.unpack(index(data).parts)
    return [part.content_type for part in parts.children(parts.root)]


def test_the_whole_report() -> None:
    data = delivery_report(REPORT)
    message = email.message_from_bytes(data, policy=email.policy.default)
    assert message.get_content_type() == "multipart/report"
    assert message.get_param("report-type") == "delivery-status"
    assert message["Auto-Submitted"] == "auto-replied"
    assert message["To"] == "a@example.org"
    assert message["From"] == "Mail delivery <postmaster@mx.example.org>"
    assert message["Message-ID"] == "<r1@mx.example.org>"
    assert message["In-Reply-To"] == message["References"] == "<1@example.org>"
    assert message["Date"] == "Sun, 22 Nov 2026 05:02:40 +0000"
    assert message["Subject"] == "Your message could not be delivered"
    assert types(data) == ["text/plain", "message/delivery-status", "message/rfc822"]
    assert bodies(data)[2] == ORIGINAL
    assert message.defects == []


def test_software_reads_the_status() -> None:
    assert bodies(delivery_report(REPORT))[1].decode() == (
        "Original-Envelope-Id: QQ-314159\r\n"
        "Reporting-MTA: dns; mx.example.org\r\n"
        "Arrival-Date: Sun, 22 Nov 2026 05:01:40 +0000\r\n"
        "\r\n"
        "Original-Recipient: rfc822; Bob+x@example.net\r\n"
        "Final-Recipient: rfc822; bob@example.net\r\n"
        "Action: failed\r\n"
        "Status: 5.1.1\r\n"
        "Remote-MTA: dns; mx.example.net\r\n"
        "Diagnostic-Code: smtp; 550-5.1.1 No such user here, 550 5.1.1 see\r\n"
        " https://example.net/help\r\n"
        "Last-Attempt-Date: Sun, 22 Nov 2026 05:02:36 +0000\r\n"
        "Final-Log-ID: q-1\r\n"
        "\r\n"
        "Final-Recipient: rfc822; carol@example.net\r\n"
        "Action: delayed\r\n"
        "Status: 4.4.1\r\n"
        "Diagnostic-Code: x-postroom; The server did not answer.\r\n"
        "Final-Log-ID: q-1\r\n"
        "Will-Retry-Until: Fri, 27 Nov 2026 05:02:36 +0000\r\n"
    )


def test_people_read_what_happened_and_what_to_do() -> None:
    part = email.message_from_bytes(delivery_report(REPORT), policy=email.policy.default)
    text = part.get_body(("plain",)).get_content()  # type: ignore[union-attr]
    assert text.splitlines() == [
        "This is the mail system of mx.example.org.",
        "",
        "Your message could NOT be delivered to:",
        "",
        "  bob@example.net",
        "    The server mx.example.net said: 550-5.1.1 No such user here, 550 5.1.1",
        "    see https://example.net/help",
        "    That means (5.1.1): There is no such address there.",
        "    What you can do: Check the part before the @ for typing errors, or ask",
        "    the recipient for the right address.",
        "",
        "Your message has not been delivered yet to:",
        "",
        "  carol@example.net",
        "    The server did not answer.",
        "    That means (4.4.1): The other server did not answer.",
        "    We keep trying until Fri, 27 Nov 2026 05:02:36 +0000. You need not send",
        "    it again.",
        "",
        "It is about this message:",
        "  Subject: Grüße",
        "  Received by us: Sun, 22 Nov 2026 05:01:40 +0000",
        "  Our number for it, if you ask your postmaster: q-1",
        "",
        "The message itself is attached.",
    ]


@pytest.mark.parametrize(
    ("kind", "subject"),
    [
        (Kind.FAILED, "Your message could not be delivered"),
        (Kind.DELAYED, "Your message is delayed, nothing to do yet"),
        (Kind.DELIVERED, "Your message was delivered"),
        (Kind.RELAYED, "Your message was passed on"),
        (Kind.EXPANDED, "Your message was passed on to a list"),
    ],
)
def test_kinds(kind: Kind, subject: str) -> None:
    recipient = ReportedRecipient(address="b@example.net", kind=kind, status="2.0.0")
    data = delivery_report(replace(REPORT, recipients=(recipient,), full=False))
    assert email.message_from_bytes(data)["Subject"] == subject
    assert f"Action: {kind.value}\r\n".encode() in bodies(data)[1]
    assert b"b@example.net" in bodies(data)[0]


def test_headers_only() -> None:
    data = delivery_report(replace(REPORT, full=False))
    assert types(data)[2] == "text/rfc822-headers"
    assert bodies(data)[2] == ORIGINAL[: ORIGINAL.index(b"\r\n\r\n") + 4]
    assert b"The header of the message is attached." in bodies(data)[0]


def test_a_message_with_nul_goes_back_as_its_header() -> None:
    data = delivery_report(replace(REPORT, original=ORIGINAL + b"\0"))
    assert types(data)[2] == "text/rfc822-headers" and b"\0" not in data
    assert b"The header of the message is attached." in bodies(data)[0]


def test_rfc6533_forms() -> None:
    bob = replace(GONE, address="bøb@example.net", orcpt="utf-8;b\\x{F8}b@example.net")
    original = "Subject: Grüße\r\n\r\nx\r\n".encode()
    modern = replace(REPORT, recipients=(bob,), original=original, utf8=True)
    data = delivery_report(modern)
    assert types(data) == ["text/plain", "message/global-delivery-status", "message/global"]
    assert "Original-Recipient: utf-8; bøb@example.net\r\nFinal-Recipient: utf-8; bøb@example.net\r\n" in (
        bodies(data)[1].decode()
    )
    assert types(delivery_report(replace(modern, full=False)))[2] == "message/global-headers"
    old = delivery_report(replace(modern, utf8=False, full=False))
    assert old.isascii()
    assert types(old) == ["text/plain", "message/delivery-status", "text/rfc822-headers"]
    assert b"Final-Recipient: utf-8; b\\x{F8}b@example.net\r\n" in bodies(old)[1]
    assert b"Original-Recipient: utf-8; b\\x{F8}b@example.net\r\n" in bodies(old)[1]
    assert b"Gr=C3=BC=C3=9Fe" in bodies(old)[2]


def test_eight_bit_originals_say_so() -> None:
    data = delivery_report(replace(REPORT, original=b"Subject: x\r\n\r\n\xff\r\n"))
    assert b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n" in data
    assert bodies(data)[2] == b"Subject: x\r\n\r\n\xff\r\n"


def test_nobody_writes_into_the_report_from_outside() -> None:
    nasty = replace(
        GONE,
        address="b@example.net>\r\nBcc: all@example.org",
        reply="550 no\r\n\r\n--=_report_1\r\nContent-Type: text/html\r\n\r\n<b>",
        remote_mta="mx\r\nX: y",
        orcpt="rfc822;a+0D+0AX-Injected: yes",
    )
    original = b"Message-ID: <1\r\n\t@x>\nSubject: a\rb\n\n--=_report_1--\nbody\n"
    data = delivery_report(replace(REPORT, recipients=(nasty,), original=original, envid="+0D+0AX: y"))
    assert types(data) == ["text/plain", "message/delivery-status", "message/rfc822"]
    message = email.message_from_bytes(data)
    assert message["Bcc"] is None and message["X"] is None
    assert not any(line.startswith((b"X-Injected", b"X:", b"Bcc")) for line in data.split(b"\r\n"))
    assert data.replace(b"\r\n", b"").count(b"\n") == data.replace(b"\r\n", b"").count(b"\r") == 0


@given(
    st.builds(
        ReportedRecipient,
        address=st.text(max_size=40),
        kind=st.sampled_from(Kind),
        status=st.sampled_from(["5.1.1", "4.9.9", "", "5.7.26", "2.0.0", "x"]),
        orcpt=st.text(max_size=30) | st.text("+0AFX\\x{}utf-8;", max_size=30),
        remote_mta=st.text(max_size=10),
        reply=st.text(max_size=3000),
        reason=st.text(max_size=50),
    ),
    st.binary(max_size=200),
    st.booleans(),
    st.booleans(),
)
def test_any_report_is_sound_mail(recipient: ReportedRecipient, original: bytes, full: bool, utf8: bool) -> None:
    data = delivery_report(replace(REPORT, recipients=(recipient,), original=original, full=full, utf8=utf8))
    assert b"\0" not in data
    assert len(types(data)) == 3
    assert data.replace(b"\r\n", b"").find(b"\n") < 0 and data.replace(b"\r\n", b"").find(b"\r") < 0
    read_body(index(data).bodystructure, extended=True)
    status = bodies(data)[1]
    assert max(map(len, data[: data.index(status)].split(b"\r\n"))) <= 998
    assert utf8 or status.isascii()


def test_codes_have_meanings() -> None:
    assert meaning("5.2.2")[0] == "The mailbox is full."
    assert meaning("4.1.99")[0] == "There is something wrong with the address."
    assert meaning("") == meaning("5.0.0") == meaning("nonsense")
