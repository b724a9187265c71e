"""The framer: boundaries, limits, and that cuts do not matter."""

from __future__ import annotations

import tracemalloc
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.wire.imap.commands import Append, AppendMessage, Command, Flags
from postroom.wire.imap.events import (
    AppendData,
    AppendEnd,
    AppendStart,
    Continue,
    Line,
    RawLine,
    Refused,
)
from postroom.wire.imap.framer import Framer, FramerLimits

SMALL = FramerLimits(line=1024, literal=64, nonsync=None, messages=3)


def drain(framer: Framer, *, refuse: bool = False) -> list[object]:
    """All events; messages of APPEND are accepted (or refused)."""
    events: list[object] = []
    while (event := framer.next_event()) is not None:
        if isinstance(event, AppendData) and events and isinstance(events[-1], AppendData):
            events[-1] = AppendData(events[-1].data + event.data)
        else:
            events.append(event)
        if isinstance(event, AppendStart):
            framer.refuse() if refuse else framer.accept()
    return events


def events_of(stream: bytes, limits: FramerLimits = SMALL, *, refuse: bool = False) -> list[object]:
    framer = Framer(limits)
    framer.feed(stream)
    return drain(framer, refuse=refuse)


def test_pipelined_lines_come_one_by_one() -> None:
    framer = Framer()
    framer.feed(b"a NOOP\r\nb NOOP\r\nc NO")
    assert framer.next_event() == Line(b"a NOOP")
    assert framer.pending
    assert framer.next_event() == Line(b"b NOOP")
    assert framer.next_event() is None
    framer.feed(b"OP\r\n")
    assert framer.next_event() == Line(b"c NOOP")


def test_rfc9051_4_3_literal_and_rfc7888_3_example() -> None:
    assert events_of(b"A001 LOGIN {11+}\r\nFRED FOOBAR {7+}\r\nfat man\r\n") == [
        Line(b"A001 LOGIN {11+}\r\n {7+}\r\n", (b"FRED FOOBAR", b"fat man"))
    ]
    assert events_of(b"A001 LOGIN {11}\r\nFRED FOOBAR {7}\r\nfat man\r\n") == [
        Continue(11),
        Continue(7),
        Line(b"A001 LOGIN {11}\r\n {7}\r\n", (b"FRED FOOBAR", b"fat man")),
    ]


def test_a_literal_is_never_a_command() -> None:
    assert events_of(b"a X {10+}\r\nb LOGOUT\r\n\r\nc NOOP\r\n") == [
        Line(b"a X {10+}\r\n", (b"b LOGOUT\r\n",)),
        Line(b"c NOOP"),
    ]


def test_lf_alone_ends_a_line_that_a_person_types() -> None:
    assert events_of(b"a NOOP\nb NOOP\n") == [Line(b"a NOOP"), Line(b"b NOOP")]


@pytest.mark.parametrize("length", [1024, 1025, 1026, 5000])
def test_long_line_is_answered_once_and_swallowed(length: int) -> None:
    stream = b"a NOOP " + b"x" * (length - 7) + b"\r\nb NOOP\r\n"
    first, second = events_of(stream)
    assert second == Line(b"b NOOP")
    assert (first == Line(stream[:length])) == (length == 1024)
    if length > 1024:
        assert isinstance(first, Refused)
        assert (first.tag, first.status, first.code) == (b"a", b"BAD", b"TOOBIG")


def test_long_line_that_announces_a_literal() -> None:
    stream = b"a X " + b"x" * 2000 + b" {12+}\r\nz LOGOUT\r\n\r\n more {3+}\r\nabc\r\nb NOOP\r\n"
    first, second = events_of(stream)
    assert isinstance(first, Refused)
    assert second == Line(b"b NOOP")
    # a synchronising one is not sent after the BAD (RFC 9051 4.3)
    first, second = events_of(b"a X " + b"x" * 2000 + b" {12}\r\nb NOOP\r\n")
    assert second == Line(b"b NOOP")


def test_text_after_literals_counts_for_the_limit() -> None:
    stream = b"a X " + b"x" * 600 + b" {1+}\r\na" + b"y" * 600 + b"\r\nb NOOP\r\n"
    first, second = events_of(stream)
    assert isinstance(first, Refused)
    assert (first.tag, second) == (b"a", Line(b"b NOOP"))


def test_huge_literals() -> None:
    refused, following = events_of(b"a LOGIN {999999999999}\r\nb NOOP\r\n")
    assert refused == Refused(b"a", "literals are longer than 64 octets", b"BAD", b"TOOBIG")
    assert following == Line(b"b NOOP")
    refused, following = events_of(b"a LOGIN {100+}\r\n" + b"\r\n" * 50 + b" {70+}\r\n" + b"x" * 70 + b"\r\nb NOOP\r\n")
    assert isinstance(refused, Refused)
    assert refused.pending == 100
    assert following == Line(b"b NOOP")
    refused, following = events_of(b"a X {60+}\r\n" + b"x" * 60 + b" {5}\r\nb NOOP\r\n")
    assert isinstance(refused, Refused)
    assert following == Line(b"b NOOP")


def test_nul_in_literal() -> None:
    refused, following = events_of(b"a LOGIN {3+}\r\na\0b x\r\nb NOOP\r\n")
    assert isinstance(refused, Refused)
    assert (refused.tag, following) == (b"a", Line(b"b NOOP"))


def test_literal_minus() -> None:
    limits = FramerLimits(nonsync=4096)
    assert events_of(b"a X {4096+}\r\n" + b"x" * 4096 + b"\r\n", limits)[0] == Line(b"a X {4096+}\r\n", (b"x" * 4096,))
    refused, following = events_of(b"a APPEND x {4097+}\r\n" + b"x" * 4097 + b"\r\nb NOOP\r\n", limits)
    assert isinstance(refused, Refused)
    assert refused.code == b"TOOBIG"  # RFC 7888 5
    assert following == Line(b"b NOOP")


MESSAGE = AppendMessage(Flags(1), None, 310)


def test_rfc9051_6_3_12_append() -> None:
    framer = Framer()
    framer.feed(b"A003 APPEND saved-messages (\\Seen) {310}\r\n")
    assert framer.next_event() == AppendStart(b"A003", "saved-messages", 0, MESSAGE, True)
    assert framer.next_event() is None
    framer.accept()
    framer.feed(b"x" * 300)
    assert framer.next_event() == AppendData(b"x" * 300)
    framer.feed(b"x" * 10 + b"\r\nb NOOP\r\n")
    assert drain(framer) == [
        AppendData(b"x" * 10),
        AppendEnd(0),
        Command(b"A003", "APPEND", Append("saved-messages", (MESSAGE,))),
        Line(b"b NOOP"),
    ]


def test_rfc3502_multiappend() -> None:
    stream = (
        b"A003 APPEND {5+}\r\nsaved (\\Seen) {4+}\r\none\n (\\Seen $Foo)"
        b' " 7-Feb-1994 22:43:04 -0800" ~{4+}\r\nt\0wo UTF8 (~{5+}\r\nthree)\r\n'
    )
    one = AppendMessage(Flags(1), None, 4)
    two = AppendMessage(Flags(1, ("$Foo",)), 760689784, 4, binary=True)
    three = AppendMessage(Flags(), None, 5, binary=True, utf8=True)
    assert events_of(stream) == [
        AppendStart(b"A003", "saved", 0, one, False),
        AppendData(b"one\n"),
        AppendEnd(0),
        AppendStart(b"A003", "saved", 1, two, False),
        AppendData(b"t\0wo"),
        AppendEnd(1),
        AppendStart(b"A003", "saved", 2, three, False),
        AppendData(b"three"),
        AppendEnd(2),
        Command(b"A003", "APPEND", Append("saved", (one, two, three))),
    ]


def test_refused_append_is_thrown_away() -> None:
    events = events_of(b"a APPEND x {9+}\r\nb LOGOUT\n (\\Seen) {3+}\r\nabc\r\nc NOOP\r\n", refuse=True)
    assert [type(event) for event in events] == [AppendStart, Line]
    events = events_of(b"a APPEND x {9}\r\nc NOOP\r\n", refuse=True)
    assert [type(event) for event in events] == [AppendStart, Line]


@pytest.mark.parametrize(
    ("stream", "status"),
    [
        (b"a APPEND x bad {3}\r\n", b"BAD"),
        (b"a APPEND x (\\Seen {3}\r\n", b"BAD"),
        (b'a APPEND x "1-Feb-1994" {3}\r\n', b"BAD"),
        (b'a APPEND x "31-Feb-1994 00:00:00 +0000" {3}\r\n', b"BAD"),
        (b"a APPEND x UTF8 ({3}\r\n", b"BAD"),
        (b"a APPEND x (\\Recent) {3}\r\n", b"BAD"),
        (b"a APPEND a&b {3}\r\n", b"NO"),
        (b"a APPEND x {0}\r\n", b"NO"),
        (b"a APPEND x {0+}\r\n\r\n", b"NO"),
        (b"a APPEND x bad {3+}\r\nabc\r\n", b"BAD"),
        (b"a APPEND x {3+}\r\nabc garbage\r\n", b"BAD"),
        (b"a APPEND x {3+}\r\nabc garbage {3}\r\n", b"BAD"),
        (b"a APPEND x {3+}\r\nabc garbage {3+}\r\nabc\r\n", b"BAD"),
        (b"a APPEND x UTF8 (~{3+}\r\nabc\r\n", b"BAD"),
        (b"a APPEND x UTF8 (~{3+}\r\nabc {3+}\r\nabc\r\n", b"BAD"),
        (b"a APPEND x {3+}\r\na\0b\r\n", b"BAD"),
        (b"a APPEND x {3+}\r\n\0bc\r\n", b"BAD"),
        (b"a APPEND x {1+}\r\na {1+}\r\nb {1+}\r\nc {1+}\r\nd {1+}\r\ne\r\n", b"NO"),
        (b"a APPEND x {3+}\r\nabc" + b" " * 5000 + b"{3+}\r\nabc\r\n", b"BAD"),
    ],
)
def test_bad_append_gives_one_refusal(stream: bytes, status: bytes) -> None:
    events = events_of(stream + b"b NOOP\r\n")
    refusals = [event for event in events if isinstance(event, Refused)]
    assert [(event.tag, event.status) for event in refusals] == [(b"a", status)]
    assert events[-1] == Line(b"b NOOP")
    assert not any(isinstance(event, Command) for event in events)


def test_raw_lines() -> None:
    framer = Framer(SMALL)
    framer.feed(b"a IDLE\r\nDONE\r\nb NOOP\r\n")
    assert framer.next_event() == Line(b"a IDLE")
    framer.expect_raw()
    assert framer.next_event() == RawLine(b"DONE")
    framer.expect_commands()
    assert framer.next_event() == Line(b"b NOOP")


def test_raw_line_too_long() -> None:
    framer = Framer(SMALL)
    framer.expect_raw()
    framer.feed(b"x" * 3000)
    event = framer.next_event()
    assert isinstance(event, Refused)
    assert event.tag == b""
    framer.expect_commands()  # the driver gives up; the rest of the line is still no command
    framer.feed(b"\r\nb NOOP\r\n")
    assert drain(framer) == [Line(b"b NOOP")]


def test_starttls_drops_what_was_injected() -> None:
    framer = Framer()
    framer.feed(b"a STARTTLS\r\nb LOGIN x y\r\nc")
    assert framer.next_event() == Line(b"a STARTTLS")
    assert framer.drop_input() > 0
    framer.feed(b"d NOOP\r\n")
    assert drain(framer) == [Line(b"d NOOP")]


def test_answer_without_question() -> None:
    with pytest.raises(RuntimeError):
        Framer().accept()
    with pytest.raises(RuntimeError):
        Framer().refuse()


def test_memory_is_bounded() -> None:
    framer = Framer()
    tracemalloc.start()
    framer.feed(b"a APPEND x {100000000+}\r\n")
    assert isinstance(framer.next_event(), AppendStart)
    framer.refuse()
    for _ in range(200):
        framer.feed(b"x" * 65536)
        assert framer.next_event() is None
    for _ in range(2000):
        framer.feed(b"b" * 8192)
        framer.next_event()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_000_000


def test_one_octet_at_a_time_is_not_quadratic() -> None:
    framer = Framer()
    for _ in range(60_000):
        framer.feed(b"x")
        assert framer.next_event() is None
    framer.feed(b"\r\n")
    assert framer.next_event() == Line(b"x" * 60_000)


PIECES = st.sampled_from(
    [
        b"a NOOP\r\n",
        b"a LOGIN {3+}\r\nabc {2}\r\nde\r\n",
        b"b APPEND x (\\Seen) {5+}\r\nhello\r\n",
        b"b APPEND {3}\r\nfoo {5}\r\nhello {2+}\r\nyo\r\n",
        b"b APPEND x UTF8 (~{5}\r\nh\0llo)\r\n",
        b"b APPEND x {5+}\r\nh\0llo\r\n",
        b"c X {100+}\r\n" + b"y" * 100 + b"\r\n",
        b"d " + b"z" * 1023,
        b"z" * 1022 + b"{4+}",
        b"\r\n",
        b"\n",
        b"\r",
        b"{7+}\r\n",
        b"~{1}\r\n",
        b"\0",
        b"garbage }{",
    ]
)


@given(st.lists(PIECES, max_size=8).map(b"".join), st.lists(st.integers(0, 3000), max_size=8), st.booleans())
def test_cuts_do_not_matter(stream: bytes, cuts: list[int], refuse: bool) -> None:
    edges = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    framer = Framer(SMALL)
    events: list[object] = []
    for start, end in pairwise(edges):
        framer.feed(stream[start:end])
        events += drain(framer, refuse=refuse)
    assert kept(joined(events)) == kept(events_of(stream, refuse=refuse))


def kept(events: list[object]) -> list[object]:
    """Without the octets of a message that was turned down in its middle: how many came before does not matter."""
    behind = [*events, None][1:]
    return [
        event
        for event, after in zip(events, behind, strict=True)
        if not (isinstance(event, AppendData) and isinstance(after, Refused))
    ]


@pytest.mark.parametrize(
    "stream",
    [
        b"a NOOP " + b"x" * (1024 - 7) + b"\r\nb NOOP\r\n",
        b"a NOOP " + b"x" * (1025 - 7) + b"\r\nb NOOP\r\n",
        b"a X " + b"x" * 1100 + b"{12+}\r\nz LOGOUT\r\n\r\n {3+}\r\nabc\r\nb NOOP\r\n",
        b"a X " + b"x" * 1016 + b"{12+}\r\nz LOGOUT\r\n\r\n {3+}\r\nabc\r\nb NOOP\r\n",
        b"a X " + b"x" * 1010 + b" {2+}\r\nab" + b"x" * 9 + b"{4+}\r\nz X\n\r\nb NOOP\r\n",
        b"a APPEND x {3+}\r\nabc" + b" " * 1020 + b"{3+}\r\nabc\r\nb NOOP\r\n",
    ],
)
def test_every_cut_near_the_limit(stream: bytes) -> None:
    whole = events_of(stream)
    assert whole[-1] == Line(b"b NOOP")
    for cut in range(900, len(stream)):
        framer = Framer(SMALL)
        framer.feed(stream[:cut])
        events = drain(framer)
        framer.feed(stream[cut : cut + 1])
        events += drain(framer)
        framer.feed(stream[cut + 1 :])
        assert joined([*events, *drain(framer)]) == whole


def joined(events: list[object]) -> list[object]:
    """Pieces of one message as one piece."""
    found: list[object] = []
    for event in events:
        if isinstance(event, AppendData) and found and isinstance(found[-1], AppendData):
            found[-1] = AppendData(found[-1].data + event.data)
        else:
            found.append(event)
    return found


def test_nothing_is_held_between_commands() -> None:
    framer = Framer()
    tracemalloc.start()
    framer.feed(b"a APPEND x {2000000+}\r\n" + b"x" * 1_000_000)
    drain(framer)
    assert tracemalloc.get_traced_memory()[0] < 10_000
    framer.feed(b"x" * 1_000_000 + b"\r\n")
    drain(framer)
    current, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert current < 10_000


def test_swallowing_in_small_pieces_holds_nothing() -> None:
    framer = Framer(SMALL)
    tracemalloc.start()
    for _ in range(20_000):
        framer.feed(b"x" * 32)
        framer.next_event()
    current, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert current < 10_000
