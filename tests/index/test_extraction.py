"""Text of attachments: real files give theirs, hostile ones cost no more than they may."""

from __future__ import annotations

import asyncio
import base64
import io
import os
import time
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from attachment_files import RTF, archive, opendocument, pdf, sheet, slides, word
from hypothesis import given
from hypothesis import strategies as st

from postroom.index.documents import names_of
from postroom.index.extraction import kinds
from postroom.index.extraction.formats import text_of
from postroom.index.extraction.kinds import attachments, decoded
from postroom.index.extraction.limits import MOST_TEXT, Unreadable
from postroom.index.extraction.service import Extractor, NotRead
from postroom.message.index import index
from postroom.message.parts import Parts

REAL = {
    "pdf": (kinds.PDF, pdf("Invoice 4711", "Zweite Seite"), "Invoice 4711\nZweite Seite"),
    "word": (kinds.OFFICE, word("First", "Größe", cells=("a1", "b1"), header="Head"), "First\nGröße\na1\nb1\nHead"),
    "sheet": (kinds.OFFICE, sheet([["Name", "Sum"], ["Müller", 42.5], [None, True]]), "Name\nSum\nMüller\n42.5\n1"),
    "slides": (kinds.OFFICE, slides("One", "Two", notes="Say hello"), "One\nTwo\nSay hello"),
    "odt": (
        kinds.OFFICE,
        opendocument('<text:h>Title</text:h><text:p>a<text:s/>b<text:tab/>c<text:span>d</text:span></text:p>'),
        "Title\na b cd",
    ),
    "rtf": (kinds.RTF, RTF, "Titled\nGrüße, bold and italic\nprice € 5 😀\nsecond"),
    "html": (kinds.HTML, b"<p>Some <b>text</b></p><script>x</script>", "Some text"),
    "text": (kinds.TEXT, "Plain ünïcode".encode("latin-1"), "Plain ünïcode"),
    "utf-16": (kinds.TEXT, "Wide".encode("utf-16"), "Wide"),
    "mail": (
        kinds.MAIL,
        b"Subject: =?utf-8?q?inn=C3=A9r?=\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nx\r\n--b\r\n"
        b"Content-Type: application/rtf\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        + base64.encodebytes(b"{\\rtf1 deep}") + b"\r\n--b--",
        "Subject: innér",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", list(REAL))
def test_text_of_real_files(name: str) -> None:
    kind, data, expected = REAL[name]
    found = text_of(kind, data)
    words = found.split()
    for word_ in expected.split():
        assert word_ in words, (word_, found)
    if name in ("pdf", "html", "text", "utf-16"):
        assert found == expected


def test_what_is_no_text_stays_out() -> None:
    rtf = text_of(kinds.RTF, RTF)
    assert "Arial" not in rtf
    assert "Writer" not in rtf
    assert "010203" not in rtf
    cells = text_of(kinds.OFFICE, sheet([["only"]]))
    assert "only" in cells.split()
    assert "0" not in cells.split()
    assert "deep" in text_of(kinds.MAIL, REAL["mail"][1])


def bomb() -> bytes:
    """Hundreds of megabytes of one text in a small file."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file, file.open("word/document.xml", "w") as member:
        member.write(b'<w:document xmlns:w="x"><w:p>')
        for _ in range(150):
            member.write(b" " * 1_000_000)
        member.write(b"</w:p></w:document>")
    return out.getvalue()


_LAUGHS = b'<!DOCTYPE a [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]><w:t>&b;</w:t>'


def hostile() -> dict[str, tuple[str, bytes]]:
    return {
        "bomb": (kinds.OFFICE, bomb()),
        "entities": (kinds.OFFICE, archive({"word/document.xml": _LAUGHS})),
        "deep": (kinds.OFFICE, archive({"word/document.xml": b"<a>" * 100_000})),
        "long": (kinds.OFFICE, archive({"word/document.xml": b"<w><t>" + b"word " * 2_000_000 + b"</t></w>"})),
        "many members": (kinds.OFFICE, archive({f"{number}": b"" for number in range(20_001)})),
        "cut": (kinds.OFFICE, word("x")[:-200]),
        "no zip": (kinds.OFFICE, b"PK\x03\x04" + os.urandom(1000)),
        "broken pdf": (kinds.PDF, b"%PDF-1.7\n" + os.urandom(5000)),
        "cut pdf": (kinds.PDF, pdf("x" * 50)[:-300]),
        "deep rtf": (kinds.RTF, b"{\\rtf1" + b"{" * 200_000),
        "long rtf": (kinds.RTF, b"{\\rtf1 " + b"\\'e9" * 3_000_000),
        "tags": (kinds.HTML, b"<" * 5_000_000),
        "mail in mail": (kinds.MAIL, b"Content-Type: message/rfc822\r\n\r\n" * 5000),
    }


@pytest.fixture
async def extractor() -> AsyncIterator[Extractor]:
    made = Extractor(cpu_seconds=4.0, wall_seconds=60.0, idle_seconds=0.2)
    yield made
    await made.close()


async def test_hostile_files_cost_no_more_than_they_may(extractor: Extractor) -> None:
    for name, (kind, data) in hostile().items():
        try:
            text = await extractor.text(kind, data)
        except NotRead:
            pass
        else:
            assert len(text) <= MOST_TEXT, name
        assert await extractor.text(kinds.TEXT, name.encode()) == name


async def test_endless_work_is_ended() -> None:
    """A child that computes on is ended by the system, one that waits on is ended by its parent."""
    extractor = Extractor(cpu_seconds=0.0, wall_seconds=60.0)
    with pytest.raises(NotRead, match="ended the process"):
        await extractor.text(kinds.HTML, b"<p>" * 8_000_000)
    await extractor.close()
    extractor = Extractor(wall_seconds=5.0)
    await extractor.text(kinds.TEXT, b"started")
    os.kill(extractor.pid, 19)  # SIGSTOP
    extractor._wall = 0.2
    with pytest.raises(NotRead, match="longer than"):
        await extractor.text(kinds.TEXT, b"never")
    extractor._wall = 60.0
    assert await extractor.text(kinds.TEXT, b"again") == "again"
    await extractor.close()


def limits(pid: int) -> dict[str, list[str]]:
    rows = Path(f"/proc/{pid}/limits").read_text().splitlines()[1:]
    return {row[:26].strip(): row[26:].split()[:2] for row in rows}


async def test_the_child_can_open_nothing_and_ends_when_idle(extractor: Extractor) -> None:
    await extractor.text(kinds.PDF, pdf("x"))
    pid = extractor.pid
    assert sorted(os.listdir(f"/proc/{pid}/fd")) == ["0", "1", "2"]
    assert limits(pid)["Max open files"] == ["3", "3"]
    assert limits(pid)["Max file size"] == ["0", "0"]
    deadline = time.monotonic() + 20
    while lives(pid) and time.monotonic() < deadline:
        await moment()
    assert not lives(pid)
    assert await extractor.text(kinds.TEXT, b"anew") == "anew"


def lives(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


async def moment() -> None:
    event = asyncio.Event()
    asyncio.get_running_loop().call_later(0.05, event.set)
    await event.wait()


async def test_a_file_that_is_too_large_is_not_read(extractor: Extractor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("postroom.index.extraction.service.MOST_OCTETS", 10)
    with pytest.raises(NotRead):
        await extractor.text(kinds.TEXT, b"x" * 11)
    assert extractor.pid == 0


# what is an attachment


def message(*parts: tuple[str, bytes]) -> bytes:
    body = b"".join(
        f"--b\r\n{head}\r\nContent-Transfer-Encoding: base64\r\n\r\n".encode() + base64.encodebytes(data) + b"\r\n"
        for head, data in parts
    )
    return b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + body + b"--b--\r\n"


def kinds_of(octets: bytes) -> list[tuple[str, str]]:
    parts = Parts.unpack(index(octets).parts)

    def read(start: int, end: int) -> bytes:
        return octets[start:end]

    return [(found.kind, found.name) for found in attachments(read, parts, names_of(read, parts))]


def test_which_parts_are_read() -> None:
    disposition = 'Content-Disposition: attachment; filename="{}"'
    octets = message(
        ("Content-Type: text/plain", b"text"),
        ("Content-Type: application/pdf", pdf("x")),
        ("Content-Type: application/pdf; name=random.pdf", os.urandom(500)),
        ("Content-Type: application/octet-stream\r\n" + disposition.format("Report.PDF"), pdf("y")),
        ("Content-Type: application/octet-stream\r\n" + disposition.format("=?utf-8?q?=C3=BC.docx?="), word("z")),
        ("Content-Type: application/octet-stream\r\n" + disposition.format("x.exe"), b"MZ"),
        ("Content-Type: application/octet-stream\r\n" + disposition.format("notes.txt"), b"notes"),
        ("Content-Type: application/octet-stream\r\n" + disposition.format("data.txt"), b"\0\1\2"),
        ("Content-Type: image/png", b"\x89PNG"),
        ("Content-Type: message/rfc822", b"Subject: x\r\n\r\ny"),
        ("Content-Type: text/rtf", b"{\\rtf1 x}"),
    )
    assert kinds_of(octets) == [
        (kinds.PDF, ""),
        (kinds.PDF, "Report.PDF"),
        (kinds.OFFICE, "ü.docx"),
        (kinds.TEXT, "notes.txt"),
        (kinds.MAIL, ""),
        (kinds.RTF, ""),
    ]


def test_a_file_is_decoded_up_to_what_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    octets = message(("Content-Type: application/pdf", b"%PDF-" + b"x" * 5000))
    parts = Parts.unpack(index(octets).parts)
    part = list(parts.walk())[1]

    def read(start: int, end: int) -> bytes:
        return octets[start:end]

    assert decoded(read, part) == b"%PDF-" + b"x" * 5000


@given(
    st.binary(max_size=300),
    st.sampled_from(sorted(kinds_ for kinds_ in (kinds.RTF, kinds.HTML, kinds.TEXT, kinds.MAIL))),
)
def test_any_octets_give_text_or_unreadable(data: bytes, kind: str) -> None:
    try:
        text = text_of(kind, (b"{\\rtf1" if kind == kinds.RTF else b"") + data)
    except Unreadable:
        return
    assert text.encode().decode() == text
