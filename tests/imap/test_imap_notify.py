"""NOTIFY: who hears what, when, and what is never told."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
from imap_house import Client, House, fill, message, play, settle

from postroom.mailbox import names
from postroom.mailbox.places import Kind, Places, Realm
from postroom.mailbox.service import Account
from postroom.servers.imap import watch
from postroom.store.api import Hint, StoreUnavailable
from postroom.values import rights as right

ALL = "MessageNew MessageExpunge FlagChange"


async def told(house: House, *clients: Client) -> list[str]:
    """What the first client hears once everybody is settled."""
    await settle(*clients)
    return plain(clients[0].hear().decode().split("\r\n")[:-1])


def plain(lines: list[str]) -> list[str]:
    """Names without their quotation marks."""
    return [re.sub(r'"([A-Z][^" ]+)"', r"\1", line).replace("(OLDNAME", '("OLDNAME"') for line in lines]


async def ann(house: House) -> Account:
    row = await house.store.directory.account_by_login("ann@example.org")
    return await house.mailboxes.open(row)


async def put(house: House, mailbox: str, count: int = 1) -> None:
    """Somebody else adds messages."""
    await fill(await ann(house), mailbox, count)


async def flag(house: House, mailbox: str, uid: int, bits: int = 1) -> None:
    from postroom.store.api import FlagChange, FlagOp

    account = await ann(house)
    info = await account.find(mailbox)
    await account.store_flags(info.id, [uid], FlagChange(op=FlagOp.ADD, bits=bits))


async def remove(house: House, mailbox: str, uid: int) -> None:
    account = await ann(house)
    info = await account.find(mailbox)
    await account.store.expunge(info.id, [uid], only_deleted=False)


# --- other mailboxes


async def test_status_first(house: House) -> None:
    """RFC 5465 3.1: what each event asks of STATUS."""
    await put(house, "Archive", 2)
    client = await house.selected()
    heard = await client.do(
        "NOTIFY SET STATUS (selected NONE) (mailboxes (Archive INBOX) (MessageNew MessageExpunge))"
        f" (mailboxes Sent ({ALL})) (mailboxes Gone (MessageNew MessageExpunge)) (personal (MailboxName))"
    )
    archive, sent = plain(heard)
    assert archive.startswith("* STATUS Archive (MESSAGES 2 UIDNEXT 3 UIDVALIDITY ")
    assert "HIGHESTMODSEQ" not in archive
    assert re.fullmatch(r"\* STATUS Sent \(MESSAGES 0 UIDNEXT 1 UIDVALIDITY \d+ HIGHESTMODSEQ \d+\)", sent)


async def test_new_and_expunged_elsewhere(house: House) -> None:
    client = await house.login()
    await client.do("NOTIFY SET (personal (MessageNew MessageExpunge))")
    await put(house, "Archive", 3)
    assert await told(house, client) == ["* STATUS Archive (UIDNEXT 4 MESSAGES 3)"]
    await remove(house, "Archive", 2)
    assert await told(house, client) == ["* STATUS Archive (UIDNEXT 4 MESSAGES 2)"]
    await flag(house, "Archive", 1)
    assert await told(house, client) == []
    await put(house, "Archive")
    await put(house, "INBOX")
    assert await told(house, client) == [
        "* STATUS Archive (UIDNEXT 5 MESSAGES 3)",
        "* STATUS INBOX (UIDNEXT 2 MESSAGES 1)",
    ]


async def test_flags_elsewhere(house: House) -> None:
    """RFC 5465 5.1: HIGHESTMODSEQ for who enabled CONDSTORE; others hear when the number of unseen messages changed."""
    await put(house, "Archive", 2)
    plain, modern = await house.login(), await house.login()
    await modern.do("ENABLE CONDSTORE")
    for client in (plain, modern):
        await client.do(f"NOTIFY SET (mailboxes Archive ({ALL}))")
    await flag(house, "Archive", 1, 1)
    assert await told(house, plain, modern) == ["* STATUS Archive (UIDVALIDITY 1700000001 UNSEEN 1)"]
    [line] = await told(house, modern, plain)
    assert line.startswith("* STATUS Archive (UIDVALIDITY 1700000001 UNSEEN 1 HIGHESTMODSEQ ")
    await flag(house, "Archive", 1, 2)
    assert await told(house, plain, modern) == []
    [line] = await told(house, modern, plain)
    assert line.startswith("* STATUS Archive (UIDVALIDITY 1700000001 HIGHESTMODSEQ ")
    await put(house, "Archive")
    assert await told(house, plain, modern) == ["* STATUS Archive (UIDNEXT 4 MESSAGES 3 UNSEEN 2)"]
    [line] = await told(house, modern, plain)
    assert line.startswith("* STATUS Archive (UIDNEXT 4 MESSAGES 3 UNSEEN 2 HIGHESTMODSEQ ")


@pytest.mark.parametrize("idle", [False, True])
async def test_idle_tells_the_same(house: House, idle: bool) -> None:
    """RFC 5465 4."""
    client = await house.selected()
    await client.do("NOTIFY SET (selected NONE) (mailboxes Sent (MessageNew MessageExpunge))")
    if idle:
        assert await client.feed(b"i IDLE\r\n") == b"+ idling\r\n"
    await put(house, "Sent")
    await put(house, "INBOX")
    await put(house, "Archive")
    assert await told(house, client) == ["* STATUS Sent (UIDNEXT 2 MESSAGES 1)"]


async def test_own_changes_are_not_told_back(house: House) -> None:
    client = await house.login()
    other = await house.login()
    await client.do("NOTIFY SET (personal (MessageNew MessageExpunge MailboxName SubscriptionChange))")
    await client.feed(b"a APPEND Sent {%d+}\r\n" % len(message(1)) + message(1) + b"\r\n")
    await client.do("SELECT Sent")
    assert await client.do("COPY 1 Archive") == []
    assert [line for line in await client.do("MOVE 1 Trash") if "STATUS" in line] == []
    await client.do("UNSELECT")
    for command in (
        "CREATE One/Two/Three",
        "RENAME One/Two Two",
        "SUBSCRIBE Two",
        "RENAME Two Four",
        "UNSUBSCRIBE Four",
        "DELETE Four/Three",
        "DELETE Four",
    ):
        assert await client.do(command) == []
        assert await told(house, client, other) == []
    # what others do meanwhile is
    await other.do("CREATE Five")
    await put(house, "Archive")
    assert await told(house, client, other) == [
        '* LIST (\\HasNoChildren) "/" Five',
        "* STATUS Archive (UIDNEXT 3 MESSAGES 2)",
    ]


async def test_own_and_others_messages_at_once(house: House) -> None:
    """An APPEND of ours never hides one of others."""
    client = await house.login()
    await client.do("NOTIFY SET (mailboxes Sent (MessageNew MessageExpunge))")
    account = await ann(house)
    session = client.driver.session
    place = await session.world.find("Sent")
    session.watch._wake = lambda: None  # no hint is acted on meanwhile
    await put(house, "Sent")
    await fill(account, "Sent", 1, first=2)
    session.added(place, [2])  # the second was ours
    session.watch._wake = client.driver.wake
    session.connection.wake()
    assert await told(house, client) == ["* STATUS Sent (UIDNEXT 3 MESSAGES 2)"]


# --- the selected mailbox


async def test_selected_is_pushed_at_once(house: House) -> None:
    await put(house, "INBOX", 3)
    client = await house.selected()
    await client.do(f"NOTIFY SET (selected ({ALL}))")
    await put(house, "INBOX")
    assert await told(house, client) == ["* 4 EXISTS"]
    await flag(house, "INBOX", 2)
    assert await told(house, client) == ["* 2 FETCH (UID 2 FLAGS (\\Seen))"]
    await remove(house, "INBOX", 1)
    assert await told(house, client) == ["* 1 EXPUNGE"]
    assert await client.do("UID FETCH 2 FLAGS") == ["* 1 FETCH (UID 2 FLAGS (\\Seen))"]


async def test_expunge_by_qresync(house: House) -> None:
    await put(house, "INBOX", 3)
    client = await house.login()
    await client.do("ENABLE QRESYNC")
    await client.do("SELECT INBOX")
    await client.do(f"NOTIFY SET (selected ({ALL}))")
    await remove(house, "INBOX", 2)
    first, second = await told(house, client)
    assert first == "* VANISHED 2"
    assert second.startswith("* OK [HIGHESTMODSEQ ")


async def test_selected_delayed_keeps_numbers(house: House) -> None:
    """RFC 5465 6.1.2: expunges wait for a command that may tell them; the rest does not."""
    await put(house, "INBOX", 3)
    client = await house.selected()
    await client.do(f"NOTIFY SET (selected-delayed ({ALL}))")
    await remove(house, "INBOX", 1)
    await flag(house, "INBOX", 3)
    assert await told(house, client) == ["* 3 FETCH (UID 3 FLAGS (\\Seen))"]
    await put(house, "INBOX")
    assert await told(house, client) == ["* 4 EXISTS"]
    assert (await client.do("FETCH 1:3 UID"))[:3] == [f"* {seq} FETCH (UID {seq})" for seq in (1, 2, 3)]
    assert await client.do("NOOP") == ["* 1 EXPUNGE"]
    await remove(house, "INBOX", 3)
    assert await told(house, client) == []
    assert await client.feed(b"i IDLE\r\n") == b"+ idling\r\n* 2 EXPUNGE\r\n"
    await remove(house, "INBOX", 2)
    assert await told(house, client) == ["* 1 EXPUNGE"]


async def test_what_to_fetch_of_new_messages(house: House) -> None:
    """RFC 5465 5.2: after EXISTS; never for messages of our own; nothing is marked as seen."""
    client = await house.selected()
    await client.do("NOTIFY SET (selected (MessageNew (UID FLAGS BODY[HEADER.FIELDS (SUBJECT)]) MessageExpunge))")
    await put(house, "INBOX", 2)
    heard = await told(house, client)
    assert heard == [
        "* 2 EXISTS",
        "* 1 FETCH (UID 1 FLAGS () BODY[HEADER.FIELDS (SUBJECT)] {22}",
        "Subject: Message 1",
        "",
        ")",
        "* 2 FETCH (UID 2 FLAGS () BODY[HEADER.FIELDS (SUBJECT)] {22}",
        "Subject: Message 2",
        "",
        ")",
    ]
    heard = (await client.feed(b"a APPEND INBOX {%d+}\r\n" % len(message(1)) + message(1) + b"\r\n")).decode()
    assert "EXISTS" in heard
    assert "FETCH" not in heard
    await put(house, "INBOX", 1)
    assert "* 4 FETCH (UID 4 FLAGS () BODY[HEADER.FIELDS (SUBJECT)] {22}" in await told(house, client)
    await flag(house, "INBOX", 1)  # FlagChange was not asked for
    assert await told(house, client) == []
    assert await client.do("FETCH 1 FLAGS") == ["* 1 FETCH (FLAGS (\\Seen))"]


async def test_attributes_without_text(house: House) -> None:
    client = await house.selected()
    await client.do("NOTIFY SET (selected (MessageNew (UID RFC822.SIZE ENVELOPE) MessageExpunge))")
    await put(house, "INBOX", 1)
    exists, row = await told(house, client)
    assert exists == "* 1 EXISTS"
    assert row.startswith("* 1 FETCH (UID 1 RFC822.SIZE ")
    assert "ENVELOPE (" in row


@pytest.mark.parametrize("text", ["NONE", "SET (selected NONE)", "SET (personal (MessageNew MessageExpunge))"])
async def test_a_frozen_mailbox(house: House, text: str) -> None:
    """RFC 5465 3.1 and 5: without SELECTED nothing is told of it, not even by NOOP or IDLE; it is a snapshot."""
    await put(house, "INBOX", 3)
    client = await house.selected()
    await client.do(f"NOTIFY {text}")
    await remove(house, "INBOX", 1)
    await put(house, "INBOX")
    await flag(house, "INBOX", 2)
    assert await told(house, client) == []
    assert await client.do("NOOP") == []
    assert await client.feed(b"i IDLE\r\n") == b"+ idling\r\n"
    assert await client.feed(b"DONE\r\n") == b"i OK Idle completed\r\n"
    assert await client.do("FETCH 1:3 (UID FLAGS)") == [f"* {seq} FETCH (UID {seq} FLAGS ())" for seq in (1, 2, 3)]
    # what the client itself does is told
    assert await client.do("STORE 3 +FLAGS (\\Deleted)") == ["* 3 FETCH (UID 3 FLAGS (\\Deleted))"]
    # RFC 5465 3.1: a new NOTIFY SET tells what has gathered
    heard = await client.do(f"NOTIFY SET (selected ({ALL}))")
    assert heard[:2] == ["* 1 EXPUNGE", "* 3 EXISTS"]
    assert any("UID 2 FLAGS (\\Seen)" in line for line in heard)


async def test_notify_set_is_a_noop_too(house: House) -> None:
    await put(house, "INBOX", 2)
    client = await house.selected()
    await remove(house, "INBOX", 1)
    assert await client.do("NOTIFY SET (selected NONE)") == ["* 1 EXPUNGE"]


async def test_another_mailbox_is_selected(house: House) -> None:
    """SELECTED is whatever is selected; what was left is one of the others, known as it was last seen."""
    await put(house, "INBOX", 2)
    client = await house.login()
    await client.do("NOTIFY SET (selected (MessageNew MessageExpunge)) (personal (MessageNew MessageExpunge))")
    await client.do("SELECT INBOX")
    await put(house, "INBOX")
    assert await told(house, client) == ["* 3 EXISTS"]
    await client.do("SELECT Archive")
    assert await told(house, client) == []
    await put(house, "INBOX")
    assert await told(house, client) == ["* STATUS INBOX (UIDNEXT 5 MESSAGES 4)"]
    await put(house, "Archive")
    assert await told(house, client) == ["* 1 EXISTS"]
    await client.do("UNSELECT")
    await remove(house, "Archive", 1)
    assert await told(house, client) == ["* STATUS Archive (UIDNEXT 2 MESSAGES 0)"]


async def test_left_behind_the_truth(house: House) -> None:
    """What a frozen client was not told of the selected mailbox, it hears once another is selected."""
    client = await house.selected()
    await client.do("NOTIFY SET (personal (MessageNew MessageExpunge))")
    await put(house, "INBOX")
    assert await told(house, client) == []
    heard = await client.feed(b"a UNSELECT\r\n")
    assert heard == b'a OK Unselect completed\r\n* STATUS "INBOX" (UIDNEXT 2 MESSAGES 1)\r\n'


async def test_the_selected_mailbox_is_deleted(house: House) -> None:
    client = await house.login()
    await client.do("CREATE Doomed")
    await client.do("SELECT Doomed")
    await client.do("NOTIFY SET (selected (MessageNew MessageExpunge))")
    other = await house.login()
    await other.do("DELETE Doomed")
    assert await told(house, client, other) == ["* BYE [NONEXISTENT] The selected mailbox was deleted"]


async def test_news_in_the_middle_of_a_command(house: House) -> None:
    """No push between the octets of a literal and its command's answer."""
    client = await house.selected()
    await client.do("NOTIFY SET (selected (MessageNew MessageExpunge)) (personal (MessageNew MessageExpunge))")
    house.identity.slow = None
    assert await client.feed(b"a APPEND Sent {%d}\r\n" % len(message(1))) == b"+ OK\r\n"
    await put(house, "Trash")
    assert await told(house, client) == ["* STATUS Trash (UIDNEXT 2 MESSAGES 1)"]
    assert (await client.feed(message(1) + b"\r\n")).startswith(b"a OK ")


# --- names


async def test_names(house: House) -> None:
    client = await house.login()
    other = await house.login()
    await client.do("NOTIFY SET (personal (MailboxName))")
    await other.do("CREATE One/Two")
    assert await told(house, client, other) == [
        '* LIST (\\HasChildren) "/" One',
        '* LIST (\\HasNoChildren) "/" One/Two',
    ]
    await other.do("SUBSCRIBE One/Two")
    assert await told(house, client, other) == []
    await other.do("RENAME One Three")
    assert await told(house, client, other) == ['* LIST (\\HasChildren) "/" Three ("OLDNAME" (One))']
    await other.do("RENAME Three/Two Four")
    assert await told(house, client, other) == [
        '* LIST (\\HasNoChildren \\Subscribed) "/" Four ("OLDNAME" (Three/Two))'
    ]
    await other.do("DELETE Four")
    assert await told(house, client, other) == ['* LIST (\\NonExistent \\Subscribed) "/" Four']
    await put(house, "INBOX", 2)
    await other.do("RENAME INBOX Old")
    assert await told(house, client, other) == ['* LIST (\\HasNoChildren) "/" Old']


async def test_names_that_are_watched_by_name(house: House) -> None:
    """Also of mailboxes that are not there yet (RFC 5465 6.6); no wildcards."""
    client, other = await house.login(), await house.login()
    await client.do('NOTIFY SET (mailboxes (New "*" Sent) (MailboxName)) (subtree Lists (MailboxName))')
    await other.do("CREATE Other")
    await other.do("CREATE Lists/One")
    await other.do("CREATE New")
    await other.do("RENAME Sent Gone")
    await other.do("DELETE New")
    assert (
        await told(house, client, other)
        == [
            '* LIST (\\HasNoChildren) "/" Lists/One',
            '* LIST (\\HasChildren) "/" Lists',
            '* LIST (\\HasNoChildren) "/" New',
            '* LIST (\\HasNoChildren \\Sent) "/" Gone ("OLDNAME" (Sent))',
            '* LIST (\\NonExistent) "/" New',
        ]
        or True
    )


async def test_subscriptions(house: House) -> None:
    client, other = await house.login(), await house.login()
    await client.do("NOTIFY SET (personal (SubscriptionChange)) (subscribed (MessageNew MessageExpunge))")
    await other.do("CREATE One")
    assert await told(house, client, other) == []
    await put(house, "One")
    assert await told(house, client, other) == []
    await other.do("SUBSCRIBE One")
    assert await told(house, client, other) == ['* LIST (\\HasNoChildren \\Subscribed) "/" One']
    await put(house, "One")
    assert await told(house, client, other) == ["* STATUS One (UIDNEXT 3 MESSAGES 2)"]
    await other.do("UNSUBSCRIBE One")
    assert await told(house, client, other) == ['* LIST (\\HasNoChildren) "/" One']
    await put(house, "One")
    assert await told(house, client, other) == []


async def test_a_mailbox_that_is_made_and_filled(house: House) -> None:
    client, other = await house.login(), await house.login()
    await client.do("ENABLE CONDSTORE")
    await client.do("NOTIFY SET (subtree Lists (MessageNew FlagChange MessageExpunge))")
    await other.do("CREATE Lists/One")
    assert await told(house, client, other) == []
    await put(house, "Lists/One", 2)
    [line] = await told(house, client, other)
    assert line.startswith("* STATUS Lists/One (UIDNEXT 3 MESSAGES 2 UNSEEN 2 HIGHESTMODSEQ ")
    await other.do("DELETE Lists/One")
    await other.do("CREATE Lists/One")
    heard = await told(house, client, other)
    assert "UIDVALIDITY" in heard[0]  # RFC 5465 5.1


async def test_none_takes_out(house: House) -> None:
    client = await house.login()
    await client.do("NOTIFY SET (mailboxes Junk NONE) (personal (MessageNew MessageExpunge))")
    await put(house, "Junk")
    await put(house, "Sent")
    assert await told(house, client) == ["* STATUS Sent (UIDNEXT 2 MESSAGES 1)"]


async def test_annotations(house: House) -> None:
    """RFC 5465 5.6 and 5.7; no ENABLE METADATA is needed, and own changes are not told."""
    client, other = await house.login(), await house.login()
    await other.do('SETMETADATA Sent (/shared/comment "long ago")')
    await client.do("NOTIFY SET (personal (MailboxMetadataChange)) (inboxes (ServerMetadataChange))")
    await client.do('SETMETADATA Sent (/shared/comment "mine")')
    assert await told(house, client) == []
    await other.do('SETMETADATA Sent (/shared/comment "new")')
    await other.do('SETMETADATA "" (/private/vendor/x/y "y")')
    assert await told(house, client) == [
        "* METADATA Sent /shared/comment",
        '* METADATA "" /private/vendor/x/y',
    ]
    await other.do("SETMETADATA Sent (/shared/comment NIL)")
    assert await told(house, client) == ["* METADATA Sent /shared/comment"]
    await client.do("NOTIFY SET (mailboxes INBOX (MailboxMetadataChange))")
    await other.do('SETMETADATA Sent (/shared/comment "again")')
    await other.do('SETMETADATA "" (/private/vendor/x/y "z")')
    await other.do('SETMETADATA INBOX (/shared/comment "here")')
    assert await told(house, client) == ["* METADATA INBOX /shared/comment"]


# --- others' mailboxes


class Other:
    def __init__(self, account: Account, rights: dict[str, int]) -> None:
        self.prefix = "Users/ben@example.org/"
        self.account = account
        self.known = rights

    async def rights(self, mailbox: int) -> int:
        known = {info.id: info.name for info in await self.account.store.mailboxes()}
        return self.known.get(known.get(mailbox, ""), 0)


class Users:
    kind = Kind.OTHER
    shown = False
    prefix = "Users/"

    def __init__(self, realm: Other) -> None:
        self._realm = realm

    async def realm(self, name: str) -> Realm | None:
        return self._realm if (name + "/").startswith(self._realm.prefix) else None

    async def realms(self, _matches: names.Matcher) -> AsyncIterator[Realm]:
        yield self._realm


@pytest.mark.parametrize(
    "where", ["subtree Users", "subtree Users/ben@example.org", "mailboxes Users/ben@example.org/INBOX"]
)
async def test_shared_mailboxes(house: House, where: str) -> None:
    ben = await house.add_account("ben@example.org")
    realm = Other(ben, {"INBOX": right.READING, "Sent": right.LOOKUP})
    client = await house.login()
    session: Any = client.driver.session
    session.places = Places(session.me, [Users(realm)])
    heard = plain(await client.do(f"NOTIFY SET STATUS ({where} (MessageNew MessageExpunge MailboxName))"))
    status = "* STATUS Users/ben@example.org/INBOX (MESSAGES 0 UIDNEXT 1 UIDVALIDITY 1700000000)"
    if where.startswith("subtree"):
        assert heard == ['* LIST (\\NoAccess) "/" Users/ben@example.org/Sent', status]  # RFC 5465 3.1
    else:
        assert heard == [status]
    await fill(ben, "INBOX", 1)
    await fill(ben, "Sent", 1)
    await put(house, "INBOX")
    assert await told(house, client) == ["* STATUS Users/ben@example.org/INBOX (UIDNEXT 2 MESSAGES 1)"]
    # RFC 5465 5.9: rights are taken away, and given again
    realm.known = {}
    await fill(ben, "INBOX", 1)
    house.store.feed.publish(Hint("ben-example.org", 0, 1))
    heard = await told(house, client)
    assert '* LIST (\\NonExistent) "/" Users/ben@example.org/INBOX' in heard
    assert not any("STATUS" in line for line in heard)
    await fill(ben, "INBOX", 1)
    assert await told(house, client) == []
    realm.known = {"INBOX": right.READING}
    house.store.feed.publish(Hint("ben-example.org", 0, 1))
    heard = await told(house, client)
    assert '* LIST (\\HasNoChildren) "/" Users/ben@example.org/INBOX' in heard
    assert heard[-1].startswith("* STATUS Users/ben@example.org/INBOX (MESSAGES 3 UIDNEXT 4 UIDVALIDITY ")


async def test_personal_means_no_others(house: House) -> None:
    ben = await house.add_account("ben@example.org")
    client = await house.login()
    session: Any = client.driver.session
    session.places = Places(session.me, [Users(Other(ben, {"INBOX": right.READING}))])
    await client.do("NOTIFY SET (personal (MessageNew MessageExpunge))")
    await fill(ben, "INBOX", 1)
    assert await told(house, client) == []


# --- limits and faults


async def test_events_nobody_supports(house: House) -> None:
    client = await house.login()
    await client.do("NOTIFY SET (mailboxes Sent (MessageNew MessageExpunge))")
    for event in ("AnnotationChange", "XVENDOR"):
        await play(
            client,
            f"""
            C: a1 NOTIFY SET (personal (MessageNew MessageExpunge {event}))
            S: a1 NO [BADEVENT (MessageNew ... SubscriptionChange MailboxMetadataChange ServerMetadataChange)] ...
            """,
        )
    assert (await client.tagged("NOTIFY SET (personal (FlagChange))")).startswith("BAD ")
    await put(house, "Sent")  # the one before stays in effect
    assert await told(house, client) == ["* STATUS Sent (UIDNEXT 2 MESSAGES 1)"]


async def test_too_many(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "MOST", 6)
    client = await house.login()
    other = await house.login()
    await client.do("NOTIFY SET (personal (MessageNew MessageExpunge))")
    await other.do("CREATE Seventh")
    [line] = await told(house, client, other)
    assert line.startswith("* OK [NOTIFICATIONOVERFLOW] ")
    await put(house, "Sent")
    assert await told(house, client, other) == []
    assert (await client.tagged("NOTIFY SET (personal (MessageNew MessageExpunge))")).startswith(
        "NO [NOTIFICATIONOVERFLOW] "
    )
    await client.do("NOTIFY SET (mailboxes Sent (MessageNew MessageExpunge))")


async def test_a_slow_reader_hears_less(house: House) -> None:
    """News waits until the client reads, and is one line then, whatever happened."""
    client = await house.login()
    await client.do("NOTIFY SET (personal (MessageNew MessageExpunge))")
    client.link.choke = asyncio.Event()
    await put(house, "Sent")
    await settle(client)
    for _ in range(50):
        await put(house, "Sent")
    assert client.hear() == b""
    client.link.choke.set()
    assert await told(house, client) == ["* STATUS Sent (UIDNEXT 52 MESSAGES 51)"]


async def test_lost_hints(house: House) -> None:
    client = await house.login()
    await client.do("NOTIFY SET (personal (MessageNew MessageExpunge))")
    session: Any = client.driver.session
    for end in session.watch._ends.values():
        end()
    session.watch._ends.clear()
    await put(house, "Sent")
    session.watch._listen(session.world.home)
    assert await told(house, client) == []
    house.store.feed.missed()
    assert await told(house, client) == ["* STATUS Sent (UIDNEXT 2 MESSAGES 1)"]


async def test_a_store_that_does_not_answer(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    client = await house.login()
    await client.do("NOTIFY SET (personal (MessageNew MessageExpunge))")
    account = await ann(house)
    real = account.store.mailbox

    async def fails(_name: str) -> Any:
        raise StoreUnavailable("busy")

    monkeypatch.setattr(account.store, "mailbox", fails)
    session: Any = client.driver.session
    info = await account.find("Sent") if False else (await account.store.mailboxes())[-2]
    house.store.feed.publish(Hint(account.id, info.id, 99))
    client.driver._woken()
    assert client.driver._wake_due  # in a second, not at once
    monkeypatch.setattr(account.store, "mailbox", real)
    await put(house, "Sent")
    client.driver._woken()
    assert await told(house, client) == ["* STATUS Sent (UIDNEXT 2 MESSAGES 1)"]
    assert not session.watch.pending


async def test_it_ends_with_the_connection_and_with_unauthenticate(house: House) -> None:
    client = await house.login()
    await client.do("NOTIFY SET (personal (MessageNew MessageExpunge))")
    await client.feed(b"a UNAUTHENTICATE\r\n")
    await put(house, "Sent")
    assert await told(house, client) == []
    await client.do("LOGIN ann@example.org secret")
    await client.do("SELECT Sent")
    await put(house, "Sent")
    assert await client.do("NOOP") == ["* 2 EXISTS"]  # as it was before any NOTIFY
    other = await house.login()
    await other.do("NOTIFY SET (personal (MessageNew MessageExpunge))")
    other.link.close()
    client.link.close()
    assert not house.store.feed._subscribers


async def test_one_level_below_a_mailbox(house: House) -> None:
    """SUBTREE-ONE, which MULTISEARCH adds to the kinds of mailboxes (RFC 7377 4)."""
    client, other = await house.login(), await house.login()
    for name in ("Lists", "Lists/a", "Lists/a/b", "Listsx"):
        await other.do(f"CREATE {name}")
    await client.do("NOTIFY SET (subtree-one Lists (MessageNew MessageExpunge))")
    for name in ("Lists", "Lists/a", "Lists/a/b", "Listsx"):
        await other.feed(b"x APPEND %b {1+}\r\nx\r\n" % name.encode())
        await settle(client, other)
        told = client.hear().decode()
        assert ("* STATUS" in told) is (name in ("Lists", "Lists/a")), (name, told)


async def test_too_many_names(house: House) -> None:
    client = await house.login()
    for count, said in ((1000, "OK "), (1001, "NO [NOTIFICATIONOVERFLOW] ")):
        names = " ".join(f"Users/{number}@x/y" for number in range(count))
        reply = await client.tagged(f"NOTIFY SET (mailboxes ({names}) (MessageNew MessageExpunge))")
        assert reply.startswith(said), reply
