"""Deleted mail comes back on a running server while its owner's programs are connected."""

from __future__ import annotations

import imaplib
import json
from pathlib import Path

from running import Running, start_demo, stop_demo


def connect(server: Running) -> tuple[imaplib.IMAP4, int]:
    """A client with INBOX selected, and how many messages it has."""
    client = imaplib.IMAP4(server.host, server.ports["imap"], timeout=20)
    client.starttls(server.tls())
    client.login(server.login(), server.password())
    _, [count] = client.select("INBOX")
    return client, int(count or 0)


def idle(client: imaplib.IMAP4) -> None:
    client.send(b"i IDLE\r\n")
    while not client.readline().startswith(b"+"):
        pass


def hears(client: imaplib.IMAP4, line: bytes) -> None:
    """Waits for an untagged line; the test times out when it does not come."""
    while client.readline() != line:
        pass


def test_a_restore_is_seen_at_once_by_idle_clients_of_every_worker(folder: Path) -> None:
    server = start_demo(folder, "--workers", "2")
    try:
        first, before = connect(server)
        assert before > 1
        first.store("1", "+FLAGS", "(\\Deleted $Blue)")
        first.expunge()
        others = [connect(server)[0] for _ in range(4)]
        for client in others:
            idle(client)
        listed = json.loads(server.postroom("mailbox", "deleted", "list", server.login(), "--json").stdout)
        [gone] = listed["messages"]
        server.postroom("mailbox", "deleted", "restore", server.login(), gone["id"])
        for client in others:
            hears(client, b"* %d EXISTS\r\n" % before)
        first.noop()
        _, [flags] = first.fetch(str(before), "(FLAGS)")
        assert isinstance(flags, bytes)
        assert b"$Blue" in flags
        assert b"Deleted" not in flags
        server.postroom("mailbox", "undo", server.login())
        for client in others:
            hears(client, b"* %d EXPUNGE\r\n" % before)
    finally:
        assert stop_demo(server) == 0
    server.postroom("check")
