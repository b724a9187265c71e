"""The grammar of SORT, THREAD and PARTIAL, and their responses."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.wire.imap.commands import Key, SearchKey, Sort, SortBy, SortCriterion, Thread, ThreadBy
from postroom.wire.imap.errors import BadCharset, BadCommand
from postroom.wire.imap.events import Line
from postroom.wire.imap.response import Found, esearch
from postroom.wire.imap.sequence import runs_of
from postroom.wire.imap.sort import ThreadPrinter, sorted_response, thread_response
from postroom.wire.imap.table import parse

EVERY = SearchKey(Key.ALL)


def args(text: str) -> object:
    return parse(Line(b"a " + text.encode(), ())).args


def test_sort() -> None:
    found = args("SORT (SUBJECT REVERSE DATE) UTF-8 ALL")
    assert isinstance(found, Sort)
    assert found.criteria == (SortCriterion(SortBy.SUBJECT), SortCriterion(SortBy.DATE, True))
    assert found.search.key == EVERY
    assert found.search.returns is None
    uid = args('uid sort return (partial -1:-5 count) (reverse displayfrom displayto) "us-ascii" since 1-feb-1994 seen')
    assert isinstance(uid, Sort)
    assert uid.criteria == (SortCriterion(SortBy.DISPLAYFROM, True), SortCriterion(SortBy.DISPLAYTO))
    assert uid.search.returns == ("PARTIAL", "COUNT")
    assert uid.search.partial == (-1, -5)
    assert uid.search.key.key is Key.AND
    empty = args("SORT RETURN () (ARRIVAL CC FROM SIZE TO) US-ASCII 1:*")
    assert isinstance(empty, Sort)
    assert empty.search.returns == ("ALL",)


def test_thread() -> None:
    found = args("THREAD ORDEREDSUBJECT UTF-8 SINCE 5-MAR-2000")
    assert isinstance(found, Thread)
    assert found.by is ThreadBy.ORDEREDSUBJECT
    uid = args("UID THREAD references US-ASCII TEXT gewp")
    assert isinstance(uid, Thread)
    assert uid.by is ThreadBy.REFERENCES
    assert uid.search.key == SearchKey(Key.TEXT, text="gewp")


@pytest.mark.parametrize(
    "text",
    [
        "SORT",
        "SORT ()",
        "SORT () UTF-8 ALL",
        "SORT (DATE)",
        "SORT (DATE) UTF-8",
        "SORT (DATE)  UTF-8 ALL",
        "SORT (REVERSE) UTF-8 ALL",
        "SORT (REVERSE REVERSE DATE) UTF-8 ALL",
        "SORT (SPAM) UTF-8 ALL",
        "SORT (DATE ) UTF-8 ALL",
        "SORT DATE UTF-8 ALL",
        "SORT RETURN (DATE) UTF-8 ALL",
        "SORT RETURN (ALL PARTIAL 1:2) (DATE) UTF-8 ALL",
        "SORT RETURN (PARTIAL 1:2 PARTIAL 3:4) (DATE) UTF-8 ALL",
        "SORT RETURN (PARTIAL) (DATE) UTF-8 ALL",
        "SORT RETURN (PARTIAL 1:-2) (DATE) UTF-8 ALL",
        "SORT RETURN (PARTIAL 0:2) (DATE) UTF-8 ALL",
        "SORT RETURN (PARTIAL 1:*) (DATE) UTF-8 ALL",
        "SORT RETURN (PARTIAL 1) (DATE) UTF-8 ALL",
        "SORT RETURN (PARTIAL 1:4294967296) (DATE) UTF-8 ALL",
        f"SORT ({' '.join(['DATE'] * 51)}) UTF-8 ALL",
        "THREAD REFS UTF-8 ALL",
        "THREAD REFERENCES UTF-8",
        "THREAD REFERENCES ALL",
        "THREAD",
    ],
)
def test_bad_ones(text: str) -> None:
    with pytest.raises(BadCommand):
        args(text)


def test_unknown_charset() -> None:
    with pytest.raises(BadCharset):
        args("SORT (DATE) KLINGON ALL")
    with pytest.raises(BadCharset):
        args("THREAD REFERENCES KLINGON ALL")


WHOLE = b"a UID SORT RETURN (PARTIAL 1:5 COUNT SAVE) (REVERSE SUBJECT DATE) UTF-8 OR FROM x (UNSEEN SUBJECT y)"


@given(st.integers(0, len(WHOLE)), st.binary(max_size=3), st.integers(0, 5))
def test_cut_anywhere(at: int, junk: bytes, skip: int) -> None:
    text = WHOLE[:at] + junk.replace(b"\r", b"").replace(b"\n", b"") + WHOLE[at + skip :]
    try:
        command = parse(Line(text, ()))
    except BadCommand as fault:
        assert fault.tag == b"*" or text.startswith(fault.tag + b" ") or fault.tag == text
    else:
        assert text.startswith(command.tag + b" ")


def test_responses() -> None:
    assert sorted_response(b"") == b"* SORT\r\n"
    assert sorted_response(b"5 3 4 1 2") == b"* SORT 5 3 4 1 2\r\n"
    assert sorted_response(b"2 1", 7) == b"* SORT 2 1 (MODSEQ 7)\r\n"
    assert thread_response(b"") == b"* THREAD\r\n"
    assert thread_response(b"(1)(2 3)") == b"* THREAD (1)(2 3)\r\n"
    found = Found(uid=True, all=runs_of([23765, 23764, 23763, 23761]))
    assert esearch(b"E01", found) == b'* ESEARCH (TAG "E01") UID ALL 23765,23764,23763,23761\r\n'
    partial = Found(uid=True, partial=((-1, -100), ((1, 3), (7, 7))))
    assert esearch(b"A", partial) == b'* ESEARCH (TAG "A") UID PARTIAL (-1:-100 1:3,7)\r\n'
    nothing = Found(partial=((24000, 24500), ()))
    assert esearch(b"A", nothing) == b'* ESEARCH (TAG "A") PARTIAL (24000:24500 NIL)\r\n'


@given(st.lists(st.integers(1, 20), unique=True))
def test_ranges_keep_the_order(numbers: list[int]) -> None:
    ranges = runs_of(numbers)
    assert [number for low, high in ranges for number in range(low, high + 1)] == numbers
    assert all(low <= high for low, high in ranges)


def test_rfc5256_4_example() -> None:
    # (2)(3 6 (4 23)(44 7 96)): nodes in the order of their numbers here
    numbers = [2, 3, 6, 4, 23, 44, 7, 96]
    first = [-1, 2, 3, 4, -1, 6, 7, -1]
    following = [-1, -1, -1, 5, -1, -1, -1, -1]
    assert ThreadPrinter(numbers, first, following).threads([0, 1]) == b"(2)(3 6 (4 23)(44 7 96))"
    assert ThreadPrinter([3, 5], [-1, -1, 0], [1, -1, -1]).threads([2]) == b"((3)(5))"
