"""Mailboxes of others: what may be seen and done with which rights, and what happens when they change (RFC 4314)."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from imap_house import Client, House, fill, message, play, settle

from postroom.mailbox import acl
from postroom.mailbox.service import Account
from postroom.store.api import AppendResult, DomainRow, FlagOp, GroupRow, NewMessage, RightsChange, SeenMode
from postroom.store.embedded import EmbeddedStore
from postroom.values import rights as right

ANN, BEN, EVE, FAR = "ann@example.org", "ben@example.org", "eve@example.org", "far@other.test"
THEIRS = f"Users/{ANN}"


@pytest.fixture(params=["memory", "embedded"])
async def house(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[House]:
    store = EmbeddedStore(tmp_path) if request.param == "embedded" else None
    made = House(store=store)
    for login in (ANN, BEN, EVE, FAR):
        await made.add_account(login)
    ann = await account(made)
    for info in await ann.store.mailboxes():  # test_imap_seen.py is about the other way
        await ann.store.marks.set_mode(info.id, SeenMode.SHARED)
    await made.add_account("support@example.org", shared=True)
    yield made
    if store is not None:
        await store.close()


async def account(house: House, login: str = ANN) -> Account:
    row = await house.store.directory.account_by_login(login)
    assert row is not None
    return await house.mailboxes.open(row)


async def give(house: House, mailbox: str, identifier: str, rights: str) -> None:
    """Ann gives rights."""
    owner = await house.login(ANN)
    await owner.do(f"SETACL {mailbox} {identifier} {rights}")
    owner.link.close()


async def told(client: Client, command: str) -> list[str]:
    """The answers, with names of mailboxes as plain words."""
    return [line.replace('"', "") for line in await client.do(command)]


async def names(client: Client, pattern: str = "*") -> list[str]:
    return [line.rpartition(" ")[2] for line in await told(client, f'LIST "" {pattern}')]


# --- the commands


async def test_the_owner_has_all_rights_and_gives_some(house: House) -> None:
    await play(
        await house.login(),
        f"""
        C: a1 GETACL INBOX
        S: * ACL "INBOX" {ANN} lrswipkxteacd
        S: a1 OK ...
        C: a2 SETACL INBOX {BEN} lr
        S: a2 OK ...
        C: a3 SETACL INBOX Ben@EXAMPLE.org +swd
        S: a3 OK ...
        C: a4 SETACL INBOX -anyone c
        S: a4 OK ...
        C: a5 GETACL INBOX
        S: * ACL "INBOX" {ANN} lrswipkxteacd -anyone kxc {BEN} lrswted
        S: a5 OK ...
        C: a6 SETACL INBOX ben -rwe
        S: a6 OK ...
        C: a7 DELETEACL INBOX -anyone
        S: a7 OK ...
        C: a8 GETACL INBOX
        S: * ACL "INBOX" {ANN} lrswipkxteacd {BEN} lstd
        S: a8 OK ...
        C: a9 SETACL INBOX {BEN} ""
        S: a9 OK ...
        C: b1 GETACL INBOX
        S: * ACL "INBOX" {ANN} lrswipkxteacd
        S: b1 OK ...
        C: b2 DELETEACL INBOX nobody@example.org
        S: b2 OK ...
        C: b3 LISTRIGHTS INBOX {ANN}
        S: * LISTRIGHTS "INBOX" {ANN} lrswipkxteacd
        S: b3 OK ...
        C: b4 LISTRIGHTS INBOX Ben
        S: * LISTRIGHTS "INBOX" Ben "" l r s w i p k x t e a c d
        S: b4 OK ...
        C: b5 MYRIGHTS INBOX
        S: * MYRIGHTS "INBOX" lrswipkxteacd
        S: b5 OK ...
        """,
    )


async def test_what_setacl_refuses(house: House) -> None:
    await play(
        await house.login(),
        f"""
        C: a1 SETACL INBOX {BEN} lrQ
        S: a1 BAD ...
        C: a2 SETACL INBOX {BEN} lrq
        S: a2 BAD ...
        C: a3 SETACL INBOX nobody@example.org lr
        S: a3 NO [CANNOT] ...
        C: a4 SETACL INBOX group:nobody@example.org lr
        S: a4 NO [CANNOT] ...
        C: a5 SETACL INBOX {ANN} lr
        S: a5 NO [CANNOT] ...
        C: a6 SETACL INBOX -{ANN} a
        S: a6 NO [CANNOT] ...
        C: a7 SETACL INBOX support@example.org lr
        S: a7 NO [CANNOT] ...
        C: a8 SETACL INBOX "" lr
        S: a8 BAD ...
        C: a9 SETACL INBOX "a b c" lr
        S: a9 BAD ...
        C: b1 SETACL Nowhere {BEN} lr
        S: b1 NO [NONEXISTENT] ...
        C: b2 SETACL INBOX {BEN}
        S: b2 BAD ...
        """,
    )


async def test_capabilities_and_namespaces(house: House) -> None:
    client = await house.login()
    words = (await client.do("CAPABILITY"))[0].split()
    assert {"ACL", "RIGHTS=ektx", "LIST-MYRIGHTS", "NAMESPACE"} <= set(words)
    assert await client.do("NAMESPACE") == ['* NAMESPACE (("" "/")) (("Users/" "/")) (("Shared/" "/"))']


# --- what is there


async def test_what_nobody_shares_is_not_there(house: House) -> None:
    client = await house.login(BEN)
    assert await names(client) == ["INBOX", "Archive", "Drafts", "Junk", "Sent", "Trash"]
    texts = set()
    for mailbox in (f"{THEIRS}/INBOX", f"{THEIRS}/Nothing", "Users/nobody@example.org/INBOX", "Users/x"):
        for command in ("SELECT", "STATUS", "GETACL", "MYRIGHTS", "SUBSCRIBE", "DELETE"):
            tail = " (MESSAGES)" if command == "STATUS" else ""
            reply = await client.tagged(f"{command} {mailbox}{tail}")
            texts.add(reply.replace(mailbox, "X"))
    assert texts == {"NO [NONEXISTENT] There is no mailbox 'X'"}


async def test_what_is_shared_is_listed_with_the_levels_above(house: House) -> None:
    await (await account(house)).create("Projects/One")
    await give(house, "Projects/One", BEN, "lr")
    client = await house.login(BEN)
    assert (await told(client, 'LIST "" Users*')) == [
        "* LIST (\\Noselect \\HasChildren) / Users",
        f"* LIST (\\Noselect \\HasChildren) / {THEIRS}",
        f"* LIST (\\Noselect \\NonExistent \\HasChildren) / {THEIRS}/Projects",  # for clients that know only the first
        f"* LIST (\\HasNoChildren) / {THEIRS}/Projects/One",
    ]
    assert (await names(client, "%"))[-1] == "Users"
    assert await names(client, "Users/%") == [THEIRS]
    assert await names(client, f"{THEIRS}/%/%") == [f"{THEIRS}/Projects/One"]
    assert "Users" not in await names(await house.login(EVE), "%")


async def test_groups_anyone_and_negative_rights(house: House) -> None:
    group = GroupRow(address="team@example.org", members=(BEN, "inner@example.org"), created=0.0)
    await house.store.directory.put_group(group)
    await house.store.directory.put_group(GroupRow(address="inner@example.org", members=(FAR,), created=0.0))
    await give(house, "Sent", "group:team@example.org", "lrs")
    await give(house, "Sent", "anyone", "lri")
    await give(house, "Sent", "-group:inner@example.org", "s")
    for login, rights in ((BEN, "lrsi"), (EVE, "lri"), (FAR, "lr")):  # another domain's people are not anyone
        client = await house.login(login)
        assert await told(client, f"MYRIGHTS {THEIRS}/Sent") == [f"* MYRIGHTS {THEIRS}/Sent {rights}"]
    await give(house, "Sent", f"-{EVE}", "lri")
    client = await house.login(EVE)
    assert (await client.tagged(f"MYRIGHTS {THEIRS}/Sent")).startswith("NO [NONEXISTENT]")
    assert "Users" not in await names(client, "%")


async def test_rights_within_list(house: House) -> None:
    await give(house, "Sent", BEN, "lri")
    client = await house.login(BEN)
    assert await told(client, f'LIST "" ({THEIRS}/* Drafts) RETURN (MYRIGHTS STATUS (MESSAGES))') == [
        "* LIST (\\HasNoChildren \\Drafts) / Drafts",
        "* MYRIGHTS Drafts lrswipkxteacd",
        "* STATUS Drafts (MESSAGES 0)",
        f"* LIST (\\HasNoChildren) / {THEIRS}/Sent",
        f"* MYRIGHTS {THEIRS}/Sent lri",
        f"* STATUS {THEIRS}/Sent (MESSAGES 0)",
    ]
    await client.do("CREATE a/b")
    await client.do("SUBSCRIBE a/b")
    lines = await told(client, 'LIST (SUBSCRIBED RECURSIVEMATCH) "" a RETURN (MYRIGHTS)')
    assert lines == ["* LIST (\\HasChildren) / a (CHILDINFO (SUBSCRIBED))"]


async def test_subscribing_to_mailboxes_of_others(house: House) -> None:
    await give(house, "Sent", BEN, "lr")
    client = await house.login(BEN)
    await client.do(f"SUBSCRIBE {THEIRS}/Sent")
    assert await told(client, 'LSUB "" Users/*') == [f"* LSUB () / {THEIRS}/Sent"]
    shown = [f"* LIST (\\HasNoChildren \\Subscribed) / {THEIRS}/Sent"]
    assert await told(client, 'LIST (SUBSCRIBED) "" Users/*') == shown
    assert (await client.tagged(f"SUBSCRIBE {THEIRS}/Drafts")).startswith("NO [NONEXISTENT]")
    await client.do(f"UNSUBSCRIBE {THEIRS}/Sent")


# --- what may be done: the table of RFC 4314 4

DONE = [
    ("SELECT {}", "r", "OK [READ-ONLY]"),
    ("SELECT {}", "ri", "OK [READ-WRITE]"),
    ("SELECT {}", "li", "NO [NOPERM]"),
    ("SELECT {}", "i", "NO [NONEXISTENT]"),
    ("EXAMINE {}", "rswite", "OK [READ-ONLY]"),
    ("STATUS {} (MESSAGES)", "r", "OK"),
    ("STATUS {} (MESSAGES)", "l", "NO [NOPERM]"),
    ("GETACL {}", "la", "OK"),
    ("GETACL {}", "lrswipkxte", "NO [NOPERM]"),
    ("GETACL {}", "rswipkxte", "NO [NONEXISTENT]"),
    ("SETACL {} eve lr", "lrswipkxte", "NO [NOPERM]"),
    ("SETACL {} eve lr", "a", "OK"),
    ("DELETEACL {} eve", "lrswipkxte", "NO [NOPERM]"),
    ("DELETEACL {} eve", "a", "OK"),
    ("LISTRIGHTS {} eve", "lrswipkxte", "NO [NOPERM]"),
    ("LISTRIGHTS {} eve", "a", "OK"),
    ("MYRIGHTS {}", "x", "OK"),
    ("MYRIGHTS {}", "swpte", "NO [NONEXISTENT]"),
    ("CREATE {}/New", "lk", "OK"),
    ("CREATE {}/New", "lrswipxtea", "NO [NOPERM]"),
    ("DELETE {}", "lx", "OK"),
    ("DELETE {}", "lrswipktea", "NO [NOPERM]"),
    ("RENAME {} {}/Below", "lrswipktea", "NO [NOPERM]"),
    ("APPEND {} {{1+}}\r\nx", "li", "OK [APPENDUID"),
    ("APPEND {} {{1+}}\r\nx", "lrswpkxtea", "NO [NOPERM]"),
    ("APPEND {} {{1+}}\r\nx", "r", "NO [TRYCREATE]"),
    ("SUBSCRIBE {}", "l", "OK"),
    ("SUBSCRIBE {}", "rswipkxtea", "NO [NONEXISTENT]"),
    ("UNSUBSCRIBE {}", "", "OK"),
]


@pytest.mark.parametrize(("command", "rights", "reply"), DONE)
async def test_what_a_right_is_for(house: House, command: str, rights: str, reply: str) -> None:
    await (await account(house)).create("Work")
    await give(house, "Work", BEN, rights or '""')
    client = await house.login(BEN)
    assert (await client.tagged(command.format(*[f"{THEIRS}/Work"] * 2))).startswith(reply)


async def test_renaming_needs_rights_at_both_ends(house: House) -> None:
    ann = await account(house)
    for name in ("Work/Old", "Done"):
        await ann.create(name)
    await give(house, "Work/Old", BEN, "lrx")
    client = await house.login(BEN)
    rename = f"RENAME {THEIRS}/Work/Old {THEIRS}/Done/New"
    assert (await client.tagged(rename)).startswith("NO [NONEXISTENT]")
    await give(house, "Done", BEN, "lk")
    assert (await client.tagged(rename)).startswith("OK")
    assert await told(client, f"MYRIGHTS {THEIRS}/Done/New") == [f"* MYRIGHTS {THEIRS}/Done/New lrxc"]
    assert (await client.tagged(f"RENAME {THEIRS}/Done/New Mine")).startswith("NO [CANNOT]")
    assert (await client.tagged("RENAME Sent Users/Sent")).startswith("NO [CANNOT]")


#: rights of who does it, flags before, change, the reply, flags after
STORES = [
    ("lrs", "", "+FLAGS (\\Seen \\Flagged \\Deleted $Work)", "OK", "\\Seen"),
    ("lrw", "", "+FLAGS (\\Seen \\Flagged \\Deleted $Work)", "OK", "\\Flagged $Work"),
    ("lrt", "", "+FLAGS (\\Seen \\Flagged \\Deleted $Work)", "OK", "\\Deleted"),
    ("lrswt", "\\Answered $Old", "FLAGS (\\Seen)", "OK", "\\Seen"),
    ("lrs", "\\Answered $Old", "FLAGS (\\Seen)", "OK", "\\Answered \\Seen $Old"),
    ("lrs", "\\Answered \\Seen $Old", "FLAGS ()", "OK", "\\Answered $Old"),
    ("lrw", "\\Answered \\Seen $Old", "FLAGS (\\Flagged)", "OK", "\\Flagged \\Seen"),
    ("lrt", "\\Answered $Old", "FLAGS (\\Deleted \\Flagged)", "OK", "\\Answered \\Deleted $Old"),
    ("lri", "$Old", "+FLAGS (\\Seen)", "NO [NOPERM]", "$Old"),
    ("lri", "$Old", "FLAGS ()", "NO [NOPERM]", "$Old"),
    ("lrst", "$Old", "-FLAGS ($Old)", "NO [NOPERM]", "$Old"),
    ("lrw", "\\Seen $Old", "-FLAGS ($Old \\Seen)", "OK", "\\Seen"),
]


@pytest.mark.parametrize(("rights", "before", "change", "reply", "after"), STORES)
async def test_store_reaches_the_flags_its_rights_are_for(
    house: House, rights: str, before: str, change: str, reply: str, after: str
) -> None:
    await fill(await account(house), "INBOX", 2)
    owner = await house.selected()
    await owner.do(f"STORE 1:2 FLAGS ({before})")
    await give(house, "INBOX", BEN, rights)
    client = await house.selected(f"{THEIRS}/INBOX", BEN)
    assert (await client.tagged(f"STORE 1 {change}")).startswith(reply)
    assert await client.do("FETCH 1 FLAGS") == [f"* 1 FETCH (FLAGS ({after}))"]
    # a silent STORE tells what the client would otherwise believe wrongly
    lines = (await client.say(f"x1 STORE 2 {change.replace('FLAGS', 'FLAGS.SILENT')}")).decode()
    assert ("2 FETCH" in lines) == (reply == "OK" and _believed(before, change) != set(after.split()))


def _believed(before: str, change: str) -> set[str]:
    """What a client reckons that a silent STORE makes."""
    old, new = set(before.split()), set(change.partition(" ")[2].strip("()").split())
    return old | new if change[0] == "+" else old - new if change[0] == "-" else new


async def test_reading_marks_as_seen_only_with_the_right(house: House) -> None:
    await fill(await account(house), "INBOX", 1)
    await give(house, "INBOX", BEN, "lrw")
    client = await house.selected(f"{THEIRS}/INBOX", BEN)
    await client.do("FETCH 1 BODY[TEXT]")
    assert await client.do("FETCH 1 FLAGS") == ["* 1 FETCH (FLAGS ())"]


async def test_expunging_needs_its_right_and_close_goes_without(house: House) -> None:
    await fill(await account(house), "INBOX", 2)
    await give(house, "INBOX", BEN, "lrt")
    client = await house.selected(f"{THEIRS}/INBOX", BEN)
    await client.do("STORE 1 +FLAGS (\\Deleted)")
    assert (await client.tagged("EXPUNGE")).startswith("NO [NOPERM]")
    assert (await client.tagged("MOVE 1 INBOX")).startswith("NO [NOPERM]")
    await client.do("CLOSE")
    assert (await (await account(house)).find("INBOX")).messages == 2
    await give(house, "INBOX", BEN, "lrte")
    await client.do(f"SELECT {THEIRS}/INBOX")
    await client.do("CLOSE")
    assert (await (await account(house)).find("INBOX")).messages == 1


async def test_what_may_change_is_told_at_select(house: House) -> None:
    await give(house, "INBOX", BEN, "lrst")
    client = await house.login(BEN)
    lines = await client.do(f"SELECT {THEIRS}/INBOX")
    assert "* OK [PERMANENTFLAGS (\\Deleted \\Seen)] Flags that can be changed" in lines
    await give(house, "INBOX", BEN, "lri")
    lines = await client.do(f"SELECT {THEIRS}/INBOX")
    assert "* OK [PERMANENTFLAGS ()] No flags can be changed" in lines


# --- between accounts


@pytest.mark.parametrize(
    ("rights", "flags"),
    [("lrswit", "(\\Flagged \\Deleted \\Seen $Work)"), ("li", "()"), ("liw", "(\\Flagged $Work)"), ("lis", "(\\Seen)")],
)
async def test_flags_that_may_not_be_set_do_not_come_along(house: House, rights: str, flags: str) -> None:
    await give(house, "Archive", BEN, rights)
    await fill(await account(house, BEN), "INBOX", 1)
    client = await house.selected("INBOX", BEN)
    await client.do("STORE 1 FLAGS (\\Flagged \\Deleted \\Seen $Work)")
    await client.do(f"COPY 1 {THEIRS}/Archive")
    await client.do(f"APPEND {THEIRS}/Archive (\\Flagged \\Deleted \\Seen $Work) {{1+}}\r\nx")
    owner = await house.login()
    await owner.do("ENABLE IMAP4rev2")
    await owner.do("SELECT Archive")
    assert await owner.do("FETCH 1:2 FLAGS") == [f"* 1 FETCH (FLAGS {flags})", f"* 2 FETCH (FLAGS {flags})"]


async def test_flags_that_may_not_be_set_do_not_come_along_within_an_account(house: House) -> None:
    await fill(await account(house), "INBOX", 2)
    for mailbox, rights in (("INBOX", "lrte"), ("Archive", "liw")):
        await give(house, mailbox, BEN, rights)
    owner = await house.selected()
    await owner.do("STORE 1:2 FLAGS (\\Flagged \\Deleted \\Seen $Work)")
    client = await house.selected(f"{THEIRS}/INBOX", BEN)
    await client.do(f"COPY 1 {THEIRS}/Archive")
    await client.do(f"MOVE 2 {THEIRS}/Archive")
    await owner.do("ENABLE IMAP4rev2")
    await owner.do("SELECT Archive")
    assert await owner.do("FETCH 1:2 FLAGS") == [f"* {n} FETCH (FLAGS (\\Flagged $Work))" for n in (1, 2)]


async def test_copies_between_accounts_are_whole(house: House) -> None:
    large = "x" * 70 + "\r\n"
    ann = await account(house)
    await fill(ann, "INBOX", 3)
    await give(house, "INBOX", BEN, "lrite")
    owner = await house.selected()
    await owner.do(f"APPEND INBOX {{{len(message(4, large * 2000))}+}}\r\n{message(4, large * 2000).decode()}")
    client = await house.selected(f"{THEIRS}/INBOX", BEN)
    before = await fetched(client)
    reply = await client.tagged("COPY 1:2,4 Archive")
    target = await (await account(house, BEN)).find("Archive")
    assert reply.startswith(f"OK [COPYUID {target.uidvalidity} 1:2,4 1:3]")
    await play(
        client,
        """
        C: a1 UID MOVE 3:4 Drafts
        S: * OK [COPYUID ... 3:4 1:2] Moved
        S: * 3 EXPUNGE
        S: * 3 EXPUNGE
        S: a1 OK ...
        """,
    )
    assert (await ann.find("INBOX")).messages == 2
    await client.do("SELECT Archive")
    assert await fetched(client) == [*before[:2], before[3]]
    await client.do("SELECT Drafts")
    assert await fetched(client) == before[2:]
    await owner.do("NOOP")
    assert (await client.tagged(f"COPY 1 {THEIRS}/INBOX")).startswith("OK")
    assert (await owner.do("NOOP"))[0] == "* 3 EXISTS"


async def test_copies_between_accounts_are_the_same_messages(house: House) -> None:
    """RFC 8474 5: EMAILID and THREADID of the source."""
    ann = await account(house)
    await fill(ann, "INBOX", 2)
    await give(house, "INBOX", BEN, "lrite")
    client = await house.selected(f"{THEIRS}/INBOX", BEN)
    before = await client.do("FETCH 1:2 (EMAILID THREADID)")
    await client.do("COPY 1 Archive")
    await client.do("MOVE 2 Archive")
    await client.do("SELECT Archive")
    assert await client.do("FETCH 1:2 (EMAILID THREADID)") == before
    await client.do(f"COPY 1 {THEIRS}/INBOX")
    await client.do(f"SELECT {THEIRS}/INBOX")
    assert [line.partition("(")[2] for line in await client.do("FETCH 1:2 (EMAILID THREADID)")] == (
        [before[0].partition("(")[2]] * 2
    )


async def fetched(client: Client) -> list[str]:
    """Everything of all messages, each in one string."""
    lines = await client.do("FETCH 1:* (ENVELOPE BODYSTRUCTURE RFC822.SIZE INTERNALDATE BODY.PEEK[])")
    return re.split(r"\* \d+ FETCH ", "\n".join(lines))[1:]


async def test_a_copy_that_fails_leaves_nothing(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("postroom.mailbox.transfer._BATCH", 2)
    await fill(await account(house, BEN), "INBOX", 5)
    await give(house, "Archive", BEN, "lrsi")
    client = await house.selected("INBOX", BEN)
    ann, calls = await account(house), []
    add = Account.add

    async def failing(self: Account, mailbox: int, new: Sequence[NewMessage]) -> AppendResult:
        calls.append(len(new))
        if len(calls) > 2:
            raise OSError("disk full")
        return await add(self, mailbox, new)

    monkeypatch.setattr(Account, "add", failing)
    assert (await client.tagged(f"COPY 1:* {THEIRS}/Archive")).startswith("NO [UNAVAILABLE]")
    assert calls == [2, 2, 1]
    assert (await ann.find("Archive")).messages == 0


async def test_a_move_that_fails_leaves_all_in_the_source(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    await fill(await account(house), "INBOX", 3)
    await give(house, "INBOX", BEN, "lrite")
    client = await house.selected(f"{THEIRS}/INBOX", BEN)
    place = await client.driver.session.world.find(f"{THEIRS}/INBOX")
    expunge = type(place.account.store).expunge

    async def failing(self: object, mailbox: int, uids: Sequence[int], **options: bool) -> object:
        if mailbox == place.id:
            raise OSError("disk full")
        return await expunge(self, mailbox, uids, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(type(place.account.store), "expunge", failing)
    assert (await client.tagged("MOVE 1:* Archive")).startswith("NO [UNAVAILABLE]")
    monkeypatch.undo()
    assert (await (await account(house, BEN)).find("Archive")).messages == 0
    assert (await (await account(house)).find("INBOX")).messages == 3


async def test_identifiers_in_another_form_are_the_same_person(house: House) -> None:
    await house.store.directory.put_domain(DomainRow(name="alias.test", created=0.0, alias_of="example.org"))
    owner = await house.login()
    for form in ("BEN@alias.test", "ben+shop@example.org", "ben"):
        await owner.do(f"SETACL INBOX {form} +l")
    await owner.do("SETACL INBOX -ben@alias.test w")
    assert (await told(owner, "GETACL INBOX"))[0].endswith(f"-{BEN} w {BEN} l")


async def test_the_owner_pays_with_his_quota(house: House) -> None:
    row = await house.store.directory.account_by_login(ANN)
    await house.store.directory.put_account(replace(row, quota_messages=1))
    await give(house, "Archive", BEN, "li")
    await fill(await account(house, BEN), "INBOX", 2)
    client = await house.selected("INBOX", BEN)
    assert (await client.tagged(f"COPY 1:2 {THEIRS}/Archive")).startswith("NO [OVERQUOTA]")
    await client.do(f"COPY 1 {THEIRS}/Archive")
    assert (await client.tagged(f"APPEND {THEIRS}/Archive {{1+}}\r\nx")).startswith("NO [OVERQUOTA]")


# --- rights change while a mailbox is selected


async def test_rights_that_change_are_told_and_count_at_once(house: House) -> None:
    await fill(await account(house), "INBOX", 1)
    await give(house, "INBOX", BEN, "lrsw")
    await play(
        {"1": await house.login(), "2": await house.selected(f"{THEIRS}/INBOX", BEN)},
        f"""
        C2: b1 IDLE
        S2: + ...
        C1: a1 SETACL INBOX {BEN} lrs
        S1: a1 OK ...
        S2: * FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft)
        S2: * OK [PERMANENTFLAGS (\\Seen)] ...
        C2: DONE
        S2: b1 OK ...
        C2: b2 STORE 1 +FLAGS (\\Flagged)
        S2: b2 NO [NOPERM] ...
        C1: a2 SETACL INBOX {BEN} -s
        S1: a2 OK ...
        C2: b3 STORE 1 +FLAGS (\\Seen)
        S2: * FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft)
        S2: * OK [PERMANENTFLAGS ()] ...
        S2: * OK [READ-ONLY] ...
        S2: b3 NO [NOPERM] ...
        C1: a3 SETACL INBOX {BEN} +t
        S1: a3 OK ...
        C2: b4 NOOP
        S2: * FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft)
        S2: * OK [PERMANENTFLAGS (\\Deleted)] ...
        S2: * OK [READ-WRITE] ...
        S2: b4 OK ...
        """,
    )


@pytest.mark.parametrize("idling", [True, False])
async def test_who_may_not_read_any_more_is_sent_away(house: House, idling: bool) -> None:
    await give(house, "INBOX", BEN, "lrs")
    script = f"""
        C2: b1 IDLE
        S2: + ...
        C1: a1 DELETEACL INBOX {BEN}
        S1: a1 OK ...
        S2: * BYE [NOPERM] ...
        S2: (closed)
        """
    if not idling:
        script = f"""
        C1: a1 DELETEACL INBOX {BEN}
        S1: a1 OK ...
        C2: b1 FETCH 1:* FLAGS
        S2: * BYE [NOPERM] ...
        S2: (closed)
        """
    await play({"1": await house.login(), "2": await house.selected(f"{THEIRS}/INBOX", BEN)}, script)


async def test_leaving_a_group_ends_its_rights(house: House) -> None:
    group = GroupRow(address="team@example.org", members=(BEN,), created=0.0)
    await house.store.directory.put_group(group)
    await give(house, "INBOX", "group:team@example.org", "lr")
    client = await house.selected(f"{THEIRS}/INBOX", BEN)
    await client.feed(b"b1 IDLE\r\n")
    await house.store.directory.put_group(GroupRow(address="team@example.org", members=(), created=0.0))
    await house.service.recheck()
    await settle(client)
    assert client.hear().startswith(b"* BYE [NOPERM]")


async def test_a_disabled_owner_shares_nothing(house: House) -> None:
    await give(house, "INBOX", BEN, "lr")
    client = await house.login(BEN)
    row = await house.store.directory.account_by_login(ANN)
    await house.store.directory.put_account(replace(row, disabled=True))
    assert "Users" not in await names(client, "%")
    assert (await client.tagged(f"SELECT {THEIRS}/INBOX")).startswith("NO [NONEXISTENT]")


# --- several people on one mailbox


async def test_changes_of_one_reach_the_others_at_once(house: House) -> None:
    await fill(await account(house), "INBOX", 1)
    await give(house, "INBOX", BEN, "lrswite")
    await play(
        {"1": await house.selected(), "2": await house.selected(f"{THEIRS}/INBOX", BEN)},
        """
        C1: a1 IDLE
        S1: + ...
        C2: b1 STORE 1 +FLAGS (\\Flagged)
        S2: * 1 FETCH (UID 1 FLAGS (\\Flagged))
        S2: b1 OK ...
        S1: * 1 FETCH (UID 1 FLAGS (\\Flagged))
        C2: b2 STORE 1 +FLAGS.SILENT (\\Deleted)
        S2: b2 OK ...
        S1: * 1 FETCH (UID 1 FLAGS (\\Flagged \\Deleted))
        C2: b3 EXPUNGE
        S2: * 1 EXPUNGE
        S2: b3 OK ...
        S1: * 1 EXPUNGE
        """,
    )


async def test_a_mailbox_without_a_login(house: House) -> None:
    support = await account(house, "support@example.org")
    boxes = [0, *[info.id for info in await support.store.mailboxes()]]
    change = RightsChange(FlagOp.REPLACE, right.parse("lrswipkxte"))
    await acl.grant(house.store.directory, support.store, boxes, BEN, change)
    client = await house.login(BEN)
    assert await names(client, "Shared/support@example.org/%") == [
        f"Shared/support@example.org/{name}" for name in ("INBOX", "Archive", "Drafts", "Junk", "Sent", "Trash")
    ]
    assert "Users" not in await names(client, "%")
    await client.do("CREATE Shared/support@example.org/Done")
    assert await told(client, "MYRIGHTS Shared/support@example.org/Done") == [
        "* MYRIGHTS Shared/support@example.org/Done lrswipkxtecd"
    ]
    assert (await client.tagged("GETACL Shared/support@example.org/INBOX")).startswith("NO [NOPERM]")
    change = RightsChange(FlagOp.ADD, right.ADMINISTER)
    await acl.grant(house.store.directory, support.store, boxes, BEN, change)
    assert await told(client, "GETACL Shared/support@example.org/INBOX") == [
        f"* ACL Shared/support@example.org/INBOX {BEN} lrswipkxteacd"
    ]


async def test_shared_mailboxes_are_subscribed_to_until_somebody_does_not_want_them(house: House) -> None:
    """Programs show subscribed mailboxes only (RFC 9051 6.3.9.1); what was given to somebody is there at once."""
    support = await account(house, "support@example.org")
    boxes = [0, *[info.id for info in await support.store.mailboxes()]]
    change = RightsChange(FlagOp.REPLACE, right.parse("lrswipkxte"))
    await acl.grant(house.store.directory, support.store, boxes, BEN, change)
    client = await house.login(BEN)
    root = "Shared/support@example.org"
    shown = f"* LIST (\\HasNoChildren \\Subscribed) / {root}/"
    subscribed = 'LIST (SUBSCRIBED) "" Shared/*'
    assert [line for line in await told(client, subscribed) if line.startswith(shown)] == [
        f"{shown}{name}" for name in ("INBOX", "Archive", "Drafts", "Junk", "Sent", "Trash")
    ]
    assert f"* LSUB () / {root}/INBOX" in await told(client, 'LSUB "" *')
    for _ in range(2):
        await client.do(f"UNSUBSCRIBE {root}/Archive")
    assert f"{shown}Archive" not in await told(client, subscribed)
    assert f"* LIST (\\HasNoChildren) / {root}/Archive" in await told(client, 'LIST "" Shared/* RETURN (SUBSCRIBED)')
    await client.do(f"CREATE {root}/Done")  # those that come later, too
    assert f"{shown}Done" in await told(client, subscribed)
    await client.do(f"SUBSCRIBE {root}/Archive")
    assert f"{shown}Archive" in await told(client, subscribed)
    await acl.grant(house.store.directory, support.store, boxes, BEN, RightsChange(FlagOp.REPLACE, 0))
    assert f"{shown}INBOX" not in await told(client, subscribed)


async def test_the_index_never_names_too_few(house: House) -> None:
    directory, ann = house.store.directory, (await account(house)).row
    await give(house, "INBOX", BEN, "lr")
    await give(house, "Sent", BEN, "lr")
    assert await directory.shares(ann.id) == (BEN,)
    await give(house, "INBOX", BEN, '""')
    assert await directory.shares(ann.id) == (BEN,)
    await give(house, "Sent", BEN, "-lr")
    assert await directory.shares(ann.id) == ()


async def test_clients_that_said_notify_hear_of_what_is_shared_with_them(house: House) -> None:
    """Also from somebody who had shared nothing with them before (RFC 5465 5.9), by IMAP or by a command."""
    await (await account(house)).create("Team")
    owner, client = await house.login(ANN), await house.login(BEN)
    assert (await client.tagged("NOTIFY SET (subtree Users (MessageNew MessageExpunge MailboxName))")).startswith("OK")
    await owner.do(f"SETACL Team {BEN} lr")
    await settle(client)
    heard = client.hear().decode()
    assert f'"{THEIRS}/Team"' in heard
    assert f'LIST (\\Noselect \\HasChildren) "/" "{THEIRS}"\r\n' in heard
    await owner.do("RENAME Team Squad")
    await settle(client)
    assert "OLDNAME" in client.hear().decode()
    await give(house, "Sent", BEN, "lr")
    await house.service.recheck()
    await settle(client)
    assert f'"{THEIRS}/Sent"' in client.hear().decode()
