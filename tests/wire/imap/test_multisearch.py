"""The grammar of ESEARCH, and its responses (RFC 7377 4)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.wire.imap.commands import Key, MultiSearch, SearchKey, Source
from postroom.wire.imap.errors import BadCharset, BadCommand
from postroom.wire.imap.events import Line
from postroom.wire.imap.response import Found, context_update, esearch, searched
from postroom.wire.imap.table import State, parse


def args(text: str, *literals: bytes) -> MultiSearch:
    found = parse(Line(b"a " + text.encode(), literals)).args
    assert isinstance(found, MultiSearch)
    return found


def test_where_and_what() -> None:
    plain = args("ESEARCH UNSEEN")
    assert plain.sources == (Source("SELECTED"),)
    assert plain.search.returns == ("ALL",)  # RFC 7377 2.1
    # the examples of RFC 7377 3
    first = args('esearch in (mailboxes "folder1" subtree "folder2") unseen')
    assert first.sources == (Source("MAILBOXES", ("folder1",)), Source("SUBTREE", ("folder2",)))
    second = args('ESEARCH IN (mailboxes "folder1" subtree-one "folder2") subject "chad"')
    assert second.sources[1] == Source("SUBTREE-ONE", ("folder2",))
    assert second.search.key == SearchKey(Key.HEADER, name="SUBJECT", text="chad")
    every = args(
        "ESEARCH IN (selected inboxes personal subscribed mailboxes (a inbox a) personal) RETURN (COUNT MIN) ALL"
    )
    assert [source.kind for source in every.sources] == ["SELECTED", "INBOXES", "PERSONAL", "SUBSCRIBED", "MAILBOXES"]
    assert every.sources[-1].names == ("a", "INBOX")
    assert every.search.returns == ("COUNT", "MIN")
    assert args("ESEARCH IN (selected) RETURN (SAVE) ALL").search.returns == ("SAVE",)
    assert args("ESEARCH IN (personal) RETURN () CHARSET US-ASCII ALL").search.returns == ("ALL",)


@pytest.mark.parametrize(
    "text",
    [
        "ESEARCH",
        "ESEARCH IN",
        "ESEARCH IN ALL",
        "ESEARCH IN () ALL",
        "ESEARCH IN (personal)",
        "ESEARCH IN (personal)ALL",
        "ESEARCH IN (personal ) ALL",
        "ESEARCH IN (everything) ALL",
        "ESEARCH IN (selected-delayed) ALL",
        "ESEARCH IN (mailboxes) ALL",
        "ESEARCH IN (mailboxes ()) ALL",
        "ESEARCH IN (subtree (a) (b)) ALL",
        "ESEARCH IN (personal (option 1)) ALL",
        "ESEARCH IN (personal) RETURN (SAVE) ALL",
        "ESEARCH IN (selected personal) RETURN (SAVE COUNT) ALL",
        "ESEARCH RETURN (COUNT) IN (personal) ALL",
        "ESEARCH IN (personal) RETURN (ALL PARTIAL 1:2) ALL",
        "UID ESEARCH ALL",
    ],
)
def test_bad_ones(text: str) -> None:
    with pytest.raises(BadCommand):
        args(text)


def test_before_a_mailbox_is_selected() -> None:
    assert parse(Line(b"a ESEARCH IN (personal) ALL", ()), state=State.AUTHENTICATED).name == "ESEARCH"
    with pytest.raises(BadCommand):
        parse(Line(b"a ESEARCH IN (personal) ALL", ()), state=State.NOT_AUTHENTICATED)


def test_responses_say_of_which_mailbox_they_are() -> None:
    where = searched("Gr\u00fcn", 503)
    assert where == b' MAILBOX "Gr&APw-n" UIDVALIDITY 503'
    assert esearch(b"tag1", Found(uid=True, all=((3, 5),), count=3), where) == (
        b'* ESEARCH (TAG "tag1" MAILBOX "Gr&APw-n" UIDVALIDITY 503) UID ALL 3:5 COUNT 3\r\n'
    )
    assert esearch(b"t", Found(uid=True), searched("Gr\u00fcn", 1, utf8=True)) == (
        '* ESEARCH (TAG "t" MAILBOX "Grün" UIDVALIDITY 1) UID\r\n'.encode()
    )
    assert context_update(b"t", b"ADDTO", [(0, [(1, 2)])], uid=True, where=b" MAILBOX x UIDVALIDITY 7") == (
        b'* ESEARCH (TAG "t" MAILBOX x UIDVALIDITY 7) UID ADDTO (0 1:2)\r\n'
    )


WORDS = ["ESEARCH", " ", "IN", "(", ")", "mailboxes", "personal", "RETURN", "SAVE", '"', "ALL", "1:*", "$", "{3}", "ü"]


@given(st.lists(st.sampled_from(WORDS), max_size=20).map("".join))
def test_any_text_is_a_command_or_bad(text: str) -> None:
    try:
        command = parse(Line(b"a ESEARCH " + text.encode(), (b"abc",)))
    except (BadCommand, BadCharset) as fault:
        assert fault.tag == b"a"
    else:
        assert (command.tag, command.name) == (b"a", "ESEARCH")
