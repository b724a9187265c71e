"""Mailbox names and strings: what we print, we can read back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.wire.imap import names, strings
from postroom.wire.imap.errors import BadName
from postroom.wire.imap.scanner import Scanner

# RFC 6855 3: everything but control characters and line separators; surrogates are no characters
NAMES = st.text(st.characters(exclude_categories=("Cc", "Cs"), exclude_characters="\u2028\u2029"), max_size=40).filter(
    lambda name: name.upper() != "INBOX"
)


@pytest.mark.parametrize(
    ("name", "coded"),
    [
        ("~peter/mail/\u53f0\u5317/\u65e5\u672c\u8a9e", b"~peter/mail/&U,BTFw-/&ZeVnLIqe-"),  # RFC 3501 5.1.3
        ("\u263a!", b"&Jjo-!"),
        ("\u53f0\u5317\u65e5\u672c\u8a9e", b"&U,BTF2XlZyyKng-"),
        ("R&D", b"R&-D"),
        ("&", b"&-"),
        ("&&-", b"&-&--"),
        ("", b""),
        ("Entw\u00fcrfe", b"Entw&APw-rfe"),
        ("\U0001f600 x", b"&2D3eAA- x"),
    ],
)
def test_modified_utf7(name: str, coded: bytes) -> None:
    assert names.encode(name) == coded
    assert names.decode(coded) == name
    assert names.encode(name, True) == name.encode()


@given(NAMES)
def test_names_come_back(name: str) -> None:
    coded = names.encode(name)
    assert coded.isascii()
    assert names.decode(coded) == name
    assert names.decode(names.encode(name, True), True) == name


@given(NAMES, st.booleans())
def test_printed_names_are_read_back(name: str, utf8: bool) -> None:
    for printed in (names.printed(name, utf8), names.as_astring(name, utf8)):
        literal, _, octets = printed.partition(b"\r\n")
        scanner = Scanner(literal + b"\r\n", (octets,), utf8) if octets else Scanner(printed, (), utf8)
        assert scanner.mailbox() == name
        scanner.end()


@given(st.binary(max_size=30).map(lambda raw: b"&" + raw))
def test_one_form_only(raw: bytes) -> None:
    """What decodes as modified UTF-7 encodes to the same octets: a mailbox has one name on the wire."""
    try:
        name = names.decode_utf7(raw)
    except BadName:
        return
    assert names.encode_utf7(name) == raw


@given(st.text("&ABCDw,-+/=a", max_size=12).map(str.encode))
def test_one_form_only_near_the_grammar(raw: bytes) -> None:
    try:
        name = names.decode_utf7(raw)
    except BadName:
        return
    assert names.encode_utf7(name) == raw


def test_inbox() -> None:
    assert {names.decode(raw) for raw in (b"inbox", b"INBOX", b"InBox")} == {"INBOX"}
    assert names.decode(b"inbox/x") == "inbox/x"
    assert names.decode_pattern(b"inb*") == "inb*"


@given(st.binary(max_size=60), st.booleans())
def test_strings_come_back(value: bytes, utf8: bool) -> None:
    for printed in (strings.string(value, utf8), strings.astring(value, utf8), strings.nstring(value, utf8)):
        if printed.startswith((b"{", b"~{")):
            head, _, octets = printed.partition(b"\r\n")
            assert octets == value
            assert head == (b"~{%d}" if b"\0" in value else b"{%d}") % len(value)
        else:
            scanner = Scanner(printed, (), utf8)
            assert scanner.astring() == value
            scanner.end()
            assert utf8 or printed.isascii()


def test_nil_and_long_strings() -> None:
    assert strings.nstring(None) == b"NIL"
    assert strings.astring(b"nil") == b'"nil"'
    assert strings.astring(b"") == b'""'
    assert strings.string(b"x" * 2000) == b"{2000}\r\n" + b"x" * 2000
    assert strings.string("é".encode()) == b"{2}\r\n\xc3\xa9"
    assert strings.string("é".encode(), True) == b'"\xc3\xa9"'
    assert strings.string(b"\xff", True) == b"{1}\r\n\xff"
    assert strings.literal_start(5, binary=True) == b"~{5}\r\n"
