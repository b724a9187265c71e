"""A small internet on loopback: a DNS server, companies that each run Postroom on an address of their own, and peers.

Every company's mail server listens on one common port of its address, and mail leaves from that address, so MX, SPF,
names of addresses and DKIM work as they do outside.
"""

from __future__ import annotations

import asyncio
import email
import email.policy
import imaplib
import json
import os
import select
import signal
import smtplib
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path
from typing import Any, TypeVar

from postroom.testing.dnsserver import DnsServer
from postroom.testing.scripted_peer import ScriptedPeer
from postroom.testing.scripted_web import ScriptedWeb

T = TypeVar("T")
PASSWORD = "correct horse 9"
SOURCE = str(Path(__file__).parents[2] / "src")

CONFIG = """
[server]
hostname = "mx.{domain}"
data = "data"
workers = {workers}
dns = ["{dns}"]

[[listener]]
protocol = "smtp"
address = "{address}"
port = {port}

[[listener]]
protocol = "submission"
address = "{address}"
port = {submission}

[[listener]]
protocol = "imap"
address = "{address}"
port = {imap}

[[source]]
addresses = ["{address}"]

[tls]
certificate = "certificate.pem"
key = "key.pem"

[relay]
port = {port}
retry_first = 0.5
retry_longest = 1
lifetime = {lifetime}
{relay}

[limits]
connections_per_ip = 200
login_failures_per_minute = 1000
{limits}

[log]
file = "server.log"
"""


def until(what: Callable[[], T], seconds: float = 30.0) -> T:
    """The first true answer of `what`, asked again and again."""
    deadline = time.monotonic() + seconds
    while not (answer := what()):
        assert time.monotonic() < deadline, f"{what} did not come true in {seconds} s"
        select.select([], [], [], 0.05)
    return answer


def free_ports(count: int) -> list[int]:
    """Ports that are free on every loopback address just now."""
    found: list[int] = []
    sockets = []
    for _ in range(count):
        probe = socket.socket()
        probe.bind(("0.0.0.0", 0))
        sockets.append(probe)
        found.append(probe.getsockname()[1])
    for probe in sockets:
        probe.close()
    return found


class Peers:
    """Scripted servers, in a thread of their own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._made: list[ScriptedPeer | ScriptedWeb] = []
        self._thread.start()

    def start(self, peer: ScriptedPeer | ScriptedWeb, address: str, port: int) -> None:
        """Let it listen. Raises OSError."""
        asyncio.run_coroutine_threadsafe(peer.start(address, port), self._loop).result(10)
        self._made.append(peer)

    def stop(self) -> None:
        """End them all."""
        for peer in self._made:
            asyncio.run_coroutine_threadsafe(peer.stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@dataclass
class Company:
    """One domain with its server. people: local parts."""

    domain: str
    address: str
    folder: Path
    ports: dict[str, int]
    dns: DnsServer
    people: tuple[str, ...]
    workers: int = 1
    lifetime: float = 432000
    process: subprocess.Popen[bytes] | None = None
    extra: str = ""
    relay: str = ""  # more lines of [relay]
    limits: str = ""  # more lines of [limits]
    before: str = ""  # Python that the server's process runs first
    _published: list[dict[str, Any]] = field(default_factory=list)

    # commands

    def postroom(self, *arguments: str, stdin: str = "", ok: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "postroom.cli.main", *arguments, "--config", str(self.folder / "postroom.toml")],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": SOURCE, "NO_COLOR": "1"},
        )
        assert not ok or done.returncode == 0, done.stdout + done.stderr
        return done

    def json(self, *arguments: str, ok: bool = True) -> Any:
        return json.loads(self.postroom(*arguments, "--json", ok=ok).stdout)

    # life

    def found(self) -> None:
        """Make folder, domain and accounts, and publish exactly what `dns show` says."""
        done = subprocess.run(
            [sys.executable, "-m", "postroom.cli.main", "init", str(self.folder)],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env={**os.environ, "PYTHONPATH": SOURCE},
        )
        assert done.returncode == 0, done.stderr
        config = CONFIG.format(
            domain=self.domain,
            address=self.address,
            dns=self.dns.address,
            workers=self.workers,
            lifetime=self.lifetime,
            relay=self.relay,
            limits=self.limits,
            **self.ports,
        )
        (self.folder / "postroom.toml").write_text(config + self.extra)
        self.postroom("domain", "add", self.domain)
        for person in self.people:
            self.postroom("user", "add", f"{person}@{self.domain}", "--password-stdin", stdin=PASSWORD + "\n")
        self.publish()

    def publish(self, dmarc: str = "reject") -> None:
        octets = self.address.split(".")
        self.dns.add({
            f"mx.{self.domain}": {"A": [self.address]},
            ".".join(reversed(octets)) + ".in-addr.arpa": {"PTR": [f"mx.{self.domain}"]},
        })  # fmt: skip
        for record in self.json("dns", "show", self.domain)["records"]:
            here = self.dns.zone.setdefault(record["name"], {})
            value = record["value"]
            if record["type"] == "MX":
                here["MX"] = [[record["priority"], value.rstrip(".")]]
            elif record["type"] == "TXT":
                value = value.replace("p=quarantine", f"p={dmarc}") if record["kind"] == "dmarc" else value
                here["TXT"] = [value]
            elif record["type"] == "SRV":
                weight, port, host = value.split()
                here["SRV"] = [[record["priority"], int(weight), int(port), host.rstrip(".")]]

    def start(self) -> None:
        program = ["-c", f"{self.before}\nfrom postroom.cli.main import main; main()"]
        self.process = subprocess.Popen(
            [sys.executable, *program, "serve", "--config", str(self.folder / "postroom.toml")],
            stdout=subprocess.DEVNULL,
            stderr=(self.folder / "stderr.log").open("ab"),
            cwd=self.folder,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": SOURCE},
        )
        for port in self.ports.values():
            until(lambda port=port: self._answers(port))

    def _answers(self, port: int) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self.folder / "stderr.log").read_text()[-2000:]
        return self._connects(port)

    def _connects(self, port: int) -> bool:
        try:
            socket.create_connection((self.address, port), 5).close()
        except OSError:
            return False
        return True

    def stop(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            assert self.process.wait(30) == 0, (self.folder / "stderr.log").read_text()[-2000:]
            self.process = None

    def kill(self) -> None:
        """All its processes at once, as a power cut would."""
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)
        # a worker in the middle of a sync dies a moment later, and its sockets with it
        until(lambda: not any(self._connects(port) for port in self.ports.values()))
        self.process = None

    # mail

    def tls(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self.folder / "certificate.pem")
        context.check_hostname = False
        return context

    def submit(
        self, person: str, to: str | list[str], subject: str, *, options: tuple[str, ...] = (), more: str = ""
    ) -> None:
        """Somebody of the company sends a mail. more: of its text."""
        message = EmailMessage(policy=email.policy.SMTP)
        message["From"] = f"{person}@{self.domain}"
        message["To"] = to if isinstance(to, str) else ", ".join(to)
        message["Subject"] = subject
        message.set_content(f"This is about {subject}.\n{more}")
        with smtplib.SMTP(self.address, self.ports["submission"], timeout=30) as client:
            client.starttls(context=self.tls())
            client.login(f"{person}@{self.domain}", PASSWORD)
            client.send_message(message, mail_options=options)

    def mail(self, person: str, mailbox: str = "INBOX") -> list[EmailMessage]:
        """What lies in a mailbox."""
        client = imaplib.IMAP4(self.address, self.ports["imap"])
        client.starttls(self.tls())
        try:
            client.login(f"{person}@{self.domain}", PASSWORD)
            client.select(mailbox, readonly=True)
            _, found = client.uid("FETCH", "1:*", "(BODY.PEEK[])")
            return [
                email.message_from_bytes(item[1], policy=email.policy.default)  # type: ignore[arg-type]
                for item in found
                if isinstance(item, tuple)
            ]
        finally:
            client.logout()

    def subjects(self, person: str, mailbox: str = "INBOX") -> list[str]:
        return [str(one["Subject"]) for one in self.mail(person, mailbox)]

    def one(self, person: str, subject: str, mailbox: str = "INBOX") -> EmailMessage:
        """The mail with this subject, once it is there."""

        def look() -> list[EmailMessage]:
            return [one for one in self.mail(person, mailbox) if subject in str(one["Subject"])]

        [found] = until(look)
        return found

    def events(self, name: str) -> list[dict[str, Any]]:
        lines = (self.folder / "server.log").read_text().splitlines()
        return [told for told in map(json.loads, lines) if told["event"] == name]
