"""DEFLATE both ways: any cuts, any flushes, bounded memory."""

from __future__ import annotations

import base64
import contextlib
import random
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.wire.imap.deflate import SLICE, BadStream, Deflater, Inflater

LINES = st.lists(st.sampled_from([b"a NOOP\r\n", b"b SELECT INBOX\r\n", b"c FETCH 1:* (FLAGS UID)\r\n"]), max_size=30)


def expanded(inflater: Inflater) -> bytes:
    out = []
    while found := inflater.more():
        out.append(found)
    return b"".join(out)


def packed(pieces: list[bytes], flush: int = zlib.Z_SYNC_FLUSH, *, level: int = 6) -> list[bytes]:
    maker = zlib.compressobj(level, zlib.DEFLATED, -15)
    return [maker.compress(piece) + maker.flush(flush) for piece in pieces]


@given(st.lists(st.binary(max_size=5000), max_size=20))
def test_what_we_send_is_one_stream(pieces: list[bytes]) -> None:
    deflater, reader = Deflater(), zlib.decompressobj(-15)
    for piece in pieces:
        assert reader.decompress(deflater.pack(piece)) == piece  # complete after each write


def test_attachments_of_all_kinds() -> None:
    noise = random.Random(7).randbytes(200_000)
    text = b"".join(b"Line %d\r\n" % number for number in range(20_000))
    reader = zlib.decompressobj(-15)
    sizes = []
    for piece in (noise, base64.encodebytes(noise), text, b"a OK\r\n", noise, text):
        data = Deflater().pack(piece)  # a fresh one goes on in the same stream
        assert reader.decompress(data) == piece
        sizes.append(len(data))
    assert sizes[0] < 1.001 * len(noise)
    assert sizes[2] < 0.4 * len(text)


def test_small_replies_profit_from_those_before() -> None:
    deflater = Deflater()
    line = b"* 12 FETCH (UID 33 FLAGS (\\Seen) MODSEQ (1234))\r\n"
    first = len(deflater.pack(line))
    assert len(deflater.pack(line)) < first / 3


@given(LINES, st.lists(st.integers(1, 2000), max_size=20), st.sampled_from([zlib.Z_SYNC_FLUSH, zlib.Z_FULL_FLUSH]))
def test_cuts_do_not_matter(lines: list[bytes], cuts: list[int], flush: int) -> None:
    stream = b"".join(packed(lines, flush))
    inflater = Inflater()
    found = b""
    for cut in (*cuts, len(stream)):
        inflater.feed(stream[:cut])
        stream = stream[cut:]
        found += expanded(inflater)
        inflater.rest()
    assert found == b"".join(lines)


@given(LINES, st.sampled_from([zlib.Z_PARTIAL_FLUSH, zlib.Z_BLOCK, zlib.Z_SYNC_FLUSH]), st.integers(0, 9))
def test_every_flush_of_a_client(lines: list[bytes], flush: int, level: int) -> None:
    pieces = packed(lines, flush, level=level)
    inflater = Inflater()
    found = b""
    for piece in pieces:
        inflater.feed(piece)
        found += expanded(inflater)
        inflater.rest()
    assert b"".join(lines).startswith(found)
    if flush != zlib.Z_BLOCK:  # which holds back the last bits
        assert found == b"".join(lines)


def test_far_references_after_rest() -> None:
    noise = random.Random(3).randbytes(30_000)
    inflater = Inflater()
    for number, piece in enumerate(packed([noise, b"in between", noise, b"x" * 5000, noise[:20_000]])):
        inflater.feed(piece)
        assert expanded(inflater) == [noise, b"in between", noise, b"x" * 5000, noise[:20_000]][number]
        inflater.rest()


def test_a_rested_session_holds_little() -> None:
    inflater = Inflater()
    line = b"a%d UID FETCH 1:* (FLAGS) (CHANGEDSINCE %d)\r\n"
    lines = [line % (number, number * 7919 % 10_007) for number in range(2000)]
    for piece in packed(lines):
        inflater.feed(piece)
        expanded(inflater)
    assert inflater.held == 32 * 1024
    inflater.rest()
    assert inflater.held < 12 * 1024
    inflater.feed(packed([b"b NOOP\r\n"])[0])
    assert expanded(inflater) == b"b NOOP\r\n"


def test_a_bomb_is_expanded_slice_by_slice() -> None:
    [bomb] = packed([bytes(50_000_000)])
    assert len(bomb) < 60_000
    inflater = Inflater()
    inflater.feed(bomb)
    total = 0
    while found := inflater.more():
        assert len(found) <= SLICE + 1024
        total += len(found)
    assert total == 50_000_000


@pytest.mark.parametrize("bad", [b"\xff\xff\xff\xff", b"a NOOP\r\n" * 3, b"\x06" + bytes(30)])
def test_garbage(bad: bytes) -> None:
    inflater = Inflater()
    inflater.feed(bad)
    with pytest.raises(BadStream):
        expanded(inflater)


def test_nothing_over_and_over() -> None:
    inflater = Inflater()
    inflater.feed(b"\x00\x00\x00\xff\xff" * 200)
    with pytest.raises(BadStream):
        inflater.more()


def test_where_a_stream_ends() -> None:
    """By a last block, or where the client flushed: what comes behind is as it is (RFC 8437 4.1)."""
    for flush in (zlib.Z_FINISH, zlib.Z_SYNC_FLUSH):
        inflater = Inflater()
        inflater.feed(packed([b"a UNAUTHENTICATE\r\n"], flush)[0] + b"b LOGIN ann secret\r\n")
        assert inflater.more() == b"a UNAUTHENTICATE\r\n"
        assert inflater.leftover() == b"b LOGIN ann secret\r\n"
    inflater = Inflater()
    inflater.feed(packed([b"a NOOP\r\n"], zlib.Z_FINISH)[0] + b"b NOOP\r\n")
    assert inflater.more() == b"a NOOP\r\n"
    with pytest.raises(BadStream):
        inflater.more()


@given(st.binary(max_size=300))
def test_random_octets_never_do_harm(data: bytes) -> None:
    inflater = Inflater()
    inflater.feed(data)
    with contextlib.suppress(BadStream):
        expanded(inflater)
    inflater.rest()
    assert inflater.held <= 64 * 1024 + len(data)
