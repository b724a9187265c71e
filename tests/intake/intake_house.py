"""An intake with a directory, accounts and a queue made of dictionaries."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace
from pathlib import Path

from postroom.config import Config, Limits, Server
from postroom.identity.batv import Batv
from postroom.identity.model import Hosted, NotHosted, Permit, Sending, Target, Unknown
from postroom.identity.srs import Srs
from postroom.identity.tagging import Tagging
from postroom.intake.bounces import Bounces
from postroom.intake.model import Envelope, MailOptions, Peer, RcptOptions
from postroom.intake.outside import Outside
from postroom.intake.rooms import Rooms
from postroom.intake.service import Intake
from postroom.intake.signing import Signer
from postroom.store.api import AccountRow, DomainRow, NewEntry, StoreUnavailable, Usage
from postroom.store.memory.limits import MemoryLimits
from postroom.store.memory.usage import MemoryUsage
from postroom.testing.mailflow import Events, FakeQueueStore, StandingClock
from postroom.values.address import Address
from postroom.values.content import Content

ALICE = AccountRow(id="acc-alice", login="alice@here.test", created=0)
CAROL = AccountRow(id="acc-carol", login="carol@here.test", created=0, disabled=True)
BOB = AccountRow(id="acc-bob", login="bob@here.test", created=0, quota=1000)


SRS = Srs((b"secret",))
BATV = Batv((b"secret",))


class FakeIdentity:
    """here.test with alice, bob, a team of both and one outside, and postmaster."""

    def __init__(self) -> None:
        self.broken = False
        self.lent: dict[str, Permit] = {}  # addresses of others that alice may use
        self.asked: list[Address] = []

    async def resolve(self, address: Address):
        self.asked.append(address)
        if self.broken:
            raise StoreUnavailable("locked")
        alice, bob = Target(ALICE.login, ALICE.id), Target(BOB.login, BOB.id)
        known = {
            "alice@here.test": (alice,),
            "bob@here.test": (bob,),
            "carol@here.test": (Target(CAROL.login, CAROL.id),),
            "postmaster@here.test": (alice,),
            "team@here.test": (alice, bob, Target("x@far.test", None)),
            "out@here.test": (Target("x@far.test", None),),
            "jörg@here.test": (alice,),
        }
        local = address.local.partition("+")[0]
        if str(address) == "postmaster@mx.here.test":
            return Hosted((alice,))
        if address.domain != "here.test":
            return NotHosted()
        if local in ("dmarc-reports", "noreply-dmarc"):
            return Hosted((Target(str(address), None, reports=True),))
        targets = known.get(f"{local.casefold()}@here.test")
        if targets is None:
            return Unknown()
        if len(targets) == 1 and targets[0].account:
            return Hosted((Target(str(address), targets[0].account),))
        return Hosted(targets)

    async def permit(self, account: AccountRow, address: Address | None) -> Permit:
        if self.broken:
            raise StoreUnavailable("locked")
        if account is ALICE and address is not None and address.key in self.lent:
            return self.lent[address.key]
        own = address is None or (account is ALICE and address.key == "team@here.test")
        return Permit(Sending.OWN if own else Sending.NO)


@dataclass
class FakeAccounts:
    """The store as intake sees it: rows, usage, spools."""

    folder: Path
    octets: dict[str, int] = field(default_factory=dict)
    most_messages: dict[str, int] = field(default_factory=dict)  # quota_messages of accounts that hold one each
    broken: set[str] = field(default_factory=set)
    spools: list[FileSpool] = field(default_factory=list)
    disk_full: bool = False
    looks: int = 0
    usage: MemoryUsage = field(default_factory=MemoryUsage)
    wishes: list[DomainRow] = field(default_factory=list)

    @property
    def directory(self):
        return self

    async def account(self, account: str):
        """Row and mailboxes alike: intake asks either for little."""
        return _Both(self, {row.id: row for row in (ALICE, BOB, CAROL)}[account])

    async def domain(self, _name: str):
        return None

    async def domains(self):
        return self.wishes

    def generation(self) -> int:
        """Nothing is as it was."""
        self.looks += 1
        return self.looks

    def spool(self):
        self.spools.append(FileSpool(self.folder / f"spool{len(self.spools)}", self.disk_full))
        return self.spools[-1]


class _Both:
    def __init__(self, accounts: FakeAccounts, row: AccountRow) -> None:
        self.accounts = accounts
        self.row = replace(row, quota_messages=accounts.most_messages.get(row.id, 0))

    def __getattr__(self, name: str):
        return getattr(self.row, name)

    async def usage(self) -> Usage:
        if self.id in self.accounts.broken:
            raise StoreUnavailable("disk error")
        return Usage(self.accounts.octets.get(self.id, 0), 1)


class FileSpool:
    """A spool that always writes a file."""

    def __init__(self, path: Path, disk_full: bool = False) -> None:
        self.path = path
        self.closed = False
        self.disk_full = disk_full
        self.size = 0

    def write(self, data: bytes) -> None:
        if self.disk_full:
            raise StoreUnavailable("no space left")
        with self.path.open("ab") as file:
            file.write(data)
        self.size += len(data)

    async def seal(self) -> Content:
        return Content(size=self.size, path=str(self.path))

    def close(self) -> None:
        self.closed = True


class FakeQueue:
    """Takes entries and remembers them."""

    def __init__(self) -> None:
        self.store = FakeQueueStore()
        self.entries: list[NewEntry] = []
        self.ids = (f"id{n}" for n in itertools.count(1))
        self.fault: Exception | None = None

    def new_id(self) -> str:
        return next(self.ids)

    async def accept(self, entry: NewEntry):
        if self.fault:
            raise self.fault
        self.entries.append(entry)
        return await self.store.accept(entry)


class House:
    """Everything, and shortcuts for a test to speak with."""

    def __init__(
        self, folder: Path, signer: Signer | None = None, outside: Outside | None = None, **limits: object
    ) -> None:
        self.store = FakeAccounts(folder)
        self.queue = FakeQueue()
        self.identity = FakeIdentity()
        self.limits = MemoryLimits()
        self.clock = StandingClock(1_800_000_000.0)
        self.events = Events()
        tags = Tagging(self.store, BATV)
        bounces = limits.pop("bounces", None)
        config = Config(server=Server(hostname="mx.here.test"), limits=Limits(**limits))
        rooms = Rooms(
            store=self.store,
            queue=self.queue,
            identity=self.identity,
            clock=self.clock,
            signer=signer,
            outside=outside,
            srs=SRS,
            tags=tags,
            bounces=Bounces(bounces, self.limits, (self.identity, tags), self.clock, self.events) if bounces else None,
            suppressed=self.limits.suppressed,
        )
        self.intake = Intake(rooms, config)

    async def open(self, peer: Peer, sender: str | None = "x@far.test", **options: object) -> Envelope:
        address = None if sender is None else Address.parse(sender)
        return await self.intake.sender(peer, MailOptions(sender=address, **options))

    async def rcpt(self, peer: Peer, envelope: Envelope, *addresses: str, **options: object) -> None:
        for address in addresses:
            parsed = Address.parse(address) if address else None
            await self.intake.recipient(peer, envelope, RcptOptions(address=parsed, **options))

    async def send(self, peer: Peer, content: bytes | Content, *to: str, sender: str | None = "x@far.test"):
        envelope = await self.open(peer, sender)
        await self.rcpt(peer, envelope, *to)
        content = Content.of(content) if isinstance(content, bytes) else content
        return await self.intake.accept(peer, envelope, content)


STRANGER = Peer(service="smtp", ip="192.0.2.7", port=4711, helo="mail.far.test")
LMTP = Peer(service="lmtp", ip="127.0.0.1", port=4711, helo="localhost")
USER = Peer(
    service="submission",
    ip="2001:db8::5",
    port=4711,
    helo="[192.168.1.5]",
    tls="TLSv1.3 TLS_AES_256_GCM_SHA384",
    account=ALICE,
)
MAIL = b"From: X <x@far.test>\r\nTo: alice@here.test\r\nSubject: hi\r\n\r\nhello\r\n"
OWN = (
    b"From: Alice <alice@here.test>\r\nDate: Fri, 15 Jan 2027 08:00:00 +0000\r\nMessage-ID: <1@here.test>\r\n\r\nhi\r\n"
)
