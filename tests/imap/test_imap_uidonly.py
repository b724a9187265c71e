"""UIDONLY, UIDBATCHES and INPROGRESS."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest
from imap_house import Client, House, fill, message, settle

from postroom.servers.imap import progress
from postroom.store.api import FlagChange
from postroom.wire.imap.table import COMMANDS


async def uidonly(house: House, count: int = 5) -> Client:
    """INBOX with UIDs 2 to count."""
    row = await house.store.directory.account_by_login("ann@example.org")
    account = await house.mailboxes.open(row)
    await fill(account, "INBOX", count)
    info = await account.find("INBOX")
    await account.store.expunge(info.id, [1], only_deleted=False)
    client = await house.login()
    assert await client.do("ENABLE UIDONLY") == ["* ENABLED UIDONLY"]
    return client


async def test_no_numbers_are_told(house: House) -> None:
    client = await uidonly(house)
    selected = await client.do("SELECT INBOX")
    assert "* 4 EXISTS" in selected
    assert not [line for line in selected if "[UNSEEN" in line]
    assert await client.do("UID FETCH 2:3 FLAGS") == ["* 2 UIDFETCH (FLAGS ())", "* 3 UIDFETCH (FLAGS ())"]
    assert await client.do("UID FETCH 2 (UID RFC822.SIZE)") == ["* 2 UIDFETCH (UID 2 RFC822.SIZE 147)"]
    assert (await client.do("UID FETCH 5 BODY[]"))[0] == "* 5 UIDFETCH (BODY[] {147}"
    assert (await client.do("UID FETCH 4 (UID BODY.PEEK[TEXT])"))[0] == "* 4 UIDFETCH (UID 4 BODY[TEXT] {7}"
    assert await client.do("UID STORE 2 +FLAGS (\\Deleted)") == ["* 2 UIDFETCH (FLAGS (\\Deleted))"]
    assert await client.do("UID SEARCH ALL") == ["* SEARCH 2 3 4 5"]
    assert await client.do("EXPUNGE") == ["* VANISHED 2"]
    assert await client.do("UID MOVE 3 Trash") == ["* OK [COPYUID 1700000005 3 1] Moved", "* VANISHED 3"]
    heard = await client.feed(b"a UID REPLACE 4 INBOX {%d+}\r\n" % len(message(9)) + message(9) + b"\r\n")
    assert b"* VANISHED 4\r\n" in heard
    assert b" EXPUNGE\r\n" not in heard


async def test_unasked_responses(house: House) -> None:
    client = await uidonly(house)
    await client.do("ENABLE CONDSTORE")
    await client.do("SELECT INBOX")
    other = await house.selected()
    await other.do("UID STORE 4 +FLAGS (\\Flagged)")
    await other.do("UID STORE 3 +FLAGS (\\Deleted)")
    await other.do("EXPUNGE")
    vanished, row = await client.do("NOOP")
    assert vanished == "* VANISHED 3"
    assert row.startswith("* 4 UIDFETCH (FLAGS (\\Flagged) MODSEQ (")
    [seen] = [line for line in await client.do("UID FETCH 4 BODY[]") if "FLAGS" in line]
    assert " FLAGS (\\Flagged \\Seen) MODSEQ (" in seen
    assert "UID 4" not in seen


async def test_what_needs_uids(house: House) -> None:
    client = await uidonly(house)
    await client.do("SELECT INBOX")
    for command in (
        "FETCH 1 FLAGS",
        "STORE 1 FLAGS ()",
        "SEARCH ALL",
        "COPY 1 Trash",
        "MOVE 1 Trash",
        "UID SEARCH 1:3",
        "UID SEARCH NOT (SEEN OR 1 2)",
        "REPLACE 1 INBOX {3}",
    ):
        reply = await client.tagged(command)
        assert reply.startswith("BAD [UIDREQUIRED] "), command
    assert await client.do("UID SEARCH RETURN (SAVE) UID 2:3") == []
    assert await client.do("UID SEARCH $") == ["* SEARCH 2 3"]
    await client.do("ENABLE QRESYNC")
    assert (await client.tagged("SELECT INBOX (QRESYNC (1 1 1:9 (1 2)))")).startswith("BAD [UIDREQUIRED] ")
    # octets that come all the same are thrown away
    heard = await client.feed(b"a REPLACE 1 INBOX {3+}\r\nabc\r\nb NOOP\r\n")
    assert heard.startswith(b"a BAD [UIDREQUIRED] ")
    assert b"b OK Noop completed\r\n" in heard


async def test_searches_of_every_kind(house: House) -> None:
    client = await uidonly(house)
    await client.do("SELECT INBOX")
    await client.do('SETMETADATA "" (/private/filters/values/late "UID 4:*" /private/filters/values/odd "NOT 1")')
    await client.do('SETMETADATA "" (/private/filters/values/both "FILTER late FILTER odd")')
    for tail, told in (
        ("SORT (REVERSE ARRIVAL) UTF-8 FILTER late", "* SORT 5 4"),
        ("SORT RETURN (PARTIAL 2:3) (REVERSE ARRIVAL) UTF-8 ALL", '* ESEARCH (TAG "..") UID PARTIAL (2:3 4,3)'),
        ("SORT RETURN (MIN COUNT) (REVERSE ARRIVAL) UTF-8 ALL", '* ESEARCH (TAG "..") UID MIN 5 COUNT 4'),
        ("THREAD REFERENCES UTF-8 FILTER late", "* THREAD (4)(5)"),
        ("THREAD ORDEREDSUBJECT UTF-8 UID 2", "* THREAD (2)"),
        ("SEARCH RETURN (PARTIAL -1:-2) FILTER late", '* ESEARCH (TAG "..") UID PARTIAL (-1:-2 4:5)'),
        ("FETCH 1:* (FLAGS) (PARTIAL -1:-1)", "* 5 UIDFETCH (FLAGS ())"),
    ):
        [line] = await client.do(f"UID {tail}")
        assert re.sub(r'"t\d+"', '".."', line) == told, tail
    for program in ("FILTER odd", "OR SEEN FILTER both", "1"):
        for command in ("UID SEARCH", "UID SORT (DATE) UTF-8", "UID THREAD REFERENCES UTF-8", "ESEARCH"):
            reply = await client.tagged(f"{command} {program}")
            assert reply.startswith("BAD [UIDREQUIRED] "), (command, program)
    for command in ("SORT (DATE) UTF-8 UID 2", "THREAD REFERENCES UTF-8 UID 2"):
        assert (await client.tagged(command)).startswith("BAD [UIDREQUIRED] ")


async def test_qresync_by_uids(house: House) -> None:
    client = await uidonly(house)
    await client.do("ENABLE QRESYNC")
    lines = await client.do("SELECT INBOX (QRESYNC (1700000000 1 1:5))")
    assert "* VANISHED (EARLIER) 1" in lines
    assert [line.split(" MODSEQ")[0] for line in lines if "UIDFETCH" in line] == [
        f"* {uid} UIDFETCH (FLAGS ()" for uid in (2, 3, 4, 5)
    ]


async def test_news_by_notify(house: House) -> None:
    client = await uidonly(house)
    await client.do("SELECT INBOX")
    await client.do("NOTIFY SET (selected (MessageNew (RFC822.SIZE UID) MessageExpunge))")
    row = await house.store.directory.account_by_login("ann@example.org")
    await fill(await house.mailboxes.open(row), "INBOX", 1)
    await settle(client)
    assert client.hear() == b"* 5 EXISTS\r\n* 6 UIDFETCH (RFC822.SIZE 147 UID 6)\r\n"


def test_every_command_with_a_uid_form_is_about_numbers() -> None:
    """What is added to the table later must not be forgotten."""
    for name, row in COMMANDS.items():
        twin = COMMANDS.get(f"UID {name}")
        assert row.numbers == (twin is not None and name != "EXPUNGE"), name


# --- UIDBATCHES


async def test_uidbatches(house: House) -> None:
    row = await house.store.directory.account_by_login("ann@example.org")
    account = await house.mailboxes.open(row)
    client = await house.selected()
    assert await client.do("UIDBATCHES 10") == ['* UIDBATCHES (TAG "t3")']
    await fill(account, "INBOX", 50)
    info = await account.find("INBOX")
    await account.store.expunge(info.id, [1, 14, 15, 16, 17, 41, 43, 45], only_deleted=False)
    await client.do("NOOP")
    for command, batches in (
        ("UIDBATCHES 50", " 50:1"),
        ("UIDBATCHES 25", " 50:23,22:1"),
        ("UIDBATCHES 10", " 50:38,37:28,27:18,13:4,3:1"),
        ("UIDBATCHES 10 1:1", " 50:38"),
        ("UIDBATCHES 10 2:3", " 37:28,27:18"),
        ("UIDBATCHES 10 5:6", " 3:1"),
        ("UIDBATCHES 10 7:7", ""),
        ("UIDBATCHES 21", " 50:27,26:1"),
    ):
        [line] = await client.do(command)
        assert line.split(")")[1] == batches, command
    for command, reply in (
        ("UIDBATCHES 9", "NO [TOOFEW] "),
        ("UIDBATCHES 10 6:5", "BAD [CLIENTBUG] "),
        ("UIDBATCHES", "BAD "),
        ("UIDBATCHES 0", "BAD "),
        ("UIDBATCHES X", "BAD "),
        ("UIDBATCHES 10 0:5", "BAD "),
        ("UIDBATCHES 10 6:", "BAD "),
        ("UIDBATCHES 10 5:6 X", "BAD "),
        ("UIDBATCHES 10 1:*", "BAD "),
    ):
        assert (await client.tagged(command)).startswith(reply), command
    await client.do("UNSELECT")
    assert (await client.tagged("UIDBATCHES 10")).startswith("BAD ")


async def test_batches_cover_all_messages_once(house: House) -> None:
    client = await uidonly(house, 137)
    await client.do("SELECT INBOX")
    [line] = await client.do("UIDBATCHES 20")
    found = []
    for batch in line.split(" ")[-1].split(","):
        high, low = map(int, batch.split(":"))
        [hits] = await client.do(f"UID SEARCH UID {low}:{high}")
        uids = [int(word) for word in hits.split()[2:]]
        assert len(uids) <= 20
        found += uids[::-1]
    assert found == list(range(137, 1, -1))


# --- INPROGRESS


async def test_a_long_command_says_so(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the second look at the same command, and not while it sends (RFC 9585 2)."""
    client = await house.selected()
    go_on = asyncio.Event()

    async def slow(_key: Any, _scene: Any, _store: Any, pace: Any) -> Any:
        pace.done, pace.goal = 454, 1000
        await go_on.wait()
        return type("Found", (), {"uids": lambda _: [], "seqs": lambda _: [], "modseq": lambda _: 0})()

    from postroom.servers.imap import search

    monkeypatch.setattr(search.mailbox_search, "search", slow)
    client.driver.received(b'long"tag SEARCH TEXT x\r\nA1 SEARCH TEXT x\r\n')
    for _ in range(5):
        await asyncio.sleep(0)
    client.hear()
    progress.tell(client.driver)
    assert client.hear() == b""
    progress.tell(client.driver)
    assert client.hear() == b'* OK [INPROGRESS ("A1" 454 1000)] Still at it\r\n'
    progress.tell(client.driver)
    assert client.hear() == b'* OK [INPROGRESS ("A1" 454 1000)] Still at it\r\n'
    go_on.set()
    await settle(client)
    assert client.hear().endswith(b"A1 OK Search completed\r\n")
    progress.tell(client.driver)
    progress.tell(client.driver)
    assert client.hear() == b""


async def test_commands_whose_goal_nobody_knows(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    row = await house.store.directory.account_by_login("ann@example.org")
    account = await house.mailboxes.open(row)
    await fill(account, "INBOX", 2)
    client = await house.selected()
    go_on = asyncio.Event()
    real = account.store.store_flags

    async def slow(mailbox: int, uids: Any, change: FlagChange) -> Any:
        await go_on.wait()
        return await real(mailbox, uids, change)

    monkeypatch.setattr(account.store, "store_flags", slow)
    for command, told in ((b"A1 STORE 1 +FLAGS (\\Flagged)", True), (b"A2 FETCH 1 BODY[]", False)):
        go_on.clear()
        client.driver.received(command + b"\r\n")
        await asyncio.sleep(0)
        progress.tell(client.driver)
        progress.tell(client.driver)
        assert client.hear() == (b'* OK [INPROGRESS ("A1" NIL NIL)] Still at it\r\n' if told else b"")
        go_on.set()
        await settle(client)
        client.hear()


async def test_the_clockwork_runs_while_there_are_connections(house: House) -> None:
    clockwork = house.service._progress
    assert clockwork._due is None
    client = await house.login()
    assert clockwork._due is not None
    client.link.close()
    clockwork._look()
    assert clockwork._due is None
