r"""Scripts that run because of what people do by IMAP (RFC 6785): which, on what, with what, and how often."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import replace

import pytest
from msgspec.json import decode
from sorting_house import BOB, EVE, MAIL, House

from postroom.delivery.reacting import ROUTE, Reacting
from postroom.mailbox.happenings import ENTRY, Cause, Happening, Happenings
from postroom.mailbox.incoming import Incoming
from postroom.mailbox.service import Account
from postroom.queue.outcome import Kind, Outcome
from postroom.store.api import (
    AnnotationLimits,
    Entry,
    FlagChange,
    FlagOp,
    NewAnnotation,
    QueueFilter,
    Recipient,
    SeenMode,
    SiteScriptRow,
    Store,
    StoreUnavailable,
)
from postroom.values.content import Content
from postroom.values.flags import DELETED, FLAGGED, SEEN

NEED = '"imapsieve", "environment", "imap4flags", "fileinto", "variables", "copy", "enotify", "editheader"'


class Scene:
    """Bob's mailboxes, some of them with scripts."""

    def __init__(self, house: House, account: Account) -> None:
        self.house, self.account = house, account
        self.store = account.store

    async def script(self, text: str, mailbox: str | None = "Lists", name: str = "react") -> None:
        """Keep a script, and let a mailbox name it."""
        await self.store.filters.put_script(name, f"require [{NEED}];\n{text}".encode())
        if mailbox is not None:
            await self.name(mailbox, name)

    async def name(self, mailbox: str, name: str | None) -> None:
        assert self.account.happenings is not None
        await self.account.happenings.expect(BOB.id)
        value = None if name is None else name.encode()
        await self.store.annotate(await self.id(mailbox), [NewAnnotation("", ENTRY, value)], AnnotationLimits())

    async def id(self, mailbox: str) -> int:
        return (await self.account.find(mailbox)).id

    async def append(self, mailbox: str = "Lists", content: bytes = MAIL, **more) -> tuple[int, ...]:
        result = await self.account.append(
            await self.id(mailbox), [Incoming(content=Content.of(content), internaldate=1000, **more)]
        )
        await self.settled()
        return result.uids

    async def flag(self, uids: Sequence[int], change: FlagChange, mailbox: str = "Lists") -> None:
        await self.account.store_flags(await self.id(mailbox), uids, change)
        await self.settled()

    async def settled(self) -> None:
        await self.house.reacting.settled()
        await self.house.delivery.settled()

    async def state(self) -> dict[str, list[tuple[int, frozenset[str]]]]:
        return {name: [row[:2] for row in items] for name, items in (await self.house.boxes()).items()}

    def reacted(self) -> list[dict[str, object]]:
        return self.house.events.of("sieve.reacted")


@pytest.fixture
async def scene(house: House) -> AsyncIterator[Scene]:
    house.reacting = Reacting(house.queue, house.mailboxes, house.store.directory, house.sorter)
    house.queue.subscribe(ROUTE, house.reacting.take, silent=True)
    house.mailboxes.happenings = Happenings(house.store.directory, house.reacting.note, house.events)
    yield Scene(house, await house.mailboxes.open(BOB))


ADD_FLAGGED = FlagChange(op=FlagOp.ADD, bits=FLAGGED)
NONE: frozenset[str] = frozenset()
MIXED = ((FLAGGED, ()), (0, ("x",)), (FLAGGED, ()))


async def test_no_script_costs_nothing(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a look at annotations nor an entry of the queue."""
    monkeypatch.setattr(type(scene.store), "annotations", None)
    uids = await scene.append()
    await scene.flag(uids, ADD_FLAGGED)
    assert await scene.house.store.queue.entries(QueueFilter()) == []


async def test_append_runs_the_script_of_the_mailbox(scene: Scene) -> None:
    await scene.script('if environment :is "imap.cause" "APPEND" { fileinto :copy "Sent"; addflag "seen-by-script"; }')
    await scene.append(flags=SEEN, keywords=("mine",))
    assert await scene.state() == {
        "Lists": [(SEEN, frozenset(("mine", "seen-by-script")))],
        # what is filed has the flags of the moment it is filed in
        "Sent": [(SEEN, frozenset(("mine",)))],
    }
    await scene.append("INBOX")
    assert len(scene.reacted()) == 1


async def test_without_keep_the_original_is_deleted(scene: Scene) -> None:
    """RFC 6785 3.3, 3.5: it is marked, not removed; the copy is a message of its own."""
    await scene.script('fileinto "Sent";')
    await scene.append()
    assert await scene.state() == {"Lists": [(DELETED, NONE)], "Sent": [(0, NONE)]}
    await scene.script("discard;")
    await scene.append()
    assert [flags for flags, _ in (await scene.state())["Lists"]] == [DELETED, DELETED]
    await scene.script("discard; keep;")
    await scene.append()
    assert [flags for flags, _ in (await scene.state())["Lists"]] == [DELETED, DELETED, 0]


async def test_fileinto_into_the_same_mailbox_is_a_new_message(scene: Scene) -> None:
    await scene.script('fileinto "Lists";')
    await scene.append()
    assert await scene.state() == {"Lists": [(DELETED, NONE), (0, NONE)]}
    await scene.script('keep; fileinto "INBOX";', "INBOX")
    await scene.append("INBOX")
    assert (await scene.state())["INBOX"] == [(0, NONE), (0, NONE)]


async def test_copies_and_moves_are_copies(scene: Scene) -> None:
    """RFC 6785 2.2.2, RFC 6851 4.5."""
    await scene.script('if environment :matches "imap.cause" "*" { addflag "${1}"; }')
    inbox, lists = await scene.id("INBOX"), await scene.id("Lists")
    first, second = (await scene.append("INBOX"))[0], (await scene.append("INBOX"))[0]
    await scene.account.copy(inbox, [first], lists)
    await scene.account.move(inbox, [second], lists)
    await scene.settled()
    assert (await scene.state())["Lists"] == [(0, frozenset(("COPY",)))] * 2
    assert [each["cause"] for each in scene.reacted()] == ["COPY", "COPY"]


async def test_flags_that_changed(scene: Scene) -> None:
    """RFC 6785 2.2.3, 4.5: the script sees the flags after the change, and which changed."""
    await scene.script(
        'if allof (environment :is "imap.cause" "FLAG", hasflag "\\\\Flagged",'
        ' environment :contains "imap.changedflags" "\\\\Flagged") { addflag "important"; }'
    )
    uids = await scene.append()
    await scene.flag(uids, FlagChange(op=FlagOp.ADD, bits=SEEN))
    assert (await scene.state())["Lists"] == [(SEEN, NONE)]
    await scene.flag(uids, FlagChange(op=FlagOp.REPLACE, bits=FLAGGED | SEEN))
    assert (await scene.state())["Lists"] == [(SEEN | FLAGGED, frozenset(("important",)))]
    told = len(scene.reacted())
    await scene.flag(uids, ADD_FLAGGED)  # nothing changes: nothing happens
    assert len(scene.reacted()) == told


async def test_messages_with_different_changes_have_their_own(scene: Scene) -> None:
    await scene.script("keep;")
    (one,), (two,), (three,) = [await scene.append(flags=bits, keywords=words) for bits, words in MIXED]
    held: list[Happening] = []
    scene.house.queue.subscribe(ROUTE, lambda entry, _: held.append(decode(entry.content.read(), type=Happening)))
    await scene.flag([one, two, three], FlagChange(op=FlagOp.REPLACE, bits=SEEN))
    found = [(each.uids, each.flags) for each in held if each.cause is Cause.FLAG]
    assert sorted(found) == [((one, three), ("\\Flagged", "\\Seen")), ((two,), ("\\Seen", "x"))]


async def test_what_scripts_do_starts_no_script(scene: Scene) -> None:
    """RFC 6785 2.2.3, 3.3, 6."""
    await scene.script('fileinto :copy "Sent"; addflag "again";')
    await scene.name("Sent", "react")
    uids = await scene.append()
    await scene.flag(uids, ADD_FLAGGED)
    assert [each["cause"] for each in scene.reacted()] == ["APPEND", "FLAG"]
    assert len((await scene.state())["Sent"]) == 2


async def test_environment(scene: Scene) -> None:
    """RFC 6785 4.1 to 4.4."""
    tests = {
        "imap.user": "bob@here.test", "imap.email": "bob@here.test", "imap.cause": "APPEND", "imap.mailbox": "Lists",
        "imap.changedflags": "", "location": "MS", "phase": "post", "domain": "here.test",
    }  # fmt: skip
    await scene.script(
        "\n".join(f'if not environment :is "{name}" "{value}" {{ addflag "{name}"; }}' for name, value in tests.items())
        + 'addflag "done";'
    )
    await scene.append()
    assert (await scene.state())["Lists"] == [(0, frozenset(("done",)))]


async def test_somebody_else_does_it(scene: Scene) -> None:
    """The owner's script runs, and is told who it was; the reader's own \\Seen is none of its business."""
    await scene.script('if environment :matches "imap.user" "*@*" { addflag "by-${1}"; }')
    eve = await scene.house.mailboxes.open_for(BOB, EVE.id, private=True)
    lists = await scene.id("Lists")
    result = await eve.append(lists, [Incoming(content=Content.of(MAIL))])
    await scene.settled()
    assert (await scene.state())["Lists"] == [(0, frozenset(("by-eve",)))]
    await scene.store.marks.set_mode(lists, SeenMode.PRIVATE)
    await eve.store_flags(lists, result.uids, FlagChange(op=FlagOp.ADD, bits=SEEN))
    await scene.settled()
    assert len(scene.reacted()) == 1


async def test_redirect_goes_out_as_the_owners(scene: Scene) -> None:
    """RFC 6785 3.4: from the owner, with what a message needs, without what delivery had put in front."""
    await scene.script('redirect :copy "carol@far.test";')
    delivered = b"Return-Path: <ann@far.test>\r\nDelivered-To: bob@here.test\r\n" + MAIL
    await scene.append(content=delivered)
    await scene.append(content=b"Subject: a draft\r\n\r\nnot yet\r\n")
    assert [entry.sender for entry in scene.house.left] == ["bob@here.test"] * 2
    first, second = scene.house.sent()
    assert first.startswith(b"Delivered-To: bob@here.test\r\n") and b"Return-Path" not in first
    assert first.count(b"Delivered-To") == 1 and first.endswith(MAIL[-20:]) and b"Date: " in first
    for field in (b"From: <bob@here.test>\r\n", b"Message-ID: <", b"Date: Thu, 01 Jan 1970 00:16:40 +0000\r\n"):
        assert field in second
    assert [flags for flags, _ in (await scene.state())["Lists"]] == [0, 0]


async def test_what_went_round_is_not_passed_on(scene: Scene) -> None:
    await scene.script('redirect "carol@far.test";')
    round_ = b"Return-Path: <>\r\nDelivered-To: bob@here.test\r\nDelivered-To: bob@here.test\r\n" + MAIL
    await scene.append(content=round_)
    assert scene.house.left == [] and "sieve.withheld" in scene.house.events.names()
    assert (await scene.state())["Lists"] == [(0, NONE)]  # so it stays


async def test_notify_and_changes_of_the_header(scene: Scene) -> None:
    """RFC 6785 3.6, 3.7: changes are for what is filed and sent; the message itself never changes."""
    await scene.script(
        'addheader "X-Moved" "yes"; fileinto :copy "Sent"; notify :message "look" "mailto:carol@far.test";'
    )
    await scene.append()
    boxes = await scene.house.boxes()
    assert boxes["Lists"][0][2] == MAIL and boxes["Sent"][0][2] == b"X-Moved: yes\r\n" + MAIL
    assert b"Subject: look\r\n" in scene.house.sent()[0]


@pytest.mark.parametrize(
    ("script", "error"),
    [
        ('require "vacation"; vacation "away";', "vacation is for mail that arrives"),
        ('require "reject"; keep;', "reject is for mail that arrives"),
        ('require "ihave"; if ihave "ereject" { ereject "no"; }', "ereject is for mail that arrives"),
        ('require "envelope"; if envelope "from" "a" { discard; }', "there is no envelope"),
        ('fileinto "Nowhere";', "could not be filed"),
    ],
)
async def test_errors_change_nothing_and_are_told_once(scene: Scene, script: str, error: str) -> None:
    """RFC 6785 3.11, 4.6."""
    await scene.script(script)
    await scene.append(flags=SEEN)
    await scene.append(flags=SEEN)
    boxes = await scene.house.boxes()
    assert [flags for flags, _, _ in boxes["Lists"]] == [SEEN, SEEN]
    assert len(boxes["INBOX"]) == 1
    notice = boxes["INBOX"][0][2].decode()
    assert "Messages stay as they are" in notice and error in " ".join(notice.split())


async def test_an_error_at_delivery_only(scene: Scene) -> None:
    """The same script may be active for mail that arrives."""
    await scene.script('require "reject"; if header "subject" "no" { reject "no"; }', None)
    await scene.store.filters.activate_script("react")
    await scene.house.arrive()
    assert await scene.house.where() == {"INBOX": 1}


async def test_scripts_that_are_not_there(scene: Scene) -> None:
    """RFC 6785 2.3.1: no script is run, and nobody is bothered."""
    await scene.name("Lists", "nothing")
    await scene.append()
    assert scene.reacted() == [] and await scene.house.where() == {"Lists": 1}


async def test_the_servers_script(scene: Scene) -> None:
    """RFC 6785 2.3.1: where a mailbox has no entry; an empty entry of the mailbox is an entry."""
    assert scene.house.mailboxes.happenings is not None
    scene.house.mailboxes.happenings.server = "all"
    await scene.append()
    assert scene.reacted() == []  # there is none of this name
    text = f'require [{NEED}]; addflag "site";'.encode()
    await scene.house.store.directory.put_site_script(SiteScriptRow(owner="", name="all", text=text, changed=1.0))
    await scene.append()
    domain = replace(SiteScriptRow(owner="here.test", name="all", text=text.replace(b"site", b"domain"), changed=1.0))
    await scene.house.store.directory.put_site_script(domain)
    await scene.append()
    await scene.script('addflag "own";', None, "all")
    await scene.append()
    await scene.name("Lists", "")
    await scene.append()
    found = [sorted(words) for _, words in (await scene.state())["Lists"]]
    assert found == [[], ["site"], ["domain"], ["own"], []]


async def test_after_a_crash_nothing_happens_twice(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last step fails; the whole happening is done again."""
    await scene.script('redirect :copy "carol@far.test"; fileinto :copy "Sent"; addflag "done";')
    real = type(scene.store).store_flags
    fails = iter([True])

    async def store_flags(self, *given):
        if next(fails, False):
            raise StoreUnavailable("the disk is full")
        return await real(self, *given)

    monkeypatch.setattr(type(scene.store), "store_flags", store_flags)
    await scene.append()
    assert (await scene.state())["Lists"] == [(0, NONE)]
    (entry,) = (
        await scene.house.store.queue.entries(QueueFilter())[:1]
        if False
        else [
            each for each in await scene.house.store.queue.entries(QueueFilter()) if each.recipients[0].route == ROUTE
        ]
    )
    await scene.house.reacting.outcomes(entry, entry.recipients)
    state = await scene.state()
    assert state["Lists"] == [(0, frozenset(("done",)))] and len(state["Sent"]) == 1
    assert len(scene.house.left) == 1


async def test_what_has_left_is_passed_over(scene: Scene) -> None:
    await scene.script('fileinto :copy "Sent";')
    held: list[Entry] = []
    scene.house.queue.subscribe(ROUTE, lambda entry, _: held.append(entry))
    (gone,), _ = await scene.append(), await scene.append()
    await scene.store.expunge(await scene.id("Lists"), [gone], only_deleted=False)
    for entry in held:
        assert (await scene.house.reacting.outcomes(entry, entry.recipients))[0].kind is Kind.DELIVERED
    assert len(held) == 2 and len((await scene.state())["Sent"]) == 1


async def test_many_at_once(scene: Scene) -> None:
    """Each message is a run of its own; the queue holds them in slices."""
    await scene.script('if environment "imap.cause" "COPY" { addflag "seen"; }')
    inbox, lists = await scene.id("INBOX"), await scene.id("Lists")
    result = await scene.account.append(inbox, [Incoming(content=Content.of(MAIL)) for _ in range(620)])
    await scene.account.copy(inbox, result.uids, lists)
    assert len(await scene.house.store.queue.entries(QueueFilter())) == 2
    await scene.settled()
    assert (await scene.state())["Lists"] == [(0, frozenset(("seen",)))] * 620


async def test_the_client_is_not_bothered_when_it_cannot_be_written_down(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    await scene.script("discard;")

    async def accept(_entry: object) -> None:
        raise StoreUnavailable("the disk is full")

    monkeypatch.setattr(scene.house.queue, "accept", accept)
    assert await scene.append()
    assert scene.house.events.of("sieve.unheard")[0]["reason"] == "the disk is full"


async def test_no_mail_is_told_of(scene: Scene, store: Store) -> None:
    """What waits for a script is no message that came."""
    await scene.script("keep;")
    await scene.append()
    assert not {"message.accepted", "message.delivered"} & set(scene.house.events.names())
    assert [entry for entry in await store.queue.entries(QueueFilter()) if entry.recipients[0].state == "waiting"] == []


async def test_after_a_restart_the_script_runs(scene: Scene, store: Store) -> None:
    """What was written down before the command was answered is taken up by the worker that comes next."""
    await scene.script('addflag "done";')
    scene.house.queue.subscribe(ROUTE, lambda entry, _: None)  # it stops here
    await scene.append()
    assert (await scene.state())["Lists"] == [(0, NONE)]
    next_ = House(store)
    next_.reacting = Reacting(next_.queue, next_.mailboxes, store.directory, next_.sorter)
    finished = asyncio.Event()
    outcomes = next_.reacting.outcomes

    async def tell(entry: Entry, recipients: Sequence[Recipient]) -> Sequence[Outcome]:
        found = await outcomes(entry, recipients)
        finished.set()
        return found

    next_.reacting.outcomes = tell
    next_.queue.subscribe(ROUTE, next_.reacting.take, silent=True)
    run = asyncio.create_task(next_.queue.run())
    async with asyncio.timeout(60):
        await finished.wait()
        await next_.reacting.settled()
    await next_.queue.stop()
    run.cancel()
    with suppress(asyncio.CancelledError):
        await run
    assert (await scene.state())["Lists"] == [(0, frozenset(("done",)))]
