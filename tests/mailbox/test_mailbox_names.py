"""Names of mailboxes, their hierarchy, and LIST patterns."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postroom.mailbox import names
from postroom.mailbox.errors import BadName, response_code
from postroom.store.api import MailboxInfo


def _info(name: str) -> MailboxInfo:
    return MailboxInfo(id=1, name=name, uidvalidity=1, uidnext=1, modseq=1, messages=0, unseen=0, deleted=0, size=0)


@pytest.mark.parametrize(
    ("given_name", "kept"),
    [
        ("inbox", "INBOX"),
        ("InBox/Sub", "INBOX/Sub"),
        ("inboxes", "inboxes"),
        ("Work/", "Work"),
        ("Cafe\u0301", "Caf\u00e9"),
        ("Entwürfe/Ä", "Entwürfe/Ä"),
        ("a%b*c", "a%b*c"),
    ],
)
def test_names_are_normalised(given_name: str, kept: str) -> None:
    assert names.check(given_name) == kept


@pytest.mark.parametrize(
    "name", ["", "/", "/a", "a//b", "a//", "a\x00b", "a\r\nb", "a\x7f", "\x85", "a\u2028b", "\ud800", "x" * 251,
             "/".join(["y" * 200] * 6), "/".join("a" * 51)]
)  # fmt: skip
def test_names_that_cannot_be(name: str) -> None:
    with pytest.raises(BadName) as fault:
        names.check(name)
    assert response_code(fault.value) == b"CANNOT"


@given(st.text(max_size=40))
def test_check_is_settled_after_one_turn(name: str) -> None:
    try:
        once = names.check(name)
    except BadName:
        return
    assert names.check(once) == once == names.normalize(name)


def test_levels_without_a_mailbox_are_listed() -> None:
    listed = names.hierarchy([_info("b/c/d"), _info("INBOX"), _info("a b"), _info("a"), _info("a/x")])
    assert [(item.name, item.info is not None, item.has_children) for item in listed] == [
        ("INBOX", True, False),
        ("a", True, True),
        ("a/x", True, False),
        ("a b", True, False),
        ("b", False, True),
        ("b/c", False, True),
        ("b/c/d", True, False),
    ]


@pytest.mark.parametrize(
    ("reference", "pattern", "name", "hit"),
    [
        ("", "*", "a/b/c", True),
        ("", "%", "a", True),
        ("", "%", "a/b", False),
        ("", "%/%", "a/b", True),
        ("", "%/%", "a/b/c", False),
        ("", "inbox", "INBOX", True),
        ("", "inbox/*", "INBOX/x", True),
        ("", "INBOX*", "INBOX/x", True),
        ("a/", "%", "a/b", True),
        ("a/", "b*", "a/bcd/e", True),
        ("", "a*c", "a/b/c", True),
        ("", "a%c", "a/b/c", False),
        ("", "*%", "a/b", True),
        ("", "", "", True),
        ("", "", "a", False),
        ("", "a.c", "abc", False),
    ],
)
def test_list_patterns(reference: str, pattern: str, name: str, hit: bool) -> None:
    assert names.Matcher(reference, [pattern])(name) is hit


@given(st.text("ab/%*", max_size=8), st.text("ab/", max_size=10))
@settings(max_examples=100)
def test_patterns_match_as_their_definition_says(pattern: str, name: str) -> None:
    expression = re.escape(pattern).replace(r"\*", ".*").replace("%", "[^/]*")
    assert names.Matcher("", [pattern])(name) is (re.fullmatch(expression, name) is not None)


@given(st.text("ab/%*", max_size=8), st.text("ab/", max_size=5), st.text("ab/", max_size=5))
@settings(max_examples=100)
def test_what_could_lie_below_a_prefix_is_never_overlooked(pattern: str, prefix: str, rest: str) -> None:
    matches = names.Matcher("", [pattern])
    assert matches.below(prefix) or not matches(prefix + rest)


@pytest.mark.parametrize(
    ("pattern", "prefix", "possible"),
    [("%", "Users/", False), ("%/%", "Users/", True), ("INBOX*", "Users/", False), ("Users", "Users/", False)],
)
def test_places_that_no_pattern_can_reach(pattern: str, prefix: str, possible: bool) -> None:
    assert names.Matcher("", [pattern]).below(prefix) is possible


def test_hostile_patterns_stay_cheap() -> None:
    # a backtracking matcher would need centuries for this
    assert not names.Matcher("", ["*a%" * 300 + "b"])("a" * 1000)
