"""Reports of other servers, read: those of ours, those of the standards, and what only looks like one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from postroom.message.feedback import Feedback
from postroom.message.report import Kind, Report, ReportedRecipient, delivery_report
from postroom.message.status_report import DeliveryStatus, StatusReport, read_report


def report(kind: bytes, body: bytes, original: bytes = b"Message-ID: <x@here.test>\r\nSubject: hi\r\n\r\n") -> bytes:
    return (
        b'From: postmaster@far.test\r\nMIME-Version: 1.0\r\nContent-Type: multipart/report; report-type="x";'
        b' boundary="b"\r\n\r\n--b\r\n\r\nSorry.\r\n--b\r\nContent-Type: %b\r\n\r\n%b\r\n'
        b"--b\r\nContent-Type: message/rfc822\r\n\r\n%b\r\n--b--\r\n" % (kind, body, original)
    )


def test_a_report_of_ours_reads_as_it_was_written() -> None:
    written = delivery_report(
        Report(
            reporting_mta="mx.far.test",
            sender="ann@here.test",
            recipients=(
                ReportedRecipient(
                    address="b@far.test",
                    kind=Kind.FAILED,
                    status="5.1.1",
                    orcpt="rfc822;bob@far.test",
                    remote_mta="in.far.test",
                    reply="550 5.1.1 no such user",
                ),
                ReportedRecipient(address="jörg@far.test", kind=Kind.FAILED, status="5.2.2", reason="full"),
            ),
            original=b"Message-ID: <x@here.test>\r\n\r\nhi\r\n",
            full=True,
            arrival=1.0,
            date=2.0,
            message_id="<r@far.test>",
            boundary="b",
            envid="e1",
        )
    )
    found = read_report(written)
    assert isinstance(found, StatusReport)
    assert (found.reporter, found.envelope, found.message_id) == ("mx.far.test", "e1", "<x@here.test>")
    assert found.recipients == (
        DeliveryStatus(
            final="b@far.test",
            action="failed",
            status="5.1.1",
            original="bob@far.test",
            diagnostic="550 5.1.1 no such user",
            remote="in.far.test",
        ),
        DeliveryStatus(final="jörg@far.test", action="failed", status="5.2.2", diagnostic="full"),
    )


def test_an_arf_report() -> None:
    body = (
        b"Feedback-Type: abuse\r\nUser-Agent: SomeGenerator/1.0\r\nVersion: 1\r\n"
        b"Original-Mail-From: <somespammer@here.test>\r\nOriginal-Rcpt-To: <user@example.com>\r\n"
        b"Reported-Domain: here.test\r\nSource-IP: 192.0.2.1\r\n"
    )
    found = read_report(report(b"message/feedback-report", body))
    assert isinstance(found, Feedback)
    assert (found.type, found.mail_from, found.message_id) == ("abuse", "somespammer@here.test", "<x@here.test>")


def test_what_others_write_otherwise() -> None:
    body = (
        b"Reporting-MTA: dns;mx\n\nOriginal-Recipient: <a@b.test>\nFinal-Recipient: RFC822;a@b.test\n"
        b"Action: Failed\nStatus: 5.1.1 (bad)\n \n\n"
    )
    found = read_report(report(b"message/delivery-status", body))
    assert isinstance(found, StatusReport)
    assert found.recipients == (DeliveryStatus(final="a@b.test", action="failed", status="5.1.1", original="a@b.test"),)
    alone = read_report(report(b"message/delivery-status", b"Final-Recipient: rfc822; a@b.test\r\nStatus: none\r\n"))
    assert isinstance(alone, StatusReport)
    assert alone.recipients[0].status == ""


def test_what_is_no_report() -> None:
    for octets in (
        b"",
        b"Subject: x\r\n\r\nhi",
        report(b"text/plain", b"x: y"),
        report(b"message/delivery-status", b""),
        report(b"message/delivery-status", b"Reporting-MTA: dns; x"),
        report(b"message/feedback-report", b"User-Agent: x"),
    ):
        assert read_report(octets) is None


def test_values_cannot_break_out() -> None:
    body = b"Feedback-Type: abuse\r\nUser-Agent: a\x00\x1b[31m\xff" + b"x" * 5000
    found = read_report(report(b"message/feedback-report", body))
    assert isinstance(found, Feedback)
    assert found.agent.isprintable()
    assert len(found.agent) <= 500


@given(st.binary(max_size=600), st.sampled_from([b"message/delivery-status", b"message/feedback-report"]))
def test_nothing_raises(body: bytes, kind: bytes) -> None:
    read_report(report(kind, body, body))
    read_report(body)
