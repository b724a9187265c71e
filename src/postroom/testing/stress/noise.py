"""What else happens to a mailbox while clients work in it: mail arrives by SMTP, and a POP3 client takes some away.

Threads of their own, with the standard library's clients. They end at `stop` and leave their fault, if any, behind.
"""

from __future__ import annotations

import poplib
import smtplib
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where and for whom."""

    host: str
    smtp: int
    pop3s: int
    tls: ssl.SSLContext
    login: str
    password: str


class Noise:
    """Both of them."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(work,)) for work in (self._deliver, self._download)]
        self.faults: list[BaseException] = []
        self.delivered = 0

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End, and wait for it."""
        self._stop.set()
        for thread in self._threads:
            thread.join(30)

    def _run(self, work: Callable[[], None]) -> None:
        try:
            while not self._stop.is_set():
                work()
        except BaseException as fault:
            self.faults.append(fault)

    def _deliver(self) -> None:
        target = self._target
        with smtplib.SMTP(target.host, target.smtp, "load.example", timeout=20) as smtp:
            for _ in range(5):
                self.delivered += 1
                text = f"Subject: delivered {self.delivered}\r\n\r\nHello\r\n"
                smtp.sendmail("a@b.example", [target.login], text)
        self._stop.wait(0.05)

    def _download(self) -> None:
        target = self._target
        drop = poplib.POP3_SSL(target.host, target.pop3s, context=target.tls, timeout=20)
        drop.user(target.login)
        drop.pass_(target.password)
        for number in range(1, min(drop.stat()[0], 3) + 1):
            try:
                drop.retr(number)
            except poplib.error_proto as refusal:  # an IMAP client was quicker
                if "-ERR" not in str(refusal):
                    raise
                continue
            drop.dele(number)
        drop.quit()
        self._stop.wait(0.05)
