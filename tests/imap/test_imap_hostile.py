"""Nonsense, halves and floods: one clear answer each, never a fault of ours, never a stuck connection."""

from __future__ import annotations

import asyncio
import random

import pytest
from imap_house import Client, House, fill, message

VERBS = [
    "CAPABILITY",
    "NOOP",
    "LOGIN",
    "SELECT",
    "EXAMINE",
    "CREATE",
    "DELETE",
    "RENAME",
    "SUBSCRIBE",
    "UNSUBSCRIBE",
    "LIST",
    "LSUB",
    "STATUS",
    "APPEND",
    "CHECK",
    "CLOSE",
    "EXPUNGE",
    "SEARCH",
    "FETCH",
    "STORE",
    "COPY",
    "MOVE",
    "UID",
    "IDLE",
    "ENABLE",
    "ID",
    "NAMESPACE",
    "GETQUOTA",
    "GETQUOTAROOT",
    "SETQUOTA",
    "UNSELECT",
    "AUTHENTICATE",
    "STARTTLS",
    "FROB",
]
WORDS = [
    b"INBOX", b'"Sent"', b"1", b"1:*", b"*", b"$", b"0", b"99999999999", b"1,2:3,*:1", b"FLAGS",
    b"+FLAGS.SILENT", b"-FLAGS", b"(\\Seen)", b"(\\Deleted $x)", b"(FLAGS UID)", b"BODY[]",
    b"BODY.PEEK[1.2.MIME]<0.10>", b"BODY[TEXT]", b"BINARY[1]", b"BINARY.SIZE[]", b"BODY[HEADER.FIELDS (A B)]",
    b"ENVELOPE", b"(MODSEQ)", b"(CHANGEDSINCE 1)", b"(CHANGEDSINCE 1 VANISHED)", b"(UNCHANGEDSINCE 1)", b"ALL",
    b"UNSEEN", b"OR", b"NOT", b"TEXT", b'"x"', b"RETURN", b"(SAVE)", b"(MIN MAX COUNT ALL)", b"()", b"(", b")",
    b'"', b"{3}", b"{3+}\r\nabc", b"{99999999999+}", b"~{2+}\r\n\0\0", b"%", b'""',
    b"(MESSAGES UIDNEXT DELETED-STORAGE)", b"(QRESYNC (1 1))", b"CHARSET", b"utf-8", b"\xff\xfe", b"\0", b"UID",
    b"FETCH", b"STORE", b"COPY", b"SEARCH", b"EXPUNGE", b"QRESYNC", b"CONDSTORE", b"IMAP4rev2",
    b"(USE (\\Junk))", b"KEYWORD", b"$x", b"SINCE", b"1-Jan-2020", b"MODSEQ", b"LARGER", b"YOUNGER", b"DONE",
    b"PLAIN", b"=",
]  # fmt: skip


SETS = ["1", "1:*", "*", "$", "2:1", "3,1", "1:99", "77", "4294967295"]
ITEMS = [
    "FLAGS",
    "(UID FLAGS ENVELOPE)",
    "BODY[]",
    "BODY[]<1.5>",
    "BODY[1]",
    "BODY[9.9]",
    "BODY[HEADER.FIELDS.NOT (To)]",
    "BODY[1.MIME]",
    "BINARY[1]",
    "BINARY.SIZE[1]",
    "(BODY BODYSTRUCTURE RFC822.SIZE INTERNALDATE MODSEQ)",
    "(RFC822 RFC822.HEADER RFC822.TEXT)",
    "FULL",
    "(FLAGS) (CHANGEDSINCE 3)",
    "(UID) (CHANGEDSINCE 1 VANISHED)",
]
KEYS = [
    "ALL",
    "UNSEEN",
    "1:2",
    "UID 1:*",
    "NOT SEEN",
    "OR FLAGGED DELETED",
    'SUBJECT "age"',
    'TEXT "ell"',
    'HEADER X ""',
    "MODSEQ 2",
    "LARGER 10",
    "KEYWORD $x",
    "YOUNGER 100",
    "SINCE 1-Jan-2020",
    "$",
    "99",
]
NAMES = ["INBOX", "Sent", '"a/b"', "Nowhere", '"&AOk-"', '""', '"/"', "inbox/x", '"*"']


def plausible(dice: random.Random) -> str:
    """A command that may well be right."""
    pick = dice.choice
    uid = pick(["", "UID "])
    return pick(
        [
            f"{uid}FETCH {pick(SETS)} {pick(ITEMS)}",
            f"{uid}STORE {pick(SETS)} {pick(['', '(UNCHANGEDSINCE 3) '])}"
            + f"{pick(['', '+', '-'])}FLAGS{pick(['', '.SILENT'])} "
            + pick(["()", "\\Seen", "(\\Deleted $x)"]),
            f"{uid}SEARCH {pick(['', 'RETURN () ', 'RETURN (SAVE MIN) ', 'RETURN (COUNT) '])}{pick(KEYS)} {pick(KEYS)}",
            f"{uid}{pick(['COPY', 'MOVE'])} {pick(SETS)} {pick(NAMES)}",
            f"{pick(['SELECT', 'EXAMINE'])} {pick(NAMES)}{pick(['', ' (CONDSTORE)', ' (QRESYNC (1700000000 1))'])}",
            f"{pick(['CREATE', 'DELETE', 'SUBSCRIBE', 'UNSUBSCRIBE', 'GETQUOTAROOT'])} {pick(NAMES)}",
            f"RENAME {pick(NAMES)} {pick(NAMES)}",
            f"LIST {pick(['', '(SUBSCRIBED RECURSIVEMATCH) '])}{pick(NAMES)} {pick(['*', '%', 'a%', '(INBOX *)'])}"
            + pick(["", " RETURN (STATUS (MESSAGES HIGHESTMODSEQ))", " RETURN (CHILDREN SUBSCRIBED)"]),
            f"STATUS {pick(NAMES)} (MESSAGES UIDNEXT UNSEEN DELETED SIZE HIGHESTMODSEQ DELETED-STORAGE)",
            f"APPEND {pick(NAMES)} (\\Seen $x) {{6+}}\r\nA: b\r\n",
            f"ENABLE {pick(['QRESYNC', 'CONDSTORE', 'UTF8=ACCEPT', 'IMAP4rev2'])}",
            f"{pick(['EXPUNGE', 'UID EXPUNGE 1:*', 'CLOSE', 'UNSELECT', 'CHECK', 'NOOP', 'SELECT INBOX'])}",
        ]
    )


def nonsense(dice: random.Random, number: int) -> bytes:
    """A line that is more or less like a command."""
    if dice.random() < 0.8:
        line = f"t{number} {plausible(dice)}".encode()
    else:
        words = dice.choices(WORDS, k=dice.randint(0, 6))
        line = b" ".join([b"t%d" % number, dice.choice(VERBS).encode(), *words])
    if dice.random() < 0.1:
        place = dice.randrange(len(line))
        line = line[:place] + bytes([dice.randrange(256)]) + line[place + 1 :]
    return line + b"\r\n"


async def alive(client: Client) -> bool:
    """It still answers, after whatever half literal or IDLE it was left in."""
    for attempt in (b"DONE\r\n", b"*\r\n", b"\r\n" * 3):
        await client.feed(attempt)
    return b"probe OK" in await client.feed(b"probe NOOP\r\n")


@pytest.mark.parametrize("seed", range(30))
async def test_nonsense_never_finds_a_fault(house: House, seed: int) -> None:
    dice = random.Random(seed)
    row = await house.store.directory.account("ann-example.org")
    assert row is not None
    await fill(await house.mailboxes.open(row), "INBOX", 3)
    client = await house.selected() if seed % 3 else house.connect()
    for number in range(60):
        if not client.link.alive:
            client = await house.selected()
        data = nonsense(dice, number)
        if b"{99999999999+}" in data:
            continue  # its octets would have to be sent
        cut = dice.randrange(len(data))
        await client.feed(data[:cut])
        await client.feed(data[cut:])
    assert [fields for name, fields in house.events if name == "session.fault"] == []
    other = await house.selected()
    assert await alive(other)


async def test_endless_line_costs_one_answer(house: House) -> None:
    client = await house.login()
    heard = b""
    for _ in range(40):
        heard += await client.feed(b"x" * 8192)
    heard += await client.feed(b"\r\n")
    assert heard.count(b"BAD") == 1
    assert await client.do("NOOP") == []


async def test_who_is_logged_in_may_err_now_and_then(house: House) -> None:
    client = await house.login()
    for number in range(60):
        assert (await client.say(f"a{number} FOO")).startswith(b"a%d BAD " % number)
        assert await client.do("NOOP") == []
    for number in range(49):
        await client.say(f"b{number} FOO")
    assert b"* BYE [CLIENTBUG]" in await client.say("c FOO")


async def test_huge_literal_is_refused_before_it_comes(house: House) -> None:
    client = await house.login()
    heard = await client.say("a1 SELECT {100000000}")
    assert heard.startswith((b"a1 BAD", b"a1 NO"))
    assert await client.do("NOOP") == []


async def test_flood_of_commands_lets_others_in(house: House) -> None:
    flooding, other = await house.login(), await house.login()
    flooding.driver.received(b"".join(b"f%d NOOP\r\n" % number for number in range(20_000)))
    assert await other.do("NOOP") == []
    assert flooding.driver._work is not None  # still at it, in turns
    while flooding.driver._work is not None:  # noqa: ASYNC110
        await asyncio.sleep(0)
    assert flooding.hear().count(b" OK Noop completed\r\n") == 20_000


async def test_who_asks_and_does_not_read_waits(house: House) -> None:
    row = await house.store.directory.account("ann-example.org")
    assert row is not None
    await fill(await house.mailboxes.open(row), "INBOX", 3000)
    client = await house.selected()
    client.link.choke = asyncio.Event()
    client.driver.received(b"".join(b"s%d SEARCH ALL\r\n" % number for number in range(2000)))
    assert len(client.hear()) < 300_000  # of 28 MB
    client.driver.received(b"z NOOP\r\n")
    assert client.link.paused
    client.link.choke.set()
    client.link.choke = None
    while client.driver._work is not None:  # noqa: ASYNC110
        await asyncio.sleep(0)
    assert client.hear().endswith(b"z OK Noop completed\r\n")
    assert not client.link.paused


async def test_connection_lost_in_the_middle_of_an_append(house: House) -> None:
    client = await house.selected()
    data = message(1)
    await client.feed(b"a1 APPEND INBOX {%d+}\r\n%b" % (len(data), data[:20]))
    assert client.driver.session.appending is not None
    client.link.close()
    assert client.driver.session.appending is None
    assert await (await house.login()).do("STATUS INBOX (MESSAGES)") == ['* STATUS "INBOX" (MESSAGES 0)']
