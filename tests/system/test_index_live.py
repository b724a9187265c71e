"""The process that keeps the indexes: it hears of new mail, survives kills, and does what commands ask."""

from __future__ import annotations

import base64
import imaplib
import io
import json
import os
import signal
import zipfile
from pathlib import Path
from typing import Any

import pytest
from reportlab.pdfgen import canvas
from running import Running, named, start_demo, stop_demo, until


def show(server: Running, login: str) -> dict[str, Any]:
    told = json.loads(server.postroom("index", "show", login, "--json").stdout)
    return dict(told["accounts"][0])


def append(server: Running, mailbox: dict[str, str], *messages: bytes) -> None:
    with imaplib.IMAP4_SSL(server.host, server.ports["imaps"], ssl_context=server.tls()) as client:
        client.login(mailbox["login"], mailbox["password"])
        for message in messages:
            assert client.append("INBOX", "", "", message)[0] == "OK"


def search(server: Running, mailbox: dict[str, str], word: str) -> bytes:
    with imaplib.IMAP4_SSL(server.host, server.ports["imaps"], ssl_context=server.tls()) as client:
        client.login(mailbox["login"], mailbox["password"])
        client.select("INBOX")
        found: bytes = client.search(None, "BODY", word)[1][0]
        return found


def mail(number: int) -> bytes:
    return f"Subject: n{number}\r\n\r\nThe word is token{number}x.\r\n".encode()


def test_new_mail_is_in_the_index_soon(server: Running, mailbox: dict[str, str]) -> None:
    append(server, mailbox, *[mail(number) for number in range(30)])
    until(lambda: show(server, mailbox["login"])["behind"] == 0, 40)  # the index waits for some seconds of news
    told = show(server, mailbox["login"])
    assert told["indexed"] == told["messages"] == 30
    assert told["segments"] >= 1
    assert search(server, mailbox, "token29") == b"30"
    assert search(server, mailbox, "ken2") == b"3 21 22 23 24 25 26 27 28 29 30"
    append(server, mailbox, mail(99))
    assert search(server, mailbox, "token99") == b"31"


def test_attachments_are_found_soon(server: Running, mailbox: dict[str, str]) -> None:
    rtf = base64.encodebytes(rb"{\rtf1 The secret is platypus\par}").decode()
    octets = (
        "Subject: file\r\nContent-Type: application/rtf; name=x.rtf\r\nContent-Transfer-Encoding: base64\r\n\r\n" + rtf
    ).encode()
    whole = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n" + octets + b"\r\n--b--\r\n"
    append(server, mailbox, *[mail(number) for number in range(30)], whole)
    until(lambda: show(server, mailbox["login"])["behind"] == 0, 40)  # the index waits for some seconds of news
    until(lambda: show(server, mailbox["login"])["attachments_waiting"] == 0, 40)
    assert search(server, mailbox, "platypus") == b"31"


def archive(members: dict[str, str]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        for name, text in members.items():
            file.writestr(name, text)
    return out.getvalue()


def pdf(text: str) -> bytes:
    out = io.BytesIO()
    page = canvas.Canvas(out)
    page.drawString(100, 700, text)
    page.save()
    return out.getvalue()


def attached(name: str, data: bytes) -> bytes:
    """A message with a file that only its name tells the kind of."""
    head = f'Content-Type: application/octet-stream; name="{name}"\r\nContent-Transfer-Encoding: base64\r\n\r\n'
    return mixed(head.encode() + base64.encodebytes(data))


def mixed(part: bytes) -> bytes:
    head = b"Content-Type: multipart/mixed; boundary=%b\r\n\r\n--%b\r\n"
    boundary = f"b{len(part)}".encode()
    return head % (boundary, boundary) + part + b"\r\n--%b--\r\n" % boundary


def test_files_of_every_kind_are_found_within_seconds(server: Running, mailbox: dict[str, str]) -> None:
    """In a small mailbox too, whose messages are read and not looked up."""
    word = "<w:document xmlns:w='http://schemas.openxmlformats.org/wordprocessingml/2006/main'><w:body><w:p><w:r>"
    text = "<office:d xmlns:office='urn:oasis:names:tc:opendocument:xmlns:office:1.0'><text:p xmlns:text='%s'>odtword"
    files = {
        "pdfword": attached("a.pdf", pdf("the pdfword")),
        "docxword": attached(
            "a.docx",
            archive({"word/document.xml": f"{word}<w:t>docxword</w:t></w:r></w:p></w:body></w:document>"}),
        ),
        "odtword": attached(
            "a.odt",
            archive({
                "mimetype": "application/vnd.oasis.opendocument.text",
                "content.xml": f"{text % 'urn:oasis:names:tc:opendocument:xmlns:text:1.0'}</text:p></office:d>",
            }),
        ),
        "rtfword": attached("a.rtf", rb"{\rtf1 rtfword\par}"),
        "deepword": mixed(b"Content-Type: message/rfc822\r\n\r\n" + attached("b.pdf", pdf("deepword"))),
    }  # fmt: skip
    for number, (wanted, message) in enumerate(files.items(), 1):
        append(server, mailbox, message)
        until(lambda wanted=wanted: search(server, mailbox, wanted), 40)  # type: ignore[misc]
        assert search(server, mailbox, wanted) == str(number).encode()


def test_rebuilding_while_serving(server: Running, mailbox: dict[str, str]) -> None:
    append(server, mailbox, *[mail(number) for number in range(5)])
    done = server.postroom("index", "rebuild", mailbox["login"], "--json")
    assert json.loads(done.stdout)["accounts"][0]["indexed"] == 5
    assert server.postroom("index", "rebuild", ok=False).returncode == 2
    done = server.postroom("index", "rebuild", "--all")
    assert "made anew" in done.stderr


def test_a_damaged_index_is_made_anew_by_itself(server: Running, mailbox: dict[str, str]) -> None:
    append(server, mailbox, *[mail(number) for number in range(3)])
    until(lambda: show(server, mailbox["login"])["behind"] == 0, 40)  # the index waits for some seconds of news
    before = {path: path.stat().st_mtime for path in Path(server.data).rglob("index.db-wal")}
    newest = max(before, key=lambda path: before[path])
    newest.write_bytes(os.urandom(newest.stat().st_size))
    newest.with_name("index.db").write_bytes(os.urandom(65536))
    assert search(server, mailbox, "token2x") == b"3"
    append(server, mailbox, mail(4))
    until(lambda: show(server, mailbox["login"])["indexed"] == 4, 40)  # the index waits for some seconds of news
    assert search(server, mailbox, "token4x") == b"4"


@pytest.mark.parametrize("rounds", [3])
def test_kills_while_indexing_cost_nothing(rounds: int, folder: Path) -> None:
    server = start_demo(folder)
    mailbox = server.users[0]
    try:
        for number in range(rounds):
            append(server, mailbox, *[mail(number * 40 + place) for place in range(40)])
            old = named(server, "index")
            assert old
            os.kill(old, signal.SIGKILL)
            until(lambda old=old: named(server, "index") not in (0, old), 20)  # type: ignore[misc]
            assert search(server, mailbox, f"token{number * 40 + 39}x")
        until(lambda: show(server, mailbox["login"])["behind"] == 0, 30)
        for number in range(rounds * 40):
            assert len(search(server, mailbox, f"token{number}x").split()) == 1
    finally:
        assert stop_demo(server) == 0
