"""Searches against what their definitions say, on messages indexed as the store's are."""

from __future__ import annotations

import threading
from array import array
from collections.abc import Sequence
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postroom.mailbox import texts as texts_room
from postroom.mailbox.criteria import Scene, column_test, mask_octets
from postroom.mailbox.errors import BadSequence, SearchTooDeep
from postroom.mailbox.search import Found, Pace, search
from postroom.message.index import index
from postroom.store.api import NotFound, Page, Snapshot
from postroom.values.content import Content
from postroom.values.flags import ANSWERED, DELETED, FLAGGED, SEEN
from postroom.wire.imap.commands import SAVED, STAR, Key, SearchKey

NOW = 1_700_000_000
DAY = 86_400


class StillClock:
    """A clock that moves one second each time it is looked at, so that every slice is used up at once."""

    def __init__(self) -> None:
        self.ticks = 0.0

    def now(self) -> float:
        return NOW

    def monotonic(self) -> float:
        self.ticks += 1
        return self.ticks


class Texts:
    """The part of AccountStore that a search reads."""

    def __init__(self, messages: Sequence[bytes]) -> None:
        self.messages = dict(enumerate(messages, 1001))
        self.rendered = {number: index(data) for number, data in self.messages.items()}
        self.reads = 0

    async def columns(self, messages: Sequence[int], column: str) -> list[bytes]:
        return [getattr(self.rendered[each], column) if each in self.rendered else b"" for each in messages]

    async def content(self, message: int) -> Content:
        self.reads += 1
        if message not in self.messages:
            raise NotFound
        return Content.of(self.messages[message])


def mail(subject: str = "Hello", body: str = "text", **fields: str) -> bytes:
    lines = {"From": "Ann Other <ann@example.org>", "To": "bob@example.com", "Date": "Tue, 14 Nov 2023 23:30:00 -0500"}
    lines |= {name.replace("_", "-"): value for name, value in fields.items()}
    header = "".join(f"{name}: {value}\r\n" for name, value in lines.items() if value)
    return f"{header}Subject: {subject}\r\n\r\n{body}\r\n".encode()


MESSAGES = [
    mail("Meeting on Monday", "Please bring the red folder."),
    mail("=?utf-8?q?M=C3=A4rz?= =?utf-8?b?w6RuZGVydW5n?=", "nothing here", From='"Doe, John" <john.doe@example.net>'),
    mail("Report", "UmVkIGZvbGRlcg==", Content_Transfer_Encoding="base64", X_Spam="yes", Date="not a date"),
    mail("", "R=C3=A9sum=C3=A9", Content_Transfer_Encoding="quoted-printable", Content_Type="text/plain; charset=utf-8",
         Cc="Carol <carol@example.org>, dave@example.org"),
    mail("red", "white", Message_ID="<one@example.org>", Date="1 Jan 2020 00:00:00 +0000", From=""),
    mail("monday morning", "the RED\r\n folder", Received="from here by there; Mon, 13 Nov 2023 10:00:00 +0000"),
]  # fmt: skip

FLAGS = [0, SEEN, SEEN | FLAGGED, DELETED, ANSWERED | SEEN, 0]
WORDS = [0, 1, 2, 3, 0, 0]
MODSEQS = [5, 9, 9, 12, 2, 30]
DATES = [NOW - place * DAY for place in range(6)]
UIDS = [2, 3, 5, 8, 13, 21]


def scene(pages: int = 2, saved: Sequence[int] = ()) -> Scene:
    def page(begin: int, end: int) -> Page:
        return Page(
            array("I", UIDS[begin:end]),
            bytes(FLAGS[begin:end]),
            array("Q", WORDS[begin:end]),
            array("Q", MODSEQS[begin:end]),
            array("Q", range(1001 + begin, 1001 + end)),
            array("I", [len(data) for data in MESSAGES[begin:end]]),
            array("q", DATES[begin:end]),
            array("I", [date + DAY for date in DATES[begin:end]]),
        )

    size = -(-6 // pages)
    made = [page(at, min(at + size, 6)) for at in range(0, 6, size)]
    return Scene(Snapshot(1, 1, 30, 30, made, ("$Junk", "work")), saved, NOW)


async def run(key: SearchKey, *, pages: int = 2, saved: Sequence[int] = ()) -> Found:
    return await search(key, scene(pages, saved), Texts(MESSAGES), Pace(StillClock()))  # type: ignore[arg-type]


def header(name: str, text: str) -> SearchKey:
    return SearchKey(Key.HEADER, name=name, text=text)


def day(year: int, month: int, number: int) -> int:
    return date(year, month, number).toordinal() - date(1970, 1, 1).toordinal()


@pytest.mark.parametrize(
    ("key", "seqs"),
    [
        (SearchKey(Key.ALL), [1, 2, 3, 4, 5, 6]),
        (SearchKey(Key.FLAGS, bits=SEEN), [2, 3, 5]),
        (SearchKey(Key.FLAGS, bits=SEEN | FLAGGED), [3]),
        (SearchKey(Key.UNFLAGS, bits=SEEN), [1, 4, 6]),
        (SearchKey(Key.KEYWORD, text="$JUNK"), [2, 4]),
        (SearchKey(Key.UNKEYWORD, text="Work"), [1, 2, 5, 6]),
        (SearchKey(Key.KEYWORD, text="unknown"), []),
        (SearchKey(Key.UNKEYWORD, text="unknown"), [1, 2, 3, 4, 5, 6]),
        (SearchKey(Key.RECENT), []),
        (SearchKey(Key.NEW), []),
        (SearchKey(Key.OLD), [1, 2, 3, 4, 5, 6]),
        (SearchKey(Key.SEQ, set=((2, 3), (6, 6))), [2, 3, 6]),
        (SearchKey(Key.SEQ, set=((STAR, 5),)), [5, 6]),
        (SearchKey(Key.UID, set=((1, 3), (8, 9), (20, STAR))), [1, 2, 4, 6]),
        (SearchKey(Key.UID, set=((100, STAR),)), [6]),
        (SearchKey(Key.SEQ, set=SAVED), [2, 4]),
        (SearchKey(Key.UID, set=SAVED), [2, 4]),
        (SearchKey(Key.MODSEQ, number=9), [2, 3, 4, 6]),
        (SearchKey(Key.OLDER, number=2 * DAY), [3, 4, 5, 6]),
        (SearchKey(Key.YOUNGER, number=2 * DAY), [1, 2, 3]),
        (SearchKey(Key.BEFORE, number=NOW // DAY), [2, 3, 4, 5, 6]),
        (SearchKey(Key.ON, number=NOW // DAY - 1), [2]),
        (SearchKey(Key.SINCE, number=NOW // DAY - 1), [1, 2]),
        (SearchKey(Key.LARGER, number=len(MESSAGES[0])), [2, 3, 4, 6]),
        (SearchKey(Key.SMALLER, number=len(MESSAGES[0])), [5]),
        # the day is the one its sender wrote, -0500 or not
        (SearchKey(Key.SENTON, number=day(2023, 11, 14)), [1, 2, 4, 6]),
        (SearchKey(Key.SENTBEFORE, number=day(2023, 11, 14)), [5]),
        (SearchKey(Key.SENTSINCE, number=day(2020, 1, 1)), [1, 2, 4, 5, 6]),
        (header("SUBJECT", "MONDAY"), [1, 6]),
        (header("subject", "märzänd"), [2]),
        (header("SUBJECT", "MÄRZ"), [2]),
        (header("SUBJECT", ""), [1, 2, 3, 4, 5, 6]),
        (header("FROM", "ann@example.org"), [1, 3, 4, 6]),
        (header("FROM", "Ann Other <ann"), [1, 3, 4, 6]),
        (header("FROM", "doe, john"), [2]),
        (header("FROM", "example"), [1, 2, 3, 4, 6]),
        (header("FROM", ""), [1, 2, 3, 4, 6]),
        (header("CC", "dave@"), [4]),
        (header("CC", ""), [4]),
        (header("BCC", "x"), []),
        (header("MESSAGE-ID", "<one@example.org>"), [5]),
        (header("X-Spam", "YES"), [3]),
        (header("X-Spam", ""), [3]),
        (header("Received", "by there"), [6]),
        (SearchKey(Key.BODY, text="red folder"), [1, 3]),
        (SearchKey(Key.BODY, text="RÉSUMÉ"), [4]),
        (SearchKey(Key.BODY, text="Monday"), []),
        (SearchKey(Key.BODY, text=""), [1, 2, 3, 4, 5, 6]),
        (SearchKey(Key.TEXT, text="Monday"), [1, 6]),
        (SearchKey(Key.TEXT, text="example.net"), [2]),
        (SearchKey(Key.NOT, keys=(SearchKey(Key.BODY, text="red folder"),)), [2, 4, 5, 6]),
        (SearchKey(Key.AND, keys=(SearchKey(Key.TEXT, text="monday"), SearchKey(Key.UNFLAGS, bits=SEEN),
                                  header("FROM", "ann"))), [1, 6]),
        (SearchKey(Key.OR, keys=(header("X-Spam", "yes"), SearchKey(Key.FLAGS, bits=DELETED))), [3, 4]),
        (SearchKey(Key.AND), [1, 2, 3, 4, 5, 6]),
    ],
)  # fmt: skip
@pytest.mark.parametrize("pages", [1, 2, 6])
async def test_keys(key: SearchKey, seqs: list[int], pages: int) -> None:
    found = await run(key, pages=pages, saved=(3, 4, 8, 99))
    assert found.seqs() == seqs
    assert found.uids() == [UIDS[seq - 1] for seq in seqs]
    assert len(found) == len(seqs)
    assert found.modseq() == max((MODSEQS[seq - 1] for seq in seqs), default=0)


_LEAVES = st.sampled_from(
    [
        SearchKey(Key.FLAGS, bits=SEEN),
        SearchKey(Key.UNFLAGS, bits=DELETED),
        SearchKey(Key.KEYWORD, text="work"),
        SearchKey(Key.UID, set=((3, 8),)),
        SearchKey(Key.BODY, text="folder"),
        header("SUBJECT", "on"),
        header("X-Spam", ""),
        SearchKey(Key.SENTON, number=day(2023, 11, 14)),
    ]
)
_KEYS = st.recursive(
    _LEAVES,
    lambda inner: st.one_of(
        st.builds(lambda keys: SearchKey(Key.AND, keys=tuple(keys)), st.lists(inner, min_size=1, max_size=4)),
        st.builds(lambda one, two: SearchKey(Key.OR, keys=(one, two)), inner, inner),
        st.builds(lambda key: SearchKey(Key.NOT, keys=(key,)), inner),
    ),
    max_leaves=8,
)


async def _definition(key: SearchKey) -> set[int]:
    """Each key alone, put together as sets."""
    if key.key is Key.NOT:
        return set(range(1, 7)) - await _definition(key.keys[0])
    if key.key is Key.AND:
        return set.intersection(*[await _definition(each) for each in key.keys])
    if key.key is Key.OR:
        return set.union(*[await _definition(each) for each in key.keys])
    return set((await run(key)).seqs())


@given(_KEYS)
@settings(max_examples=100, deadline=None)
async def test_programs_are_the_sets_their_keys_make(key: SearchKey) -> None:
    assert (await run(key)).seqs() == sorted(await _definition(key))


async def test_bodies_are_read_only_where_cheaper_keys_leave_it_open() -> None:
    texts = Texts(MESSAGES)
    key = SearchKey(
        Key.AND, keys=(SearchKey(Key.BODY, text="folder"), header("SUBJECT", "on"), SearchKey(Key.UNFLAGS, bits=SEEN))
    )
    found = await search(key, scene(), texts, Pace(StillClock()))  # type: ignore[arg-type]
    assert found.seqs() == [1, 6]
    assert texts.reads == 2
    either = SearchKey(Key.OR, keys=(SearchKey(Key.BODY, text="folder"), SearchKey(Key.UNFLAGS, bits=SEEN)))
    assert (await search(either, scene(), texts, Pace(StillClock()))).seqs() == [1, 3, 4, 6]  # type: ignore[arg-type]
    assert texts.reads == 2 + 3


async def test_the_loop_gets_its_turn() -> None:
    turns = 0

    async def pause() -> None:
        nonlocal turns
        turns += 1

    await search(SearchKey(Key.BODY, text="x"), scene(1), Texts(MESSAGES), Pace(StillClock(), pause))  # type: ignore[arg-type]
    assert turns >= 6


async def test_what_was_swept_meanwhile_does_not_match() -> None:
    texts = Texts(MESSAGES)
    del texts.messages[1001], texts.rendered[1003]
    found = await search(SearchKey(Key.BODY, text="red folder"), scene(), texts, Pace(StillClock()))  # type: ignore[arg-type]
    assert found.seqs() == []
    assert (await search(header("SUBJECT", ""), scene(), texts, Pace(StillClock()))).seqs() == [1, 2, 4, 5, 6]  # type: ignore[arg-type]


async def test_absurd_programs_are_refused() -> None:
    with pytest.raises(BadSequence):
        await run(SearchKey(Key.SEQ, set=((1, 7),)))
    deep = SearchKey(Key.ALL)
    for _ in range(5000):
        deep = SearchKey(Key.NOT, keys=(deep,))
    with pytest.raises(SearchTooDeep):
        await run(deep)


@pytest.mark.parametrize(
    ("subject", "text"),
    [
        ("=?utf-8?b?w6RuZGVydW5n?=", "nderung"),  # base64 shows no octet of it
        ("\u212aelvin", "kelvin"),  # the kelvin sign folds to k
        ("=?iso-8859-1?q?a=62c?=", "abc"),
        ("one\r\n two", "one two"),
        ('say "x\\y"', 'say "x\\y"'),
    ],
)
async def test_text_that_looks_different_in_the_envelope(subject: str, text: str) -> None:
    texts = Texts([mail(subject), mail("zzz")])
    page = Page(*(array(kind, [1, 2]) if kind else b"\0\0" for kind in ("I", "", "Q", "Q")),
                array("Q", [1001, 1002]), array("I", [1, 2]), array("q", [1, 2]), array("I", [1, 2]))  # fmt: skip
    found = await search(
        header("SUBJECT", text),
        Scene(Snapshot(1, 1, 3, 3, [page]), (), NOW),
        texts,  # type: ignore[arg-type]
        Pace(StillClock()),
    )
    assert found.seqs() == [1]


@pytest.mark.parametrize(
    ("key", "dates"),
    [
        (SearchKey(Key.SINCE, number=2), [2 * DAY, 3 * DAY - 1, 3 * DAY]),
        (SearchKey(Key.BEFORE, number=2), [2 * DAY - 1]),
        (SearchKey(Key.ON, number=2), [2 * DAY, 3 * DAY - 1]),
        (SearchKey(Key.OLDER, number=NOW - 2 * DAY), [2 * DAY - 1, 2 * DAY]),
        (SearchKey(Key.YOUNGER, number=NOW - 2 * DAY), [2 * DAY, 3 * DAY - 1, 3 * DAY]),
    ],
)
def test_days_begin_at_midnight(key: SearchKey, dates: list[int]) -> None:
    all_dates = [2 * DAY - 1, 2 * DAY, 3 * DAY - 1, 3 * DAY]
    page = Page(*(array(kind, range(4)) if kind else bytes(4) for kind in ("I", "", "Q", "Q", "Q", "I")),
                array("q", all_dates), array("I", all_dates))  # fmt: skip
    test = column_test(key, Scene(Snapshot(1, 1, 9, 9, [page]), (), NOW))
    assert test is not None
    assert [when for when, hit in zip(all_dates, mask_octets(test(page, 1), 4), strict=True) if hit] == dates


async def test_a_large_message_is_searched_beside_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[int] = []
    matches = texts_room.body_contains

    def noted(*args: object) -> bool:
        threads.append(threading.get_ident())
        return matches(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(texts_room, "body_contains", noted)
    texts = Texts([mail("small", "needle"), mail("large", "hay " * 200_000 + "needle")])
    page = Page(*(array(kind, [1, 2]) if kind else b"\0\0" for kind in ("I", "", "Q", "Q")),
                array("Q", [1001, 1002]), array("I", [1, 2]), array("q", [1, 2]), array("I", [1, 2]))  # fmt: skip
    at = Scene(Snapshot(1, 1, 3, 3, [page]), (), NOW)
    found = await search(SearchKey(Key.BODY, text="needle"), at, texts, Pace(StillClock()))  # type: ignore[arg-type]
    assert found.seqs() == [1, 2]
    assert threads[0] == threading.get_ident() != threads[1]
