r"""\Seen that is each reader's own, and \Seen that is everybody's, on mailboxes of others."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from imap_house import Client, House, fill, play, settle

from postroom.mailbox import acl
from postroom.mailbox.service import Account
from postroom.store.api import FlagOp, RightsChange, SeenMode
from postroom.store.embedded import EmbeddedStore
from postroom.values import rights as right

ANN, BEN, EVE, SUPPORT = "ann@example.org", "ben@example.org", "eve@example.org", "support@example.org"
BOX = f"Users/{ANN}/INBOX"


@pytest.fixture(params=["memory", "embedded"])
async def house(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[House]:
    store = EmbeddedStore(tmp_path) if request.param == "embedded" else None
    made = House(store=store)
    for login in (ANN, BEN, EVE):
        await made.add_account(login)
    await made.add_account(SUPPORT, shared=True)
    for owner in (ANN, SUPPORT):
        found = await account(made, owner)
        boxes = [info.id for info in await found.store.mailboxes()]
        for who in (BEN, EVE):
            change = RightsChange(FlagOp.REPLACE, right.ALL)
            await acl.grant(made.store.directory, found.store, boxes, who, change)
    yield made
    if store is not None:
        await store.close()


async def account(house: House, login: str = ANN) -> Account:
    row = await house.store.directory.account_by_login(login)
    assert row is not None
    return await house.mailboxes.open(row)


async def flags(client: Client) -> list[str]:
    lines = await client.do("FETCH 1:* FLAGS")
    return [line.partition("FLAGS (")[2].rstrip(")") for line in lines if "FLAGS (" in line]


async def everybody(house: House, box: str = BOX) -> dict[str, Client]:
    own = {"1": await house.selected("INBOX", ANN)} if box == BOX else {}
    return {**own, "2": await house.selected(box, BEN), "3": await house.selected(box, EVE)}


async def test_what_one_has_read_the_others_have_not(house: House) -> None:
    await fill(await account(house), "INBOX", 2)
    await play(
        await everybody(house),
        """
        C2: b1 STORE 1 +FLAGS (\\Seen \\Flagged)
        S2: * 1 FETCH (UID 1 FLAGS (\\Flagged \\Seen))
        S2: b1 OK ...
        C1: a1 NOOP
        S1: * 1 FETCH (UID 1 FLAGS (\\Flagged))
        S1: a1 OK ...
        C3: e1 NOOP
        S3: * 1 FETCH (UID 1 FLAGS (\\Flagged))
        S3: e1 OK ...
        C1: a2 STORE 2 +FLAGS (\\Seen)
        S1: * 2 FETCH (UID 2 FLAGS (\\Seen))
        S1: a2 OK ...
        C2: b2 NOOP
        S2: b2 OK ...
        C3: e2 FETCH 1 BODY[HEADER.FIELDS (SUBJECT)]
        S3: * 1 FETCH (BODY[HEADER.FIELDS (SUBJECT)] {22}
        S3: Subject: Message 1
        S3:
        S3:  FLAGS (\\Flagged \\Seen))
        S3: e2 OK ...
        C2: b3 SEARCH UNSEEN
        S2: * SEARCH 2
        S2: b3 OK ...
        C1: a3 SEARCH UNSEEN
        S1: * SEARCH 1
        S1: a3 OK ...
        C3: e3 SEARCH SEEN
        S3: * SEARCH 1
        S3: e3 OK ...
        C2: b4 STORE 1 FLAGS ()
        S2: * 1 FETCH (UID 1 FLAGS ())
        S2: b4 OK ...
        C3: e4 NOOP
        S3: * 1 FETCH (UID 1 FLAGS (\\Seen))
        S3: e4 OK ...
        """,
    )


async def test_status_and_list_count_what_this_reader_has_not_seen(house: House) -> None:
    await fill(await account(house), "INBOX", 5)
    ben, eve = await house.selected(BOX, BEN), await house.selected(BOX, EVE)
    await ben.do("STORE 2:4 +FLAGS (\\Seen)")
    for client, unseen in ((ben, 2), (eve, 5), (await house.login(ANN), 5)):
        box = "INBOX" if unseen == 5 and client not in (ben, eve) else BOX
        assert (await client.do(f"STATUS {box} (MESSAGES UNSEEN)"))[0].endswith(f"(MESSAGES 5 UNSEEN {unseen})")
        lines = await client.do(f'LIST "" {box} RETURN (STATUS (UNSEEN))')
        assert lines[1].endswith(f"(UNSEEN {unseen})")
    await ben.do("UNSELECT")
    lines = await ben.do(f"SELECT {BOX}")
    assert any("UNSEEN 1" in line for line in lines)


async def test_marks_have_modseqs_of_their_own(house: House) -> None:
    await fill(await account(house), "INBOX", 3)
    ben, eve = await house.login(BEN), await house.login(EVE)
    for client in (ben, eve):
        await client.do(f"SELECT {BOX} (CONDSTORE)")
    start = int((await ben.do(f"STATUS {BOX} (HIGHESTMODSEQ)"))[0].rpartition(" ")[2].rstrip(")"))
    await ben.do("STORE 2 +FLAGS.SILENT (\\Seen)")
    now = int((await ben.do(f"STATUS {BOX} (HIGHESTMODSEQ)"))[0].rpartition(" ")[2].rstrip(")"))
    assert now > start
    changed = [f"* 2 FETCH (FLAGS (\\Seen) MODSEQ ({now}))"]
    assert await ben.do(f"FETCH 1:* (FLAGS) (CHANGEDSINCE {start})") == changed
    assert await eve.do(f"FETCH 1:* (FLAGS) (CHANGEDSINCE {start})") == []
    assert (await ben.tagged(f"STORE 1:3 (UNCHANGEDSINCE {start}) -FLAGS.SILENT (\\Seen)")).startswith(
        "OK [MODIFIED 2]"
    )
    assert (await eve.tagged(f"STORE 1:3 (UNCHANGEDSINCE {start}) +FLAGS.SILENT (\\Seen)")).startswith("OK Store")
    await eve.do("STORE 3 +FLAGS.SILENT (\\Flagged)")
    latest = int((await ben.do(f"STATUS {BOX} (HIGHESTMODSEQ)"))[0].rpartition(" ")[2].rstrip(")"))
    reply = await ben.tagged(f"STORE 1:3 (UNCHANGEDSINCE {latest - 1}) +FLAGS.SILENT (\\Seen \\Answered)")
    assert reply.startswith("OK [MODIFIED 3]")
    assert await flags(ben) == ["\\Answered \\Seen", "\\Answered \\Seen", "\\Flagged"]


async def test_resynchronising_tells_marks_that_were_made_elsewhere(house: House) -> None:
    await fill(await account(house), "INBOX", 3)
    one, two = await house.login(BEN), await house.login(BEN)
    for client in (one, two):
        await client.do("ENABLE QRESYNC")
    lines = await one.do(f"SELECT {BOX}")
    known = [line for line in lines if "UIDVALIDITY" in line or "HIGHESTMODSEQ" in line]
    validity, modseq = (line.partition("]")[0].rpartition(" ")[2] for line in known)
    await one.do("UNSELECT")
    await two.do(f"SELECT {BOX}")
    await two.do("STORE 3 +FLAGS.SILENT (\\Seen)")
    lines = await one.do(f"SELECT {BOX} (QRESYNC ({validity} {modseq}))")
    assert next(line for line in lines if " FETCH " in line).startswith("* 3 FETCH (UID 3 FLAGS (\\Seen) MODSEQ (")


async def test_both_devices_of_one_reader_see_the_same(house: House) -> None:
    await fill(await account(house), "INBOX", 2)
    await play(
        {"1": await house.selected(BOX, BEN), "2": await house.selected(BOX, BEN)},
        """
        C2: b1 IDLE
        S2: + ...
        C1: a1 STORE 2 +FLAGS.SILENT (\\Seen)
        S1: a1 OK ...
        S2: * 2 FETCH (UID 2 FLAGS (\\Seen))
        """,
    )


async def test_seen_goes_along_with_copies_as_the_reader_sees_it(house: House) -> None:
    await fill(await account(house), "INBOX", 3)
    ann, ben = await house.selected("INBOX", ANN), await house.selected(BOX, BEN)
    await ann.do("STORE 1 +FLAGS (\\Seen)")
    await ben.do("STORE 2 +FLAGS (\\Seen)")
    await ben.do(f"COPY 1:2 Users/{ANN}/Archive")  # within her account
    await ben.do(f"MOVE 1:2 Users/{ANN}/Archive")
    await ben.do("COPY 1 Archive")  # into his own
    await ben.do("STORE 1 +FLAGS (\\Seen)")
    await ben.do("COPY 1 Archive")
    await ann.do("ENABLE IMAP4rev2")
    await ann.do("SELECT Archive")
    assert await flags(ann) == ["", "", "", ""]
    await ben.do("ENABLE IMAP4rev2")
    await ben.do(f"SELECT Users/{ANN}/Archive")
    assert await flags(ben) == ["", "\\Seen", "", "\\Seen"]
    await ben.do("COPY 2 Drafts")
    await ben.do(f"APPEND Users/{ANN}/Archive (\\Seen \\Flagged) {{1+}}\r\nx")
    assert await flags(ben) == ["", "\\Seen", "", "\\Seen", "\\Flagged \\Seen"]
    await ann.do("NOOP")
    assert await flags(ann) == ["", "", "", "", "\\Flagged"]
    for mailbox, expected in (("Archive", ["", "\\Seen"]), ("Drafts", ["\\Seen"])):
        await ben.do(f"SELECT {mailbox}")
        assert await flags(ben) == expected


async def test_a_team_shares_what_is_read(house: House) -> None:
    box = f"Shared/{SUPPORT}/INBOX"
    await fill(await account(house, SUPPORT), "INBOX", 1)
    clients = await everybody(house, box)
    await play(
        clients,
        """
        C3: e1 IDLE
        S3: + ...
        C2: b1 STORE 1 +FLAGS (\\Seen)
        S2: * 1 FETCH (UID 1 FLAGS (\\Seen))
        S2: b1 OK ...
        S3: * 1 FETCH (UID 1 FLAGS (\\Seen))
        """,
    )
    assert (await clients["2"].do(f"STATUS {box} (UNSEEN)"))[0].endswith("(UNSEEN 0)")


async def test_the_mode_can_be_changed_while_people_are_reading(house: House) -> None:
    support = await account(house, SUPPORT)
    await fill(support, "INBOX", 1)
    box, info = f"Shared/{SUPPORT}/INBOX", await support.find("INBOX")
    clients = await everybody(house, box)
    await clients["2"].do("STORE 1 +FLAGS (\\Seen)")
    await clients["3"].do("NOOP")
    await support.store.marks.set_mode(info.id, SeenMode.PRIVATE)
    for client in clients.values():
        await client.do("NOOP")
        assert await flags(client) == [""]
    await clients["3"].do("STORE 1 +FLAGS (\\Seen)")
    assert await flags(clients["2"]) == [""]
    await support.store.marks.set_mode(info.id, SeenMode.SHARED)
    for client in clients.values():
        await client.do("NOOP")
        assert await flags(client) == ["\\Seen"]


async def test_who_can_only_mark_what_he_has_read_has_the_mailbox_read_only(house: House) -> None:
    """RFC 4314 5.2, example 1: \\Seen that nobody else sees does not make it READ-WRITE."""
    found = await account(house)
    info = await found.find("INBOX")
    await fill(found, "INBOX", 1)
    change = RightsChange(FlagOp.REPLACE, right.parse("lrs"))
    await acl.grant(house.store.directory, found.store, [info.id], BEN, change)
    ben = await house.login(BEN)
    lines = await ben.do(f"SELECT {BOX}")
    assert "* OK [PERMANENTFLAGS (\\Seen)] Flags that can be changed" in lines
    assert (await ben.tagged(f"SELECT {BOX}")).startswith("OK [READ-ONLY]")
    await ben.do("STORE 1 +FLAGS (\\Seen)")
    assert await flags(ben) == ["\\Seen"]


async def test_notify_tells_of_mailboxes_with_marks(house: House) -> None:
    found = await account(house)
    ben = await house.login(BEN)
    await ben.do(f"NOTIFY SET (mailboxes {BOX} (MessageNew MessageExpunge FlagChange))")
    await fill(found, "INBOX", 1)
    await settle(ben)
    assert b"MESSAGES 1 UNSEEN 1" in ben.hear()
    other = await house.selected(BOX, BEN)
    await other.do("STORE 1 +FLAGS (\\Seen)")
    await settle(ben)
    assert b"UNSEEN 0" in ben.hear()
