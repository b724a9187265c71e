r"""IMAPSIEVE: what is announced, who may name a script, and which commands are told of (RFC 6785)."""

from __future__ import annotations

import pytest
from imap_house import House, fill, message

from postroom.config import Imap, Limits
from postroom.mailbox.happenings import Happening, Happenings
from postroom.servers.imap.service import ImapService, Rooms
from postroom.store.api import StoreUnavailable

URL = "sieve://mail.example.org"


@pytest.fixture
async def told(house: House) -> list[tuple[str, int, str, tuple[int, ...], tuple[str, ...]]]:
    """What was noted: cause, mailbox, login's account, UIDs, flags."""
    found: list[tuple[str, int, str, tuple[int, ...], tuple[str, ...]]] = []

    async def tell(one: Happening) -> None:
        assert (one.account, one.script, one.site) == ("ann-example.org", "react", False)
        found.append((str(one.cause), one.mailbox, one.actor, one.uids, one.flags))

    house.mailboxes.happenings = Happenings(house.store.directory, tell, house.log)
    return found


async def test_announced_where_scripts_can_be_kept(house: House) -> None:
    """RFC 6785 2.1: after the log-in, with the URL of the ManageSieve server."""
    assert "IMAPSIEVE" not in (await (await house.login()).do("CAPABILITY"))[0]
    old = house.service
    rooms = Rooms(
        store=house.store, mailboxes=house.mailboxes, logins=old.logins, gate=house.gate, conduct=house.gate,
        clock=house.clock, log=house.log, sieve=URL, script="all",
    )  # fmt: skip
    house.service = ImapService(rooms, Limits(), "mail.example.org", Imap())
    client = house.connect()
    assert b"IMAPSIEVE" not in client.hear()
    await client.do("LOGIN ann@example.org secret")
    assert f"IMAPSIEVE={URL}" in (await client.do("CAPABILITY"))[0].split()
    assert await client.do('GETMETADATA "" /shared/imapsieve/script') == [
        '* METADATA "" (/shared/imapsieve/script "all")'
    ]


async def test_commands_that_are_told_of(house: House, told: list[tuple[object, ...]]) -> None:
    ann = await house.login()
    account = await house.mailboxes.open(await house.store.directory.account("ann-example.org"))
    await fill(account, "INBOX", 3)
    await ann.do('SETMETADATA Archive (/shared/imapsieve/script "react")')
    await ann.do('SETMETADATA INBOX (/private/imapsieve/script "react")')  # means nothing
    box = (await account.find("Archive")).id
    me = "ann-example.org"

    def heard() -> list[tuple[object, ...]]:
        now, told[:] = list(told), []
        return now

    await ann.do("SELECT INBOX")
    await ann.do("STORE 1 +FLAGS \\Flagged")
    assert heard() == []
    await ann.do("COPY 1:2 Archive")
    assert heard() == [("COPY", box, me, (1, 2), ())]
    await ann.do("MOVE 3 Archive")
    assert heard() == [("COPY", box, me, (3,), ())]
    text = message(9)
    literal = b"{%d+}\r\n%s" % (len(text), text)
    await ann.feed(b"p1 APPEND Archive (\\Flagged) %s %s\r\n" % (literal, literal))
    assert heard() == [("APPEND", box, me, (4, 5), ())]
    await ann.do("SELECT Archive")
    await ann.do("STORE 1:* FLAGS (\\Flagged done)")
    assert sorted(heard()) == [
        ("FLAG", box, me, (1, 4), ("done",)),
        ("FLAG", box, me, (2, 3, 5), ("\\Flagged", "done")),
    ]
    await ann.do("FETCH 2 BODY.PEEK[]")
    assert heard() == []
    await ann.do("FETCH 2 BODY[]")
    assert heard() == [("FLAG", box, me, (2,), ("\\Seen",))]
    await ann.feed(b"p2 REPLACE 1 Archive %s\r\n" % literal)
    assert heard() == [("APPEND", box, me, (6,), ())]
    await ann.do('SETMETADATA Archive (/shared/imapsieve/script "")')
    await ann.do("STORE 1 +FLAGS \\Answered")
    await ann.do("SETMETADATA Archive (/shared/imapsieve/script NIL)")
    await ann.do("STORE 1 -FLAGS \\Answered")
    assert heard() == []


async def test_other_peoples_mailboxes(house: House, told: list[tuple[object, ...]]) -> None:
    """The owner says which script; whoever has rights may cause it to be run."""
    await house.add_account("ben@example.org")
    ann = await house.login()
    await ann.do('SETMETADATA INBOX (/shared/imapsieve/script "react")')
    await ann.do("SETACL INBOX ben@example.org lrswi")
    ben = await house.login("ben@example.org")
    refused = await ben.tagged('SETMETADATA Users/ann@example.org/INBOX (/shared/imapsieve/script "other")')
    assert refused.startswith("NO [NOPERM]")
    assert (await ben.tagged('SETMETADATA Users/ann@example.org/INBOX (/shared/comment "hello")')).startswith("OK")
    text = message(1)
    await ben.feed(b"p1 APPEND Users/ann@example.org/INBOX {%d+}\r\n%s\r\n" % (len(text), text))
    assert [each[0:3:2] for each in told] == [("APPEND", "ben-example.org")]
    await ann.do("SETACL INBOX ben@example.org +a")
    allowed = await ben.tagged('SETMETADATA Users/ann@example.org/INBOX (/shared/imapsieve/script "react")')
    assert allowed.startswith("OK")
    assert told[0][0:3:2] == ("APPEND", "ben-example.org")


async def test_a_command_is_done_all_the_same(house: House, told: list[object]) -> None:
    ann = await house.login()
    await ann.do('SETMETADATA INBOX (/shared/imapsieve/script "react")')

    async def fails(_one: Happening) -> None:
        raise StoreUnavailable("the disk is full")

    house.mailboxes.happenings = Happenings(house.store.directory, fails, house.log)
    ann = await house.login()
    text = message(1)
    assert b"p1 OK" in await ann.feed(b"p1 APPEND INBOX {%d+}\r\n%s\r\n" % (len(text), text))
    assert [name for name, _ in house.events if name == "sieve.unheard"]
