"""kill -9 of every process under load: what was acknowledged is there afterwards, once."""

from __future__ import annotations

import imaplib
import os
import re
import signal
import smtplib
import threading
from pathlib import Path

import pytest
from running import Running, start_demo, stop_demo

SENDERS = 6
ROUNDS = 3


class Load:
    """Senders that each hand in one message after another and note which were acknowledged."""

    def __init__(self, server: Running, round_number: int) -> None:
        self.server = server
        self.round = round_number
        self.acknowledged: list[str] = []
        self.tried: list[str] = []
        self.enough = threading.Event()
        self.over = threading.Event()
        self.threads = [threading.Thread(target=self._send, args=(number,)) for number in range(SENDERS)]

    def start(self) -> None:
        for thread in self.threads:
            thread.start()

    def join(self) -> None:
        self.over.set()
        for thread in self.threads:
            thread.join(30)

    def _send(self, number: int) -> None:
        try:
            with smtplib.SMTP(self.server.host, self.server.ports["smtp"], timeout=10) as smtp:
                smtp.ehlo("load.example")
                for count in range(100_000):
                    token = f"r{self.round}s{number}m{count}x"
                    user = self.server.login(count % len(self.server.users))
                    self.tried.append(token)
                    smtp.sendmail("a@b.example", [user], f"Subject: load {token}\r\n\r\nHello\r\n")
                    self.acknowledged.append(token)
                    if self.over.is_set():
                        return
                    if len(self.acknowledged) >= 120:
                        self.enough.set()
        except (OSError, smtplib.SMTPException):
            self.enough.set()


def tokens_in(server: Running) -> list[str]:
    found: list[str] = []
    for number in range(len(server.users)):
        client = imaplib.IMAP4(server.host, server.ports["imap"], timeout=20)
        client.starttls(server.tls())
        client.login(server.login(number), server.password(number))
        client.select("INBOX", readonly=True)
        for part in client.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")[1]:
            if isinstance(part, tuple):
                found += re.findall(r"load (\S+)", part[1].decode())
        client.logout()
    return found


@pytest.mark.timeout(180)
def test_nothing_acknowledged_is_lost_or_doubled(folder: Path) -> None:
    acknowledged: list[str] = []
    for number in range(ROUNDS):
        server = start_demo(folder)
        load = Load(server, number)
        load.start()
        assert load.enough.wait(30)
        for pid in [*server.pids, server.process.pid]:
            os.kill(pid, signal.SIGKILL)
        server.process.wait(10)
        load.join()
        acknowledged += load.acknowledged
        assert server.process.stdout is not None
        server.process.stdout.close()
    assert len(acknowledged) >= 120 * ROUNDS
    server = start_demo(folder)
    delivered: list[str] = []
    for _ in range(50):
        delivered = tokens_in(server)
        if set(acknowledged) <= set(delivered):
            break
    assert sorted(set(acknowledged) - set(delivered)) == [], "acknowledged and lost"
    assert len(delivered) == len(set(delivered)), "delivered twice"
    assert stop_demo(server) == 0
    server.postroom("check")


@pytest.mark.timeout(120)
def test_a_worker_that_dies_is_replaced(folder: Path) -> None:
    server = start_demo(folder)
    load = Load(server, 9)
    load.start()
    assert load.enough.wait(30)
    worker = server.pids[-1]
    os.kill(worker, signal.SIGKILL)
    load.join()
    for _ in range(3):
        with smtplib.SMTP(server.host, server.ports["smtp"], timeout=20) as smtp:
            smtp.sendmail("a@b.example", [server.login()], "Subject: after\r\n\r\nHello\r\n")
    for _ in range(50):
        delivered = tokens_in(server)
        if set(load.acknowledged) <= set(delivered):
            break
    assert set(load.acknowledged) <= set(delivered)
    assert stop_demo(server) == 0
    server.postroom("check")
