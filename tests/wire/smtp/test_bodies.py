"""The message's framing: DATA and BDAT, cuts, smuggling, limits."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.testing.transcript import play
from postroom.values.refusal import Refusal
from postroom.wire.lines import LineReader, LongLines, Stuffer, Unstuffer
from postroom.wire.smtp import Body, Profile, Reset

from .smtp_peer import Peer

ENVELOPE = b"EHLO x\r\nMAIL FROM:<a@example.net>\r\nRCPT TO:<b@example.org>\r\n"
REST = b"NOOP\r\nMAIL FROM:<c@example.net>\r\nQUIT\r\n"
soup = st.lists(
    st.sampled_from(
        [b".", b"\r\n", b"\r", b"\n", b"\r\n.", b"\r\n..", b"a", b"MAIL", b"\r\n.\n", b"\n.\r\n", b"x" * 40]
    ),
    max_size=12,
).map(b"".join)
cuts = st.lists(st.integers(0, 300), max_size=12)


def pieces(stream: bytes, at: list[int]) -> list[bytes]:
    edges = sorted({0, len(stream), *(cut for cut in at if cut < len(stream))})
    return [stream[a:b] for a, b in pairwise(edges)]


def outcome(stream: list[bytes]) -> tuple[list[bytes], bytes, list[str]]:
    peer = Peer(size=150, text_line=50)
    for piece in stream:
        peer.feed(piece)
    kinds = [type(event).__name__ for event in peer.events if not isinstance(event, Body)]
    # Of two faults in one message, which is found first may depend on the cuts.
    return peer.messages, re.sub(rb"55[02] [^\r]*", b"55x", peer.data_to_send()), kinds


@given(soup, cuts)
def test_cuts_do_not_matter_in_data(text: bytes, at: list[int]) -> None:
    stream = ENVELOPE + b"DATA\r\n" + text + b"\r\n.\r\n" + REST
    assert outcome(pieces(stream, at)) == outcome([stream])


@given(st.lists(soup, min_size=1, max_size=3), cuts)
def test_cuts_do_not_matter_in_bdat(texts: list[bytes], at: list[int]) -> None:
    chunks = b"".join(b"BDAT %d\r\n%b" % (len(text), text) for text in texts)
    stream = ENVELOPE + chunks + b"BDAT 0 LAST\r\n" + REST
    assert outcome(pieces(stream, at)) == outcome([stream])


@given(st.binary(max_size=400), cuts)
def test_garbage_never_raises(stream: bytes, at: list[int]) -> None:
    assert outcome(pieces(stream, at)) == outcome([stream])
    stream = ENVELOPE + b"DATA\r\n" + stream
    assert outcome(pieces(stream, at)) == outcome([stream])


def slow_unstuff(text: bytes) -> tuple[bytes, bytes] | None:
    """RFC 5321 4.5.2, word by word."""
    lines, rest = [], text
    while b"\r\n" in rest:
        line, _, rest = rest.partition(b"\r\n")
        if line == b".":
            return b"".join(lines), rest
        lines.append(line.removeprefix(b".") + b"\r\n")
    return None


@given(soup)
def test_unstuffing_is_what_the_rfc_says(text: bytes) -> None:
    got, rest = Unstuffer().feed(text)
    wanted = slow_unstuff(text)
    assert (wanted is None) == (rest is None)
    if wanted is not None:
        assert (got, rest) == wanted


@given(soup, cuts)
def test_stuffing_can_be_undone(text: bytes, at: list[int]) -> None:
    stuffer = Stuffer()
    sent = b"".join(stuffer.feed(piece) for piece in pieces(text, at)) + stuffer.end()
    got, rest = Unstuffer().feed(sent)
    clean = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")
    assert rest == b""
    assert got == (clean if clean.endswith(b"\r\n") or not clean else clean + b"\r\n")


@given(st.lists(st.binary(max_size=60), max_size=6), st.integers(3, 30))
def test_long_lines_across_cuts(chunks: list[bytes], limit: int) -> None:
    watch = LongLines(limit)
    found = True in [watch.found(chunk) for chunk in chunks]
    lines = b"".join(chunks).split(b"\n")
    longest = max([len(line) + 1 for line in lines[:-1]] + [len(lines[-1])])
    assert found == (longest > limit + 2)


@given(st.lists(st.sampled_from([b"a", b"\r\n", b"\n", b"\r", b"b" * 9]), max_size=20).map(b"".join), cuts)
def test_lines_across_cuts(stream: bytes, at: list[int]) -> None:
    def read(chunks: list[bytes]) -> list[object]:
        reader, lines = LineReader(10), []
        for chunk in chunks:
            reader.feed(chunk)
            while (line := reader.line()) is not None:
                lines.append(line)
        return lines

    assert read(pieces(stream, at)) == read([stream])


SMUGGLED = b"MAIL FROM:<evil@example.net>\r\nRCPT TO:<b@example.org>\r\nDATA\r\nevil\r\n.\r\n"


@pytest.mark.parametrize(
    "end",
    [
        b"\n.\n",
        b"\n.\r\n",
        b"\r\n.\n",
        b"\r.\r",
        b"\r\n.\r",
        b"\r.\r\n",
        b"\r\r\n.\r\r\n",
        b"\n\r\n.\n",
        b"\r\n\x00.\r\n",
    ],
)
def test_nothing_else_ends_a_message(end: bytes) -> None:
    peer = Peer()
    peer.feed(ENVELOPE + b"DATA\r\n")
    peer.data_to_send()
    peer.feed(b"text" + end + SMUGGLED)
    answers = peer.data_to_send().split(b"\r\n")
    assert len(answers) == 2, "one answer: it was one message"
    if b"\x00" not in end:
        assert answers[0].startswith(b"550 5.5.2 ")
        assert peer.messages == []
        assert isinstance(peer.events[-1], Reset)
    else:
        assert len(peer.messages) == 1


@pytest.mark.parametrize("text", [b"a\nb", b"a\rb", b"\n", b"a\r", b"a\r\r\n", b"\rb"])
def test_bare_ends_in_bdat_are_refused(text: bytes) -> None:
    peer = Peer()
    peer.feed(ENVELOPE + b"BDAT %d LAST\r\n%bNOOP\r\n" % (len(text), text))
    assert b"\r\n550 5.5.2 " in peer.data_to_send() and peer.messages == []


def test_a_crlf_may_lie_across_two_chunks() -> None:
    peer = Peer()
    peer.feed(ENVELOPE + b"BDAT 2\r\na\rBDAT 0\r\nBDAT 1\r\n\nBDAT 2 LAST\r\n.\r")
    assert peer.messages == []
    peer.feed(ENVELOPE + b"BDAT 2\r\na\rBDAT 0\r\nBDAT 3\r\n\n.\rBDAT 1 LAST\r\n\n")
    assert peer.messages == [b"a\r\n.\r\n"]


def test_bdat_counts_what_came() -> None:
    """Also a CR whose LF comes with the next chunk."""
    play(
        Peer(),
        """
        S: 220 ...
        C: EHLO x
        S: ...
        C: MAIL FROM:<>
        C: RCPT TO:<b@example.org>
        C: BDAT 5
        C| abcd\\r
        S: 250 ...
        S: 250 ...
        S: 250 2.0.0 5 octets received
        C: BDAT 3
        C| \\nab
        S: 250 2.0.0 8 octets received
    """,
    )


def test_bdat_errors() -> None:
    play(
        Peer(size=100),
        """
        S: 220 ...
        C: EHLO x
        S: ...
        C: BDAT 5 LAST
        C| QUIT\\n
        S: 503 5.5.1 Say MAIL first
        C: MAIL FROM:<>
        S: 250 ...
        C: BDAT 4
        C| abcd
        S: 554 5.5.1 No valid recipients...
        C: MAIL FROM:<>
        C: RCPT TO:<b@example.org>
        C: BDAT 4
        C| abcd
        S: 250 ...
        S: 250 ...
        S: 250 2.0.0 4 octets received
        C: DATA
        S: 503 5.5.1 This message came by BDAT...
        C: RCPT TO:<c@example.org>
        S: 503 5.5.1 This message came by BDAT...
        C: RSET
        S: 250 ...
        C: MAIL FROM:<>
        C: RCPT TO:<b@example.org>
        C: BDAT 4
        C| abcd
        C: BDAT 97
        S: 250 ...
        S: 250 ...
        S: 250 ...
        C| """
        + 97 * "x"
        + """
        S: 552 5.3.4 ...
        C: BDAT 3 LAST
        C| xyz
        S: 503 5.5.1 Say MAIL first
        C: BDAT x LAST
        S: 501 5.5.4 ...
    """,
    )


@pytest.mark.parametrize("argument", ["", "x", "-1", "5 FIRST", "5 LAST x", "9999999999999999999", "٣"])
def test_bdat_whose_end_cannot_be_known_ends_the_session(argument: str) -> None:
    peer = Peer()
    play(peer, f"S: 220 ...\nC: EHLO x\nS: ...\nC: BDAT {argument}\nS: 501 5.5.4 ...")
    assert peer.session.closed


def test_too_large_is_told_early_and_answered_at_the_end() -> None:
    peer = Peer(size=100)
    peer.feed(ENVELOPE + b"DATA\r\n")
    peer.data_to_send()
    for _ in range(1000):
        peer.feed(b"x" * 1000 + b"\r\n")
    assert peer.data_to_send() == b"" and isinstance(peer.events[-1], Reset) and peer.events.count(Reset()) == 1
    peer.feed(b".\r\nNOOP\r\n")
    assert peer.data_to_send().startswith(b"552 5.3.4 ")


def test_text_lines() -> None:
    for profile, limit, length, ok in ((Profile.LMTP, 998, 998, True), (Profile.LMTP, 998, 999, False)):
        peer = Peer(profile, text_line=limit)
        peer.feed(ENVELOPE.replace(b"EHLO", b"LHLO") + b"DATA\r\nshort\r\n" + b"x" * length + b"\r\nshort\r\n.\r\n")
        assert bool(peer.messages) is ok
        assert (b"550 5.6.0 " in peer.data_to_send()) is not ok


def test_a_message_refused_by_the_driver_midway() -> None:
    peer = Peer()
    peer.feed(ENVELOPE + b"DATA\r\nfirst\r\n")
    peer.data_to_send()
    peer.session.discard(Refusal(452, "4.3.1", "Disk full"))
    seen = len(peer.events)
    peer.feed(b"more\r\n.\r\nNOOP\r\n")
    assert peer.data_to_send().startswith(b"452 4.3.1 Disk full\r\n250 2.0.0 ")
    assert len(peer.events) == seen


def test_a_large_message_comes_in_pieces() -> None:
    peer = Peer()
    line = b"." + b"y" * 70 + b"\r\n"
    peer.feed(ENVELOPE + b"DATA\r\n")
    for _ in range(50):
        peer.feed((b"." + line) * 100)
        assert len(peer.session.reader.buffer) <= 8
    peer.feed(b".\r\n")
    assert peer.messages == [line * 5000]
    assert sum(isinstance(event, Body) for event in peer.events) > 40


def test_no_answer_no_progress() -> None:
    """What comes after a command that waits for its answer stays where it is."""
    peer = Peer()
    peer.session.feed(ENVELOPE)
    event = peer.session.next_event()
    assert event is not None and peer.session.next_event() is None
    peer.session.feed(b"QUIT\r\n")
    assert peer.session.next_event() is None and not peer.session.closed
    peer.session.ok()
    assert peer.session.next_event() is not None
