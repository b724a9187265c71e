"""Pieces of text around hits: shown as written, marked where the hits are."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.index.snippets import LENGTH, Snippet, beginning, marked, snippet
from postroom.index.terms import Wanted
from postroom.message.folding import fold


def hits(found: Snippet | None) -> list[str]:
    assert found is not None
    return [found.text[start:end] for start, end in found.marks]


@pytest.mark.parametrize(
    ("text", "wanted", "shown", "marks"),
    [
        ("Please  pay\r\nthe invoice", "invoice", "Please pay the invoice", ["invoice"]),
        ("Die Straße nach Zürich", "STRASSE", "Die Straße nach Zürich", ["Straße"]),
        (
            "Zürich, ZURICH, zu\u0308rich",
            "zurich",
            "Zürich, ZURICH, zu\u0308rich",
            ["Zürich", "ZURICH", "zu\u0308rich"],
        ),
        ("ｆｕｌｌ width", "full", "ｆｕｌｌ width", ["ｆｕｌｌ"]),
        ("½ price", "1⁄2", "½ price", ["½"]),
        ("一二三四五", "三四", "一二三四五", ["三四"]),
        ("aaaa", "aa", "aaaa", ["aaaa"]),
    ],
)
def test_marks(text: str, wanted: str, shown: str, marks: list[str]) -> None:
    found = snippet((text,), [Wanted.of(wanted)])
    assert found is not None
    assert found.text == shown
    assert hits(found) == marks


def test_words_begin_where_they_must() -> None:
    assert hits(snippet(("planning an annex",), [Wanted.of("an", at_word=True)])) == ["an", "an"]
    assert snippet(("planning",), [Wanted.of("an", at_word=True)]) is None


def test_a_long_text_is_cut_at_words() -> None:
    text = "word " * 2000 + "needle " + "after " * 2000
    found = snippet((text,), [Wanted.of("needle")])
    assert found is not None
    assert found.text.startswith("… word ")
    assert found.text.endswith(" after …")
    assert hits(found) == ["needle"]
    assert len(found.text) <= LENGTH + 4
    assert snippet(("", "none", "the needle"), [Wanted.of("needle")]) == Snippet("the needle", ((4, 10),))
    assert snippet((text,), [Wanted.of("nothing")]) is None
    assert beginning(("", " \r\n", "  First\r\nwords ")) == Snippet("First words")
    assert beginning(()) == Snippet("")
    assert marked("Re: Grüße", [Wanted.of("grusse")]).marks == ((4, 9),)


def test_endless_text_costs_bounded_time() -> None:
    started = time.process_time()
    assert snippet(("ü" * 30_000_000,), [Wanted.of("x")]) is None
    assert time.process_time() - started < 3


@given(st.text(max_size=200), st.text(min_size=1, max_size=4), st.text(max_size=200))
def test_what_is_marked_is_what_was_found(before: str, word: str, after: str) -> None:
    wanted = Wanted.of(word)
    found = snippet((before + word + after,), [wanted])
    if found is None:
        return
    for start, end in found.marks:
        assert wanted.text in fold(found.text[start:end]) or fold(found.text[start:end]) in wanted.text * 9
        assert 0 <= start < end <= len(found.text)
