"""Bad input on every port of the running system: a helpful answer or a clean end, and the server lives on."""

from __future__ import annotations

import os
import socket
import ssl
from pathlib import Path

import pytest
from running import Running

PLAIN = ["smtp", "submission", "lmtp", "imap", "pop3"]
IMPLICIT = ["submissions", "imaps", "pop3s"]


class Wire:
    """A socket with lines; `source` is another loopback address, so that limits per address stay apart."""

    def __init__(self, server: Running, service: str, source: str = "127.0.0.1") -> None:
        self.socket: socket.socket = socket.create_connection(
            (server.host, server.ports[service]), 20, source_address=(source, 0)
        )
        if service in IMPLICIT:
            self.socket = server.tls().wrap_socket(self.socket)
        self.buffer = b""

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def line(self) -> bytes:
        while b"\n" not in self.buffer:
            data = self.socket.recv(65536)
            if not data:
                line, self.buffer = self.buffer, b""
                return line
            self.buffer += data
        line, self.buffer = self.buffer.split(b"\n", 1)
        return line + b"\n"

    def until(self, start: bytes) -> bytes:
        while not (line := self.line()).startswith(start):
            assert line, f"closed before {start!r}"
        return line

    def close(self) -> None:
        self.socket.close()


def alive(server: Running) -> None:
    wire = Wire(server, "smtp", "127.9.9.9")
    assert wire.line().startswith(b"220 ")
    wire.send(b"NOOP\r\n")
    assert wire.line().startswith(b"250 ")
    wire.close()


@pytest.mark.parametrize("service", PLAIN + IMPLICIT)
def test_garbage(server: Running, service: str) -> None:
    wire = Wire(server, service, "127.4.0.1")
    wire.line()
    wire.send(b"\x00\xff\xfe{}()\r\n" * 3 + b"A" * 100 + b"\r\n" + bytes(range(256)) + b"\r\n")
    answer = wire.line()
    assert answer[:1] in b"45-*" or b"BAD" in answer, answer
    wire.close()
    alive(server)


@pytest.mark.parametrize("service", PLAIN)
def test_endless_line(server: Running, service: str) -> None:
    wire = Wire(server, service, "127.4.1.1")
    wire.line()
    try:
        for _ in range(200):
            wire.send(b"A" * 65536)
        wire.send(b"\r\n")
        answer = wire.line()
        assert not answer or answer[:1] in b"45-*" or b"BAD" in answer, answer
    except (ConnectionError, ssl.SSLError):
        pass  # being cut off is a fair answer to 13 MB without an end
    wire.close()
    alive(server)


def test_smuggling_ends_nothing(server: Running) -> None:
    wire = Wire(server, "smtp", "127.4.2.1")
    wire.line()
    wire.send(b"EHLO client.example\r\n")
    wire.until(b"250 ")
    wire.send(b"MAIL FROM:<a@b.example>\r\nRCPT TO:<%s>\r\nDATA\r\n" % server.login().encode())
    assert wire.line().startswith(b"250")
    assert wire.line().startswith(b"250")
    assert wire.line().startswith(b"354")
    wire.send(b"Subject: one\r\n\r\nHello\n.\nMAIL FROM:<forged@b.example>\r\nRCPT TO:<x@y.example>\r\n.\r\n")
    assert wire.line().startswith(b"550 5"), "bare LF is refused, once, at the one true end"
    wire.send(b"NOOP\r\n")
    assert wire.line().startswith(b"250"), "and nothing in it was taken for a command"
    wire.close()


def test_huge_literal_before_login(server: Running) -> None:
    wire = Wire(server, "imap", "127.4.3.1")
    wire.line()
    wire.send(b"a LOGIN {2000000000}\r\n")
    answer = wire.line()
    assert answer.startswith((b"a BAD", b"a NO")), answer
    wire.send(b"b CAPABILITY\r\n")
    assert b"IMAP4rev" in wire.line()
    wire.close()
    alive(server)


def test_starttls_forgets_what_came_before(server: Running) -> None:
    wire = Wire(server, "imap", "127.4.4.1")
    wire.line()
    wire.send(b"a STARTTLS\r\nb NOOP\r\n")
    assert wire.line().startswith(b"a OK")
    wire.socket = server.tls().wrap_socket(wire.socket)
    wire.buffer = b""
    wire.send(b"c NOOP\r\n")
    assert wire.line().startswith(b"c OK"), "the injected command was not run"
    wire.close()


def test_passwords_are_refused_without_tls(server: Running) -> None:
    wire = Wire(server, "imap", "127.4.5.1")
    assert b"LOGINDISABLED" in wire.line()
    wire.send(b'a LOGIN "x" "y"\r\n')
    assert b"PRIVACYREQUIRED" in wire.until(b"a ")
    wire.close()
    wire = Wire(server, "submission", "127.4.5.1")
    wire.line()
    wire.send(b"EHLO x.example\r\nAUTH PLAIN AGEAYg==\r\n")
    wire.until(b"250 ")
    assert wire.line()[:3] in {b"530", b"538", b"554", b"503"}
    wire.close()


@pytest.mark.parametrize("service", ["smtp", "imap", "pop3"])
def test_twenty_five_connections_per_address(server: Running, service: str) -> None:
    source = f"127.5.{os.getpid() % 250}.{PLAIN.index(service) + 1}"
    wires, refused = [], b""
    for _ in range(26):
        wire = Wire(server, service, source)
        wires.append(wire)
        refused = wire.line()
    assert refused[:4] in {b"421 ", b"* BY", b"-ERR"}, refused
    assert b"25" in refused, "the limit is named"
    for wire in wires:
        wire.close()
    other = Wire(server, service, "127.5.251.1")
    assert other.line()[:4] in {b"220 ", b"* OK", b"+OK "}
    other.close()


def test_memory_stays_bounded(server: Running) -> None:
    def resident() -> int:
        pages = 0
        for pid in server.pids:
            pages += int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        return pages * 4096

    before = resident()
    wires = [Wire(server, "smtp", f"127.6.{number}.1") for number in range(20)]
    for wire in wires:
        wire.line()
        wire.send(b"EHLO x.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<%s>\r\n" % server.login().encode())
        wire.send(b"DATA\r\n")
    for wire in wires:
        wire.until(b"354")
    for _ in range(64):
        for wire in wires:
            wire.send(b"x" * 70 + b"\r\n" + (b"y" * 70 + b"\r\n") * 900)
    assert resident() - before < 60 << 20, "80 MB of bodies in flight are not held in memory"
    for wire in wires:
        wire.close()
    alive(server)
