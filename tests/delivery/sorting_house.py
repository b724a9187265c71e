"""Queue, delivery and scripts on a real store, for tests of what scripts do with mail."""

from __future__ import annotations

import itertools
import random

from postroom.delivery.outgoing import Means
from postroom.delivery.service import Delivery
from postroom.delivery.sorting import Sorter
from postroom.identity.model import Found
from postroom.mailbox.service import Mailboxes
from postroom.queue.ids import Ids
from postroom.queue.reports import SenderReports, unsigned
from postroom.queue.schedule import Schedule
from postroom.queue.service import Queue
from postroom.sieve.run import Limits
from postroom.store.api import (
    AccountRow,
    Entry,
    NewEntry,
    NewRecipient,
    Recipient,
    Store,
)
from postroom.testing.mailflow import Events, StandingClock
from postroom.testing.store_contract.build import rows
from postroom.values.address import Address
from postroom.values.content import Content

BOB = AccountRow(id="b" * 32, login="bob@here.test", created=0, name="Bob", filtered=True)
EVE = AccountRow(id="e" * 32, login="eve@here.test", created=0)
MAIL = (
    b"Received: from x\r\nFrom: Ann <ann@far.test>\r\nTo: bob@here.test\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n"
    b"Message-ID: <1@far.test>\r\nReferences: <0@far.test>\r\n\r\nhello\r\n"
)


class House:
    """Queue and delivery on a real store. Mail to other domains stays in `left`."""

    def __init__(self, store: Store) -> None:
        self.store, self.clock, self.events = store, StandingClock(), Events()
        reports = SenderReports("mx.here.test", self.routes, self.clock)
        self.queue = Queue(
            store.queue, Ids(self.clock, random.Random(1).getrandbits), Schedule(jitter=lambda: 0.0), self.clock,
            reports, self.events,
        )  # fmt: skip
        guids = (f"{number:032x}" for number in itertools.count(1))
        self.mailboxes = Mailboxes(store, self.clock, lambda: next(guids))
        self.delivery = Delivery(self.queue, self.mailboxes, self.find, self.events)
        means = Means(
            queue=self.queue, answered=store.queue.answered, routes=self.routes, hosted=self.hosted,
            may_send_as=self.may_send_as, sign=unsigned, directory=store.directory, clock=self.clock,
            event=self.events, hostname="mx.here.test",
        )  # fmt: skip
        self.sorter = self.delivery.sorter = Sorter(means, Limits(), lambda now: 0, {"name": "Postroom"})
        self.left: list[Entry] = []
        self.numbers = itertools.count(1)
        self.queue.subscribe("local", self.delivery.take)
        self.queue.subscribe("remote", self.relay)

    def relay(self, entry: Entry, recipients: list[Recipient]) -> None:
        self.left.append(entry)
        self.queue.give_back(entry, recipients)

    async def find(self, address: str) -> Found | None:
        rows = {BOB.login: BOB, EVE.login: EVE}
        local, _, domain = address.partition("@")
        row = rows.get(f"{local.partition('+')[0]}@{domain}")
        return Found(row) if row else None

    async def routes(self, address: Address) -> tuple[NewRecipient, ...]:
        if address.domain != "here.test":
            return (NewRecipient(address=str(address), route="remote"),)
        return (NewRecipient(address=str(address), route="local"),) if await self.find(str(address)) else ()

    async def hosted(self, domain: str) -> bool:
        return domain == "here.test"

    async def may_send_as(self, account: AccountRow, address: Address | None) -> bool:
        if address is None:
            return True
        return f"{address.local.partition('+')[0]}@{address.domain}" in (account.login, "info@here.test")

    async def script(self, text: str) -> None:
        account = await self.store.account(BOB.id)
        await account.filters.put_script("main", text.encode())
        await account.filters.activate_script("main")

    async def arrive(
        self, content: bytes = MAIL, sender: str = "ann@far.test", to: str = "bob@here.test", **more
    ) -> str:
        number = f"q{next(self.numbers)}"
        recipients = (NewRecipient(address=to, route="local"),)
        await self.queue.accept(
            NewEntry(
                id=number,
                sender=sender,
                recipients=recipients,
                content=Content.of(content),
                received=self.clock.now(),
                **more,
            )
        )
        await self.delivery.settled()
        return number

    async def boxes(self) -> dict[str, list[tuple[int, frozenset[str], bytes]]]:
        account = await self.store.account(BOB.id)
        found = {}
        for info in await account.mailboxes():
            snapshot = await account.snapshot(info.id)
            found[info.name] = [
                (row.flags & 31, frozenset(row.keywords), (await account.content(row.message)).read())
                for row in rows(snapshot)
            ]
        return {name: items for name, items in found.items() if items}

    async def where(self) -> dict[str, int]:
        return {name: len(items) for name, items in (await self.boxes()).items()}

    def sent(self) -> list[bytes]:
        """What left, whole."""
        return [entry.content.read() for entry in self.left]
