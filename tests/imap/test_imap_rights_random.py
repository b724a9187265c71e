"""Whatever rights somebody has and whatever he tries: what changes in the owner's account is what his rights are for.

And what he is told of a mailbox that he may neither see nor read is what he is told of one that does not exist.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass

from hypothesis import example, given, settings
from hypothesis import strategies as st
from imap_house import Client, House, fill

from postroom.mailbox import acl
from postroom.mailbox.service import Account
from postroom.store.api import FlagChange, FlagOp, RightsChange, SeenMode
from postroom.values import flags, rights

ANN, BEN = "ann@example.org", "ben@example.org"
WORK = f"Users/{ANN}/Work"
COMMANDS = (
    f"SELECT {WORK}",
    f"EXAMINE {WORK}",
    f"STATUS {WORK} (MESSAGES UNSEEN)",
    f'LIST "" {WORK}* RETURN (STATUS (MESSAGES) MYRIGHTS)',
    f"MYRIGHTS {WORK}",
    f"GETACL {WORK}",
    f"LISTRIGHTS {WORK} {BEN}",
    f"SETACL {WORK} anyone l",
    f"DELETEACL {WORK} -anyone",
    f"CREATE {WORK}/New",
    f"DELETE {WORK}",
    f"RENAME {WORK} Users/{ANN}/Work/Other",
    f"RENAME {WORK} Mine",
    f"APPEND {WORK} (\\Seen \\Deleted \\Flagged $New) {{1+}}\r\nx",
    f"COPY 1 {WORK}",
    f"MOVE 1 {WORK}",
    f"UID COPY 1:* {WORK}",
    "STORE 1 +FLAGS (\\Seen \\Deleted \\Flagged $New)",
    "STORE 1 FLAGS (\\Seen)",
    "STORE 2 -FLAGS (\\Seen \\Deleted \\Answered $Old)",
    "STORE 2 FLAGS.SILENT ()",
    "UID STORE 1:* +FLAGS (\\Draft)",
    "FETCH 1:* (FLAGS BODY[])",
    "FETCH 1 BODY.PEEK[TEXT]",
    "SEARCH ALL",
    "EXPUNGE",
    "UID EXPUNGE 1:*",
    "MOVE 1 INBOX",
    "MOVE 2 Trash",
    "COPY 1:* INBOX",
    "SELECT INBOX",
    "CLOSE",
    "UNSELECT",
    "NOOP",
    f"SUBSCRIBE {WORK}",
    f"GETQUOTAROOT {WORK}",
    f'SETMETADATA {WORK} (/shared/comment "x")',
    f"GETMETADATA {WORK} /shared/comment",
)

some_rights = st.lists(st.sampled_from(rights.LETTERS), unique=True).map("".join)


@dataclass(frozen=True)
class State:
    """The owner's account: names of mailboxes, the ACL, and the messages of Work by UID."""

    names: frozenset[str]
    acl: tuple[tuple[str, int], ...]
    messages: dict[int, tuple[int, frozenset[str]]]


async def state(owner: Account) -> State:
    boxes = await owner.store.mailboxes()
    work = next((box for box in boxes if box.name == "Work"), None)
    if work is None:
        return State(frozenset(box.name for box in boxes), (), {})
    snapshot = await owner.snapshot(work.id)
    found = {
        uid: (bits & flags.VISIBLE, frozenset(snapshot.keyword_names(words)))
        for page in snapshot.pages
        for uid, bits, words in zip(page.uids, page.flags, page.keywords, strict=True)
    }
    return State(frozenset(box.name for box in boxes), tuple(sorted((await owner.store.acl(work.id)).items())), found)


def needed(before: State, after: State) -> set[str]:
    """The rights without which this could not have happened."""
    if "Work" not in after.names:
        return {"x"}
    wanted = {"k"} if after.names - before.names else set()
    wanted |= {"a"} if after.acl != before.acl else set()
    wanted |= {"e"} if before.messages.keys() - after.messages.keys() else set()
    for uid, (bits, words) in after.messages.items():
        if uid not in before.messages:
            wanted |= {"i"} | _flags(bits, 0, words, frozenset())
        else:
            wanted |= _flags(bits, before.messages[uid][0], words, before.messages[uid][1])
    return wanted


def _flags(now: int, then: int, words: frozenset[str], old: frozenset[str]) -> set[str]:
    changed = now ^ then
    wanted = {"s"} if changed & flags.SEEN else set()
    wanted |= {"t"} if changed & flags.DELETED else set()
    return wanted | ({"w"} if changed & ~(flags.SEEN | flags.DELETED) or words != old else set())


async def say(client: Client, command: str) -> str:
    """Everything that was said, without what differs between two names or moments."""
    heard = (await client.say(f"x {command}")).decode("utf-8", "replace")
    return re.sub(r"'[^']*'", "NAME", heard)


async def play(given_rights: str, commands: list[str]) -> None:
    house = House()
    owner, _ = await house.add_account(ANN), await house.add_account(BEN)
    for name in ("Work", "Other"):
        await owner.create(name)
    work = await owner.find("Work")
    await fill(owner, "Work", 3)
    await owner.store.marks.set_mode(work.id, SeenMode.SHARED)
    change = FlagChange(op=FlagOp.ADD, bits=flags.ANSWERED | flags.DELETED, keywords=("$Old",))
    await owner.store_flags(work.id, [2], change)
    held = rights.parse(given_rights)
    await acl.grant(house.store.directory, owner.store, [work.id], BEN, RightsChange(FlagOp.REPLACE, held))
    await fill(await house.mailboxes.open((await house.store.directory.account_by_login(BEN)) or owner.row), "INBOX", 2)
    client = await house.selected("INBOX", BEN)
    for command in commands:
        before, may = await state(owner), await owner.store.acl(work.id)
        now = rights.letters(acl.effective(may, frozenset((BEN, "anyone"))))
        heard = await say(client, command)
        assert client.link.alive, (command, heard)
        after = await state(owner)
        assert needed(before, after) <= set(now), (command, now, heard)
        if WORK in command and not now:
            here, there = await house.selected("INBOX", BEN), await house.selected("INBOX", BEN)
            absent = await say(there, command.replace(WORK, f"Users/{ANN}/Nope"))
            assert (await say(here, command)).replace("Work", "Nope") == absent, command
        if "Work" not in after.names:
            return


@settings(max_examples=60, deadline=None)
@example("lrsi", [f"SELECT {WORK}", f"UID COPY 1:* {WORK}"])
@given(some_rights, st.lists(st.sampled_from(COMMANDS), min_size=1, max_size=12))
def test_nothing_happens_without_its_right(given_rights: str, commands: list[str]) -> None:
    asyncio.run(play(given_rights, commands))


def test_every_command_on_what_may_not_be_seen() -> None:
    """Each once, with no rights at all, so that none depends on luck."""
    for command in COMMANDS:
        if WORK in command and "UNSUBSCRIBE" not in command:
            asyncio.run(play("", [command]))


def test_with_all_rights_all_of_it_happens() -> None:
    """The test above could not fail if the commands did nothing."""

    async def one(command: str, right: str) -> set[str]:
        house = House()
        owner, _ = await house.add_account(ANN), await house.add_account(BEN)
        await owner.create("Work")
        work = await owner.find("Work")
        await fill(owner, "Work", 3)
        await owner.store.marks.set_mode(work.id, SeenMode.SHARED)
        await owner.store_flags(work.id, [2], FlagChange(op=FlagOp.ADD, bits=flags.DELETED))
        held = RightsChange(FlagOp.REPLACE, rights.parse(right))
        await acl.grant(house.store.directory, owner.store, [work.id], BEN, held)
        client = await house.selected(WORK, BEN)
        before = await state(owner)
        await say(client, command)
        return needed(before, await state(owner))

    for command, wanted in (
        ("STORE 1 +FLAGS (\\Seen \\Deleted \\Flagged)", {"s", "t", "w"}),
        ("EXPUNGE", {"e"}),
        ("CLOSE", {"e"}),
        (f"APPEND {WORK} (\\Seen) {{1+}}\r\nx", {"i", "s"}),
        (f"CREATE {WORK}/New", {"k"}),
        (f"DELETE {WORK}", {"x"}),
        (f"SETACL {WORK} anyone l", {"a"}),
        ("FETCH 1 BODY[]", {"s"}),
        ("MOVE 1 INBOX", {"e"}),
    ):
        assert asyncio.run(one(command, rights.LETTERS)) == wanted, command
