"""SORT, THREAD and what results are told as."""

from __future__ import annotations

import pytest
from imap_house import NOW, Client, House, fill, play

from postroom.mailbox.incoming import Incoming
from postroom.store.api import FlagChange, FlagOp, StoreUnavailable
from postroom.values import flags
from postroom.values.content import Content

#: subject, from, date, references, message id
LETTERS = (
    ("Lunch", "Zoe <zoe@example.org>", "1 Jan 2024 10:00:00 +0000", "", "<1@x>"),
    ("Re: Lunch", "Ann <ann@example.org>", "3 Jan 2024 10:00:00 +0000", "<1@x>", "<2@x>"),
    ("budget", "ben@example.org", "2 Jan 2024 10:00:00 +0000", "", "<3@x>"),
    ("Re: lunch", "Zoe <zoe@example.org>", "4 Jan 2024 10:00:00 +0000", "<1@x> <2@x>", "<4@x>"),
    ("Other", "Ann <ann@example.org>", "1 Jan 2024 09:00:00 +0000", "<gone@x>", "<5@x>"),
)


async def with_letters(house: House) -> Client:
    account = await house.mailboxes.open(await house.store.directory.account("ann-example.org"))  # type: ignore[arg-type]
    info = await account.find("INBOX")
    for number, (subject, sender, date, references, own) in enumerate(LETTERS):
        text = f"From: {sender}\r\nSubject: {subject}\r\nDate: {date}\r\nMessage-ID: {own}\r\n"
        if references:
            text += f"References: {references}\r\n"
        data = f"{text}\r\n{'x' * (50 - 10 * number)}\r\n".encode()
        await account.append(info.id, [Incoming(content=Content.of(data), internaldate=NOW - number)])
    await account.store.recent(info.id, 6, claim=True)
    await account.store.expunge(info.id, [3], only_deleted=False)
    await account.append(info.id, [Incoming(content=Content.of(b"Subject: budget\r\n\r\n"), internaldate=NOW)])
    await account.store.recent(info.id, 7, claim=True)
    return await house.selected()


async def test_sort(house: House) -> None:
    await play(
        await with_letters(house),
        """
        C: a1 SORT (DATE) UTF-8 ALL
        S: * SORT 5 4 1 2 3
        S: a1 OK ...
        C: a2 SORT (REVERSE DATE) UTF-8 ALL
        S: * SORT 3 2 1 4 5
        S: a2 OK ...
        C: a3 UID SORT (SUBJECT REVERSE DATE) US-ASCII UNSEEN
        S: * SORT 6 4 2 1 5
        S: a3 OK ...
        C: a4 SORT (ARRIVAL) UTF-8 ALL
        S: * SORT 4 3 2 1 5
        S: a4 OK ...
        C: a5 SORT (FROM SIZE) UTF-8 FROM zoe
        S: * SORT 3 1
        S: a5 OK ...
        C: a6 SORT (REVERSE DISPLAYFROM) UTF-8 ALL
        S: * SORT 1 3 2 4 5
        S: a6 OK ...
        C: a7 SORT (DATE) US-ASCII TEXT "not in mailbox"
        S: * SORT
        S: a7 OK ...
        C: a8 SORT (DATE) KLINGON ALL
        S: a8 NO [BADCHARSET ...
        C: a9 SORT (DATE) UTF-8 7
        S: a9 BAD ...
        C: b1 SORT (DATE) UTF-8
        S: b1 BAD ...
        C: b2 SORT (DATE) UTF-8 MODSEQ 1
        S: * OK [HIGHESTMODSEQ ...] CONDSTORE is on
        S: * SORT 5 4 1 2 3 (MODSEQ ...)
        S: b2 OK ...
        """,
    )


async def test_thread(house: House) -> None:
    await play(
        await with_letters(house),
        """
        C: a1 THREAD REFERENCES UTF-8 ALL
        S: * THREAD (5)(4)(1 2 3)
        S: a1 OK ...
        C: a2 UID THREAD REFERENCES UTF-8 ALL
        S: * THREAD (6)(5)(1 2 4)
        S: a2 OK ...
        C: a3 THREAD ORDEREDSUBJECT UTF-8 ALL
        S: * THREAD (5)(4)(1 (2)(3))
        S: a3 OK ...
        C: a4 THREAD REFERENCES UTF-8 NOT 1
        S: * THREAD (5)(4)(2 3)
        S: a4 OK ...
        C: a5 THREAD REFERENCES US-ASCII TEXT gewp
        S: * THREAD
        S: a5 OK ...
        C: a6 THREAD JWZ UTF-8 ALL
        S: a6 BAD ...
        C: a7 THREAD REFERENCES KLINGON ALL
        S: a7 NO [BADCHARSET ...
        """,
    )


async def test_results_as_sets(house: House) -> None:
    """RFC 5267 3 and RFC 9394 3."""
    await play(
        await with_letters(house),
        """
        C: a1 UID SORT RETURN () (REVERSE DATE) UTF-8 ALL
        S: * ESEARCH (TAG "a1") UID ALL 4,2,1,5:6
        S: a1 OK ...
        C: a2 SORT RETURN (MIN MAX COUNT) (DATE) UTF-8 ALL
        S: * ESEARCH (TAG "a2") MIN 5 MAX 3 COUNT 5
        S: a2 OK ...
        C: a3 SORT RETURN (PARTIAL 2:3) (DATE) UTF-8 ALL
        S: * ESEARCH (TAG "a3") PARTIAL (2:3 4,1)
        S: a3 OK ...
        C: a4 SORT RETURN (PARTIAL -1:-2 COUNT) (DATE) UTF-8 ALL
        S: * ESEARCH (TAG "a4") PARTIAL (-1:-2 2:3) COUNT 5
        S: a4 OK ...
        C: a5 SORT RETURN (PARTIAL 9:6) (DATE) UTF-8 ALL
        S: * ESEARCH (TAG "a5") PARTIAL (9:6 NIL)
        S: a5 OK ...
        C: a6 UID SORT RETURN (SAVE PARTIAL 4:5) (DATE) UTF-8 ALL
        S: * ESEARCH (TAG "a6") UID PARTIAL (4:5 2,4)
        S: a6 OK ...
        C: a7 UID SEARCH RETURN (ALL) $
        S: * ESEARCH (TAG "a7") UID ALL 2,4
        S: a7 OK ...
        C: a8 SORT RETURN (SAVE COUNT PARTIAL 1:1) (DATE) UTF-8 ALL
        S: * ESEARCH (TAG "a8") PARTIAL (1:1 5) COUNT 5
        S: a8 OK ...
        C: a9 UID SEARCH RETURN (ALL) $
        S: * ESEARCH (TAG "a9") UID ALL 1:2,4:6
        S: a9 OK ...
        C: b1 SORT RETURN (MIN ALL) (DATE) UTF-8 TEXT nothing
        S: * ESEARCH (TAG "b1")
        S: b1 OK ...
        """,
    )


@pytest.mark.parametrize(
    ("options", "told", "kept"),
    [
        ("SAVE PARTIAL 2:3", "PARTIAL (2:3 2:3)", "2:3"),
        ("SAVE PARTIAL 2:3 MIN", "MIN 1 PARTIAL (2:3 2:3)", "1:3"),
        ("SAVE PARTIAL 2:3 MAX", "MAX 5 PARTIAL (2:3 2:3)", "2:3,5"),
        ("SAVE PARTIAL 2:3 MIN MAX", "MIN 1 MAX 5 PARTIAL (2:3 2:3)", "1:3,5"),
        ("SAVE PARTIAL 2:3 COUNT MIN", "MIN 1 PARTIAL (2:3 2:3) COUNT 5", "1:5"),
        ("SAVE PARTIAL -2:-1", "PARTIAL (-2:-1 4:5)", "4:5"),
        ("SAVE PARTIAL -9:-4", "PARTIAL (-9:-4 1:2)", "1:2"),
        ("SAVE PARTIAL -9:-6", "PARTIAL (-9:-6 NIL)", ""),
    ],
)
async def test_rfc9394_table_1(house: House, options: str, told: str, kept: str) -> None:
    ann = await house.mailboxes.open(await house.store.directory.account("ann-example.org"))
    await fill(ann, "INBOX", 5)
    client = await house.selected()
    [line] = await client.do(f"SEARCH RETURN ({options}) ALL")
    assert line.endswith(") " + told)
    [line] = await client.do("SEARCH RETURN (ALL) $")
    assert line.endswith(f" ALL {kept}" if kept else '")')


async def test_no_expunge_while_numbers_are_told(house: House) -> None:
    """RFC 5256 3: not during SORT and THREAD, but during UID SORT and UID THREAD that name no numbers."""
    other = await house.selected()
    for command in ("SORT (DATE) UTF-8 ALL", "THREAD REFERENCES UTF-8 ALL", "UID SORT (DATE) UTF-8 1:*"):
        client = await with_letters(house)
        lines = await client.do("FETCH 1:* UID")
        await other.do("NOOP")
        await other.do("STORE 1 +FLAGS (\\Deleted)")
        await other.do("EXPUNGE")
        assert not [line for line in await client.do(command) if line.endswith("EXPUNGE")], command
        assert "* 1 EXPUNGE" in await client.do("UID SORT (DATE) UTF-8 ALL")
        assert len(await client.do("FETCH 1:* UID")) == len(lines) - 1
        await other.do("EXPUNGE")


async def test_esort_with_modseq(house: House) -> None:
    """RFC 7162 3.1.10."""
    ann = await house.mailboxes.open(await house.store.directory.account("ann-example.org"))
    await fill(ann, "INBOX", 3)
    info = await ann.find("INBOX")
    client = await house.selected()
    await client.do("ENABLE CONDSTORE")
    changed = await ann.store.store_flags(info.id, [2], FlagChange(op=FlagOp.ADD, bits=flags.FLAGGED))
    first, highest = (await ann.snapshot(info.id)).pages[0].modseqs[0], changed.snapshot.modseq
    await client.do("NOOP")
    for options, modseq in (("MIN", first), ("MIN MAX", first), ("ALL", highest), ("PARTIAL 3:3", first)):
        [line] = await client.do(f"SORT RETURN ({options}) (ARRIVAL) UTF-8 MODSEQ 1")
        assert line.endswith(f" MODSEQ {modseq}"), options


async def test_a_store_that_fails(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    client = await with_letters(house)
    ann = await house.store.account("ann-example.org")

    async def failing(*_args: object, **_kwargs: object) -> None:
        raise StoreUnavailable("disk")

    monkeypatch.setattr(ann.traits, "sources", failing)
    assert (await client.tagged("SORT (DATE) UTF-8 ALL")).startswith("NO [UNAVAILABLE]")
    assert (await client.tagged("UID THREAD REFERENCES UTF-8 ALL")).startswith("NO [UNAVAILABLE]")
    assert (await client.tagged("SORT (ARRIVAL) UTF-8 ALL")).startswith("OK")


async def test_a_window_of_a_fetch(house: House) -> None:
    """RFC 9394 3.3 and 3.4."""
    ann = await house.mailboxes.open(await house.store.directory.account("ann-example.org"))
    await fill(ann, "INBOX", 9)
    info = await ann.find("INBOX")
    await ann.store.expunge(info.id, [4, 5], only_deleted=False)
    changed = await ann.store.store_flags(info.id, [3, 9], FlagChange(op=FlagOp.ADD, bits=flags.FLAGGED))
    await play(
        await house.selected(),
        f"""
        C: a1 UID FETCH 1:* (FLAGS) (PARTIAL -1:-2)
        S: * 6 FETCH (UID 8 FLAGS ())
        S: * 7 FETCH (UID 9 FLAGS (\\Flagged))
        S: a1 OK ...
        C: a2 UID FETCH 2,3:8 (UID) (PARTIAL 4:2)
        S: * 3 FETCH (UID 3)
        S: * 4 FETCH (UID 6)
        S: * 5 FETCH (UID 7)
        S: a2 OK ...
        C: a3 UID FETCH 1:* FLAGS (PARTIAL 1:5 CHANGEDSINCE {changed.snapshot.modseq - 1})
        S: * OK [HIGHESTMODSEQ ...
        S: * 3 FETCH (UID 3 FLAGS (\\Flagged) MODSEQ (...))
        S: a3 OK ...
        C: a4 UID FETCH 1:* UID (PARTIAL 8:20)
        S: a4 OK ...
        C: a5 FETCH 1:* UID (PARTIAL 1:2)
        S: a5 BAD ...
        C: a6 UID FETCH 1:* UID (PARTIAL 1:2 PARTIAL 1:2)
        S: a6 BAD ...
        C: a7 UID FETCH 1:* UID (PARTIAL)
        S: a7 BAD ...
        """,
    )


ASKED = (
    "SORT (REVERSE DATE) UTF-8 ALL",
    "UID SORT (REVERSE DATE) UTF-8 ALL",
    "SORT (SUBJECT DATE) UTF-8 UNSEEN",
    "UID SORT (REVERSE ARRIVAL) UTF-8 UNSEEN",
    "SORT (SIZE) UTF-8 NOT 2",
    "UID SORT RETURN (COUNT ALL) (DATE) UTF-8 ALL",
    "SORT RETURN (PARTIAL 2:3) (DATE) UTF-8 ALL",
    "THREAD REFERENCES UTF-8 ALL",
    "UID THREAD REFERENCES UTF-8 UNSEEN",
    "THREAD REFERENCES UTF-8 UNSEEN",
    "THREAD ORDEREDSUBJECT UTF-8 ALL",
)


async def test_answers_that_are_kept_are_those_made_anew(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mail that comes, goes, is read, and another mailbox with the same UIDs."""
    for place in ("postroom.servers.imap.sort.LEAST", "postroom.mailbox.orders.LEAST"):
        monkeypatch.setattr(place, 1)
    client = await with_letters(house)
    account = await house.mailboxes.open(await house.store.directory.account("ann-example.org"))  # type: ignore[arg-type]
    info = await account.find("INBOX")
    orders = house.mailboxes.orders

    async def asked() -> list[str]:
        told = [" ".join(await client.do(each)) for each in ASKED]
        return [each.partition(" UID ")[2] or each.partition(")")[2] if "ESEARCH" in each else each for each in told]

    seen = set()
    for change in range(6):
        if change == 1:
            data = b"Subject: re: budget\r\nDate: 2 Jan 2024 09:00:00 +0000\r\nReferences: <1@x>\r\n\r\n"
            await account.append(info.id, [Incoming(content=Content.of(data), internaldate=NOW)])
        elif change == 2:
            await client.do("UID STORE 2 +FLAGS (\\Seen)")
        elif change == 3:
            await account.store.expunge(info.id, [1], only_deleted=False)
        elif change == 4:
            await client.do("COPY 2:* Archive")
            await client.do("SELECT Archive")
        elif change == 5:
            await client.do("SELECT INBOX")
        await client.do("NOOP")
        first, held = await asked(), orders.octets
        assert held > 0
        assert await asked() == first
        assert orders.octets == held
        orders._kept.clear()
        orders.octets = 0
        assert await asked() == first
        seen.add(tuple(first))
    assert len(seen) >= 5


async def test_what_is_kept_is_found_without_reading(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    for place in ("postroom.servers.imap.sort.LEAST", "postroom.mailbox.orders.LEAST"):
        monkeypatch.setattr(place, 1)
    client = await with_letters(house)
    told = [await client.do(each) for each in ASKED[:2]]

    async def fails(*_args: object, **_named: object) -> object:
        raise StoreUnavailable("the disk is gone")

    monkeypatch.setattr("postroom.mailbox.sorting.shelf_of", fails)
    other = await house.selected()
    assert [await other.do(each) for each in ASKED[:2]] == told
    assert (await other.tagged("SORT (FROM) UTF-8 ALL")).startswith("NO")
