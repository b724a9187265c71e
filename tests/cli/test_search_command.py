"""`postroom mailbox search`."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any
from uuid import uuid4

from postroom.mailbox.incoming import Incoming
from postroom.mailbox.service import Mailboxes
from postroom.store.embedded import EmbeddedStore
from postroom.values.clock import SystemClock
from postroom.values.content import Content


def receive(folder: Path, login: str, *messages: bytes) -> None:
    async def work() -> None:
        store = EmbeddedStore(folder / "data", None)
        row = await store.directory.account_by_login(login)
        assert row is not None
        account = await Mailboxes(store, SystemClock(), lambda: uuid4().hex).open(row)
        inbox = await (await store.account(row.id)).mailbox("INBOX")
        assert inbox is not None
        await account.append(inbox.id, [Incoming(content=Content.of(each)) for each in messages])
        await store.close()

    asyncio.run(work())


MAIL = b"From: Ben <ben@far.test>\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n\r\nSee you on Monday \x1b[2J\r\n"


def test_search(postroom: Any, site: Path, ann: str) -> None:
    receive(site, ann, MAIL, b"Subject: other\x1b[2J\r\n\r\nTuesday\r\n")
    done = postroom("mailbox", "search", ann, "from:ben", "monday")
    assert done.code == 0, done.err
    assert "Grüße" in done.out
    assert "Ben <ben@far.test>" in done.out
    assert "1 message found" in done.err
    told = postroom("mailbox", "search", ann, "gruesse OR grusse", "--json").json
    assert told["total"] == told["shown"] == 1
    assert told["messages"][0]["mailbox"] == "INBOX"
    assert told["messages"][0]["uid"] == 1
    assert told["messages"][0]["from"] == "Ben <ben@far.test>"
    assert told["messages"][0]["subject_marks"] == [[0, 5]]
    told = postroom("mailbox", "search", ann, "mondya", "--ranked", "--json").json
    assert told["messages"][0]["relevancy"] == 100
    assert told["messages"][0]["snippet"].startswith("See you on Monday")
    assert postroom("mailbox", "search", ann, "monday", "--deleted").code == 0
    assert "100 %" in postroom("mailbox", "search", ann, "monday", "--ranked").out
    assert "\x1b" not in postroom("mailbox", "search", ann).out
    done = postroom("mailbox", "search", ann, "--limit", "1")
    assert "2 messages found, the newest 1 are shown" in done.err


def test_nothing_found_and_what_cannot_be_asked(postroom: Any, site: Path, ann: str) -> None:
    done = postroom("mailbox", "search", ann, "nothing")
    assert done.code == 3
    assert postroom("mailbox", "search", ann, "nothing", "--json").json["messages"] == []
    assert postroom("mailbox", "search", "nobody@example.org", "x").code == 3
    done = postroom("mailbox", "search", ann, "form:ben")
    assert done.code == 2
    assert "there is no field form:" in done.err
    assert "from:" in done.err


def test_a_query_may_begin_with_a_minus(postroom: Any, site: Path, ann: str) -> None:
    receive(site, ann, b"Subject: one\r\n\r\nx\r\n", b"Subject: two\r\n\r\nx\r\n")
    told = postroom("mailbox", "search", ann, "-subject:two", "--limit", "5", "--json").json
    assert [one["subject"] for one in told["messages"]] == ["one"]
    assert postroom("mailbox", "search", ann, "x", "-subject:two", "-subject:one").code == 3
    both = postroom("mailbox", "search", ann, "x", "-has:pdf", "--json").json
    assert both["total"] == 2, "-h is no option here"
    wrong = postroom("mailbox", "search", ann, "x", "--limmit", "5")
    assert (wrong.code, "--limmit" in wrong.err) == (2, True)
    assert postroom("mailbox", "saved", "add", ann, "Not", "-subject:two").code == 0


def test_searches_that_are_kept(postroom: Any, ann: str) -> None:
    empty = postroom("mailbox", "saved", "list", ann)
    assert (empty.code, "saved add" in empty.err) == (0, True)
    made = postroom("mailbox", "saved", "add", ann, "Unpaid", "subject:invoice", "is:flagged")
    assert (made.code, made.err) == (0, 'mail programs show it as "Searches/Unpaid" from the next log-in on\n')
    told = postroom("mailbox", "saved", "list", ann, "--json").json
    assert told["searches"] == [{"name": "Unpaid", "query": "subject:invoice is:flagged"}]
    assert postroom("mailbox", "saved", "add", ann, "Unpaid", "larger:5M").code == 0
    assert "larger:5M" in postroom("mailbox", "saved", "list", ann).out
    wrong = postroom("mailbox", "saved", "add", ann, "Odd", '"never closed')
    assert (wrong.code, "never closed" in wrong.err) == (2, True)
    assert postroom("mailbox", "saved", "add", ann, "a/b", "x").code == 2
    assert postroom("mailbox", "saved", "add", ann, "long", "x" * 1001).code == 2
    for number in range(99):  # with Unpaid it is all
        assert postroom("mailbox", "saved", "add", ann, f"s{number}", "x", "--json").json["query"] == "x"
    most = postroom("mailbox", "saved", "add", ann, "more", "x")
    assert (most.code, "100" in most.err) == (4, True)
    assert postroom("mailbox", "saved", "rm", ann, "Unpaid").code == 0
    assert postroom("mailbox", "saved", "rm", ann, "Unpaid").code == 3
    acts = postroom("audit", "list", "--json").json["acts"]
    assert {act["on"] for act in acts if act["act"] == "mailbox saved rm"} == {ann}
