"""QUOTA with all its resources, for oneself, for mailboxes of others, and SETQUOTA (RFC 9208)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from imap_house import Client, House, fill, play

from postroom.mailbox.limits import MailboxLimits
from postroom.store.api import DomainRow, FlagOp, RightsChange, Seen
from postroom.values import rights as right

ANN, BEN = "ann@example.org", "ben@example.org"


async def test_quota(house: House) -> None:
    limited = await house.add_account(BEN, quota=10 * 1024)
    await fill(limited, "INBOX", 3)
    await play(
        await house.login(BEN),
        """
        C: a1 GETQUOTAROOT INBOX
        S: * QUOTAROOT "INBOX" ""
        S: * QUOTA "" (STORAGE 1 10 MAILBOX 6 10000 ANNOTATION-STORAGE 0 1024)
        S: a1 OK ...
        C: a2 GETQUOTA ""
        S: * QUOTA "" (STORAGE 1 10 MAILBOX 6 10000 ANNOTATION-STORAGE 0 1024)
        S: a2 OK ...
        C: a3 GETQUOTA "other"
        S: a3 NO [NONEXISTENT] ...
        C: a4 SETQUOTA "" (STORAGE 100)
        S: a4 NO [NOPERM] ...
        C: a5 APPEND INBOX {10241}
        S: a5 NO [OVERQUOTA] ...
        C: a6 GETQUOTAROOT Not/There/Yet
        S: * QUOTAROOT "Not/There/Yet" ""
        S: * QUOTA ...
        S: a6 OK ...
        C: a7 GETQUOTA ben@example.org
        S: * QUOTA "ben@example.org" (STORAGE 1 10 MAILBOX 6 10000 ANNOTATION-STORAGE 0 1024)
        S: a7 OK ...
        """,
    )
    await play(
        await house.login(),
        """
        C: a1 GETQUOTA ""
        S: * QUOTA "" (MAILBOX 6 10000 ANNOTATION-STORAGE 0 1024)
        S: a1 OK ...
        """,
    )


async def test_quota_of_messages(house: House) -> None:
    """RFC 9208 5.2 and 4.3.1."""
    limited = await house.add_account(BEN, quota=10 * 1024, quota_messages=4)
    await fill(limited, "INBOX", 2)
    client = await house.selected(login=BEN)
    assert (await client.do('GETQUOTA ""'))[0].startswith('* QUOTA "" (STORAGE 1 10 MESSAGE 2 4 MAILBOX ')
    assert (await client.tagged("COPY 1:2 Trash")).startswith("OK")
    assert (await client.do('GETQUOTA ""'))[0].startswith('* QUOTA "" (STORAGE 1 10 MESSAGE 4 4 MAILBOX ')
    assert (await client.tagged("COPY 1 Trash")).startswith("NO [OVERQUOTA]")
    assert (await client.tagged("APPEND INBOX {10}")).startswith("NO [OVERQUOTA]")
    assert (await client.tagged("MOVE 1 Trash")).startswith("OK")


async def test_quota_of_mailboxes_and_annotations(house: House) -> None:
    """RFC 9208 5.3 and 5.4."""
    await house.add_account(BEN, quota_mailboxes=8, quota_annotations=2048)
    client = await house.login(BEN)
    await client.do("CREATE a/b")
    assert (await client.tagged("CREATE c")).startswith("NO [LIMIT]")
    await client.do(f'SETMETADATA INBOX (/private/comment "{"x" * 1000}")')
    assert await client.do('GETQUOTA ""') == ['* QUOTA "" (MAILBOX 8 8 ANNOTATION-STORAGE 1 2)']
    await client.do(f'SETMETADATA Sent (/private/comment "{"x" * 1000}")')
    assert (await client.tagged(f'SETMETADATA Junk (/private/comment "{"x" * 1000}")')).startswith("NO [OVERQUOTA]")
    assert await client.do('GETQUOTA ""') == ['* QUOTA "" (MAILBOX 8 8 ANNOTATION-STORAGE 2 2)']


async def test_quotas_of_domain_and_configuration() -> None:
    house = House(limits_of_mailboxes=MailboxLimits(quota=4096, quota_messages=100, mailboxes=50))
    await house.add_account(BEN)
    client = await house.login(BEN)
    rest = "MAILBOX 6 50 ANNOTATION-STORAGE 0 1024)"
    assert await client.do('GETQUOTA ""') == [f'* QUOTA "" (STORAGE 0 4 MESSAGE 0 100 {rest}']
    domain = DomainRow(name="example.org", created=0.0, account_quota=8192, account_messages=0)
    await house.store.directory.put_domain(domain)
    assert await client.do('GETQUOTA ""') == [f'* QUOTA "" (STORAGE 0 8 {rest}']
    row = await house.store.directory.account_by_login(BEN)
    await house.store.directory.put_account(replace(row, quota=0, quota_messages=7, quota_mailboxes=0))
    assert await client.do('GETQUOTA ""') == ['* QUOTA "" (MESSAGE 0 7 ANNOTATION-STORAGE 0 1024)']


async def administrator(house: House, of: str) -> Client:
    await house.add_account("boss@example.org", administers=of)
    return await house.login("boss@example.org")


@pytest.mark.parametrize("of", ["domain", "server"])
async def test_setquota(house: House, of: str) -> None:
    """RFC 9208 4.1.3: what is not named is not limited any more."""
    await house.add_account(BEN, quota=5 * 1024, quota_messages=50, quota_mailboxes=20)
    await house.add_account("cem@elsewhere.example", quota=1024)
    client = await administrator(house, of)
    await play(
        client,
        """
        C: a1 GETQUOTA ben@example.org
        S: * QUOTA "ben@example.org" (STORAGE 0 5 MESSAGE 0 50 MAILBOX 6 20 ANNOTATION-STORAGE 0 1024)
        S: a1 OK ...
        C: a2 SETQUOTA ben@example.org (STORAGE 510)
        S: * QUOTA "ben@example.org" (STORAGE 0 510 MAILBOX 6 10000 ANNOTATION-STORAGE 0 1024)
        S: a2 OK Setquota completed
        C: a3 SETQUOTA Ben@Example.org (MESSAGE 9 MAILBOX 30 ANNOTATION-STORAGE 64)
        S: * QUOTA "Ben@Example.org" (MESSAGE 0 9 MAILBOX 6 30 ANNOTATION-STORAGE 0 64)
        S: a3 OK Setquota completed
        C: a4 SETQUOTA ben@example.org (STORAGE 0)
        S: a4 NO [CANNOT] ...
        C: a5 SETQUOTA ben@example.org (FROBS 5)
        S: a5 NO [CANNOT] ...
        C: a6 SETQUOTA ben@example.org (STORAGE)
        S: a6 BAD ...
        C: a7 SETQUOTA nobody@example.org (STORAGE 5)
        S: a7 NO [NONEXISTENT] ...
        C: a8 SETQUOTA "" ()
        S: * QUOTA "" (MAILBOX 6 10000 ANNOTATION-STORAGE 0 1024)
        S: a8 OK Setquota completed
        """,
    )
    reply = await client.tagged("SETQUOTA cem@elsewhere.example (STORAGE 5)")
    assert reply.startswith("OK" if of == "server" else "NO [NONEXISTENT]")
    acts = await house.store.audit.acts()
    assert [(act.act, act.on, act.who["login"]) for act in acts[:2]] == [("imap setquota", BEN, "boss@example.org")] * 2
    assert (acts[0].before, acts[0].after) == (
        {"quota": 5120, "quota_messages": 50, "quota_mailboxes": 20},
        {"quota": 510 * 1024, "quota_messages": 0, "quota_mailboxes": -1},
    )
    ben = await house.login(BEN)
    assert (await ben.do('GETQUOTA ""'))[0].startswith('* QUOTA "" (MESSAGE 0 9 ')


async def test_an_administrator_who_is_none_any_more(house: House) -> None:
    client = await administrator(house, "server")
    row = await house.store.directory.account_by_login("boss@example.org")
    await house.store.directory.put_account(replace(row, administers=""))
    assert (await client.tagged(f"SETQUOTA {ANN} (STORAGE 5)")).startswith("NO [NONEXISTENT]")
    assert (await client.tagged('SETQUOTA "" (STORAGE 5)')).startswith("NO [NOPERM]")


async def test_over_quota_is_told_at_select(house: House) -> None:
    """RFC 9208 4.3.1: new mail within its grace may bring more than the quota."""
    account = await house.add_account(BEN)
    await fill(account, "INBOX", 4)
    client = await house.login(BEN)
    assert not [line for line in await client.do("SELECT INBOX") if "OVERQUOTA" in line]
    for limits, over in (({"quota_messages": 4}, False), ({"quota_messages": 3}, True), ({"quota": 10}, True)):
        row = await house.store.directory.account_by_login(BEN)
        await house.store.directory.put_account(replace(row, **{"quota": 0, "quota_messages": 0, **limits}))
        told = [line for line in await client.do("EXAMINE INBOX") if line.startswith("* NO [OVERQUOTA]")]
        assert bool(told) == over


async def test_a_full_domain(house: House) -> None:
    account = await house.add_account(BEN)
    await fill(account, "INBOX", 2)
    await house.store.directory.put_domain(DomainRow(name="example.org", created=0.0, quota=5000))
    client = await house.selected(login=BEN)
    assert (await client.tagged("COPY 1 Trash")).startswith("OK")
    seen = Seen(account="other", domain="example.org", octets=5000, messages=1)
    await house.store.usage.note([seen], (), 0.0)
    house.clock.time += 60
    assert (await client.tagged("COPY 1 Trash")).startswith("NO [OVERQUOTA]")
    assert (await client.feed(b"a1 APPEND INBOX {5+}\r\nhello\r\n")).startswith(b"a1 NO [OVERQUOTA]")
    assert (await client.tagged("MOVE 1 Trash")).startswith("OK")


async def give(house: House, rights: int) -> None:
    """Ann lets Ben at her INBOX."""
    account = (await house.mailboxes.open(await house.store.directory.account_by_login(ANN))).store
    inbox = await account.mailbox("INBOX")
    await account.grant([inbox.id], BEN, RightsChange(op=FlagOp.REPLACE, rights=rights))
    row: Any = await house.store.directory.account_by_login(ANN)
    await house.store.directory.put_share(row.id, BEN)


async def test_quota_of_others(house: House) -> None:
    """RFC 9208 6: to see what an account holds takes the right to read in it."""
    await house.add_account(BEN)
    row = await house.store.directory.account_by_login(ANN)
    await house.store.directory.put_account(replace(row, quota=2048))
    client = await house.login(BEN)
    assert (await client.tagged(f"GETQUOTA {ANN}")).startswith("NO [NONEXISTENT]")
    await give(house, right.LOOKUP | right.INSERT)
    assert (await client.tagged(f"GETQUOTA {ANN}")).startswith("NO [NONEXISTENT]")
    assert (await client.tagged(f"GETQUOTAROOT Users/{ANN}/INBOX")).startswith("NO [NOPERM]")
    assert (await client.tagged(f"GETQUOTAROOT Users/{ANN}/Sent")).startswith("NO [NONEXISTENT]")
    await give(house, right.READING)
    quota = f'* QUOTA "{ANN}" (STORAGE 0 2 MAILBOX 6 10000 ANNOTATION-STORAGE 0 1024)'
    assert await client.do(f"GETQUOTAROOT Users/{ANN}/INBOX") == [f'* QUOTAROOT "Users/{ANN}/INBOX" "{ANN}"', quota]
    assert await client.do(f"GETQUOTA {ANN}") == [quota]
    assert (await client.tagged(f"SETQUOTA {ANN} (STORAGE 5)")).startswith("NO [NOPERM]")
