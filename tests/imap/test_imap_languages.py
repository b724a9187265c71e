"""I18NLEVEL=1: SEARCH, SORT and THREAD in every language (RFC 5255 4, RFC 5051)."""

from __future__ import annotations

import base64

import pytest
from imap_house import NOW, Client, House

from postroom.mailbox.incoming import Incoming
from postroom.message.decode import readable
from postroom.values.content import Content


def word(text: str, charset: str = "utf-8") -> bytes:
    """RFC 2047, base64."""
    return encoded(text.encode(charset), charset)


def encoded(octets: bytes, charset: str) -> bytes:
    return b"=?%b?B?%b?=" % (charset.encode(), base64.b64encode(octets))


async def client_with(house: House, *messages: bytes) -> Client:
    account = await house.mailboxes.open(await house.store.directory.account("ann-example.org"))
    info = await account.find("INBOX")
    await account.append(
        info.id,
        [Incoming(content=Content.of(message), internaldate=NOW + number) for number, message in enumerate(messages)],
    )
    return await house.selected()


async def found(client: Client, command: str) -> str:
    [line] = await client.do(command)
    return line.partition(" ")[2].partition(" ")[2]


async def test_it_is_announced(house: House) -> None:
    [line] = await (await house.login()).do("CAPABILITY")
    assert "I18NLEVEL=1" in line.split()


async def test_the_example_of_the_rfc(house: House) -> None:
    """RFC 5255 4.6: what no charset fits comes last, by its octets."""
    one = bytes.fromhex("D0 C0 D0 BD D0 B4 D1 80 D0 B5 D0 B9")
    two = bytes.fromhex("D1 81 D0 95 D0 A0 D0 93 D0 95 D0 99")
    three = bytes.fromhex("D0 92 D0 B0 D1 81 D0 B8 D0 BB D0 B8 FF B9")
    four = bytes.fromhex("E1 CC C5 CB D3 C5 CA")
    subjects = [encoded(each, "utf-8") for each in (one, two, three)] + [encoded(four, "koi8-r")]
    client = await client_with(house, *[b"Subject: %b\r\n\r\nx\r\n" % each for each in subjects])
    assert await found(client, "SORT (SUBJECT) UTF-8 ALL") == "4 2 3 1"
    assert await found(client, "SORT (REVERSE SUBJECT) US-ASCII ALL") == "1 3 2 4"
    names = [b'From: "%b" <x@example.org>\r\n\r\nx\r\n' % each for each in subjects]
    names = [each.replace(b'"', b"") for each in names]
    client = await client_with(house, *names)
    assert await found(client, "SORT (DISPLAYFROM) UTF-8 5:8") == "8 6 7 5"


async def test_sort_and_thread_compare_by_casemap(house: House) -> None:
    subjects = [
        word("Zebra"),
        word("äpfel"),
        b"apfel",
        word("Ämter"),
        b"Re: " + word("ÄPFEL"),
        word("Re: a\u0308PFEL"),
        "Яблоко".encode(),  # 8-bit, as RFC 6532 has it
        word("яблоко", "koi8-r"),
    ]
    client = await client_with(house, *[b"Subject: %b\r\n\r\nx\r\n" % each for each in subjects])
    # by octets of the decomposed titlecase: "AMTER" with its mark comes after every plain "A..."
    assert await found(client, "SORT (SUBJECT) UTF-8 ALL") == "3 4 2 5 6 1 7 8"
    assert (await client.do("THREAD ORDEREDSUBJECT UTF-8 ALL")) == ["* THREAD (1)(2 (5)(6))(3)(4)(7 8)"]
    assert (await client.do("THREAD REFERENCES UTF-8 ALL")) == ["* THREAD (1)(2 (5)(6))(3)(4)((7)(8))"]


SAME = [
    ("straße", "STRAßE", "utf-8"),
    ("ΟΔΟΣ", "οδος", "utf-8"),
    ("Привет", "ПРИВЕТ", "koi8-r"),
    ("Café", "CAFE\u0301", "utf-8"),
    ("Ǆ", "ǆ", "utf-8"),
    ("ﬁn", "FIN", "utf-8"),
    ("ＡＢＣ", "abc", "utf-8"),
    ("東京", "東京", "iso-2022-jp"),
    ("ÅNGSTRÖM", "a\u030angstro\u0308m", "iso-8859-1"),
    ("ſet", "SET", "utf-8"),
]


@pytest.mark.parametrize(("kept", "wanted", "charset"), SAME)
async def test_searches_find_what_casemap_finds(house: House, kept: str, wanted: str, charset: str) -> None:
    """RFC 5255 4.2: in each key that compares text, and only where it stands."""
    subject = b"Subject: %b\r\n\r\nx\r\n" % word(kept, charset)
    sender = b"From: %b <x@example.org>\r\nTo: y@example.org\r\n\r\nx\r\n" % word(kept, charset)
    field = b"X-Odd: %b\r\n\r\nx\r\n" % word(kept, charset)
    body = b"Content-Type: text/plain; charset=%b\r\nContent-Transfer-Encoding: base64\r\n\r\n%b\r\n" % (
        charset.encode(),
        base64.b64encode(kept.encode(charset)),
    )
    client = await client_with(house, subject, sender, field, body)
    size = len(wanted.encode())
    for key, numbers in (("SUBJECT", "1"), ("FROM", "2"), ("HEADER X-Odd", "3"), ("BODY", "4"), ("TEXT", "1 2 3 4")):
        heard = await client.feed(
            b"a SEARCH CHARSET UTF-8 %b {%d+}\r\n" % (key.encode(), size) + wanted.encode() + b"\r\n"
        )
        assert heard.startswith(f"* SEARCH {numbers}\r\n".encode()), (key, heard)


async def test_octets_that_are_no_text_are_found_by_what_can_be_read(house: House) -> None:
    client = await client_with(house, b"Subject: %b\r\n\r\nx\r\n" % encoded(b"plain \xff\xb9 text", "utf-8"))
    assert await found(client, "SEARCH SUBJECT PLAIN SUBJECT TEXT") == "1"


@pytest.mark.parametrize(
    ("raw", "octets"),
    [
        (b"plain", b""),
        (word("Grün"), b""),
        ("Grün".encode(), b""),
        (b"Gr\xfcn", b"Gr\xfcn"),
        (encoded(b"Gr\xfcn", "utf-8") + b" " + encoded(b"e", "utf-8"), b"Gr\xfcne"),
        (b"a " + encoded(b"\xff", "x-unknown") + b"\r\n b", b"a \xff b"),
        (encoded(b"abc", "x-unknown"), b""),
    ],
)
def test_octets_of_what_is_no_text(raw: bytes, octets: bytes) -> None:
    assert readable(raw)[1] == octets
