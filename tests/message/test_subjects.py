"""Base subjects and the order of texts."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.message.collation import casemap
from postroom.message.subjects import base_subject


@pytest.mark.parametrize(
    ("subject", "base", "reply"),
    [
        ("lunch", "lunch", False),
        ("Re: lunch", "lunch", True),
        ("  re[2] : FWD: fw:lunch (fwd) (FWD)  ", "lunch", True),
        ("[list] Re: [x] lunch", "lunch", True),
        ("[list] lunch", "lunch", False),
        ("[list]", "[list]", False),
        ("[a] [b]", "[b]", False),
        ("[Fwd: Re: lunch ]", "lunch", True),
        ("[fwd: [Fwd: a]]", "a", True),
        ("[fwd: x] (fwd)", "x", True),
        ("[fwd:]", "", True),
        ("re:", "", True),
        ("Re: [a]", "[a]", True),
        ("[a] re: [b] fw: [c]", "[c]", True),
        ("reference: x", "reference: x", False),
        ("re x: y", "re x: y", False),
        ("AW: lunch", "AW: lunch", False),
        ("two\t \r\n words", "two words", False),
        ("[ [a] re: x", "[ [a] re: x", False),
        ("(fwd)", "", True),
        ("", "", False),
    ],
)
def test_rfc5256_2_1(subject: str, base: str, reply: bool) -> None:
    assert base_subject(subject) == (base, reply)


def model(subject: str) -> tuple[str, bool]:
    """RFC 5256 2.1, one step after the other, with the ABNF as patterns."""
    blob = r"\[[^\[\]]*\][ \t]*"
    refwd = rf"(?:re|fwd?)[ \t]*(?:{blob})?:"
    text, reply = re.sub(r"[\t\r\n ]+", " ", subject), False
    while True:
        before = None
        while before != text:  # (2)
            before = text
            text = text.rstrip(" \t")
            if text.lower().endswith("(fwd)"):
                text, reply = text[:-5], True
        before = None
        while before != text:  # (5)
            before = text
            while found := re.match(rf"(?:{blob})*{refwd}|[ \t]", text, re.IGNORECASE):  # (3)
                reply = reply or not found[0].isspace()
                text = text[found.end() :]
            found = re.match(blob, text)
            if found and text[found.end() :]:  # (4)
                text = text[found.end() :]
        if not (text[:5].lower() == "[fwd:" and text[-1:] == "]" and len(text) > 5):  # (6)
            return text, reply
        text, reply = text[5:-1], True


PIECES = ["re:", "Fwd:", "fw", "[", "]", "a", " ", "\t", ":", "(fwd)", "[fwd:", "[x]", "re"]


@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join))
def test_step_by_step(subject: str) -> None:
    assert base_subject(subject) == model(subject)


@pytest.mark.parametrize("piece", ["[a]", "[fwd:", "re:", "(fwd) ", "[a] re", "[", "[a"])
def test_long_subjects_cost_what_their_length_costs(piece: str) -> None:
    def cost(count: int) -> float:
        begun = time.process_time()
        base_subject(piece * count + "]" * count)
        return time.process_time() - begun

    small = max(cost(2_000), cost(2_000), 0.0005)
    assert cost(20_000) < 60 * small


@pytest.mark.parametrize(
    ("one", "other"),
    [("abc", "ABC"), ("é", "E\u0301"), ("ς", "Σ"), ("ǆ", "Ǆ"), ("Å", "a\u030a"), ("①", "1")],
)
def test_rfc5051_equal(one: str, other: str) -> None:
    assert casemap(one) == casemap(other)


def test_rfc5051_order() -> None:
    assert sorted(["b", "A", "a\u0301", "Z", "ß", "", "Ab"], key=casemap) == ["", "A", "Ab", "a\u0301", "b", "Z", "ß"]
    assert casemap("ß") != casemap("ss")  # the simple mapping leaves it
    assert casemap("résumé") != casemap("resume")


@given(st.text(max_size=20))
def test_a_key_of_any_text(text: str) -> None:
    assert casemap(text) == casemap(text.title()) or not text.isascii()
    assert isinstance(casemap(text), bytes)
