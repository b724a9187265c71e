"""METADATA: annotations of mailboxes and of the server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from imap_house import House, play

from postroom.config import Imap
from postroom.mailbox import names
from postroom.mailbox.limits import MailboxLimits
from postroom.mailbox.places import Kind, Places
from postroom.mailbox.service import Account
from postroom.store.api import StoreUnavailable
from postroom.values import rights as right


async def test_set_get_remove(house: House) -> None:
    """RFC 5464 4.2 and 4.3."""
    await play(
        await house.login(),
        """
        C: a1 GETMETADATA INBOX /private/comment
        S: * METADATA "INBOX" (/private/comment NIL)
        S: a1 OK Getmetadata completed
        C: a2 SETMETADATA inbox (/private/comment "My own" /shared/comment "Ours")
        S: a2 OK Setmetadata completed
        C: a3 GETMETADATA "INBOX" (/shared/comment /Private/Comment /private/none)
        S: * METADATA "INBOX" (/shared/comment "Ours" /Private/Comment "My own" /private/none NIL)
        S: a3 OK ...
        C: a4 SETMETADATA INBOX (/PRIVATE/COMMENT NIL)
        S: a4 OK ...
        C: a5 GETMETADATA INBOX (/shared/comment /private/comment)
        S: * METADATA "INBOX" (/shared/comment "Ours" /private/comment NIL)
        S: a5 OK ...
        C: a6 SETMETADATA INBOX (/shared/vendor/kolab/color "f98a00")
        S: a6 OK ...
        C: a7 GETMETADATA Sent /shared/vendor/kolab/color
        S: * METADATA "Sent" (/shared/vendor/kolab/color NIL)
        S: a7 OK ...
        C: a8 GETMETADATA Nowhere /shared/comment
        S: a8 NO [NONEXISTENT] ...
        C: a9 SETMETADATA Nowhere (/shared/comment "x")
        S: a9 NO [NONEXISTENT] ...
        C: b1 GETMETADATA INBOX /comment
        S: b1 BAD ...
        C: b2 SETMETADATA INBOX (/shared/vendor/x "y")
        S: b2 BAD ...
        """,
    )


async def test_values_of_any_octets(house: House) -> None:
    client = await house.login()
    assert (await client.feed(b"a1 SETMETADATA INBOX (/private/comment ~{6}\r\n")) == b"+ OK\r\n"
    assert (await client.feed(b"\0\r\n\xff)x)\r\n")).startswith(b"a1 OK")
    heard = await client.say("a2 GETMETADATA INBOX /private/comment")
    assert heard.startswith(b'* METADATA "INBOX" (/private/comment ~{6}\r\n\0\r\n\xff)x)\r\na2 OK')


async def test_maxsize(house: House) -> None:
    """RFC 5464 4.2.1."""
    client = await house.login()
    await client.do(f'SETMETADATA INBOX (/shared/comment "{"x" * 200}" /private/comment "My own comment")')
    await play(
        client,
        """
        C: a1 GETMETADATA INBOX (MAXSIZE 20) (/shared/comment /private/comment)
        S: * METADATA "INBOX" (/private/comment "My own comment")
        S: a1 OK [METADATA LONGENTRIES 200] ...
        C: a2 GETMETADATA (MAXSIZE 5) INBOX (/shared/comment /private/comment)
        S: a2 OK [METADATA LONGENTRIES 200] ...
        C: a3 GETMETADATA (MAXSIZE 14) INBOX /private/comment
        S: * METADATA "INBOX" (/private/comment "My own comment")
        S: a3 OK Getmetadata completed
        """,
    )


async def test_depth(house: House) -> None:
    """RFC 5464 4.2.2."""
    client = await house.login()
    await client.do(
        'SETMETADATA INBOX (/private/f "0" /private/f/b "2" /private/f/A "1" /private/f/b/c "3" /private/fx "4")'
    )
    await play(
        client,
        """
        C: a1 GETMETADATA INBOX (DEPTH 0) /private/f
        S: * METADATA "INBOX" (/private/f "0")
        S: a1 OK ...
        C: a2 GETMETADATA INBOX (DEPTH 1) /private/f
        S: * METADATA "INBOX" (/private/f "0" /private/f/A "1" /private/f/b "2")
        S: a2 OK ...
        C: a3 GETMETADATA INBOX (DEPTH infinity) (/private/f/b /private/f)
        S: * METADATA "INBOX" (/private/f/b "2" /private/f/b/c "3" /private/f "0" /private/f/A "1")
        S: a3 OK ...
        C: a4 GETMETADATA (DEPTH 1) INBOX /private
        S: * METADATA "INBOX" (/private/f "0" /private/fx "4")
        S: a4 OK ...
        C: a5 GETMETADATA (DEPTH infinity) INBOX (/shared /shared/comment)
        S: * METADATA "INBOX" (/shared NIL /shared/comment NIL)
        S: a5 OK ...
        """,
    )


async def test_limits() -> None:
    """RFC 5464 4.3: MAXSIZE, TOOMANY; nothing changes when one of several fails."""
    house = House(limits_of_mailboxes=MailboxLimits(annotations=10, annotation_size=1024, annotation_storage=3000))
    await house.add_account("ann@example.org")
    client = await house.login()
    for number in range(10):
        await client.do(f'SETMETADATA INBOX (/private/n{number} "x")')
    assert (await client.tagged('SETMETADATA INBOX (/private/n0 "new" /private/more "x")')).startswith(
        "NO [METADATA TOOMANY]"
    )
    assert await client.do("GETMETADATA INBOX /private/n0") == ['* METADATA "INBOX" (/private/n0 "x")']
    await client.do('SETMETADATA INBOX (/shared/more "x" /private/n9 NIL /private/n10 "x")')
    await client.do('SETMETADATA Sent (/private/more "x")')
    too_long = (await client.feed(b"l1 SETMETADATA INBOX (/private/n0 {1025}\r\n")).decode()
    assert too_long.startswith("l1 NO [METADATA MAXSIZE 1024] ")
    quoted = await client.tagged(f'SETMETADATA INBOX (/private/n0 "{"x" * 1025}")')
    assert quoted.startswith("NO [METADATA MAXSIZE 1024] ")
    for name in ("a", "b"):
        await client.do(f'SETMETADATA Sent (/private/{name} "{"x" * 1024}")')
    assert (await client.tagged(f'SETMETADATA Sent (/private/c "{"x" * 1024}")')).startswith("NO [OVERQUOTA]")
    await client.do("SETMETADATA Sent (/private/a NIL)")


async def test_server_annotations(house: House) -> None:
    """RFC 5464 6.2: /shared/admin and /shared/comment are the administrator's; private ones are kept."""
    await play(
        await house.login(),
        """
        C: a1 GETMETADATA "" (/shared/admin /shared/comment)
        S: * METADATA "" (/shared/admin "mailto:postmaster@mail.example.org" /shared/comment NIL)
        S: a1 OK ...
        C: a2 SETMETADATA "" (/shared/comment "Mine now")
        S: a2 NO [NOPERM] ...
        C: a3 SETMETADATA "" (/private/vendor/x/theme "dark")
        S: a3 OK ...
        C: a4 GETMETADATA "" (DEPTH infinity) (/private /shared)
        S: * METADATA "" (/private/vendor/x/theme "dark" /shared/admin "mailto:postmaster@mail.example.org")
        S: a4 OK ...
        """,
    )
    house = House(options=Imap(admin="tel:+49-30-1234", comment="Grüße vom Amt"))
    await house.add_account("ben@example.org")
    client = await house.login("ben@example.org")
    heard = await client.say('a1 GETMETADATA "" (/shared/admin /shared/comment)')
    octets = "Grüße vom Amt".encode()
    assert heard.startswith(
        b'* METADATA "" (/shared/admin "tel:+49-30-1234" /shared/comment {%d}\r\n%b)\r\n' % (len(octets), octets)
    )


async def test_special_use_as_an_annotation(house: House) -> None:
    """RFC 6154 4."""
    await play(
        await house.login(),
        """
        C: a1 GETMETADATA Junk /private/specialuse
        S: * METADATA "Junk" (/private/specialuse "\\\\Junk")
        S: a1 OK ...
        C: a2 CREATE Spam
        S: a2 OK ...
        C: a3 SETMETADATA Spam (/private/specialuse "\\\\Junk")
        S: a3 NO [USEATTR] ...
        C: a4 SETMETADATA Junk (/private/specialuse NIL)
        S: a4 OK ...
        C: a5 SETMETADATA Spam (/private/specialuse "\\\\junk" /private/comment "here")
        S: a5 OK ...
        C: a6 LIST (SPECIAL-USE) "" "*J*" RETURN (SPECIAL-USE)
        S: a6 OK ...
        C: a7 LIST "" Spam
        S: * LIST (\\HasNoChildren \\Junk) "/" "Spam"
        S: a7 OK ...
        C: a8 SETMETADATA Spam (/private/specialuse "\\\\Frob")
        S: a8 NO [USEATTR] ...
        C: a9 SETMETADATA INBOX (/private/specialuse "\\\\Junk")
        S: a9 NO [CANNOT] ...
        C: b1 SETMETADATA Spam (/private/specialuse "\\\\Junk \\\\Trash" /private/comment "no")
        S: b1 NO [USEATTR] ...
        C: b2 GETMETADATA Spam (/private/specialuse /private/comment)
        S: * METADATA "Spam" (/private/specialuse "\\\\Junk" /private/comment "here")
        S: b2 OK ...
        """,
    )


async def test_they_follow_the_mailbox(house: House) -> None:
    """RFC 5464 4.1."""
    client = await house.login()
    for command in (
        "CREATE a",
        'SETMETADATA a (/shared/comment "here")',
        'SETMETADATA INBOX (/private/comment "in")',
        "RENAME a b",
        "RENAME INBOX old",
    ):
        await client.do(command)
    assert await client.do("GETMETADATA b /shared/comment") == ['* METADATA "b" (/shared/comment "here")']
    for name in ("INBOX", "old"):
        assert await client.do(f"GETMETADATA {name} /private/comment") == [
            f'* METADATA "{name}" (/private/comment "in")'
        ]
    await client.do("DELETE b")
    await client.do("CREATE b")
    assert await client.do("GETMETADATA b /shared/comment") == ['* METADATA "b" (/shared/comment NIL)']


async def test_list_metadata(house: House) -> None:
    """RFC 9590 3."""
    client = await house.login()
    for command in ('SETMETADATA Sent (/shared/vendor/x/color "red")', "CREATE a/b", "SUBSCRIBE a/b", "DELETE a/b"):
        await client.do(command)
    await play(
        client,
        """
        C: a1 LIST "" "Se*" RETURN (METADATA ("/shared/vendor/x/color" /private/comment) STATUS (MESSAGES))
        S: * LIST (\\HasNoChildren \\Sent) "/" "Sent"
        S: * STATUS "Sent" (MESSAGES 0)
        S: * METADATA "Sent" (/shared/vendor/x/color "red" /private/comment NIL)
        S: a1 OK List completed
        C: a2 LIST (SUBSCRIBED) "" "a/*" RETURN (METADATA (/shared/comment))
        S: * LIST (\\NonExistent \\HasNoChildren \\Subscribed) "/" "a/b"
        S: a2 OK List completed
        C: a3 LIST "" "Se*" RETURN (METADATA (MAXSIZE 2) (/shared/vendor/x/color))
        S: * LIST (\\HasNoChildren \\Sent) "/" "Sent"
        S: a3 OK List completed
        """,
    )


async def test_others_hear_of_changes(house: House) -> None:
    """RFC 5464 4.4.2: who enabled it, the names only, and not of one's own."""
    one, two, three = [await house.login() for _ in range(3)]
    await play(
        {"1": one, "2": two, "3": three},
        """
        C1: a1 SETMETADATA INBOX (/shared/before "1")
        S1: a1 OK ...
        C2: b1 ENABLE METADATA
        S2: * ENABLED METADATA
        S2: b1 OK ...
        C3: c1 ENABLE METADATA-SERVER
        S3: * ENABLED METADATA-SERVER
        S3: c1 OK ...
        C3: c2 IDLE
        S3: + idling
        C1: a2 SETMETADATA INBOX (/shared/comment "x" /private/comment "y")
        S3: * METADATA "INBOX" /shared/comment /private/comment
        S1: a2 OK ...
        C2: b2 NOOP
        S2: * METADATA "INBOX" /shared/comment /private/comment
        S2: b2 OK ...
        C2: b3 SETMETADATA "" (/private/vendor/x/y "z")
        S3: * METADATA "" /private/vendor/x/y
        S2: b3 OK ...
        C2: b4 SETMETADATA INBOX (/shared/comment NIL)
        S3: * METADATA "INBOX" /shared/comment
        S2: b4 OK ...
        C1: a3 CREATE Elsewhere
        S1: a3 OK ...
        C2: b5 NOOP
        S2: b5 OK ...
        C1: a4 NOOP
        S1: a4 OK ...
        """,
    )
    two.link.close()
    three.link.close()
    await one.do('SETMETADATA INBOX (/shared/comment "again")')


async def test_news_can_wait_for_the_store(house: House) -> None:
    one, two = await house.login(), await house.login()
    await two.do("ENABLE METADATA")
    await one.do('SETMETADATA INBOX (/shared/comment "x")')
    store = two.driver.session.me.store
    working = store.annotated

    async def broken(*_args: object) -> None:
        raise StoreUnavailable("disk")

    store.annotated = broken
    assert await two.do("NOOP") == []
    store.annotated = working
    assert await two.do("NOOP") == ['* METADATA "INBOX" /shared/comment']
    assert await two.do("NOOP") == []


class OneRealm:
    """Ben's account as Ann meets it, below Users/, with rights as given."""

    kind = Kind.OTHER
    prefix = "Users/"

    def __init__(self, account: Account, rights: int) -> None:
        self.account = account
        self.given = rights

    async def realm(self, name: str) -> Any:
        return _Realm(self) if name.startswith("Users/ben@example.org/") else None

    async def realms(self, _matches: names.Matcher) -> AsyncIterator[Any]:
        yield _Realm(self)


class _Realm:
    prefix = "Users/ben@example.org/"

    def __init__(self, namespace: OneRealm) -> None:
        self.account = namespace.account
        self._namespace = namespace

    async def rights(self, _mailbox: int) -> int:
        return self._namespace.given


async def test_mailboxes_of_others(house: House) -> None:
    """Private entries are each log-in's own; "l" and one of "r", "s", "w", "i", "p" are needed (RFC 5464 3.3)."""
    account = await house.add_account("ben@example.org")
    ben, ann = await house.login("ben@example.org"), await house.login()
    namespace = OneRealm(account, right.LOOKUP | right.POST)
    ann.driver.session.places = Places(ann.driver.session.me, [namespace])
    await ben.do('SETMETADATA INBOX (/private/comment "Ben" /shared/comment "both")')
    await ann.do('SETMETADATA Users/ben@example.org/INBOX (/private/comment "Ann" /shared/vendor/a/b "c")')
    await play(
        {"a": ann, "b": ben},
        """
        Ca: a1 GETMETADATA Users/ben@example.org/INBOX (DEPTH infinity) (/private /shared)
        Sa: * METADATA "Users/ben@...INBOX" (/private/comment "Ann" /shared/comment "both" /shared/vendor/a/b "c")
        Sa: a1 OK ...
        Cb: b1 GETMETADATA INBOX (DEPTH infinity) (/private /shared)
        Sb: * METADATA "INBOX" (/private/comment "Ben" /shared/comment "both" /shared/vendor/a/b "c")
        Sb: b1 OK ...
        Ca: a2 LIST "" "Users/ben@example.org/I*" RETURN (METADATA (/private/comment))
        Sa: * LIST (\\HasNoChildren) "/" "Users/ben@example.org/INBOX"
        Sa: * METADATA "Users/ben@example.org/INBOX" (/private/comment "Ann")
        Sa: a2 OK ...
        Ca: a3 GETMETADATA Users/ben@example.org/Junk /private/specialuse
        Sa: * METADATA "Users/ben@example.org/Junk" (/private/specialuse NIL)
        Sa: a3 OK ...
        Ca: a4 SETMETADATA Users/ben@example.org/Junk (/private/specialuse NIL)
        Sa: a4 NO [CANNOT] ...
        """,
    )
    namespace.given = right.LOOKUP | right.CREATE
    assert (await ann.tagged("GETMETADATA Users/ben@example.org/INBOX /shared/comment")).startswith("NO [NOPERM]")
    assert (await ann.tagged('SETMETADATA Users/ben@example.org/INBOX (/shared/comment "x")')).startswith("NO [NOPERM]")
    listed = await ann.do('LIST "" "Users/ben@example.org/I*" RETURN (METADATA (/shared/comment))')
    assert len(listed) == 1
    namespace.given = right.READ
    assert (await ann.tagged("GETMETADATA Users/ben@example.org/INBOX /shared/comment")).startswith("NO [NONEXISTENT]")


async def test_news_of_a_selected_mailbox_of_others(house: House) -> None:
    account = await house.add_account("ben@example.org")
    ben, ann = await house.login("ben@example.org"), await house.login()
    ann.driver.session.places = Places(ann.driver.session.me, [OneRealm(account, right.ALL)])
    await ann.do("ENABLE METADATA")
    await ann.do("SELECT Users/ben@example.org/Sent")
    for command in (
        'SETMETADATA Sent (/shared/comment "x" /private/comment "y")',
        'SETMETADATA Junk (/shared/comment "z")',
    ):
        await ben.do(command)
    assert await ann.do("NOOP") == ['* METADATA "Users/ben@example.org/Sent" /shared/comment']
    await ann.do('SETMETADATA Users/ben@example.org/Sent (/shared/comment "mine")')
    assert await ann.do("NOOP") == []
    await ann.do("UNSELECT")
    await ben.do('SETMETADATA Sent (/shared/comment "w")')
    assert await ann.do("NOOP") == []
