"""GETMETADATA, SETMETADATA and METADATA in LIST as grammar (RFC 5464 5, RFC 9590 5)."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.wire.imap import response
from postroom.wire.imap.commands import Command, GetMetadata, List, MetadataOptions, SetMetadata
from postroom.wire.imap.errors import BadCommand
from postroom.wire.imap.events import Continue, Line, Refused
from postroom.wire.imap.framer import Framer, FramerLimits
from postroom.wire.imap.metadata import INFINITY, MOST_OCTETS
from postroom.wire.imap.table import parse


def read(data: bytes, cuts: tuple[int, ...] = ()) -> Command:
    framer = Framer()
    events: list[object] = []
    edges = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    for start, end in pairwise(edges):
        framer.feed(data[start:end])
        while (event := framer.next_event()) is not None:
            events.append(event)
    (event,) = [event for event in events if not isinstance(event, Continue)]
    assert isinstance(event, Line), event
    return parse(event)


@pytest.mark.parametrize(
    ("text", "args"),
    [
        ('"" /shared/comment', GetMetadata("", ("/shared/comment",))),
        ('INBOX (/shared/comment "/private/comment")', GetMetadata("INBOX", ("/shared/comment", "/private/comment"))),
        ("x (/Shared/C /shared/c)", GetMetadata("x", ("/Shared/C",))),
        ("(MAXSIZE 1024) x /shared/c", GetMetadata("x", ("/shared/c",), MetadataOptions(1024))),
        ('"INBOX" (maxsize 0 depth 1) (/private/a)', GetMetadata("INBOX", ("/private/a",), MetadataOptions(0, 1))),
        ("(DEPTH infinity) x /private", GetMetadata("x", ("/private",), MetadataOptions(None, INFINITY))),
        ("x (DEPTH 0) /private/vendor", GetMetadata("x", ("/private/vendor",), MetadataOptions(None, 0))),
    ],
)
def test_getmetadata(text: str, args: GetMetadata) -> None:
    assert read(f"a GETMETADATA {text}\r\n".encode()).args == args


@pytest.mark.parametrize(
    ("text", "values"),
    [
        (b'(/private/comment "My comment")', (("/private/comment", b"My comment"),)),
        (b"(/private/comment NIL /shared/a nil)", (("/private/comment", None), ("/shared/a", None))),
        (b'(/private/comment "NIL")', (("/private/comment", b"NIL"),)),
        (b"(/private/comment {12+}\r\ntwo\r\nlines\r\n)", (("/private/comment", b"two\r\nlines\r\n"),)),
        (
            b"(/shared/vendor/x/y ~{4+}\r\n\0\r\n) /shared/b {0+}\r\n)",
            (("/shared/vendor/x/y", b"\0\r\n)"), ("/shared/b", b"")),
        ),
        (b'(/shared/a "1" /shared/b "2" /SHARED/A "3")', (("/shared/b", b"2"), ("/SHARED/A", b"3"))),
        ('(/shared/a "Grüße")'.encode(), (("/shared/a", "Grüße".encode()),)),
    ],
)  # fmt: skip
def test_setmetadata(text: bytes, values: tuple[tuple[str, bytes | None], ...]) -> None:
    assert read(b'a SETMETADATA "" %b\r\n' % text).args == SetMetadata("", values)


@pytest.mark.parametrize(
    "text",
    [
        "GETMETADATA",
        "GETMETADATA x",
        "GETMETADATA x ()",
        "GETMETADATA x comment",
        "GETMETADATA x /comment",
        "GETMETADATA x /shared//comment",
        "GETMETADATA x /shared/comment/",
        "GETMETADATA x /",
        "GETMETADATA x /sharedly/comment",
        'GETMETADATA x "/shared/c*"',
        'GETMETADATA x "/shared/%c"',
        'GETMETADATA x "/shared/\tc"',
        'GETMETADATA x "/shared/ü"',
        f"GETMETADATA x /shared/{'x' * MOST_OCTETS}",
        "GETMETADATA x /shared/a /shared/b",
        "GETMETADATA (DEPTH 2) x /shared/a",
        "GETMETADATA (MAXSIZE) x /shared/a",
        "GETMETADATA (MAXSIZE -1) x /shared/a",
        "GETMETADATA (FROB 1) x /shared/a",
        "GETMETADATA (DEPTH 1) x (DEPTH 1) /shared/a",
        f"GETMETADATA x ({' '.join(f'/shared/{number}' for number in range(200))})",
        "SETMETADATA x",
        "SETMETADATA x ()",
        'SETMETADATA x /shared/a "b"',
        "SETMETADATA x (/shared/a)",
        "SETMETADATA x (/shared/a b)",
        'SETMETADATA x (/shared "b")',
        'SETMETADATA x (/shared/vendor "b")',
        'SETMETADATA x (/shared/vendor/kolab "b")',
        'SETMETADATA x (/shared/a "b"/shared/c "d")',
        "SETMETADATA x (/shared/a NILL)",
        'LIST "" "*" RETURN (METADATA)',
        'LIST "" "*" RETURN (METADATA ())',
        'LIST "" "*" RETURN (METADATA (/frob/x))',
    ],
)
def test_wrong_ones_are_bad(text: str) -> None:
    with pytest.raises(BadCommand) as fault:
        read(f"a {text}\r\n".encode())
    assert (fault.value.tag, fault.value.status) == (b"a", b"BAD")


def test_list() -> None:
    listed = read(
        b'a LIST "" % RETURN (METADATA ("/shared/comment" /private/comment) SUBSCRIBED STATUS (MESSAGES))\r\n'
    )
    assert listed.args == List(
        "",
        ("%",),
        returns=("SUBSCRIBED",),
        status=("MESSAGES",),
        extended=True,
        metadata=("/shared/comment", "/private/comment"),
        metadata_options=MetadataOptions(),
    )
    deep = read(b'a LIST "" % RETURN (METADATA (DEPTH 1 MAXSIZE 9) (/shared/vendor))\r\n').args
    assert isinstance(deep, List)
    assert (deep.metadata, deep.metadata_options) == (("/shared/vendor",), MetadataOptions(9, 1))


def refusal(data: bytes) -> Refused:
    framer = Framer(FramerLimits(annotation=1024, literal=2048))
    framer.feed(data)
    event = framer.next_event()
    assert isinstance(event, Refused), event
    framer.feed(b"b NOOP\r\n")
    assert framer.next_event() == Line(b"b NOOP")
    return event


def test_a_value_too_long_is_refused_before_it_comes() -> None:
    """RFC 5464 4.3: NO [METADATA MAXSIZE n]."""
    synchronising = refusal(b"a setmetadata INBOX (/shared/a {1025}\r\n")
    assert (synchronising.tag, synchronising.status, synchronising.code) == (b"a", b"NO", b"METADATA MAXSIZE 1024")
    other = refusal(b"a SETMETADATA INBOX (/shared/a ~{1025+}\r\n" + b"x" * 1025 + b")\r\n")
    assert (other.status, other.code) == (b"NO", b"METADATA MAXSIZE 1024")
    kilobyte = b"{1024+}\r\n" + b"x" * 1024
    many = refusal(b"a SETMETADATA INBOX (/shared/a %b /shared/b %b /shared/c {1+}\r\n0)\r\n" % (kilobyte, kilobyte))
    assert (many.status, many.code) == (b"BAD", b"TOOBIG")


def test_nul_is_for_literal8() -> None:
    assert refusal(b"a SETMETADATA INBOX (/shared/a {3+}\r\na\0b)\r\n").status == b"BAD"
    with pytest.raises(BadCommand):
        read(b"a LOGIN ann ~{3+}\r\na\0b\r\n")


VALUES = st.binary(max_size=40) | st.none()


@given(st.lists(VALUES, min_size=1, max_size=4), st.lists(st.integers(0, 200), max_size=6))
def test_cuts_do_not_matter(values: list[bytes | None], cuts: list[int]) -> None:
    wanted = tuple((f"/shared/n{number}", value) for number, value in enumerate(values))
    words = [
        name.encode() + (b" NIL" if value is None else b" ~{%d+}\r\n%b" % (len(value), value)) for name, value in wanted
    ]
    data = b"a SETMETADATA INBOX (%b)\r\n" % b" ".join(words)
    assert read(data, tuple(cuts)).args == SetMetadata("INBOX", wanted)


@given(st.binary(max_size=60))
def test_hostile_octets_are_bad_or_parsed(data: bytes) -> None:
    for command in (b"GETMETADATA", b"SETMETADATA"):
        try:
            parse(Line(b"a " + command + b" " + data, (b"lit", b"eral")))
        except BadCommand as fault:
            assert fault.tag == b"a"


def test_responses() -> None:
    values = [("/shared/comment", b"a\r\nb"), ("/private/x y", None), ("/shared/b", b"\0"), ("/shared/q", b'"')]
    assert response.metadata("Gr\u00fc\u00dfe", values) == (
        b'* METADATA "Gr&APwA3w-e" (/shared/comment {4}\r\na\r\nb "/private/x y" NIL /shared/b ~{1}\r\n\0'
        b' /shared/q "\\"")\r\n'
    )
    assert (
        response.metadata("", [("/shared/c", "\u00fc".encode())], utf8=True)
        == b'* METADATA "" (/shared/c "\xc3\xbc")\r\n'
    )
    assert response.metadata_changed("INBOX", ["/shared/a", "/private/b c"]) == (
        b'* METADATA "INBOX" /shared/a "/private/b c"\r\n'
    )
