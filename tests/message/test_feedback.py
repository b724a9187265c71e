"""Feedback reports: samples in the shape of the RFCs, and texts of strangers."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postroom.message.feedback import BadFeedback, Feedback, read_feedback

# in the shape of RFC 5965 Appendix B.2
ABUSE = b"""Feedback-Type: abuse
User-Agent: SomeGenerator/1.0
Version: 1
Original-Mail-From: <somespammer@example.net>
Original-Rcpt-To: <user@example.com>
Original-Rcpt-To: <other@example.com>
Arrival-Date: Thu, 8 Mar 2005 14:00:00 EDT
Reporting-MTA: dns; mail.example.com
Source-IP: [192.0.2.1]
Authentication-Results: mail.example.com; spf=fail
Reported-Domain: Example.net.
Reported-Uri: http://example.net/earn_money.html
Incidents: 3
"""
ORIGINAL = b"From: =?utf-8?q?J=C3=B6rg?= <jorg@example.net>\r\nSubject: Earn\r\n money\r\nMessage-ID: <1@example.net>"


def test_a_complaint() -> None:
    found = read_feedback(ABUSE, ORIGINAL)
    assert found == Feedback(
        type="abuse",
        agent="SomeGenerator/1.0",
        mail_from="somespammer@example.net",
        rcpt_to=("user@example.com", "other@example.com"),
        arrival="Thu, 8 Mar 2005 14:00:00 EDT",
        source_ip="192.0.2.1",
        reporting_mta="dns; mail.example.com",
        domains=("example.net",),
        incidents=3,
        subject="Earn money",
        message_id="<1@example.net>",
        author="Jörg <jorg@example.net>",
    )


def test_a_failure_of_authentication() -> None:  # RFC 6591 3.1
    fields = (
        b"Feedback-Type: auth-failure\r\nAuth-Failure: DMARC\r\nIdentity-Alignment: none\r\nDelivery-Result: reject\r\n"
        b"DKIM-Domain: Example.net\r\nDKIM-Selector: s1\r\n"
    )
    found = read_feedback(fields, b"")
    assert (found.type, found.failure, found.alignment, found.result) == ("auth-failure", "dmarc", "none", "reject")
    assert (found.dkim_domain, found.dkim_selector) == ("example.net", "s1")


@pytest.mark.parametrize("fields", [b"", b"\r\n", b"hello", b"User-Agent: x\r\n", b"Feedback-Type:\r\n"])
def test_what_is_none(fields: bytes) -> None:
    with pytest.raises(BadFeedback):
        read_feedback(fields, ORIGINAL)


def test_everything_is_bounded_and_printable() -> None:
    fields = b"Feedback-Type: abuse\n" + b"Original-Rcpt-To: <%s>\n" % (b"a" * 9000) * 500 + b"User-Agent: a\x1b[31m\n"
    found = read_feedback(fields, b"Subject: =?utf-8?q?=1B[2J?=")
    assert len(found.rcpt_to) == 20
    assert all(len(one) <= 500 for one in found.rcpt_to)
    assert "\x1b" not in found.agent + found.subject


@given(st.binary(max_size=300), st.binary(max_size=300))
@settings(max_examples=100, deadline=None)
def test_any_octets(fields: bytes, original: bytes) -> None:
    with contextlib.suppress(BadFeedback):
        read_feedback(fields, original)
    assert read_feedback(b"Feedback-Type: x\r\n" + fields, original).type
