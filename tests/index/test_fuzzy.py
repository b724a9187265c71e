"""Words that are nearly the wanted ones: how alike they are, and what comes first."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from index_house import add, filled, found, keep

from postroom.index.fuzzy import question
from postroom.index.likeness import BEGINS, FORM, ONE_SLIP, SAME, TWO_SLIPS, WITHIN, likeness, slips
from postroom.index.lookup import rank_all
from postroom.index.segment import BODY_FIELDS, TEXT_FIELDS
from postroom.message.folding import fold
from postroom.store.memory import MemoryStore
from postroom.wire.imap.commands import Key, SearchKey


@pytest.mark.parametrize(
    ("wanted", "word", "alike"),
    [
        ("invoice", "invoice", SAME),
        ("invoice", "invoices", FORM),
        ("fort", "fortress", BEGINS),
        ("fort", "comfortable", WITHIN),
        ("recieve", "receive", ONE_SLIP),
        ("helo", "hello", ONE_SLIP),
        ("helo", "help", ONE_SLIP),
        ("meating", "meeting", ONE_SLIP),
        ("accomodation", "accommodation", ONE_SLIP),
        ("definately", "definitely", ONE_SLIP),
        ("acommodaton", "accommodation", TWO_SLIPS),
        ("cat", "bat", 0.0),
        ("4711", "4712", 0.0),
        ("invoice", "voices", 0.0),
        ("сообщение", "сообшение", ONE_SLIP),
    ],
)
def test_likeness(wanted: str, word: str, alike: float) -> None:
    assert likeness(wanted, word) == alike


def naive(one: str, other: str) -> int:
    """Optimal string alignment by its definition."""
    rows = [[0] * (len(other) + 1) for _ in range(len(one) + 1)]
    for at in range(len(one) + 1):
        for to in range(len(other) + 1):
            if not at or not to:
                rows[at][to] = at + to
                continue
            cost = min(
                rows[at - 1][to] + 1, rows[at][to - 1] + 1, rows[at - 1][to - 1] + (one[at - 1] != other[to - 1])
            )
            if at > 1 and to > 1 and one[at - 1] == other[to - 2] and one[at - 2] == other[to - 1]:
                cost = min(cost, rows[at - 2][to - 2] + 1)
            rows[at][to] = cost
    return rows[-1][-1]


@given(st.text("abc", max_size=9), st.text("abc", max_size=9), st.integers(0, 4))
def test_slips_are_counted(one: str, other: str, most: int) -> None:
    assert slips(one, other, most) == min(naive(one, other), most + 1)


def mail(subject: str, text: str) -> bytes:
    head = f"From: ann@example.org\r\nSubject: {subject}\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
    return f"{head}{text}\r\n".encode()


MESSAGES = [
    mail("Accommodation in Zürich", "the hotel is booked"),
    mail("Travel", "the acommodation is dear; the accommodation office"),
    mail("Lunch", "the canteen is open"),
    mail("Hotels", "the list of hotels and the canteen"),
    mail("会议", "我们今天下午开会讨论项目预算"),
]


async def ranking(wanted: str, fields: tuple[int, ...] = TEXT_FIELDS) -> list[int]:
    account = await filled(MESSAGES)
    await keep(account)
    scores = (await rank_all(account.index, wanted, fields)).scores
    return sorted(scores, key=lambda message: -scores[message])


async def test_what_fits_best_comes_first() -> None:
    assert await ranking("accommodation") == [1, 2]
    assert await ranking("accomodation") == [1, 2]
    assert await ranking("acommodation", BODY_FIELDS) == [2]
    assert await ranking("hotel") == [4, 1]
    assert (await ranking("the canteen"))[:2] in ([3, 4], [4, 3])
    assert (await ranking("the hotel in zurich"))[0] == 1
    assert await ranking("项目预算") == [5]
    assert await ranking("nothing") == []
    assert await ranking("--") == []


async def test_words_that_are_everywhere_decide_nothing() -> None:
    account = await filled(MESSAGES)
    await keep(account)
    ranked = await rank_all(account.index, "the canteen", TEXT_FIELDS)
    assert ranked.words["the"] < ranked.words["canteen"]
    assert set(ranked.scores) == {3, 4}


async def test_new_messages_are_ranked_like_the_others() -> None:
    store = MemoryStore()
    account = await filled(MESSAGES[:2], store)
    await keep(account)
    await add(store, MESSAGES[2:])
    for kind, wanted, uids in (
        (Key.TEXT, "cantene", [3, 4]),
        (Key.TEXT, "kantine", []),
        (Key.TEXT, "canten", [3, 4]),
        (Key.TEXT, "accomodation", [1, 2]),
        (Key.BODY, "hotels", [1, 4]),
        (Key.BODY, "hotel", [1, 4]),
    ):
        key = SearchKey(Key.FUZZY, keys=(SearchKey(kind, text=wanted),))
        assert await found(account, key) == uids, wanted
    unindexed = await filled(MESSAGES)
    key = SearchKey(Key.FUZZY, keys=(SearchKey(Key.TEXT, text="accomodation"),))
    assert await found(unindexed, key) == [1, 2]
    key = SearchKey(Key.FUZZY, keys=(SearchKey(Key.HEADER, name="Subject", text="accomodation"),))
    for which in (account, unindexed):
        assert await found(which, key) == [1]


@given(st.lists(st.text(max_size=12), min_size=1, max_size=4), st.text(max_size=20))
async def test_any_question_is_answered(texts: list[str], wanted: str) -> None:
    account = await filled([mail("s", " ".join(each.split())) for each in texts])
    await keep(account)
    ranked = await rank_all(account.index, wanted, TEXT_FIELDS)
    assert all(0 < score <= 1 for score in ranked.scores.values())
    assert len(question(fold(wanted))) <= 24


async def test_long_questions_and_long_words_are_bounded() -> None:
    account = await filled([mail("s", "x" * 5000 + " " + " ".join(f"word{number}" for number in range(3000)))])
    await keep(account)
    ranked = await rank_all(account.index, " ".join(f"word{number}" for number in range(500)), TEXT_FIELDS)
    assert len(ranked.words) == 24
    assert ranked.scores
    assert (await rank_all(account.index, "x" * 4000, TEXT_FIELDS)).scores
