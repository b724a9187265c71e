"""What addresses stand for, asked over SMTP of a running server while an administrator changes it."""

from __future__ import annotations

import imaplib
import json
import smtplib
from collections.abc import Callable
from pathlib import Path

import pytest
from running import Running, start_demo, stop_demo, until


class Sender:
    """A server of somebody else's that brings mail."""

    def __init__(self, server: Running) -> None:
        self._server = server

    def send(self, to: str, subject: str) -> tuple[int, str]:
        """(code, text) of the answer to RCPT, and if that is 250 the message is accepted."""
        with smtplib.SMTP(self._server.host, self._server.ports["smtp"], "mx.far.test", timeout=20) as peer:
            peer.ehlo("mx.far.test")
            assert peer.mail("bob@far.test")[0] == 250
            code, text = peer.rcpt(to)
            if code == 250:
                code, text = peer.data(f"From: bob@far.test\r\nTo: {to}\r\nSubject: {subject}\r\n\r\nHello\r\n")
            return code, text.decode()


@pytest.fixture
def server(folder: Path) -> object:
    running = start_demo(folder, "--workers", "2")
    yield running
    assert stop_demo(running) == 0
    running.postroom("check")


def has(server: Running, login: str, mailbox: str, subject: str) -> Callable[[], bool]:
    """Is there a message of this subject in the mailbox?"""

    def look() -> bool:
        done = server.postroom("mailbox", "show", login, mailbox, "--json", ok=False)
        return done.returncode == 0 and subject in {one["subject"] for one in json.loads(done.stdout)["messages"]}

    return look


def test_every_kind_of_address(server: Running) -> None:
    sender, ann, ben, domain = Sender(server), server.login(0), server.login(1), server.domain
    name = ann.partition("@")[0]

    def arrives(to: str, mailbox: str = "INBOX", login: str = ann) -> None:
        arrives.count += 1  # type: ignore[attr-defined]
        subject = f"number {arrives.count}"  # type: ignore[attr-defined]
        assert sender.send(to, subject)[0] == 250, to
        until(has(server, login, mailbox, subject))

    arrives.count = 0  # type: ignore[attr-defined]
    arrives(f"{name.upper()}+x@{domain}")

    # a domain alias
    server.postroom("domain", "add", "alias.test", "--alias-of", domain)
    arrives(f"{name}@alias.test")
    assert sender.send("nobody@alias.test", "x")[0] == 550

    # details of the domain's own kind, which name mailboxes
    server.postroom("domain", "set", domain, "--separators", "-+", "--detail-folders", "create")
    arrives(f"{name}-Lists@{domain}", "Lists")
    arrives(f"{name}+lists@alias.test", "Lists")
    arrives(f"{name}-trash@{domain}")

    # an alias with members here and elsewhere; a catch-all
    server.postroom("alias", "add", f"team@{domain}", ann, ben, "out@far.test")
    arrives(f"team@{domain}")
    arrives(f"team@{domain}", login=ben)
    server.postroom("domain", "set", domain, "--catch-all", ben)
    arrives(f"whoever@{domain}", login=ben)

    # a suspended account, and a suspended domain
    server.postroom("user", "disable", ann)
    code, text = sender.send(ann, "x")
    assert (code, text[:5]) == (550, "5.2.1"), text
    server.postroom("user", "disable", ann, "--receive")
    arrives(ann)
    server.postroom("user", "enable", ann)
    client = imaplib.IMAP4_SSL(server.host, server.ports["imaps"], ssl_context=server.tls(), timeout=20)
    client.login(ann, server.password(0))
    server.postroom("domain", "set", domain, "--off")
    assert client.readline().startswith(b"* BYE [CONTACTADMIN]")
    for to in (ann, f"{name}@alias.test", f"nobody@{domain}"):
        code, text = sender.send(to, "x")
        assert (code, text[:5]) == (550, "5.2.1"), text
        assert f"{domain} takes no mail now" in text
    server.postroom("domain", "set", domain, "--off", "--receive")
    arrives(ann)
    with pytest.raises(smtplib.SMTPAuthenticationError):
        _log_in(server, ann)
    server.postroom("domain", "set", domain, "--on")
    _log_in(server, ann)
    _log_in(server, f"{name}@alias.test")

    # a removed account is nobody's, not even the catch-all's, until it is back
    server.postroom("alias", "rm", f"team@{domain}", "--yes")
    server.postroom("user", "rm", ann, "--yes")
    code, text = sender.send(ann, "x")
    assert (code, text[:5]) == (550, "5.1.1"), text
    server.postroom("user", "deleted", "restore", ann)
    arrives(ann)
    _log_in(server, ann)


def _log_in(server: Running, login: str) -> None:
    with smtplib.SMTP(server.host, server.ports["submission"], timeout=20) as client:
        client.starttls(context=server.tls())
        client.login(login, server.password(0))
