"""Header fields: walking, values, and octet-exact subsets."""

from __future__ import annotations

import re
from collections import Counter

from hypothesis import given

from postroom.message.fields import field_values, header_fields, select_fields

from .soup import octets

HEADER = b"From: a\r\nSubject : one\r\n two\r\nX-Long:\r\n\tfolded\r\nsubject: again\r\nno field\r\n\r\n"


def test_fields_in_order_unfolded() -> None:
    assert list(header_fields(HEADER)) == [
        (b"From", b"a"),
        (b"Subject", b"one two"),
        (b"X-Long", b"folded"),
        (b"subject", b"again"),
    ]


def test_values_by_name() -> None:
    assert field_values(HEADER, b"SUBJECT") == [b"one two", b"again"]
    assert field_values(HEADER, b"X-Lon") == []
    assert field_values(b"a:1\na: 2\n b\n", b"a") == [b"1", b"2 b"]


def test_subset_is_octet_exact() -> None:
    assert select_fields(HEADER, [b"SUBJECT", b"Missing"]) == (b"Subject : one\r\n two\r\nsubject: again\r\n\r\n")
    assert select_fields(HEADER, {b"from", b"subject"}, invert=True) == b"X-Long:\r\n\tfolded\r\nno field\r\n\r\n"
    assert select_fields(HEADER, [b"none"]) == b"\r\n"
    assert select_fields(b"From: a\r\nTo: b", [b"to"]) == b"To: b"
    assert select_fields(b"From: a\nTo: b\n c\n\n", [b"to"]) == b"To: b\n c\n\n"


@given(octets)
def test_a_subset_and_its_inverse_are_the_header(header: bytes) -> None:
    names = [b"from", b"subject", b"content-type"]
    chosen, rest, whole = (
        Counter(re.findall(rb"[^\n]*\n|[^\n]+", select_fields(header, fields, invert)))
        for fields, invert in ((names, False), (names, True), ([], True))
    )
    empty = {line for line in whole if line in (b"\n", b"\r\n")}  # it stands in every subset
    assert chosen + rest == whole + Counter(empty)
    assert header.startswith(select_fields(header, [], invert=True))


@given(octets)
def test_values_agree_with_the_walk(header: bytes) -> None:
    for name in (b"from", b"to", b"content-type"):
        walked = [value for key, value in header_fields(header) if key.lower() == name]
        assert field_values(header, name) == walked
