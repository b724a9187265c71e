"""NOTIFY: the grammar, and what must be asked for together."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.wire.imap.commands import Attribute, EventGroup, Notify
from postroom.wire.imap.errors import BadCommand
from postroom.wire.imap.events import Line
from postroom.wire.imap.table import parse

NEW = frozenset({"MessageNew", "MessageExpunge"})


def read(text: str) -> Notify:
    args = parse(Line(f"a NOTIFY {text}".encode())).args
    assert isinstance(args, Notify)
    return args


def test_examples_of_rfc_5465() -> None:
    asked = read(
        "set status (selected (MessageNew (uid body.peek[header.fields (from to subject)]) MessageExpunge))"
        " (subtree Lists (MessageNew MessageExpunge))"
    )
    assert asked.status
    assert asked.groups is not None
    selected, lists = asked.groups
    assert (selected.filter, selected.events) == ("SELECTED", NEW)
    assert [item.attribute for item in selected.items] == [Attribute.UID, Attribute.SECTION]
    assert lists == EventGroup("SUBTREE", ("Lists",), NEW)


@pytest.mark.parametrize(
    ("text", "groups"),
    [
        ("NONE", None),
        ("SET (SELECTED NONE)", (EventGroup("SELECTED", (), frozenset()),)),
        (
            "SET (mailboxes inbox (messagenew MESSAGEEXPUNGE)) (personal (SubscriptionChange))",
            (
                EventGroup("MAILBOXES", ("INBOX",), NEW),
                EventGroup("PERSONAL", (), frozenset({"SubscriptionChange"})),
            ),
        ),
        (
            "SET (Mailboxes (a b a) (MailboxName))",
            (EventGroup("MAILBOXES", ("a", "b"), frozenset({"MailboxName"})),),
        ),
        (
            "SET (Selected-Delayed (MessageNew FlagChange MessageExpunge))",
            (EventGroup("SELECTED-DELAYED", (), NEW | {"FlagChange"}),),
        ),
        (
            "SET (subscribed (MessageNew MessageExpunge XVENDOR AnnotationChange))",
            (EventGroup("SUBSCRIBED", (), NEW | {"XVENDOR", "AnnotationChange"}),),
        ),
        ("SET (inboxes NONE)", (EventGroup("INBOXES", (), frozenset()),)),
    ],
)
def test_groups(text: str, groups: tuple[EventGroup, ...] | None) -> None:
    assert read(text) == Notify(groups)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "SET",
        "SET STATUS",
        "SOME",
        "NONE NONE",
        "SET STATUS(selected NONE)",
        "SET (selected)",
        "SET (selected ())",
        "SET (selected ALL)",
        "SET (elsewhere NONE)",
        "SET (mailboxes (MessageNew MessageExpunge))",
        "SET (mailboxes () NONE)",
        "SET (selected NONE) (selected-delayed NONE)",  # RFC 5465 6.1
        "SET (selected (MessageNew))",  # RFC 5465 5: both or none
        "SET (selected (MessageExpunge))",
        "SET (selected (FlagChange))",
        "SET (personal (AnnotationChange))",
        "SET (selected (MessageNew MessageExpunge MailboxName))",  # RFC 5465 6.1
        "SET (personal (MessageNew (uid) MessageExpunge))",  # RFC 5465 8
        "SET (selected (MessageNew () MessageExpunge))",
        "SET (selected (MessageNew (fast) MessageExpunge))",
        "SET (selected NONE)(personal NONE)",
        "SET (selected NONE) ",
        "SET " + " ".join(["(personal NONE)"] * 101),
    ],
)
def test_wrong(text: str) -> None:
    with pytest.raises(BadCommand) as fault:
        read(text)
    assert fault.value.status == b"BAD"


@given(st.text('()SETNOtselcdp MmaboxNwFg"{}\\', max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(BadCommand):
        parse(Line(b"a NOTIFY SET " + text.encode()))
