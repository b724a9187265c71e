"""How much an account may hold: its own word, its domain's, the configuration's."""

from __future__ import annotations

from dataclasses import replace

import pytest

from postroom.config import Mailboxes
from postroom.policy.allowance import Allowances, Defaults, configured, resolve
from postroom.store.api import AccountRow, DomainRow
from postroom.store.memory import MemoryStore

ROW = AccountRow(id="a1", login="ann@example.org", created=0.0)
DOMAIN = DomainRow(name="example.org", created=0.0)


@pytest.mark.parametrize(
    ("own", "domain", "default", "holds"),
    [(-1, -1, 7, 7), (-1, 5, 7, 5), (-1, 0, 7, 0), (3, 5, 7, 3), (0, 5, 7, 0), (-1, -1, 0, 0)],
)
def test_who_is_asked_first(own: int, domain: int, default: int, holds: int) -> None:
    row, of_domain = (
        replace(ROW, quota=own, quota_messages=own),
        replace(DOMAIN, account_quota=domain, account_messages=domain),
    )
    may = resolve(row, of_domain, Defaults(octets=default, messages=default))
    assert (may.octets, may.messages) == (holds, holds)
    assert may.limited == bool(holds)


def test_a_domain_that_is_not_hosted_and_the_configuration() -> None:
    may = resolve(ROW, None, configured(Mailboxes(quota=9, most=50)))
    assert (may.octets, may.messages, may.mailboxes, may.annotations) == (9, 0, 50, 1 << 20)
    assert (may.domain, may.domain_limited) == ("", False)


def test_full() -> None:
    may = resolve(replace(ROW, quota=100, quota_messages=3), None, Defaults())
    assert not may.is_full(99, 2)
    assert may.is_full(100, 2)
    assert may.is_full(0, 3)
    assert not may.is_full(50, 2, 49)
    assert may.is_full(50, 2, 50)
    assert not resolve(replace(ROW, quota=0), None, Defaults(octets=1)).is_full(1 << 50, 1 << 30)


async def test_changes_act_at_once() -> None:
    store = MemoryStore()
    await store.directory.put_domain(DOMAIN)
    await store.directory.put_account(ROW)
    allowances = Allowances(store.directory, Defaults(octets=1))
    assert (await allowances.of(ROW)).octets == 1
    await store.directory.put_domain(replace(DOMAIN, account_quota=2, quota=50))
    may = await allowances.of(ROW)
    assert (may.octets, may.domain, may.domain_octets) == (2, "example.org", 50)
    await store.directory.put_account(replace(ROW, quota=3))
    assert (await allowances.of(ROW)).octets == 3
    allowances.follow(Defaults(messages=4))
    assert (await allowances.of(ROW)).messages == 4
