"""MULTISEARCH: one search of several mailboxes (RFC 7377)."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from imap_house import Client, House, fill, play, settle

from postroom.index.lookup import NOTHING_KNOWN
from postroom.mailbox import indexed
from postroom.mailbox.service import Account
from postroom.servers.imap import progress, sources
from postroom.store.api import NotFound
from postroom.store.embedded import EmbeddedStore
from postroom.values.flags import FLAGGED, SEEN

ANN, BEN = "ann@example.org", "ben@example.org"
ALL = re.compile(r'\* ESEARCH \(TAG "\w+" MAILBOX ("[^"]*"|[^" ]+) UIDVALIDITY \d+\) UID ALL (\S+)')


@pytest.fixture(params=["memory", "embedded"])
async def house(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[House]:
    store = EmbeddedStore(tmp_path) if request.param == "embedded" else None
    made = House(store=store)
    for login in (ANN, BEN):
        await made.add_account(login)
    yield made
    if store is not None:
        await store.close()


async def account(house: House, login: str = ANN) -> Account:
    row = await house.store.directory.account_by_login(login)
    assert row is not None
    return await house.mailboxes.open(row)


async def tree(house: House) -> Client:
    """Ann has two messages each, the second flagged, in INBOX and in a tree of mailboxes."""
    ann = await account(house)
    for name in ("Work", "Work/Old", "Work/Old/2020", "Workshop"):
        await ann.create(name)
    for name in ("INBOX", "Work", "Work/Old", "Work/Old/2020", "Workshop"):
        await fill(ann, name, 1)
        await fill(ann, name, 1, first=2, flags=FLAGGED)
    return await house.login()


async def results(client: Client, command: str) -> dict[str, str]:
    """The UIDs that were found by mailbox, in the order they were told."""
    found = {}
    for line in await client.do(f"ESEARCH {command}"):
        match = ALL.fullmatch(line)
        assert match, line
        found[match[1].strip('"')] = match[2]
    return found


async def test_where_is_searched(house: House) -> None:
    client = await tree(house)
    assert await results(client, "IN (mailboxes Work) ALL") == {"Work": "1:2"}
    assert await results(client, "IN (mailboxes (Work INBOX nowhere)) FLAGGED") == {"Work": "2", "INBOX": "2"}
    assert await results(client, "IN (subtree Work) FLAGGED") == dict.fromkeys(
        ("Work", "Work/Old", "Work/Old/2020"), "2"
    )
    assert await results(client, "IN (subtree-one Work) FLAGGED") == {"Work": "2", "Work/Old": "2"}
    everything = dict.fromkeys(("INBOX", "Work", "Work/Old", "Work/Old/2020", "Workshop"), "2")
    for source in ("personal", "inboxes", 'subtree ""'):
        assert await results(client, f"IN ({source}) FLAGGED") == everything, source
    assert list(await results(client, "IN (subtree Work/Old mailboxes (INBOX Work/Old)) ALL")) == [
        "Work/Old",
        "Work/Old/2020",
        "INBOX",
    ]
    await client.do("SUBSCRIBE Workshop")
    assert await results(client, "IN (subscribed) FLAGGED") == {"INBOX": "2", "Workshop": "2"}
    assert await results(client, "IN (personal) SUBJECT nobody-wrote-this") == {}


async def test_the_selected_mailbox(house: House) -> None:
    client = await tree(house)
    assert await client.tagged("ESEARCH ALL") == "BAD Select a mailbox first"
    assert await client.tagged("ESEARCH IN (selected) ALL") == "BAD Select a mailbox first"
    assert await client.tagged("ESEARCH IN (mailboxes Work) RETURN (UPDATE) ALL") == "BAD Select a mailbox first"
    await client.do("SELECT Work")
    assert await results(client, "FLAGGED") == {"Work": "2"}
    assert await results(client, "IN (selected mailboxes INBOX) FLAGGED") == {"Work": "2", "INBOX": "2"}
    assert await client.do("ESEARCH RETURN (COUNT) SUBJECT nobody-wrote-this") == []
    other = await house.login()
    await other.do("RENAME Work Play")
    assert await results(client, "FLAGGED") == {"Play": "2"}
    assert await client.do("FETCH 2 FLAGS") == ["* 2 FETCH (FLAGS (\\Flagged))"]  # it stays selected


async def test_result_options_are_of_each_mailbox(house: House) -> None:
    await play(
        await tree(house),
        """
        C: a1 ESEARCH IN (mailboxes (INBOX Work)) RETURN (MIN MAX COUNT) ALL
        S: * ESEARCH (TAG "a1" MAILBOX "INBOX" UIDVALIDITY ...) UID MIN 1 MAX 2 COUNT 2
        S: * ESEARCH (TAG "a1" MAILBOX "Work" UIDVALIDITY ...) UID MIN 1 MAX 2 COUNT 2
        S: a1 OK ...
        C: a2 ESEARCH IN (mailboxes (INBOX Work)) RETURN (PARTIAL 2:5) CHARSET UTF-8 ALL
        S: * ESEARCH (TAG "a2" MAILBOX "INBOX" UIDVALIDITY ...) UID PARTIAL (2:5 2)
        S: * ESEARCH (TAG "a2" MAILBOX "Work" UIDVALIDITY ...) UID PARTIAL (2:5 2)
        S: a2 OK ...
        C: a3 ESEARCH IN (mailboxes (INBOX)) RETURN (COUNT) MODSEQ 1
        S: * ESEARCH (TAG "a3" MAILBOX "INBOX" UIDVALIDITY ...) UID COUNT 2 MODSEQ ...
        S: a3 OK ...
        C: a4 ESEARCH IN (personal) RETURN (SAVE) ALL
        S: a4 BAD ...
        C: a5 ESEARCH IN (selected-delayed) ALL
        S: a5 BAD ...
        C: a6 ESEARCH IN (personal (unheard-of 1)) ALL
        S: a6 BAD ...
        C: a7 ESEARCH IN () ALL
        S: a7 BAD ...
        C: a8 ESEARCH IN (mailboxes Work) CHARSET X-UNKNOWN ALL
        S: a8 NO [BADCHARSET ...] ...
        C: a9 UID ESEARCH ALL
        S: a9 BAD ...
        """,
    )


async def test_the_saved_result(house: House) -> None:
    client = await tree(house)
    await client.do("SELECT Work")
    assert await client.do("ESEARCH RETURN (SAVE) FLAGGED") == []
    assert await client.do("UID FETCH $ FLAGS") == ["* 2 FETCH (UID 2 FLAGS (\\Flagged))"]
    assert await results(client, "IN (selected mailboxes INBOX) $") == {"Work": "2"}
    assert await results(client, "IN (selected mailboxes INBOX) NOT $") == {"Work": "1", "INBOX": "1:2"}


async def test_message_numbers_beyond_the_mailbox_are_no_error(house: House) -> None:
    client = await tree(house)
    await fill(await account(house), "INBOX", 5, first=3)
    sources = "IN (mailboxes (INBOX Work))"
    assert await results(client, f"{sources} 2:5") == {"INBOX": "2:5", "Work": "2"}
    assert await results(client, f"{sources} 7:100") == {"INBOX": "7"}
    assert await results(client, f"{sources} *") == {"INBOX": "7", "Work": "2"}
    assert await results(client, f"{sources} NOT 2:4") == {"INBOX": "1,5:7", "Work": "1"}
    assert await results(client, f"{sources} OR 9 NOT FLAGGED") == {"INBOX": "1,3:7", "Work": "1"}
    assert await results(client, "IN (mailboxes Drafts) 1:*") == {}
    await client.do("ENABLE UIDONLY")
    assert (await client.tagged(f"ESEARCH {sources} 1")).startswith("BAD [UIDREQUIRED] ")
    assert await results(client, f"{sources} UID 1") == {"INBOX": "1", "Work": "1"}


async def test_mailboxes_of_others(house: House) -> None:
    ann, ben = await tree(house), await house.login(BEN)
    for name, rights in (("INBOX", "r"), ("Work", "l"), ("Work/Old", "lr"), ("Workshop", "lr")):
        await ann.do(f"SETACL {name} {BEN} {rights}")
    theirs = f"Users/{ANN}"
    named = " ".join(f"{theirs}/{name}" for name in ("INBOX", "Work", "Work/Old", "Work/Old/2020"))
    assert list(await results(ben, f"IN (mailboxes ({named})) ALL")) == [f"{theirs}/INBOX", f"{theirs}/Work/Old"]
    # what is not named has to be visible, too
    for top in ("Users", theirs):
        found = await results(ben, f"IN (subtree {top}) FLAGGED")
        assert found == {f"{theirs}/Work/Old": "2", f"{theirs}/Workshop": "2"}, top
    assert await results(ben, f"IN (subtree-one {theirs}) ALL") == {f"{theirs}/Workshop": "1:2"}
    assert list(await results(ben, f"IN (subtree-one {theirs}/Work) ALL")) == [f"{theirs}/Work/Old"]
    assert await results(ben, "IN (personal) ALL") == {}
    await ben.do(f"SUBSCRIBE {theirs}/Workshop")
    assert await results(ben, "IN (subscribed) ALL") == {f"{theirs}/Workshop": "1:2"}
    await ann.do(f"DELETEACL Workshop {BEN}")
    assert await results(ben, "IN (subscribed) ALL") == {}


async def test_seen_is_the_readers_own(house: House) -> None:
    ann, ben = await tree(house), await house.login(BEN)
    await ann.do(f"SETACL Work {BEN} lrs")
    await ann.do("SELECT Work")
    await ann.do("STORE 1 +FLAGS.SILENT (\\Seen)")
    name = f"Users/{ANN}/Work"
    assert await results(ben, f"IN (mailboxes {name}) UNSEEN") == {name: "1:2"}
    await ben.do(f"SELECT {name}")
    await ben.do("STORE 2 +FLAGS.SILENT (\\Seen)")
    assert await results(ben, f"IN (mailboxes {name}) UNSEEN") == {name: "1"}
    assert await results(ann, "IN (mailboxes Work) UNSEEN") == {"Work": "2"}


async def test_results_of_the_selected_mailbox_are_kept_up_to_date(house: House) -> None:
    one, two = await tree(house), await house.selected("Work")
    await one.do("SELECT Work")
    await play(
        {"1": one, "2": two},
        """
        C1: b1 ESEARCH IN (selected mailboxes INBOX) RETURN (UPDATE ALL) FLAGGED
        S1: * ESEARCH (TAG "b1" MAILBOX "Work" UIDVALIDITY ...) UID ALL 2
        S1: * ESEARCH (TAG "b1" MAILBOX "INBOX" UIDVALIDITY ...) UID ALL 2
        S1: b1 OK ...
        C1: b2 ESEARCH IN (mailboxes INBOX) RETURN (UPDATE) ALL
        S1: * ESEARCH (TAG "b2" MAILBOX "INBOX" UIDVALIDITY ...) UID
        S1: * NO [NOUPDATE "b2"] ...
        S1: b2 OK ...
        C2: a1 STORE 1 +FLAGS.SILENT (\\Flagged)
        S2: a1 OK ...
        C1: b3 NOOP
        S1: * 1 FETCH (UID 1 FLAGS (\\Flagged))
        S1: * ESEARCH (TAG "b1" MAILBOX "Work" UIDVALIDITY ...) UID ADDTO (0 1)
        S1: b3 OK ...
        """,
    )


async def test_filters_are_for_all_mailboxes(house: House) -> None:
    client = await tree(house)
    await client.do('SETMETADATA "" (/private/filters/values/good "OR FLAGGED SEEN")')
    assert await results(client, "IN (subtree-one Work) FILTER good") == {"Work": "2", "Work/Old": "2"}
    assert (await client.tagged("ESEARCH IN (personal) FILTER bad")).startswith("NO [UNDEFINED-FILTER bad]")


async def test_names_as_the_client_reads_them(house: House) -> None:
    client = await house.login()
    await client.do("CREATE Gr&APw-n")
    ann = await account(house)
    await fill(ann, "Grün", 1)
    assert await results(client, "IN (personal) ALL") == {"Gr&APw-n": "1"}
    await client.do("ENABLE UTF8=ACCEPT")
    assert await results(client, 'IN (mailboxes "Grün") ALL') == {"Grün": "1"}


async def test_a_search_of_too_many_mailboxes_is_refused(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    client = await tree(house)
    monkeypatch.setattr(sources, "MOST", 3)
    assert (await client.tagged("ESEARCH IN (personal) ALL")).startswith("NO [LIMIT] ")
    assert len(await results(client, "IN (subtree Work) ALL")) == 3
    monkeypatch.setattr(sources, "MOST_NAMES", 3)
    assert (await client.tagged("ESEARCH IN (mailboxes (a b) subtree (c d)) ALL")).startswith("NO [LIMIT] ")
    assert await results(client, "IN (mailboxes (a b Workshop)) ALL") == {"Workshop": "1:2"}


async def test_a_mailbox_that_goes_meanwhile_is_passed_over(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    client = await tree(house)
    work = (await (await account(house)).find("Work")).id
    snapshot = Account.snapshot

    async def gone(self: Account, mailbox: int) -> object:
        if mailbox == work:
            raise NotFound(str(mailbox))
        return await snapshot(self, mailbox)

    monkeypatch.setattr(Account, "snapshot", gone)
    assert list(await results(client, "IN (mailboxes (INBOX Work Workshop)) ALL")) == ["INBOX", "Workshop"]


async def test_the_index_is_asked_once_for_all_mailboxes(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    client = await tree(house)
    ann = await account(house)
    for name in ("INBOX", "Work", "Workshop"):
        await fill(ann, name, 30, first=3)
    asked = []

    async def look_up(*given: object) -> object:
        asked.append(given)
        return NOTHING_KNOWN

    monkeypatch.setattr(indexed, "look_up", look_up)
    found = await results(client, "IN (personal) BODY hello")
    assert found == {"INBOX": "1:32", "Work": "1:32", "Work/Old": "1:2", "Work/Old/2020": "1:2", "Workshop": "1:32"}
    assert len(asked) == 1


class Hurrying:
    """A clock that says that a slice of time is over whenever it is asked."""

    def __init__(self) -> None:
        self._seconds = 0.0

    def now(self) -> float:
        return 1_700_000_000.0

    def monotonic(self) -> float:
        self._seconds += 1.0
        return self._seconds


async def test_others_have_their_turn_meanwhile(house: House) -> None:
    one, two = await tree(house), await house.login(BEN)
    house.service._rooms = replace(house.service._rooms, clock=Hurrying())
    one.driver.received(b"a ESEARCH IN (personal) BODY hello\r\n")
    two.driver.received(b"b NOOP\r\n")
    assert two.hear() == b"b OK Noop completed\r\n"
    heard = one.hear()
    assert b"a OK" not in heard
    await settle(one)
    assert (heard + one.hear()).count(b"* ESEARCH (TAG ") == 5


async def test_how_far_it_has_come(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    client = await tree(house)
    await client.do("SELECT Work")
    last, going = (await (await account(house)).find("Workshop")).id, asyncio.Event()
    reached = asyncio.Event()
    snapshot = Account.snapshot

    async def slow(self: Account, mailbox: int) -> object:
        if mailbox == last:
            reached.set()
            await going.wait()
        return await snapshot(self, mailbox)

    monkeypatch.setattr(Account, "snapshot", slow)
    client.driver.received(b"a ESEARCH IN (selected personal) RETURN (COUNT) BODY hello\r\n")
    await reached.wait()
    assert client.hear().count(b"* ESEARCH") == 4
    for _ in range(2):  # it runs since the last look
        progress.tell(client.driver)
    assert client.hear() == b'* OK [INPROGRESS ("a" 8 10)] Still at it\r\n'
    going.set()
    await settle(client)
    assert client.hear().endswith(b"a OK Esearch completed\r\n")


async def test_a_client_that_does_not_read_is_waited_for(house: House) -> None:
    client = await tree(house)
    client.link.choke = asyncio.Event()
    client.driver.received(b"a ESEARCH IN (personal) ALL\r\n")
    for _ in range(50):
        await asyncio.sleep(0)
    assert client.hear().count(b"* ESEARCH (TAG ") == 1
    client.link.choke.set()
    await settle(client)
    assert client.hear().count(b"* ESEARCH (TAG ") == 4


KEYS = ("ALL", "FLAGGED", "NOT SEEN", "SUBJECT 2", "BODY hello", "OR FLAGGED SMALLER 9", "UID 2:3", "2:4", "FROM eve")


@given(
    counts=st.lists(st.integers(0, 5), min_size=2, max_size=4),
    keys=st.lists(st.sampled_from(KEYS), min_size=1, max_size=3),
)
@settings(max_examples=30, deadline=None)
async def test_it_finds_what_searches_one_by_one_find(counts: list[int], keys: list[str]) -> None:
    house = House()
    ann = await house.add_account(ANN)
    expected = {}
    for number, count in enumerate(counts):
        await ann.create(f"box{number}")
        await fill(ann, f"box{number}", count, flags=(0, SEEN, FLAGGED)[number % 3])
        client = await house.selected(f"box{number}")
        criteria = " ".join(keys).replace("2:4", "UID 2:4")  # numbers that are not there are an error here
        [line] = await client.do(f"UID SEARCH RETURN (ALL) {criteria}")
        if " ALL " in line:
            expected[f"box{number}"] = line.rpartition(" ")[2]
    assert await results(await house.login(), f"IN (personal) {' '.join(keys)}") == expected
