"""An IMAP server in one process: memory store, fake links, and conversations to play."""

from __future__ import annotations

import asyncio
import itertools
import re
from collections.abc import Callable
from textwrap import dedent
from typing import Any

from postroom.config import Imap, Limits, Listener, Passwords, Protocol, TlsMode
from postroom.identity.errors import AccountDisabled, BadCredentials
from postroom.identity.hashing import InlineHasher
from postroom.identity.service import Identity
from postroom.mailbox.incoming import Incoming
from postroom.mailbox.limits import MailboxLimits
from postroom.mailbox.service import Account, Mailboxes
from postroom.net.link import TlsInfo
from postroom.policy import Offence, Tally
from postroom.policy.decision import Admission
from postroom.servers.imap.service import ImapService, Rooms
from postroom.servers.login import Logins
from postroom.store.api import AccountRow, DomainRow, TokenRow
from postroom.store.memory import MemoryStore
from postroom.values.clock import SystemClock
from postroom.values.content import Content
from postroom.wire.sasl import ScramKeys, derive_scram_keys

NOW = 1_700_000_000
TLS = TlsInfo("TLSv1.3", "TLS_AES_256_GCM_SHA384", b"end-point-hash")
STANDARD = [
    ("INBOX", ""),
    ("Archive", "\\Archive"),
    ("Drafts", "\\Drafts"),
    ("Junk", "\\Junk"),
    ("Sent", "\\Sent"),
    ("Trash", "\\Trash"),
]


class FakeClock:
    def __init__(self) -> None:
        self.time = float(NOW)

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time


class FakeLink:
    """What net.link.Link is to a driver, without a socket."""

    def __init__(self, tls: TlsInfo | None = TLS, peer: str = "192.0.2.1") -> None:
        self.peer = (peer, 40000)
        self.local = ("192.0.2.9", 993)
        self.tls = tls
        self.out = bytearray()
        self.alive = True
        self.paused = False
        self.seconds = 0.0
        self.driver: Any = None
        self.choke: asyncio.Event | None = None
        self.handshakes = 0
        self.largest = 0
        self.encode: Callable[[bytes], bytes] | None = None

    @property
    def secure(self) -> bool:
        return self.tls is not None

    @property
    def loopback(self) -> bool:
        return self.peer[0].startswith("127.")

    def send(self, data: bytes) -> None:
        if self.alive:
            self.out += data if self.encode is None else self.encode(bytes(data))
            self.largest = max(self.largest, len(self.out))

    @property
    def choked(self) -> bool:
        return not self.alive or (self.choke is not None and not self.choke.is_set())

    def encode_with(self, encode: Callable[[bytes], bytes] | None) -> None:
        self.encode = encode

    async def drain(self) -> None:
        if self.choke is not None:
            await self.choke.wait()
        if not self.alive:
            raise ConnectionResetError

    def start_tls(self) -> None:
        self.handshakes += 1
        self.tls = TLS

    def is_stuck(self) -> bool:
        return self.choke is not None

    def deadline(self, seconds: float) -> None:
        self.seconds = seconds

    def pause(self) -> None:
        self.paused = True

    def resume(self) -> None:
        self.paused = False

    def close(self) -> None:
        if self.alive:
            self.alive = False
            self.driver.closed(None)

    abort = close


class FakeIdentity:
    def __init__(self, store: Any) -> None:
        self.store = store
        self.passwords: dict[str, str] = {}
        self.slow: asyncio.Event | None = None
        passwords = Passwords(memory_kib=8, passes=1)
        self.real = Identity(store.directory, InlineHasher(passwords), SystemClock(), passwords)

    async def app_password(
        self, login: str, password: str, service: str, ip: str
    ) -> tuple[AccountRow, TokenRow] | None:
        return await self.real.app_password(login, password, service, ip)

    async def app_keys(self, login: str, service: str, ip: str) -> tuple[AccountRow, tuple[TokenRow, ...]] | None:
        return await self.real.app_keys(login, service, ip)

    async def authenticate(self, login: str, password: str) -> AccountRow:
        if self.slow is not None:
            await self.slow.wait()
        row = await self.store.directory.account_by_login(login.lower())
        if row is None or self.passwords.get(row.login) != password:
            raise BadCredentials
        if row.disabled:
            raise AccountDisabled
        return row

    async def by_certificate(self, login: str) -> AccountRow:
        row = await self.store.directory.account_by_login(login.lower())
        if row is None:
            raise BadCredentials
        if row.disabled:
            raise AccountDisabled
        return row

    async def scram(self, login: str) -> tuple[AccountRow, ScramKeys] | None:
        row = await self.store.directory.account_by_login(login.lower())
        if row is None or row.disabled:
            return None
        return row, derive_scram_keys(self.passwords[row.login], b"salt-of-the-earth", 4096)


class FakeGate:
    def __init__(self) -> None:
        self.open: list[str] = []
        self.most = 25
        self.tallies: list[Tally] = []

    def admit(self, _service: str, ip: str) -> Admission:
        if self.open.count(ip) >= self.most:
            return Admission(False, f"You have {self.most} connections open already; close some first")
        self.open.append(ip)
        return Admission(True)

    def release(self, _service: str, ip: str) -> None:
        self.open.remove(ip)

    def session(self, _ip: str, tally: Tally) -> None:
        self.tallies.append(tally)

    def note(self, _offence: Offence, _ip: str, _times: int = 1) -> None:
        """Nobody is banned here."""


class FakeThrottle:
    def __init__(self) -> None:
        self.failures = 0
        self.limit = 10

    def before(self, _ip: str, _login: str) -> float | None:
        return None if self.failures >= self.limit else 0.0

    def failed(self, _ip: str, _login: str, _password: str = "") -> None:
        self.failures += 1

    def text(self, ip: str) -> str:
        return f"Too many failed logins from {ip}; try again later"

    def succeeded(self, _ip: str, _login: str) -> None:
        self.failures = 0


class Client:
    """One connection: say lines, hear lines."""

    def __init__(self, house: House, link: FakeLink, listener: Listener) -> None:
        self.house = house
        self.link = link
        self.driver = house.service.driver(link, listener)  # type: ignore[arg-type]
        link.driver = self.driver
        self.driver.connected()
        self._tags = itertools.count(1)

    def hear(self) -> bytes:
        """Everything said since the last time."""
        heard = bytes(self.link.out)
        self.link.out.clear()
        return heard

    async def feed(self, data: bytes) -> bytes:
        """Octets to the server; what it says to them."""
        if self.link.alive:
            self.driver.received(data)
        await settle(self)
        return self.hear()

    async def say(self, text: str) -> bytes:
        """A line to the server."""
        return await self.feed(text.encode() + b"\r\n")

    async def do(self, text: str) -> list[str]:
        """A command to its tagged OK: its lines without it. Fails when it is not OK."""
        tag = f"t{next(self._tags)}"
        lines = (await self.say(f"{tag} {text}")).decode("utf-8", "surrogateescape").split("\r\n")
        assert lines.pop() == ""
        assert lines and lines[-1].startswith(f"{tag} OK"), (text, lines)
        return lines[:-1]

    async def tagged(self, text: str) -> str:
        """A command's tagged reply, without the tag."""
        tag = f"t{next(self._tags)}"
        lines = (await self.say(f"{tag} {text}")).decode("utf-8", "surrogateescape").split("\r\n")
        assert lines[-2].startswith(tag + " "), lines
        return lines[-2].removeprefix(tag + " ")


async def settle(*clients: Client) -> None:
    """Let the loop run until nobody has work left that can go on."""
    quiet = 0
    for _ in range(1_000_000):  # a store on a busy disk takes its time
        await asyncio.sleep(0)
        busy = any(client.driver._work is not None or client.driver._wake_due for client in clients)
        quiet = 0 if busy else quiet + 1
        if quiet > 3:
            return
        if busy and quiet == 0 and any(_held(client) for client in clients):
            for _ in range(20):
                await asyncio.sleep(0)
            return


def _held(client: Client) -> bool:
    return any(event is not None and not event.is_set() for event in (client.link.choke, client.house.identity.slow))


class House:
    """The server and what it rests on."""

    def __init__(
        self,
        *,
        limits: Limits | None = None,
        plaintext_on_loopback: bool = False,
        size: int = 1 << 20,
        store: Any = None,
        options: Imap | None = None,
        limits_of_mailboxes: MailboxLimits | None = None,
    ) -> None:
        self.clock = FakeClock()
        self.store: Any = store or MemoryStore(clock=self.clock)
        self.identity = FakeIdentity(self.store)
        self.gate = FakeGate()
        self.throttle = FakeThrottle()
        self.events: list[tuple[str, dict[str, Any]]] = []
        guids = itertools.count(1)
        self.mailboxes = Mailboxes(
            self.store,
            self.clock,
            lambda: f"{next(guids):032x}",
            limits_of_mailboxes or MailboxLimits(message_size=size),
        )
        logins = Logins(
            service="imap",
            identity=self.identity,
            throttle=self.throttle,
            log=self.log,
            nonce=lambda: "servernonce0123456789",
            decoy=b"decoy secret",
            plaintext_on_loopback=plaintext_on_loopback,
        )
        rooms = Rooms(
            store=self.store,
            mailboxes=self.mailboxes,
            logins=logins,
            gate=self.gate,
            conduct=self.gate,
            clock=self.clock,
            log=self.log,
        )
        self.service = ImapService(rooms, limits or Limits(), "mail.example.org", options)

    def log(self, name: str, **fields: Any) -> None:
        self.events.append((name, fields))

    async def add_account(self, login: str, password: str = "secret", **fields: Any) -> Account:
        domain = login.partition("@")[2]
        if await self.store.directory.domain(domain) is None:
            await self.store.directory.put_domain(DomainRow(name=domain, created=NOW))
        row = AccountRow(id=login.replace("@", "-"), login=login, created=NOW, **fields)
        await self.store.directory.put_account(row)
        await self.store.create_account(row.id, STANDARD)
        self.identity.passwords[login] = password
        return await self.mailboxes.open(row)

    def connect(self, *, tls: TlsInfo | None = TLS, peer: str = "192.0.2.1") -> Client:
        mode = TlsMode.IMPLICIT if tls else TlsMode.STARTTLS
        return Client(self, FakeLink(tls, peer), Listener(protocol=Protocol.IMAP, port=993, tls=mode))

    async def login(self, login: str = "ann@example.org") -> Client:
        client = self.connect()
        client.hear()
        await client.do(f"LOGIN {login} secret")
        return client

    async def selected(self, mailbox: str = "INBOX", login: str = "ann@example.org") -> Client:
        client = await self.login(login)
        await client.do(f"SELECT {mailbox}")
        return client


def message(number: int, body: str = "Hello\r\n") -> bytes:
    return (
        f"From: Ben <ben@example.org>\r\nTo: ann@example.org\r\nSubject: Message {number}\r\n"
        f"Date: Tue, 14 Nov 2023 22:13:{number % 60:02d} +0000\r\nMessage-ID: <{number}@example.org>\r\n\r\n{body}"
    ).encode()


async def fill(
    account: Account, mailbox: str, count: int, *, flags: int = 0, first: int = 1, recent: bool = False
) -> None:
    """Append messages in one go; some session has been told of them unless they are to be recent."""
    info = await account.find(mailbox)
    added = await account.append(
        info.id,
        [
            Incoming(content=Content.of(message(number)), internaldate=NOW + number, flags=flags)
            for number in range(first, first + count)
        ],
    )
    if added.uids and not recent:
        await account.store.recent(info.id, added.uids[-1] + 1, claim=True)


def matches(expected: str, line: str) -> bool:
    """`...` stands for anything."""
    return re.fullmatch(".*".join(map(re.escape, expected.split("..."))), line, re.DOTALL) is not None


async def play(clients: Client | dict[str, Client], script: str) -> None:
    """Play a conversation: `C: ` lines are said, `S: ` lines must be heard, in order and nothing else.

    With several clients the letters carry their keys: `C1:`, `S1:`. `S: (nothing)` is silence.
    """
    known = clients if isinstance(clients, dict) else {"": clients}
    pending: dict[str, list[str]] = {key: _lines(client.hear()) for key, client in known.items()}
    for raw in dedent(script).strip("\n").split("\n"):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        head, _, text = line.partition(":")
        text = text.removeprefix(" ")
        kind, key = head[0], head[1:]
        if kind == "C":
            for name, lines in pending.items():
                assert not lines, f"before {line!r}, client {name!r} also heard {lines}"
            client = known[key]
            if client.link.alive:
                client.driver.received(text.encode() + b"\r\n")
            await settle(*known.values())
            for name, other in known.items():
                pending[name] = _lines(other.hear())
        elif text == "(closed)":
            assert not known[key].link.alive, "still open"
        else:
            assert pending[key], f"expected {text!r}, heard nothing more"
            heard = pending[key].pop(0)
            assert matches(text, heard), f"expected {text!r}\n   heard {heard!r}"
    for name, lines in pending.items():
        assert not lines, f"at the end client {name!r} also heard {lines}"


def _lines(heard: bytes) -> list[str]:
    lines = heard.decode("utf-8", "surrogateescape").split("\r\n")
    return lines[:-1] if lines and not lines[-1] else lines


Setup = Callable[[House], Any]
