"""Looks at what accounts hold: sums of domains, and warnings by mail, once for each crossing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from postroom.app.usage import DAY, UsageWatch
from postroom.config import Config, Mailboxes
from postroom.policy.words import Notice
from postroom.store.api import AccountRow, DomainRow, Hint, StoreUnavailable, Together
from postroom.store.memory import MemoryStore
from postroom.testing.store_contract import SettableClock, message


class House:
    def __init__(self, **options: Any) -> None:
        self.clock = SettableClock()
        self.store = MemoryStore(clock=self.clock)
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.notices: list[Notice] = []
        self.config = Config(mailboxes=Mailboxes(**options))
        self.watch = UsageWatch(self.store, self.clock, self.event, self.notices.append, lambda: self.config)
        self.watch.listen()

    def event(self, name: str, **fields: Any) -> None:
        self.events.append((name, fields))

    async def host(self, *logins: str, quota: int = 1000, **domain: Any) -> House:
        await self.store.directory.put_domain(DomainRow(name="x.test", created=0.0, **domain))
        for login in logins:
            await self.store.directory.put_account(AccountRow(id=login[0], login=login, created=0.0, quota=quota))
            await self.store.create_account(login[0], [("INBOX", "")])
        return self

    async def hold(self, account: str, octets: int) -> None:
        await (await self.store.account(account)).append(1, [message(b"x" * octets)])

    async def told(self) -> list[tuple[str, str, bool]]:
        await self.watch.look()
        told = [(notice.login, notice.subject, notice.to_admin) for notice in self.notices]
        self.notices.clear()
        return told


ANN, BEN = "ann@x.test", "ben@x.test"


async def test_warnings() -> None:
    house = await House().host(ANN)
    await house.hold("a", 790)
    assert await house.told() == []
    await house.hold("a", 20)
    assert await house.told() == [(ANN, f"{ANN}: mailboxes 81 % full", False)]
    await house.hold("a", 50)
    assert await house.told() == []
    await house.hold("a", 100)
    assert await house.told() == [(ANN, f"{ANN}: mailboxes 96 % full", True)]
    assert [fields["percent"] for name, fields in house.events if name == "quota.near"] == [81, 96]
    account = await house.store.account("a")
    uids = [uid for page in (await account.snapshot(1)).pages for uid in page.uids]
    await account.expunge(1, uids, only_deleted=False)
    assert await house.told() == []
    await house.hold("a", 900)
    assert await house.told() == [(ANN, f"{ANN}: mailboxes 90 % full", False)]


async def test_what_they_say() -> None:
    house = await House().host(ANN, quota=1 << 30)
    row = await house.store.directory.account_by_login(ANN)
    await house.store.directory.put_account(replace(row, quota=0, quota_messages=2))
    await house.hold("a", 2048)
    await house.hold("a", 10)
    await house.watch.look()
    [notice] = house.notices
    assert notice.domain == "x.test"
    assert "are 100 % full: 2.0 KiB in 2 of 2 messages" in notice.text
    assert f"postroom user set {ANN} --quota" in notice.text
    assert "waits at its sender's server" in notice.text


async def test_thresholds_are_configured() -> None:
    house = await House(quota_warn=(50,), quota_warn_admin=101).host(ANN)
    await house.hold("a", 990)
    assert await house.told() == [(ANN, f"{ANN}: mailboxes 99 % full", False)]
    house = await House(quota_warn=()).host(ANN)
    await house.hold("a", 1000)
    assert await house.told() == []


async def test_a_domain() -> None:
    house = await House().host(ANN, BEN, quota=0)
    await house.store.directory.put_domain(DomainRow(name="x.test", created=0.0, quota=1000))
    await house.hold("a", 300)
    await house.hold("b", 510)
    [(login, subject, to_admin)] = await house.told()
    assert (login, subject, to_admin) == ("", "x.test: 81 % of its room is used", True)
    assert house.store.usage.domain("x.test") == Together(810, 2, 2)
    await house.hold("a", 10)
    assert await house.told() == []
    await house.hold("a", 100)
    assert [told[1] for told in await house.told()] == ["x.test: 92 % of its room is used"]


async def test_each_account_once_however_often_it_changed() -> None:
    house = await House().host(ANN)
    looks: list[str] = []
    account = house.store.account

    async def counted(name: str) -> Any:
        looks.append(name)
        return await account(name)

    for _ in range(20):
        await house.hold("a", 10)
    house.store.account = counted  # type: ignore[method-assign]
    await house.watch.look()
    await house.watch.look()
    assert looks == ["a"]


async def test_hints_go_on_to_the_other_workers() -> None:
    store = MemoryStore()
    passed: list[Hint] = []
    store.feed.forward = passed.append
    watch = UsageWatch(store, SettableClock(), lambda *_a, **_k: None, lambda _notice: None, Config)
    watch.listen()
    store.feed.publish(Hint("a", 1, 2))
    assert passed == [Hint("a", 1, 2)]


async def test_those_nobody_looked_at() -> None:
    house = await House().host(ANN, BEN)
    await house.watch.look_at_old()
    assert house.store.usage.domain("x.test").accounts == 2
    account = await house.store.account("a")
    await account.append(1, [message(b"x" * 900)])
    house.watch._changed.clear()  # as if it had been lost
    await house.watch.look_at_old()
    assert house.notices == []
    house.clock.time += DAY
    await house.watch.look_at_old()
    assert [notice.login for notice in house.notices] == [ANN]


async def test_what_cannot_be_read_is_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    house = await House().host(ANN)
    await house.hold("a", 900)
    working = house.store.account

    async def broken(_account: str) -> Any:
        raise StoreUnavailable("disk")

    monkeypatch.setattr(house.store, "account", broken)
    assert await house.told() == []
    assert house.events[-1][0] == "usage.unread"
    monkeypatch.setattr(house.store, "account", working)
    assert len(await house.told()) == 1


async def test_accounts_that_are_gone() -> None:
    house = await House().host(ANN, BEN)
    await house.hold("a", 900)
    await house.hold("b", 900)
    await house.store.directory.remove_account("a")
    await house.store.remove_account("b")
    assert await house.told() == []
