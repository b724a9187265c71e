"""REPLACE and CATENATE."""

from __future__ import annotations

from typing import Any

import pytest
from imap_house import House, fill, message, settle

from postroom.mailbox.service import Account
from postroom.store.api import FlagChange, FlagOp

NEW = b"Subject: new\r\n\r\nthe new one\r\n"


async def ann(house: House) -> Account:
    row = await house.store.directory.account_by_login("ann@example.org")
    return await house.mailboxes.open(row)


async def texts(house: House, mailbox: str) -> list[bytes]:
    account = await ann(house)
    snapshot = await account.snapshot((await account.find(mailbox)).id)
    return [(await account.store.content(number)).read() for page in snapshot.pages for number in page.messages]


def literal(data: bytes) -> bytes:
    return b"{%d+}\r\n" % len(data) + data


async def test_replace_in_the_same_mailbox(house: House) -> None:
    """RFC 8508 3.2 and 4.3: APPENDUID comes first."""
    await fill(await ann(house), "Drafts", 3)
    client = await house.selected("Drafts")
    heard = await client.feed(b"a REPLACE 2 Drafts (\\Seen \\Draft) " + literal(NEW) + b"\r\n")
    first, *rest = heard.decode().split("\r\n")
    assert first.startswith("* OK [APPENDUID ")
    assert first.endswith(" 4] Replacement message added")
    assert rest == ["* 2 EXPUNGE", "* 3 EXISTS", "* 1 RECENT", "a OK Replace completed", ""]
    assert await client.do("FETCH 1:* (UID FLAGS)") == [
        "* 1 FETCH (UID 1 FLAGS ())",
        "* 2 FETCH (UID 3 FLAGS ())",
        "* 3 FETCH (UID 4 FLAGS (\\Seen \\Draft \\Recent))",
    ]
    assert (await texts(house, "Drafts"))[2] == NEW


async def test_uid_replace_into_another_mailbox(house: House) -> None:
    await fill(await ann(house), "Drafts", 2)
    client = await house.login()
    await client.do("ENABLE QRESYNC")
    await client.do("SELECT Drafts")
    heard = (await client.feed(b"a UID REPLACE 2 Sent " + literal(NEW) + b"\r\n")).decode()
    assert "* VANISHED 2\r\n" in heard
    assert "a OK [HIGHESTMODSEQ " in heard
    assert await texts(house, "Sent") == [NEW]
    assert await client.do("UID SEARCH ALL") == ["* SEARCH 1"]


async def test_other_clients_see_one_change(house: House) -> None:
    await fill(await ann(house), "Drafts", 2)
    client, other = await house.selected("Drafts"), await house.selected("Drafts")
    await other.feed(b"i IDLE\r\n")
    await client.feed(b"a REPLACE 1 Drafts " + literal(NEW) + b"\r\n")
    await settle(other)
    assert other.hear() == b"* 1 EXPUNGE\r\n* 2 EXISTS\r\n"


async def test_refused_before_the_octets(house: House) -> None:
    await fill(await ann(house), "Drafts", 2)
    client = await house.login()
    assert await client.tagged("REPLACE 1 Drafts {3}") == "BAD REPLACE: select a mailbox first"
    await client.do("SELECT Drafts")
    for command, reply in (
        ("REPLACE 3 Drafts {3}", "BAD There are 2 messages"),
        ("UID REPLACE 7 Drafts {3}", "NO There is no such message"),
        ("UID REPLACE 1 Nowhere {3}", "NO [TRYCREATE] "),
        ("UID REPLACE 1 Drafts {99999999}", "NO [TOOBIG] "),
    ):
        assert (await client.tagged(command)).startswith(reply)
    await client.do("EXAMINE Drafts")
    assert (await client.tagged("REPLACE 1 Drafts {3}")).startswith("NO [READ-ONLY] ")
    assert await client.do("FETCH 1:* UID") == ["* 1 FETCH (UID 1)", "* 2 FETCH (UID 2)"]


async def test_a_message_that_is_gone(house: House) -> None:
    """Somebody else was quicker: nothing is added."""
    await fill(await ann(house), "Drafts", 2)
    client = await house.selected("Drafts")
    account = await ann(house)
    info = await account.find("Drafts")
    await account.store.expunge(info.id, [1], only_deleted=False)
    heard = await client.feed(b"a UID REPLACE 1 Drafts " + literal(NEW) + b"\r\n")
    assert heard == b"* 1 EXPUNGE\r\na NO [EXPUNGEISSUED] The message is not there any more; nothing was changed\r\n"
    assert len(await texts(house, "Drafts")) == 1


async def test_only_the_net_counts(house: House) -> None:
    """RFC 8508 3.4: no room for one more, but for another one."""
    account = await house.add_account("ben@example.org", quota=300, quota_messages=1)
    await fill(account, "Drafts", 1)
    client = await house.selected("Drafts", "ben@example.org")
    assert (await client.tagged("APPEND Drafts {20}")).startswith("NO [OVERQUOTA] ")
    assert b"a OK Replace" in await client.feed(b"a REPLACE 1 Drafts " + literal(NEW) + b"\r\n")
    assert (await client.tagged("REPLACE 1 Drafts {301}")).startswith("NO [OVERQUOTA] ")


# --- CATENATE

MULTIPART = (
    b"Subject: two parts\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    b"--b\r\nContent-Type: text/plain\r\n\r\nHello\r\n--b\r\nContent-Type: application/zip\r\n\r\nZIP\r\n--b--\r\n"
)


async def test_catenate_by_example(house: House) -> None:
    """RFC 4469, example 1: another attachment in a draft."""
    client = await house.login()
    await client.feed(b"a APPEND Drafts " + literal(MULTIPART) + b"\r\n")
    await client.feed(b"b APPEND Drafts " + literal(b"Subject: x\r\n\r\nnew attachment") + b"\r\n")
    heard = await client.feed(
        b'c APPEND Drafts (\\Seen) CATENATE (URL "/Drafts/;UID=1/;section=HEADER" TEXT '
        + literal(b"--b\r\n")
        + b' URL "/Drafts/;UID=1/;section=1.MIME" URL "/Drafts/;UID=1/;section=1" TEXT '
        + literal(b"\r\n--b\r\n\r\n")
        + b' URL "/Drafts/;UID=2/;section=TEXT" TEXT '
        + literal(b"\r\n--b--\r\n")
        + b")\r\n"
    )
    assert heard.startswith(b"c OK [APPENDUID ")
    assert (await texts(house, "Drafts"))[2] == (
        b"Subject: two parts\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
        b"--b\r\nContent-Type: text/plain\r\n\r\nHello\r\n--b\r\n\r\nnew attachment\r\n--b--\r\n"
    )
    await client.do("SELECT Drafts")
    assert await client.do("SEARCH SEEN") == ["* SEARCH 3"]  # nothing else was marked


async def test_catenate_of_urls_alone(house: House) -> None:
    client = await house.login()
    await client.feed(b"a APPEND INBOX " + literal(MULTIPART) + b"\r\n")
    heard = await client.say('b APPEND Drafts CATENATE (URL "/INBOX/;UID=1") CATENATE (URL "/INBOX/;UID=1/;SECTION=1")')
    assert b"b OK [APPENDUID " in heard
    assert await texts(house, "Drafts") == [MULTIPART, b"Hello"]


async def test_replace_with_catenate(house: House) -> None:
    """RFC 8508 4.2."""
    client = await house.login()
    await client.feed(b"a APPEND Drafts " + literal(MULTIPART) + b"\r\n")
    await client.do("SELECT Drafts")
    heard = await client.feed(
        b"b UID REPLACE 1 Drafts CATENATE (TEXT " + literal(b"To: ben@example.org\r\n") + b' URL ";UID=1")\r\n'
    )
    assert heard.endswith(b"b OK Replace completed\r\n")
    assert await texts(house, "Drafts") == [b"To: ben@example.org\r\n" + MULTIPART]


@pytest.mark.parametrize(
    "url",
    [
        "/INBOX/;UID=2",
        "/INBOX;UIDVALIDITY=7/;UID=1",
        "/Nowhere/;UID=1",
        "/INBOX/;UID=1/;SECTION=9",
        "imap://other.example.org/INBOX/;UID=1",
        ";UID=1",
    ],
)
async def test_bad_urls(house: House, url: str) -> None:
    client = await house.login()
    await client.feed(b"a APPEND INBOX " + literal(MULTIPART) + b"\r\n")
    heard = (await client.feed(f'b APPEND Drafts CATENATE (URL "{url}" TEXT {{5}}\r\n'.encode())).decode()
    assert heard.startswith(f"b NO [BADURL {url}] ")
    heard = (await client.feed(f'c APPEND Drafts CATENATE (TEXT {{2+}}\r\nhi URL "{url}")\r\n'.encode())).decode()
    assert heard.startswith(f"c NO [BADURL {url}] ")
    assert await texts(house, "Drafts") == []
    assert not [spool for spool in [client.driver.session.appending] if spool]


async def test_a_url_cannot_break_the_reply(house: House) -> None:
    client = await house.login()
    heard = await client.feed(b"a APPEND Drafts CATENATE (URL {9+}\r\na]b\rc\x01\x7f{])\r\n")
    assert heard == b"a NO [BADURL a%5Db%0Dc%01%7F{%5D] There is no such message or part\r\n"


async def test_catenate_has_limits() -> None:
    house = House(size=1000)
    await house.add_account("ann@example.org", quota=5000)
    client = await house.login()
    big = message(1, "x" * 700)
    await client.feed(b"a APPEND INBOX " + literal(big) + b"\r\n")
    assert (await client.tagged('APPEND INBOX CATENATE (URL "/INBOX/;UID=1" URL "/INBOX/;UID=1")')).startswith(
        "NO [TOOBIG] "
    )
    assert (await client.tagged('APPEND INBOX CATENATE (URL "/INBOX/;UID=1" TEXT {600}')).startswith("NO [TOOBIG] ")
    many = " ".join(['CATENATE (URL "/INBOX/;UID=1")'] * 6)
    assert (await client.tagged(f"APPEND INBOX {many}")).startswith("NO [OVERQUOTA] ")
    assert (
        await client.feed(b"b APPEND INBOX CATENATE (TEXT {0+}\r\n)\r\n")
        == b"b NO An empty message cannot be appended\r\n"
    )


async def test_large_parts_are_copied_slice_by_slice(house: House) -> None:
    client = await house.login()
    big = b"Subject: big\r\n\r\n" + b"0123456789abcdef" * 40_000
    await client.feed(b"a APPEND INBOX " + literal(big) + b"\r\n")
    heard = await client.say('b APPEND Drafts CATENATE (URL "/INBOX/;UID=1/;SECTION=TEXT")')
    assert b"b OK " in heard
    assert await texts(house, "Drafts") == [big[16:]]


async def test_rights_of_others_are_asked(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mailbox that may not be read is not there."""
    from postroom.mailbox.errors import NoPermission
    from postroom.values import rights as right

    client = await house.login()
    await client.feed(b"a APPEND INBOX " + literal(MULTIPART) + b"\r\n")
    session: Any = client.driver.session
    real = session.world.find

    async def find(name: str, needed: int = 0) -> Any:
        if name == "INBOX" and needed & right.READ:
            raise NoPermission("no")
        return await real(name, needed)

    monkeypatch.setattr(type(session.world), "find", lambda _self, name, needed=0: find(name, needed))
    assert (await client.tagged('APPEND Drafts CATENATE (URL "/INBOX/;UID=1")')).startswith("NO [BADURL ")


async def test_stored_flags_are_not_inherited(house: House) -> None:
    """RFC 8508 1: nothing comes from the old message."""
    await fill(await ann(house), "Drafts", 1)
    account = await ann(house)
    info = await account.find("Drafts")
    await account.store_flags(info.id, [1], FlagChange(op=FlagOp.ADD, bits=3, keywords=("$Work",)))
    client = await house.selected("Drafts")
    await client.feed(b"a REPLACE 1 Drafts " + literal(NEW) + b"\r\n")
    assert await client.do("FETCH 1 (UID FLAGS)") == ["* 1 FETCH (UID 2 FLAGS (\\Recent))"]
