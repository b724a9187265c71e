"""Whatever the octets, what we print is IMAP and every offset lies where the message says."""

from __future__ import annotations

import mmap
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.message.addresses import parse
from postroom.message.envelope import envelope
from postroom.message.index import IndexLimits, index
from postroom.message.parts import LEAF, MESSAGE, MULTIPART, Part, Parts, shifted

from .imap_reader import read_body, read_envelope
from .soup import octets


def shape(body: dict[str, object]) -> object:
    """The tree a client sees, with sizes."""
    if "parts" in body:
        return [shape(part) for part in body["parts"]]  # type: ignore[attr-defined]
    return (body["octets"], shape(body["body"])) if "body" in body else body["octets"]  # type: ignore[arg-type]


def stored_shape(parts: Parts, part: Part) -> object:
    if part.kind == MULTIPART:
        return [stored_shape(parts, child) for child in parts.children(part)]
    inner = parts.message(part)
    return part.size if inner is None else (part.size, stored_shape(parts, inner))


@given(octets, st.integers(0, 50))
def test_any_octets_give_valid_imap(message: bytes, lead: int) -> None:
    found = index(message, lead)
    read_envelope(found.envelope)
    plain = read_body(found.structure)
    extended = read_body(found.bodystructure, extended=True)
    parts = Parts.unpack(found.parts)
    assert shape(plain) == shape(extended) == stored_shape(parts, parts.root)


@given(octets, st.integers(0, 50))
def test_offsets_hold(message: bytes, lead: int) -> None:
    found = index(message, lead)
    parts = Parts.unpack(found.parts)
    root = parts.root
    assert (root.header_start, root.body_start, root.end) == (0, found.header, lead + len(message))
    header = message[: found.header - lead]
    assert b"\n\n" not in header[:-2].replace(b"\r\n", b"\n") or header[:1] in b"\r\n"
    for part in parts.walk():
        assert part.header_start <= part.body_start <= part.end
        at = part.body_start
        for child in parts.children(part):
            assert at <= child.header_start and child.end <= part.end
            at = child.end
    assert [part.index for part in parts.walk()] == list(range(len(parts)))


@given(octets)
def test_every_part_is_found_by_its_number(message: bytes) -> None:
    parts = Parts.unpack(index(message).parts)

    def check(part: Part, numbers: tuple[int, ...], whole: bool) -> None:
        if part.kind == MESSAGE and not whole:
            inner = parts.message(part)
            assert inner is not None
            assert parts.section(numbers, "TEXT") == (inner.body_start, inner.end)
            check(inner, numbers, True)
        elif part.kind == MULTIPART:
            for number, child in enumerate(parts.children(part), 1):
                assert parts.find((*numbers, number)) == child
                check(child, (*numbers, number), False)
        elif whole:
            assert parts.find((*numbers, 1)) == part
            if part.kind == MESSAGE:
                check(part, (*numbers, 1), False)
        else:
            assert part.kind == LEAF and parts.find((*numbers, 1)) is None

    check(parts.root, (), True)


@given(octets, st.integers(1, 6), st.integers(1, 5), st.integers(1, 200))
def test_limits_keep_it_valid(message: bytes, parts: int, depth: int, header: int) -> None:
    found = index(message, limits=IndexLimits(depth=depth, parts=parts, header=header, passes=1, false_boundaries=1))
    read_envelope(found.envelope)
    read_body(found.structure)
    read_body(found.bodystructure, extended=True)
    assert found.header == index(message).header


ADDRESS_BITS = st.lists(
    st.sampled_from(
        [
            *(b"a", b"b.c", b"@", b"x.example", b"a@x", b"<a@b>", b'"', b'"q, r" ', b"\\", b"(c)", b",", b";", b":"),
            *(b"g: ", b" ", b"\t", b"<", b">", b"\xc3\xbc", b"J D ", b"[1]", b"\0", b"."),
        ]
    ),
    max_size=20,
).map(b"".join)


@given(ADDRESS_BITS)
def test_the_usual_way_prints_what_the_careful_way_prints(value: bytes) -> None:
    careful = parse(value)
    whole = read_envelope(envelope({b"to": value}))
    nul_free = [tuple(None if text is None else text.replace(b"\0", b"") for text in each) for each in careful]
    assert whole["to"] == nul_free


@given(octets.filter(bool))
def test_a_mapping_gives_the_same(message: bytes) -> None:
    with mmap.mmap(-1, len(message)) as mapping:
        mapping.write(message)
        assert index(mapping) == index(message)


def test_a_large_mapping_gives_the_same() -> None:
    part = b"--bound\r\nContent-Type: text/plain\r\n\r\n" + b"line of text\r\n" * 25_000
    message = b"Content-Type: multipart/mixed; boundary=bound\r\n\r\n" + part * 3 + b"\r\n--bound--\r\n"
    with mmap.mmap(-1, len(message)) as mapping:
        mapping.write(message)
        assert index(mapping) == index(message)
        assert len(Parts.unpack(index(mapping).parts)) == 4


_HOSTILE = {
    "boundaries that are none": b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--bx\r\n" * 200_000,
    "parts": b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\n" * 300_000,
    "fields": b"a:\r\n" * 300_000,
    "addresses": b"To: " + b"a@b," * 300_000,
    "odd addresses": b"To: " + b"(" * 500_000 + b"a b <" * 100_000,
    "routes": b"To: <@" + b"," * 1_000_000,
    "brackets": b"To: " + b"[ " * 500_000,
    "groups": b"To: " + b"a:;" * 300_000,
    "white space": b"To: x, " + b" " * 1_000_000 + b"\x01",
    "repeated fields": b"To: a@b\r\n" * 100_000,
    "parameters": b"Content-Type: text/plain" + b"; a*0=b" * 150_000,
    "semicolons": b"Content-Type: text/plain" + b";" * 1_000_000,
    "comments": b"Content-Type: text/plain " + b'(")' * 300_000,
    "nesting": b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(2000))
    + b"x" * 3_000_000,
    "messages": b"Content-Type: message/rfc822\r\n\r\n" * 30_000,
    "folding": b"Subject: x" + b"\r\n " * 300_000,
    "one line": b"x" * 4_000_000,
    "quotes": b"From: " + b'"\\' * 500_000,
}


@pytest.mark.parametrize("name", list(_HOSTILE))
def test_hostile_mail_costs_bounded_time(name: str) -> None:
    started = time.process_time()
    found = index(_HOSTILE[name])
    assert time.process_time() - started < 2.0
    read_envelope(found.envelope)
    read_body(found.bodystructure, extended=True)


@given(octets, st.integers(0, 1 << 34))
def test_shifted_parts_are_those_of_the_longer_message(message: bytes, lead: int) -> None:
    plain = index(message).parts
    assert shifted(plain, lead) == index(message, lead).parts
    assert shifted(shifted(plain, lead), -lead) == plain
