"""Text, addresses, dates, ids and transfer encodings as people read them."""

from __future__ import annotations

import base64
import binascii
import email.utils
import quopri
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.message.charsets import codec_name
from postroom.message.decode import (
    NamedAddress,
    UndecodableContent,
    decode_parameters,
    decode_pieces,
    decode_transfer,
    decode_words,
    message_ids,
    parse_addresses,
    parse_date,
    to_text,
)

from .soup import octets


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        # RFC 2047 8
        (b"=?US-ASCII?Q?Keith_Moore?= <moore@cs.utk.edu>", "Keith Moore <moore@cs.utk.edu>"),
        (b"=?ISO-8859-1?Q?Keld_J=F8rn_Simonsen?= <keld@dkuug.dk>", "Keld Jørn Simonsen <keld@dkuug.dk>"),
        (
            b"=?ISO-8859-1?B?SWYgeW91IGNhbiByZWFkIHRoaXMgeW8=?=\r\n"
            b" =?ISO-8859-2?B?dSB1bmRlcnN0YW5kIHRoZSBleGFtcGxlLg==?=",
            "If you can read this you understand the example.",
        ),
        (b"(=?ISO-8859-1?Q?a?=)", "(a)"),
        (b"(=?ISO-8859-1?Q?a?= b)", "(a b)"),
        (b"(=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=)", "(ab)"),
        (b"(=?ISO-8859-1?Q?a?=  =?ISO-8859-1?Q?b?=)", "(ab)"),
        (b"(=?ISO-8859-1?Q?a?=\r\n    =?ISO-8859-1?Q?b?=)", "(ab)"),
        (b"(=?ISO-8859-1?Q?a_b?=)", "(a b)"),
        (b"(=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=)", "(a b)"),
        (b"=?utf-8?q?=E2=82?= =?utf-8?q?=AC?=", "€"),
        (b"=?iso-8859-1*en?q?=FC?=", "ü"),
        (b"=?UTF-8?B?4oKs?", "=?UTF-8?B?4oKs?"),
        (b"=?UTF-8?B?4oKs4?=", "€"),
        (b"=?x-nobody?q?a=FC?=", "aü"),
        ("plain ü".encode(), "plain ü"),
        ("grün".encode("latin-1"), "grün"),
        (b"folded\r\n text", "folded text"),
        (b"", ""),
    ],
)
def test_encoded_words(raw: bytes, text: str) -> None:
    assert decode_words(raw) == text


def _can_be_sent(text: str) -> bool:
    """No half of a surrogate pair is left in it: UTF-8 and JSON can carry it."""
    return text.encode().decode() == text


@given(octets)
def test_text_never_fails(raw: bytes) -> None:
    decode_parameters(raw)
    parse_addresses(raw)
    parse_date(raw)
    message_ids(raw)
    assert _can_be_sent(decode_words(raw))
    for charset in ("", "utf-8", "us-ascii", "utf-7", "iso-2022-jp", "hz", "big5", "x-none", "utf-16", "rot13"):
        assert _can_be_sent(to_text(raw, charset))


def test_only_known_charsets_are_looked_up() -> None:
    assert codec_name("ISO-8859-1") == "cp1252"
    assert codec_name("GB2312") == "gb18030"
    assert codec_name("Windows-1251") == "cp1251"
    assert codec_name("koi8-r") == "koi8_r"
    for label in ("rot13", "unicode-escape", "zlib", "hex", "no such", "", "idna", "undefined", "../../x"):
        assert codec_name(label) == ""


@pytest.mark.parametrize(
    ("text", "charset"),
    [
        ("Привет, как дела? Это письмо.", "koi8-r"),
        ("Привет, как дела? Это письмо.", "windows-1251"),
        ("日本語のメールです。", "shift_jis"),
        ("日本語のメールです。", "euc-jp"),
        ("Grüße aus München", "iso-8859-1"),
        ("Größe", "iso-8859-1"),
        ("größer €", "utf-8"),
    ],
)
def test_charset_is_guessed_without_a_label(text: str, charset: str) -> None:
    assert to_text(text.encode(charset)) == text
    assert to_text(text.encode(charset), charset) == text


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        # RFC 5322 A
        (b"Fri, 21 Nov 1997 09:55:06 -0600", (880127706, (1997, 11, 21))),
        (b"Tue, 1 Jul 2003 10:52:37 +0200", (1057049557, (2003, 7, 1))),
        (b"Thu,\r\n 13\r\n Feb\r\n 1969\r\n 23:32\r\n -0330 (Newfoundland Time)", (-27723480, (1969, 2, 13))),
        (b"21 Nov 97 09:55:06 GMT", (880106106, (1997, 11, 21))),
        (b"Fri, 21 Nov 1997 09(comment):   55  :  06 -0600", (880127706, (1997, 11, 21))),
        (b"1 Jan 103 00:00:00 +0000", (1041379200, (2003, 1, 1))),
        (b"1 Jan 49 00:00:00 +0000", (2493072000, (2049, 1, 1))),
        (b"Wed, 17 Jul 1996 02:23:25 PDT", (837595405, (1996, 7, 17))),
        (b"Wed, 17 Jul 1996 02:23:25 Z", (837570205, (1996, 7, 17))),
        (b"Sun Nov 22 05:02:36 2026", (1795323756, (2026, 11, 22))),
        (b"Sun Nov 22 05:02:36 EST 2026", (1795341756, (2026, 11, 22))),
        (b"Sunday, 06-Nov-94 08:49:37 GMT", (784111777, (1994, 11, 6))),
        (b"Mon, 2 January 2023 10:00", (1672653600, (2023, 1, 2))),
        (b"2 Jan 2023", (1672617600, (2023, 1, 2))),
        (b"Sat, 31 Dec 2016 23:59:60 +0000", (1483228800, (2016, 12, 31))),
        (b"Mon, 02 Jan 2023 23:30:00 -0800", (1672731000, (2023, 1, 2))),
        (b"", None),
        (b"yesterday", None),
        (b"32 Jan 2023 10:00:00 +0000", None),
        (b"30 Feb 2023 10:00:00 +0000", None),
        (b"1 Foo 2023 10:00:00 +0000", None),
        (b"1 Jan 2023 25:00:00 +0000", (1672531200, (2023, 1, 1))),  # RFC 5256 2.2: an invalid time is midnight
        (b"2023-01-02T10:00:00Z", None),
    ],
)
def test_dates(raw: bytes, expected: tuple[int, tuple[int, int, int]] | None) -> None:
    assert parse_date(raw) == expected


@given(st.datetimes(min_value=__import__("datetime").datetime(1970, 1, 1)), st.sampled_from(["+0000", "-0730", "GMT"]))
def test_dates_agree_with_the_standard_library(when: object, zone: str) -> None:
    text = f"{when:%a, %d %b} {when.year:04d} {when:%H:%M:%S} {zone}"  # type: ignore[attr-defined]
    found = parse_date(text.encode())
    assert found is not None
    assert found[0] == email.utils.mktime_tz(email.utils.parsedate_tz(text))  # type: ignore[arg-type]


def test_addresses() -> None:
    raw = b'=?utf-8?q?J=C3=BCrgen?= <j@example.org>, "x, y" <"a b"@example.org>, Team: one@example.org, two;, three'
    assert parse_addresses(raw) == [
        NamedAddress("Jürgen", "j", "example.org"),
        NamedAddress("x, y", "a b", "example.org"),
        NamedAddress("", "one", "example.org", "Team"),
        NamedAddress("", "two", "", "Team"),
        NamedAddress("", "three", ""),
    ]
    assert parse_addresses(raw)[0].address == "j@example.org"
    assert parse_addresses("ü <ü@exämple.org>".encode()) == [NamedAddress("ü", "ü", "exämple.org")]


def test_parameters() -> None:
    assert decode_parameters(b"attachment; filename*0*=utf-8''na%C3; filename*1*=%AFve; filename*2=\".txt\"") == {
        "filename": "naïve.txt"
    }
    assert decode_parameters(b"text/plain; name=\"=?iso-8859-1?q?=FC?=\"; NAME*=utf-8''b") == {"name": "b"}
    assert decode_parameters(b'text/plain; name="=?iso-8859-1?q?=FC?="') == {"name": "ü"}


def test_message_ids() -> None:
    assert message_ids(b" <a@b>\r\n <c\r\n d@e> (x) <f>") == [b"<a@b>", b"<cd@e>", b"<f>"]
    assert message_ids(b"a@b your mail of Tuesday") == [b"<a@b>"]
    assert message_ids(b"Your mail of <") == []


@pytest.mark.parametrize(
    ("data", "encoding", "expected"),
    [
        (b"YWJj", "base64", b"abc"),
        (b"YW Jj\r\nZA", "BASE64", b"abcd"),
        (b"YWJj!ZGVm", "base64", b"abcdef"),
        (b"YQ==YmM=", "base64", b"abc"),
        (b"YQ==\r\n\r\n-- list footer", "base64", b"a" + base64.b64decode("listfooter==")),
        (b"YWJjZ", "base64", b"abc"),
        (b"", "base64", b""),
        (b"=", "base64", b""),
        (b"a=3Db=\r\nc  \r\nd=XY", "quoted-printable", b"a=bc\r\nd=XY"),
        (b"soft=  \r\nbreak", "Quoted-Printable", b"softbreak"),
        (b"begin 644 f\r\n#86)C\r\n`\r\nend\r\n", "x-uuencode", b"abc"),
        (b"as is\0\xff", "binary", b"as is\0\xff"),
        (b"as is", b"7BIT", b"as is"),
    ],
)
def test_transfer_encodings(data: bytes, encoding: str | bytes, expected: bytes) -> None:
    assert decode_transfer(data, encoding) == expected


def test_unknown_transfer_encoding() -> None:
    with pytest.raises(UndecodableContent, match="x-nobody"):
        decode_transfer(b"", "X-Nobody")
    with pytest.raises(UndecodableContent):
        list(decode_pieces([b""], "x-nobody"))


@given(st.binary(max_size=400))
def test_what_the_standard_library_encodes_we_decode(data: bytes) -> None:
    assert decode_transfer(base64.encodebytes(data), "base64") == data
    coded = binascii.b2a_qp(data, istext=False)  # as text it would make all line ends alike
    assert decode_transfer(coded, "quoted-printable") == data


@given(octets, st.lists(st.integers(0, 300), max_size=5), st.sampled_from(["base64", "quoted-printable", "8bit"]))
def test_cuts_do_not_matter(data: bytes, cuts: list[int], encoding: str) -> None:
    if encoding == "base64":
        data = base64.encodebytes(data)
    elif encoding == "quoted-printable":
        data = quopri.encodestring(data)
    edges = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    pieces = [data[a:b] for a, b in pairwise(edges)]
    whole = decode_transfer(data, encoding)
    assert b"".join(decode_pieces(pieces, encoding)) == whole


def test_a_line_without_end_is_not_kept_whole() -> None:
    piece = b"=C3=BC" * 20_000 + b"="
    out = decode_pieces([piece, piece[1:] + b"41", b"=42"], "quoted-printable")
    assert b"".join(out) == decode_transfer(piece + piece[1:] + b"41=42", "quoted-printable")
    assert len(next(decode_pieces([piece, b"C3"], "quoted-printable"))) == 40_000


@given(octets, st.sampled_from(["base64", "quoted-printable", "uuencode"]))
def test_any_octets_can_be_decoded(data: bytes, encoding: str) -> None:
    decode_transfer(data, encoding)
    list(decode_pieces([data[:20], data[20:]], encoding))
