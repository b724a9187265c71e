"""The processes of a running server: reloads, stops, deaths, and commands that act on it while it runs."""

from __future__ import annotations

import imaplib
import json
import os
import poplib
import re
import signal
import smtplib
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from running import (
    Running,
    configure,
    environment,
    events,
    free_offset,
    named,
    serve_again,
    start_demo,
    stop_demo,
    until,
)

from postroom.net.tls import write_self_signed

MAIL = b"From: ann@postroom.test\r\nSubject: hello\r\n\r\nHello\r\n"


@pytest.fixture
def demo(folder: Path) -> Iterator[Running]:
    """A demo of this test alone, which a test may also have stopped itself."""
    server = start_demo(folder)
    yield server
    if server.process.poll() is None:
        assert stop_demo(server) == 0, (folder / "stderr.log").read_text()[-3000:]


def imap(server: Running, number: int = 0) -> imaplib.IMAP4_SSL:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    client = imaplib.IMAP4_SSL(server.host, server.ports["imaps"], ssl_context=context, timeout=20)
    client.login(server.login(number), server.password(number))
    return client


def pop3(server: Running, number: int = 0) -> poplib.POP3_SSL:
    client = poplib.POP3_SSL(server.host, server.ports["pop3s"], context=server.tls(), timeout=20)
    client.user(server.login(number))
    client.pass_(server.password(number))
    return client


def submission(server: Running, number: int = 0) -> smtplib.SMTP_SSL:
    client = smtplib.SMTP_SSL(server.host, server.ports["submissions"], context=server.tls(), timeout=20)
    client.login(server.login(number), server.password(number))
    return client


def deliver(server: Running, to: str, text: bytes = MAIL) -> None:
    with smtplib.SMTP(server.host, server.ports["smtp"], "client.example", timeout=20) as smtp:
        smtp.sendmail("a@b.example", [to], text)


def certificate(server: Running) -> bytes:
    """What a new connection is shown."""
    client = imap(server)
    shown = client.sock.getpeercert(binary_form=True)
    client.logout()
    assert shown
    return shown


def raw(server: Running, service: str, source: str = "127.0.0.1") -> socket.socket:
    return socket.create_connection((server.host, server.ports[service]), 20, source_address=(source, 0))


def reload(server: Running) -> None:
    """SIGHUP, and wait until both workers have the new configuration."""
    before = len(events(server, "config.reloaded"))
    server.process.send_signal(signal.SIGHUP)
    until(lambda: len(events(server, "config.reloaded")) >= before + 2)


# reloads


def test_a_reload_is_for_new_connections(demo: Running, folder: Path) -> None:
    standing, shown = imap(demo), certificate(demo)
    configure(demo, connections_per_ip=3)
    names = ["localhost", "127.0.0.1"]
    write_self_signed(folder / "certificate.pem", folder / "key.pem", names, 30, datetime.now(UTC))
    reload(demo)
    assert certificate(demo) != shown
    assert standing.noop()[0] == "OK"
    assert standing.select("INBOX")[0] == "OK"
    wires = []
    for _ in range(3):
        wires.append(raw(demo, "smtp", "127.7.1.1"))
        assert wires[-1].recv(100).startswith(b"220")
    last = raw(demo, "smtp", "127.7.1.1")
    answer = last.recv(1000)
    assert answer.startswith(b"421") and b" 3 " in answer
    for wire in (*wires, last):
        wire.close()
    standing.logout()


def test_a_replaced_worker_has_the_new_configuration_too(demo: Running) -> None:
    configure(demo, connections_per_ip=2)
    reload(demo)
    started = len(events(demo, "worker.started"))
    for name in ("worker 0", "worker 1"):
        os.kill(named(demo, name), signal.SIGKILL)
    until(lambda: len(events(demo, "worker.started")) >= started + 2)
    wires, said = [], []
    for _ in range(3):
        wires.append(raw(demo, "smtp", "127.7.2.1"))
        said.append(wires[-1].recv(1000)[:3])
    assert said == [b"220", b"220", b"421"]
    for wire in wires:
        wire.close()


@pytest.mark.parametrize(
    "fault", ["connections_per_ip = 0", 'trusted_networks = ["x"]', "no TOML at all", "the key is gone"]
)
def test_a_broken_configuration_changes_nothing(demo: Running, folder: Path, fault: str) -> None:
    shown = certificate(demo)
    if fault == "the key is gone":
        (folder / "key.pem").unlink()
    else:
        path = Path(demo.config)
        path.write_text(path.read_text().replace("[limits]", f"[limits]\n{fault}"))
    demo.process.send_signal(signal.SIGHUP)
    told = until(lambda: events(demo, "config.refused"))
    assert told[0]["reason"]
    assert certificate(demo) == shown
    deliver(demo, demo.login())


def listeners(server: Running, change: Callable[[list[str]], list[str]]) -> None:
    """Change the listeners in the configuration file, each a table."""
    path = Path(server.config)
    text = path.read_text()
    tables = re.findall(r"(?m)^\[\[listener\]\]\n(?:\w.*\n)+", text)
    assert len(tables) == len(server.ports)
    for table in tables:
        text = text.replace(table, "")
    path.write_text(text + "\n" + "\n".join(change(tables)))


def test_listeners_come_and_go_with_a_reload(demo: Running) -> None:
    port = demo.ports["lmtp"] + 3
    until(lambda: not answers(demo.host, port))
    reader, drop, half = imap(demo), pop3(demo), in_the_middle(demo)
    sender = smtplib.SMTP(demo.host, demo.ports["lmtp"], "client.example", timeout=20)

    def change(tables: list[str]) -> list[str]:
        kept = [table for table in tables if "lmtp" not in table]
        [imaps] = [table for table in kept if f"port = {demo.ports['imaps']}\n" in table]
        kept.remove(imaps)  # what is spoken there changes, the port stays
        other = f'[[listener]]\nprotocol = "pop3"\nport = {demo.ports["imaps"]}\ntls = "implicit"\n'
        return [f'[[listener]]\nprotocol = "imap"\nport = {port}\ntls = "implicit"\n', *kept, other]

    listeners(demo, change)
    reload(demo)
    assert not answers(demo.host, demo.ports["lmtp"])
    assert reader.noop()[0] == "OK"
    assert drop.stat()[0] > 0
    drop.quit()
    assert sender.noop()[0] == 250
    sender.close()
    half.sendall(b"lo\r\n.\r\n")
    assert half.recv(1000).startswith(b"250")
    half.close()
    swapped = replace(demo, ports={**demo.ports, "imaps": port, "pop3s": demo.ports["imaps"]})
    deliver(swapped, swapped.login())
    for _ in range(8):  # both workers
        imap(swapped).logout()
        until(lambda: pop3(swapped).quit())
    # who is started now has them too
    started = len(events(demo, "worker.started"))
    for name in ("worker 0", "worker 1"):
        os.kill(named(demo, name), signal.SIGKILL)
    until(lambda: len(events(demo, "worker.started")) >= started + 2)
    for _ in range(4):
        imap(swapped).logout()
    assert not events(demo, "config.refused")
    with pytest.raises((OSError, imaplib.IMAP4.abort)):  # both workers are gone, and with them the sessions
        reader.noop()


def answers(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), 5).close()
    except OSError:
        return False
    return True


def test_a_reload_that_cannot_bind_changes_nothing(demo: Running) -> None:
    with socket.create_server((demo.host, 0)) as stranger:
        taken = stranger.getsockname()[1]
        listeners(demo, lambda tables: [f'[[listener]]\nprotocol = "lmtp"\nport = {taken}\ntls = "none"\n'])
        demo.process.send_signal(signal.SIGHUP)
        told = until(lambda: events(demo, "config.refused"))
        assert f"port {taken} (lmtp)" in told[0]["reason"]
        assert "is taken" in told[0]["reason"]
    imap(demo).logout()
    deliver(demo, demo.login())


def test_the_log_is_opened_anew_and_the_level_taken(demo: Running, folder: Path) -> None:
    log = folder / "server.log"
    log.rename(folder / "server.log.1")
    configure(demo, level="debug")
    demo.process.send_signal(signal.SIGHUP)
    until(lambda: log.exists() and len(events(demo, "config.reloaded")) >= 2)
    before = (folder / "server.log.1").read_text()
    pop3(demo).quit()
    until(lambda: events(demo, "session.closed"))
    assert (folder / "server.log.1").read_text() == before


def test_what_only_a_restart_reaches_is_named(demo: Running) -> None:
    configure(demo, workers=1, shutdown_seconds=2.0, event_loop="asyncio")
    reload(demo)
    assert [told["keys"] for told in events(demo, "config.needs_restart")] == [["server.workers", "server.event_loop"]]
    wire = in_the_middle(demo)  # and says no more
    demo.process.send_signal(signal.SIGTERM)
    assert demo.process.wait(6) == 0
    wire.close()


# the stop


def greeted(server: Running, service: str) -> socket.socket:
    wire = raw(server, service)
    if service in ("imaps", "pop3s", "submissions"):
        wire = server.tls().wrap_socket(wire)
    assert wire.recv(1000)
    return wire


def test_a_stop_says_goodbye(demo: Running) -> None:
    reader = imap(demo)
    reader.send(b"x IDLE\r\n")
    reader.readline()
    wires = {service: greeted(demo, service) for service in demo.ports if service not in ("https", "metrics")}
    drop = pop3(demo)
    demo.process.send_signal(signal.SIGTERM)
    words = {"smtp": b"421 4.3.2", "submission": b"421 4.3.2", "submissions": b"421 4.3.2", "lmtp": b"421 4.3.2"}
    words["managesieve"] = b"BYE (TRYLATER)"
    for service, wire in wires.items():
        said = wire.recv(1000)
        assert said.startswith(words.get(service, b"* BYE" if "imap" in service else b"-ERR [SYS/TEMP]")), service
        assert wire.recv(1000) == b"", service
    assert reader.readline().startswith(b"* BYE [UNAVAILABLE]")
    assert drop.file.readline().startswith(b"-ERR [SYS/TEMP]")
    for wire in wires.values():
        wire.close()
    assert demo.process.wait(15) == 0
    assert not any(Path(f"/proc/{pid}").exists() for pid in demo.pids)


def in_the_middle(server: Running) -> socket.socket:
    """A client of the MX port that has sent half a message."""
    wire = raw(server, "smtp")
    wire.recv(1000)
    wire.sendall(b"EHLO c.example\r\n")
    wire.recv(1000)
    wire.sendall(b"MAIL FROM:<a@b.example>\r\nRCPT TO:<%s>\r\nDATA\r\n" % server.login().encode())
    told = b""
    while b"354" not in told:
        told += wire.recv(1000)
    wire.sendall(b"Subject: slow\r\n\r\nHel")
    return wire


def test_a_message_in_flight_is_finished(demo: Running) -> None:
    wire, idle = in_the_middle(demo), greeted(demo, "smtp")
    demo.process.send_signal(signal.SIGTERM)
    assert idle.recv(1000).startswith(b"421"), "the stop has reached the worker"
    idle.close()
    until(lambda: turned_away(demo))  # the other worker may hear of it a moment later
    wire.sendall(b"lo\r\n.\r\n")
    told = b""
    while data := wire.recv(1000):
        told += data
    assert told.startswith(b"250 2.0.0"), told
    assert b"\r\n421 4.3.2" in told
    assert demo.process.wait(15) == 0
    again = serve_again(demo)
    client = imap(again)
    until(lambda: client.select("INBOX") and client.search(None, "SUBJECT", "slow")[1] != [b""])
    client.logout()
    assert stop_demo(again) == 0


def turned_away(server: Running) -> bool:
    try:
        with raw(server, "smtp") as wire:
            return not wire.recv(1000).startswith(b"220")
    except OSError:
        return True


def test_a_stop_does_not_wait_for_ever(demo: Running, folder: Path) -> None:
    configure(demo, shutdown_seconds=2.0)
    assert stop_demo(demo) == 0
    again = serve_again(demo)
    wire = in_the_middle(again)  # and says no more
    again.process.send_signal(signal.SIGTERM)
    assert again.process.wait(6) == 0
    wire.close()
    demo.postroom("check")


# deaths


def test_counts_of_a_dead_worker_are_forgotten(demo: Running) -> None:
    wires = [raw(demo, "smtp", "127.7.3.1") for _ in range(25)]
    assert all(wire.recv(1000).startswith(b"220") for wire in wires)
    started = len(events(demo, "worker.started"))
    for name in ("worker 0", "worker 1"):
        os.kill(named(demo, name), signal.SIGKILL)
    until(lambda: len(events(demo, "worker.started")) >= started + 2)
    assert {told["name"] for told in events(demo, "process.died")} == {"worker 0", "worker 1"}
    again = raw(demo, "smtp", "127.7.3.1")
    assert again.recv(1000).startswith(b"220")
    for wire in (*wires, again):
        wire.close()


def test_a_dead_hashing_process_is_replaced(demo: Running) -> None:
    old = named(demo, "hashing")
    os.kill(old, signal.SIGKILL)
    client = imap(demo)  # waits for the new one
    assert named(demo, "hashing") not in (0, old)
    client.logout()
    pop3(demo, 1).quit()


def test_mail_reaches_idlers_of_a_replaced_worker(demo: Running) -> None:
    os.kill(named(demo, "worker 1"), signal.SIGKILL)
    clients = [imap(demo) for _ in range(12)]  # some of them on the worker that has just begun
    for client in clients:
        client.select("INBOX")
        client.send(b"x IDLE\r\n")
        client.readline()
    deliver(demo, demo.login())
    for client in clients:
        line = b""
        while b"EXISTS" not in line:
            line = client.readline()
            assert line
        client.shutdown()


def test_fewer_workers_take_over_the_queues_of_more(demo: Running) -> None:
    number = 0

    def slots() -> set[int]:
        nonlocal number
        number += 1
        with submission(demo) as smtp:
            smtp.sendmail(demo.login(), [f"x{number}@outside.example"], MAIL)
        return {entry["worker"] for entry in listing(demo)}

    until(lambda: slots() == {0, 1})
    assert stop_demo(demo) == 0
    configure(demo, workers=1)
    again = serve_again(demo)
    entries = listing(again)
    assert len(entries) == number
    assert {entry["worker"] for entry in entries} == {0}
    again.postroom("queue", "drop", "--domain", "outside.example", "--yes", ok=False)
    assert stop_demo(again) == 0
    again.postroom("check")


# commands on the running server


def listing(server: Running) -> list[dict[str, object]]:
    return json.loads(server.postroom("queue", "list", "--json").stdout)["entries"]


def test_disable_ends_sessions_at_once(demo: Running) -> None:
    reader, idler, drop, sender, other = imap(demo), imap(demo), pop3(demo), submission(demo), imap(demo, 1)
    idler.select("INBOX")
    idler.send(b"x IDLE\r\n")
    idler.readline()
    demo.postroom("user", "disable", demo.login())
    for client in (reader, idler):
        line = b" "
        while line and not line.startswith(b"* BYE [CONTACTADMIN]"):
            line = client.readline()
        assert line
    assert drop.file.readline().startswith(b"-ERR")
    assert sender.sock.recv(1000).startswith(b"421 4.7.0")
    assert other.noop()[0] == "OK"
    with pytest.raises(imaplib.IMAP4.error, match="CONTACTADMIN"):
        imap(demo)
    demo.postroom("user", "enable", demo.login())
    imap(demo).logout()
    other.logout()


def test_queue_commands_act_on_the_running_server(demo: Running) -> None:
    with submission(demo) as smtp:
        for name in ("one", "two"):
            smtp.sendmail(demo.login(), [f"{name}@outside.example"], MAIL)

    def states() -> dict[str, str]:
        rows = [one for entry in listing(demo) for one in entry["recipients"]]  # type: ignore[attr-defined]
        return {row["address"]: row["state"] for row in rows}

    def tries(name: str) -> int:
        rows = [one for entry in listing(demo) for one in entry["recipients"]]  # type: ignore[attr-defined]
        return next(row["attempts"] for row in rows if row["address"].startswith(name))

    until(lambda: tries("one") == 1 and tries("two") == 1)
    shown = demo.postroom("queue", "list", "--json").stdout
    assert "no smart host" in shown, "it says why it waits"
    demo.postroom("queue", "hold", "--recipient", "one@")
    assert states() == {"one@outside.example": "held", "two@outside.example": "waiting"}
    demo.postroom("queue", "retry", "--domain", "outside.example")
    until(lambda: tries("two") == 2)
    assert tries("one") == 1
    demo.postroom("queue", "release", "--recipient", "one@")
    until(lambda: tries("one") == 2)
    demo.postroom("queue", "drop", "--recipient", "two@", "--yes")
    assert list(states()) == ["one@outside.example"]


# starts that must fail


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "postroom.cli.main", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False, env=environment())


def test_a_second_server_on_one_folder_is_refused(demo: Running) -> None:
    done = run("serve", "--config", demo.config)
    assert done.returncode not in (0, -6)
    assert f"process {demo.process.pid}" in done.stderr and "already" in done.stderr
    assert "Traceback" not in done.stderr
    deliver(demo, demo.login())


def test_a_taken_port_is_named(folder: Path) -> None:
    offset = free_offset()
    with socket.create_server(("127.0.0.1", offset + 143)):
        done = run("demo", "--json", "--keep", str(folder), "--port-offset", str(offset))
    assert done.returncode not in (0, -6)
    assert f"port {offset + 143} (imap)" in done.stderr and "is taken" in done.stderr
    assert str(os.getpid()) in done.stderr, "who holds it"
    assert "Traceback" not in done.stderr


def test_plain_asyncio_serves_everything(demo: Running) -> None:
    assert stop_demo(demo) == 0
    configure(demo, event_loop="asyncio")
    again = serve_again(demo)
    deliver(again, again.login())
    with submission(again) as smtp:
        smtp.sendmail(again.login(), [again.login(1)], MAIL)
    with smtplib.SMTP(again.host, again.ports["submission"], timeout=20) as smtp:
        smtp.starttls(context=again.tls())
        smtp.login(again.login(), again.password())
    with smtplib.LMTP(again.host, again.ports["lmtp"]) as lmtp:
        lmtp.sendmail("a@b.example", [again.login()], MAIL)
    client = imap(again)
    until(lambda: client.select("INBOX") and len(client.search(None, "SUBJECT", "hello")[1][0].split()) == 2)
    client.logout()
    drop = pop3(again, 1)
    assert drop.stat()[0] > 0
    assert drop.retr(1)[1]
    drop.quit()
    plain = imaplib.IMAP4(again.host, again.ports["imap"], timeout=20)
    plain.starttls(again.tls())
    plain.login(again.login(), again.password())
    plain.logout()
    assert stop_demo(again) == 0
    again.postroom("check")
