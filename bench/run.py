"""Measures the running system on this machine: `make bench`.

Starts a server of its own (`postroom demo`), plays dialogs against it and prints a Markdown table: operations a second
and, what counts more on a noisy machine, milliseconds of server CPU per 1,000 operations (all its processes). It needs
no other program. To compare with other mail servers see bench/beside.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import os
import signal
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

TICK = os.sysconf("SC_CLK_TCK")
ROOT = Path(__file__).resolve().parents[1]
LINE = b"The quick brown fox jumps over the lazy dog, and then does it all over again.\r\n"
MAIL = (
    b"From: Bench <bench@client.example>\r\nTo: someone@example.org\r\nSubject: measured %d\r\n"
    b"Date: Mon, 02 Mar 2026 10:00:00 +0000\r\nMessage-ID: <%d@client.example>\r\nMIME-Version: 1.0\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\n\r\n"
) + LINE * 46


class Server:
    """The demo, and what it costs."""

    def __init__(self, folder: str, offset: int) -> None:
        command = [sys.executable, "-m", "postroom.cli.main", "demo", "--json", "--keep", folder]
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
        self.process = subprocess.Popen(
            [*command, "--port-offset", str(offset)], stdout=subprocess.PIPE, env=environment, text=True
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit("the server did not start")
        told: dict[str, Any] = json.loads(line)
        self.host: str = told["host"]
        self.ports: dict[str, int] = told["ports"]
        self.users: list[dict[str, str]] = told["users"]
        self.tls = ssl.create_default_context(cafile=told["certificate"])
        self.tls.check_hostname = False

    def pids(self) -> list[int]:
        """The supervisor and all that came of it."""
        children: dict[int, list[int]] = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
                except OSError:
                    continue
                children.setdefault(parent, []).append(int(entry.name))
        found, todo = [], [self.process.pid]
        while todo:
            pid = todo.pop()
            found.append(pid)
            todo += children.get(pid, [])
        return found

    def cpu(self) -> float:
        """Seconds of user and system time of all processes."""
        total = 0
        for pid in self.pids():
            fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            total += sum(map(int, fields[11:15]))
        return total / TICK

    def memory(self) -> int:
        """Octets of proportional set size of all processes."""
        total = 0
        for pid in self.pids():
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1]) * 1024
        return total

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)


class Client:
    """A connection that speaks in lines."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.tag = 0

    @classmethod
    async def connect(cls, server: Server, service: str, source: int = 1) -> Client:
        tls = server.tls if service in {"submissions", "imaps", "pop3s"} else None
        local = (f"127.{source // 250 + 10}.{source % 250}.1", 0)
        pair = await asyncio.open_connection(
            server.host, server.ports[service], ssl=tls, local_addr=local, limit=1 << 22
        )
        client = cls(*pair)
        await client.reader.readline()
        return client

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def smtp(self, data: bytes = b"") -> bytes:
        if data:
            self.send(data)
        while True:
            line = await self.reader.readline()
            if line[3:4] != b"-":
                if line[:1] not in b"23":
                    raise RuntimeError(line.decode())
                return line

    async def imap(self, command: bytes) -> bytes:
        """Send a command, read to its tagged reply; literals are passed over unread."""
        self.tag += 1
        tag = b"t%d " % self.tag
        self.send(tag + command + b"\r\n")
        while True:
            line = await self.reader.readline()
            if line.startswith(tag):
                if b" OK" not in line[: len(tag) + 4]:
                    raise RuntimeError(line.decode())
                return line
            if line.endswith(b"}\r\n"):
                await self.reader.readexactly(int(line[line.rindex(b"{") + 1 : -3]))

    async def login(self, server: Server, number: int) -> None:
        user = server.users[number % len(server.users)]
        await self.imap(f'LOGIN "{user["login"]}" "{user["password"]}"'.encode())

    async def multiline(self, command: bytes) -> None:
        self.send(command)
        await self.reader.readuntil(b"\r\n.\r\n")

    def close(self) -> None:
        self.writer.close()


#: on large mailboxes, and how often; $: the mailbox
LARGE = (
    (b"SELECT $", 20),
    (b"FETCH 1:* (UID FLAGS)", 3),
    (b"FETCH 1:* (UID FLAGS ENVELOPE)", 1),
    (b"STORE 1:* +FLAGS (\\Flagged)", 1),
    (b"STORE 1:* -FLAGS.SILENT (\\Flagged)", 1),
    (b"SEARCH UNSEEN UNFLAGGED", 10),
    (b"SEARCH SUBJECT nr77", 3),
    (b"SEARCH BODY lazy", 3),
    (b"SORT (REVERSE DATE) UTF-8 ALL", 3),
    (b"THREAD REFERENCES UTF-8 ALL", 3),
)


def letter(number: int) -> bytes:
    """A short message; every other one answers one of the last hundred, and dates are no order."""
    answered = max(number - 1 - number * 7 % 100, 0)
    refers = b"References: <large%d@client.example>\r\n" % answered if number % 2 else b""
    day, hour, minute = 1 + number * 13 % 28, number * 11 % 24, number * 17 % 60
    return (
        b"From: Bench <bench@client.example>\r\nTo: someone@example.org\r\nSubject: letter nr%d\r\n"
        b"Date: Mon, %02d Mar 2026 %02d:%02d:00 +0000\r\nMessage-ID: <large%d@client.example>\r\n%b\r\n"
        % (number % 500, day, hour, minute, number, refers)
    ) + LINE * 8


async def again(client: Client, command: bytes, repeats: int) -> None:
    """The command, so many times."""
    for _ in range(repeats):
        await client.imap(command)


class Bench:
    """The cases; each notes its operations."""

    def __init__(self, server: Server, scale: float) -> None:
        self.server = server
        self.scale = scale
        self.rows: list[tuple[str, int, float, float]] = []

    def count(self, number: int) -> int:
        return max(10, int(number * self.scale))

    async def measure(self, name: str, count: int, work: Callable[[], Awaitable[Any]]) -> None:
        cpu, began = self.server.cpu(), time.perf_counter()
        await work()
        wall = time.perf_counter() - began
        self.rows.append((name, count, wall, self.server.cpu() - cpu))
        print(f"  {name}: {count / wall:,.0f}/s", file=sys.stderr)

    async def ingest(self, service: str, count: int, connections: int = 10) -> None:
        server = self.server

        async def sender(part: int) -> None:
            client = await Client.connect(server, service, part)
            await client.smtp(b"EHLO client.example\r\n")
            user = server.users[part % len(server.users)]
            origin = "bench@client.example"
            if service == "submissions":
                origin = user["login"]
                token = base64.b64encode(f"\0{origin}\0{user['password']}".encode())
                await client.smtp(b"AUTH PLAIN " + token + b"\r\n")
            mail = MAIL if service == "smtp" else MAIL.replace(b"bench@client.example", origin.encode())
            for number in range(count // connections):
                await client.smtp(f"MAIL FROM:<{origin}>\r\n".encode())
                await client.smtp(f"RCPT TO:<{user['login']}>\r\n".encode())
                await client.smtp(b"DATA\r\n")
                await client.smtp(mail % (number, part * 100_000 + number) + b".\r\n")
            client.close()

        await asyncio.gather(*(sender(part) for part in range(connections)))

    async def logins(self, count: int) -> None:
        for number in range(count):
            client = await Client.connect(self.server, "imaps", number)
            await client.login(self.server, number)
            await client.imap(b"LOGOUT")
            client.close()

    async def pop3(self, count: int) -> None:
        client = await Client.connect(self.server, "pop3s")
        user = self.server.users[0]
        for command in (f"USER {user['login']}\r\n", f"PASS {user['password']}\r\n"):
            client.send(command.encode())
            await client.reader.readline()
        for number in range(1, count + 1):
            await client.multiline(b"RETR %d\r\n" % number)
        client.close()

    async def push(self, count: int) -> float:
        """The median of seconds from the end of the data to EXISTS on another connection."""
        idler = await Client.connect(self.server, "imaps", 7)
        await idler.login(self.server, 1)
        await idler.imap(b"SELECT INBOX")
        idler.send(b"x IDLE\r\n")
        await idler.reader.readline()
        sender = await Client.connect(self.server, "smtp", 8)
        await sender.smtp(b"EHLO client.example\r\n")
        to = self.server.users[1]["login"].encode()
        times = []
        for number in range(count):
            for command in (b"MAIL FROM:<a@b.example>\r\n", b"RCPT TO:<" + to + b">\r\n", b"DATA\r\n"):
                await sender.smtp(command)
            began = time.perf_counter()
            sender.send(MAIL % (number, number) + b".\r\n")
            while b"EXISTS" not in await idler.reader.readline():
                pass
            times.append(time.perf_counter() - began)
            await sender.smtp()
        idler.close()
        sender.close()
        return sorted(times)[len(times) // 2]

    async def idle_memory(self, count: int) -> float:
        """KiB per idle TLS connection."""
        before = self.server.memory()
        idlers = []
        for number in range(count):
            idler = await Client.connect(self.server, "imaps", number)
            await idler.login(self.server, number)
            await idler.imap(b"SELECT INBOX")
            idler.send(b"x IDLE\r\n")
            await idler.reader.readline()
            idlers.append(idler)
        used = (self.server.memory() - before) / count / 1024
        for idler in idlers:
            idler.close()
        return used

    async def imap(self) -> None:
        client = await Client.connect(self.server, "imaps")
        await client.login(self.server, 0)
        await client.imap(b"CREATE bench")
        mail = MAIL % (1, 1)
        single, many, size = self.count(200), self.count(1000), len(mail)

        async def one_by_one() -> None:
            for _ in range(single):
                await client.imap(b"APPEND bench {%d+}\r\n%b" % (size, mail))

        async def together() -> None:
            for _ in range(many // 50):
                await client.imap(b"APPEND bench" + b" {%d+}\r\n%b" % (size, mail) * 50)

        await self.measure("IMAP APPEND, one by one", single, one_by_one)
        await self.measure("IMAP APPEND, 50 together", many // 50 * 50, together)
        total = single + many // 50 * 50
        await self.bulk(client, total)
        await self.bodies(client, single)
        await client.imap(b"CREATE bench2")
        for command in (b"COPY 1:* bench2", b"MOVE 1:* bench2"):
            await self.measure(f"IMAP {command[:4].decode()}", total, partial(client.imap, command))
        client.close()

    async def bulk(self, client: Client, total: int) -> None:
        repeats = 5
        await client.imap(b"SELECT bench")
        for command in (
            b"FETCH 1:* (UID FLAGS ENVELOPE)",
            b"FETCH 1:* (FLAGS)",
            b"FETCH 1:* (BODYSTRUCTURE)",
            b"STORE 1:* +FLAGS (\\Flagged)",
            b"STORE 1:* -FLAGS.SILENT (\\Flagged)",
            b"SEARCH UNSEEN",
            b"SEARCH SUBJECT measured",
            b"SEARCH BODY lazy",
        ):
            await self.measure("IMAP " + command.decode(), total * repeats, partial(again, client, command, repeats))

    async def large(self, size: int) -> None:
        """Commands on a mailbox of so many small messages; an operation is a message."""
        client = await Client.connect(self.server, "imaps")
        await client.login(self.server, 2)
        name = b"large%d" % size
        await client.imap(b"CREATE " + name)
        for begin in range(0, size, 100):
            some = [letter(number) for number in range(begin, min(begin + 100, size))]
            await client.imap(b"APPEND " + name + b"".join([b" {%d+}\r\n%b" % (len(each), each) for each in some]))
        await client.imap(b"SELECT " + name)
        await self.indexed(client, size)
        for command, repeats in LARGE:
            await client.imap(command.replace(b"$", name))  # traits of new messages are made once
            await self.measure(
                f"{size:,} messages, {command.replace(b'$', name).decode()}",
                size * repeats,
                partial(again, client, command.replace(b"$", name), repeats),
            )
        client.close()

    async def indexed(self, client: Client, size: int) -> None:
        """Wait for the index of new mail: it would be in the figures."""
        for _ in range(100):
            before = self.server.cpu()
            await client.imap(b'SEARCH BODY "what nobody wrote"')
            if self.server.cpu() - before <= 0.03 + size / 1e6:
                return
            await asyncio.sleep(3)

    async def bodies(self, client: Client, count: int) -> None:
        async def work() -> None:
            for number in range(1, count + 1):
                await client.imap(b"FETCH %d (BODY.PEEK[])" % number)

        await self.measure("IMAP FETCH BODY.PEEK[] of 4 KiB", count, work)

    async def run(self) -> None:
        for service, count in (("smtp", self.count(1000)), ("submissions", self.count(500))):
            await self.measure(f"{service}: 4 KiB, 10 connections", count, partial(self.ingest, service, count))
        await self.measure("IMAP log-in over TLS", self.count(200), lambda: self.logins(self.count(200)))
        await self.imap()
        for size in (10_000, 100_000):
            await self.large(self.count(size))
        await self.measure("POP3 RETR of 4 KiB over TLS", self.count(200), lambda: self.pop3(self.count(200)))


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=1.0, help="more or fewer operations [1.0]")
    parser.add_argument("--port-offset", type=int, default=30000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="postroom-bench-") as folder:
        server = Server(folder, options.port_offset)
        try:
            idle = server.memory() / (1 << 20)
            bench = Bench(server, options.scale)
            await bench.run()
            push = await bench.push(bench.count(50))
            per_connection = await bench.idle_memory(bench.count(200))
        finally:
            server.stop()
    print("| case | rate /s | server CPU ms per 1,000 |\n|---|---|---|")
    for name, count, wall, cpu in bench.rows:
        print(f"| {name} | {count / wall:,.0f} | {cpu * 1e6 / count:,.1f} |")
    print(f"| IDLE push, median | {push * 1000:.1f} ms | |")
    print(f"| memory of the idle server (PSS) | {idle:.0f} MiB | |")
    print(f"| memory per idle TLS connection | {per_connection:.0f} KiB | |")


if __name__ == "__main__":
    asyncio.run(main())
