"""The Received field, and what the events of a message are told of its header."""

from __future__ import annotations

import datetime
import email.utils
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from intake_house import ALICE, LMTP, STRANGER, USER

from postroom.intake import header
from postroom.intake.model import Envelope, MailOptions
from postroom.intake.trace import date_time, protocol, received

TLS = "TLSv1.3 X"


@pytest.mark.parametrize(
    ("peer", "utf8", "name"),
    [
        (replace(STRANGER, extended=False), False, "SMTP"),
        (STRANGER, False, "ESMTP"),
        (replace(STRANGER, tls=TLS), False, "ESMTPS"),
        (replace(STRANGER, account=ALICE), False, "ESMTPA"),
        (USER, False, "ESMTPSA"),
        (STRANGER, True, "UTF8SMTP"),
        (USER, True, "UTF8SMTPSA"),
        (LMTP, False, "LMTP"),
        (replace(LMTP, tls=TLS, account=ALICE), False, "LMTPSA"),
        (LMTP, True, "UTF8LMTP"),
    ],
)
def test_with(peer, utf8: bool, name: str) -> None:
    assert protocol(peer, utf8) == name


@given(st.floats(0, 4_000_000_000))
def test_dates_are_those_of_the_standard_library(now: float) -> None:
    moment = datetime.datetime.fromtimestamp(int(now), datetime.UTC)
    assert email.utils.parsedate_to_datetime(date_time(now)) == moment


@given(st.text(max_size=300))
def test_a_name_of_the_peer_cannot_forge_a_header(helo: str) -> None:
    envelope = Envelope(MailOptions(sender=None))
    field = received(replace(STRANGER, helo=helo), envelope, "mx.here.test", "id1", "DATE")
    assert re.fullmatch(
        rb"Received: from [A-Za-z0-9._:\[\]-]+ \(\[192\.0\.2\.7\]\)\r\n\tby mx\.here\.test with ESMTP id id1;"
        rb"\r\n\tDATE\r\n",
        field,
    )


@pytest.mark.parametrize(
    ("field", "sender", "told"),
    [
        (b"From: Bob <bob@far.test>", "bob@far.test", None),
        (b"From: bob@far.test", "bob@far.test", None),
        (b"From: Bob <bob@far.test>", "bounce@far.test", "bob@far.test"),
        (b"From: Bob <xbob@far.test>", "bob@far.test", "xbob@far.test"),
        (b"FROM:\r\n =?utf-8?q?B?= <bob@far.test>", "", "bob@far.test"),
        (b"From: a@x.test, b@x.test", "a@x.test", "a@x.test, b@x.test"),
        (b"From: " + b"a" * 400, "", "a" * 250),
        (b"X-From: bob@far.test", "", None),
        (b"From:", "", None),
    ],
)
def test_the_author_is_told_when_it_is_not_the_sender(field: bytes, sender: str, told: str | None) -> None:
    for head in (field + b"\r\n", b"Subject: x\r\n" + field + b"\r\nTo: y\r\n"):
        assert header.named(head, sender).get("from") == told


@pytest.mark.parametrize(
    ("field", "told"),
    [
        (b"Message-ID: <a@b>", "a@b"),
        (b"message-id:\r\n\t<a@b>", "a@b"),
        (b"Message-Id: a@b", "a@b"),
        (b"Message-ID: <\xff@b>", "\ufffd@b"),
        (b"In-Reply-To: <a@b>", None),
        (b"Message-ID:", None),
    ],
)
def test_the_message_id_is_told_without_brackets(field: bytes, told: str | None) -> None:
    for head in (field + b"\r\n", b"Subject: x\r\n" + field + b"\r\nTo: y\r\n", field):
        assert header.named(head, "").get("message_id") == told
