"""Responses as the RFCs print them."""

from __future__ import annotations

from array import array
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.values.flags import FLAGGED, POP3_HIDDEN, SEEN
from postroom.wire.imap import dates, response, rows
from postroom.wire.imap.commands import Attribute, Item
from postroom.wire.imap.errors import BadSyntax
from postroom.wire.imap.events import Refused
from postroom.wire.imap.fetch import fetch
from postroom.wire.imap.response import Found, Listed
from postroom.wire.imap.scanner import Scanner


@pytest.mark.parametrize(
    ("printed", "expected"),
    [
        (response.ok(b"A1", "done"), b"A1 OK done"),
        (response.ok(b"*", "ready", response.number_code(b"UIDNEXT", 7)), b"* OK [UIDNEXT 7] ready"),
        (response.no(b"a", "no such mailbox", b"TRYCREATE"), b"a NO [TRYCREATE] no such mailbox"),
        (response.bad(b"a", "f\u00e9"), b"a BAD f?"),
        (response.bye("bye", b"UNAVAILABLE"), b"* BYE [UNAVAILABLE] bye"),
        (response.refused(Refused(b"t", "too long", code=b"TOOBIG")), b"t BAD [TOOBIG] too long"),
        (response.refused(Refused(b"", "x")), b"* BAD x"),
        (response.challenge(b"abcd"), b"+ abcd"),
        (
            response.ok(b"A003", "done", response.appenduid(38505, [(3955, 3955)])),
            b"A003 OK [APPENDUID 38505 3955] done",
        ),
        (
            response.ok(b"A", "done", response.copyuid(38505, [(304, 304), (319, 320)], [(3956, 3958)])),
            b"A OK [COPYUID 38505 304,319:320 3956:3958] done",
        ),
        (response.ok(b"d105", "done", response.modified([(7, 7), (9, 9)])), b"d105 OK [MODIFIED 7,9] done"),
        (response.permanent_flags([b"\\Deleted", b"\\*"]), b"PERMANENTFLAGS (\\Deleted \\*)"),
        (response.capability(("IMAP4rev2", "IDLE")), b"* CAPABILITY IMAP4rev2 IDLE"),
        (response.ok(b"a", "in", response.capability_code(("A", "B"))), b"a OK [CAPABILITY A B] in"),
        (response.enabled(("CONDSTORE",)), b"* ENABLED CONDSTORE"),
        (response.enabled(()), b"* ENABLED"),
        (response.exists(23), b"* 23 EXISTS"),
        (response.recent(5), b"* 5 RECENT"),
        (response.flags([b"\\Seen", b"$Junk"]), b"* FLAGS (\\Seen $Junk)"),
        (response.expunge(44), b"* 44 EXPUNGE"),
        (response.expunges([3, 5, 8]), b"* 8 EXPUNGE\r\n* 5 EXPUNGE\r\n* 3 EXPUNGE"),
        (response.vanished([(405, 407), (411, 411)]), b"* VANISHED 405:407,411"),
        (response.vanished([(41, 41), (43, 116)], True), b"* VANISHED (EARLIER) 41,43:116"),
        (response.namespace(), b'* NAMESPACE (("" "/")) NIL NIL'),
        (response.identification({"name": "Postroom", "os": None}), b'* ID ("name" "Postroom" "os" NIL)'),
        (response.identification({}), b"* ID NIL"),
        (
            response.status("blurdybloop", (("MESSAGES", 231), ("UIDNEXT", 44292))),
            b'* STATUS "blurdybloop" (MESSAGES 231 UIDNEXT 44292)',
        ),
        (response.status("INBOX", (("APPENDLIMIT", None),)), b'* STATUS "INBOX" (APPENDLIMIT NIL)'),
        (
            response.quota("", (("STORAGE", 10, 512), ("MESSAGE", 20, 100))),
            b'* QUOTA "" (STORAGE 10 512 MESSAGE 20 100)',
        ),
        (response.quotaroot("INBOX", ("",)), b'* QUOTAROOT "INBOX" ""'),
        (response.quotaroot("comp", ()), b'* QUOTAROOT "comp"'),
        (response.search([2, 84, 882]), b"* SEARCH 2 84 882"),
        (response.search(array("I", [2, 5]), 917162500), b"* SEARCH 2 5 (MODSEQ 917162500)"),
        (response.search([], 5), b"* SEARCH"),
        (response.esearch(b"A282", Found(least=2, count=3)), b'* ESEARCH (TAG "A282") MIN 2 COUNT 3'),
        (response.esearch(b"A283", Found(all=((2, 2), (10, 11)))), b'* ESEARCH (TAG "A283") ALL 2,10:11'),
        (response.esearch(b"A", Found(uid=True, all=())), b'* ESEARCH (TAG "A") UID'),
        (
            response.esearch(b"a", Found(uid=True, most=9, modseq=917162500)),
            b'* ESEARCH (TAG "a") UID MAX 9 MODSEQ 917162500',
        ),
        (response.esearch(b"a\\", Found(count=0)), b'* ESEARCH (TAG "a\\\\") COUNT 0'),
    ],
)
def test_responses(printed: bytes, expected: bytes) -> None:
    assert printed == expected + b"\r\n"[: 2 * printed.endswith(b"\r\n")]


def test_empty_vanished_is_nothing() -> None:
    assert response.vanished([]) == b""


@pytest.mark.parametrize(
    ("entry", "utf8", "expected"),
    [
        (Listed(mailbox="INBOX"), False, b'LIST () "/" "INBOX"'),
        (Listed(mailbox="", attributes=("\\Noselect",), delimiter="/"), False, b'LIST (\\Noselect) "/" ""'),
        (Listed(mailbox="x", delimiter=None), False, b'LIST () NIL "x"'),
        (
            Listed(mailbox="Foo", attributes=("\\HasChildren", "\\Sent"), childinfo=("SUBSCRIBED",)),
            False,
            b'LIST (\\HasChildren \\Sent) "/" "Foo" ("CHILDINFO" ("SUBSCRIBED"))',
        ),
        (Listed(mailbox="New", oldname="Old"), False, b'LIST () "/" "New" ("OLDNAME" ("Old"))'),
        (Listed(mailbox="Entw\u00fcrfe"), False, b'LIST () "/" "Entw&APw-rfe"'),
        (Listed(mailbox="Entw\u00fcrfe & x"), True, b'LIST () "/" "Entw\xc3\xbcrfe & x"'),
        (Listed(mailbox='a"b\\c'), False, b'LIST () "/" "a\\"b\\\\c"'),
    ],
)
def test_list(entry: Listed, utf8: bool, expected: bytes) -> None:
    assert response.listed(entry, utf8) == b"* " + expected + b"\r\n"
    assert response.listed(entry, utf8, b"LSUB") == b"* LSUB" + expected[4:] + b"\r\n"


# -- FETCH ----------------------------------------------------------------------------------------------------------
TEXTS = ("$Junk", "$Forwarded", "work")


def test_flag_rows() -> None:
    flags, keywords = bytes([0, SEEN | POP3_HIDDEN, FLAGGED]), array("Q", [0, 0b101, 0b10])
    texts = rows.FlagTexts(TEXTS)
    form = rows.RowFormat((Attribute.UID, Attribute.FLAGS))
    assert form.rows(range(7, 10), (array("I", [20, 30, 40]), texts.column(flags, keywords)), 3) == (
        b"* 7 FETCH (UID 20 FLAGS ())\r\n"
        b"* 8 FETCH (UID 30 FLAGS (\\Seen $Junk work))\r\n"
        b"* 9 FETCH (UID 40 FLAGS (\\Flagged $Forwarded))\r\n"
    )
    assert list(texts.column(flags, array("Q", [0, 0, 0]))) == [b"", b"\\Seen", b"\\Flagged"]
    assert rows.flags_row(3, 9, b"\\Seen", 77) == b"* 3 FETCH (UID 9 FLAGS (\\Seen) MODSEQ (77))\r\n"
    assert rows.flags_row(3, None, b"") == b"* 3 FETCH (FLAGS ())\r\n"


def test_rows_of_every_column() -> None:
    asked = fetch(Scanner(b" 1 (UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODY BODYSTRUCTURE MODSEQ)"))
    form = rows.RowFormat.of(asked.items)
    assert form is not None
    columns = ([5], [b"\\Seen"], rows.dates([837596665]), [44827], [b"(E %d)"], [b"(B)"], [b"(S)"], [9])
    printed = form.rows([12], columns, 1)
    assert printed == (
        b'* 12 FETCH (UID 5 FLAGS (\\Seen) INTERNALDATE "17-Jul-1996 09:44:25 +0000" RFC822.SIZE 44827 '
        b"ENVELOPE (E %d) BODY (B) BODYSTRUCTURE (S) MODSEQ (9))\r\n"
    )
    words = [rows.item_text(item, column[0]) for item, column in zip(asked.items, columns, strict=True)]
    assert rows.single(12, words) == printed


def test_sections_are_no_columns() -> None:
    assert rows.RowFormat.of(fetch(Scanner(b" 1 (UID BODY[])")).items) is None


def test_columns_of_wrong_length() -> None:
    form = rows.RowFormat((Attribute.UID,))
    with pytest.raises(ValueError, match="shorter"):
        form.rows([1, 2], ([5],), 2)
    with pytest.raises(ValueError, match="long"):
        form.rows([1], ([5],), 2)


def test_sections() -> None:
    item = Item(Attribute.SECTION, label=b"BODY[TEXT]", partial=(100, 50))
    assert rows.literal_item(item, 12) == b"BODY[TEXT]<100> {12}\r\n"
    binary = Item(Attribute.BINARY, (1,), label=b"BINARY[1]")
    assert rows.literal_item(binary, 3, binary=True) == b"BINARY[1] ~{3}\r\n"
    assert rows.nil_item(binary) == b"BINARY[1] NIL"


# -- dates ----------------------------------------------------------------------------------------------------------
@given(st.lists(st.integers(-62135596800, 253402300799), max_size=5))
def test_dates_come_back(seconds: list[int]) -> None:
    for value, printed in zip(seconds, dates.print_date_times(seconds), strict=True):
        when = datetime.fromtimestamp(value, UTC)
        assert printed == f'"{when.day:2}-{when:%b}-{when.year:04} {when:%H:%M:%S} +0000"'.encode()
        assert dates.parse_date_time(printed.strip(b'"')) == value


def test_dates_that_no_calendar_has() -> None:
    assert dates.print_date_time(-(10**15)) == b'" 1-Jan-0001 00:00:00 +0000"'
    assert dates.print_date_time(10**15) == b'"31-Dec-9999 23:59:59 +0000"'
    assert dates.parse_date_time(b"17-Jul-1996 02:44:25 -0700") == 837596665
    for wrong in (b"17-Jul-1996 24:44:25 -0700", b"32-Jul-1996 02:44:25 -0700", b"x", b"17-Jul-1996 02:44:25 -0760"):
        with pytest.raises(BadSyntax):
            dates.parse_date_time(wrong)
