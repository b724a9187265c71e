"""SEARCH without an index: text is found as people read it, and nowhere else."""

from __future__ import annotations

import base64
import quopri
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.message import search
from postroom.message.index import index
from postroom.message.parts import Parts
from postroom.message.search import Needle, body_contains, body_text, fold, header_matches, text_contains

from .soup import octets

PICTURE = base64.encodebytes(b"secret pixels").replace(b"\n", b"\r\n")
MESSAGE = (
    "Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?= from\r\n the =?utf-8?q?K=C3?= =?utf-8?q?=B6nig?=\r\n"
    "From: Jürgen <j@example.org>\r\nX-Empty:\r\n"
    "Content-Type: multipart/mixed; boundary=b\r\n\r\npreamble\r\n--b\r\n"
    "Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
    "Stra=DFe und Caf=E9, a long li=\r\nne\r\n--b\r\n"
    "Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n"
).encode() + (
    base64.encodebytes("<p>Привет МИР</p>".encode())
    + b"\r\n--b\r\nContent-Type: text/plain; charset=koi8-r\r\n\r\n"
    + "Пока".encode("koi8-r")
    + b"\r\n--b\r\nContent-Type: text/plain; charset=iso-2022-jp\r\n\r\n"
    + "日本語".encode("iso-2022-jp")
    + b"\r\n--b\r\nContent-Type: image/png; name*=utf-8''%C3%BCber.png\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    + PICTURE
    + b"\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: =?utf-8?q?inner_=C3=BC?=\r\n\r\ninner body\r\n--b\r\n"
    + b"Content-Type: message/delivery-status\r\n\r\nStatus: 5.1.1\r\n--b\r\n"
    + b"Content-Type: text/plain\r\nContent-Transfer-Encoding: x-nobody\r\n\r\nunknown coding\r\n--b\r\n"
    + b"Content-Type: text/plain; charset=utf-8\r\n\r\n"
    + "Kelvin \u212a, ﬁne, Ｗｉｄｅ, e\u0301t\u00e9".encode()
    + b"\r\n--b--\r\nepilogue"
)


def reader(message: bytes) -> tuple[search.Read, Parts]:
    return (lambda start, end: message[start:end]), Parts.unpack(index(message).parts)


def body(text: str, message: bytes = MESSAGE) -> bool:
    found = body_contains(*reader(message), Needle.of(text))
    folded = any(Needle.of(text).text in piece for piece in body_text(*reader(message), len(text)))
    assert found == folded
    return found


@pytest.mark.parametrize(
    "text",
    [
        "straße",
        "STRASSE",
        "café",
        "CAFE\u0301",
        "long line",
        "привет мир",
        "пока",
        "日本",
        "Subject: inner ü",
        "INNER BODY",
        "5.1.1",
        "unknown coding",
        "Kelvin k",
        "fine",
        "wide",
        "été",
        "",
    ],
)
def test_body_finds(text: str) -> None:
    assert body(text)
    assert text_contains(*reader(MESSAGE), Needle.of(text))


@pytest.mark.parametrize(
    "text",
    ["secret", "<p>", "c2VjcmV0", "preamble", "epilogue", "König", "stra=df", "0J/R", "iso-8859-1", "caffe", "x-empty"],
)
def test_body_does_not_find(text: str) -> None:
    assert not body(text)


@pytest.mark.parametrize(
    "text", ["grüße from the könig", "jürgen", "x-empty:", "iso-8859-1", "über.png", "subject: gr"]
)
def test_text_finds_headers_too(text: str) -> None:
    assert text_contains(*reader(MESSAGE), Needle.of(text))
    assert not body(text)


@pytest.mark.parametrize("text", ["secret", "preamble", "=?utf-8", "=C3", "q?"])
def test_text_does_not_find(text: str) -> None:
    assert not text_contains(*reader(MESSAGE), Needle.of(text))


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        (b"subject", "GRÜSSE", True),
        (b"Subject", "from the k", True),
        (b"SUBJECT", "utf-8", False),
        (b"from", "jürgen <J@", True),
        (b"x-empty", "", True),
        (b"x-empty", "x", False),
        (b"x-none", "", False),
        (b"content-type", "boundary=B", True),
    ],
)
def test_header(name: bytes, text: str, found: bool) -> None:
    header = MESSAGE[: MESSAGE.index(b"\r\n\r\n") + 4]
    assert header_matches(header, name, Needle.of(text)) is found


def test_encoded_file_name_in_a_header() -> None:
    header = b"Content-Disposition: attachment; filename*=utf-8''na%C3%AFve.txt\r\n\r\n"
    assert header_matches(header, b"content-disposition", Needle.of("NAÏVE.txt"))


@pytest.mark.parametrize("encoding", ["8bit", "base64", "quoted-printable"])
@pytest.mark.parametrize("needle", ["Needle, sharp", "Nädel, scharf"])
def test_large_parts_are_searched_in_pieces(encoding: str, needle: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "PIECE", 1000)
    filler = "hay ünd straw\n" * 200
    for shift in range(0, 40, 3):
        text = (filler + "x" * shift + needle + "\n" + filler).encode()
        if encoding == "base64":
            text = base64.encodebytes(text)
        elif encoding == "quoted-printable":
            text = quopri.encodestring(text)
        message = (
            f"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n".encode() + text
        )
        longest = 0

        def read(start: int, end: int, message: bytes = message) -> bytes:
            nonlocal longest
            longest = max(longest, end - start)
            return message[start:end]

        parts = Parts.unpack(index(message).parts)
        assert body_contains(read, parts, Needle.of(needle.upper()))
        assert not body_contains(read, parts, Needle.of(needle + "?"))
        assert longest <= 1000


@given(st.text(max_size=30), st.text(max_size=10), st.sampled_from(["base64", "quoted-printable", "8bit"]))
def test_every_piece_of_a_text_is_found(before: str, wanted: str, encoding: str) -> None:
    text = f"{before} {wanted} end".encode("utf-8", "replace")
    coded = {"base64": base64.encodebytes, "quoted-printable": quopri.encodestring}.get(encoding, bytes)(text)
    message = (
        f"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n".encode() + coded
    )
    decoded = "\n".join(body_text(*reader(message)))
    needle = wanted.encode("utf-8", "replace").decode()
    if fold(needle) in decoded:
        assert body_contains(*reader(message), Needle.of(needle))


@given(octets, st.text(max_size=5))
def test_any_octets_can_be_searched(message: bytes, text: str) -> None:
    needle = Needle.of(text)
    in_body = body_contains(*reader(message), needle)
    assert not in_body or text_contains(*reader(message), needle)
    list(body_text(*reader(message), 3))


@given(octets, st.sampled_from(["a", "text", "b", "k", "ss", "x"]))
def test_the_short_cut_says_the_same(message: bytes, text: str) -> None:
    quick = Needle.of(text)
    careful = Needle(quick.text, b"")
    assert body_contains(*reader(message), quick) == body_contains(*reader(message), careful)
    assert text_contains(*reader(message), quick) == text_contains(*reader(message), careful)


_HOSTILE = {
    "encoded words": b"Subject: " + b"=?utf-8?q?a?= " * 60_000 + b"\r\n\r\n",
    "charsets": b"".join(b"X: =?x-%d?q?=FC?=\r\n" % n for n in range(20_000)) + b"\r\n",
    "white space": b"Content-Transfer-Encoding: quoted-printable\r\n\r\n \n" + b" " * 2_000_000 + b"x",
    "parts": b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
    + b"".join(b"--b\r\n\r\n\xfcber %d\r\n" % n for n in range(9_000)),
    "names": b"From: " + b"\xfc <a@b>, " * 9_000 + b"\r\n\r\n",
    "combining marks": b"Content-Type: text/plain; charset=utf-8\r\n\r\n" + "\u0301\u0316".encode() * 200_000,
    "padding": b"Content-Transfer-Encoding: base64\r\n\r\n" + b"QQ==" * 300_000,
    "noise": b"\r\n" + bytes(range(128, 256)) * 8_000,
    "escapes": b"Content-Transfer-Encoding: quoted-printable\r\n\r\n" + b"=" * 1_000_000,
}


@pytest.mark.parametrize("name", list(_HOSTILE))
def test_hostile_mail_costs_bounded_time(name: str) -> None:
    started = time.process_time()
    assert not text_contains(*reader(_HOSTILE[name]), Needle.of("nädel"))
    assert time.process_time() - started < 2.5


def test_folding_in_steps_is_folding() -> None:
    once = "Straße und Ünï cafe\u0301 ﬁ "
    assert fold(once * 100) == fold(once) * 100
