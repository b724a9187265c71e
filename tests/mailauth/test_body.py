"""Canonical bodies and their hashes (RFC 6376 3.4.3 to 3.4.5), cut anywhere, beside a plain reading of the rules."""

import base64
import hashlib
import itertools
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from postroom.mailauth.body import PIECE, BodyHashes
from postroom.mailauth.header import Canonical

OCTETS = st.lists(
    st.sampled_from([b" ", b"\t", b"\r\n", b"\r", b"\n", b"a", b"xyz", b"\xff", b"  ", b" \r\n", b"\r\n\r\n"]),
    max_size=40,
).map(b"".join)


def plainly(form: Canonical, body: bytes) -> bytes:
    """The rules as RFC 6376 writes them, over the whole body."""
    if form is Canonical.RELAXED:
        body = b"\r\n".join(re.sub(rb"[ \t]+", b" ", line.rstrip(b" \t")) for line in body.split(b"\r\n"))
    lines = body
    while lines.endswith(b"\r\n"):
        lines = lines[:-2]
    if form is Canonical.RELAXED and not lines:
        return b""
    return lines + b"\r\n"


def digest(form: Canonical, chunks: list[bytes], length: int | None = None):
    hashes = BodyHashes()
    hashes.want(form, length)
    for chunk in chunks:
        hashes.update(chunk)
    return hashes.digest(form, length)


def cut(data: bytes, places: list[int]) -> list[bytes]:
    marks = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[a:b] for a, b in itertools.pairwise(marks)]


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        (Canonical.SIMPLE, "frcCV1k9oG9oKj3dpUqdJg1PxRT2RSN/XKdLCPjaYaY="),  # RFC 6376 3.4.3
        (Canonical.RELAXED, "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="),  # RFC 6376 3.4.4
    ],
)
@pytest.mark.parametrize("body", [b"", b"\r\n", b"\r\n\r\n"])
def test_the_empty_body(form, expected, body):
    assert base64.b64encode(digest(form, [body]).value).decode() == expected


@pytest.mark.parametrize(
    ("form", "expected"),
    [(Canonical.RELAXED, b" C\r\nD E\r\n"), (Canonical.SIMPLE, b" C \r\nD \t E\r\n")],
)
def test_the_examples(form, expected):  # RFC 6376 3.4.5
    assert digest(form, [b" C \r\nD \t E\r\n\r\n\r\n"]).value == hashlib.sha256(expected).digest()


@given(OCTETS, st.lists(st.integers(0, 200), max_size=6), st.sampled_from(list(Canonical)))
@example(b"a \r", [], Canonical.RELAXED)
@example(b"a \r\n \r\n", [2, 3], Canonical.RELAXED)
def test_cut_anywhere(body, places, form):
    expected = plainly(form, body)
    got = digest(form, cut(body, places))
    assert got.total == got.hashed == len(expected)
    assert got.value == hashlib.sha256(expected).digest()


@given(OCTETS, st.lists(st.integers(0, 200), max_size=4), st.sampled_from(list(Canonical)), st.integers(0, 60))
def test_a_length(body, places, form, length):
    expected = plainly(form, body)
    got = digest(form, cut(body, places), length)
    assert got.hashed == min(length, len(expected))
    assert got.total == len(expected)
    assert got.value == hashlib.sha256(expected[:length]).digest()


def test_all_forms_and_lengths_in_one_pass():
    body = b"one  \r\ntwo \tthree\r\n" * 10 + b"\r\n"
    hashes = BodyHashes()
    lengths = [None, 0, 1, 5, 100, 10_000]
    for form in Canonical:
        for length in lengths:
            hashes.want(form, length)
    hashes.update(body)
    for form in Canonical:
        for length in lengths:
            assert hashes.digest(form, length).value == hashlib.sha256(plainly(form, body)[:length]).digest()


@pytest.mark.parametrize(
    "unit", [b"\r\n", b" ", b" \r\n", b"\t\r\n", b"\n", b"\r", b"\n\r\n", b"a" * 79 + b"\r\n", b"x  \t y\r\n"]
)
def test_long_runs_over_the_pieces(unit):
    body = unit * (3 * PIECE // len(unit)) + b"end"
    for form in Canonical:
        assert digest(form, [body]).value == hashlib.sha256(plainly(form, body)).digest()


def test_pending_white_space_is_counted_and_not_kept():
    hashes = BodyHashes()
    hashes.want(Canonical.RELAXED)
    hashes.want(Canonical.SIMPLE)
    hashes.update(b"text")
    for _ in range(200):
        hashes.update(b" \t" * 1000 + b"\r\n" * 5000)
    state = [stream._rest for stream in hashes._streams.values()]
    assert max(map(len, state)) <= 2
