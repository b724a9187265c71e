"""The first words of a message."""

from __future__ import annotations

import base64
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.message.index import index
from postroom.message.parts import Parts
from postroom.message.preview import LONGEST, preview


def of(data: bytes) -> str:
    return preview(lambda begin, end: data[begin:end], Parts.unpack(index(data).parts))


def plain(text: str, charset: str = "utf-8", encoding: str = "8bit") -> bytes:
    head = f"Subject: x\r\nContent-Type: text/plain; charset={charset}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"
    body = text.replace("\n", "\r\n").encode(charset)
    return head.encode() + (base64.encodebytes(body) if encoding == "base64" else body)


def several(kind: str, *parts: str) -> bytes:
    joined = "".join(f"--b\r\n{part}\r\n" for part in parts)
    return f'Content-Type: multipart/{kind}; boundary="b"\r\n\r\n{joined}--b--\r\n'.encode()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Hello\n\n  Ann,\nlunch?\n-- \nBen", "Hello Ann, lunch?"),
        ("> you wrote\n> this\n\nYes.\n", "Yes."),
        ("> only\n>> quoted\n", "only quoted"),
        ("-----\n=====\nNews\n***", "News"),
        ("Grüße\taus\u00a0Köln", "Grüße aus Köln"),
        ("\u200b\u00ad\ufeffSeen\u200d\u2060 \u034f words", "Seen words"),
        ("bell\a and\0 nul", "bell and nul"),
        ("", ""),
        ("\n \n\t\n", ""),
        ("-----BEGIN PGP MESSAGE-----\n\nhQEMA\n", ""),
        ("日本語のメール", "日本語のメール"),
    ],
)
def test_plain_text(text: str, shown: str) -> None:
    assert of(plain(text)) == shown
    assert of(plain(text, encoding="base64")) == shown


def test_length() -> None:
    assert len(of(plain("word " * 1000))) <= LONGEST
    assert of(plain("é" * 500)) == "é" * LONGEST
    assert of(plain("x" * 50_000, encoding="base64")) == "x" * LONGEST
    assert of(plain("short\n" * 60)).startswith("short short")


def test_html() -> None:
    page = (
        "Content-Type: text/html\r\n\r\n<html><head><title>Title</title><style>p{color:red}</style></head>"
        "<body><p>Dear <b>Ann</b>,</p><script>var x;</script><p>the &euro;5 you asked for</p></body></html>\r\n"
    )
    assert of(page.encode()) == "Dear Ann, the €5 you asked for"
    styles = f"Content-Type: text/html\r\n\r\n<style>{'p{color:red}' * 5000}</style><p>Hi</p>\r\n"
    assert of(styles.encode()) == "Hi"


def test_the_part_with_words_is_shown() -> None:
    text, html = "Content-Type: text/plain\r\n\r\n{}", "Content-Type: text/html\r\n\r\n<p>{}</p>"
    image = "Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\niVBORw0KGgo="
    assert of(several("alternative", text.format("plain"), html.format("html"))) == "plain"
    assert of(several("alternative", text.format(" \r\n"), html.format("html"))) == "html"
    assert of(several("mixed", image, text.format("below"))) == "below"
    assert of(several("mixed", image)) == ""
    assert of(several("encrypted", "Content-Type: application/pgp-encrypted\r\n\r\nVersion: 1", text.format("x"))) == ""
    inner = "Content-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\nforwarded words"
    assert of(several("mixed", inner)) == "forwarded words"


def test_what_cannot_be_decoded() -> None:
    broken = b"Content-Type: text/plain\r\nContent-Transfer-Encoding: x-strange\r\n\r\nabc\r\n"
    assert of(broken) == ""
    assert of(b"Content-Type: text/plain; charset=klingon\r\n\r\nhello\r\n") == "hello"


@given(st.binary(max_size=400))
def test_any_octets(data: bytes) -> None:
    found = of(data)
    assert len(found) <= LONGEST
    assert "\n" not in found
    assert "\0" not in found


def test_large_ones_are_read_in_part() -> None:
    rng = random.Random(1)
    data = plain("Hello there\n" + "".join(rng.choices("abc \n", k=3_000_000)), encoding="base64")
    asked: list[int] = []

    def read(begin: int, end: int) -> bytes:
        asked.append(end - begin)
        return data[begin:end]

    assert preview(read, Parts.unpack(index(data).parts)).startswith("Hello there")
    assert sum(asked) < 100_000
