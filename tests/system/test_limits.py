"""Limits, bans and freezes on a running server with two workers, from outside."""

from __future__ import annotations

import imaplib
import json
import re
import signal
import smtplib
import socket
import ssl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from running import Running, configure, events, serve_again, start_demo, stop_demo, until

STRANGER = "127.9.9.1"


@pytest.fixture
def demo(folder: Path) -> Iterator[Running]:
    """A demo of this test alone, which a test may also have stopped itself."""
    server = start_demo(folder)
    yield server
    if server.process.poll() is None:
        assert stop_demo(server) == 0, (folder / "stderr.log").read_text()[-3000:]


def submission(server: Running, number: int = 0) -> smtplib.SMTP_SSL:
    client = smtplib.SMTP_SSL(server.host, server.ports["submissions"], context=server.tls(), timeout=30)
    client.login(server.login(number), server.password(number))
    return client


def send(client: smtplib.SMTP, sender: str, *to: str) -> tuple[int, str]:
    """One message; the first refusal, or 250."""
    client.mail(sender)
    for each in to:
        code, text = client.rcpt(each)
        if code != 250:
            client.rset()
            return code, text.decode()
    code, text = client.data(f"From: {sender}\r\nSubject: hello\r\n\r\nhello\r\n".encode())
    return code, text.decode()


def inbox(server: Running, number: int = 0) -> list[str]:
    """Subjects in an INBOX."""
    context = ssl.create_default_context(cafile=server.certificate)
    context.check_hostname = False
    client = imaplib.IMAP4_SSL(server.host, server.ports["imaps"], ssl_context=context, timeout=30)
    client.login(server.login(number), server.password(number))
    client.select("INBOX", readonly=True)
    _, told = client.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
    client.logout()
    return [part[1].decode().partition(": ")[2].strip() for part in told if isinstance(part, tuple)]


def show(server: Running, *name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(server.postroom("limit", "show", *name, "--json").stdout)
    return found


def storm(server: Running, senders: list[int], numbers: Iterator[int], most: int) -> list[tuple[int, str]]:
    """Several clients send at once, as fast as they can, until each is refused."""

    def one(number: int) -> list[tuple[int, str]]:
        client, said = submission(server, number), []
        while len(said) < most and (not said or said[-1][0] == 250):
            said.append(send(client, server.login(number), f"r{next(numbers)}@far.example"))
        client.close()
        return said

    with ThreadPoolExecutor(len(senders)) as pool:
        return [each for said in pool.map(one, senders) for each in said]


def test_a_limit_is_exact_over_two_workers_and_says_when_it_ends(demo: Running) -> None:
    ann = demo.login()
    demo.postroom("user", "set", ann, "--daily-messages", "25")
    said = storm(demo, [0] * 6, count(), 40)
    assert sum(code == 250 for code, _ in said) == 25
    refusals = [text for code, text in said if code != 250]
    assert len(refusals) == 6
    for text in refusals:
        assert re.search(
            rf"4\.7\.1 Sending limit: {ann} may send 25 messages a day to other domains and has sent 25;"
            r" try again at \d{4}-\d\d-\d\d \d\d:\d\d UTC \(in 2[45] hours\)",
            text,
        ), text
    assert show(demo, ann)["day"]["messages"]["used"] == 25
    with submission(demo) as client:
        assert send(client, ann, demo.login(1))[0] == 250  # inside nothing is counted
    until(lambda: f"Sending limit of {ann}: 80 % used" in inbox(demo))
    assert inbox(demo).count(f"Sending limit of {ann}: 80 % used") == 1
    demo.postroom("limit", "lift", ann, "--for", "10m")
    with submission(demo) as client:
        assert send(client, ann, "another@far.example")[0] == 250
    demo.postroom("limit", "lift", ann, "--for", "0")
    with submission(demo) as client:
        assert send(client, ann, "third@far.example")[0] == 450


def test_a_domain_has_one_limit_for_all_its_people_and_a_crash_forgets_nothing(demo: Running, folder: Path) -> None:
    demo.postroom("domain", "set", demo.domain, "--hourly-messages", "12")
    said = storm(demo, [0, 1, 2, 0], count(), 2)
    assert [code for code, _ in said] == [250] * 8
    demo.process.kill()
    demo.process.wait(10)
    again = serve_again(demo)
    try:
        said = storm(again, [0, 1, 2], count(100), 9)
        assert sum(code == 250 for code, _ in said) == 4
        assert all(f"{demo.domain} may send 12 messages an hour" in text for code, text in said if code != 250)
    finally:
        again.process.send_signal(signal.SIGTERM)
        assert again.process.wait(20) == 0


def test_new_recipients_of_one_message(demo: Running) -> None:
    ann = demo.login()
    demo.postroom("user", "set", ann, "--daily-new", "10")
    with submission(demo) as client:
        client.mail(ann)
        said = [client.rcpt(f"r{number}@far.example") for number in range(30)]
        assert [code for code, _ in said] == [250] * 10 + [450] * 20
        assert b"may write to 10 new recipients a day" in said[-1][1]
        assert client.data(f"From: {ann}\r\n\r\nhello\r\n".encode())[0] == 250
        assert send(client, ann, "r0@far.example", "r9@far.example")[0] == 250
        assert send(client, ann, "r10@far.example")[0] == 450
    assert show(demo, ann)["day"]["new"]["used"] == 10


def test_a_frozen_account_reads_and_does_not_send(demo: Running) -> None:
    ann = demo.login()
    client = submission(demo)  # stands while it is frozen
    demo.postroom("limit", "freeze", ann, "--reason", "it was in the news")
    code, text = client.mail(ann)
    assert (code, text[:5]) == (550, b"5.7.1")
    assert b"it was in the news" in text
    client.close()
    assert inbox(demo)
    assert f"may not send  {ann}" in demo.postroom("status").stdout
    demo.postroom("limit", "unfreeze", ann)
    with submission(demo) as client:
        assert send(client, ann, "r@far.example")[0] == 250


def wire(server: Running, service: str, source: str) -> socket.socket:
    return socket.create_connection((server.host, server.ports[service]), 30, source_address=(source, 0))


def said_to(server: Running, service: str, source: str) -> bytes:
    """The first a peer hears; b"" when it is cut off."""
    with wire(server, service, source) as link:
        try:
            return link.recv(1000)
        except ConnectionResetError:
            return b""


def guess(server: Running, source: str, number: int) -> None:
    """A wrong password."""
    with wire(server, "pop3", source) as link:
        link.recv(1000)
        link.sendall(b"STLS\r\n")
        link.recv(1000)
        with server.tls().wrap_socket(link) as safe:
            safe.sendall(f"USER {server.login()}\r\n".encode())
            safe.recv(1000)
            safe.sendall(f"PASS guess {number}\r\n".encode())
            assert safe.recv(1000).startswith(b"-ERR")


def test_a_ban_holds_for_every_service_and_after_a_restart(demo: Running) -> None:
    configure(demo, exempt_networks=[], points=30)
    demo.process.send_signal(signal.SIGHUP)
    until(lambda: len(events(demo, "config.reloaded")) >= 2)
    for number in range(3):
        guess(demo, STRANGER, number)
    until(lambda: events(demo, "ban.made"))
    assert events(demo, "ban.made")[0]["network"] == STRANGER
    check_banned(demo)
    assert stop_demo(demo) == 0
    again = serve_again(demo)
    try:
        check_banned(again)
        again.postroom("ban", "rm", STRANGER)
        assert said_to(again, "smtp", STRANGER).startswith(b"220 ")
        again.postroom("ban", "add", STRANGER, "--reason", "spam")
        assert said_to(again, "smtp", STRANGER).startswith(b"554 5.7.1 127.9.9.1 may not connect here: spam")
        again.postroom("ban", "rm", STRANGER)
    finally:
        again.process.send_signal(signal.SIGTERM)
        assert again.process.wait(20) == 0


def check_banned(server: Running) -> None:
    for _ in range(4):  # whichever worker is met
        for service, begin in (
            ("smtp", b"421 4.7.0 "),
            ("submission", b"421 4.7.0 "),
            ("lmtp", b"421 4.7.0 "),
            ("imap", b"* BYE "),
            ("pop3", b"-ERR "),
        ):
            said = said_to(server, service, STRANGER)
            assert said.startswith(begin), said
            assert b"127.9.9.1 is turned away until" in said
            assert b"too many failed log-ins" in said
        for service in ("submissions", "imaps", "pop3s"):
            assert said_to(server, service, STRANGER) == b""
    assert said_to(server, "smtp", "127.9.9.2").startswith(b"220 ")
