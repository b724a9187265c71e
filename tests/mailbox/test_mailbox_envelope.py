"""Fields read back from the ENVELOPE that the index wrote."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postroom.mailbox import envelope
from postroom.mailbox.printed import value_at
from postroom.message.index import index


@pytest.mark.parametrize(
    ("header", "place", "text"),
    [
        (b"Subject: hello", envelope.SUBJECT, "hello"),
        (b"Subject:", envelope.SUBJECT, ""),
        (b"To: x@example.org", envelope.SUBJECT, None),
        (b'Subject: a "quoted\\" word', envelope.SUBJECT, 'a "quoted\\" word'),
        (b"Subject: 8bit \xc3\xa4", envelope.SUBJECT, "8bit ä"),
        (b"Subject: =?utf-8?q?=C3=A4?=", envelope.SUBJECT, "ä"),
        (b"Subject: =?utf-8?q?=C3=A4?=\r\nDate: yesterday", envelope.DATE, "yesterday"),
        (b"Subject: 8bit \xc3\xa4\r\nMessage-ID: <1@x>", envelope.MESSAGE_ID, "<1@x>"),
        (b"Cc: Ann <ann@x.org>, bob@y.org", envelope.CC, "Ann <ann@x.org>, bob@y.org"),
        (b'Bcc: "Doe, \\"J\\"" <j@x.org>', envelope.BCC, 'Doe, "J" <j@x.org>'),
        (b"To: friends: ann@x.org, bob@y.org;", envelope.TO, "friends, ann@x.org, bob@y.org"),
        (b"In-Reply-To: <2@x>", envelope.IN_REPLY_TO, "<2@x>"),
    ],
)
def test_fields(header: bytes, place: int, text: str | None) -> None:
    assert envelope.text(index(header + b"\r\n\r\nbody").envelope, place) == text


_HEADER = st.sampled_from([b"Subject", b"From", b"To", b"Cc", b"Date", b"Message-ID", b"In-Reply-To", b"Bcc"])
_FIELDS = st.lists(st.tuples(_HEADER, st.binary(max_size=40)), max_size=6)


@given(_FIELDS, st.integers(0, 9))
@settings(max_examples=100)
def test_whatever_the_index_wrote_is_read(fields: list[tuple[bytes, bytes]], place: int) -> None:
    data = b"".join(b"%s: %s\r\n" % (name, value) for name, value in fields) + b"\r\n"
    written = index(data).envelope
    values, end = [], 1
    for _ in range(10):
        value, end = value_at(written, end)
        values.append(value)
    assert written[end:] == b")"
    assert envelope.field(written, place) == values[place]


@given(st.binary(max_size=80), st.integers(0, 9))
@settings(max_examples=100)
def test_anything_else_is_nothing(data: bytes, place: int) -> None:
    envelope.text(data, place)
    envelope.text(b"(NIL " + data, place)
    envelope.text(b"({" + b"9" * 5000 + b"}\r\n", place)
