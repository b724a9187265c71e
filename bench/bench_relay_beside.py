"""The way out beside Postfix: the same messages in by SMTP, out to 20 domains with a server each, in turn.

    sudo python bench/bench_relay_beside.py [messages] [--rounds 3] [--kib 4] [--only postfix,postroom]

Needs Debian's `postfix` (for it and for its smtp-sink), root, ports 25 on 127.0.1.x and 53 on 127.0.53.54. Both servers
ask the same DNS server for MX and A, take mail from 20 connections, one message each at a time, without a login, and
hand it to one sink, which ends when it has all. Rows: `one recipient`; `20 recipients`: each message to all domains.
Counted is the CPU time (user and system) of all processes of a server, from before the first connection until a second
after the sink had everything: from /proc, children that ended included. Sink, DNS and sender are other processes.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import multiprocessing
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import uvloop

from postroom.testing.dnsserver import DnsServer

DOMAINS = 20
CONNECTIONS = 20
DNS = "127.0.53.54"
DOOR = ("127.0.0.1", 12625)
_TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Case:
    """messages go in, copies come out. recipients: of each message."""

    name: str
    messages: int
    recipients: int

    @property
    def copies(self) -> int:
        return self.messages * self.recipients


# what is not counted


def serve_dns(ready: multiprocessing.synchronize.Event) -> None:
    """Domains d0.test …, each with a server of its own."""
    zone: dict[str, dict[str, object]] = {"mx.here.test": {"A": ["127.0.0.1"]}, "far.test": {"A": ["127.0.0.1"]}}
    for number in range(DOMAINS):
        zone[f"d{number}.test"] = {"MX": [[10, f"m{number}.test"]]}
        zone[f"m{number}.test"] = {"A": [f"127.0.1.{number + 1}"]}

    async def serve() -> None:
        server = DnsServer(zone, ttl=3600, negative_ttl=3600)
        await server.start(DNS, 53)
        ready.set()
        await asyncio.Event().wait()

    uvloop.run(serve())


@contextlib.contextmanager
def dns() -> Iterator[None]:
    ready = multiprocessing.Event()
    process = multiprocessing.Process(target=serve_dns, args=(ready,), daemon=True)
    process.start()
    if not ready.wait(10):
        raise SystemExit(f"{DNS} port 53 is not free, or not ours to take")
    yield
    process.terminate()
    process.join()


class Sender(asyncio.Protocol):
    """One connection that brings messages, one after the other, each once the one before is accepted."""

    def __init__(self, work: Iterator[bytes], done: asyncio.Future[None]) -> None:
        self.work, self.done = work, done

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.WriteTransport, transport)
        self.buffer = b""
        self.script: list[bytes] = [b"EHLO client.test\r\n"]

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while True:
            line, found, rest = self.buffer.partition(b"\r\n")
            if not found:
                return
            self.buffer = rest
            if line[3:4] == b"-":
                continue
            if line[:1] not in b"23":
                self.done.set_exception(RuntimeError(f"the server said {line!r}"))
                self.transport.abort()
                return
            self.next()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(exc or RuntimeError("the server hung up"))

    def next(self) -> None:
        if not self.script:
            work = next(self.work, None)
            if work is None:
                self.transport.write(b"QUIT\r\n")
                self.transport.close()
                self.done.set_result(None)
                return
            self.script = work.split(b"\0")
        self.transport.write(self.script.pop(0))


async def inject(case: Case, kib: int) -> None:
    line = b"A line of usual length in a mail, as people write them to each other.\r\n"
    text = b"From: a@far.test\r\nTo: u@d.test\r\nSubject: bench\r\nMessage-ID: <%d@far.test>\r\n\r\n"
    body = line * (kib * 1024 // len(line)) + b".\r\n"

    def work() -> Iterator[bytes]:
        for number in range(case.messages):
            to = range(DOMAINS) if case.recipients > 1 else (number % DOMAINS,)
            rcpt = [b"RCPT TO:<u%d@d%d.test>\r\n" % (number % 50, domain) for domain in to]
            yield b"\0".join((b"MAIL FROM:<a@far.test>\r\n", *rcpt, b"DATA\r\n", text % number + body))

    loop = asyncio.get_running_loop()
    shared = work()
    ends = [loop.create_future() for _ in range(CONNECTIONS)]
    for end in ends:
        await loop.create_connection(lambda end=end: Sender(shared, end), *DOOR)
    await asyncio.gather(*ends)


def start_sink(copies: int) -> subprocess.Popen[bytes]:
    sink = subprocess.Popen(["smtp-sink", "-u", "nobody", "-M", str(copies), "0.0.0.0:25", "1000"])
    wait_port(("127.0.1.1", 25))
    return sink


# the servers


#: as Debian has them, but none in a chroot
_SERVICES = """pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


class Postfix:
    """Its defaults, but for names, folders and where it listens."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "postfix"

    def start(self) -> int:
        """The process that all others come from."""
        conf, here = self.folder / "etc", self.folder
        conf.mkdir(parents=True)
        here.chmod(0o755)
        (conf / "main.cf").write_text(
            f"compatibility_level = 3.6\nqueue_directory = {here}/spool\ndata_directory = {here}/lib\n"
            "command_directory = /usr/sbin\ndaemon_directory = /usr/lib/postfix/sbin\nmail_owner = postfix\n"
            f"setgid_group = postdrop\nmaillog_file = {here}/maillog\nmaillog_file_prefixes = {here}\n"
            "inet_interfaces = 127.0.0.1\ninet_protocols = ipv4\nmyhostname = mx.here.test\nmydestination =\n"
            "alias_maps =\nlocal_recipient_maps =\nmynetworks = 127.0.0.1/32\n"
        )
        (conf / "master.cf").write_text(f"{DOOR[0]}:{DOOR[1]} inet n - n - - smtpd\n{_SERVICES}")
        (here / "spool").mkdir()
        (here / "lib").mkdir()
        shutil.chown(here / "lib", "postfix")
        (here / "resolv.conf").write_text(f"nameserver {DNS}\n")
        script = 'mount --bind "$0" /etc/resolv.conf && exec postfix -c "$1" start'
        subprocess.run(
            ["unshare", "-m", "sh", "-c", script, str(here / "resolv.conf"), str(conf)],
            check=True,
            stderr=subprocess.DEVNULL,
        )
        wait_port(DOOR)
        return int((here / "spool/pid/master.pid").read_text())

    def stop(self, pid: int) -> None:
        subprocess.run(["postfix", "-c", str(self.folder / "etc"), "stop"], check=True, stderr=subprocess.DEVNULL)


class Postroom:
    """Its defaults, but for names, folders, where it listens, and that this machine may relay."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "postroom"

    def start(self) -> int:
        """The supervisor."""
        self.folder.mkdir()
        run = [sys.executable, "-m", "postroom.cli.main"]
        subprocess.run([*run, "init", str(self.folder)], check=True, capture_output=True)
        config = self.folder / "postroom.toml"
        config.write_text(
            f'[server]\nhostname = "mx.here.test"\ndata = "data"\ndns = ["{DNS}"]\n'
            f'[[listener]]\nprotocol = "smtp"\naddress = "{DOOR[0]}"\nport = {DOOR[1]}\n'
            '[tls]\ncertificate = "certificate.pem"\nkey = "key.pem"\n'
            '[limits]\nrelay_networks = ["127.0.0.1/32"]\n[log]\nfile = "server.log"\n'
        )
        error = (self.folder / "stderr.log").open("wb")
        process = subprocess.Popen([*run, "serve", "--config", str(config)], stderr=error, start_new_session=True)
        wait_port(DOOR)
        return process.pid

    def stop(self, pid: int) -> None:
        os.kill(pid, signal.SIGTERM)
        os.waitpid(pid, 0)


# counting


def spent(root: int) -> float:
    """CPU seconds of a process, of all below it, and of those that have ended and were waited for."""
    children: dict[int, list[int]] = {}
    used: dict[int, int] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError):
                fields = Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()
                children.setdefault(int(fields[1]), []).append(int(entry))
                used[int(entry)] = sum(int(each) for each in fields[11:15])
    total, todo = 0, [root]
    while todo:
        pid = todo.pop()
        total += used.get(pid, 0)
        todo += children.get(pid, [])
    return total / _TICK


def wait_port(address: tuple[str, int], seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            socket.create_connection(address, 1).close()
            return
        time.sleep(0.05)
    raise SystemExit(f"nothing listens at {address}")


def run(server: Postfix | Postroom, cases: list[Case], kib: int) -> dict[str, tuple[float, float]]:
    """Copies per CPU second and per second, by case."""
    root = server.start()
    found = {}
    try:
        uvloop.run(warm(kib))
        for case in cases:
            sink = start_sink(case.copies)
            time.sleep(1)
            before, start = spent(root), time.perf_counter()
            uvloop.run(inject(case, kib))
            sink.wait(120)
            took = time.perf_counter() - start
            time.sleep(1)
            found[case.name] = (case.copies / (spent(root) - before), case.copies / took)
    finally:
        server.stop(root)
    return found


async def warm(kib: int) -> None:
    """What is loaded at the first message is not counted."""
    sink = start_sink(2 * DOMAINS)
    await inject(Case("", 2 * DOMAINS, 1), kib)
    await asyncio.to_thread(sink.wait, 60)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("messages", type=int, nargs="?", default=4000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--kib", type=int, default=4)
    parser.add_argument("--only", default="postfix,postroom")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    kinds = {"postfix": Postfix, "postroom": Postroom}
    cases = [
        Case("one recipient", options.messages, 1),
        Case("20 recipients", max(options.messages // DOMAINS, 10), DOMAINS),
    ]
    results: dict[tuple[str, str], list[tuple[float, float]]] = {}
    with dns():
        for number in range(options.rounds):
            for name in options.only.split(","):
                with tempfile.TemporaryDirectory(prefix="relay-", dir="/var/tmp") as folder:
                    Path(folder).chmod(0o755)
                    for case, figures in run(kinds[name](Path(folder)), cases, options.kib).items():
                        results.setdefault((name, case), []).append(figures)
                        cpu, wall = figures
                        print(f"round {number + 1}: {name}, {case}: {cpu:.0f} a CPU second, {wall:.0f} a second")
    print("\n| server | case | messages out a CPU second: median (all) | a second |\n|---|---|---|---|")
    for (name, case), figures in results.items():
        by_cpu, by_wall = zip(*figures, strict=True)
        each = ", ".join(f"{one:.0f}" for one in by_cpu)
        print(f"| {name} | {case} | {statistics.median(by_cpu):.0f} ({each}) | {statistics.median(by_wall):.0f} |")


if __name__ == "__main__":
    main()
