"""SAVEDATE and OBJECTID: what stays with a message and a mailbox whatever becomes of names and places."""

from __future__ import annotations

import re

from imap_house import NOW, House, fill, play

from postroom.mailbox.incoming import Incoming
from postroom.store.api import Origin
from postroom.values.content import Content

DAY = 86_400


async def test_save_dates(house: House) -> None:
    ann = await house.mailboxes.open(await house.store.directory.account("ann-example.org"))
    await fill(ann, "INBOX", 1)
    house.clock.time += 3 * DAY
    await fill(ann, "INBOX", 1, first=2)
    await play(
        await house.selected(),
        """
        C: a1 FETCH 1:2 (SAVEDATE INTERNALDATE)
        S: * 1 FETCH (SAVEDATE "14-Nov-2023 22:13:20 +0000" INTERNALDATE "14-Nov-2023 22:13:21 +0000")
        S: * 2 FETCH (SAVEDATE "17-Nov-2023 22:13:20 +0000" INTERNALDATE "14-Nov-2023 22:13:22 +0000")
        S: a1 OK ...
        C: a2 SEARCH SAVEDBEFORE 15-Nov-2023
        S: * SEARCH 1
        S: a2 OK ...
        C: a3 SEARCH SAVEDON 17-Nov-2023
        S: * SEARCH 2
        S: a3 OK ...
        C: a4 SEARCH SAVEDSINCE 14-Nov-2023
        S: * SEARCH 1 2
        S: a4 OK ...
        C: a5 SEARCH NOT SAVEDATESUPPORTED
        S: * SEARCH
        S: a5 OK ...
        C: a6 SEARCH SAVEDBEFORE yesterday
        S: a6 BAD ...
        C: a7 COPY 1 Trash
        S: a7 OK ...
        C: a8 SELECT Trash
        S: * OK [CLOSED] ...
        S: * FLAGS ...
        S: * OK [PERMANENTFLAGS ...
        S: * 1 EXISTS
        S: * 1 RECENT
        S: * OK [UNSEEN 1] ...
        S: * OK [UIDVALIDITY ...
        S: * OK [UIDNEXT ...
        S: * OK [HIGHESTMODSEQ ...
        S: * OK [MAILBOXID ...
        S: a8 OK ...
        C: a9 FETCH 1 (SAVEDATE BODY.PEEK[HEADER.FIELDS (SUBJECT)])
        S: * 1 FETCH (SAVEDATE "17-Nov-2023 22:13:20 +0000" BODY[HEADER.FIELDS (SUBJECT)] {22}
        S: Subject: Message 1
        S:
        S: )
        S: a9 OK ...
        """,
    )


async def test_mailboxes_keep_their_identifier(house: House) -> None:
    client = await house.login()
    created = await client.tagged("CREATE one")
    [name] = re.findall(r"\[MAILBOXID \((F[0-9a-f-]+)\)\]", created)
    assert await client.do("STATUS one (MAILBOXID)") == [f'* STATUS "one" (MAILBOXID ({name}))']
    await client.do("RENAME one two")
    assert await client.do("STATUS two (MAILBOXID MESSAGES)") == [f'* STATUS "two" (MAILBOXID ({name}) MESSAGES 0)']
    assert f"* OK [MAILBOXID ({name})] Known as" in await client.do("SELECT two")
    await client.do("CREATE one")
    lines = await client.do('LIST "" "*" RETURN (STATUS (MAILBOXID))')
    given = re.findall(r"MAILBOXID \(([^)]+)\)", "\n".join(lines))
    assert len(given) == len(set(given)) == 8


async def test_messages_keep_their_identifier(house: House) -> None:
    ann = await house.mailboxes.open(await house.store.directory.account("ann-example.org"))
    await fill(ann, "INBOX", 3)
    client = await house.selected()
    lines = await client.do("FETCH 1:3 EMAILID")
    ids = re.findall(r"EMAILID \((M[0-9a-f-]+)\)", "\n".join(lines))
    assert len(set(ids)) == 3
    assert await client.do(f"SEARCH EMAILID {ids[1]}") == ["* SEARCH 2"]
    assert await client.do(f"SEARCH OR EMAILID {ids[0]} EMAILID {ids[2]}") == ["* SEARCH 1 3"]
    assert await client.do(f"SEARCH NOT EMAILID {ids[0]}") == ["* SEARCH 2 3"]
    for stranger in ("M1", "nothing", ids[0].upper(), f"{ids[0]}0", "x" * 255):
        assert await client.do(f"SEARCH EMAILID {stranger}") == ["* SEARCH"]
    assert (await client.tagged(f"SEARCH EMAILID {'x' * 256}")).startswith("BAD")
    assert (await client.tagged("SEARCH EMAILID (x)")).startswith("BAD")
    await client.do("COPY 2 Archive")
    await client.do("MOVE 3 Archive")
    await client.do("SELECT Archive")
    assert await client.do("UID FETCH 1:* (EMAILID)") == [
        f"* 1 FETCH (UID 1 EMAILID ({ids[1]}))",
        f"* 2 FETCH (UID 2 EMAILID ({ids[2]}))",
    ]


async def test_a_message_from_another_account_keeps_its_identifier(house: House) -> None:
    ann = await house.mailboxes.open(await house.store.directory.account("ann-example.org"))
    await fill(ann, "INBOX", 1)
    info = await ann.find("INBOX")
    origin = Origin("Mfeedfeedfeedfeed-1", 7)
    await ann.append(info.id, [Incoming(content=Content.of(b"x: y\r\n\r\n"), internaldate=NOW, origin=origin)])
    client = await house.selected()
    lines = await client.do("FETCH 1:2 (EMAILID)")
    assert lines[1] == "* 2 FETCH (EMAILID (Mfeedfeedfeedfeed-1))"
    assert lines[0] != "* 1 FETCH (EMAILID (Mfeedfeedfeedfeed-1))"
    assert await client.do("SEARCH EMAILID Mfeedfeedfeedfeed-1") == ["* SEARCH 2"]


def reply(number: int, *references: int) -> bytes:
    refs = f"References: {' '.join(f'<{each}@x>' for each in references)}\r\n" if references else ""
    return f"Message-ID: <{number}@x>\r\n{refs}Subject: {number}\r\n\r\n".encode()


async def test_threads_keep_their_identifier(house: House) -> None:
    """RFC 8474 5.2: over moves and copies, in all mailboxes, and when more of a thread arrives."""
    ann = await house.mailboxes.open(await house.store.directory.account("ann-example.org"))
    info, archive = await ann.find("INBOX"), await ann.find("Archive")
    for data in (reply(1), reply(2, 1), reply(3)):
        await ann.append(info.id, [Incoming(content=Content.of(data), internaldate=NOW)])
    client = await house.selected()
    ids = re.findall(r"THREADID \((T[0-9a-f]{16})\)", "\n".join(await client.do("FETCH 1:3 THREADID")))
    assert ids[0] == ids[1] != ids[2]
    assert await client.do(f"SEARCH THREADID {ids[0]}") == ["* SEARCH 1 2"]
    assert await client.do(f"UID SEARCH OR THREADID {ids[2]} THREADID {ids[1]}") == ["* SEARCH 1 2 3"]
    for stranger in ("T1", "M1", ids[0].upper(), f"{ids[0]}0"):
        assert await client.do(f"SEARCH THREADID {stranger}") == ["* SEARCH"]
    await client.do("MOVE 2 Archive")
    await ann.append(archive.id, [Incoming(content=Content.of(reply(4, 2)), internaldate=NOW)])
    await ann.append(archive.id, [Incoming(content=Content.of(b"Subject: none\r\n\r\n"), internaldate=NOW)])
    await client.do("SELECT Archive")
    lines = await client.do("FETCH 1:3 (EMAILID THREADID BODY.PEEK[HEADER.FIELDS (X)])")
    assert re.findall(r"THREADID \((T[0-9a-f]+)\)", "\n".join(lines))[:2] == [ids[0], ids[0]]
    assert (await client.tagged("SEARCH THREADID (x)")).startswith("BAD")
    assert len(await client.do("FETCH 1:* THREADID")) == 3


async def test_a_thread_from_another_account(house: House) -> None:
    ann = await house.mailboxes.open(await house.store.directory.account("ann-example.org"))
    info = await ann.find("INBOX")
    origin = Origin("Mfeedfeedfeedfeed-1", 7)
    await ann.append(info.id, [Incoming(content=Content.of(reply(1)), internaldate=NOW, origin=origin)])
    await ann.append(info.id, [Incoming(content=Content.of(reply(2, 1)), internaldate=NOW)])
    client = await house.selected()
    assert await client.do("FETCH 1:* (EMAILID THREADID)") == [
        "* 1 FETCH (EMAILID (Mfeedfeedfeedfeed-1) THREADID (T0000000000000007))",
        f"* 2 FETCH (EMAILID (M{'5f56503d4352ebfc'}-2) THREADID (T0000000000000007))",
    ]
