"""MESSAGELIMIT and SAVELIMIT: how many messages one command works on (RFC 9738)."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from imap_house import Client, House, fill, play

from postroom.config import Imap
from postroom.values.flags import DELETED, SEEN


async def limited(*, count: int = 6, flags: int = 0, **options: int) -> Client:
    """INBOX with UIDs 1 to count is selected."""
    house = House(options=Imap(**options))  # type: ignore[arg-type]
    account = await house.add_account("ann@example.org")
    await fill(account, "INBOX", count, flags=flags)
    return await house.selected()


async def capabilities(client: Client) -> set[str]:
    [line] = await client.do("CAPABILITY")
    return {word for word in line.split() if "LIMIT=" in word and not word.startswith("APPEND")}


async def test_what_is_announced() -> None:
    assert await capabilities(await limited()) == set()
    assert await capabilities(await limited(message_limit=1000)) == {"MESSAGELIMIT=1000"}
    assert await capabilities(await limited(save_limit=2000)) == {"SAVELIMIT=2000"}
    assert await capabilities(await limited(message_limit=1000, save_limit=2000)) == {"MESSAGELIMIT=1000"}


async def test_fetch_and_store_take_the_newest() -> None:
    await play(
        await limited(message_limit=3),
        """
        C: a1 FETCH 1:* FLAGS
        S: * 4 FETCH (FLAGS ())
        S: * 5 FETCH (FLAGS ())
        S: * 6 FETCH (FLAGS ())
        S: a1 OK [MESSAGELIMIT 3 4] ...
        C: a2 UID FETCH 1:3 FLAGS
        S: * 1 FETCH (UID 1 FLAGS ())
        S: * 2 FETCH (UID 2 FLAGS ())
        S: * 3 FETCH (UID 3 FLAGS ())
        S: a2 OK Fetch completed
        C: a3 UID STORE 1,2,4,6 +FLAGS.SILENT (\\Flagged)
        S: a3 OK [MESSAGELIMIT 3 2] ...
        C: a4 UID SEARCH UID 1:3 FLAGGED
        S: * SEARCH 2
        S: a4 OK Search completed
        C: a5 UID FETCH 1:* FLAGS (PARTIAL 1:4)
        S: a5 NO [MESSAGELIMIT 3] ...
        C: a6 UID FETCH 1:* FLAGS (PARTIAL -1:-2)
        S: * 5 FETCH (UID 5 FLAGS ())
        S: * 6 FETCH (UID 6 FLAGS (\\Flagged))
        S: a6 OK Fetch completed
        """,
    )


async def test_another_code_comes_first() -> None:
    client = await limited(message_limit=3)
    await play(
        client,
        """
        C: a1 UID STORE 1:* (UNCHANGEDSINCE 1) +FLAGS (\\Flagged)
        S: * OK [HIGHESTMODSEQ ...] ...
        S: * NO [MESSAGELIMIT 3 4] ...
        S: a1 OK [MODIFIED 4:6] ...
        """,
    )
    other = await client.house.selected()
    await other.do("STORE 5 +FLAGS.SILENT (\\Deleted)")
    await other.do("EXPUNGE")
    lines = (await client.say("a2 FETCH 1:* UID")).split(b"\r\n")
    assert lines[0] == b"* 4 FETCH (UID 4)"
    assert lines[-3].startswith(b"* NO [MESSAGELIMIT 3 4] ")
    assert lines[-2].startswith(b"a2 OK [EXPUNGEISSUED] ")


async def test_copy_is_refused_and_move_goes_on() -> None:
    await play(
        await limited(message_limit=4),
        """
        C: a1 COPY 1:* Archive
        S: a1 NO [MESSAGELIMIT 4] ...
        C: a2 STATUS Archive (MESSAGES)
        S: * STATUS "Archive" (MESSAGES 0)
        S: a2 OK ...
        C: a3 UID COPY 1:4 Archive
        S: a3 OK [COPYUID ... 1:4 1:4] ...
        C: a4 MOVE 1:* Trash
        S: * OK [COPYUID ... 3:6 1:4] ...
        S: * 3 EXPUNGE
        S: * 3 EXPUNGE
        S: * 3 EXPUNGE
        S: * 3 EXPUNGE
        S: a4 OK [MESSAGELIMIT 4 3] ...
        C: a5 MOVE 1:* Trash
        S: * OK [COPYUID ... 1:2 5:6] ...
        S: * 1 EXPUNGE
        S: * 1 EXPUNGE
        S: a5 OK Move completed
        """,
    )


async def test_expunge_knows_no_limit_but_uid_expunge_does() -> None:
    client = await limited(message_limit=2, flags=DELETED)
    await client.do("UID STORE 5 -FLAGS.SILENT (\\Deleted)")
    await play(
        client,
        """
        C: a1 UID EXPUNGE 1:*
        S: * 4 EXPUNGE
        S: * 5 EXPUNGE
        S: a1 OK [MESSAGELIMIT 2 4] ...
        C: a2 UID EXPUNGE 3:*
        S: * 3 EXPUNGE
        S: a2 OK Expunge completed
        C: a3 EXPUNGE
        S: * 1 EXPUNGE
        S: * 1 EXPUNGE
        S: a3 OK Expunge completed
        """,
    )
    client = await limited(message_limit=2, flags=DELETED)
    await client.do("ENABLE QRESYNC")
    heard = (await client.say("a4 UID EXPUNGE 1:*")).split(b"\r\n")
    assert heard[0] == b"* VANISHED 5:6"
    assert heard[-3].startswith(b"* NO [MESSAGELIMIT 2 5] ")
    assert heard[-2].startswith(b"a4 OK [HIGHESTMODSEQ ")
    client = await limited(message_limit=2, flags=DELETED)
    await client.do("CLOSE")
    assert await client.do("STATUS INBOX (MESSAGES)") == ['* STATUS "INBOX" (MESSAGES 0)']


async def test_search_counts_what_is_looked_at() -> None:
    client = await limited(message_limit=3)
    await client.do("UID STORE 2,5 +FLAGS.SILENT (\\Flagged)")
    await play(
        client,
        """
        C: a1 UID SEARCH FLAGGED
        S: * SEARCH 5
        S: a1 OK [MESSAGELIMIT 3 4] ...
        C: a2 UID SEARCH UNDELETED UIDBEFORE 4 FLAGGED
        S: * SEARCH 2
        S: a2 OK Search completed
        C: a3 SEARCH RETURN (COUNT MIN SAVE) 2:5 (UIDAFTER 1 ALL)
        S: * ESEARCH (TAG "a3") MIN 3 COUNT 3
        S: a3 OK [MESSAGELIMIT 3 3] ...
        C: a4 FETCH $ UID
        S: * 3 FETCH (UID 3)
        S: * 4 FETCH (UID 4)
        S: * 5 FETCH (UID 5)
        S: a4 OK Fetch completed
        C: a5 UID SEARCH NOT UID 5:6
        S: * SEARCH 4
        S: a5 OK [MESSAGELIMIT 3 4] ...
        C: a6 UID SORT (REVERSE ARRIVAL) UTF-8 ALL
        S: * SORT 6 5 4 3 2 1
        S: a6 OK Sort completed
        C: a7 UID THREAD ORDEREDSUBJECT UTF-8 UIDAFTER 4
        S: * THREAD (5)(6)
        S: a7 OK Thread completed
        C: a8 ESEARCH FLAGGED
        S: * ESEARCH (TAG "a8" MAILBOX "INBOX" UIDVALIDITY ...) UID ALL 5
        S: a8 OK [MESSAGELIMIT 3 4] ...
        C: a9 ESEARCH IN (personal) FLAGGED
        S: * ESEARCH (TAG "a9" MAILBOX "INBOX" UIDVALIDITY ...) UID ALL 5
        S: a9 OK [LIMIT] ...
        """,
    )


async def test_uidafter_and_uidbefore() -> None:
    client = await limited()
    for criteria, found in (
        ("UIDAFTER 4", " 5 6"),
        ("UIDBEFORE 3", " 1 2"),
        ("UIDBEFORE 1", ""),
        ("UIDAFTER 6", ""),
        ("UIDAFTER 4294967295", ""),
        ("NOT UIDAFTER 1", " 1"),
        ("UIDAFTER 1 UIDBEFORE 4", " 2 3"),
    ):
        assert await client.do(f"UID SEARCH {criteria}") == [f"* SEARCH{found}"], criteria
    for wrong in ("UIDAFTER", "UIDAFTER 0", "UIDBEFORE 1:2", "UIDBEFORE *", "UIDAFTER 4294967296"):
        assert (await client.tagged(f"UID SEARCH {wrong}")).startswith("BAD "), wrong


@pytest.mark.parametrize("option", ["message_limit", "save_limit"])
async def test_append_of_too_many(option: str) -> None:
    client = await limited(count=0, **{option: 2})
    two = b"b APPEND Archive {1+}\r\nx {1+}\r\ny\r\n"
    assert b"b OK [APPENDUID " in await client.feed(two)
    heard = await client.feed(b"c APPEND Archive {1+}\r\nx {1+}\r\ny {1}\r\n")
    assert heard.startswith(b"c NO [MESSAGELIMIT 2] ")
    assert await client.do("STATUS Archive (MESSAGES)") == ['* STATUS "Archive" (MESSAGES 2)']


async def test_savelimit_is_for_copy_and_append_only() -> None:
    client = await limited(save_limit=3)
    assert len(await client.do("FETCH 1:* UID")) == 6
    assert (await client.tagged("COPY 1:* Archive")).startswith("NO [MESSAGELIMIT 3] ")
    assert await client.tagged("STORE 1:* +FLAGS.SILENT (\\Seen)") == "OK Store completed"
    assert await client.tagged("MOVE 1:* Archive") == "OK Move completed"


async def test_clients_without_message_numbers() -> None:
    client = await limited(message_limit=2, flags=SEEN)
    await client.do("ENABLE UIDONLY")
    assert await client.do("UID FETCH 1:* FLAGS") == ["* 5 UIDFETCH (FLAGS (\\Seen))", "* 6 UIDFETCH (FLAGS (\\Seen))"]
    assert (await client.tagged("UIDBATCHES 10")).startswith("NO [TOOMANY] ")


@given(
    wanted=st.lists(st.sampled_from(["1:9", "UID 4:12", "12,3,7:8", "NOT SEEN", "(2:* UID 1:10)", "OR 1 2", "ALL"])),
    limit=st.integers(1, 13),
)
@settings(max_examples=40, deadline=None)
async def test_a_client_that_goes_on_finds_everything(wanted: list[str], limit: int) -> None:
    criteria = " ".join(wanted) or "ALL"
    [whole] = await (await limited(count=12)).do(f"UID SEARCH {criteria}")
    client, found, below = await limited(count=12, message_limit=limit), [], ""
    while True:
        lines = (await client.say(f"x UID SEARCH {criteria}{below}")).decode().split("\r\n")
        found = [*lines[0].split()[2:], *found]
        if "[MESSAGELIMIT " not in lines[1]:
            break
        below = " UIDBEFORE " + lines[1].partition("]")[0].rpartition(" ")[2]
    assert found == whole.split()[2:]
