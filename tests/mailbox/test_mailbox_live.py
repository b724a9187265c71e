"""Several clients, and others without a view, on one mailbox of a real store: everybody ends with the truth."""

from __future__ import annotations

import random

import pytest
from test_mailbox_view import Client

from postroom.mailbox.incoming import Incoming
from postroom.mailbox.service import Account
from postroom.store.api import FlagChange, FlagOp
from postroom.values.content import Content
from postroom.values.flags import DELETED, FLAGGED, POP3_HIDDEN, SEEN, VISIBLE

MAIL = Content.of(b"Subject: x\r\n\r\nbody\r\n")


class Play:
    """One run: what clients and others do next is drawn from a seed."""

    def __init__(self, account: Account, seed: int) -> None:
        self.account = account
        self.rng = random.Random(seed)
        self.box = self.other = 0
        self.clients: list[Client] = []

    async def begin(self) -> None:
        self.box = (await self.account.find("INBOX")).id
        self.other = (await self.account.find("Sent")).id
        await self.add(self.rng.choice([0, 5, 300]))
        for place in range(3):
            self.clients.append(Client(await self.account.snapshot(self.box), condstore=place == 2))

    async def add(self, count: int) -> None:
        if count:
            flags = [self.rng.choice([0, SEEN, FLAGGED]) for _ in range(count)]
            await self.account.append(self.box, [Incoming(content=MAIL, flags=each) for each in flags])

    async def some(self) -> list[int]:
        uids = [uid for page in (await self.account.snapshot(self.box)).pages for uid in page.uids]
        if not uids or self.rng.random() < 0.2:
            return uids
        return sorted(self.rng.sample(uids, self.rng.randrange(1, min(len(uids), 20) + 1)))

    def change(self, modseq: int) -> FlagChange:
        rng = self.rng
        return FlagChange(
            op=rng.choice(list(FlagOp)),
            bits=rng.choice([0, SEEN, DELETED, SEEN | FLAGGED]),
            keywords=rng.choice([(), (), ("$Junk",), ("Work", "$Junk")]),
            unchanged_since=rng.choice([None, None, max(modseq - rng.randrange(6), 0)]),
        )

    async def step(self) -> None:
        act = self.rng.choice(
            [self.add_some, self.expunge, self.flag, self.hide, self.move, self.own_store, self.own_store, self.hear]
        )
        await act()

    async def add_some(self) -> None:
        await self.add(self.rng.choice([1, 1, 2, 130]))

    async def expunge(self) -> None:
        await self.account.store_flags(self.box, await self.some(), FlagChange(op=FlagOp.ADD, bits=DELETED))
        await self.account.expunge(self.box, None if self.rng.random() < 0.5 else await self.some())

    async def flag(self) -> None:
        modseq = (await self.account.snapshot(self.box)).modseq
        await self.account.store_flags(self.box, await self.some(), self.change(modseq))

    async def hide(self) -> None:
        await self.account.store_flags(self.box, await self.some(), FlagChange(op=FlagOp.ADD, bits=POP3_HIDDEN))

    async def move(self) -> None:
        await self.account.move(self.box, await self.some(), self.other)

    async def own_store(self) -> None:
        client = self.rng.choice(self.clients)
        known = [uid for uid in client.uids if uid is not None]
        uids = sorted(self.rng.sample(known, self.rng.randrange(min(len(known), 30) + 1)))
        if self.rng.random() < 0.3:
            uids = known
        if not uids:
            return
        change = self.change(client.view.modseq)
        result = await self.account.store_flags(self.box, uids, change)
        client.take(result, uids, change, silent=self.rng.random() < 0.6)
        client.agrees()

    async def hear(self) -> None:
        client = self.rng.choice(self.clients)
        new = await self.account.snapshot(self.box)
        client.hear(client.view.changes(new, expunge_ok=self.rng.random() < 0.4))
        client.agrees()
        for uid in client.view.ghosts[:3]:  # gone, not told: still to be fetched (RFC 2180 4.1.1)
            seq = client.view.snapshot.seq(uid)
            assert seq is not None
            page, place = client.view.snapshot.locate(seq)
            assert (await self.account.store.content(page.messages[place])).read() == MAIL.data
        if self.rng.random() < 0.5:
            client.fetch_all()


@pytest.mark.parametrize("seed", range(12))
async def test_everybody_ends_with_the_truth(account: Account, seed: int) -> None:
    play = Play(account, seed)
    await play.begin()
    for _ in range(40):
        await play.step()
    truth = await account.snapshot(play.box)
    for client in play.clients:
        client.hear(client.view.changes(truth, expunge_ok=True))
        client.agrees()
        client.fetch_all()
        assert client.uids == [uid for page in truth.pages for uid in page.uids]
        assert client.flags == [
            (octet & VISIBLE, words)
            for page in truth.pages
            for octet, words in zip(page.flags, page.keywords, strict=True)
        ]
        assert client.view.modseq == truth.modseq
