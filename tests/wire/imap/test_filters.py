"""Named searches as grammar (RFC 5466 4)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.wire.imap.commands import Key, Search, SearchKey
from postroom.wire.imap.errors import BadCharset, BadCommand, BadSyntax
from postroom.wire.imap.events import Line
from postroom.wire.imap.filters import is_filter_name, parse_filter
from postroom.wire.imap.table import parse

ON_THE_ROAD = SearchKey(Key.FILTER, name="on-the-road")


def search(text: bytes) -> Search:
    args = parse(Line(b"a SEARCH " + text)).args
    assert isinstance(args, Search)
    return args


def test_the_key() -> None:
    assert search(b"FILTER on-the-road") == Search(ON_THE_ROAD, uses_filters=True)
    keys = (SearchKey(Key.UID, set=((300, 900),)), SearchKey(Key.NOT, keys=(ON_THE_ROAD,)))
    for charset in (b"", b"CHARSET UTF-8 ", b"CHARSET us-ascii "):
        assert search(charset + b"UID 300:900 NOT filter on-the-road").key == SearchKey(Key.AND, keys=keys)
    assert not search(b"SEEN").uses_filters


@pytest.mark.parametrize("text", [b"FILTER", b"FILTER a/b", b'FILTER "a"', b"FILTER (a)", b"FILTER a*"])
def test_names(text: bytes) -> None:
    with pytest.raises(BadCommand):
        search(text)
    assert not is_filter_name(text.decode().partition(" ")[2])


def test_another_charset_is_bad() -> None:
    """RFC 5466 3.1."""
    with pytest.raises(BadCharset) as fault:
        search(b"CHARSET ISO-8859-1 SUBJECT x FILTER a")
    assert (fault.value.status, fault.value.code) == (b"BAD", b"BADCHARSET (US-ASCII UTF-8)")
    with pytest.raises(BadCharset) as fault:
        search(b"CHARSET X-FROB SUBJECT x FILTER a")
    assert fault.value.status == b"NO"


def test_filters_are_parsed_as_searches_are() -> None:
    value = b'OR SMALLER 5000 FROM "boss@example.com"'
    assert parse_filter(value).key == search(value).key
    assert parse_filter(b"FROM {4}\r\nboss SEEN").key == search(b"FROM boss SEEN").key
    assert parse_filter(b"SUBJECT {4+}\r\n\xc3\xbc\xc3\xb6").key == SearchKey(Key.HEADER, name="SUBJECT", text="üö")
    assert parse_filter(b"MODSEQ 5").uses_modseq
    assert parse_filter(b"(FILTER other)").uses_filters


@pytest.mark.parametrize(
    "value",
    [
        b"", b" ", b"OR SMALLER 5", b"SEEN\r\n", b"SEEN\r\nFLAGGED", b"SEEN ", b" SEEN", b"FROB", b"FROM {9}\r\nabc",
        b"FROM {3}\r\nabc\r\n", b"SUBJECT \xff", b"(SEEN", b"APPEND x {3}\r\nabc", b"RETURN (ALL) SEEN",
        b"CHARSET UTF-8 SEEN", b"FILTER", b"SUBJECT \0",
    ],
)  # fmt: skip
def test_what_is_no_search(value: bytes) -> None:
    with pytest.raises(BadSyntax):
        parse_filter(value)


@given(st.binary(max_size=80))
def test_hostile_values(value: bytes) -> None:
    try:
        found = parse_filter(value)
    except BadSyntax:
        return
    assert isinstance(found, Search)
    assert parse_filter(value) == found
