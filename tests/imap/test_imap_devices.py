"""Two devices on one mailbox: every untagged response checked (RFC 2180, RFC 9051 5.2 and 7.5, RFC 7162)."""

from __future__ import annotations

import asyncio

from imap_house import Client, House, fill, message, play, settle

from postroom.mailbox.service import Account
from postroom.store.api import Hint, MailboxInfo


async def ann(house: House) -> Account:
    row = await house.store.directory.account("ann-example.org")
    assert row is not None
    return await house.mailboxes.open(row)


async def two(house: House, count: int, mailbox: str = "INBOX") -> dict[str, Client]:
    await fill(await ann(house), mailbox, count)
    return {"1": await house.selected(mailbox), "2": await house.selected(mailbox)}


async def inbox(house: House) -> MailboxInfo:
    return await (await ann(house)).find("INBOX")


async def arrives(house: House, number: int) -> None:
    await fill(await ann(house), "INBOX", 1, first=number)


async def expunge(client: Client, numbers: str) -> None:
    await client.do(f"STORE {numbers} +FLAGS.SILENT (\\Deleted)")
    await client.do("EXPUNGE")


def opened(exists: int, uidvalidity: int, uidnext: int) -> str:
    """What a SELECT says before its news, as lines of a conversation."""
    lines = [
        "FLAGS ...",
        "OK [PERMANENTFLAGS ...",
        f"{exists} EXISTS",
        "0 RECENT",
        "OK [UNSEEN 1] ...",
        f"OK [UIDVALIDITY {uidvalidity}] ...",
        f"OK [UIDNEXT {uidnext}] ...",
        "OK [HIGHESTMODSEQ ...",
        "OK [MAILBOXID (F...-...)] ...",
    ]
    return "\n        ".join(f"S: * {line}" for line in lines)


async def test_flags_cross_over(house: House) -> None:
    await play(
        await two(house, 3),
        """
        C1: a1 STORE 2 +FLAGS (\\Seen)
        S1: * 2 FETCH (UID 2 FLAGS (\\Seen))
        S1: a1 OK ...
        C2: b1 NOOP
        S2: * 2 FETCH (UID 2 FLAGS (\\Seen))
        S2: b1 OK ...
        C2: b2 STORE 2:3 +FLAGS.SILENT (\\Flagged $Work)
        S2: * FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft $Work)
        S2: b2 OK ...
        C1: a2 FETCH 1 FLAGS
        S1: * FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft $Work)
        S1: * 2 FETCH (UID 2 FLAGS (\\Flagged \\Seen $Work))
        S1: * 3 FETCH (UID 3 FLAGS (\\Flagged $Work))
        S1: * 1 FETCH (FLAGS ())
        S1: a2 OK ...
        """,
    )


async def test_check_brings_the_news(house: House) -> None:
    await play(
        await two(house, 2),
        """
        C1: a1 STORE 1 +FLAGS.SILENT (\\Flagged)
        S1: a1 OK ...
        C2: b1 CHECK
        S2: * 1 FETCH (UID 1 FLAGS (\\Flagged))
        S2: b1 OK ...
        """,
    )


async def test_silent_store_tells_where_the_client_would_be_wrong(house: House) -> None:
    await play(
        await two(house, 3),
        """
        C2: b1 STORE 1 +FLAGS.SILENT (\\Flagged)
        S2: b1 OK ...
        C1: a1 STORE 1:3 +FLAGS.SILENT (\\Seen)
        S1: * 1 FETCH (UID 1 FLAGS (\\Flagged \\Seen))
        S1: a1 OK ...
        C1: a2 NOOP
        S1: a2 OK ...
        """,
    )


async def test_expunge_is_held_back_during_fetch_store_search(house: House) -> None:
    devices = await two(house, 5)
    await devices["1"].do("STORE 2,4 +FLAGS.SILENT (\\Deleted)")
    await devices["2"].do("NOOP")
    await play(
        devices,
        """
        C1: a1 EXPUNGE
        S1: * 2 EXPUNGE
        S1: * 3 EXPUNGE
        S1: a1 OK ...
        C2: b1 FETCH 2 (UID FLAGS)
        S2: * 2 FETCH (UID 2 FLAGS (\\Deleted))
        S2: b1 OK [EXPUNGEISSUED] ...
        C2: b2 FETCH 5 (UID)
        S2: * 5 FETCH (UID 5)
        S2: b2 OK [EXPUNGEISSUED] ...
        C2: b3 SEARCH ALL
        S2: * SEARCH 1 2 3 4 5
        S2: b3 OK [EXPUNGEISSUED] ...
        C2: b4 STORE 2:3 +FLAGS (\\Seen)
        S2: * 3 FETCH (UID 3 FLAGS (\\Seen))
        S2: b4 NO [EXPUNGEISSUED] ...
        C2: b5 STORE 4 +FLAGS.SILENT (\\Seen)
        S2: b5 OK [EXPUNGEISSUED] ...
        C2: b6 FETCH 2 BODY.PEEK[TEXT]
        S2: * 2 FETCH (BODY[TEXT] {7}
        S2: Hello
        S2: )
        S2: b6 OK [EXPUNGEISSUED] ...
        C2: b7 UID FETCH 2:3 (FLAGS)
        S2: * 2 FETCH (UID 2 FLAGS (\\Deleted))
        S2: * 3 FETCH (UID 3 FLAGS (\\Seen))
        S2: * 2 EXPUNGE
        S2: * 3 EXPUNGE
        S2: b7 OK ...
        C2: b8 FETCH 2 (UID)
        S2: * 2 FETCH (UID 3)
        S2: b8 OK ...
        C1: a2 NOOP
        S1: * 2 FETCH (UID 3 FLAGS (\\Seen))
        S1: a2 OK ...
        """,
    )


async def test_new_mail_during_held_back_expunge(house: House) -> None:
    devices = await two(house, 3)
    await expunge(devices["1"], "1")
    await arrives(house, 4)
    await play(
        devices,
        """
        C2: b1 FETCH 3 (UID)
        S2: * 4 EXISTS
        S2: * 3 FETCH (UID 3)
        S2: b1 OK [EXPUNGEISSUED] ...
        C2: b2 FETCH 4 (UID)
        S2: * 4 FETCH (UID 4)
        S2: b2 OK [EXPUNGEISSUED] ...
        C2: b3 NOOP
        S2: * 1 EXPUNGE
        S2: b3 OK ...
        C1: a1 NOOP
        S1: * 3 EXISTS
        S1: a1 OK ...
        """,
    )


async def test_idle_hears_at_once(house: House) -> None:
    await play(
        await two(house, 2),
        """
        C2: b1 IDLE
        S2: + idling
        C1: a1 STORE 1 +FLAGS (\\Deleted)
        S1: * 1 FETCH (UID 1 FLAGS (\\Deleted))
        S1: a1 OK ...
        S2: * 1 FETCH (UID 1 FLAGS (\\Deleted))
        C1: a2 EXPUNGE
        S1: * 1 EXPUNGE
        S1: a2 OK ...
        S2: * 1 EXPUNGE
        C1: a3 COPY 1 INBOX
        S1: * 2 EXISTS
        S1: * 1 RECENT
        S1: a3 OK ...
        S2: * 2 EXISTS
        C2: DONE
        S2: b1 OK Idle completed
        C2: b2 NOOP
        S2: b2 OK ...
        """,
    )


async def test_idle_starts_with_what_happened_before(house: House) -> None:
    devices = await two(house, 1)
    await arrives(house, 2)
    await play(
        devices,
        """
        C1: a1 IDLE
        S1: + idling
        S1: * 2 EXISTS
        C1: done
        S1: a1 OK ...
        """,
    )


async def test_idle_joins_the_news_of_one_turn(house: House) -> None:
    devices = await two(house, 0)
    client = devices["1"]
    await client.say("a1 IDLE")
    account = await ann(house)
    await fill(account, "INBOX", 1)
    await fill(account, "INBOX", 1, first=2)
    await fill(account, "INBOX", 1, first=3)
    await settle(client)
    assert client.hear() == b"* 3 EXISTS\r\n"


async def test_hint_of_another_worker_is_enough(house: House) -> None:
    devices = await two(house, 1)
    client = devices["1"]
    await client.say("a1 IDLE")
    feed = house.store.feed
    held, feed._subscribers = feed._subscribers, {}  # the commit happens where nobody here hears it
    account = await ann(house)
    await fill(account, "INBOX", 1, first=2)
    await settle(client)
    assert client.hear() == b""
    feed._subscribers = held
    info = await account.find("INBOX")
    feed.receive(Hint("ann-example.org", info.id, 0))
    await settle(client)
    assert client.hear() == b"* 2 EXISTS\r\n"


async def test_idle_deleted_mailbox(house: House) -> None:
    await play(
        await two(house, 1, "Junk"),
        """
        C1: a1 IDLE
        S1: + idling
        C2: b1 DELETE Junk
        S2: * OK [CLOSED] ...
        S2: b1 OK ...
        S1: * BYE [NONEXISTENT] ...
        S1: (closed)
        """,
    )


async def test_move_between_devices(house: House) -> None:
    devices = await two(house, 3)
    archive = await house.selected("Archive")
    await play(
        {**devices, "3": archive},
        """
        C3: c1 IDLE
        S3: + idling
        C1: a1 UID MOVE 2 Archive
        S1: * OK [COPYUID ... 2 1] Moved
        S1: * 2 EXPUNGE
        S1: a1 OK ...
        S3: * 1 EXISTS
        S3: * 1 RECENT
        C2: b1 COPY 2:3 Archive
        S2: * 2 EXPUNGE
        S2: b1 NO [EXPUNGEISSUED] ...; nothing was copied
        C2: b2 UID COPY 2:3 Archive
        S2: b2 OK [COPYUID ... 3 2] ...
        S3: * 2 EXISTS
        S3: * 2 RECENT
        """,
    )


async def test_qresync_vanished(house: House) -> None:
    devices = await two(house, 6)
    client = devices["2"]
    await client.do("UNSELECT")
    await client.do("ENABLE QRESYNC")
    await client.do("SELECT INBOX")
    await devices["1"].do("STORE 2:3,5 +FLAGS.SILENT (\\Deleted)")
    await client.do("NOOP")
    await play(
        devices,
        """
        C1: a1 UID EXPUNGE 2:3
        S1: * 2 EXPUNGE
        S1: * 2 EXPUNGE
        S1: a1 OK ...
        C2: b1 FETCH 1 (FLAGS)
        S2: * 1 FETCH (FLAGS ())
        S2: b1 OK [HIGHESTMODSEQ ...] ...
        C2: b2 STORE 6 +FLAGS.SILENT (\\Seen)
        S2: * 6 FETCH (UID 6 MODSEQ (...))
        S2: b2 OK [HIGHESTMODSEQ ...] ...
        C2: b3 NOOP
        S2: * VANISHED 2:3
        S2: b3 OK [HIGHESTMODSEQ ...] ...
        C2: b4 EXPUNGE
        S2: * VANISHED 5
        S2: b4 OK [HIGHESTMODSEQ ...] Expunge completed
        C2: b5 STORE 1 +FLAGS.SILENT (\\Deleted)
        S2: * 1 FETCH (UID 1 MODSEQ (...))
        S2: b5 OK ...
        C2: b6 CLOSE
        S2: b6 OK Close completed
        """,
    )


async def test_qresync_highestmodseq_never_promises_too_much(house: House) -> None:
    """RFC 7162 3.2: while an expunge is held back, HIGHESTMODSEQ stays below its MODSEQ."""
    devices = await two(house, 3)
    client = devices["2"]
    await client.do("ENABLE QRESYNC")
    await devices["1"].do("STORE 1 +FLAGS.SILENT (\\Deleted)")
    await client.do("NOOP")
    before = (await inbox(house)).modseq
    await devices["1"].do("EXPUNGE")
    reply = await client.tagged("STORE 3 +FLAGS.SILENT (\\Seen)")
    assert reply.startswith("OK [HIGHESTMODSEQ")
    assert int(reply.split()[2].rstrip("]")) <= before
    reply = await client.tagged("NOOP")
    after = (await inbox(house)).modseq
    assert reply.startswith(f"OK [HIGHESTMODSEQ {after}]")


async def test_qresync_select(house: House) -> None:
    devices = await two(house, 6)
    client = devices["1"]
    info = await inbox(house)
    known = info.modseq
    await expunge(client, "2:3")
    await client.do("UID STORE 5 +FLAGS.SILENT (\\Flagged)")
    await arrives(house, 7)
    fresh = await house.login()
    assert (await fresh.tagged(f"SELECT INBOX (QRESYNC ({info.uidvalidity} {known}))")).startswith("BAD")
    await fresh.do("ENABLE QRESYNC")
    told = opened(5, info.uidvalidity, 8)
    await play(
        fresh,
        f"""
        C: a1 SELECT INBOX (QRESYNC ({info.uidvalidity} {known}))
        {told}
        S: * VANISHED (EARLIER) 2:3
        S: * 3 FETCH (UID 5 FLAGS (\\Flagged) MODSEQ (...))
        S: * 5 FETCH (UID 7 FLAGS () MODSEQ (...))
        S: a1 OK [READ-WRITE] ...
        C: a2 UID FETCH 1:* (FLAGS) (CHANGEDSINCE {known} VANISHED)
        S: * VANISHED (EARLIER) 2:3
        S: * 3 FETCH (UID 5 FLAGS (\\Flagged) MODSEQ (...))
        S: * 5 FETCH (UID 7 FLAGS () MODSEQ (...))
        S: a2 OK ...
        C: a3 SELECT INBOX (QRESYNC ({info.uidvalidity} {known} 1:2,5))
        S: * OK [CLOSED] ...
        {told}
        S: * VANISHED (EARLIER) 2
        S: * 3 FETCH (UID 5 FLAGS (\\Flagged) MODSEQ (...))
        S: a3 OK [READ-WRITE] ...
        C: a4 SELECT INBOX (QRESYNC ({info.uidvalidity} {known} 1:7 (1,3 1,5)))
        S: * OK [CLOSED] ...
        {told}
        S: * 3 FETCH (UID 5 FLAGS (\\Flagged) MODSEQ (...))
        S: * 5 FETCH (UID 7 FLAGS () MODSEQ (...))
        S: a4 OK [READ-WRITE] ...
        C: a5 SELECT INBOX (QRESYNC ({info.uidvalidity + 1} {known}))
        S: * OK [CLOSED] ...
        {told}
        S: a5 OK [READ-WRITE] ...
        C: a6 FETCH 1 FLAGS (CHANGEDSINCE 1 VANISHED)
        S: a6 BAD ...
        """,
    )


async def test_seen_by_reading_reaches_the_other_device(house: House) -> None:
    await play(
        await two(house, 2),
        """
        C2: b1 IDLE
        S2: + idling
        C1: a1 FETCH 2 BODY[TEXT]
        S1: * 2 FETCH (BODY[TEXT] {7}
        S1: Hello
        S1:  FLAGS (\\Seen))
        S1: a1 OK ...
        S2: * 2 FETCH (UID 2 FLAGS (\\Seen))
        """,
    )


async def test_seen_by_reading_when_another_was_quicker(house: House) -> None:
    r"""The other device's change is committed, but its hint has not come yet: the reader must hear of all flags."""
    devices = await two(house, 2)
    await devices["1"].do("STORE 2 +FLAGS.SILENT (\\Seen \\Flagged $new)")
    devices["2"].driver.session.news = False
    await play(
        devices,
        """
        C2: b1 FETCH 1:2 BODY[TEXT]
        S2: * FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft $new)
        S2: * 1 FETCH (BODY[TEXT] {7}
        S2: Hello
        S2:  FLAGS (\\Seen))
        S2: * 2 FETCH (BODY[TEXT] {7}
        S2: Hello
        S2:  FLAGS (\\Flagged \\Seen $new))
        S2: b1 OK ...
        C2: b2 NOOP
        S2: b2 OK ...
        """,
    )


async def test_append_is_seen_by_the_other_device(house: House) -> None:
    devices = await two(house, 0)
    data = message(1)
    await devices["2"].say("b1 IDLE")
    await devices["1"].feed(b"a1 APPEND INBOX {%d+}\r\n%b\r\n" % (len(data), data))
    await settle(devices["2"])
    assert devices["2"].hear() == b"* 1 EXISTS\r\n"


async def test_slow_reader_holds_up_only_itself(house: House) -> None:
    devices = await two(house, 1000)
    slow, quick = devices["1"], devices["2"]
    slow.link.choke = asyncio.Event()
    first = len(await slow.say("a1 FETCH 1:* (ENVELOPE)"))
    assert await quick.do("NOOP") == []
    assert slow.hear() == b""
    assert slow.driver._work is not None
    slow.link.choke.set()
    slow.link.choke = None
    await settle(slow)
    rest = slow.hear()
    assert rest.endswith(b"a1 OK Fetch completed\r\n")
    assert len(rest) > 2 * first > 0


async def test_saved_result_forgets_the_expunged(house: House) -> None:
    devices = await two(house, 4)
    await devices["1"].do("SEARCH RETURN (SAVE) UID 2:3")
    await expunge(devices["2"], "2")
    await devices["1"].do("NOOP")
    await play(
        devices["1"],
        """
        C: a1 FETCH $ (UID)
        S: * 2 FETCH (UID 3)
        S: a1 OK ...
        C: a2 SEARCH RETURN (SAVE) SUBJECT nothing
        S: a2 OK ...
        C: a3 FETCH $ (UID)
        S: a3 OK ...
        C: a4 COPY $ Archive
        S: a4 OK ...
        """,
    )


async def test_vanished_earlier_leaves_out_what_is_still_counted(house: House) -> None:
    devices = await two(house, 4)
    client = devices["2"]
    await client.do("ENABLE QRESYNC")
    known = (await inbox(house)).modseq
    await devices["1"].do("STORE 2 +FLAGS.SILENT (\\Deleted)")
    client.driver.session.news = False
    await devices["1"].do("EXPUNGE")
    client.driver.session.news = False  # the hint has not come yet
    await play(
        client,
        f"""
        C: a1 UID FETCH 1:* (UID) (CHANGEDSINCE {known} VANISHED)
        S: a1 OK ...
        C: a2 NOOP
        S: * VANISHED 2
        S: a2 OK ...
        """,
    )


async def test_copy_over_quota(house: House) -> None:
    account = await house.add_account("ben@example.org", quota=len(message(1)) * 3)
    await fill(account, "INBOX", 2)
    client = await house.selected("INBOX", "ben@example.org")
    assert (await client.tagged("COPY 1:2 Archive")).startswith("NO [OVERQUOTA]")
    assert (await client.tagged("MOVE 1:2 Archive")).startswith("OK")
    assert await client.do("STATUS Archive (MESSAGES)") == ['* STATUS "Archive" (MESSAGES 2)']


async def test_recent_is_the_first_session_s(house: House) -> None:
    """RFC 3501 2.3.2, 6.3.10, 7.3.2."""
    await fill(await ann(house), "INBOX", 1)
    await fill(await ann(house), "INBOX", 2, first=2, recent=True)
    one, two, three = [await house.login() for _ in range(3)]
    await three.do("ENABLE IMAP4rev2")
    assert await one.do("STATUS INBOX (RECENT)") == ['* STATUS "INBOX" (RECENT 2)']
    for _ in range(2):  # looking at it read-only changes nothing
        assert "* 2 RECENT" in await two.do("EXAMINE INBOX")
        assert await two.do("FETCH 2 FLAGS") == ["* 2 FETCH (FLAGS (\\Recent))"]
    assert "* 2 RECENT" in await one.do("SELECT INBOX")
    assert "* 0 RECENT" in await two.do("SELECT INBOX")
    assert await two.do("STATUS INBOX (RECENT)") == ['* STATUS "INBOX" (RECENT 0)']
    assert not [line for line in await three.do("SELECT INBOX") if "RECENT" in line]
    await fill(await ann(house), "INBOX", 1, first=4, recent=True)
    await play(
        {"1": one, "2": two, "3": three},
        """
        C1: a1 NOOP
        S1: * 4 EXISTS
        S1: * 3 RECENT
        S1: a1 OK ...
        C2: b1 NOOP
        S2: * 4 EXISTS
        S2: b1 OK ...
        C1: a2 SEARCH RECENT
        S1: * SEARCH 2 3 4
        S1: a2 OK ...
        C1: a3 STORE 3 FLAGS (\\Seen $x)
        S1: * FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft $x)
        S1: * 3 FETCH (UID 3 FLAGS (\\Seen \\Recent $x))
        S1: a3 OK ...
        C1: a4 SEARCH NEW
        S1: * SEARCH 2 4
        S1: a4 OK ...
        C1: a5 SEARCH OLD
        S1: * SEARCH 1
        S1: a5 OK ...
        C1: a6 FETCH 4 (FLAGS BODY[TEXT])
        S1: * 4 FETCH (FLAGS (\\Seen \\Recent) BODY[TEXT] {7}
        S1: Hello
        S1: )
        S1: a6 OK ...
        C2: b2 SEARCH RECENT
        S2: * FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft $x)
        S2: * 3 FETCH (UID 3 FLAGS (\\Seen $x))
        S2: * 4 FETCH (UID 4 FLAGS (\\Seen))
        S2: * SEARCH
        S2: b2 OK ...
        C2: b3 APPEND INBOX {1+}
        C2: x
        S2: * 5 EXISTS
        S2: * 1 RECENT
        S2: b3 OK ...
        C3: c1 FETCH 1:* FLAGS
        S3: * FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft $x)
        S3: * 5 EXISTS
        S3: * 3 FETCH (UID 3 FLAGS (\\Seen $x))
        S3: * 1 FETCH (FLAGS ())
        S3: * 2 FETCH (FLAGS ())
        S3: * 3 FETCH (FLAGS (\\Seen $x))
        S3: * 4 FETCH (FLAGS (\\Seen))
        S3: * 5 FETCH (FLAGS ())
        S3: c1 OK ...
        C1: a7 SELECT INBOX
        S1: * OK [CLOSED] ...
        S1: * FLAGS ...
        S1: * OK [PERMANENTFLAGS ...
        S1: * 5 EXISTS
        S1: * 0 RECENT
        S1: * OK [UNSEEN ...
        S1: * OK [UIDVALIDITY ...
        S1: * OK [UIDNEXT ...
        S1: * OK [HIGHESTMODSEQ ...
        S1: * OK [MAILBOXID (F...-...)] ...
        S1: a7 OK ...
        """,
    )
