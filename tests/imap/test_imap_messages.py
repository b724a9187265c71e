"""SELECT, FETCH, STORE, APPEND, SEARCH, COPY, MOVE, EXPUNGE with one client."""

from __future__ import annotations

import pytest
from imap_house import NOW, Client, House, fill, message, play

from postroom.config import Imap
from postroom.mailbox.incoming import Incoming
from postroom.store.api import StoreUnavailable
from postroom.values import flags
from postroom.values.content import Content

MULTIPART = (
    b"From: a@example.org\r\nSubject: parts\r\nMIME-Version: 1.0\r\n"
    b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n'
    b"--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\nSGVsbG8gd29ybGQ=\r\n"
    b"--b\r\nContent-Type: application/x-odd\r\nContent-Transfer-Encoding: x-unknown\r\n\r\nodd\r\n"
    b"--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\ninner text\r\n--b--\r\n"
)


async def ann(house: House) -> object:
    return await house.mailboxes.open(await house.store.directory.account("ann-example.org"))  # type: ignore[arg-type]


async def with_messages(house: House, count: int) -> Client:
    await fill(await ann(house), "INBOX", count)  # type: ignore[arg-type]
    return await house.selected()


async def with_message(house: House, data: bytes) -> Client:
    account = await ann(house)
    info = await account.find("INBOX")  # type: ignore[attr-defined]
    await account.append(info.id, [Incoming(content=Content.of(data), internaldate=NOW)])  # type: ignore[attr-defined]
    await account.store.recent(info.id, 2, claim=True)  # type: ignore[attr-defined]
    return await house.selected()


async def test_select_tells_the_state(house: House) -> None:
    account = await ann(house)
    await fill(account, "INBOX", 2, flags=flags.SEEN)  # type: ignore[arg-type]
    await fill(account, "INBOX", 2, first=3)  # type: ignore[arg-type]
    await play(
        await house.login(),
        """
        C: a1 SELECT inbox
        S: * FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft)
        S: * OK [PERMANENTFLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft \\*)] ...
        S: * 4 EXISTS
        S: * 0 RECENT
        S: * OK [UNSEEN 3] First unseen
        S: * OK [UIDVALIDITY ...] UIDs valid
        S: * OK [UIDNEXT 5] Predicted next UID
        S: * OK [HIGHESTMODSEQ ...] Highest
        S: * OK [MAILBOXID (F...-...)] ...
        S: a1 OK [READ-WRITE] Select completed
        C: a2 EXAMINE Sent
        S: * OK [CLOSED] ...
        S: * FLAGS ...
        S: * OK [PERMANENTFLAGS ()] ...
        S: * 0 EXISTS
        S: * 0 RECENT
        S: * OK [UIDVALIDITY ...
        S: * OK [UIDNEXT 1] ...
        S: * OK [HIGHESTMODSEQ ...
        S: * OK [MAILBOXID (F...-...)] ...
        S: a2 OK [READ-ONLY] Examine completed
        C: a3 SELECT Nowhere
        S: * OK [CLOSED] ...
        S: a3 NO [NONEXISTENT] ...
        C: a4 FETCH 1 FLAGS
        S: a4 BAD ...
        C: a5 ENABLE IMAP4rev2
        S: * ENABLED IMAP4rev2
        S: a5 OK ...
        C: a6 SELECT INBOX
        S: * FLAGS ...
        S: * OK [PERMANENTFLAGS ...
        S: * 4 EXISTS
        S: * OK [UIDVALIDITY ...
        S: * OK [UIDNEXT 5] ...
        S: * OK [HIGHESTMODSEQ ...
        S: * OK [MAILBOXID (F...-...)] ...
        S: * LIST (\\HasNoChildren \\Subscribed) "/" "INBOX"
        S: a6 OK [READ-WRITE] Select completed
        """,
    )


async def test_fetch_columns(house: House) -> None:
    size = len(message(1))
    await play(
        await with_messages(house, 3),
        f"""
        C: a1 FETCH 1:* FLAGS
        S: * 1 FETCH (FLAGS ())
        S: * 2 FETCH (FLAGS ())
        S: * 3 FETCH (FLAGS ())
        S: a1 OK Fetch completed
        C: a2 UID FETCH 2:99 (RFC822.SIZE INTERNALDATE)
        S: * 2 FETCH (UID 2 RFC822.SIZE {size} INTERNALDATE "14-Nov-2023 22:13:22 +0000")
        S: * 3 FETCH (UID 3 RFC822.SIZE {size} INTERNALDATE "14-Nov-2023 22:13:23 +0000")
        S: a2 OK Fetch completed
        C: a3 FETCH 3,1 (UID ENVELOPE)
        S: * 1 FETCH (UID 1 ENVELOPE ("Tue, 14 Nov 2023 22:13:01 +0000" "Message 1" (("Ben" NIL "ben" ...
        S: * 3 FETCH (UID 3 ENVELOPE ("Tue, 14 Nov 2023 22:13:03 +0000" "Message 3" ...
        S: a3 OK Fetch completed
        C: a4 FETCH 4 FLAGS
        S: a4 BAD ...
        C: a5 UID FETCH 4 FLAGS
        S: a5 OK Fetch completed
        C: a6 UID FETCH 99:* FLAGS
        S: * 3 FETCH (UID 3 FLAGS ())
        S: a6 OK Fetch completed
        C: a7 FETCH 1 FAST
        S: * 1 FETCH (FLAGS () INTERNALDATE "14-Nov-2023 22:13:21 +0000" RFC822.SIZE {size})
        S: a7 OK Fetch completed
        C: a8 FETCH 2 (BODY BODYSTRUCTURE)
        S: * 2 FETCH (BODY ("TEXT" "PLAIN" ... 7 1) BODYSTRUCTURE ("TEXT" "PLAIN" ... 7 1 NIL NIL NIL NIL))
        S: a8 OK Fetch completed
        C: a9 FETCH 1 (MODSEQ)
        S: * OK [HIGHESTMODSEQ ...] CONDSTORE is on
        S: * 1 FETCH (MODSEQ (...))
        S: a9 OK Fetch completed
        """,
    )


async def test_fetch_on_empty_mailbox(house: House) -> None:
    client = await house.selected()
    assert (await client.tagged("FETCH 1:* FLAGS")).startswith("BAD")
    assert await client.do("UID FETCH 1:* FLAGS") == []


async def test_fetch_bodies(house: House) -> None:
    text = message(1)
    header, _, body = text.partition(b"\r\n\r\n")
    client = await with_messages(house, 2)
    peeked = await client.say("a1 FETCH 1 BODY.PEEK[]")
    assert peeked == b"* 1 FETCH (BODY[] {%d}\r\n%b)\r\na1 OK Fetch completed\r\n" % (len(text), text)
    part = await client.say("a2 UID FETCH 1 (BODY.PEEK[HEADER] BODY.PEEK[TEXT]<2.3> RFC822.HEADER)")
    size = len(header) + 4
    assert part == (
        b"* 1 FETCH (UID 1 BODY[HEADER] {%d}\r\n%b\r\n\r\n BODY[TEXT]<2> {3}\r\n%b"
        b" RFC822.HEADER {%d}\r\n%b\r\n\r\n)\r\n"
        b"a2 OK Fetch completed\r\n" % (size, header, body[2:5], size, header)
    )
    fields = await client.say("a3 FETCH 1:2 (BODY.PEEK[HEADER.FIELDS (Subject To)])")
    assert fields == (
        b"* 1 FETCH (BODY[HEADER.FIELDS (Subject To)] {43}\r\nTo: ann@example.org\r\nSubject: Message 1\r\n\r\n)\r\n"
        b"* 2 FETCH (BODY[HEADER.FIELDS (Subject To)] {43}\r\nTo: ann@example.org\r\nSubject: Message 2\r\n\r\n)\r\n"
        b"a3 OK Fetch completed\r\n"
    )
    nothing = await client.say("a4 FETCH 1 (BODY.PEEK[7] BODY.PEEK[]<9999.5>)")
    assert nothing == b"* 1 FETCH (BODY[7] NIL BODY[]<9999> {0}\r\n)\r\na4 OK Fetch completed\r\n"


async def test_reading_sets_seen(house: House) -> None:
    await play(
        await with_messages(house, 3),
        """
        C: a1 FETCH 1 BODY[TEXT]
        S: * 1 FETCH (BODY[TEXT] {7}
        S: Hello
        S:  FLAGS (\\Seen))
        S: a1 OK Fetch completed
        C: a2 FETCH 1 BODY[TEXT]
        S: * 1 FETCH (BODY[TEXT] {7}
        S: Hello
        S: )
        S: a2 OK Fetch completed
        C: a3 UID FETCH 2 (FLAGS RFC822.TEXT)
        S: * 2 FETCH (UID 2 FLAGS (\\Seen) RFC822.TEXT {7}
        S: Hello
        S: )
        S: a3 OK Fetch completed
        C: a4 ENABLE CONDSTORE
        S: * ENABLED CONDSTORE
        S: * OK [HIGHESTMODSEQ ...] CONDSTORE is on
        S: a4 OK ...
        C: a5 FETCH 3 BODY[TEXT]
        S: * 3 FETCH (BODY[TEXT] {7}
        S: Hello
        S:  UID 3 FLAGS (\\Seen) MODSEQ (...))
        S: a5 OK Fetch completed
        C: a6 NOOP
        S: a6 OK ...
        """,
    )


async def test_examine_changes_nothing(house: House) -> None:
    await with_messages(house, 1)
    client = await house.login()
    await client.do("EXAMINE INBOX")
    await play(
        client,
        """
        C: a1 FETCH 1 BODY[TEXT]
        S: * 1 FETCH (BODY[TEXT] {7}
        S: Hello
        S: )
        S: a1 OK Fetch completed
        C: a2 STORE 1 +FLAGS (\\Seen)
        S: a2 NO [READ-ONLY] ...
        C: a3 EXPUNGE
        S: a3 NO [READ-ONLY] ...
        C: a4 MOVE 1 Trash
        S: a4 NO [READ-ONLY] ...
        C: a5 FETCH 1 FLAGS
        S: * 1 FETCH (FLAGS ())
        S: a5 OK Fetch completed
        C: a6 CLOSE
        S: a6 OK ...
        """,
    )


async def test_reading_works_when_seen_cannot_be_kept(house: House) -> None:
    client = await with_messages(house, 1)

    async def broken(*_args: object) -> None:
        raise StoreUnavailable("read-only file system")

    client.driver.session.me.store.store_flags = broken
    assert await client.do("FETCH 1 BODY[TEXT]") == ["* 1 FETCH (BODY[TEXT] {7}", "Hello", ")"]


async def test_binary(house: House) -> None:
    client = await with_message(house, MULTIPART)
    heard = await client.say("a1 FETCH 1 (BINARY.PEEK[1] BINARY.SIZE[1] BINARY.PEEK[1]<6.20>)")
    assert heard == (
        b"* 1 FETCH (BINARY[1] {11}\r\nHello world BINARY.SIZE[1] 11 BINARY[1]<6> {5}\r\nworld)\r\n"
        b"a1 OK Fetch completed\r\n"
    )
    assert (await client.tagged("FETCH 1 BINARY.PEEK[2]")).startswith("NO [UNKNOWN-CTE]")
    heard = await client.say("a3 FETCH 1 (BODY.PEEK[3.HEADER] BODY.PEEK[3.TEXT] BODY.PEEK[1.MIME])")
    assert b"BODY[3.HEADER] {18}\r\nSubject: inner\r\n\r\n BODY[3.TEXT] {10}\r\ninner text BODY[1.MIME] {" in heard


async def test_large_bodies_in_slices(house: House) -> None:
    body = b"x" * 76 + b"\r\n"
    text = b"Subject: large\r\n\r\n" + body * 10_000
    client = await with_message(house, text)
    heard = await client.say("a1 FETCH 1 (UID BODY.PEEK[] FLAGS)")
    assert heard == b"* 1 FETCH (UID 1 BODY[] {%d}\r\n%b FLAGS ())\r\na1 OK Fetch completed\r\n" % (len(text), text)


async def test_store(house: House) -> None:
    await play(
        await with_messages(house, 3),
        """
        C: a1 STORE 1:2 +FLAGS (\\Seen $Work)
        S: * FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft $Work)
        S: * 1 FETCH (UID 1 FLAGS (\\Seen $Work))
        S: * 2 FETCH (UID 2 FLAGS (\\Seen $Work))
        S: a1 OK Store completed
        C: a2 UID STORE 2 FLAGS \\Flagged
        S: * 2 FETCH (UID 2 FLAGS (\\Flagged))
        S: a2 OK Store completed
        C: a3 STORE 1:* -FLAGS.SILENT (\\Seen)
        S: a3 OK Store completed
        C: a4 FETCH 1:* FLAGS
        S: * 1 FETCH (FLAGS ($Work))
        S: * 2 FETCH (FLAGS (\\Flagged))
        S: * 3 FETCH (FLAGS ())
        S: a4 OK Fetch completed
        C: a5 STORE 4 +FLAGS (\\Seen)
        S: a5 BAD ...
        C: a6 UID STORE 77 +FLAGS (\\Seen)
        S: a6 OK ...
        C: a7 STORE 1 +FLAGS (\\Recent)
        S: a7 BAD ...
        C: a8 STORE 3 FLAGS ()
        S: * 3 FETCH (UID 3 FLAGS ())
        S: a8 OK Store completed
        """,
    )


async def test_too_many_keywords(house: House) -> None:
    client = await with_messages(house, 1)
    await client.do(f"STORE 1 +FLAGS.SILENT ({' '.join(f'k{number}' for number in range(55))})")
    lines = await client.do("STORE 1 +FLAGS.SILENT (k55)")
    assert lines[0].startswith("* FLAGS (") and "k55" in lines[0]
    assert lines[1].startswith("* OK [PERMANENTFLAGS (") and "\\*" not in lines[1]
    assert (await client.tagged("STORE 1 +FLAGS (k56)")).startswith("NO [LIMIT]")
    permanent = next(line for line in await client.do("SELECT INBOX") if "PERMANENTFLAGS" in line)
    assert "\\*" not in permanent
    assert "$Forwarded $Important $Junk $MDNSent $NotJunk $Phishing" in permanent  # there is room for these, always
    await client.do("STORE 1 +FLAGS.SILENT ($Junk $Important)")
    assert await client.do("SEARCH KEYWORD $important") == ["* SEARCH 1"]


async def test_condstore(house: House) -> None:
    client = await with_messages(house, 3)
    other = await house.selected()
    await play(
        client,
        """
        C: a1 SELECT INBOX (CONDSTORE)
        S: * OK [CLOSED] ...
        S: * FLAGS ...
        S: * OK [PERMANENTFLAGS ...
        S: * 3 EXISTS
        S: * 0 RECENT
        S: * OK [UNSEEN 1] ...
        S: * OK [UIDVALIDITY ...
        S: * OK [UIDNEXT 4] ...
        S: * OK [HIGHESTMODSEQ ...
        S: * OK [MAILBOXID (F...-...)] ...
        S: a1 OK ...
        """,
    )
    [row] = await client.do("FETCH 2 (MODSEQ)")
    modseq = int(row.split("MODSEQ (")[1].rstrip(")"))
    await other.do("STORE 2 +FLAGS.SILENT (\\Flagged)")
    await play(
        client,
        f"""
        C: b1 STORE 1:3 (UNCHANGEDSINCE {modseq}) +FLAGS.SILENT (\\Seen)
        S: * 1 FETCH (UID 1 MODSEQ (...))
        S: * 3 FETCH (UID 3 MODSEQ (...))
        S: * 2 FETCH (UID 2 FLAGS (\\Flagged) MODSEQ (...))
        S: b1 OK [MODIFIED 2] ...
        C: b2 UID FETCH 1:* (FLAGS) (CHANGEDSINCE {modseq})
        S: * 1 FETCH (UID 1 FLAGS (\\Seen) MODSEQ (...))
        S: * 2 FETCH (UID 2 FLAGS (\\Flagged) MODSEQ (...))
        S: * 3 FETCH (UID 3 FLAGS (\\Seen) MODSEQ (...))
        S: b2 OK ...
        C: b3 SEARCH MODSEQ {modseq + 1}
        S: * SEARCH 1 2 3 (MODSEQ ...)
        S: b3 OK ...
        C: b4 SEARCH RETURN (MIN COUNT) MODSEQ {modseq + 1}
        S: * ESEARCH (TAG "b4") MIN 1 COUNT 3 MODSEQ ...
        S: b4 OK ...
        """,
    )


async def test_append(house: House) -> None:
    client = await house.selected()
    data = message(1)
    assert await client.say(f'a1 APPEND INBOX (\\Seen $x) "01-Feb-2020 10:20:30 +0100" {{{len(data)}}}') == b"+ OK\r\n"
    heard = await client.feed(data + b"\r\n")
    validity = (await client.driver.session.me.find("INBOX")).uidvalidity
    assert heard == (
        b"* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft $x)\r\n* 1 EXISTS\r\n* 1 RECENT\r\n"
        b"a1 OK [APPENDUID %d 1] Append completed\r\n" % validity
    )
    assert await client.do("FETCH 1 (FLAGS INTERNALDATE)") == [
        '* 1 FETCH (FLAGS (\\Seen \\Recent $x) INTERNALDATE " 1-Feb-2020 09:20:30 +0000")'
    ]
    one, two = message(2), message(3)
    heard = await client.feed(b"a2 APPEND Sent {%d+}\r\n%b (\\Draft) {%d+}\r\n%b\r\n" % (len(one), one, len(two), two))
    assert heard == b"a2 OK [APPENDUID %d 1:2] Append of 2 messages completed\r\n" % (
        (await client.driver.session.me.find("Sent")).uidvalidity
    )


async def test_append_refusals(house: House) -> None:
    client = await house.selected()
    await play(
        client,
        """
        C: a1 APPEND Nowhere {10}
        S: a1 NO [TRYCREATE] ...
        C: a2 APPEND INBOX {1048577}
        S: a2 NO [TOOBIG] ...
        C: a3 APPEND INBOX {0}
        S: a3 NO ...
        C: a4 APPEND INBOX (bad flag\\) {10}
        S: a4 BAD ...
        C: a5 NOOP
        S: a5 OK ...
        """,
    )
    # a literal that does not wait is swallowed
    assert (await client.feed(b"a6 APPEND Nowhere {5+}\r\na7 NO\r\n")).startswith(b"a6 NO [TRYCREATE]")
    assert await client.do("NOOP") == []
    # the second message is refused: nothing is kept
    data = message(1)
    heard = await client.feed(b"a8 APPEND INBOX {%d+}\r\n%b {1048577}\r\n" % (len(data), data))
    assert heard.startswith(b"a8 NO [TOOBIG]")
    assert await client.do("STATUS INBOX (MESSAGES)") == ['* STATUS "INBOX" (MESSAGES 0)']
    assert client.driver.session.appending is None


async def test_append_needs_login(house: House) -> None:
    client = house.connect()
    client.hear()
    assert (await client.say("a1 APPEND INBOX {10}")).startswith(b"a1 BAD")


async def test_append_when_the_disk_is_full(house: House) -> None:
    client = await house.selected()

    class Full:
        size = 0

        def write(self, _data: bytes) -> None:
            raise StoreUnavailable("no space left")

        def close(self) -> None: ...

    original, house.store.spool = house.store.spool, Full  # type: ignore[method-assign, assignment]
    data = message(1)
    heard = await client.feed(b"a1 APPEND INBOX {%d+}\r\n%b\r\n" % (len(data), data))
    assert heard.startswith(b"a1 NO [UNAVAILABLE]")
    house.store.spool = original  # type: ignore[method-assign]
    assert (await client.feed(b"a2 APPEND INBOX {%d+}\r\n%b\r\n" % (len(data), data))).endswith(b"Append completed\r\n")


async def test_8bit_headers_are_for_clients_that_know_them(house: House) -> None:
    """Taken from all, as old mail has them; RFC 9755 4, where the administrator wants it, refuses some."""
    strict = House(options=Imap(accept_8bit_headers=False))
    await strict.add_account("ann@example.org")
    client = await strict.login()
    odd = b"Subject: Gr\xc3\xbcn\r\n\r\nx\r\n"
    plain = b"Subject: green\r\n\r\nGr\xc3\xbcn\r\n"
    late = b"X-Long: %b\r\n x\r\nSubject: \xfc\r\n\r\n" % (b"y" * 70_000)

    async def add(data: bytes, to: Client = client) -> bytes:
        return await to.feed(b"a APPEND INBOX {%d+}\r\n%b\r\n" % (len(data), data))

    for refused in (odd, late, b"Subject: \xfcber\r\n", odd.replace(b"\r\n", b"\n")):
        assert (await add(refused)).startswith(b"a NO [CANNOT] The header has 8-bit characters"), refused[:20]
    empty = b"\r\n\xff\r\n"
    for taken in (plain, plain.replace(b"\r\n", b"\n"), empty, late.replace(b"\xfc", b"u")):
        assert b"a OK [APPENDUID " in await add(taken), taken[:20]
    catenated = b"a APPEND INBOX CATENATE (TEXT {14+}\r\nSubject: \xc3\xbc\r\n\r\n TEXT {1+}\r\nx)\r\n"
    assert b"a NO [CANNOT] " in await client.feed(catenated.replace(b"{14", b"{15"))
    await client.do("ENABLE UTF8=ACCEPT")
    assert b"a OK [APPENDUID " in await add(odd)
    assert b"a OK [APPENDUID " in await add(odd, await house.login())


async def test_utf8_append(house: House) -> None:
    client = await house.login()
    await client.do("ENABLE UTF8=ACCEPT")
    data = "Subject: Grüße\r\n\r\nhallo\r\n".encode()
    heard = await client.feed(b"a1 APPEND INBOX UTF8 (~{%d+}\r\n%b)\r\n" % (len(data), data))
    assert heard.startswith(b"a1 OK [APPENDUID")


async def test_search(house: House) -> None:
    client = await with_messages(house, 5)
    await client.do("STORE 2,4 +FLAGS.SILENT (\\Flagged)")
    await play(
        client,
        """
        C: a1 SEARCH FLAGGED
        S: * SEARCH 2 4
        S: a1 OK Search completed
        C: a2 UID SEARCH SUBJECT "message 3"
        S: * SEARCH 3
        S: a2 OK Search completed
        C: a3 SEARCH DELETED
        S: * SEARCH
        S: a3 OK Search completed
        C: a4 SEARCH RETURN (MIN MAX COUNT ALL) UNFLAGGED
        S: * ESEARCH (TAG "a4") MIN 1 MAX 5 ALL 1,3,5 COUNT 3
        S: a4 OK Search completed
        C: a5 UID SEARCH RETURN () FLAGGED
        S: * ESEARCH (TAG "a5") UID ALL 2,4
        S: a5 OK Search completed
        C: a6 SEARCH RETURN (SAVE) FLAGGED
        S: a6 OK Search completed
        C: a7 FETCH $ (UID)
        S: * 2 FETCH (UID 2)
        S: * 4 FETCH (UID 4)
        S: a7 OK Fetch completed
        C: a8 SEARCH RETURN (SAVE MIN) ALL
        S: * ESEARCH (TAG "a8") MIN 1
        S: a8 OK Search completed
        C: a9 UID SEARCH $
        S: * SEARCH 1
        S: a9 OK Search completed
        C: b1 SEARCH CHARSET X-NONE TEXT x
        S: b1 NO [BADCHARSET (US-ASCII UTF-8)] ...
        C: b2 SEARCH 9
        S: b2 BAD ...
        C: b3 SEARCH RETURN (COUNT) RECENT
        S: * ESEARCH (TAG "b3") COUNT 0
        S: b3 OK Search completed
        C: b4 ENABLE IMAP4rev2
        S: * ENABLED IMAP4rev2
        S: b4 OK ...
        C: b5 SEARCH FLAGGED
        S: * ESEARCH (TAG "b5") ALL 2,4
        S: b5 OK Search completed
        """,
    )


async def test_copy_and_move(house: House) -> None:
    client = await with_messages(house, 4)
    await play(
        client,
        """
        C: a1 COPY 2:3 Archive
        S: a1 OK [COPYUID ... 2:3 1:2] Copy completed
        C: a2 COPY 1 Nowhere
        S: a2 NO [TRYCREATE] ...
        C: a3 UID COPY 77 Archive
        S: a3 OK Copy completed, nothing to copy
        C: a4 MOVE 1,3 Trash
        S: * OK [COPYUID ... 1,3 1:2] Moved
        S: * 1 EXPUNGE
        S: * 2 EXPUNGE
        S: a4 OK Move completed
        C: a5 UID MOVE 2 INBOX
        S: a5 NO [CANNOT] ...
        C: a6 UID MOVE 2 Nowhere
        S: a6 NO [TRYCREATE] ...
        C: a7 UID SEARCH ALL
        S: * SEARCH 2 4
        S: a7 OK ...
        C: a8 COPY 1 INBOX
        S: * 3 EXISTS
        S: * 1 RECENT
        S: a8 OK [COPYUID ... 2 5] Copy completed
        """,
    )


async def test_expunge(house: House) -> None:
    client = await with_messages(house, 6)
    await client.do("STORE 1,3,4,6 +FLAGS.SILENT (\\Deleted)")
    await play(
        client,
        """
        C: a1 UID EXPUNGE 4:5
        S: * 4 EXPUNGE
        S: a1 OK Expunge completed
        C: a2 EXPUNGE
        S: * 1 EXPUNGE
        S: * 2 EXPUNGE
        S: * 3 EXPUNGE
        S: a2 OK Expunge completed
        C: a3 UID SEARCH ALL
        S: * SEARCH 2 5
        S: a3 OK ...
        C: a4 EXPUNGE
        S: a4 OK Expunge completed
        C: a5 STORE 1 +FLAGS.SILENT (\\Deleted)
        S: a5 OK ...
        C: a6 UNSELECT
        S: a6 OK ...
        C: a7 STATUS INBOX (MESSAGES)
        S: * STATUS "INBOX" (MESSAGES 2)
        S: a7 OK ...
        """,
    )
    await client.do("SELECT INBOX")
    await client.do("CLOSE")
    assert await client.do("STATUS INBOX (MESSAGES)") == ['* STATUS "INBOX" (MESSAGES 1)']


@pytest.mark.parametrize("count", [300, 5000])
async def test_many_rows(house: House, count: int) -> None:
    client = await with_messages(house, count)
    rows = await client.do("FETCH 1:* (UID FLAGS ENVELOPE)")
    assert len(rows) == count
    assert all(row.startswith(f"* {number} FETCH (UID {number} FLAGS () ") for number, row in enumerate(rows, 1))
    odd = await client.do("FETCH " + ",".join(str(number) for number in range(1, count, 2)) + " (UID RFC822.SIZE)")
    assert [int(row.split()[1]) for row in odd] == list(range(1, count, 2))


async def test_select_by_another_form_of_the_name(house: House) -> None:
    client = await house.login()
    await client.do("ENABLE IMAP4rev2")
    await client.do('CREATE "\u00e9t\u00e9"')
    lines = await client.do('SELECT "e\u0301te\u0301"')
    assert '* LIST (\\HasNoChildren) "/" "\u00e9t\u00e9" ("OLDNAME" ("e\u0301te\u0301"))' in lines
