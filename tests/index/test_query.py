"""The query language: every query gives a tree, or says where and why not."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.index.query import (
    MAX_LENGTH,
    Age,
    All,
    BadQuery,
    Either,
    Everything,
    Flag,
    Has,
    Header,
    In,
    Keyword,
    Node,
    Not,
    Received,
    Scope,
    Size,
    Text,
    mentions,
    parse,
    texts,
)
from postroom.values.flags import FLAGGED, SEEN


def word(text: str, scope: Scope = Scope.ANY) -> Text:
    return Text(scope, text)


@pytest.mark.parametrize(
    ("query", "tree"),
    [
        ("", Everything()),
        ("  ", Everything()),
        ("offer", word("offer")),
        ('"annual report"', Text(Scope.ANY, "annual report", phrase=True)),
        (r'"say \"no\" \\ "', Text(Scope.ANY, 'say "no" \\ ', phrase=True)),
        ("a b", All((word("a"), word("b")))),
        ("a AND b", All((word("a"), word("b")))),
        ("a or b", All((word("a"), word("or"), word("b")))),
        ("a b OR c", Either((All((word("a"), word("b"))), word("c")))),
        ("a (b OR c)", All((word("a"), Either((word("b"), word("c")))))),
        ("-a", Not(word("a"))),
        ("NOT a b", All((Not(word("a")), word("b")))),
        ("--a", Not(Not(word("a")))),
        ("-(a b)", Not(All((word("a"), word("b"))))),
        ("well-known", word("well-known")),
        ("a - b", All((word("a"), word("-"), word("b")))),
        ("from:ann", word("ann", Scope.FROM)),
        ("FROM:ann", word("ann", Scope.FROM)),
        ('subject:"big deal"', Text(Scope.SUBJECT, "big deal", phrase=True)),
        ("from:(ann OR ben)", Either((word("ann", Scope.FROM), word("ben", Scope.FROM)))),
        ("-from:(ann ben)", Not(All((word("ann", Scope.FROM), word("ben", Scope.FROM))))),
        ("Re: offer", All((word("Re:"), word("offer")))),
        ("http://example.org/x", word("http://example.org/x")),
        ("12:30", word("12:30")),
        ("note:this", word("note:this")),
        ("is:unread", Flag(SEEN, on=False)),
        ("is:flagged", Flag(FLAGGED, on=True)),
        ("is:forwarded", Keyword("$Forwarded")),
        ("keyword:work", Keyword("work")),
        ("has:attachment", Has("attachment")),
        ("has:PDFs", Has("pdf")),
        ("larger:5M", Size(larger=True, octets=5 << 20)),
        ("smaller:1.5K", Size(larger=False, octets=1536)),
        ("before:2026-03-31", Received(None, date(2026, 3, 31))),
        ("after:2026", Received(date(2026, 1, 1), None)),
        ("on:2026-12", Received(date(2026, 12, 1), date(2027, 1, 1))),
        ("on:2026/2/3", Received(date(2026, 2, 3), date(2026, 2, 4))),
        ("older_than:2w", Age(older=True, seconds=14 * 86400)),
        ("newer_than:12h", Age(older=False, seconds=43200)),
        ("in:Projects/2026", In("Projects/2026")),
        ('in:"My folder"', In("My folder")),
        ("list:announce", word("announce", Scope.LIST)),
        ("header:X-Mailer=mutt", Header("X-Mailer", "mutt")),
        ("header:X-Mailer", Header("X-Mailer", "")),
        ('a"b c"d', All((word("a"), Text(Scope.ANY, "b c", phrase=True), word("d")))),
    ],
)
def test_tree(query: str, tree: Node) -> None:
    assert parse(query) == tree


@pytest.mark.parametrize(
    ("query", "at", "says", "advice"),
    [
        ("form:ann", 0, "no field form:", "from:"),
        ("x subjcet:y", 2, "no field subjcet:", "subject:"),
        ("a OR", 2, "beside this OR", '"OR"'),
        ("OR a", 0, "missing here", "quote them"),
        ("a AND", 5, "missing here", "quote them"),
        ("(a", 0, "never closed", ")"),
        ("a)", 1, "closes nothing", ")"),
        ("()", 1, "missing here", ""),
        ('x "abc', 2, "never closed", "…"),
        ('""', 0, "nothing between", ""),
        ("is:gone", 3, "never 'gone'", "Known"),
        ("is:flaged", 3, "never 'flaged'", "Did you mean flagged"),
        ("has:pdfx", 4, "never has", "pdf"),
        ("from:", 0, "needs something", "from:ann"),
        ("from:-ann", 0, "needs something", "from:ann"),
        ("from: ann", 0, "needs something", "from:ann"),
        ("larger:big", 7, "no size", "5M"),
        ("before:2026-13", 7, "no date", "2026-03-31"),
        ("older_than:soon", 11, "no length of time", "7d"),
        ("header:=x", 7, "no name", "X-Mailer"),
        ("-" * 60 + "a", 50, "levels", ""),
        ("(" * 60 + "a" + ")" * 60, 50, "levels", ""),
        ("a " * 201, 400, "200 things", ""),
    ],
)
def test_what_is_wrong_is_said_with_place_and_advice(query: str, at: int, says: str, advice: str) -> None:
    with pytest.raises(BadQuery) as fault:
        parse(query)
    assert says in fault.value.text
    assert advice in fault.value.advice
    assert fault.value.at == at


def test_long_queries_are_refused() -> None:
    with pytest.raises(BadQuery):
        parse("a" * (MAX_LENGTH + 1))


_PIECES = st.sampled_from(
    [
        "a",
        '"b c"',
        "OR",
        "AND",
        "NOT",
        "-",
        "(",
        ")",
        " ",
        " ",
        " ",
        "from:",
        "is:read",
        "larger:",
        "in:x",
        ":",
        '"',
        "\\",
        "é",
    ]
)


@given(st.one_of(st.text(max_size=60), st.lists(_PIECES, max_size=25).map("".join)))
def test_any_text_gives_a_tree_or_a_place(query: str) -> None:
    try:
        tree = parse(query)
    except BadQuery as fault:
        assert 0 <= fault.at <= len(query)
        assert fault.text
    else:
        hash(tree)
        assert all(found.text for found in texts(tree))


def test_what_is_asked_for_can_be_asked() -> None:
    tree = parse("a -in:trash (b OR subject:c)")
    assert mentions(tree, In)
    assert not mentions(tree, Size)
    assert [found.text for found in texts(tree)] == ["a", "b", "c"]
