"""Identity, policy and log made of dictionaries; store, queue, intake, mailboxes and net are the real ones."""

from __future__ import annotations

import asyncio
import itertools
import ssl
from pathlib import Path
from weakref import WeakSet

from postroom.config import Config, Limits, Listener, Pop3, Protocol, Server, Tls, TlsMode
from postroom.identity.errors import AccountDisabled, BadCredentials
from postroom.identity.model import Permit, Sending
from postroom.intake.rooms import Rooms as IntakeRooms
from postroom.intake.routing import Hosted, NotHosted, Target, Unknown
from postroom.intake.service import Intake
from postroom.mailbox.incoming import Incoming
from postroom.mailbox.service import Mailboxes
from postroom.net import Certificates, Driver, Link, LinkOptions, Wheel, bind, serve
from postroom.policy import Offence, Tally
from postroom.policy.decision import Admission
from postroom.policy.strangers import Strangers
from postroom.servers.login import Logins
from postroom.servers.pop3 import Pop3Service
from postroom.servers.pop3 import Rooms as Pop3Rooms
from postroom.servers.smtp import Rooms as SmtpRooms
from postroom.servers.smtp import SmtpService
from postroom.store.api import AccountRow, DomainRow, Entry, NewEntry, QueueFilter, StoreUnavailable
from postroom.store.embedded import EmbeddedStore
from postroom.testing.mailflow import Events
from postroom.values.address import Address
from postroom.values.clock import SystemClock
from postroom.values.content import Content
from postroom.wire.sasl import ScramKeys, derive_scram_keys

ANN = AccountRow(id="a1", login="ann@here.test", created=0.0)
BEN = AccountRow(id="a2", login="ben@here.test", created=0.0, disabled=True)
KEYS = derive_scram_keys("secret", b"0123456789abcdef", 4096)


class People:
    """here.test with ann, and ben who is disabled; the password is "secret"."""

    def __init__(self) -> None:
        self.broken = False
        self.slow: asyncio.Event | None = None

    async def authenticate(self, login: str, password: str) -> AccountRow:
        if self.slow is not None:
            await self.slow.wait()
        if self.broken:
            raise StoreUnavailable("locked")
        if password != "secret" or login.casefold() not in (ANN.login, BEN.login):
            raise BadCredentials
        if login.casefold() == BEN.login:
            raise AccountDisabled
        return ANN

    async def app_password(self, _login: str, _password: str, _service: str, _ip: str) -> None:
        """Nobody has any."""

    async def app_keys(self, _login: str, _service: str, _ip: str) -> None:
        """Nobody has any."""

    async def by_certificate(self, login: str) -> AccountRow:
        if login.casefold() != ANN.login:
            raise BadCredentials
        return ANN

    async def scram(self, login: str) -> tuple[AccountRow, ScramKeys] | None:
        return (ANN, KEYS) if login.casefold() == ANN.login else None

    async def resolve(self, address: Address) -> Hosted | Unknown | NotHosted:
        if address.domain == "slow.test":
            await asyncio.sleep(0)
        if address.domain not in ("here.test", "slow.test"):
            return NotHosted()
        known = address.key in (ANN.login, "postmaster@here.test") or address.domain == "slow.test"
        return Hosted((Target(ANN.login, ANN.id),)) if known else Unknown()

    async def permit(self, account: AccountRow, address: Address | None) -> Permit:
        return Permit(Sending.NO)


class Policy:
    """Gate, throttle and rates."""

    def __init__(self) -> None:
        self.most = 25
        self.open: list[tuple[str, str]] = []
        self.empty = asyncio.Event()
        self.failures = 0
        self.most_failures = 3
        self.messages = 1000
        self.received = 0
        self.banned: Admission | None = None
        self.tallies: list[Tally] = []
        self.noted: list[Offence] = []

    def admit(self, service: str, ip: str) -> Admission:
        if self.banned is not None:
            return self.banned
        if self.open.count((service, ip)) >= self.most:
            return Admission(False, f"Too many connections from {ip}, {self.most} are allowed")
        self.open.append((service, ip))
        self.empty.clear()
        return Admission(True, "")

    def release(self, service: str, ip: str) -> None:
        self.open.remove((service, ip))
        if not self.open:
            self.empty.set()

    def session(self, ip: str, tally: Tally) -> None:
        self.tallies.append(tally)

    def note(self, offence: Offence, ip: str, times: int = 1) -> None:
        self.noted.append(offence)

    def before(self, ip: str, login: str) -> float | None:
        return None if self.failures >= self.most_failures else 0.0

    def failed(self, ip: str, login: str, password: str = "") -> None:
        self.failures += 1

    def text(self, ip: str) -> str:
        return f"Too many failed logins from {ip}; try again later"

    def succeeded(self, ip: str, login: str) -> None:
        self.failures = 0

    def octets(self, ip: str, size: int) -> None:
        self.received += size

    def message(self, ip: str) -> Admission:
        self.messages -= 1
        return Admission(self.messages >= 0, "Too many messages a minute")


class Queue:
    """The store's queue, with a door that can be shut."""

    def __init__(self, store: EmbeddedStore) -> None:
        self.store = store
        self.ids = (f"id{n}" for n in itertools.count(1))
        self.gate: asyncio.Event | None = None
        self.asked = asyncio.Event()
        self.fault: Exception | None = None

    def new_id(self) -> str:
        return next(self.ids)

    async def accept(self, entry: NewEntry) -> Entry:
        self.asked.set()
        if self.gate is not None:
            await self.gate.wait()
        if self.fault is not None:
            raise self.fault
        return await self.store.queue.accept(entry)


class House:
    """Everything; `serve` opens a port."""

    def __init__(self, folder: Path, tls: Tls) -> None:
        self.clock = SystemClock()
        self.store = EmbeddedStore(folder, clock=self.clock)
        self.people, self.policy, self.events = People(), Policy(), Events()
        self.queue = Queue(self.store)
        self.certificates = Certificates(tls)
        self.tls = ssl.create_default_context(cafile=tls.certificate)
        self.wheel = Wheel(resolution=0.05)
        self.config = Config(server=Server(hostname="mx.here.test"))
        self.mailboxes = Mailboxes(self.store, self.clock, lambda: f"{next(self._guids):032x}")
        self.smtp: SmtpService | None = None
        self.pop3: Pop3Service | None = None
        self._guids = itertools.count(1)
        self._closers: list[object] = []
        self._links: WeakSet[Link] = WeakSet()
        self.loopback = False
        self.strangers: Strangers | None = None
        self.faults_expected = False

    def limits(self, **limits: object) -> None:
        self.config = Config(server=self.config.server, limits=Limits(**limits), pop3=self.config.pop3)  # type: ignore[arg-type]

    def drops(self, **pop3: object) -> None:
        self.config = Config(server=self.config.server, limits=self.config.limits, pop3=Pop3(**pop3))  # type: ignore[arg-type]

    async def furnish(self) -> None:
        await self.store.directory.put_domain(DomainRow(name="here.test", created=0.0))
        for row in (ANN, BEN):
            await self.store.directory.put_account(row)
            await self.store.create_account(row.id, [("INBOX", ""), ("Trash", "\\Trash")])

    def logins(self, service: str) -> Logins:
        return Logins(
            service=service,
            identity=self.people,
            throttle=self.policy,
            log=self.events,
            nonce=lambda: "n" * 24,
            decoy=b"decoy",
            plaintext_on_loopback=self.loopback,
        )

    async def serve(self, protocol: Protocol, tls: TlsMode = TlsMode.STARTTLS) -> int:
        listener = Listener(protocol=protocol, port=0, tls=tls)
        sock = bind(listener)
        service = self._pop3() if protocol is Protocol.POP3 else self._smtp(protocol.value)

        def driver(link: Link) -> Driver:
            self._links.add(link)
            return service.driver(link, listener)

        options = LinkOptions(wheel=self.wheel, tls=self.certificates, high_water=64 * 1024)
        self._closers.append((await serve(sock, listener, driver, options)).close)
        return int(sock.getsockname()[1])

    def _smtp(self, service: str) -> SmtpService:
        intake = Intake(
            IntakeRooms(store=self.store, queue=self.queue, identity=self.people, clock=self.clock), self.config
        )
        rooms = SmtpRooms(
            store=self.store,
            intake=intake,
            logins=self.logins(service),
            gate=self.policy,
            log=self.events,
            rates=self.policy,
            conduct=self.policy,
            strangers=self.strangers,
        )
        self.smtp = SmtpService(rooms, self.config)
        return self.smtp

    def _pop3(self) -> Pop3Service:
        holders = itertools.count(1)
        rooms = Pop3Rooms(
            mailboxes=self.mailboxes,
            directory=self.store.directory,
            logins=self.logins("pop3"),
            gate=self.policy,
            conduct=self.policy,
            clock=self.clock,
            log=self.events,
            holder=lambda: f"holder{next(holders)}",
        )
        self.pop3 = Pop3Service(rooms, self.config)
        return self.pop3

    async def add(self, *messages: bytes) -> None:
        """Mail in ann's INBOX."""
        account = await self.mailboxes.open(ANN)
        inbox = (await account.find("INBOX")).id
        for message in messages:
            await account.append(inbox, [Incoming(content=Content.of(message))])

    async def queued(self) -> list[Entry]:
        return await self.store.queue.entries(QueueFilter())

    def unsent(self) -> int:
        """Octets that wait in the server's memory for slow clients."""
        return sum(link._transport.get_write_buffer_size() for link in self._links if link.standing)

    async def nobody_left(self) -> None:
        """Every client is gone, and what it left is put in order."""
        await asyncio.wait_for(self.policy.empty.wait(), 10)
        if self.pop3 is not None:
            await self.pop3.settled()

    async def close(self) -> None:
        for close in self._closers:
            close()  # type: ignore[operator]
        for link in list(self._links):
            link.abort()
        for _ in range(1000):  # they say goodbye over a few turns of the loop
            await asyncio.sleep(0)
        assert not any(link.standing for link in list(self._links))
        if self.pop3 is not None:
            await self.pop3.settled()
        self.wheel.stop()
        await self.store.close()


class Wire:
    """A client that sends and expects exactly what a test says."""

    def __init__(self, port: int, ip: str = "127.0.0.1") -> None:
        self._port = port
        self._ip = ip

    async def __aenter__(self) -> Wire:
        self.reader, self.writer = await asyncio.open_connection(
            "127.0.0.1", self._port, limit=1 << 18, local_addr=(self._ip, 0)
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        self.writer.close()

    async def line(self) -> bytes:
        return (await asyncio.wait_for(self.reader.readline(), 10)).removesuffix(b"\r\n")

    async def ask(self, text: bytes) -> bytes:
        """Send a line (or more), give the last line of the reply."""
        self.writer.write(text + b"\r\n")
        return await self.reply()

    async def reply(self) -> bytes:
        while (line := await self.line())[3:4] == b"-":
            pass
        return line

    async def rest(self) -> bytes:
        return await asyncio.wait_for(self.reader.read(), 10)

    def half_close(self) -> None:
        self.writer.write_eof()
