"""SEARCH=FUZZY: nearly the wanted words, and how well results fit (RFC 6203)."""

from __future__ import annotations

from imap_house import Client, House, play

from postroom.mailbox.incoming import Incoming
from postroom.values.content import Content

LETTERS = (
    ("Hello there", "a letter to everybody"),
    ("Weather", "say hello to Ben, he will help"),
    ("Budget", "numbers only"),
    ("IMAP is broken", "it breaks"),
)


async def with_letters(house: House) -> Client:
    account = await house.mailboxes.open(await house.store.directory.account("ann-example.org"))  # type: ignore[arg-type]
    info = await account.find("INBOX")
    for subject, text in LETTERS:
        data = f"From: Ann <ann@example.org>\r\nSubject: {subject}\r\n\r\n{text}\r\n".encode()
        await account.append(info.id, [Incoming(content=Content.of(data))])
    await account.store.recent(info.id, 5, claim=True)
    return await house.selected()


async def test_rfc6203_fuzzy_keys(house: House) -> None:
    await play(
        await with_letters(house),
        """
        C: a1 SEARCH FUZZY TEXT "Helo"
        S: * SEARCH 1 2
        S: a1 OK ...
        C: a2 SEARCH FUZZY (SUBJECT "imap broke")
        S: * SEARCH 4
        S: a2 OK ...
        C: a3 SEARCH FUZZY SUBJECT Helo FROM ann
        S: * SEARCH 1
        S: a3 OK ...
        C: a4 SEARCH TEXT "Helo"
        S: * SEARCH
        S: a4 OK ...
        C: a5 SEARCH NOT FUZZY TEXT "Helo"
        S: * SEARCH 3 4
        S: a5 OK ...
        C: a6 SEARCH FUZZY NOT TEXT "Helo"
        S: * SEARCH 1 2 3 4
        S: a6 OK ...
        C: a7 SEARCH FUZZY UNSEEN
        S: * SEARCH 1 2 3 4
        S: a7 OK ...
        C: a8 SEARCH FUZZY TEXT "--"
        S: * SEARCH
        S: a8 OK ...
        C: a9 SEARCH FUZZY (OR BODY budgit SUBJECT budgit)
        S: * SEARCH 3
        S: a9 OK ...
        """,
    )


async def test_rfc6203_relevancy(house: House) -> None:
    await play(
        await with_letters(house),
        """
        C: b1 SEARCH RETURN (RELEVANCY ALL) FUZZY TEXT "Helo"
        S: * ESEARCH (TAG "b1") ALL 1:2 RELEVANCY (100 60)
        S: b1 OK ...
        C: b2 UID SEARCH RETURN (RELEVANCY COUNT) FUZZY TEXT "nobody"
        S: * ESEARCH (TAG "b2") UID COUNT 0 RELEVANCY ()
        S: b2 OK ...
        C: b3 SEARCH RETURN (RELEVANCY ALL) TEXT "hello"
        S: b3 BAD ...
        C: b4 SORT (REVERSE RELEVANCY) UTF-8 FUZZY TEXT "Helo"
        S: * SORT 2 1
        S: b4 OK ...
        C: b5 SORT (RELEVANCY) UTF-8 FUZZY TEXT "Helo"
        S: * SORT 1 2
        S: b5 OK ...
        C: b6 SORT RETURN (RELEVANCY ALL) (REVERSE RELEVANCY) UTF-8 FUZZY TEXT "Helo"
        S: * ESEARCH (TAG "b6") ALL 2,1 RELEVANCY (60 100)
        S: b6 OK ...
        C: b7 SORT RETURN (PARTIAL 1:1 RELEVANCY) (RELEVANCY) UTF-8 FUZZY TEXT "Helo"
        S: * ESEARCH (TAG "b7") PARTIAL (1:1 1) RELEVANCY (100)
        S: b7 OK ...
        C: b8 SORT (RELEVANCY) UTF-8 TEXT "hello"
        S: b8 BAD ...
        C: b9 SEARCH FUZZY
        S: b9 BAD ...
        """,
    )
