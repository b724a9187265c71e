"""Saved searches as folders: what they find is there, each message once, under a UID of its own for good."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from imap_house import Client, FakeClock, House, fill, play

from postroom.store.embedded import EmbeddedStore

ANN = "ann@example.org"


@pytest.fixture(params=["memory", "embedded"])
async def house(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[House]:
    store = EmbeddedStore(tmp_path, clock=FakeClock()) if request.param == "embedded" else None
    made = House(store=store)
    await made.add_account(ANN)
    ann = await made.mailboxes.open(await made.store.directory.account_by_login(ANN))
    await ann.store.saved.put("Unread", "is:unread -in:trash")
    await fill(ann, "INBOX", 3)
    await ann.create("Work")
    await fill(ann, "Work", 2, first=4)
    yield made
    if store is not None:
        await store.close()


async def uids(client: Client) -> str:
    return (await client.do("UID SEARCH ALL"))[0]


async def test_it_is_a_folder_from_the_next_login_on(house: House) -> None:
    client = await house.login()
    lines = await client.do('LIST "" *')
    assert '* LIST (\\HasNoChildren) "/" Searches/Unread' in [
        line.replace('"S', "S").replace('d"', "d") for line in lines
    ]
    assert '(("" "/")("Searches/" "/"))' in (await client.do("NAMESPACE"))[0]
    [status] = await client.do("STATUS Searches/Unread (MESSAGES UIDNEXT UNSEEN HIGHESTMODSEQ)")
    assert "(MESSAGES 5 UIDNEXT 6 UNSEEN 5 HIGHESTMODSEQ 0)" in status
    assert (await client.tagged("CREATE Searches/More")).startswith("NO ")
    assert (await client.tagged("DELETE Searches/Unread")).startswith("NO [NOPERM]")
    ann = await house.store.account((await house.store.directory.account_by_login(ANN)).id)
    await ann.saved.remove("Unread")
    client = await house.login()
    assert not any("Searches" in line for line in await client.do('LIST "" *'))


async def test_finds_come_and_go_and_keep_their_uids(house: House) -> None:
    clients = {"1": await house.selected("Searches/Unread"), "2": await house.selected()}
    await play(
        clients,
        """
        C1: a1 UID FETCH 1:* (FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])
        S1: * 1 FETCH (UID 1 FLAGS () BODY[...
        S1: Subject: Message 1
        S1:
        S1: )
        S1: * 2 FETCH ...
        S1: Subject: Message 2
        S1:
        S1: )
        S1: * 3 FETCH ...
        S1: Subject: Message 3
        S1:
        S1: )
        S1: * 4 FETCH ...
        S1: Subject: Message 4
        S1:
        S1: )
        S1: * 5 FETCH (UID 5 FLAGS () BODY[...
        S1: Subject: Message 5
        S1:
        S1: )
        S1: a1 OK ...
        C1: a2 IDLE
        S1: + ...
        C2: b1 STORE 2 +FLAGS.SILENT (\\Seen)
        S2: b1 OK ...
        S1: * 2 EXPUNGE
        C2: b2 STORE 3 +FLAGS.SILENT (\\Flagged)
        S2: b2 OK ...
        S1: * 2 FETCH (UID 3 FLAGS (\\Flagged))
        C2: b3 STORE 2 -FLAGS.SILENT (\\Seen)
        S2: b3 OK ...
        S1: * 5 EXISTS
        C2: b4 UID MOVE 1 Trash
        S2: ...
        S2: * 1 EXPUNGE
        S2: b4 OK ...
        S1: * 1 EXPUNGE
        C1: DONE
        S1: a2 OK ...
        C1: a3 UID SEARCH SUBJECT "message 2"
        S1: * SEARCH 6
        S1: a3 OK ...
        C1: a4 STORE 1 +FLAGS (\\Seen)
        S1: a4 NO [NOPERM] ...
        C1: a5 UID MOVE 3 Archive
        S1: a5 NO [NOPERM] ...
        C1: a6 UID COPY 3,6 Archive
        S1: a6 OK [COPYUID ... 3,6 1:2] ...
        """,
    )
    again = await house.selected("Searches/Unread")
    found = await uids(again)
    assert found.startswith("* SEARCH 3 4 5 6")


async def test_each_message_is_found_once_and_others_are_told_the_same_uids(house: House) -> None:
    client = await house.selected()
    await client.do("COPY 1:3 Work")
    one, two = await house.selected("Searches/Unread"), await house.selected("Searches/Unread")
    assert await uids(one) == await uids(two) == "* SEARCH 1 2 3 4 5"
    [line] = [line for line in await one.do("SELECT Searches/Unread") if "UIDVALIDITY" in line]
    ann = await house.store.account((await house.store.directory.account_by_login(ANN)).id)
    await ann.saved.put("Unread", "is:flagged")
    lines = await two.do("SELECT Searches/Unread")
    assert line not in lines
    assert "* 0 EXISTS" in lines


async def test_a_query_nobody_understands_finds_nothing(house: House) -> None:
    ann = await house.store.account((await house.store.directory.account_by_login(ANN)).id)
    await ann.saved.put("Odd", '"never closed')
    client = await house.login()
    assert "* 0 EXISTS" in await client.do("SELECT Searches/Odd")


async def test_all_that_reads_works_there(house: House) -> None:
    client = await house.selected("Searches/Unread")
    assert await client.do("SORT (REVERSE SUBJECT) UTF-8 ALL") == ["* SORT 5 4 3 2 1"]
    assert await client.do("UID THREAD REFERENCES UTF-8 ALL") == ["* THREAD (1)(2)(3)(4)(5)"]
    assert await client.do("SEARCH BODY hello") == ["* SEARCH 1 2 3 4 5"]
    for item in ("ENVELOPE", "BODYSTRUCTURE", "BODY[]", "BINARY[1]", "SAVEDATE", "EMAILID", "PREVIEW"):
        assert len([line for line in await client.do(f"FETCH 1:* {item}") if "FETCH (" in line]) == 5, item
    for command in ("FETCH 1 (FLAGS MODSEQ)", "SEARCH MODSEQ 1"):
        assert (await client.tagged(command)).startswith("BAD "), command
