"""postroom mailbox: deleted mail is listed, brought back, and taken away again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import apsw
import pytest

from postroom.mailbox.incoming import Incoming
from postroom.mailbox.service import Account, Mailboxes
from postroom.store.api import AccountStore, FlagChange, FlagOp
from postroom.store.embedded import EmbeddedStore
from postroom.testing.store_contract import SettableClock
from postroom.values.clock import Clock, SystemClock
from postroom.values.content import Content
from postroom.values.flags import DELETED, FLAGGED, SEEN

LOGIN = "ann@example.org"


def letter(subject: str, sender: str = "Bob <bob@far.test>") -> Incoming:
    text = f"From: {sender}\r\nSubject: {subject}\r\nMessage-ID: <{subject.split()[0]}@far.test>\r\n\r\nHello\r\n"
    return Incoming(content=Content.of(text.encode()), internaldate=1_700_000_000, flags=SEEN)


def work(site: Path, what: Callable[[Account], Awaitable[Any]], clock: Clock | None = None) -> Any:
    """Do something in Ann's mailboxes."""

    async def run() -> Any:
        store = EmbeddedStore(site / "data", clock=clock)
        try:
            row = await store.directory.account_by_login(LOGIN)
            assert row is not None
            return await what(await Mailboxes(store, SystemClock(), lambda: uuid4().hex).open(row))
        finally:
            await store.close()

    return asyncio.run(run())


async def listed(store: AccountStore, name: str) -> list[tuple[int, int, int]]:
    info = await store.mailbox(name)
    assert info is not None
    snapshot = await store.snapshot(info.id)
    return [
        row for page in snapshot.pages for row in zip(page.uids, map(int, page.flags), page.dates, strict=True)
    ]  # fmt: skip


@pytest.fixture
def lost(ann: str, site: Path) -> None:
    """Two letters expunged from INBOX, one there still, and one that went with its mailbox."""

    async def fill(account: Account) -> None:
        inbox = await account.find("INBOX")
        letters = [letter("one of two"), letter("stays"), letter("two", '"Café" <carol@far.test>')]
        await account.append(inbox.id, letters)
        await account.store_flags(inbox.id, [1, 3], FlagChange(op=FlagOp.ADD, bits=DELETED | FLAGGED))
        await account.expunge(inbox.id)
        box = await account.create("Work/Old")
        await account.append(box.id, [letter("offer")])
        await account.delete("Work/Old")

    work(site, fill)


@pytest.mark.usefixtures("lost")
def test_list_and_filters(postroom: Any) -> None:
    found = postroom("mailbox", "deleted", "list", LOGIN, "--json").json
    told = [(one["mailbox"], one["mailbox_deleted"], one["subject"], one["message_id"]) for one in found["messages"]]
    assert told == [
        ("Work/Old", True, "offer", "<offer@far.test>"),
        ("INBOX", False, "two", "<two@far.test>"),
        ("INBOX", False, "one of two", "<one@far.test>"),
    ]
    assert found["more"] is False

    def subjects(*arguments: str) -> list[str]:
        messages = postroom("mailbox", "deleted", "list", LOGIN, "--json", *arguments).json["messages"]
        return [one["subject"] for one in messages]

    assert subjects("--mailbox", "inbox") == ["two", "one of two"]
    assert subjects("--from", "CAFÉ") == ["two"]
    assert subjects("--subject", "OF") == ["offer", "one of two"]
    assert subjects("--since", "1h") == ["offer", "two", "one of two"]
    assert subjects("--until", "1h") == []
    assert subjects("--limit", "1") == ["offer"]
    done = postroom("mailbox", "deleted", "list", LOGIN)
    assert "Work/Old (deleted)" in done.out
    assert f"postroom mailbox deleted restore {LOGIN}" in done.err
    assert "there are more" in postroom("mailbox", "deleted", "list", LOGIN, "--limit", "1").err
    assert "within 30 days" in postroom("mailbox", "deleted", "list", LOGIN, "--from", "nobody").err


@pytest.mark.usefixtures("lost")
def test_restore_by_id_and_message_id_and_undo(postroom: Any, site: Path) -> None:
    messages = postroom("mailbox", "deleted", "list", LOGIN, "--json").json["messages"]
    one = next(one["id"] for one in messages if one["subject"] == "one of two")
    planned = postroom("mailbox", "deleted", "restore", LOGIN, one, "<offer@far.test>", "--dry-run", "--json").json
    assert planned["dry_run"]
    assert planned["mailboxes"] == [{"name": "INBOX", "messages": 1}, {"name": "Work/Old", "messages": 1}]
    assert work(site, lambda account: listed(account.store, "INBOX")) == [(2, SEEN, 1_700_000_000)]
    done = postroom("mailbox", "deleted", "restore", LOGIN, one, "<offer@far.test>")
    assert done.code == 0
    assert "INBOX: 1 message brought back" in done.err
    assert f"Undo: postroom mailbox undo {LOGIN} 1" in done.err
    inbox = work(site, lambda account: listed(account.store, "INBOX"))
    assert [(uid, flags & ~64, date) for uid, flags, date in inbox] == [
        (2, SEEN, 1_700_000_000),
        (4, SEEN | FLAGGED, 1_700_000_000),
    ]
    assert len(work(site, lambda account: listed(account.store, "Work/Old"))) == 1
    left = postroom("mailbox", "deleted", "list", LOGIN, "--json").json["messages"]
    assert [message["subject"] for message in left] == ["two"]
    undone = postroom("mailbox", "undo", LOGIN, "--json").json
    assert (undone["restore"], undone["messages"], undone["mailboxes"]) == (1, 2, ["Work/Old"])
    assert len(postroom("mailbox", "deleted", "list", LOGIN, "--json").json["messages"]) == 3
    assert postroom("mailbox", "undo", LOGIN).code == 3
    acts = [act for act in postroom("audit", "list", "--json").json["acts"] if act["act"].startswith("mailbox")]
    assert [(act["act"], act["on"], act["after"]) for act in acts] == [
        ("mailbox deleted restore", LOGIN, {"INBOX": 1, "Work/Old": 1}),
        ("mailbox undo", LOGIN, {"undo_restore": [1]}),
    ]


@pytest.mark.usefixtures("lost")
def test_restore_by_choice_into_one_mailbox(postroom: Any, site: Path) -> None:
    done = postroom("mailbox", "deleted", "restore", LOGIN, "--all", "--to", "Found/again", "--json").json
    assert [(one["name"], one["made"], one["uids"]) for one in done["mailboxes"]] == [("Found/again", True, [1, 2, 3])]
    assert len(work(site, lambda account: listed(account.store, "Found/again"))) == 3
    assert postroom("mailbox", "deleted", "list", LOGIN, "--json").json["messages"] == []
    assert postroom("check").code == 0


@pytest.mark.usefixtures("lost")
def test_what_cannot_be_restored(postroom: Any) -> None:
    assert postroom("mailbox", "deleted", "restore", LOGIN).code == 2
    assert postroom("mailbox", "deleted", "restore", LOGIN, "99.1").code == 3
    assert postroom("mailbox", "deleted", "restore", "nobody@example.org", "--all").code == 3
    assert postroom("mailbox", "deleted", "restore", LOGIN, "--all", "--to", "a//b").code == 2
    done = postroom("mailbox", "deleted", "restore", LOGIN, "<two@far.test>", "<none@far.test>", "--json")
    assert done.code == 5
    assert done.json["missing"] == ["<none@far.test>"]
    assert postroom("user", "set", LOGIN, "--quota-messages", "2").code == 0
    full = postroom("mailbox", "deleted", "restore", LOGIN, "--all")
    assert full.code == 1
    assert "--quota" in full.err
    assert "\x1b" not in postroom("mailbox", "deleted", "list", LOGIN, "--subject", "\x1b[31m").err


def test_a_copy_that_is_still_somewhere_is_named(postroom: Any, ann: str, site: Path) -> None:
    async def to_trash(account: Account) -> None:
        inbox, trash = await account.find("INBOX"), await account.find("Trash")
        await account.append(inbox.id, [letter("one")])
        await account.copy(inbox.id, [1], trash.id)
        await account.store.expunge(inbox.id, [1], only_deleted=False)

    work(site, to_trash)
    [one] = postroom("mailbox", "deleted", "list", ann, "--json").json["messages"]
    assert one["still_in"] == ["Trash"]


@pytest.fixture
def yesterday(ann: str, site: Path) -> float:
    """A moment two hours ago, at which INBOX had three letters and Work/Old one; since then much was lost."""
    now = time.time()
    [database] = (site / "data" / "accounts").glob("*/*/mail.db")
    with apsw.Connection(str(database)) as connection:
        connection.execute("UPDATE life SET created = ?", (now - 86_400,))

    def at(hours: float, what: Callable[[Account], Awaitable[Any]]) -> None:
        work(site, what, SettableClock(now - hours * 3600))

    async def begin(account: Account) -> None:
        await account.append((await account.find("INBOX")).id, [letter("one"), letter("two"), letter("three")])
        await account.append((await account.create("Work/Old")).id, [letter("offer")])

    async def lose(account: Account) -> None:
        inbox, trash = await account.find("INBOX"), await account.find("Trash")
        await account.store.expunge(inbox.id, [1], only_deleted=False)
        await account.move(inbox.id, [2], trash.id)
        await account.rename("Work", "Job")
        await account.delete("Job/Old")
        await account.append(inbox.id, [letter("later")])

    at(3, begin)
    at(1, lose)
    return now - 2 * 3600


def test_mailboxes_as_they_were(postroom: Any, ann: str, yesterday: float) -> None:
    when = datetime.fromtimestamp(yesterday).isoformat()
    now = {box["name"]: box["messages"] for box in postroom("mailbox", "list", ann, "--json").json["mailboxes"]}
    assert (now["INBOX"], now["Trash"], now["Job"]) == (2, 1, 0)
    assert "Work" not in now
    told = postroom("mailbox", "list", ann, "--at", when, "--json").json
    assert told["at"] == pytest.approx(yesterday, abs=1)
    then = {box["name"]: box for box in told["mailboxes"]}
    assert (then["INBOX"]["messages"], then["INBOX"]["gone_since"], then["Trash"]["messages"]) == (3, 2, 0)
    assert (then["Work"]["name_now"], then["Work/Old"]["name_now"]) == ("Job", None)
    assert then["Work/Old"]["deleted"] > yesterday
    assert postroom("mailbox", "list", ann, "--at", "2h").code == 0
    shown = postroom("mailbox", "show", ann, "inbox", "--at", when, "--json").json
    assert [(one["subject"], one["left"] is not None, one["moved"]) for one in shown["messages"]] == [
        ("three", False, False),
        ("two", True, True),
        ("one", True, False),
    ]
    assert "1 are shown" in postroom("mailbox", "show", ann, "INBOX", "--at", when, "--limit", "1").err
    assert "moved" in postroom("mailbox", "show", ann, "INBOX", "--at", when).out
    assert [one["subject"] for one in postroom("mailbox", "show", ann, "INBOX", "--json").json["messages"]] == [
        "later",
        "three",
    ]
    assert postroom("mailbox", "show", ann, "Work/Old").code == 3
    too_long = postroom("mailbox", "list", ann, "--at", "31d")
    assert too_long.code == 2
    assert "30 days" in too_long.err


def test_a_mailbox_comes_back_as_it_was(postroom: Any, ann: str, site: Path, yesterday: float) -> None:
    when = datetime.fromtimestamp(yesterday).isoformat()
    folder = datetime.fromtimestamp(yesterday).strftime("Restored %Y-%m-%d %H.%M")
    planned = postroom("mailbox", "restore", ann, "INBOX", "Work", "--below", "--at", when, "--dry-run", "--json").json
    assert planned["dry_run"]
    assert planned["mailboxes"] == [
        {"name": f"{folder}/INBOX", "messages": 3},
        {"name": f"{folder}/Work", "messages": 0},
        {"name": f"{folder}/Work/Old", "messages": 1},
    ]
    done = postroom("mailbox", "restore", ann, "INBOX", "--at", when)
    assert done.code == 0
    assert f"{folder}/INBOX: 3 messages brought back" in done.err
    shown = postroom("mailbox", "show", ann, f"{folder}/INBOX", "--json").json["messages"]
    assert [one["subject"] for one in shown] == ["three", "two", "one"]
    assert {one["received"] for one in shown} == {1_700_000_000}
    assert len(work(site, lambda account: listed(account.store, "INBOX"))) == 2
    again = postroom("mailbox", "restore", ann, "--all", "--at", when, "--json").json
    assert again["mailboxes"][0]["name"] == f"{folder} (2)/INBOX"
    assert postroom("mailbox", "undo", ann).code == 0
    assert postroom("mailbox", "undo", ann, "--json").json["mailboxes"] == [f"{folder}/INBOX", folder]
    assert postroom("mailbox", "restore", ann, "INBOX", "--at", when, "--to", "Found").code == 0
    assert len(work(site, lambda account: listed(account.store, "Found/INBOX"))) == 3
    assert postroom("mailbox", "restore", ann, "Nowhere", "--at", when).code == 3
    assert postroom("mailbox", "restore", ann, "--at", when).code == 2
    assert postroom("check").code == 0


def test_what_was_in_trash_goes_to_where_it_came_from(postroom: Any, ann: str, site: Path) -> None:
    async def empty_trash(account: Account) -> None:
        inbox, trash = await account.find("INBOX"), await account.find("Trash")
        work = await account.create("Work")
        await account.append(inbox.id, [letter("one"), letter("two")])
        await account.append(work.id, [letter("three")])
        await account.append(trash.id, [letter("four")])
        await account.move(inbox.id, [1], trash.id)
        await account.copy(inbox.id, [2], trash.id)
        await account.store.expunge(inbox.id, [2], only_deleted=False)
        await account.move(work.id, [1], trash.id)
        await account.store.expunge(trash.id, [1, 2, 3, 4], only_deleted=False)
        await account.delete("Work")

    work(site, empty_trash)
    found = postroom("mailbox", "deleted", "list", ann, "--json").json["messages"]
    assert [(one["subject"], one["mailbox"], one["came_from"]) for one in found] == [
        ("three", "Trash", "Work"),
        ("two", "Trash", "INBOX"),
        ("one", "Trash", "INBOX"),
        ("four", "Trash", None),
        ("two", "INBOX", None),
    ]
    done = postroom("mailbox", "deleted", "restore", ann, "--all", "--origin", "--json").json
    assert [(one["name"], len(one["uids"])) for one in done["mailboxes"]] == [("INBOX", 2), ("Trash", 1), ("Work", 1)]
    assert postroom("check").code == 0
