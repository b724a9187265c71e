"""Finding messages of a whole account by the query language, on both stores."""

from __future__ import annotations

from datetime import UTC, timedelta, timezone

import pytest

from postroom.index.keeper import Keeper
from postroom.index.query import parse
from postroom.mailbox.excerpts import excerpt, hits_of
from postroom.mailbox.finding import Hit, When, Wish, find
from postroom.mailbox.incoming import Incoming
from postroom.mailbox.search import Pace
from postroom.mailbox.service import Account
from postroom.store.api import FlagChange, FlagOp, Store
from postroom.values.clock import Clock
from postroom.values.content import Content
from postroom.values.flags import FLAGGED, SEEN

DAY = 86_400
#: 2026-03-10 23:30 UTC
NOW = 1_773_185_400


def mail(subject: str, body: str, *, kind: str = "text/plain; charset=utf-8", **fields: str) -> bytes:
    lines = {"From": "Ann Other <ann@example.org>", "To": "ben@example.com"} | fields
    header = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in lines.items())
    return f"{header}Subject: {subject}\r\nMIME-Version: 1.0\r\nContent-Type: {kind}\r\n\r\n{body}\r\n".encode()


def attached(name: str, kind: str = "application/pdf", how: str = "attachment") -> bytes:
    body = f"--b\r\n\r\nSee the file.\r\n--b\r\nContent-Type: {kind}\r\n"
    body += f'Content-Disposition: {how}; filename="{name}"\r\n\r\nxxxx\r\n--b--'
    return mail("With a file", body, kind="multipart/mixed; boundary=b")


#: by name: mailbox, octets, days ago, flags
MESSAGES: dict[str, tuple[str, bytes, int, int]] = {
    "offer": ("INBOX", mail("Offer for Müller", "Please find our planning attached."), 0, 0),
    "reply": (
        "Sent",
        mail("Re: Offer", "Thank you, Ann.", From="Ben <ben@example.com>", To="ann@example.org"),
        1,
        SEEN,
    ),
    "report": ("INBOX", attached("Annual Report.pdf"), 2, SEEN | FLAGGED),
    "photo": ("INBOX", attached("x.png", "image/png", "inline"), 3, 0),
    "list": ("INBOX", mail("News", "The annual report of the club", List_Id="Club <club.example.net>"), 40, 0),
    "trash": ("Trash", mail("Old", "buy now", Cc="Carol <carol@example.org>"), 400, SEEN),
    "chinese": ("INBOX", mail("会议", "我们今天下午开会讨论项目预算"), 5, 0),
    "html": ("INBOX", mail("Page", "<p>wor<b>ld</b> <i>peace</i></p><style>hidden</style>", kind="text/html"), 6, 0),
}


@pytest.fixture
async def filled(account: Account, store: Store) -> dict[int, str]:
    """The account with the messages; message id to name."""
    names: dict[int, str] = {}
    kept = await store.account("a1")
    for name, (place, octets, days, flags) in MESSAGES.items():
        mailbox = await kept.mailbox(place)
        assert mailbox is not None
        new = Incoming(content=Content.of(octets), internaldate=NOW - days * DAY, flags=flags)
        added = await account.append(mailbox.id, [new])
        names[added.snapshot.pages[-1].messages[-1]] = name
    return names


async def found(store: Store, clock: Clock, query: str, wish: Wish | None = None) -> list[Hit]:
    return await find(parse(query), await store.account("a1"), wish or Wish(when=When(NOW, UTC)), Pace(clock))


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", "offer reply report photo chinese html list trash"),
        ("offer", "offer reply"),
        ("OFFER muller", "offer"),
        ("ann", "offer reply report photo chinese html list trash"),
        ("ann -from:ann", "reply"),
        ("plan", "offer"),
        ("anning", ""),
        ('"anning"', "offer"),
        ('"annual report"', "report list"),
        ("annual report", "report list"),
        ("annual-report", ""),
        ("body:annual", "list"),
        ("filename:report", "report"),
        ("filename:pdf", "report"),
        ("has:attachment", "report"),
        ("has:image", "photo"),
        ("has:pdf OR has:image", "report photo"),
        ("subject:re", "reply"),
        ("from:ben", "reply"),
        ("to:ben -in:trash has:attachment", "report"),
        ("with:carol", "trash"),
        ("cc:carol", "trash"),
        ("list:club", "list"),
        ("header:list-id=club.example", "list"),
        ("header:list-id", "list"),
        ("is:unread", "offer photo chinese html list"),
        ("is:flagged", "report"),
        ("-is:read in:inbox", "offer photo chinese html list"),
        ("in:trash", "trash"),
        ("in:sent OR in:trash", "reply trash"),
        ("in:anywhere old", "trash"),
        ("after:2026-03-09", "offer reply"),
        ("before:2026", "trash"),
        ("on:2026-03-10", "offer"),
        ("on:2026-03", "offer reply report photo chinese html"),
        ("newer_than:36h", "offer reply"),
        ("older_than:1y", "trash"),
        ("larger:1M", ""),
        ("smaller:1M in:trash", "trash"),
        ("今天", "chinese"),
        ("讨论项目", "chinese"),
        ("论", "chinese"),
        ("讨项", ""),
        ("world", "html"),
        ('"world peace"', "html"),
        ("hidden", ""),
        ("style", ""),
        ("from:(ann OR ben) is:read", "reply report trash"),
    ],
)
async def test_query(query: str, names: str, filled: dict[int, str], store: Store, clock: Clock) -> None:
    assert " ".join(filled[hit.message] for hit in await found(store, clock, query)) == names


async def test_days_begin_where_the_reader_is(filled: dict[int, str], store: Store, clock: Clock) -> None:
    east = Wish(when=When(NOW, timezone(timedelta(hours=2))))
    hits = await found(store, clock, "on:2026-03-11", east)
    assert [filled[hit.message] for hit in hits] == ["offer"]


async def test_a_message_in_two_mailboxes_is_found_in_both(
    filled: dict[int, str], store: Store, account: Account, clock: Clock
) -> None:
    kept = await store.account("a1")
    inbox, trash = await kept.mailbox("INBOX"), await kept.mailbox("Trash")
    assert inbox is not None
    assert trash is not None
    await kept.copy(inbox.id, [1], trash.id)
    await kept.store_flags(trash.id, [2], FlagChange(op=FlagOp.ADD, bits=FLAGGED))
    hits = await found(store, clock, "subject:offer -from:ben")
    assert sorted((hit.mailbox.name, hit.flags & FLAGGED) for hit in hits) == [("INBOX", 0), ("Trash", FLAGGED)]
    assert [hit.mailbox.name for hit in await found(store, clock, "is:flagged subject:offer")] == ["Trash"]


async def test_what_was_deleted_is_found_with_a_switch(
    filled: dict[int, str], store: Store, account: Account, clock: Clock
) -> None:
    kept = await store.account("a1")
    inbox, trash = await kept.mailbox("INBOX"), await kept.mailbox("Trash")
    assert inbox is not None
    assert trash is not None
    await kept.expunge(inbox.id, [1], only_deleted=False)
    await kept.delete(trash.id)
    wish = Wish(when=When(NOW, UTC), deleted=True)
    assert [filled[hit.message] for hit in await found(store, clock, "offer")] == ["reply"]
    hits = await found(store, clock, "offer OR in:trash", wish)
    assert [filled[hit.message] for hit in hits] == ["offer", "reply", "trash"]
    assert [bool(hit.departure) for hit in hits] == [True, False, True]
    assert hits[0].deleted == clock.now()
    assert hits[2].mailbox.name == "Trash"
    assert [filled[hit.message] for hit in await found(store, clock, "is:unread from:ann subject:offer", wish)] == [
        "offer"
    ]


@pytest.mark.parametrize("indexed", [False, True])
async def test_ranked(indexed: bool, filled: dict[int, str], store: Store, clock: Clock) -> None:
    if indexed:
        keeper = Keeper(await store.account("a1"), clock)
        while await keeper.step():
            pass
    wish = Wish(when=When(NOW, UTC), ranked=True)
    hits = await found(store, clock, "anual reprot", wish)
    assert {filled[hit.message] for hit in hits} == {"report", "list"}
    assert filled[hits[0].message] == "report", "a file's name counts for more than text"
    assert hits[0].relevancy == 100
    assert 0 < hits[1].relevancy < 100
    assert await found(store, clock, '"anual reprot"', wish) == []


async def test_excerpts(filled: dict[int, str], store: Store) -> None:
    kept = await store.account("a1")
    ids = {name: message for message, name in filled.items()}

    async def shown(name: str, query: str) -> tuple[str, list[str]]:
        found = await excerpt(kept, ids[name], hits_of(parse(query)))
        return found.snippet.text, [found.snippet.text[start:end] for start, end in found.snippet.marks]

    assert await shown("offer", "plan -x") == ("Please find our planning attached.", ["plan"])
    assert await shown("offer", "subject:offer") == ("Please find our planning attached.", [])
    assert await shown("html", "WORLD") == ("world peace", ["world"])
    assert await shown("chinese", "讨论项目") == ("我们今天下午开会讨论项目预算", ["讨论项目"])
    assert await shown("trash", "buy OR now") == ("buy now", ["buy", "now"])
    assert (await excerpt(kept, 9999, [])).snippet.text == ""
