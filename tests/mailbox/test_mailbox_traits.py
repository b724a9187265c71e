"""Traits: what is read of an ENVELOPE, how rows are packed and joined, who makes them and when."""

from __future__ import annotations

import asyncio
import random
from array import array
from collections.abc import Awaitable, Callable, Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.mailbox import envelope, traits
from postroom.mailbox.search import Pace
from postroom.mailbox.sorting import Rows, order
from postroom.mailbox.trait_keeper import Latecomers, complete, shelf_of
from postroom.mailbox.trait_reading import hash_of, normal_id, read_traits
from postroom.mailbox.traits import NO_DAY, TOO_LONG, DamagedTraits, Shelf, Traits, merged, pack
from postroom.message.index import index
from postroom.store.api import BLOCK, NewMessage, Origin, TraitRow, TraitSource
from postroom.store.memory import MemoryStore
from postroom.testing.store_contract import SettableClock
from postroom.values.content import Content
from postroom.wire.imap.commands import SortBy, SortCriterion


class Eager:
    """Never waits for anybody."""

    async def breathe(self) -> None:
        return


def source(header: str, number: int = 1, internaldate: int = 99) -> TraitSource:
    found = index(header.replace("\n", "\r\n").encode("utf-8", "surrogateescape") + b"\r\n\r\n")
    return TraitSource(number, internaldate, found.envelope, found.references)


USUAL = """From: "Zoë" <zoe@example.org>, Ben <ben@example.org>
To: =?utf-8?q?J=C3=B6rg?= <joerg@example.net>
Cc: team@example.org
Subject: Re: [list] =?utf-8?q?Gr=C3=BC=C3=9Fe?=  (fwd)
Date: Mon, 31 Dec 2000 16:01:33 -0800
Message-ID: <"01KF8JCEOCBS0045PS"@xxx.yyy.com>
In-Reply-To: <not@used>
References: <a@b> (comment) <c@d>"""


def test_a_usual_message() -> None:
    read = read_traits(source(USUAL))
    assert read.sent == 978_307_293  # RFC 5256 2.2: 1 Jan 2001 00:01:33 UTC
    assert read.day == 978_307_200 // 86_400 - 1
    assert read.own == hash_of(b"<01KF8JCEOCBS0045PS@xxx.yyy.com>")
    assert read.references == [hash_of(b"<a@b>"), hash_of(b"<c@d>")]
    assert read.reply
    assert read.subject == hash_of("GRU\u0308ßE".encode())
    assert read.keys == (
        "GRU\u0308ßE".encode(), b"ZOE", b"JOERG", b"TEAM", "ZOE\u0308".encode(), "JO\u0308RG".encode(),
    )  # fmt: skip
    assert read.texts == (
        b"re: [list] grusse  (fwd)", b"zoe <zoe@example.org>, ben <ben@example.org>", b"jorg <joerg@example.net>",
        b"team@example.org", b'<"01kf8jceocbs0045ps"@xxx.yyy.com>',
    )  # fmt: skip


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("Date: Thu, 1 Jan 1970 00:00:10 +0000", (10, 0)),
        ("Date: 1 Jan 70 00:00:10 GMT", (10, 0)),
        ("Date: Fri, 2 Jan 1970 00:30:00 +0100", (84_600, 1)),
        ("Date: soon", (99, NO_DAY)),
        ("Date: 99 Jan 1970 00:00:00 +0000", (99, NO_DAY)),
        ("", (99, NO_DAY)),
    ],
)
def test_sent_dates(header: str, expected: tuple[int, int]) -> None:
    read = read_traits(source(header))
    assert (read.sent, read.day) == expected


def test_references() -> None:
    assert read_traits(source("In-Reply-To: your mail of today <a@b> <c@d>")).references == [hash_of(b"<a@b>")]
    assert read_traits(source("References: nothing\nIn-Reply-To: <a@b>")).references == [hash_of(b"<a@b>")]
    many = " ".join(f"<{number}@x>" for number in range(300))
    found = read_traits(source(f"References: {many}")).references
    assert len(found) == 200
    assert found[0] == hash_of(b"<0@x>")
    assert found[-1] == hash_of(b"<299@x>")
    assert normal_id(b'<"a\\b c"@d>') == b"<ab c@d>"


def test_groups_and_nobody() -> None:
    read = read_traits(source("From: Friends: ann@example.org, ben@example.org;\nTo: undisclosed-recipients:;"))
    assert read.keys[traits.FROM] == b"FRIENDS"  # RFC 5256 3: addr-mailbox of the first address, as ENVELOPE has it
    assert read.keys[traits.DISPLAY_FROM] == b"FRIENDS"
    assert read.texts[traits.IN_FROM] == b"friends, ann@example.org, ben@example.org"
    empty = read_traits(source("X: y"))
    assert empty.keys == (b"",) * 6
    assert (empty.own, empty.subject, empty.reply) == (0, 0, False)
    assert read_traits(source("Subject: Re:")).subject == 0


def test_long_texts_and_nul() -> None:
    read = read_traits(source(f"Subject: {'x' * 5000}\nFrom: {', '.join(['someone@example.org'] * 200)}"))
    assert read.texts[traits.IN_SUBJECT] == read.texts[traits.IN_FROM] == TOO_LONG
    assert read.keys[traits.SUBJECT] == b"X" * 500
    nul = read_traits(source("Subject: a\0b"))
    assert b"\0" not in b"".join((*nul.keys, *nul.texts))


names = st.sampled_from(["From", "To", "Cc", "Subject", "Date", "Message-ID", "In-Reply-To", "References"])
values = st.text(st.sampled_from('ab@<>,:;"\\ ()=?[]é\t1'), max_size=30)


@given(st.lists(st.tuples(names, values), max_size=8))
def test_texts_are_those_of_the_envelope(fields: list[tuple[str, str]]) -> None:
    """The short way and the careful one read the same."""
    given_source = source("\n".join(f"{name}: {value}" for name, value in fields))
    read = read_traits(given_source)
    for place, field in enumerate((envelope.SUBJECT, envelope.FROM, envelope.TO, envelope.CC, envelope.MESSAGE_ID)):
        text = envelope.text(given_source.envelope, field) or ""
        assert read.texts[place] == traits_text(text)


def traits_text(text: str) -> bytes:
    from postroom.message.search import fold

    return fold(text).encode().replace(b"\0", b" ")


@given(st.binary(max_size=200), st.binary(max_size=100))
def test_any_octets(text: bytes, references: bytes) -> None:
    read = read_traits(TraitSource(1, 5, text, references))
    assert pack(1, [Traits(*read[:4], 0, *read[4:])]).count == 1


one = st.builds(
    Traits,
    sent=st.integers(-(2**62), 2**62),
    day=st.integers(-(2**31), 2**31 - 1),
    own=st.integers(0, 2**64 - 1),
    subject=st.integers(0, 2**64 - 1),
    thread=st.integers(0, 2**64 - 1),
    reply=st.integers(0, 1),
    references=st.lists(st.integers(0, 2**64 - 1), max_size=5),
    keys=st.lists(st.binary(max_size=5).map(lambda text: text.replace(b"\0", b"")), min_size=6, max_size=6),
    texts=st.lists(st.binary(max_size=5).map(lambda text: text.replace(b"\0", b"")), min_size=5, max_size=5),
)


@given(st.lists(one, min_size=1, max_size=6), st.lists(one, min_size=1, max_size=6))
def test_rows_come_back_as_they_were_packed(some: list[Traits], more: list[Traits]) -> None:
    whole = pack(1, some + more)
    assert merged([pack(1, some), pack(1 + len(some), more)]) == whole
    everything = some + more
    shelf = Shelf([whole], range(1, 1 + len(everything)))
    for place, name in enumerate(("sent", "own", "subject", "thread", "day", "reply")):
        assert list(shelf.numbers(place)) == [getattr(each, name) for each in everything]
        assert list(traits.numbers_of(whole, place)) == [getattr(each, name) for each in everything]
    begins, ends, references = shelf.references()
    for begin, end, each in zip(begins, ends, everything, strict=True):
        assert list(references[begin:end]) == each.references
    for place in range(traits.KEYS):
        column = traits.text_column(whole.keys, place, traits.KEYS).split(b"\0")
        assert column == [each.keys[place] for each in everything]


def plain(number: int) -> Traits:
    return Traits(number, 0, number, 0, 0, 0, (), (b"%d" % number,) * 6, (b"",) * 5)


def rows_of(*sizes: int) -> list[TraitRow]:
    rows, first = [], 1
    for size in sizes:
        rows.append(pack(first, [plain(number) for number in range(first, first + size)]))
        first += size
    return rows


@pytest.mark.parametrize("messages", [range(1, 11), [3], [9, 2, 2, 5], [], [BLOCK, BLOCK + 1], [BLOCK + 4, 1]])
def test_a_shelf_gives_what_is_asked_for(messages: Sequence[int]) -> None:
    shelf = Shelf(rows_of(100, BLOCK - 100, 4), messages)
    assert list(shelf.numbers(traits.SENT)) == list(messages)
    assert list(shelf.keys(2)) == [b"%d" % number for number in messages]


def test_a_shelf_of_blocks_far_apart() -> None:
    rows = rows_of(*[BLOCK] * 4, 7)
    shelf = Shelf([rows[0], rows[2], rows[4]], [2 * BLOCK + 5, 3, 4 * BLOCK + 7])
    assert list(shelf.numbers(traits.OWN)) == [2 * BLOCK + 5, 3, 4 * BLOCK + 7]


def test_damage_is_noticed() -> None:
    rows = rows_of(BLOCK, 10)
    whole = rows[1]
    for broken in (
        TraitRow(whole.first, whole.count, b"", whole.keys, whole.texts),
        TraitRow(whole.first, whole.count, b"\1" + whole.numbers[1:], whole.keys, whole.texts),
        TraitRow(whole.first, whole.count, whole.numbers[:-8] + b"x", whole.keys, whole.texts),
        TraitRow(whole.first, whole.count + 1, whole.numbers, whole.keys, whole.texts),
    ):
        with pytest.raises(DamagedTraits):
            Shelf([rows[0], broken], [1])
    counts = TraitRow(1, 1, rows_of(1)[0].numbers + b"x" * 8, b"", b"")
    with pytest.raises(DamagedTraits):
        Shelf([counts], [1]).references()
    for messages in ([BLOCK + 11], [2 * BLOCK + 1]):
        with pytest.raises(DamagedTraits):
            Shelf(rows, messages)
    with pytest.raises(DamagedTraits):
        Shelf(rows[1:], [1, BLOCK + 1])
    with pytest.raises(DamagedTraits):
        Shelf([rows_of(3, 3)[1]], [4])
    with pytest.raises(DamagedTraits):
        traits.text_column(b"", 0, 6)


# --- the keeper


async def account_of(clock: SettableClock | None = None) -> tuple[Any, int]:
    store = MemoryStore(clock=clock or SettableClock())
    await store.create_account("acc", [("INBOX", "")])
    account = await store.account("acc")
    inbox = await account.mailbox("INBOX")
    assert inbox is not None
    return account, inbox.id


def message(header: str, origin: Origin | None = None) -> NewMessage:
    data = header.replace("\n", "\r\n").encode() + b"\r\n\r\n"
    found = index(data)
    return NewMessage(
        content=Content.of(data), guid="0" * 32, internaldate=5, envelope=found.envelope, structure=b"", origin=origin,
        bodystructure=b"", parts=b"", header=len(data), references=found.references,
    )  # fmt: skip


async def threads_of(account: Any, count: int) -> list[int]:
    shelf = await shelf_of(account, range(1, count + 1), Eager())
    return list(shelf.numbers(traits.THREAD))


async def test_threads_are_decided_once() -> None:
    account, inbox = await account_of()
    await account.append(
        inbox,
        [
            message("Message-ID: <root@x>"),
            message("Message-ID: <reply@x>\nReferences: <root@x>"),
            message("Message-ID: <answer@x>\nIn-Reply-To: <reply@x>"),  # knows only its parent
            message("Message-ID: <other@x>"),
            message("Message-ID: <late1@x>\nReferences: <gone@x>"),
            message("Message-ID: <late2@x>\nReferences: <never@x> <gone@x>"),
            message("Subject: nothing"),
            message("Subject: nothing"),
            message("Message-ID: <reply@x>\nReferences: <root@x>"),  # the same once more
            message("Message-ID: <kept@x>", Origin("M1-1", 77)),
            message("Message-ID: <below@x>\nReferences: <kept@x>"),
        ],
    )
    found = await threads_of(account, 11)
    assert found[0] == found[1] == found[2] == found[8] == hash_of(b"<root@x>")
    assert found[4] == found[5] == hash_of(b"<gone@x>")
    assert found[9] == found[10] == 77
    assert len({found[0], found[3], found[4], found[6], found[7], 77}) == 6
    await account.append(inbox, [message("Message-ID: <gone@x>"), message("References: <other@x> <late1@x>")])
    more = await threads_of(account, 13)
    assert more[:11] == found  # what was told stays
    assert more[11] == more[12] == found[4]


async def test_rows_grow_together() -> None:
    account, inbox = await account_of()
    for number in range(1, BLOCK + 6):
        await account.append(inbox, [message(f"Subject: {number}")])
        await complete(account, Eager())
        if number in (7, 100, BLOCK - 1):
            assert len(await account.traits.rows([1])) <= number.bit_length()
    assert [(row.first, row.count) for row in await account.traits.rows([1, BLOCK + 1])] == [
        (1, BLOCK), (BLOCK + 1, 4), (BLOCK + 5, 1),
    ]  # fmt: skip
    shelf = await shelf_of(account, range(1, BLOCK + 6), Eager(), keys=True)
    assert list(shelf.keys(traits.SUBJECT)) == [b"%d" % number for number in range(1, BLOCK + 6)]


async def test_two_makers_at_once() -> None:
    account, inbox = await account_of()
    await account.append(inbox, [message(f"Subject: {number}") for number in range(700)])

    class Polite:
        async def breathe(self) -> None:
            await asyncio.sleep(0)

    await asyncio.gather(*(complete(account, Polite()) for _ in range(3)))
    shelf = await shelf_of(account, range(1, 701), Eager(), keys=True)
    assert list(shelf.keys(traits.SUBJECT)) == [b"%d" % number for number in range(700)]


async def test_damaged_rows_are_made_anew() -> None:
    account, inbox = await account_of()
    await account.append(inbox, [message("Message-ID: <a@x>\nSubject: one"), message("Subject: two")])
    await account.traits.keep(TraitRow(1, 2, b"rubbish", b"", b""), 1, {})
    shelf = await shelf_of(account, [2, 1], Eager(), keys=True)
    assert list(shelf.keys(traits.SUBJECT)) == [b"TWO", b"ONE"]


async def test_who_gets_mail_gets_traits_once_it_is_quiet() -> None:
    account, inbox = await account_of()
    gate, waits = asyncio.Event(), 0

    async def wait(_seconds: float) -> None:
        nonlocal waits
        waits += 1
        await gate.wait()

    late = Latecomers(Eager, wait)
    for _ in range(3):
        await account.append(inbox, [message("Subject: x")])
        late.note(account)
    for _ in range(5):
        await asyncio.sleep(0)
    assert waits == 1
    assert (await account.traits.sources(9))[:2] == (1, 4)
    gate.set()
    for _ in range(10):
        await asyncio.sleep(0)
    assert (await account.traits.sources(9))[:2] == (4, 4)
    await account.append(inbox, [message("Subject: x")])
    gate.clear()
    late.note(account)
    for _ in range(5):
        await asyncio.sleep(0)
    await late.close()
    late.note(account)
    assert waits == 2
    assert (await account.traits.sources(9))[:2] == (4, 5)


async def test_much_mail_does_not_wait_for_quiet() -> None:
    account, inbox = await account_of()
    gate = asyncio.Event()

    async def wait(_seconds: float) -> None:
        await gate.wait()

    late = Latecomers(Eager, wait)

    async def made(count: int) -> None:
        async with asyncio.timeout(30):
            while (await account.traits.sources(9))[0] <= count:  # noqa: ASYNC110
                await asyncio.sleep(0)

    for begin in (0, 300):
        await account.append(inbox, [message("Subject: x") for _ in range(200)])
        late.note(account, 200)
        for _ in range(20):
            await asyncio.sleep(0)
        assert (await account.traits.sources(9))[0] == begin + 1
        await account.append(inbox, [message("Subject: x") for _ in range(100)])
        late.note(account, 100)
        await made(begin + 300)
    await account.append(inbox, [message("Subject: x")])
    late.note(account)
    gate.set()
    await made(601)
    for _ in range(20):
        await asyncio.sleep(0)
    assert late._task is None
    await late.close()


# --- sorting

Criteria = Sequence[SortCriterion]


async def sorted_by(
    criteria: Criteria, headers: Sequence[str], sizes: Sequence[int], dates: Sequence[int]
) -> list[int]:
    account, inbox = await account_of()
    await account.append(inbox, [message(header) for header in headers])
    rows = Rows(range(1, len(headers) + 1), array("q", dates), array("I", sizes))
    return await order(criteria, rows, account, Eager())


def by(*names: str) -> Criteria:
    return [SortCriterion(SortBy(name.lstrip("-")), name.startswith("-")) for name in names]


async def test_orders() -> None:
    headers = [
        "Subject: Re: b\nFrom: ben@x\nTo: Zoe <z@x>\nDate: 3 Jan 2020 10:00:00 +0000",
        "Subject: a\nFrom: Ann <ANN@x>\nTo: y@x\nDate: 1 Jan 2020 10:00:00 +0000",
        "Subject: [l] B\nFrom: ann@x\nCc: c@x\nDate: 2 Jan 2020 10:00:00 +0000",
        "From: Ärzte <d@x>",
    ]
    sizes, dates = [4, 3, 2, 1], [7, 7, 6, 6]

    async def ordered(*names: str) -> list[int]:
        return [place + 1 for place in await sorted_by(by(*names), headers, sizes, dates)]

    assert await ordered("SUBJECT") == [4, 2, 1, 3]
    assert await ordered("-SUBJECT") == [1, 3, 2, 4]  # equal ones stay in mailbox order
    assert await ordered("SUBJECT", "-DATE") == [4, 2, 1, 3]
    assert await ordered("SUBJECT", "DATE") == [4, 2, 3, 1]
    assert await ordered("DATE") == [4, 2, 3, 1]  # without a Date field: INTERNALDATE, 5 seconds after the epoch
    assert await ordered("ARRIVAL") == [3, 4, 1, 2]
    assert await ordered("-ARRIVAL", "SIZE") == [2, 1, 4, 3]
    assert await ordered("SIZE") == [4, 3, 2, 1]
    assert await ordered("FROM") == [2, 3, 1, 4]
    assert await ordered("TO") == [3, 4, 2, 1]
    assert await ordered("CC") == [1, 2, 4, 3]
    assert await ordered("DISPLAYFROM") == [2, 3, 4, 1]
    assert await ordered("DISPLAYTO") == [3, 4, 2, 1]


criterion = st.builds(SortCriterion, st.sampled_from([SortBy.ARRIVAL, SortBy.SIZE, SortBy.SUBJECT]), st.booleans())


@given(
    st.lists(criterion, min_size=1, max_size=4),
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.sampled_from("abc")), max_size=12),
)
async def test_orders_as_the_rfc_words_them(
    criteria: list[SortCriterion], messages: list[tuple[int, int, str]]
) -> None:
    found = await sorted_by(
        criteria, [f"Subject: {each[2]}" for each in messages], [each[1] for each in messages],
        [each[0] for each in messages],
    )  # fmt: skip
    values = {SortBy.ARRIVAL: 0, SortBy.SIZE: 1, SortBy.SUBJECT: 2}

    def before(one: int, other: int) -> bool:
        for each in criteria:
            left, right = messages[one][values[each.by]], messages[other][values[each.by]]
            if left != right:
                return (left > right) if each.reverse else (left < right)  # type: ignore[operator]
        return one < other

    assert sorted(found) == list(range(len(messages)))
    assert all(before(one, other) for one, other in pairwise(found))


async def test_nothing_to_sort() -> None:
    assert await sorted_by(by("SUBJECT", "DATE"), [], [], []) == []


async def test_a_large_account_yields() -> None:
    account, inbox = await account_of()
    rng = random.Random(3)
    await account.append(inbox, [message(f"Subject: {rng.random()}") for _ in range(600)])
    turns = 0

    async def pause() -> None:
        nonlocal turns
        turns += 1

    class Racing:
        time = 0.0

        def now(self) -> float:
            return self.time

        def monotonic(self) -> float:
            self.time += 1
            return self.time

    waiting: Callable[[], Awaitable[object]] = pause
    await complete(account, Pace(Racing(), waiting))
    assert turns > 30
