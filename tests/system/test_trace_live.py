"""One id from the SMTP dialog to the mailbox, told by `postroom trace` beside a running server and after it."""

from __future__ import annotations

import json
import smtplib
from pathlib import Path
from typing import Any

from running import Running, start_demo, stop_demo, until


def trace(server: Running, *arguments: str, ok: bool = True) -> list[dict[str, Any]]:
    done = server.postroom("trace", *arguments, "--json", ok=ok)
    found: list[dict[str, Any]] = json.loads(done.stdout)["messages"]
    return found


def queued(reply: bytes) -> str:
    assert b"Queued as " in reply
    return reply.decode().rpartition(" ")[2]


def test_one_id_from_smtp_to_mailbox(server: Running, mailbox: dict[str, str]) -> None:
    ann = mailbox["login"]
    with smtplib.SMTP(server.host, server.ports["smtp"]) as smtp:
        smtp.ehlo("mx.far.test")
        smtp.mail("bob@far.test")
        assert smtp.rcpt(f"nobody.{ann}")[0] == 550
        assert smtp.rcpt(ann)[0] == 250
        code, text = smtp.data(b"From: bob@far.test\r\nMessage-ID: <%b>\r\n\r\nhello\r\n" % ann.encode())
    assert code == 250
    name = queued(text)
    until(lambda: trace(server, name)[0]["recipients"][1]["state"] == "delivered")
    for word in (name, ann, f"<{ann}>", f"nobody.{ann}"):
        [one] = trace(server, word)
        assert one["id"] == name
        assert {fate["address"]: fate["state"] for fate in one["recipients"]} == {
            f"nobody.{ann}": "refused",
            ann: "delivered",
        }
        assert {event["fields"]["queue_id"] for event in one["events"]} == {name}
    assert "lies in INBOX, not read yet" in one["recipients"][1]["text"]
    import imaplib

    with imaplib.IMAP4_SSL(server.host, server.ports["imaps"], ssl_context=server.tls()) as imap:
        imap.login(ann, mailbox["password"])
        imap.select()
        uid = imap.uid("SEARCH", "ALL")[1][0]
        assert int(uid) == one["recipients"][1]["uid"]
        header: Any = imap.uid("FETCH", uid.decode(), "(BODY.PEEK[HEADER.FIELDS (RECEIVED)])")[1][0]
        assert f"id {name}".encode() in header[1]
        imap.uid("MOVE", uid.decode(), "Archive")
    assert trace(server, name)[0]["recipients"][1]["mailbox"] == "Archive"


def test_refused_mail_is_found_by_everything_it_had(server: Running, mailbox: dict[str, str]) -> None:
    ann = mailbox["login"]
    with smtplib.SMTP(server.host, server.ports["smtp"]) as smtp:
        smtp.ehlo("mx.far.test")
        smtp.mail(f"far.{ann}")
        smtp.rcpt(ann)
        assert smtp.docmd("DATA")[0] == 354
        smtp.send(b"Subject: x\nbare\r\n.\r\n")
        assert smtp.getreply()[0] == 550
        smtp.mail(f"far.{ann}")
        smtp.rcpt(ann)
        smtp.rset()
        smtp.mail(f"far.{ann}", ["SIZE=999999999999"])
    assert [one["state"] for one in trace(server, f"far.{ann}")] == ["refused", "abandoned", "refused"]
    assert {one["state"] for one in trace(server, ann)} == {"abandoned", "refused"}


def test_the_last_second_is_written_at_a_stop(folder: Path) -> None:
    server = start_demo(folder, "--workers", "1")
    ann = server.login()
    with smtplib.SMTP(server.host, server.ports["smtp"]) as smtp:
        smtp.sendmail("last@far.test", [ann], b"Subject: x\r\n\r\nhello\r\n")
    assert stop_demo(server) == 0
    [one] = trace(server, "last@far.test")
    assert one["state"] == "delivered"
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in Path(server.data).glob("events/*"))
    assert trace(server, "never@far.test", ok=False) == []
