"""What a link costs: CPU per request and reply (plain, TLS), per connection, and KiB per idle connection.

    python bench/bench_link.py [--loop uvloop|asyncio] [--connections N] [--json]

The server runs in a child process of its own; figures are its CPU time and its private memory.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime
import gc
import json
import os
import re
import resource
import signal
import socket
import ssl
import tempfile
from collections.abc import Callable
from pathlib import Path

import uvloop

from postroom.config import Listener, Protocol, Tls, TlsMode
from postroom.net import Certificates, Link, LinkOptions, Wheel, bind, serve
from postroom.net.tls import write_self_signed

REQUESTS = 20_000
HANDSHAKES = 500


class Answer:
    """Answers every line; arms the deadline as a protocol does."""

    __slots__ = ("link",)

    def __init__(self, link: Link) -> None:
        self.link = link

    def connected(self) -> None:
        self.link.deadline(300)
        # Like every mail protocol, and it matters: whoever waits for the client's first octets after a handshake
        # without session tickets waits for a delayed ACK too (40 ms) when the client has Nagle's algorithm on.
        self.link.send(b"* OK ready\r\n")

    def received(self, data: bytes) -> None:
        self.link.send(b"* OK still here\r\n")
        self.link.send(b"a1 OK done\r\n")
        self.link.deadline(300)

    def expired(self) -> None:
        self.link.close()

    def closed(self, reason: Exception | None) -> None:
        pass


class Child:
    """A process that serves one port."""

    def __init__(self, loop: str, tls: TlsMode, pair: Tls) -> None:
        listener = Listener(protocol=Protocol.IMAP, port=0, tls=tls)
        sock = bind(listener)
        self.port = sock.getsockname()[1]
        self.pid = os.fork()
        if not self.pid:
            self._serve(loop, sock, listener, pair)

    def _serve(self, name: str, sock: socket.socket, listener: Listener, pair: Tls) -> None:
        async def forever() -> None:
            options = LinkOptions(wheel=Wheel(), tls=Certificates(pair))
            await serve(sock, listener, Answer, options)
            await asyncio.Event().wait()

        gc.collect()
        gc.freeze()
        factory = uvloop.new_event_loop if name == "uvloop" else asyncio.new_event_loop
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(forever())

    def cpu(self) -> float:
        """Seconds of CPU so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def kib(self) -> int:
        """Private memory."""
        text = Path(f"/proc/{self.pid}/smaps_rollup").read_text()
        return sum(int(kib) for kib in re.findall(r"Private_\w+:\s+(\d+)", text))

    def stop(self) -> None:
        os.kill(self.pid, signal.SIGTERM)
        os.waitpid(self.pid, 0)


def _client(port: int, context: ssl.SSLContext | None) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", port))
    if context is not None:
        sock = context.wrap_socket(sock, server_hostname="localhost")
    sock.recv(4096)
    return sock


def _ask(sock: socket.socket) -> None:
    sock.sendall(b"a1 NOOP\r\n")
    got = 0
    while got < 29:
        got += len(sock.recv(4096))


def _requests(child: Child, context: ssl.SSLContext | None) -> float:
    sock = _client(child.port, context)
    _ask(sock)
    before = child.cpu()
    for _ in range(REQUESTS):
        _ask(sock)
    return (child.cpu() - before) / REQUESTS * 1e6


def _connections(child: Child, context: ssl.SSLContext | None) -> float:
    before = child.cpu()
    for _ in range(HANDSHAKES):
        with _client(child.port, context) as sock:
            _ask(sock)
    return (child.cpu() - before) / HANDSHAKES * 1e6


def _idle(child: Child, context: ssl.SSLContext | None, number: int) -> float:
    warm = [_client(child.port, context) for _ in range(50)]
    for sock in warm:
        _ask(sock)
    before = child.kib()
    crowd = [_client(child.port, context) for _ in range(number)]
    for sock in crowd:
        _ask(sock)
    grown = (child.kib() - before) / number
    for sock in warm + crowd:
        sock.close()
    return grown


def measure(loop: str, tls: TlsMode, pair: Tls, number: int) -> dict[str, float]:
    """All figures of one loop and TLS mode."""
    context = ssl.create_default_context(cafile=pair.certificate) if tls is TlsMode.IMPLICIT else None
    figures: dict[str, float] = {}
    steps: dict[str, Callable[[Child], float]] = {
        "idle_kib": lambda child: _idle(child, context, number),
        "request_us": lambda child: _requests(child, context),
        "connection_us": lambda child: _connections(child, context),
    }
    for name, step in steps.items():
        child = Child(loop, tls, pair)
        figures[name] = round(step(child), 1)
        child.stop()
    return figures


def main() -> None:
    """Print a table, or JSON."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--loop", choices=["uvloop", "asyncio"], default="uvloop")
    arguments.add_argument("--connections", type=int, default=1000)
    arguments.add_argument("--json", action="store_true")
    chosen = arguments.parse_args()
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    with tempfile.TemporaryDirectory() as folder:
        pair = Tls(certificate=f"{folder}/cert.pem", key=f"{folder}/key.pem")
        write_self_signed(Path(pair.certificate), Path(pair.key), ["localhost"], 2, datetime.datetime.now(datetime.UTC))
        figures = {
            tls.value: measure(chosen.loop, tls, pair, chosen.connections) for tls in (TlsMode.NONE, TlsMode.IMPLICIT)
        }
    if chosen.json:
        print(json.dumps({"loop": chosen.loop, **figures}))
        return
    for tls, row in figures.items():
        print(f"{chosen.loop:8} {tls:9}", *(f"{name} {value}" for name, value in row.items()))


if __name__ == "__main__":
    main()
