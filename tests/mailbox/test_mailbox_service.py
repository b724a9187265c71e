"""The rules of mailboxes, on every store."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from postroom.mailbox.errors import (
    BadName,
    MailboxError,
    MessageTooBig,
    NoSuchMailbox,
    NotAllowed,
    SpecialUseRefused,
    TooManyMailboxes,
    response_code,
)
from postroom.mailbox.incoming import Incoming
from postroom.mailbox.limits import MailboxLimits
from postroom.mailbox.service import Account, Mailboxes
from postroom.message.index import index
from postroom.store.api import (
    FlagChange,
    FlagOp,
    Hint,
    MailboxExists,
    MailboxHasChildren,
    NotFound,
    OverQuota,
    Store,
    StoreUnavailable,
)
from postroom.values.content import Content
from postroom.values.flags import DELETED, FLAGGED, POP3_HIDDEN, SEEN

MAIL = b"From: a@example.org\r\nSubject: hello\r\n\r\nbody\r\n"


async def names(account: Account) -> list[str]:
    return [listed.name for listed in await account.list()]


async def add(account: Account, mailbox: str = "INBOX", data: bytes = MAIL, flags: int = 0) -> int:
    box = await account.find(mailbox)
    return (await account.append(box.id, [Incoming(content=Content.of(data), flags=flags)])).uids[0]


async def uids(account: Account, mailbox: str) -> list[int]:
    box = await account.find(mailbox)
    return [uid for page in (await account.snapshot(box.id)).pages for uid in page.uids]


async def test_an_account_is_one_object_while_it_is_used(mailboxes: Mailboxes, account: Account) -> None:
    assert await mailboxes.open(account.row) is account
    changed = replace(account.row, quota=5)
    assert (await mailboxes.open(changed)).row is changed
    with pytest.raises(NotFound):
        await mailboxes.open(replace(account.row, id="nobody"))


async def test_create_makes_the_levels_above(account: Account) -> None:
    made = await account.create("Work/2023/June/")
    assert made.name == "Work/2023/June"
    assert await names(account) == ["INBOX", "Sent", "Trash", "Work", "Work/2023", "Work/2023/June"]
    assert [item.has_children for item in await account.list()] == [False, False, False, True, True, False]


async def test_inbox_is_inbox_in_any_case(account: Account) -> None:
    assert (await account.find("inBox")).name == "INBOX"
    with pytest.raises(MailboxExists):
        await account.create("inbox")
    assert (await account.create("inbox/lists")).name == "INBOX/lists"


async def test_a_name_is_found_in_any_normalisation(account: Account) -> None:
    made = await account.create("Cafe\u0301")
    assert made.name == "Caf\u00e9"
    assert (await account.find("Caf\u00e9")).id == (await account.find("Cafe\u0301")).id == made.id
    with pytest.raises(MailboxExists):
        await account.create("Caf\u00e9")


async def test_names_that_cannot_be_change_nothing(account: Account) -> None:
    before = await names(account)
    for name in ("", "a//b", "a\x00"):
        with pytest.raises(BadName):
            await account.create(name)
        with pytest.raises(BadName):
            await account.rename("Sent", name)
    assert await names(account) == before


async def test_special_use_belongs_to_one_mailbox(account: Account) -> None:
    # RFC 6154 3: what cannot be designated is not created
    for wanted in (["\\Sent"], ["\\All"], ["\\Drafts", "\\Junk"]):
        with pytest.raises(SpecialUseRefused) as fault:
            await account.create("New", wanted)
        assert response_code(fault.value) == b"USEATTR"
    assert "New" not in await names(account)
    made = await account.create("Entwürfe", ["\\drafts"])
    assert made.special_use == "\\Drafts"
    found = await account.special("\\Drafts")
    assert found is not None
    assert found.name == "Entwürfe"
    assert await account.special("\\Junk") is None


async def test_there_is_an_end_of_mailboxes(account: Account) -> None:
    for number in range(17):
        await account.create(f"m{number}")
    with pytest.raises(TooManyMailboxes) as fault:
        await account.create("one more")
    assert response_code(fault.value) == b"LIMIT"


async def test_levels_above_count_as_mailboxes(account: Account) -> None:
    with pytest.raises(TooManyMailboxes):
        await account.create("/".join(["x"] * 18))
    await account.create("/".join(["x"] * 17))


async def test_delete_rules(account: Account) -> None:
    await account.create("Work/2023")
    for name, refusal, code in (
        ("INBOX", NotAllowed, b"CANNOT"),
        ("inbox", NotAllowed, b"CANNOT"),
        ("Nowhere", NoSuchMailbox, b"NONEXISTENT"),
        ("Work", MailboxHasChildren, b"HASCHILDREN"),
    ):
        with pytest.raises(refusal) as fault:
            await account.delete(name)
        assert response_code(fault.value) == code
    assert (await account.delete("Work/2023/")).name == "Work/2023"
    await account.delete("Work")
    assert await names(account) == ["INBOX", "Sent", "Trash"]


async def test_a_mailbox_made_again_is_another_mailbox(account: Account) -> None:
    await account.create("Work")
    await add(account, "Work")
    old = await account.delete("Work")
    new = await account.create("Work")
    assert (new.messages, await uids(account, "Work")) == (0, [])
    assert (new.uidvalidity, new.id) != (old.uidvalidity, old.id)
    assert new.uidvalidity > old.uidvalidity


async def test_rename_takes_children_along(account: Account) -> None:
    await account.create("Work/2023/June")
    await account.create("Workshop")
    uid = await add(account, "Work/2023")
    before = await account.find("Work/2023")
    renamed = await account.rename("Work", "Old/Things/Work")
    assert renamed.name == "Old/Things/Work"
    assert await names(account) == [
        "INBOX",
        "Old",
        "Old/Things",
        "Old/Things/Work",
        "Old/Things/Work/2023",
        "Old/Things/Work/2023/June",
        "Sent",
        "Trash",
        "Workshop",
    ]
    after = await account.find("Old/Things/Work/2023")
    assert (after.id, after.uidvalidity) == (before.id, before.uidvalidity)
    assert await uids(account, "Old/Things/Work/2023") == [uid]


async def test_rename_refusals(account: Account) -> None:
    await account.create("a/b")
    for name, target, refusal in (
        ("nowhere", "x", NoSuchMailbox),
        ("a", "Sent", MailboxExists),
        ("a", "a", MailboxExists),
        ("a", "inbox", MailboxExists),
        ("a", "a/b/c", NotAllowed),
        ("a", "x" * 251, BadName),
        ("a", "/".join(["y" * 200] * 4) + "/" + "z" * 196, BadName),  # its child would have too long a name
    ):
        with pytest.raises((refusal,)):
            await account.rename(name, target)
    assert await names(account) == ["INBOX", "Sent", "Trash", "a", "a/b"]


async def test_rename_inbox_moves_its_messages(account: Account) -> None:
    # RFC 9051 6.3.6: leaving INBOX empty; inferior names are unaffected
    await account.create("INBOX/lists")
    await add(account)
    await add(account, flags=SEEN)
    inbox = await account.find("INBOX")
    moved = await account.rename("inbox", "Archive/2023")
    assert moved.messages == 2
    assert moved.unseen == 1
    assert await names(account) == ["INBOX", "INBOX/lists", "Archive", "Archive/2023", "Sent", "Trash"]
    after = await account.find("INBOX")
    assert (after.id, after.uidvalidity, after.messages) == (inbox.id, inbox.uidvalidity, 0)
    assert await add(account) == 3
    with pytest.raises(MailboxExists):
        await account.rename("INBOX", "Archive")


async def test_subscriptions(account: Account) -> None:
    before = await account.subscriptions()
    await account.subscribe("Sent", False)
    assert await account.subscriptions() == before - {"Sent"}
    for name in ("Sent", "inbox", "Gru\u0308n/", "Users/ben@example.org/Plan"):
        await account.subscribe(name, True)
    assert await account.subscriptions() == {*before, "Sent", "INBOX", "Gr\u00fcn", "Users/ben@example.org/Plan"}
    await account.subscribe("Gru\u0308n", False)
    await account.subscribe("never//was", False)
    with pytest.raises(BadName):
        await account.subscribe("a//b", True)
    account.limits = MailboxLimits(mailboxes=len(await account.subscriptions()))
    with pytest.raises(TooManyMailboxes):
        await account.subscribe("one more", True)
    await account.subscribe("Sent", True)


async def test_append_indexes_and_keeps_what_it_is_given(account: Account) -> None:
    box = await account.find("INBOX")
    result = await account.append(
        box.id,
        [
            Incoming(content=Content.of(MAIL), internaldate=5, flags=SEEN | POP3_HIDDEN, keywords=("$Junk",)),
            Incoming(content=Content.of(b""), flags=FLAGGED),
        ],
    )
    assert result.uids == (1, 2)
    page, place = result.snapshot.locate(1)
    assert (page.dates[place], page.flags[place]) == (5, SEEN)
    assert result.snapshot.keyword_names(page.keywords[place]) == ["$Junk"]
    rendered = await account.store.rendered(page.messages)
    expected = index(MAIL)
    assert rendered[0].envelope == expected.envelope
    assert rendered[0].bodystructure == expected.bodystructure
    assert rendered[0].header == MAIL.index(b"body")
    assert rendered[1].internaldate == 1_700_000_000
    assert len({row.guid for row in rendered}) == 2


async def test_a_message_that_is_too_big_is_refused_with_its_whole_append(account: Account) -> None:
    box = await account.find("INBOX")
    with pytest.raises(MessageTooBig) as fault:
        await account.append(
            box.id, [Incoming(content=Content.of(MAIL)), Incoming(content=Content.of(bytes(1_000_001)))]
        )
    assert response_code(fault.value) == b"TOOBIG"
    assert await uids(account, "INBOX") == []
    assert account.append_limit == 1_000_000


async def test_the_quota_acts_as_soon_as_it_is_set(account: Account, store: Store) -> None:
    await add(account)
    assert (await account.quota()).limit == 0
    await store.directory.put_account(replace(account.row, quota=len(MAIL) + 10))
    with pytest.raises(OverQuota) as fault:
        await add(account)
    assert response_code(fault.value) == b"OVERQUOTA"
    with pytest.raises(OverQuota):
        await account.copy((await account.find("INBOX")).id, [1], (await account.find("Sent")).id)
    with pytest.raises(OverQuota):
        await account.deliver(Content.of(MAIL), queue_id="q1", recipient="ann@example.org")
    quota = await account.quota()
    assert (quota.used, quota.limit, quota.messages) == (len(MAIL), len(MAIL) + 10, 1)


async def test_delivery_is_done_once(account: Account) -> None:
    first = await account.deliver(Content.of(MAIL), queue_id="q1", recipient="ann@example.org")
    assert first is not None
    assert first.uids == (1,)
    assert await account.deliver(Content.of(MAIL), queue_id="q1", recipient="ann@example.org") is None
    other = await account.deliver(Content.of(MAIL), queue_id="q1", recipient="ann+x@example.org", mailbox="sent")
    assert other is not None
    assert await uids(account, "INBOX") == [1, 2]  # "sent" is not "Sent", and mail is not lost for a name


async def test_a_large_delivery_with_trace_fields_in_front(account: Account, tmp_path: Path) -> None:
    data = b"Subject: big\r\nContent-Type: text/plain\r\n\r\n" + b"0123456789abcdef\r\n" * 40_000
    path = tmp_path / "large"
    path.write_bytes(data)
    trace = b"Return-Path: <a@example.org>\r\n"
    content = Content(size=len(data), path=str(path)).with_prefix(trace)
    result = await account.deliver(content, queue_id="q2", recipient="ann@example.org", flags=SEEN)
    assert result is not None
    (row,) = await account.store.rendered(result.snapshot.pages[0].messages)
    assert row.size == len(trace) + len(data)
    assert row.header == (trace + data).index(b"0123")
    assert row.envelope == index(data).envelope
    kept = await account.store.content(row.message)
    assert kept.read() == trace + data


async def test_watching_one_mailbox(account: Account) -> None:
    inbox, sent = await account.find("INBOX"), await account.find("Sent")
    heard: list[Hint] = []
    everything: list[Hint] = []
    end = account.watch(inbox.id, heard.append)
    end_all = account.watch_all(everything.append)
    await add(account, "Sent")
    assert heard == []
    await add(account)
    assert [hint.mailbox for hint in heard] == [inbox.id]
    await account.create("New")
    assert heard[-1].mailbox == 0
    end()
    await add(account)
    assert len(heard) == 2
    assert {hint.mailbox for hint in everything} == {0, inbox.id, sent.id}
    end_all()


async def test_expunge_copy_move(account: Account) -> None:
    for _ in range(4):
        await add(account)
    inbox, sent = await account.find("INBOX"), await account.find("Sent")
    await account.store_flags(inbox.id, [1, 2], FlagChange(op=FlagOp.ADD, bits=DELETED))
    assert (await account.expunge(inbox.id, [2, 3])).uids == (2,)
    copied = await account.copy(inbox.id, [1, 2, 3], sent.id)
    assert (copied.source, copied.target) == ((1, 3), (1, 2))
    moved = await account.move(inbox.id, [4], sent.id)
    assert (moved.source, moved.target) == ((4,), (3,))
    assert (await account.expunge(inbox.id)).uids == (1,)
    assert await uids(account, "INBOX") == [3]
    assert await uids(account, "Sent") == [1, 2, 3]


def test_every_error_is_documented_with_its_code() -> None:
    assert response_code(StoreUnavailable()) == b"UNAVAILABLE"
    assert response_code(ValueError()) == b""
    for kind in MailboxError.__subclasses__():
        assert kind.__doc__
