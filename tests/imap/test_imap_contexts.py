"""CONTEXT=SEARCH and CONTEXT=SORT: results that are kept up to date."""

from __future__ import annotations

import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from imap_house import NOW, Client, House, fill, play

from postroom.mailbox.incoming import Incoming
from postroom.mailbox.service import Account
from postroom.servers.imap import contexts
from postroom.store.api import FlagChange, FlagOp, StoreUnavailable
from postroom.values import flags
from postroom.values.content import Content

UPDATE = re.compile(r'\* ESEARCH \(TAG "(\w+)"\)( UID)? (ADDTO|REMOVEFROM) \(([^)]*)\)')


async def ann(house: House) -> Account:
    return await house.mailboxes.open(await house.store.directory.account("ann-example.org"))


async def test_a_search_goes_on(house: House) -> None:
    account = await ann(house)
    await fill(account, "INBOX", 4)
    one, two = await house.selected(), await house.selected()
    await play(
        {"1": one, "2": two},
        """
        C1: b01 UID SEARCH RETURN (UPDATE COUNT) DELETED KEYWORD $Junk
        S1: * ESEARCH (TAG "b01") UID COUNT 0
        S1: b01 OK ...
        C1: b02 SEARCH RETURN (UPDATE ALL CONTEXT) UNDELETED
        S1: * ESEARCH (TAG "b02") ALL 1:4
        S1: b02 OK ...
        C2: a1 STORE 2:3 +FLAGS (\\Deleted $Junk)
        S2: * FLAGS ...
        S2: * 2 FETCH ...
        S2: * 3 FETCH ...
        S2: a1 OK ...
        C1: b03 NOOP
        S1: * FLAGS ...
        S1: * 2 FETCH ...
        S1: * 3 FETCH ...
        S1: * ESEARCH (TAG "b02") REMOVEFROM (0 2:3)
        S1: * ESEARCH (TAG "b01") UID ADDTO (0 2:3)
        S1: b03 OK ...
        C2: a2 EXPUNGE
        S2: * 2 EXPUNGE
        S2: * 2 EXPUNGE
        S2: a2 OK ...
        C1: b04 FETCH 1 UID
        S1: * 1 FETCH (UID 1)
        S1: * ESEARCH (TAG "b01") UID REMOVEFROM (0 2:3)
        S1: b04 OK [EXPUNGEISSUED] ...
        C1: b05 NOOP
        S1: * 2 EXPUNGE
        S1: * 2 EXPUNGE
        S1: b05 OK ...
        C1: b06 STORE 1 +FLAGS.SILENT (\\Deleted)
        S1: * ESEARCH (TAG "b02") REMOVEFROM (0 1)
        S1: b06 OK ...
        C1: b07 SEARCH RETURN (UPDATE) ALL
        S1: * ESEARCH (TAG "b07")
        S1: b07 OK ...
        C1: b08 EXPUNGE
        S1: * ESEARCH (TAG "b07") REMOVEFROM (0 1)
        S1: * 1 EXPUNGE
        S1: b08 OK ...
        """,
    )
    await fill(account, "INBOX", 1, first=5)
    await play(
        one,
        """
        C: b09 NOOP
        S: * 2 EXISTS
        S: * ESEARCH (TAG "b02") ADDTO (0 2)
        S: * ESEARCH (TAG "b07") ADDTO (0 2)
        S: b09 OK ...
        C: b10 CANCELUPDATE "b02" "b07"
        S: b10 OK ...
        C: b11 STORE 1:2 +FLAGS.SILENT (\\Deleted $Junk)
        S: * ESEARCH (TAG "b01") UID ADDTO (0 4:5)
        S: b11 OK ...
        C: b12 CANCELUPDATE "b02"
        S: b12 BAD ...
        C: b13 CANCELUPDATE
        S: b13 BAD ...
        """,
    )


async def test_an_order_goes_on(house: House) -> None:
    account = await ann(house)
    info = await account.find("INBOX")

    async def add(*subjects: str) -> None:
        for subject in subjects:
            data = f"Subject: {subject}\r\n\r\n".encode()
            added = await account.append(info.id, [Incoming(content=Content.of(data), internaldate=NOW)])
            await account.store.recent(info.id, added.uids[-1] + 1, claim=True)

    await add("m", "d", "x")
    client = await house.selected()
    assert await client.do("UID SORT RETURN (UPDATE ALL) (SUBJECT) UTF-8 UNSEEN") == [
        '* ESEARCH (TAG "t3") UID ALL 2,1,3'
    ]
    await client.do("SORT RETURN (UPDATE COUNT) (REVERSE SUBJECT) UTF-8 UNSEEN")
    await add("e", "a", "f", "z", "n")
    assert await client.do("NOOP") == [
        "* 8 EXISTS",
        '* ESEARCH (TAG "t3") UID ADDTO (1 5 3 4,6 6 8 8 7)',  # 5 2 4 6 1 8 3 7
        '* ESEARCH (TAG "t4") ADDTO (1 7 3 8 5 6,4 8 5)',  # 7 3 8 1 6 4 2 5
    ]
    await account.store_flags(info.id, [2, 4, 7], FlagChange(op=FlagOp.ADD, bits=flags.SEEN))
    lines = await client.do("NOOP")
    assert [line for line in lines if "ESEARCH" in line] == [
        '* ESEARCH (TAG "t3") UID REMOVEFROM (8 7 2 2,4)',
        '* ESEARCH (TAG "t4") REMOVEFROM (6 4,2 1 7)',
    ]


async def test_tags_are_not_used_twice(house: House) -> None:
    await fill(await ann(house), "INBOX", 2)
    await play(
        await house.selected(),
        """
        C: b01 SEARCH RETURN (UPDATE) ALL
        S: * ESEARCH (TAG "b01")
        S: b01 OK ...
        C: b01 SORT RETURN (UPDATE) (DATE) UTF-8 FLAGGED
        S: b01 BAD ...
        C: b01 SEARCH RETURN (COUNT) ALL
        S: * ESEARCH (TAG "b01") COUNT 2
        S: b01 OK ...
        C: b02 UNSELECT
        S: b02 OK ...
        C: b03 SELECT INBOX
        S: * FLAGS ...
        S: * OK ...
        S: * 2 EXISTS
        S: * 0 RECENT
        S: * OK [UNSEEN ...
        S: * OK ...
        S: * OK ...
        S: * OK ...
        S: * OK ...
        S: b03 OK ...
        C: b01 SEARCH RETURN (UPDATE) ALL
        S: * ESEARCH (TAG "b01")
        S: b01 OK ...
        """,
    )


async def test_there_is_an_end(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """RFC 5267 4.3.1."""
    await fill(await ann(house), "INBOX", 4)
    client = await house.selected()
    for number in range(contexts.MOST):
        await client.say(f"u{number} SEARCH RETURN (UPDATE) UNSEEN")
    lines = await client.do("SEARCH RETURN (UPDATE COUNT) UNSEEN")
    assert lines[1].startswith('* NO [NOUPDATE "t3"] ')
    await client.do('CANCELUPDATE "u0"')
    assert len(await client.do("SEARCH RETURN (UPDATE COUNT) UNSEEN")) == 1
    monkeypatch.setattr(contexts, "MOST_RESULTS", 63)
    await client.do('CANCELUPDATE "u1" "u2"')
    lines = await client.do("UID SORT RETURN (UPDATE ALL) (DATE) UTF-8 ALL")
    assert len(lines) == 1
    assert "NOUPDATE" in (await client.do("SEARCH RETURN (UPDATE) ALL"))[1]
    assert "NOUPDATE" in (await client.do("SEARCH RETURN (UPDATE COUNT) FUZZY SUBJECT x"))[1]


async def test_numbers_mean_what_they_meant(house: House) -> None:
    """RFC 5267 4.3: sequence numbers and "$" are those of the command's time; UIDs up to "*" go on."""
    account = await ann(house)
    await fill(account, "INBOX", 4)
    client = await house.selected()
    await client.do("SEARCH RETURN (SAVE) 2:3")
    for tag, program in (
        ("n1", "2:*"),
        ("n2", "$"),
        ("n3", "UID 3:*"),
        ("n4", "UID *"),
        ("n5", "NOT 1:2"),
        ("n6", "UID $"),
    ):
        await client.say(f"{tag} UID SEARCH RETURN (UPDATE ALL) {program}")
    info = await account.find("INBOX")
    await account.store.expunge(info.id, [3], only_deleted=False)
    await fill(account, "INBOX", 1, first=5)
    lines = await client.do("NOOP")
    told = [UPDATE.fullmatch(line) for line in lines]
    assert [(each[1], each[3], each[4]) for each in told if each] == [
        ("n1", "REMOVEFROM", "0 3"),
        ("n2", "REMOVEFROM", "0 3"),
        ("n3", "REMOVEFROM", "0 3"),
        ("n5", "REMOVEFROM", "0 3"),
        ("n6", "REMOVEFROM", "0 3"),
        ("n3", "ADDTO", "0 5"),
        ("n5", "ADDTO", "0 5"),
    ]


async def test_news_in_idle(house: House) -> None:
    account = await ann(house)
    await fill(account, "INBOX", 2)
    client = await house.selected()
    await client.say("u1 UID SORT RETURN (UPDATE) (REVERSE ARRIVAL) UTF-8 UNSEEN")
    await client.say("i1 IDLE")
    await fill(account, "INBOX", 1, first=3)
    assert await client.feed(b"") == b'* 3 EXISTS\r\n* ESEARCH (TAG "u1") UID ADDTO (1 3)\r\n'


async def test_a_store_that_fails_is_asked_again(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    account = await ann(house)
    await fill(account, "INBOX", 2)
    client = await house.selected()
    await client.say("u1 UID SEARCH RETURN (UPDATE) BODY hello")

    async def failing(*_args: object, **_kwargs: object) -> None:
        raise StoreUnavailable("disk")

    with monkeypatch.context() as patch:
        patch.setattr(account.store, "columns", failing)
        await fill(account, "INBOX", 1, first=3)
        assert await client.do("NOOP") == ["* 3 EXISTS"]
    assert await client.do("NOOP") == ['* ESEARCH (TAG "u1") UID ADDTO (0 3)']


# --- a client that keeps the results, beside the truth


class Keeper:
    """Applies what it is told to the results it knows (RFC 5267 4.3.2)."""

    def __init__(self, results: dict[str, list[int]], by_uid: set[str]) -> None:
        self.results = results
        self.by_uid = by_uid

    def hear(self, line: str) -> None:
        if gone := re.fullmatch(r"\* (\d+) EXPUNGE", line):
            number = int(gone[1])
            for tag in self.results.keys() - self.by_uid:
                assert number not in self.results[tag], "REMOVEFROM comes before EXPUNGE"
                self.results[tag] = [each - (each > number) for each in self.results[tag]]
        elif told := UPDATE.fullmatch(line):
            assert bool(told[2]) == (told[1] in self.by_uid)
            words = told[4].split(" ")
            for position, text in zip(words[::2], words[1::2], strict=True):
                self._move(told[1], told[3] == "ADDTO", int(position), numbers(text))

    def _move(self, tag: str, comes: bool, position: int, found: list[int]) -> None:
        held = self.results[tag]
        if position == 0:
            assert comes != bool(set(held) & set(found))
            assert comes or set(found) <= set(held)
            self.results[tag] = sorted({*held, *found} if comes else set(held) - set(found))
        elif comes:
            assert position <= len(held) + 1
            held[position - 1 : position - 1] = found
        else:
            assert held[position - 1 : position - 1 + len(found)] == found
            del held[position - 1 : position - 1 + len(found)]


def numbers(text: str) -> list[int]:
    found: list[int] = []
    for part in text.split(","):
        low, _, high = part.partition(":")
        found.extend(range(int(low), int(high or low) + 1))
    return found


PROGRAMS = {
    "p1": "SEARCH RETURN (UPDATE ALL) UNSEEN",
    "p2": "UID SEARCH RETURN (UPDATE ALL) OR FLAGGED KEYWORD one",
    "p3": "SORT RETURN (UPDATE ALL) (REVERSE SUBJECT ARRIVAL) UTF-8 UNSEEN",
    "p4": "UID SORT RETURN (UPDATE ALL) (SIZE REVERSE DATE) UTF-8 NOT (FLAGGED KEYWORD one)",
    "p5": "UID SEARCH RETURN (UPDATE ALL) SUBJECT 1",
}


def plain(program: str) -> str:
    return program.replace(" RETURN (UPDATE ALL)", " RETURN (ALL)")


async def result(client: Client, program: str) -> list[int]:
    [line] = await client.do(program)
    found = re.search(r" ALL (\S+)$", line)
    return numbers(found[1]) if found else []


async def something(rng: random.Random, account: Account, mailbox: int, other: Client) -> str:
    """Somebody does something; gives what the client says next."""
    uids = [uid for page in (await account.snapshot(mailbox)).pages for uid in page.uids]
    some = sorted(rng.sample(uids, min(len(uids), rng.randint(1, 3))))
    named = ",".join(map(str, some))
    what = rng.choice(["append", "flags", "flags", "expunge", "own", "fetch", "noop"])
    if what == "append":
        data = f"Subject: {rng.randint(1, 4)}\r\n\r\n{'x' * rng.randint(0, 3)}".encode()
        await account.append(mailbox, [Incoming(content=Content.of(data), internaldate=NOW - rng.randint(0, 3))])
    elif what == "expunge" and some:
        await account.store.expunge(mailbox, some, only_deleted=False)
    elif what == "flags" and some:
        await other.do("NOOP")
        change = rng.choice(["+FLAGS (\\Seen)", "-FLAGS (\\Seen)", "+FLAGS (\\Flagged one)", "-FLAGS (one)"])
        await other.do(f"UID STORE {named} {change}")
    elif what == "own" and some:
        return f"UID STORE {named} {rng.choice(['+', '-'])}FLAGS.SILENT (\\Seen)"
    return "UID FETCH 1:* UID" if what == "fetch" else "NOOP"


async def play_at_random(house: House, seed: int, steps: int) -> None:
    rng = random.Random(seed)
    account = await ann(house)
    info = await account.find("INBOX")
    await fill(account, "INBOX", 5)
    client, other = await house.selected(), await house.selected()
    results: dict[str, list[int]] = {}
    for tag, program in PROGRAMS.items():
        heard = (await client.say(f"{tag} {program}")).decode()
        found = re.search(r" ALL (\S+)\r\n", heard)
        results[tag] = numbers(found[1]) if found else []
    keeper = Keeper(results, {tag for tag, program in PROGRAMS.items() if program.startswith("UID")})
    for _ in range(steps):
        said = await something(rng, account, info.id, other)
        for line in await client.do(said) if rng.random() < 0.6 else ():
            keeper.hear(line)
    for line in await client.do("NOOP"):
        keeper.hear(line)
    truth = {tag: await result(client, plain(program)) for tag, program in PROGRAMS.items()}
    assert keeper.results == truth


@settings(max_examples=25)
@given(st.integers(0, 2**32))
async def test_results_at_random(seed: int) -> None:
    house = House()
    await house.add_account("ann@example.org")
    await play_at_random(house, seed, 30)
