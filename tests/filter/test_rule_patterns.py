"""Regular expressions that take too long are refused before they see any mail; others are fast on the worst texts."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postroom.filter.patterns import BadPattern, reach

LONGEST = 40_000


@pytest.mark.parametrize(
    "pattern",
    [
        "(a+)+$",
        "(a*)*b",
        "(?:a|ab|b)+c",
        "(?:[A-Z]{3,}[^a-z]+){3,}x",
        "^[^a-z]*(?:[A-Z]{3,}[^a-z]+){3,}[^a-z]*$",
        r"(?:\w+\s?)*!",
        "(?:x{2,}){5,}y",
        "((?:a+){2}b?)+c",
        ".*a.*b",
        "a.*b.*c.*d",
        r"\s+\s+\s+$",
        "a{0,300}a{0,300}a{0,300}b",
        "(?i)(?:[a-z]+[A-Z]*)+1",
        r"(.)\1",
        "(?:(?:(?:a?){20}){20}){20}b",
        "(",
        "a{2,1}",
    ],
)
def test_what_can_take_for_ever_is_refused(pattern: str) -> None:
    with pytest.raises(BadPattern):
        reach(pattern, LONGEST)


@pytest.mark.parametrize(
    ("pattern", "all_of_it"),
    [
        ("viagra|cialis", True),
        (r"(?:\b\w[ ._-]){5,}\w\b", False),
        (r"(?:\w+,)+\w", False),
        (r"(?:\w++\s?+)*+!", False),
        (r"^Subject: [^:]*: .*$", True),
        ("(?i)//[^/?#\\s]{0,100}\\.(?:top|xyz)(?:[/:?#]|$)", True),
        ("dear .{0,80} customer", True),
        ("dear .* customer", False),
        (r"\s+$", False),
        (r"\A\s*+x", True),
        ("(?i)<form\\b[^<>]{0,500}\\baction\\s{0,9}=", True),
        ("(?:foo|bar|baz){1,5}", True),
    ],
)
def test_what_is_harmless_is_taken(pattern: str, all_of_it: bool) -> None:
    found = reach(pattern, LONGEST)
    assert (found == LONGEST) is all_of_it
    assert found >= 500


def pumps(pattern: str, size: int) -> list[str]:
    letters = sorted(set(re.sub(r"\\.|[^\w ]", "", pattern)) | set("aA1 .-<x"))
    single = [letter * size for letter in letters]
    return [*single, *((one * (size // 2) + other * size)[:size] for one in letters[:4] for other in letters[:4])]


ATOMS = st.sampled_from(["a", "b", ".", "[ab]", "[^a]", r"\w", r"\s", "x", "ab", "(?:a|b)", "(?:a|ab)"])
COUNTS = st.sampled_from(["", "", "*", "+", "?", "{0,50}", "{3,}", "*?", "++"])
FLAT = st.lists(st.tuples(ATOMS, COUNTS).map("".join), min_size=1, max_size=4).map("".join)
NESTED = st.tuples(FLAT, COUNTS, FLAT).map(lambda made: f"(?:{made[0]}){made[1]}{made[2]}")


@settings(max_examples=60, deadline=None)
@given(st.one_of(FLAT, NESTED))
def test_what_is_taken_is_fast_on_the_worst_of_texts(pattern: str) -> None:
    try:
        size = reach(pattern, 1_000)
    except BadPattern:
        return
    search = re.compile(pattern + "Q").search  # what cannot match has to try all ways
    began = time.process_time()
    for text in pumps(pattern, size)[:20]:
        search(text)
    assert time.process_time() - began < 20  # without a bound it would be hours
