"""The read-only namespace of what was: deleted mail, and mailboxes as they were on other days."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from imap_house import Client, FakeClock, House, fill, play

from postroom.mailbox import recover
from postroom.store.embedded import EmbeddedStore

ANN, BEN = "ann@example.org", "ben@example.org"
DAY = 86_400


@pytest.fixture(autouse=True)
def in_utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Days begin at midnight UTC."""
    monkeypatch.setitem(os.environ, "TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture(params=["memory", "embedded"])
async def house(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[House]:
    clock = FakeClock()
    store = EmbeddedStore(tmp_path, clock=clock) if request.param == "embedded" else None
    made = House(store=store)
    if store is not None:
        made.clock = clock
        made = House(store=store)
        made.clock.time = clock.time
        clock.__dict__ = made.clock.__dict__  # one time for both
    await made.add_account(ANN, past="all")
    await made.add_account(BEN)
    yield made
    if store is not None:
        await store.close()


async def switch(house: House, past: str) -> None:
    row = await house.store.directory.account_by_login(ANN)
    await house.store.directory.put_account(replace(row, past=past))


async def names(client: Client, pattern: str = "*") -> list[str]:
    lines = [line.replace('"', "") for line in await client.do(f'LIST "" {pattern}')]
    return [name for line in lines if (name := line.rpartition(" / ")[2]).startswith("Recover")]


def today(house: House) -> str:
    return datetime.fromtimestamp(house.clock.time, UTC).date().isoformat()


async def lose(house: House) -> Client:
    """Five messages came; yesterday's second was expunged today, the fourth moved."""
    ann = await house.mailboxes.open(await house.store.directory.account_by_login(ANN))
    await fill(ann, "INBOX", 5)
    house.clock.time += DAY
    client = await house.selected()
    await client.do("STORE 2 +FLAGS (\\Deleted \\Flagged $Blue)")
    await client.do("EXPUNGE")
    await client.do("UID MOVE 4 Trash")
    return client


async def test_off_there_is_nothing(house: House) -> None:
    await lose(house)
    await switch(house, "off")
    client = await house.login()
    assert await names(client) == []
    assert "Recover" not in (await client.do("NAMESPACE"))[0]
    assert (await client.tagged("SELECT Recover/Deleted/INBOX")).startswith("NO [NONEXISTENT]")
    ben = await house.login(BEN)
    assert await names(ben) == []


async def test_the_list(house: House) -> None:
    client = await lose(house)
    yesterday = datetime.fromtimestamp(house.clock.time - DAY, UTC).date().isoformat()
    client = await house.login()
    [line] = await client.do("NAMESPACE")
    assert '(("" "/")("Recover/" "/"))' in line
    found = await names(client)
    assert found[:3] == ["Recover", "Recover/Deleted", "Recover/Deleted/INBOX"]
    assert f"Recover/{yesterday}/INBOX" in found
    assert not any(today(house) in name for name in found)
    assert await names(client, "Recover/%") == ["Recover/Deleted", f"Recover/{yesterday}"]
    assert await names(client, f"Recover/{yesterday}/I*") == [f"Recover/{yesterday}/INBOX"]
    [top] = [line for line in await client.do('LIST "" %') if "Recover" in line]
    assert "\\Noselect" in top
    assert "\\HasChildren" in top
    await switch(house, "deleted")
    client = await house.login()
    assert await names(client) == ["Recover", "Recover/Deleted", "Recover/Deleted/INBOX"]
    assert (await client.tagged(f"SELECT Recover/{yesterday}/INBOX")).startswith("NO [NONEXISTENT]")


async def test_deleted_mail_is_read_and_brought_back(house: House) -> None:
    await lose(house)
    clients = {"1": await house.login(), "2": await house.selected()}
    await play(
        clients,
        """
        C1: a1 SELECT Recover/Deleted/inbox
        S1: * FLAGS (...$Blue)
        S1: * OK [PERMANENTFLAGS ()] ...
        S1: * 1 EXISTS
        S1: * 0 RECENT
        S1: * OK [UNSEEN 1] ...
        S1: * OK [UIDVALIDITY ...] ...
        S1: * OK [UIDNEXT 2] ...
        S1: * OK [NOMODSEQ] ...
        S1: * OK [MAILBOXID (...)] ...
        S1: a1 OK [READ-ONLY] ...
        C1: a2 UID FETCH 1:* (FLAGS RFC822.SIZE BODY.PEEK[HEADER.FIELDS (SUBJECT)])
        S1: * 1 FETCH (UID 1 FLAGS (\\Flagged $Blue) RFC822.SIZE ... BODY[HEADER.FIELDS (SUBJECT)] {22}
        S1: Subject: Message 2
        S1:
        S1: )
        S1: a2 OK ...
        C1: a3 SEARCH SUBJECT "message 2"
        S1: * SEARCH 1
        S1: a3 OK ...
        C1: a4 STORE 1 +FLAGS (\\Seen)
        S1: a4 NO [NOPERM] ...
        C1: a5 EXPUNGE
        S1: a5 NO [NOPERM] ...
        C1: a6 UID MOVE 1 Recover/Deleted/INBOX
        S1: a6 NO [NOPERM] ...
        C1: a7 COPY 1 Recover/Deleted/INBOX
        S1: a7 NO [NOPERM] ...
        C2: b1 IDLE
        S2: + ...
        C1: a8 COPY 1 INBOX
        S2: * 4 EXISTS
        S2: * 1 RECENT
        S1: * 1 EXPUNGE
        S1: a8 OK [COPYUID ... 1 6] ...
        C2: DONE
        S2: b1 OK ...
        C2: b2 FETCH 4 (UID FLAGS INTERNALDATE BODY.PEEK[HEADER.FIELDS (SUBJECT)])
        S2: * 4 FETCH (UID 6 FLAGS (\\Flagged \\Recent $Blue) INTERNALDATE "14-Nov-2023 22:13:22 +0000" BODY[...
        S2: Subject: Message 2
        S2:
        S2: )
        S2: b2 OK ...
        C1: a9 FETCH 1 FLAGS
        S1: a9 BAD ...
        C1: b1 CLOSE
        S1: b1 OK ...
        """,
    )
    client = await house.login()
    assert await names(client, "Recover/Deleted/*") == []


async def test_moving_deleted_mail_brings_it_back(house: House) -> None:
    """What clients do whose users drag a message; out of another day a message cannot be moved, for it stays there."""
    await lose(house)
    clients = {"1": await house.selected("Recover/Deleted/INBOX"), "2": await house.selected("Recover/Deleted/INBOX")}
    await play(
        clients,
        """
        C2: b1 IDLE
        S2: + ...
        C1: a1 UID MOVE 1 Archive
        S1: * OK [COPYUID ... 1 1] ...
        S1: * 1 EXPUNGE
        S1: a1 OK ...
        S2: * 1 EXPUNGE
        C2: DONE
        S2: b1 OK ...
        """,
    )
    client = await house.selected("Archive")
    assert await client.do("UID SEARCH SUBJECT 2") == ["* SEARCH 1"]
    await client.do("SELECT INBOX")
    await client.do("STORE 1 +FLAGS (\\Deleted)")
    await client.do("EXPUNGE")
    await client.do("EXAMINE Recover/Deleted/INBOX")
    assert (await client.tagged("MOVE 1 INBOX")).startswith("NO [READ-ONLY]")
    yesterday = datetime.fromtimestamp(house.clock.time - DAY, UTC).date().isoformat()
    await client.do(f"SELECT Recover/{yesterday}/INBOX")
    assert (await client.tagged("MOVE 2 INBOX")).startswith("NO [NOPERM]")
    assert (await client.tagged("COPY 2 INBOX")).startswith("OK [COPYUID")


async def test_what_is_deleted_is_told_to_who_idles_or_asked_to_be(house: House) -> None:
    await lose(house)
    idle, asked = await house.selected("Recover/Deleted/INBOX"), await house.login()
    await asked.do("NOTIFY SET (SUBTREE Recover/Deleted (MessageNew MessageExpunge MailboxName))")
    owner = await house.selected()
    clients = {"1": idle, "2": asked, "3": owner}
    await play(
        clients,
        """
        C1: a1 IDLE
        S1: + ...
        C3: c1 STORE 1 +FLAGS.SILENT (\\Deleted)
        S3: c1 OK ...
        C3: c2 EXPUNGE
        S3: * 1 EXPUNGE
        S3: c2 OK ...
        S1: * 2 EXISTS
        S2: * STATUS "Recover/Deleted/INBOX" (UIDNEXT 3 MESSAGES 2)
        """,
    )
    await owner.do("SELECT Trash")
    await owner.say("c4 STORE 1 +FLAGS.SILENT (\\Deleted)")
    await owner.say("c5 EXPUNGE")
    lines = await asked.do("NOOP")
    assert any(line.startswith("* LIST ") and "Recover/Deleted/Trash" in line for line in lines), lines


async def test_a_list_looks_into_nothing(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names of all days cost names: no mailbox is read for them."""
    await lose(house)
    client = await house.login()

    async def never(*_given: object) -> None:
        raise AssertionError("a mailbox was looked into")

    monkeypatch.setattr(recover.DeletedMail, "look", never)
    monkeypatch.setattr(recover.Day, "look", never)
    assert len(await names(client)) > 8
    assert len(await names(client, "Recover/%")) == 2


async def test_the_email_is_the_same(house: House) -> None:
    await lose(house)
    client = await house.selected("Recover/Deleted/INBOX")
    [before] = await client.do("FETCH 1 EMAILID")
    await client.do("COPY 1 Archive")
    await client.do("SELECT Archive")
    assert await client.do("FETCH 1 EMAILID") == [before]


async def test_uids_of_deleted_mail_mean_one_message_for_good(house: House) -> None:
    await lose(house)
    watching = await house.selected("Recover/Deleted/INBOX")
    client = await house.selected()
    await client.do("UID STORE 1,5 +FLAGS (\\Deleted)")
    await client.do("EXPUNGE")
    assert await watching.do("NOOP") == ["* 3 EXISTS"]
    assert await watching.do("UID SEARCH ALL") == ["* SEARCH 1 2 3"]
    await watching.do("UID COPY 2 INBOX")
    again = await house.selected("Recover/Deleted/INBOX")
    assert await again.do("UID SEARCH ALL") == ["* SEARCH 1 3"]
    await client.do("NOOP")
    await client.do("STORE 2 +FLAGS (\\Deleted)")
    await client.do("EXPUNGE")
    await again.do("NOOP")
    assert await again.do("UID SEARCH ALL") == ["* SEARCH 1 3 4"]
    [status] = await again.do("STATUS Recover/Deleted/INBOX (MESSAGES UIDNEXT UNSEEN DELETED HIGHESTMODSEQ)")
    assert "(MESSAGES 3 UIDNEXT 5 UNSEEN 3 DELETED 0 HIGHESTMODSEQ 0)" in status


async def test_deleted_mailboxes_are_there(house: House) -> None:
    ann = await house.mailboxes.open(await house.store.directory.account_by_login(ANN))
    for number in (1, 3):  # twice a mailbox of that name
        await ann.create("Work/Old")
        await fill(ann, "Work/Old", 2, first=number)
        house.clock.time += 10
        await ann.delete("Work/Old")
    client = await house.selected("Recover/Deleted/Work/Old")
    assert await client.do("UID SEARCH ALL") == ["* SEARCH 1 2 3 4"]
    tagged = await client.tagged("COPY 1:* Work/Old")
    assert tagged.startswith("NO [TRYCREATE]")
    await client.do("CREATE Work/Old")
    await client.do("COPY 1:* Work/Old")
    await client.do("SELECT Work/Old")
    assert await client.do("SEARCH ALL") == ["* SEARCH 1 2 3 4"]


async def test_another_day(house: House) -> None:
    await lose(house)
    yesterday = datetime.fromtimestamp(house.clock.time - DAY, UTC).date().isoformat()
    inbox = await house.selected()
    client = await house.login()
    lines = await client.do(f"SELECT Recover/{yesterday}/INBOX")
    [validity] = [line for line in lines if "UIDVALIDITY" in line]
    assert validity in await inbox.do("SELECT INBOX")
    assert "* 5 EXISTS" in lines
    assert any("[NOMODSEQ]" in line for line in lines)
    assert await client.do("UID SEARCH ALL") == ["* SEARCH 1 2 3 4 5"]
    assert (await client.tagged("COPY 2,4 Archive")).startswith("OK [COPYUID")
    assert await client.do("NOOP") == []
    await client.do("SELECT Archive")
    fetched = await client.do("FETCH 1:* (BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
    assert [line for line in fetched if line.startswith("Subject")] == ["Subject: Message 2", "Subject: Message 4"]
    for day in (today(house), "2023-02-30", "1999-01-01", "yesterday", f"{yesterday}x"):
        assert (await client.tagged(f"STATUS Recover/{day}/INBOX (MESSAGES)")).startswith("NO [NONEXISTENT]")


async def test_condstore_and_qresync_are_refused_cleanly(house: House) -> None:
    await lose(house)
    client = await house.login()
    await client.do("ENABLE QRESYNC")
    lines = await client.do("SELECT Recover/Deleted/INBOX (QRESYNC (1 1))")
    assert not any("HIGHESTMODSEQ" in line or "VANISHED" in line or "FETCH" in line for line in lines)
    for command in (
        "FETCH 1 (FLAGS MODSEQ)",
        "UID FETCH 1:* FLAGS (CHANGEDSINCE 1)",
        "UID FETCH 1:* FLAGS (CHANGEDSINCE 1 VANISHED)",
        "SEARCH MODSEQ 1",
        "STORE 1 (UNCHANGEDSINCE 1) +FLAGS (\\Seen)",
    ):
        assert (await client.tagged(command)).startswith("BAD "), command
    tag = await client.tagged("COPY 1 INBOX")
    assert "MODSEQ" not in tag
    again = await house.login()
    await again.do("ENABLE QRESYNC")
    await again.do("SELECT Recover/Deleted/INBOX")
    lost = await house.selected()
    await lost.do("STORE 1 +FLAGS (\\Deleted)")
    await lost.do("EXPUNGE")
    assert await again.do("NOOP") == ["* 1 EXISTS"]
    copying = await house.selected("Recover/Deleted/INBOX")
    await copying.do("COPY 1 INBOX")
    assert await again.do("NOOP") == ["* 1 EXPUNGE"]
    assert any("[HIGHESTMODSEQ" in line for line in await again.do("SELECT INBOX"))


async def test_nothing_can_be_made_or_changed_there(house: House) -> None:
    await lose(house)
    client = await house.login()
    for command, code in (
        ("CREATE Recover", "NO [CANNOT]"),
        ("CREATE Recover/x", "NO [CANNOT]"),
        ("CREATE Recover/Deleted/x", "NO [NOPERM]"),
        ("DELETE Recover/Deleted/INBOX", "NO [NOPERM]"),
        ("RENAME Recover/Deleted/INBOX x", "NO [NOPERM]"),
        ("RENAME Archive Recover/Deleted/x", "NO"),
        ("SETACL Recover/Deleted/INBOX ben lr", "NO [NOPERM]"),
        ("APPEND Recover/Deleted/INBOX {3+}\r\nx\r\n", "NO [NOPERM]"),
        ('SETMETADATA Recover/Deleted/INBOX (/private/comment "x")', "NO [NOPERM]"),
    ):
        assert (await client.tagged(command)).startswith(code), command
    assert [line.rpartition(" ")[2] for line in await client.do("MYRIGHTS Recover/Deleted/INBOX")] == ["lr"]
    await client.do("SUBSCRIBE Recover/Deleted/INBOX")
    assert any("Recover/Deleted/INBOX" in line for line in await client.do('LSUB "" *'))
    await client.do("SELECT Recover/Deleted/INBOX")
    await switch(house, "off")
    assert b"BYE" in await client.say("x NOOP")


async def test_a_copy_counts_for_the_quota(house: House) -> None:
    await lose(house)
    row = await house.store.directory.account_by_login(ANN)
    await house.store.directory.put_account(replace(row, quota_messages=4))
    client = await house.selected("Recover/Deleted/INBOX")
    assert (await client.tagged("COPY 1 INBOX")).startswith("NO [OVERQUOTA]")
    assert await client.do("UID SEARCH ALL") == ["* SEARCH 1"]


async def test_all_that_reads_works_there(house: House) -> None:
    client = await lose(house)
    await client.do("STORE 1:* +FLAGS (\\Deleted)")
    await client.do("EXPUNGE")
    for _ in range(2):
        await client.do("SELECT Recover/Deleted/INBOX")
        assert await client.do("SORT (REVERSE SUBJECT) UTF-8 ALL") == ["* SORT 4 3 1 2"]
        assert await client.do("UID THREAD REFERENCES UTF-8 ALL") == ["* THREAD (2)(1)(3)(4)"]
        assert await client.do("SEARCH BODY hello SINCE 1-Jan-2020 SAVEDATESUPPORTED") == ["* SEARCH 1 2 3 4"]
        for item in ("ENVELOPE", "BODYSTRUCTURE", "BODY[]", "BINARY[1]", "SAVEDATE", "EMAILID"):
            assert len([line for line in await client.do(f"FETCH 1:* {item}") if "FETCH (" in line]) == 4, item
