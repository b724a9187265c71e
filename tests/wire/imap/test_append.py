"""Commands that carry messages: APPEND, CATENATE, REPLACE; and the URLs of CATENATE."""

from __future__ import annotations

import contextlib
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.wire.imap import append, url
from postroom.wire.imap.commands import STAR, Append, AppendMessage, Attribute, Command, Flags
from postroom.wire.imap.errors import BadCommand, BadSyntax
from postroom.wire.imap.events import AppendData, AppendEnd, AppendStart, Continue, Line, Refused
from postroom.wire.imap.framer import Framer, FramerLimits
from postroom.wire.imap.scanner import Scanner
from postroom.wire.imap.table import parse
from wire.imap.test_framer import SMALL, drain, events_of, joined, kept

SEEN = Flags(1)
MANY = FramerLimits(literal=64, messages=10)


def test_catenate_in_pieces() -> None:
    """RFC 4469, example 1: URLs and literals in turn."""
    text = (
        b'a APPEND Drafts (\\Seen) CATENATE (URL "/Drafts/;UID=20/;section=HEADER" TEXT {3+}\r\nabc'
        b' URL "/Drafts/;UID=20/;section=1.MIME" URL /x/;UID=1 TEXT {0+}\r\n TEXT {2+}\r\nde'
        b' URL "/y/;UID=3")\r\nb NOOP\r\n'
    )
    piece = AppendMessage(SEEN, None, 3, catenate=True)
    assert events_of(text, MANY) == [
        AppendStart(b"a", "Drafts", 0, piece, False, ((0, "/Drafts/;UID=20/;section=HEADER"),)),
        AppendData(b"abc"),
        AppendEnd(0, complete=False),
        AppendStart(
            b"a",
            "Drafts",
            0,
            AppendMessage(SEEN, None, 0, catenate=True),
            False,
            ((0, "/Drafts/;UID=20/;section=1.MIME"), (0, "/x/;UID=1")),
        ),
        AppendEnd(0, complete=False),
        AppendStart(b"a", "Drafts", 0, AppendMessage(SEEN, None, 2, catenate=True), False),
        AppendData(b"de"),
        AppendEnd(0, complete=False),
        Command(
            b"a",
            "APPEND",
            Append("Drafts", (AppendMessage(SEEN, None, 2, catenate=True),), None, ((0, "/y/;UID=3"),)),
        ),
        Line(b"b NOOP"),
    ]


def test_catenate_among_other_messages() -> None:
    text = b"a APPEND x CATENATE (URL u1) {2+}\r\nhi (\\Seen) CATENATE (TEXT {1+}\r\nq) CATENATE (URL u2)\r\n"
    events = events_of(text)
    assert events[0] == AppendStart(b"a", "x", 1, AppendMessage(Flags(), None, 2), False, ((0, "u1"),))
    assert events[3] == AppendStart(b"a", "x", 2, AppendMessage(SEEN, None, 1, catenate=True), False)
    last = events[-1]
    assert isinstance(last, Command)
    assert isinstance(last.args, Append)
    assert (len(last.args.messages), last.args.urls) == (4, ((3, "u2"),))


def test_urls_and_names_as_literals() -> None:
    """They are part of the command, wherever they stand."""
    events = events_of(
        b"a APPEND {3}\r\nfoo CATENATE (URL {9}\r\n/x/;UID=1 TEXT {1+}\r\nq URL {9+}\r\n/y/;UID=2 TEXT {1+}\r\nr)\r\n",
        MANY,
    )
    piece = AppendMessage(Flags(), None, 1, catenate=True)
    assert events == [
        Continue(3),
        Continue(9),
        AppendStart(b"a", "foo", 0, piece, False, ((0, "/x/;UID=1"),)),
        AppendData(b"q"),
        AppendEnd(0, complete=False),
        AppendStart(b"a", "foo", 0, piece, False, ((0, "/y/;UID=2"),)),
        AppendData(b"r"),
        AppendEnd(0, complete=False),
        Command(b"a", "APPEND", Append("foo", (piece,))),
    ]


def test_a_mailbox_called_url() -> None:
    [event, *_] = events_of(b"a APPEND URL {3+}\r\nabc\r\n")
    assert event == AppendStart(b"a", "URL", 0, AppendMessage(Flags(), None, 3), False)


@pytest.mark.parametrize(
    ("begin", "name", "number"),
    [(b"REPLACE 4", "REPLACE", 4), (b"uid replace 2000", "UID REPLACE", 2000), (b"REPLACE *", "REPLACE", STAR)],
)
def test_replace(begin: bytes, name: str, number: int) -> None:
    events = events_of(b"a " + begin + b" Drafts (\\Seen) {3+}\r\nabc\r\n")
    message = AppendMessage(SEEN, None, 3)
    assert events[0] == AppendStart(b"a", "Drafts", 0, message, False, (), name, number)
    assert events[-1] == Command(b"a", name, Append("Drafts", (message,), number))


@pytest.mark.parametrize(
    "text",
    [
        b"a REPLACE 1 x {1+}\r\na {1+}\r\nb\r\n",  # RFC 8508 4.7
        b"a REPLACE 1:2 x {1+}\r\na\r\n",
        b"a REPLACE 0 x {1+}\r\na\r\n",
        b"a REPLACE x {1+}\r\na\r\n",
        b"a APPEND x CATENATE {1+}\r\na\r\n",
        b"a APPEND x CATENATE ({1+}\r\na)\r\n",
        b"a APPEND x CATENATE (TEXT{1+}\r\na)\r\n",
        b"a APPEND x CATENATE (TEXT {1+}\r\na URL)\r\n",
        b"a APPEND x CATENATE (TEXT {1+}\r\na\r\n",
        b"a APPEND x CATENATE (TEXT {1+}\r\na))\r\n",
        b"a APPEND x CATENATE (TEXT {1+}\r\naURL x)\r\n",
        b"a APPEND x CATENATE (FILE {1+}\r\na)\r\n",
        b"a APPEND x CATENATE (URL \xc3\xa4 TEXT {1+}\r\na)\r\n",
        b"a APPEND x CATENATE (TEXT {1+}\r\na URL {3+}\r\n\xc3\xa4x)\r\n",
    ],
)
def test_wrong(text: bytes) -> None:
    events = events_of(text + b"b NOOP\r\n")
    [refused] = [event for event in events if isinstance(event, Refused)]
    assert (refused.tag, refused.status) == (b"a", b"BAD")
    assert events[-1] == Line(b"b NOOP")


@pytest.mark.parametrize(
    "text",
    [
        "APPEND x",
        "APPEND x (\\Seen)",
        "APPEND x CATENATE ()",
        "APPEND x CATENATE (TEXT abc)",
        "REPLACE 1 x",
        "APPEND x CATENATE (URL)",
    ],
)
def test_lines_without_a_message(text: str) -> None:
    with pytest.raises(BadCommand):
        parse(Line(b"a " + text.encode()))


def test_a_line_of_urls_alone() -> None:
    command = parse(Line(b'a APPEND x (\\Seen) CATENATE (URL "u1" URL u2) CATENATE (URL u3)'))
    message = AppendMessage(SEEN, None, 0, catenate=True)
    other = AppendMessage(Flags(), None, 0, catenate=True)
    assert command.args == Append("x", (message, other), None, ((0, "u1"), (0, "u2"), (1, "u3")))


def test_too_many_pieces() -> None:
    text = b"a APPEND x CATENATE (TEXT {1+}\r\na URL u URL u URL u TEXT {1+}\r\nb)\r\nb NOOP\r\n"
    events = events_of(text)  # three, here
    assert any(isinstance(event, Refused) and event.code == b"LIMIT" for event in events)
    assert events[-1] == Line(b"b NOOP")


PIECES = st.sampled_from(
    [
        b"a NOOP\r\n",
        b"a APPEND x CATENATE (TEXT {3+}\r\nabc",
        b"a UID REPLACE 3 x (\\Seen) {2+}\r\nhi\r\n",
        b" URL {2+}\r\nu1",
        b" URL u2",
        b" TEXT {4}\r\nabcd",
        b" TEXT {0+}\r\n",
        b")\r\n",
        b") {2+}\r\nhi\r\n",
        b"\r\n",
        b"{7+}\r\n",
    ]
)


@given(st.lists(PIECES, max_size=8).map(b"".join), st.lists(st.integers(0, 300), max_size=8), st.booleans())
def test_cuts_do_not_matter(stream: bytes, cuts: list[int], refuse: bool) -> None:
    edges = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    framer = Framer(SMALL)
    events: list[object] = []
    for start, end in pairwise(edges):
        framer.feed(stream[start:end])
        events += drain(framer, refuse=refuse)
    assert kept(joined(events)) == kept(events_of(stream, refuse=refuse))


@pytest.mark.parametrize(
    ("text", "mailbox", "uidvalidity", "uid", "label", "partial"),
    [
        ("/Drafts;UIDVALIDITY=385759045/;UID=20/;section=HEADER", "Drafts", 385759045, 20, b"BODY[HEADER]", None),
        ("/Drafts/;UID=20", "Drafts", None, 20, b"BODY[]", None),
        ("/Lists/%C3%89t%C3%A9/;uid=7/;SECTION=1.2.MIME", "Lists/Été", None, 7, b"BODY[1.2.MIME]", None),
        (";UID=7/;SECTION=TEXT/;PARTIAL=5.10", None, None, 7, b"BODY[TEXT]", (5, 10)),
        ("/;UID=7", None, None, 7, b"BODY[]", None),
        ("/inbox/;UID=1/;SECTION=HEADER.FIELDS%20(Subject)", "INBOX", None, 1, b"BODY[HEADER.FIELDS (Subject)]", None),
    ],
)
def test_urls(text: str, mailbox: str, uidvalidity: int, uid: int, label: bytes, partial: tuple[int, int]) -> None:
    found = url.parse(text)
    assert (found.mailbox, found.uidvalidity, found.uid) == (mailbox, uidvalidity, uid)
    assert (found.item.attribute, found.item.label, found.item.partial) == (Attribute.SECTION, label, partial)
    assert found.item.peek


@pytest.mark.parametrize(
    "text",
    [
        "",
        "imap://example.org/Drafts/;UID=20",
        "//example.org/Drafts/;UID=20",
        "/Drafts",
        "/Drafts/;UID=0",
        "/Drafts/;UID=99999999999",
        "/Drafts/;UID=1/;SECTION=NONE",
        "/Drafts/;UID=1/;SECTION=1]",
        "/Drafts%00/;UID=1",
        "/%FF/;UID=1",
        "/Drafts/;UID=1;URLAUTH=anonymous",
        "/Drafts/;UID=1/;PARTIAL=1.0",
    ],
)
def test_other_urls(text: str) -> None:
    with pytest.raises(BadSyntax):
        url.parse(text)


@given(st.text("/;UIDSECTION=1.%20[]", max_size=40))
def test_any_url_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(BadSyntax):
        url.parse(text)


NAMES = ("x", "INBOX", "inbox", '"x y"', "a/b", '"a/b c"', "~x", "&AOQ-", '"&AOQ-"', '"a\\"b"', "x)", '""', "URL")
FLAG_LISTS = ("", "() ", "(\\Seen) ", "(\\seen $Forwarded \\Deleted) ", "(\\Recent) ", "(\\Seen ) ", "(a(b) ", "( a) ")
DATES = ("", '"01-Jan-2024 10:01:02 +0000" ', '" 1-feb-2024 23:59:60 -0730" ', '"31-Feb-2024 10:01:02 +0000" ', '"x" ')


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("flags", FLAG_LISTS)
@pytest.mark.parametrize("date", DATES)
def test_the_usual_form_is_read_as_any_other(name: str, flags: str, date: str) -> None:
    """What the quick way takes, the whole grammar takes too, and makes the same of it."""
    for text in (f"a1 APPEND {name} {flags}{date}", f"a1 append {name} {date}{flags}", f"a1 APPEND {name}  {flags}"):
        announced = append.Announced(5, sync=False, binary=False)
        quick = append.usual(text.encode(), announced)
        scanner = Scanner(text.encode(), pos=len("a1 APPEND"))
        try:
            whole = append.start(scanner, b"a1", "APPEND")
            append.go_on(whole, scanner, announced)
        except BadSyntax:
            assert quick is None
        else:
            assert quick is None or quick == whole
            assert quick is not None or any(odd in name for odd in "~&\\)") or name == '""'
