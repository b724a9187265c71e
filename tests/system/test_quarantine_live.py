"""Quarantine beside a running server: kept where no mail program looks, released by a command, once."""

from __future__ import annotations

import email
import email.message
import imaplib
import json
import os
import poplib
import re
import signal
import smtplib
from collections.abc import Callable
from email import policy
from pathlib import Path
from typing import Any, TypeVar

import pytest
from running import Running, start_demo, stop_demo, until

from postroom.testing.dnsserver import running

T = TypeVar("T")
ZONE = {"far.test": {"TXT": ["v=spf1 ip4:127.0.0.1 -all"]}}
MAIL = "From: Bad <x@far.test>\r\nTo: you\r\nSubject: {}\r\nMessage-ID: <{}@far.test>\r\n\r\nbuy now\r\n"


def soon(what: Callable[[], T]) -> T:
    """Its first true answer, also on a machine with much to do."""
    return until(what, 60)


def told(server: Running, *arguments: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(server.postroom(*arguments, "--json").stdout)
    return found


def items(server: Running, state: str = "kept") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = told(server, "quarantine", "list", "--state", state)["items"]
    return found


def send(server: Running, subject: str, *to: str) -> str:
    with smtplib.SMTP(server.host, server.ports["smtp"]) as smtp:
        smtp.ehlo("mx.far.test")
        smtp.mail("x@far.test")
        for one in to:
            assert smtp.rcpt(one)[0] == 250
        code, reply = smtp.data(MAIL.format(subject, subject).encode())
        assert code == 250, reply
        return reply.decode().split()[-1]


def boxes(server: Running, number: int) -> dict[str, list[bytes]]:
    """Every message of every mailbox that IMAP shows."""
    found: dict[str, list[bytes]] = {}
    with imaplib.IMAP4(server.host, server.ports["imap"]) as imap:
        imap.starttls(server.tls())
        imap.login(server.login(number), server.password(number))
        for line in imap.list()[1]:
            assert isinstance(line, bytes)
            name = line.decode().rpartition(' "/" ')[2].strip('"')
            state, said = imap.select(f'"{name}"', readonly=True)
            fetched = imap.fetch("1:*", "(BODY.PEEK[])")[1] if state == "OK" and said != [b"0"] else []
            found[name] = [one[1] for one in fetched if isinstance(one, tuple)]
    return found


def having(server: Running, number: int, text: bytes) -> list[str]:
    """Mailboxes that have a message with this in it, once for each."""
    return [name for name, mails in boxes(server, number).items() for mail in mails if text in mail]


def pop3_has(server: Running, text: bytes) -> bool:
    pop = poplib.POP3(server.host, server.ports["pop3"])
    pop.stls(server.tls())
    pop.user(server.login())
    pop.pass_(server.password())
    count = pop.stat()[0]
    found = any(text in b"\n".join(pop.retr(number + 1)[1]) for number in range(count))
    pop.quit()
    return found


def test_kept_shown_released_and_told(folder: Path) -> None:
    with running(ZONE) as dns:
        server = start_demo(folder, "--workers", "2", "--dns", dns.address)
        try:
            _story(server)
        finally:
            assert stop_demo(server) == 0
        server.postroom("check")


def _story(server: Running) -> None:
    ann, ben = server.login(), server.login(1)
    server.postroom("filter", "set", server.domain, "--quarantine", "20", "--refuse", "0")
    server.postroom("filter", "block", server.domain, "x@far.test")
    send(server, "first", ann, ben)
    send(server, "second", ann)
    soon(lambda: len(items(server)) == 3)
    first, of_ben, second = sorted(items(server), key=lambda one: (one["subject"], one["recipient"] != ann))
    assert (first["recipient"], of_ben["recipient"], second["subject"]) == (ann, ben, "second")
    assert "never wants mail from x@far.test" in first["why"]
    assert not having(server, 0, b"buy now")
    assert not pop3_has(server, b"buy now")
    life = server.postroom("trace", first["entry"]).stdout
    assert "quarantine" in life
    assert "never wants mail from x@far.test" in life

    assert told(server, "quarantine", "release", first["id"], "--learn")["served"]
    soon(lambda: having(server, 0, b"<first@far.test>") == ["INBOX"])
    assert server.postroom("quarantine", "release", first["id"], ok=False).returncode == 4
    assert pop3_has(server, b"<first@far.test>")
    assert "was released from quarantine" in server.postroom("trace", first["entry"]).stdout
    assert not having(server, 1, b"buy now"), "ben has his own"

    # the digest, which comes at once on a day on which it is late enough
    server.postroom("filter", "set", server.domain, "--digest", "00:00")
    server.postroom("quarantine", "delete", of_ben["id"])
    server.postroom("quarantine", "undelete", of_ben["id"])
    server.postroom("quarantine", "release", second["id"])
    soon(lambda: having(server, 1, b"in your quarantine") == ["INBOX"])
    (mail,) = [mail for mail in boxes(server, 1)["INBOX"] if b"in your quarantine" in mail]
    message = email.message_from_bytes(mail, policy=policy.default)
    assert message["Auto-Submitted"] == "auto-generated"
    text = message.get_body(("plain",)).get_content()  # type: ignore[union-attr]
    assert of_ben["id"] in text
    assert "first" in text
    link = server.postroom("quarantine", "link", of_ben["id"]).stdout.strip()
    assert re.fullmatch(r"[0-9a-z]+-1\.\d+\.[\w-]{22}", link)
    server.postroom("quarantine", "release", "--link", link)
    soon(lambda: having(server, 1, b"<first@far.test>") == ["INBOX"])
    soon(lambda: not items(server, "releasing"))
    assert len(items(server, "released")) == 3


def test_what_our_own_people_send(server: Running, mailbox: dict[str, str]) -> None:
    """A program as an attachment to somebody outside: an alarm at first, then held, released, refused."""
    login = mailbox["login"]
    letter = email.message.EmailMessage()
    letter["From"], letter["To"], letter["Subject"] = login, "bob@far.test", "your invoice"
    letter.set_content("look at it")
    letter.add_attachment(b"MZ" + bytes(100), "application", "octet-stream", filename="invoice.pdf.exe")

    def submit() -> None:
        with smtplib.SMTP(server.host, server.ports["submission"]) as smtp:
            smtp.starttls(context=server.tls())
            smtp.login(login, mailbox["password"])
            smtp.send_message(letter)

    def alarmed() -> list[dict[str, Any]]:
        return [one for one in told(server, "alarm", "list")["alarms"] if one["subject"] == login]

    server.postroom("filter", "set", login, "--flag", "1")
    submit()
    soon(alarmed)
    assert login in server.postroom("alarm", "list").stdout
    assert not items(server)
    server.postroom("filter", "set", login, "--hold", "1")
    submit()
    (item,) = soon(lambda: items(server))
    assert (item["outgoing"], item["recipient"], item["sender"]) == (True, "bob@far.test", login)
    assert "is kept in quarantine" in server.postroom("trace", item["entry"]).stdout
    server.postroom("quarantine", "release", item["id"])
    soon(lambda: len(items(server, "released")) == 1)
    released = items(server, "released")[0]["release"]
    (waiting,) = [one for one in told(server, "queue", "list")["entries"] if one["id"] == released]
    assert waiting["sender"] == login
    server.postroom("filter", "set", login, "--refuse-sent", "1")
    with pytest.raises(smtplib.SMTPDataError, match="looks like spam and is not sent"):
        submit()
    server.postroom("queue", "drop", "--sender", login, "--yes", ok=False)


def test_a_killed_worker_loses_nothing(folder: Path) -> None:
    """What was answered 250 is in quarantine once, whenever the process dies; releases are done once."""
    with running(ZONE) as dns:
        server = start_demo(folder, "--workers", "2", "--dns", dns.address)
        try:
            server.postroom("filter", "set", server.domain, "--quarantine", "20", "--refuse", "0", "--digest", "off")
            server.postroom("filter", "block", server.domain, "x@far.test")
            sent = 0
            for pid in _workers(server):
                for _ in range(5):
                    send(server, f"mail{sent}", server.login())
                    sent += 1
                os.kill(pid, signal.SIGKILL)
                soon(lambda: _answers(server))
            soon(lambda: len(items(server)) == sent)
            server.postroom("quarantine", "release", "--domain", server.domain, "--yes")
            for pid in _workers(server):
                os.kill(pid, signal.SIGKILL)
            soon(lambda: _answers(server))
            soon(lambda: not items(server, "releasing") and not items(server))
            soon(lambda: len(having(server, 0, b"buy now")) == sent)
            assert having(server, 0, b"buy now") == ["INBOX"] * sent
        finally:
            stop_demo(server)


def _answers(server: Running) -> bool:
    try:
        with smtplib.SMTP(server.host, server.ports["smtp"]):
            return True
    except OSError:
        return False


def _workers(server: Running) -> list[int]:
    found = json.loads(server.postroom("status", "--json").stdout)
    return [worker["pid"] for worker in found["workers"]]
