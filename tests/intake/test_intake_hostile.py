"""Octets nobody would send: a refusal or an acceptance, never anything else, and never for long."""

from __future__ import annotations

import contextlib
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from intake_house import LMTP, STRANGER, USER, House

from postroom.intake import header
from postroom.intake.model import Peer
from postroom.values.content import Content
from postroom.values.refusal import Refusal

PIECES = st.lists(
    st.one_of(
        st.sampled_from(
            [
                b"From: alice@here.test\r\n",
                b"FROM : Alice <alice@here.test>\r\n",
                b"From: ",
                b"Bcc: x@far.test\r\n\tmore\r\n",
                b"Received: from x\r\n",
                b"Delivered-To: alice@here.test\r\n",
                b"Delivered-To: <>\r\n",
                b"Date: x\r\n",
                b"Message-ID: <x>\r\n",
                b"\r\n",
                b"\n",
                b"\0",
                b"<",
                b'"',
                b"(",
                b",",
                b" ",
            ]
        ),
        st.binary(max_size=20),
    ),
    max_size=15,
)


@pytest.mark.parametrize("peer", [STRANGER, LMTP, USER], ids=lambda peer: peer.service)
@given(pieces=PIECES)
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_any_octets_are_taken_or_refused(tmp_path, peer: Peer, pieces: list[bytes]) -> None:
    house = House(tmp_path)
    content = b"".join(pieces)
    sender = "alice@here.test" if peer is USER else "x@far.test"
    try:
        accepted = await house.send(peer, content, "alice@here.test", sender=sender)
    except Refusal as refusal:
        assert refusal.code // 100 in (4, 5)
        assert refusal.public.isascii()
        assert house.queue.entries == []
        return
    assert [entry.id for entry in house.queue.entries] == ([accepted.id] if accepted.id else [])
    for entry in house.queue.entries:
        if peer is not USER:
            assert entry.content.data == content
        assert entry.trace.startswith(b"Received: from ")


@given(st.lists(st.sampled_from([b"Bcc: x\r\n", b"A: b\r\n", b" c\r\n", b"bcc:\r\n", b"X-Bcc: y\r\n"]), max_size=12))
def test_what_is_removed_is_exactly_the_fields(lines: list[bytes]) -> None:
    head = b"From: a@b\r\n" + b"".join(lines)
    left = header.without(head, header.read_submitted(head).removed)
    kept, keeping = [b"From: a@b\r\n"], True
    for line in lines:
        if not line.startswith(b" "):
            keeping = not line.lower().startswith(b"bcc:")
        if keeping:
            kept.append(line)
    assert left == b"".join(kept)


@pytest.mark.parametrize(
    "block",
    [
        b"From: " + b"a" * 1_000_000 + b"\r\n\r\n",
        b"From: " + b"@" * 1_000_000 + b"\r\n\r\n",
        b"From: " + b'"' * 1_000_000 + b"\r\n\r\n",
        b"From: " + b"(" * 16_000 + b"\r\n\r\n",
        b"From: " + b"a@b," * 4_000 + b"\r\n\r\n",
        b"From: " + b"<" * 16_000 + b"\r\n\r\n",
        b"From:" + b" " * 1_000_000 + b"\r\n\r\n",
        b"From:\r\n" + b" x\r\n" * 200_000 + b"\r\n",
        b"Bcc:\r\n" * 150_000 + b"\r\n",
        b"Delivered-To:\r\n" * 60_000 + b"\r\n",
        b"Delivered-To: " + b" " * 1_000_000 + b"\r\n\r\n",
        b"Delivered-To: " + b"a" * 1_000_000 + b" x\r\n\r\n",
        b"Received:\r\n" * 90_000 + b"\r\n",
        b"a" * 1_000_000,
    ],
    ids=lambda block: block[:14].decode() + str(len(block)),
)
def test_no_header_takes_long(block: bytes) -> None:
    before = time.process_time()
    for work in (
        lambda: header.header_of(Content.of(block), 1024 * 1024),
        lambda: header.check_loops(block, 100),
        lambda: header.delivered_to(block),
        lambda: header.from_addresses(header.read_submitted(block).from_),
    ):
        with contextlib.suppress(Refusal):
            work()
    assert time.process_time() - before < 1.0
