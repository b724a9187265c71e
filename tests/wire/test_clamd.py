"""ClamAV's protocol: chunks, answers, and answers that come in pieces."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.wire.clamd import END, LONGEST, Answer, AnswerReader, Found, chunk, engine, read_answer


def test_chunks_are_behind_their_length() -> None:
    assert chunk(b"abc") == b"\x00\x00\x00\x03abc"
    assert END == b"\x00\x00\x00\x00"


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        (b"stream: OK", Answer(Found.CLEAN)),
        (b"stream: Eicar-Signature FOUND", Answer(Found.INFECTED, "Eicar-Signature")),
        (b"stream: Win.Trojan.X-1 FOUND", Answer(Found.INFECTED, "Win.Trojan.X-1")),
        (b"stream: Heuristics.Encrypted.Zip FOUND", Answer(Found.ENCRYPTED, "Heuristics.Encrypted.Zip")),
        (
            b"stream: Heuristics.Limits.Exceeded.MaxFileSize FOUND",
            Answer(Found.OVERSIZED, "Heuristics.Limits.Exceeded.MaxFileSize"),
        ),
        (b"stream: Heuristics.OLE2.ContainsMacros FOUND", Answer(Found.SUSPICIOUS, "Heuristics.OLE2.ContainsMacros")),
        (b"stream: PUA.Win.Packer FOUND", Answer(Found.SUSPICIOUS, "PUA.Win.Packer")),
        (b"stream: FOUND FOUND", Answer(Found.INFECTED, "FOUND")),
        (
            b"INSTREAM size limit exceeded. ERROR",
            Answer(Found.OVERSIZED, "it is larger than clamd takes (StreamMaxLength)"),
        ),
        (b"stream: Can't allocate memory ERROR", Answer(Found.FAILED, "stream: Can't allocate memory")),
        (b"UNKNOWN COMMAND", Answer(Found.FAILED, "UNKNOWN COMMAND")),
        (b"", Answer(Found.FAILED, "an empty answer")),
        (b"stream: evil\x1b[31m\r\nX: y FOUND", Answer(Found.INFECTED, "evil?[31m??X: y")),
    ],
)
def test_answers(line: bytes, answer: Answer) -> None:
    assert read_answer(line) == answer


@given(st.lists(st.integers(0, 40), max_size=5))
def test_an_answer_in_any_pieces_is_the_same(cuts: list[int]) -> None:
    whole = b"stream: Eicar-Signature FOUND\0rubbish"
    reader, found, start = AnswerReader(), None, 0
    for end in sorted({min(cut, len(whole)) for cut in cuts} | {len(whole)}):
        found = reader.feed(whole[start:end])
        start = end
        if found is not None:
            break
    assert found == b"stream: Eicar-Signature FOUND"


def test_an_answer_without_an_end_is_cut_off() -> None:
    reader = AnswerReader()
    assert reader.feed(b"x" * LONGEST) is None
    assert reader.feed(b"yy") == b"x" * LONGEST
    short = AnswerReader()
    assert short.feed(b"COMMAND READ TIMED OUT\n") is None
    assert short.ended() == b"COMMAND READ TIMED OUT\n"


@given(st.binary(max_size=300))
def test_nothing_that_is_answered_breaks_it(octets: bytes) -> None:
    answer = read_answer(octets)
    assert answer.name.isprintable()


def test_who_looked_is_told_briefly() -> None:
    assert engine(b"ClamAV 1.0.7/27450/Fri Nov 20 09:00:00 2026") == "ClamAV 1.0.7/27450"
    assert engine(b"ClamAV 1.0.7\n") == "ClamAV 1.0.7"
