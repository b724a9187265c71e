"""Many clients at random on one account, over real sockets and two workers: in the end all see the same.

Each client keeps a model that it changes only by what the server tells it, so a wrong or missing untagged response
shows as a difference from the server's truth. POSTROOM_SEED repeats a run (the timing stays the machine's).
"""

from __future__ import annotations

import os
import poplib
import random
import re
import select
import smtplib
import statistics
import threading
import time
from collections.abc import Callable
from pathlib import Path

import imapclient
import pytest
from running import Running, start_demo, stop_demo

SECONDS = float(os.environ.get("POSTROOM_STRESS_SECONDS", "8"))
CLIENTS = 6
BOXES = ("INBOX", "Archive")
FLAGS = (b"\\Seen", b"\\Flagged", b"\\Answered", b"\\Deleted", b"$one", b"$two")
SESSION_FLAG = b"\\Recent"
_FETCH = re.compile(rb"\* (\d+) FETCH \((.*)\)$", re.DOTALL)
_UID = re.compile(rb"\bUID (\d+)")
_SHOWN = re.compile(rb"\bFLAGS \(([^)]*)\)")


class Client:
    """An IMAP client of one mailbox with a model: a list of (UID or 0 while unknown, flags or None) by number."""

    def __init__(self, server: Running, box: str, seed: int) -> None:
        self.random = random.Random(seed)
        self.box = box
        self.number = 0
        self.model: list[tuple[int, frozenset[bytes] | None]] = []
        self.link = imapclient.IMAPClient(server.host, server.ports["imaps"], ssl_context=server.tls(), timeout=20)
        self.sock = self.link.socket()
        self.file = self.link._imap.file
        self.command(b"LOGIN %s %s" % (server.login().encode(), server.password().encode()))
        self.command(b"SELECT %s" % box.encode())
        self.learn()

    def line(self) -> bytes:
        """One response, with its literals."""
        whole = b""
        while True:
            part = self.file.readline()
            assert part.endswith(b"\r\n"), f"the server closed: {part!r}"
            literal = re.search(rb"\{(\d+)\}\r\n$", part)
            whole += part
            if not literal:
                return whole[:-2]
            whole += self.file.read(int(literal[1]))

    def command(self, text: bytes, data: bytes = b"", may_fail: bool = False) -> list[bytes]:
        self.number += 1
        tag = b"t%d" % self.number
        self.sock.sendall(tag + b" " + text + b"\r\n" + data)
        told = []
        while not (line := self.line()).startswith(tag + b" "):
            told.append(line)
            self.hear(line)
        answer = line[len(tag) + 1 :]
        assert answer.startswith(b"OK") or (may_fail and answer.startswith(b"NO")), (text, answer)
        return told

    def hear(self, line: bytes) -> None:
        words = line.split(b" ", 3)
        assert words[0] == b"*", line
        if words[-1] == b"EXISTS" or words[2:3] == [b"EXISTS"]:
            count = int(words[1])
            assert count >= len(self.model), "EXISTS cannot take messages away"
            self.model += [(0, None)] * (count - len(self.model))
        elif words[2:3] == [b"EXPUNGE"]:
            del self.model[int(words[1]) - 1]
        elif found := _FETCH.match(line):
            self.fetched(int(found[1]) - 1, found[2])

    def fetched(self, place: int, items: bytes) -> None:
        uid, flags = self.model[place]
        if shown := _UID.search(items):
            assert uid in (0, int(shown[1])), f"number {place + 1} was UID {uid} and is {int(shown[1])}"
            uid = int(shown[1])
        if told := _SHOWN.search(items):
            flags = frozenset(told[1].split()) - {SESSION_FLAG}
        self.model[place] = (uid, flags)

    def learn(self) -> None:
        """Ask about messages that only EXISTS has told of."""
        unknown = [b"%d" % place for place, (uid, flags) in enumerate(self.model, 1) if not uid or flags is None]
        if unknown:
            self.command(b"FETCH %s (UID FLAGS)" % b",".join(unknown))

    # one random step

    def step(self) -> None:
        steps: list[Callable[[], object]] = [self.append, self.store, self.store, self.copy, self.expunge]
        self.random.choice([*steps, self.fetch, self.search, self.idle, self.learn])()

    def some(self) -> bytes:
        known = [uid for uid, _ in self.model if uid]
        return b",".join(b"%d" % uid for uid in self.random.sample(known, min(len(known), self.random.randint(1, 4))))

    def append(self) -> None:
        count = self.random.choice((1, 1, 3))
        text = b"Subject: appended %d\r\n\r\n%s\r\n" % (self.number, b"xxxx\r\n" * self.random.choice((1, 100, 12_000)))
        literal = b"{%d}" % len(text)
        self.number += 1
        tag = b"t%d" % self.number
        self.sock.sendall(tag + b" APPEND " + self.random.choice(BOXES).encode() + b" (\\Seen) " + literal + b"\r\n")
        for left in range(count, 0, -1):
            while not (line := self.line()).startswith(b"+"):
                self.hear(line)
            self.sock.sendall(text + (b" " + literal if left > 1 else b"") + b"\r\n")
        while not (line := self.line()).startswith(tag):
            self.hear(line)
        assert line.startswith(tag + b" OK"), line

    def store(self) -> None:
        if some := self.some():
            how = self.random.choice((b"+FLAGS", b"-FLAGS", b"FLAGS", b"+FLAGS.SILENT"))
            flags = b" ".join(self.random.sample(FLAGS, self.random.randint(1, 2)))
            self.command(b"UID STORE %s %s (%s)" % (some, how, flags), may_fail=True)
            if how.endswith(b".SILENT"):  # the client knows what it asked for; others may have changed more
                self.command(b"UID FETCH %s (FLAGS)" % some, may_fail=True)

    def copy(self) -> None:
        if some := self.some():
            verb = self.random.choice((b"COPY", b"MOVE"))
            self.command(b"UID %s %s %s" % (verb, some, self.random.choice(BOXES).encode()), may_fail=True)

    def expunge(self) -> None:
        self.command(b"EXPUNGE")

    def fetch(self) -> None:
        if some := self.some():
            what = self.random.choice((b"(FLAGS BODY.PEEK[])", b"(ENVELOPE BODYSTRUCTURE)", b"(BODY[TEXT])"))
            self.command(b"UID FETCH %s %s" % (some, what), may_fail=True)

    def search(self) -> None:
        self.command(b"SEARCH " + self.random.choice((b"FLAGGED", b"SUBJECT appended", b"BODY xxxx", b"UNSEEN")))

    def idle(self) -> None:
        self.number += 1
        tag = b"t%d" % self.number
        self.sock.sendall(tag + b" IDLE\r\n")
        while not (line := self.line()).startswith(b"+"):
            self.hear(line)
        while self.sock.pending() or select.select([self.sock], [], [], self.random.random() / 10)[0]:
            self.hear(self.line())
        self.sock.sendall(b"DONE\r\n")
        while not (line := self.line()).startswith(tag):
            self.hear(line)

    def truth(self) -> list[tuple[int, frozenset[bytes] | None]]:
        self.command(b"NOOP")
        self.learn()
        return self.model


def work(client: Client, until: float, faults: list[BaseException]) -> None:
    try:
        while time.monotonic() < until and not faults:
            client.step()
    except BaseException as fault:
        faults.append(fault)


def deliver(server: Running, until: float, faults: list[BaseException]) -> None:
    try:
        while time.monotonic() < until and not faults:
            with smtplib.SMTP(server.host, server.ports["smtp"], "load.example", timeout=20) as smtp:
                for number in range(5):
                    smtp.sendmail("a@b.example", [server.login()], f"Subject: delivered {number}\r\n\r\nHello\r\n")
    except BaseException as fault:
        faults.append(fault)


def download(server: Running, until: float, faults: list[BaseException]) -> None:
    try:
        while time.monotonic() < until and not faults:
            drop = poplib.POP3_SSL(server.host, server.ports["pop3s"], context=server.tls(), timeout=20)
            drop.user(server.login())
            drop.pass_(server.password())
            count = drop.stat()[0]
            for number in range(1, min(count, 3) + 1):
                try:
                    drop.retr(number)
                except poplib.error_proto as refusal:  # an IMAP client was quicker
                    assert "-ERR" in str(refusal), refusal
                    continue
                drop.dele(number)
            drop.quit()
    except BaseException as fault:
        faults.append(fault)


@pytest.mark.timeout(120)
def test_all_clients_see_the_same_in_the_end(folder: Path) -> None:
    seed = int(os.environ.get("POSTROOM_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 31)
    print(f"POSTROOM_SEED={seed}")
    server = start_demo(folder, "--workers", "2")
    clients = [Client(server, BOXES[number % len(BOXES)], seed + number) for number in range(CLIENTS)]
    faults: list[BaseException] = []
    end = time.monotonic() + SECONDS
    threads = [threading.Thread(target=work, args=(client, end, faults)) for client in clients]
    threads += [threading.Thread(target=each, args=(server, end, faults)) for each in (deliver, download)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    log = (folder / "server.log").read_text() + (folder / "stderr.log").read_text()
    assert not faults, (seed, faults, [line for line in log.splitlines() if '"info"' not in line][-30:])
    for box in BOXES:
        # what is still on its way from the queue arrives: the same answer twice means that it is quiet
        fresh = Client(server, box, 0)
        before = -1
        while before != len(fresh.truth()):
            before = len(fresh.model)
            select.select([], [], [], 0.3)
        for client in clients:
            if client.box == box:
                assert client.truth() == fresh.truth(), seed
        assert all(uid and flags is not None for uid, flags in fresh.model)
    print(f"{sum(client.number for client in clients)} commands, {len(fresh.model)} messages left")
    assert stop_demo(server) == 0, (folder / "stderr.log").read_text()[-3000:]
    server.postroom("check")
    assert "session.fault" not in (folder / "server.log").read_text()


def test_push_reaches_idlers_of_both_workers(folder: Path) -> None:
    server = start_demo(folder, "--workers", "2")
    idlers = [Client(server, "INBOX", number) for number in range(12)]  # the kernel spreads them over both
    for idler in idlers:
        idler.sock.sendall(b"i IDLE\r\n")
        while not idler.line().startswith(b"+"):
            pass
    sender = Client(server, "Archive", 0)
    times = []
    for _ in range(20):
        started = time.monotonic()
        sender.command(b"APPEND INBOX {20+}\r\nSubject: x\r\n\r\nhello\r\n"[:-2])
        for idler in idlers:
            while not idler.line().endswith(b"EXISTS"):
                pass
            times.append(time.monotonic() - started)
    median = statistics.median(times) * 1000
    print(f"push: median {median:.1f} ms, slowest {max(times) * 1000:.1f} ms")
    assert median < 100
    assert stop_demo(server) == 0
