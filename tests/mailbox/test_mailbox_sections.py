"""Sections of a message, named as RFC 9051 6.4.5.1 names them."""

from __future__ import annotations

from pathlib import Path

import pytest

from postroom.mailbox import sections
from postroom.mailbox.errors import UndecodablePart, response_code
from postroom.message.index import index
from postroom.values.content import Content
from postroom.wire.imap.commands import Attribute, Item

INNER = (
    b"From: inner@example.org\r\nSubject: inner\r\nContent-Type: multipart/alternative; boundary=in\r\n\r\n"
    b"--in\r\nContent-Type: text/plain\r\n\r\ninner plain\r\n"
    b"--in\r\nContent-Type: text/html\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
    b"<b>=C3=A4</b>=\r\n\r\n--in--\r\n"
)
HEADER = (
    b"From: a@example.org\r\nSubject: outer\r\n folded\r\nX-One: 1\r\nMIME-Version: 1.0\r\n"
    b"Content-Type: multipart/mixed; boundary=out\r\n\r\n"
)
MAIL = (
    HEADER + b"preamble\r\n--out\r\nContent-Type: text/plain\r\nX-Part: first\r\n\r\nfirst part\r\n"
    b"--out\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\nAAEC\r\nAwQF\r\n"
    b"--out\r\nContent-Type: message/rfc822\r\n\r\n" + INNER + b"\r\n--out\r\n"
    b"Content-Type: text/plain\r\nContent-Transfer-Encoding: x-unheard-of\r\n\r\n????\r\n--out--\r\n"
)
PLAIN = b"Subject: plain\r\n\r\nonly text\r\n"


def item(part: tuple[int, ...] = (), text: str = "", *fields: bytes, **rest: object) -> Item:
    return Item(Attribute.SECTION, part=part, text=text, fields=fields, **rest)  # type: ignore[arg-type]


@pytest.fixture(params=["memory", "file", "prefixed"])
def as_content(request: pytest.FixtureRequest, tmp_path: Path) -> object:
    """The octets wherever they may lie."""

    def make(data: bytes) -> Content:
        if request.param == "memory":
            return Content.of(data)
        path = tmp_path / "content"
        lead = 15 if request.param == "prefixed" else 0
        path.write_bytes(data[lead:])
        return Content(size=len(data), path=str(path), prefix=data[:lead])

    return make


def fetch(wanted: Item, content: Content) -> bytes | None:
    found = index(content.read())
    return sections.read(wanted, content, found.header, found.parts if sections.needs_parts(wanted) else b"")


@pytest.mark.parametrize(
    ("wanted", "octets"),
    [
        (item(), MAIL),
        (item(text="HEADER"), HEADER),
        (item(text="TEXT"), MAIL[len(HEADER) :]),
        (item((), "HEADER.FIELDS", b"SUBJECT", b"x-none"), b"Subject: outer\r\n folded\r\n\r\n"),
        (
            item((), "HEADER.FIELDS.NOT", b"subject", b"FROM", b"Content-Type"),
            b"X-One: 1\r\nMIME-Version: 1.0\r\n\r\n",
        ),
        (item((1,)), b"first part"),
        (item((1,), "MIME"), b"Content-Type: text/plain\r\nX-Part: first\r\n\r\n"),
        (item((2,)), b"AAEC\r\nAwQF"),
        (item((3,)), INNER),
        (item((3,), "HEADER"), INNER[: INNER.index(b"--in")]),
        (item((3,), "TEXT"), INNER[INNER.index(b"--in") :]),
        (item((3,), "MIME"), b"Content-Type: message/rfc822\r\n\r\n"),
        (item((3,), "HEADER.FIELDS", b"from"), b"From: inner@example.org\r\n\r\n"),
        (item((3, 1)), b"inner plain"),
        (item((3, 2), "MIME"), b"Content-Type: text/html\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"),
        (item((5,)), None),
        (item((1, 1)), None),
        (item((1,), "HEADER"), None),
        (item((1,), "HEADER.FIELDS", b"from"), None),
        (item((0,)), None),
        (item(text="MIME"), None),
        (item((1,), partial=(6, 4)), b"part"),
        (item((1,), partial=(6, 400)), b"part"),
        (item((1,), partial=(400, 4)), b""),
        (item(partial=(0, 4)), b"From"),
        (item((), "HEADER.FIELDS", b"X-ONE", partial=(3, 3)), b"ne:"),
        (Item(Attribute.RFC822), MAIL),
        (Item(Attribute.RFC822_HEADER), HEADER),
        (Item(Attribute.RFC822_TEXT), MAIL[len(HEADER) :]),
        (Item(Attribute.BINARY, part=(2,)), bytes(range(6))),
        (Item(Attribute.BINARY, part=(2,), partial=(2, 3)), b"\2\3\4"),
        (Item(Attribute.BINARY, part=(1,)), b"first part"),
        (Item(Attribute.BINARY, part=(3, 2)), "<b>ä</b>".encode()),
        (Item(Attribute.BINARY), MAIL),
        (Item(Attribute.BINARY, part=(9,)), None),
    ],
)
def test_sections(wanted: Item, octets: bytes | None, as_content: object) -> None:
    content = as_content(MAIL)  # type: ignore[operator]
    assert fetch(wanted, content) == octets
    if wanted.attribute is Attribute.BINARY and wanted.partial is None:
        found = index(MAIL)
        size = Item(Attribute.BINARY_SIZE, part=wanted.part)
        assert sections.binary_size(size, content, found.header, found.parts) == (
            None if octets is None else len(octets)
        )
    elif not sections.needs_reading(wanted):
        found = index(MAIL)
        span = sections.span(wanted, len(MAIL), found.header, found.parts)
        assert (None if span is None else MAIL[slice(*span)]) == octets


@pytest.mark.parametrize(
    ("wanted", "octets"),
    [
        (item((1,)), b"only text\r\n"),
        (item((1,), "MIME"), b"Subject: plain\r\n\r\n"),
        (item((2,)), None),
        (item((1, 1)), None),
        (item(text="TEXT"), b"only text\r\n"),
        (Item(Attribute.BINARY, part=(1,)), b"only text\r\n"),
    ],
)
def test_a_message_without_parts_has_part_1(wanted: Item, octets: bytes | None) -> None:
    assert fetch(wanted, Content.of(PLAIN)) == octets


def test_an_encoding_nobody_knows() -> None:
    # RFC 9051 6.4.5: the request fails with [UNKNOWN-CTE]; BODY of the part is as it stands
    found = index(MAIL)
    with pytest.raises(UndecodablePart) as fault:
        sections.read(Item(Attribute.BINARY, part=(4,)), Content.of(MAIL), found.header, found.parts)
    assert response_code(fault.value) == b"UNKNOWN-CTE"
    with pytest.raises(UndecodablePart):
        sections.binary_size(Item(Attribute.BINARY_SIZE, part=(4,)), Content.of(MAIL), found.header, found.parts)
    assert fetch(item((4,)), Content.of(MAIL)) == b"????"


def test_a_section_reads_only_its_own_octets(monkeypatch: pytest.MonkeyPatch) -> None:
    ranges: list[tuple[int, int | None]] = []
    read = Content.read

    def noted(self: Content, start: int = 0, end: int | None = None) -> bytes:
        ranges.append((start, end))
        return read(self, start, end)

    found = index(MAIL)
    monkeypatch.setattr(Content, "read", noted)
    sections.read(item((), "HEADER.FIELDS", b"subject"), Content.of(MAIL), found.header, b"")
    sections.read(item((3, 1)), Content.of(MAIL), found.header, found.parts)
    sections.read(item((3, 1), partial=(2, 3)), Content.of(MAIL), found.header, found.parts)
    begin = MAIL.index(b"inner plain")
    assert ranges == [(0, len(HEADER)), (begin, begin + 11), (begin + 2, begin + 5)]
