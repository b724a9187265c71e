"""What the filter sees of a message, and the tokens it makes of it."""

from __future__ import annotations

from zlib import crc32

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postroom.filter.anchors import host_of
from postroom.filter.seen import Bounds, see
from postroom.filter.tokens import MOST, tokens
from postroom.message.search import fold
from postroom.values.content import Content

MESSAGE = b"""From: =?utf-8?q?J=C3=B6rg?= <joerg@example.org>
To: ann@example.org
Subject: =?utf-8?b?R3LDvMOfZQ==?=
Message-ID: <1@example.org>
Content-Type: multipart/mixed; boundary=b

--b
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: base64

SGFsbG8gV2VsdCBodHRwOi8vcGxhaW4uZXhhbXBsZS94
--b
Content-Type: text/html; charset=utf-8

<p>Good <b>day</b> <a href="https://real.example/x">www.shown.example</a></p>
--b
Content-Type: application/octet-stream
Content-Disposition: attachment; filename*=utf-8''r%C3%A9sum%C3%A9.PDF
Content-Transfer-Encoding: base64

JVBERi0xLjcK
--b--
""".replace(b"\n", b"\r\n")


def content(octets: bytes) -> Content:
    return Content.of(octets)


def test_what_people_would_see() -> None:
    seen = see(content(MESSAGE))
    assert seen.subject == "Grüße"
    assert seen.authors[0].name == "Jörg"
    assert seen.authors[0].address == "joerg@example.org"
    assert seen.message_id == "<1@example.org>"
    assert "Hallo Welt" in seen.text
    assert "Good day" in seen.text
    assert [(link.host, link.shown) for link in seen.links] == [
        ("real.example", "www.shown.example"),
        ("plain.example", "http://plain.example/x"),
    ]
    (attachment,) = seen.attachments
    assert (attachment.name, attachment.extension, attachment.octets(4)) == ("résumé.PDF", "pdf", b"%PDF")


def test_bounds_hold() -> None:
    text = b"From: a@b.test\r\n\r\n" + b"word " * 100_000
    assert len(see(content(text), Bounds(text=1000)).text) <= 1000
    links = b"From: a@b.test\r\n\r\n" + b"".join(b"http://x.test/%d " % number for number in range(1000))
    assert len(see(content(links), Bounds(links=7)).links) == 7


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://Example.ORG/path", "example.org"),
        ("http://paypal.com@evil.test/x", "evil.test"),
        ("http:\\\\evil.test\\x", "evil.test"),
        ("http://[2001:db8::1]:80/", "2001:db8::1"),
        ("www.example.org:8080/a", "www.example.org"),
        ("http://", ""),
    ],
)
def test_where_a_browser_would_go(url: str, host: str) -> None:
    assert host_of(url) == host


def test_tokens_are_words_pairs_and_marks() -> None:
    found = set(tokens(see(content(MESSAGE))))
    for word in ("hallo", "welt", "hallo welt", f"s:{fold('Grüße')}", "f:joerg@example.org", "d:example.org", "a:pdf"):
        assert crc32(word.encode()) in found, word
    assert crc32(b"u:real.example") in found


def test_scripts_without_spaces_are_cut_into_pairs() -> None:
    text = "From: a@b.test\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n東京都に住む".encode()
    found = set(tokens(see(content(text))))
    assert {crc32("東京".encode()), crc32("京都".encode())} <= found


@given(st.binary(max_size=3000))
@settings(max_examples=100)
def test_any_octets_are_read(octets: bytes) -> None:
    found = tokens(see(content(octets)))
    assert len(found) <= MOST
    assert all(0 <= one < 2**32 for one in found)
