"""postroom mailbox: deleted mail is listed, brought back, and taken away again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from postroom.mailbox.service import Account, Incoming, Mailboxes
from postroom.store.api import AccountStore, FlagChange, FlagOp
from postroom.store.embedded import EmbeddedStore
from postroom.values.clock import SystemClock
from postroom.values.content import Content
from postroom.values.flags import DELETED, FLAGGED, SEEN

LOGIN = "ann@example.org"


def letter(subject: str, sender: str = "Bob <bob@far.test>") -> Incoming:
    text = f"From: {sender}\r\nSubject: {subject}\r\nMessage-ID: <{subject.split()[0]}@far.test>\r\n\r\nHello\r\n"
    return Incoming(content=Content.of(text.encode()), internaldate=1_700_000_000, flags=SEEN)


def work(site: Path, what: Callable[[Account], Awaitable[Any]]) -> Any:
    """Do something in Ann's mailboxes."""

    async def run() -> Any:
        store = EmbeddedStore(site / "data")
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
