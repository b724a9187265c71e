"""The index of a message: envelope, structures and offsets, on mail as it should be and as it is."""

from __future__ import annotations

import pytest

from postroom.message.index import IndexLimits, MessageIndex, index
from postroom.message.parts import Parts

from .imap_reader import read_body, read_envelope


def crlf(text: str) -> bytes:
    return text.replace("\n", "\r\n").encode()


def envelope(text: str) -> dict[str, object]:
    return read_envelope(index(crlf(text)).envelope)


def structure(text: str | bytes) -> dict[str, object]:
    found = index(crlf(text) if isinstance(text, str) else text)
    read_body(found.structure)
    return read_body(found.bodystructure, extended=True)


def section(message: bytes, numbers: tuple[int, ...], text: str = "") -> bytes | None:
    where = Parts.unpack(index(message).parts).section(numbers, text)
    return None if where is None else message[slice(*where)]


def test_rfc9051_8_example() -> None:
    found = index(
        crlf("""\
Date: Wed, 17 Jul 1996 02:23:25 -0700 (PDT)
From: Terry Gray <gray@cac.washington.edu>
Subject: IMAP4rev1 WG mtg summary and minutes
To: imap@cac.washington.edu
cc: minutes@CNRI.Reston.VA.US, John Klensin <KLENSIN@MIT.EDU>
Message-Id: <B27397-0100000@cac.washington.edu>
MIME-Version: 1.0
Content-Type: TEXT/PLAIN; CHARSET=US-ASCII

one
two
""")
    )
    assert found.envelope == (
        b'("Wed, 17 Jul 1996 02:23:25 -0700 (PDT)" "IMAP4rev1 WG mtg summary and minutes"'
        b' (("Terry Gray" NIL "gray" "cac.washington.edu")) (("Terry Gray" NIL "gray" "cac.washington.edu"))'
        b' (("Terry Gray" NIL "gray" "cac.washington.edu")) ((NIL NIL "imap" "cac.washington.edu"))'
        b' ((NIL NIL "minutes" "CNRI.Reston.VA.US")("John Klensin" NIL "KLENSIN" "MIT.EDU")) NIL NIL'
        b' "<B27397-0100000@cac.washington.edu>")'
    )
    assert found.structure == b'("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" 10 2)'
    assert found.bodystructure == b'("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" 10 2 NIL NIL NIL NIL)'


RFC9051_PARTS = """\
Subject: all kinds
Content-Type: multipart/mixed; boundary=outer

preamble
--outer
Content-Type: text/plain

part 1
--outer
Content-Type: application/octet-stream

part 2
--outer
Content-Type: message/rfc822

Subject: inner of 3
Content-Type: multipart/mixed; boundary=inner3

--inner3

part 3.1
--inner3
Content-Type: application/octet-stream

part 3.2
--inner3--
--outer
Content-Type: multipart/mixed; boundary=four

--four
Content-Type: image/gif

part 4.1
--four
Content-Type: message/rfc822

Subject: inner of 4.2
Content-Type: multipart/mixed; boundary=inner42

--inner42

part 4.2.1
--inner42
Content-Type: multipart/alternative; boundary=deep

--deep

part 4.2.2.1
--deep
Content-Type: text/richtext

part 4.2.2.2
--deep--
--inner42--
--four--
--outer--
epilogue
"""


@pytest.mark.parametrize(
    ("numbers", "text", "expected"),
    [
        ((), "HEADER", b"Subject: all kinds\r\nContent-Type: multipart/mixed; boundary=outer\r\n\r\n"),
        ((1,), "", b"part 1"),
        ((2,), "", b"part 2"),
        ((2,), "MIME", b"Content-Type: application/octet-stream\r\n\r\n"),
        ((3,), "HEADER", b"Subject: inner of 3\r\nContent-Type: multipart/mixed; boundary=inner3\r\n\r\n"),
        ((3, 1), "", b"part 3.1"),
        ((3, 1), "MIME", b"\r\n"),
        ((3, 2), "", b"part 3.2"),
        ((4, 1), "", b"part 4.1"),
        ((4, 1), "MIME", b"Content-Type: image/gif\r\n\r\n"),
        ((4, 2), "MIME", b"Content-Type: message/rfc822\r\n\r\n"),
        ((4, 2), "HEADER", b"Subject: inner of 4.2\r\nContent-Type: multipart/mixed; boundary=inner42\r\n\r\n"),
        ((4, 2, 1), "", b"part 4.2.1"),
        ((4, 2, 2, 1), "", b"part 4.2.2.1"),
        ((4, 2, 2, 2), "", b"part 4.2.2.2"),
        ((4, 2, 2, 2), "MIME", b"Content-Type: text/richtext\r\n\r\n"),
        ((1,), "HEADER", None),
        ((4,), "TEXT", None),
        ((5,), "", None),
        ((0,), "", None),
        ((1, 1), "", None),
        ((4, 2, 2, 2, 1), "", None),
        ((), "MIME", None),
    ],
)
def test_rfc9051_6_4_5_1_sections(numbers: tuple[int, ...], text: str, expected: bytes | None) -> None:
    assert section(crlf(RFC9051_PARTS), numbers, text) == expected


def test_text_sections_reach_to_the_end() -> None:
    message = crlf(RFC9051_PARTS)
    assert section(message, ()) == message
    text = section(message, (), "TEXT")
    assert text is not None and text.startswith(b"preamble\r\n") and text.endswith(b"epilogue\r\n")
    inner, header, body = (section(message, (3,), part) for part in ("", "HEADER", "TEXT"))
    assert header is not None and body is not None and inner == header + body
    assert (
        body == b"--inner3\r\n\r\npart 3.1\r\n--inner3\r\nContent-Type: application/octet-stream\r\n\r\n"
        b"part 3.2\r\n--inner3--"
    )


def test_single_part_message_has_part_1() -> None:
    message = b"Subject: x\r\nContent-Type: text/plain\r\n\r\nbody\r\n"
    assert section(message, (1,)) == b"body\r\n"
    assert section(message, (1,), "MIME") == b"Subject: x\r\nContent-Type: text/plain\r\n\r\n"
    assert section(message, (2,)) is None
    assert section(message, (1, 1)) is None


def test_message_that_is_a_message() -> None:
    message = b"Content-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\ntext"
    assert section(message, (1,)) == b"Subject: in\r\n\r\ntext"
    assert section(message, (1,), "HEADER") == b"Subject: in\r\n\r\n"
    assert section(message, (1, 1)) == b"text"
    found = structure(message)
    assert found["envelope"]["subject"] == b"in"  # type: ignore[index]
    assert found["lines"] == 2


def test_lead_moves_every_offset() -> None:
    message = crlf(RFC9051_PARTS)
    lead = b"Received: from a\r\n by b\r\n"
    plain, led = index(message), index(message, len(lead))
    assert (plain.envelope, plain.bodystructure) == (led.envelope, led.bodystructure)
    assert led.header == plain.header + len(lead)
    parts = Parts.unpack(led.parts)
    whole = lead + message
    assert parts.section(()) == (0, len(whole))
    start, end = parts.section((), "HEADER") or (0, 0)
    assert whole[start:end].startswith(lead) and end == led.header
    start, end = parts.section((4, 2, 2, 2)) or (0, 0)
    assert whole[start:end] == b"part 4.2.2.2"


def test_addresses() -> None:
    found = envelope("""\
From: "Doe, \\"Jo\\" (x)" <"jo doe"@example.org>
Sender: sender@example.org (The Sender)
Reply-To: <@relay.example,@b.example:reply@example.org>
To: Team: a@example.org, "B" <b@example.org>;, Nobody:;, plain, <c@[192.0.2.1]>,
 (a (nested) comment) d . e @ example . org
Cc: , ,
Bcc:

""")
    assert found["from"] == [(b'Doe, "Jo" (x)', None, b"jo doe", b"example.org")]
    assert found["sender"] == [(b"The Sender", None, b"sender", b"example.org")]
    assert found["reply-to"] == [(None, b"@relay.example,@b.example", b"reply", b"example.org")]
    assert found["to"] == [
        (None, None, b"Team", None),
        (None, None, b"a", b"example.org"),
        (b"B", None, b"b", b"example.org"),
        (None, None, None, None),
        (None, None, b"Nobody", None),
        (None, None, None, None),
        (None, None, b"plain", b""),
        (None, None, b"c", b"[192.0.2.1]"),
        (b"a (nested) comment", None, b"d.e", b"example.org"),
    ]
    assert found["cc"] == [] and found["bcc"] == []


def test_sender_and_reply_to_default_to_from() -> None:
    found = envelope("From: a@example.org\nSender:\nReply-To: ,\n\n")
    assert found["sender"] == found["reply-to"] == found["from"] == [(None, None, b"a", b"example.org")]
    assert envelope("Subject: nobody\n\n")["from"] == []


def test_empty_fields_and_missing_ones() -> None:
    found = envelope("Subject:\nMessage-ID: \n\n")
    assert found["subject"] == b"" and found["message-id"] == b""
    assert found["date"] is None and found["in-reply-to"] is None


def test_first_of_repeated_fields_counts_and_addresses_join() -> None:
    found = envelope("Subject: one\nSubject: two\nTo: a@x.example\nTO : b@x.example\n\n")
    assert found["subject"] == b"one"
    assert [each[2] for each in found["to"]] == [b"a", b"b"]  # type: ignore[attr-defined]


def test_encoded_words_stay_and_eight_bit_is_a_literal() -> None:
    message = "Subject: =?utf-8?q?J=C3=BC?=\n ü\nFrom: Jürgen <jürgen@müller.example>\n\n"
    found = index(crlf(message))
    assert b"{19}\r\n=?utf-8?q?J=C3=BC?= " not in found.envelope
    assert read_envelope(found.envelope)["subject"] == "=?utf-8?q?J=C3=BC?= ü".encode()
    assert read_envelope(found.envelope)["from"] == [
        ("Jürgen".encode(), None, "jürgen".encode(), "müller.example".encode())
    ]


def test_nul_never_comes_out() -> None:
    found = index(b'Subject: a\0b\r\nFrom: "x\0y" <a\0@b>\r\nContent-Type: text/plain; name="q\0"\r\n\r\n\0')
    for text in (found.envelope, found.structure, found.bodystructure):
        assert b"\0" not in text
    assert read_envelope(found.envelope)["subject"] == b"ab"


@pytest.mark.parametrize("end", ["\r\n", "\n"])
def test_line_ends_do_not_matter(end: str) -> None:
    message = RFC9051_PARTS.replace("\n", end).encode()
    assert section(message, (3, 2)) == b"part 3.2"
    assert section(message, (4, 2, 2, 2)) == b"part 4.2.2.2"
    assert section(message, (4, 1), "MIME") == f"Content-Type: image/gif{end}{end}".encode()


def test_the_first_empty_line_ends_the_header() -> None:
    assert section(b"a: b\n\n\r\n", (), "HEADER") == b"a: b\n\n"
    assert section(b"a: b\r\n\r\n\n\n", (), "HEADER") == b"a: b\r\n\r\n"


def test_mixed_line_ends() -> None:
    message = (
        b"Subject: a\n b\r\nContent-Type: multipart/mixed;\n boundary=b\n\r\n--b\n\r\none\n--b\r\n\ntwo\r\n--b--\n"
    )
    assert read_envelope(index(message).envelope)["subject"] == b"a b"
    assert section(message, (1,)) == b"one"
    assert section(message, (2,)) == b"two"


@pytest.mark.parametrize(
    "value",
    [
        'boundary="b"',
        "boundary=b",
        "boundary*=us-ascii''b",
        'boundary*0=""; boundary*1=b',
        "boundary*0*=utf-8''%62",
        'charset=x; (comment; boundary=no) boundary (c) = "\\b"',
        "; ; boundary=b;",
        "type=foo bar; boundary=b",
    ],
)
def test_boundary_spellings(value: str) -> None:
    message = crlf(f"Content-Type: multipart/mixed; {value}\n\n--b\n\none\n--b\n\ntwo\n--b--\n")
    assert [section(message, (number,)) for number in (1, 2, 3)] == [b"one", b"two", None]


def test_rfc2231_continued_boundary() -> None:
    message = crlf(
        "Content-Type: multipart/mixed;\n boundary*0*=utf-8'en'=_one;\n boundary*1=\" two\";\n boundary*2*=%20three\n"
        "\n--=_one two three\n\n1\n--=_one two three\n\n2\n--=_one two three--\n"
    )
    assert [section(message, (number,)) for number in (1, 2)] == [b"1", b"2"]


def test_rfc2231_parameters() -> None:
    found = structure("""\
Content-Type: application/x-stuff;
 title*0*=us-ascii'en'This%20is%20even%20more%20;
 title*1*=%2A%2A%2Afun%2A%2A%2A%20;
 title*2="isn't it!"; url*0="ftp://"; url*1="cs.utk.edu"
Content-Disposition: attachment; filename*=utf-8''na%C3%AFve.txt; filename="naive.txt"

""")
    assert found["parameters"] == {
        "TITLE*": b"us-ascii'en'This%20is%20even%20more%20%2A%2A%2Afun%2A%2A%2A%20isn%27t%20it!",
        "URL": b"ftp://cs.utk.edu",
    }
    assert found["disposition"] == (
        "ATTACHMENT",
        {"FILENAME*": b"utf-8''na%C3%AFve.txt", "FILENAME": b"naive.txt"},
    )


def test_extension_data() -> None:
    found = structure("""\
Content-Type: Text/HTML; charset="utf-8"; format=flowed
Content-Transfer-Encoding: Quoted-Printable (really)
Content-ID: <id@example.org>
Content-Description: a "nice" part
Content-Disposition: inline; size=12
Content-Language: de, en-GB (both)
Content-Location: https://example.org/a
 /long/path
Content-MD5: Q2hlY2sgSW50ZWdyaXR5IQ==

x
y""")
    assert found == {
        "type": "TEXT",
        "subtype": "HTML",
        "parameters": {"CHARSET": b"utf-8", "FORMAT": b"flowed"},
        "id": b"<id@example.org>",
        "description": b'a "nice" part',
        "encoding": "QUOTED-PRINTABLE",
        "octets": 4,
        "lines": 1,
        "md5": b"Q2hlY2sgSW50ZWdyaXR5IQ==",
        "disposition": ("INLINE", {"SIZE": b"12"}),
        "language": [b"de", b"en-GB"],
        "location": b"https://example.org/a/long/path",
    }


def test_defaults() -> None:
    assert structure("Subject: x\n\n")["parameters"] == {"CHARSET": b"US-ASCII"}
    assert structure("Content-Type: text/html\n\n")["parameters"] == {"CHARSET": b"US-ASCII"}
    assert structure("Content-Type: garbage\n\n")["subtype"] == "PLAIN"
    assert structure("Content-Type: image/png\n\n")["parameters"] == {}
    assert structure("Content-Transfer-Encoding: x-weird stuff\n\n")["encoding"] == "X-WEIRD STUFF"


def test_digest_parts_are_messages() -> None:
    found = structure("""\
Content-Type: multipart/digest; boundary=b

--b

From: a@example.org
Subject: one

text
--b
Content-Type: text/plain

plain
--b--
""")
    first, second = found["parts"]  # type: ignore[misc]
    assert first["subtype"] == "RFC822" and first["envelope"]["subject"] == b"one"
    assert second["type"] == "TEXT"


def test_outer_boundary_wins_over_unclosed_inner() -> None:
    message = crlf("""\
Content-Type: multipart/mixed; boundary=out

--out
Content-Type: multipart/alternative; boundary=in

--in

first
--out

second
--in

still second
--out--
""")
    assert section(message, (1, 1)) == b"first"
    assert section(message, (2,)) == b"second\r\n--in\r\n\r\nstill second"
    assert section(message, (3,)) is None


def test_boundary_that_begins_like_another() -> None:
    message = crlf("""\
Content-Type: multipart/mixed; boundary=b

--b
Content-Type: multipart/mixed; boundary=b-inner

--b-inner

one
--b-inner--
--b \t
\ntwo
--b--x
--b-- \t""")
    assert section(message, (1, 1)) == b"one"
    assert section(message, (2,)) == b"two\r\n--b--x"


def test_multiparts_without_parts() -> None:
    for text in ("", "no boundary here\n", "--b--\n"):
        found = structure(f"Content-Type: multipart/mixed; boundary=b\n\n{text}")
        assert [part["type"] for part in found["parts"]] == ["TEXT"]  # type: ignore[attr-defined]
    message = b"Content-Type: multipart/mixed\r\n\r\nreadable"
    assert section(message, (1,)) == b"readable"


def test_missing_close_and_epilogue() -> None:
    head = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
    assert section(head + b"--b\r\n\r\none\r\n", (1,)) == b"one\r\n"
    assert section(head + b"--b\r\n\r\none\r\n--b--\r\n--b\r\n\r\ntwo", (2,)) is None
    assert section(head + b"--b\r\n--b\r\n\r\ntwo\r\n--b--", (1,)) == b""
    assert section(head + b"--b\r\n--b\r\n\r\ntwo\r\n--b--", (2,)) == b"two"


def test_limits() -> None:
    deep = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(300))
    found = index(deep)
    read_body(found.bodystructure, extended=True)
    assert max(part.depth for part in Parts.unpack(found.parts).walk()) <= 101
    nested = b"Content-Type: message/rfc822\r\n\r\n" * 300
    assert len(Parts.unpack(index(nested).parts)) <= 102
    read_body(index(nested).bodystructure, extended=True)
    many = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\nx\r\n" * 500
    few = index(many, limits=IndexLimits(parts=100))
    assert len(Parts.unpack(few.parts)) == 100
    long = b"Subject: first\r\nX: " + b"x" * 5000 + b"\r\nFrom: a@b\r\n\r\nbody"
    short = index(long, limits=IndexLimits(header=1000))
    assert read_envelope(short.envelope)["subject"] == b"first"
    assert read_envelope(short.envelope)["from"] == []
    assert short.header == len(long) - 4


def test_nothing_at_all() -> None:
    found = index(b"")
    assert found == MessageIndex(
        b"(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)",
        b'("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" 0 0)',
        b'("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" 0 0 NIL NIL NIL NIL)',
        found.parts,
        0,
    )
    assert Parts.unpack(found.parts).section(()) == (0, 0)
    assert section(b"\r\nbody", (), "TEXT") == b"body"
    assert section(b"Subject: no body", (), "HEADER") == b"Subject: no body"


def test_unpack_refuses_what_it_did_not_write() -> None:
    for data in (b"", b"\0", b"\7\1\0\0\0", b"\0\xff\xff\xff\xff", b"\0\0\0\0\0", index(b"x").parts[:-1][:9]):
        with pytest.raises(ValueError, match="not packed parts"):
            Parts.unpack(data)


def test_far_offsets_fit() -> None:
    found = Parts.unpack(index(b"\r\nx", lead=1 << 33).parts)
    assert found.section((), "TEXT") == ((1 << 33) + 2, (1 << 33) + 3)
