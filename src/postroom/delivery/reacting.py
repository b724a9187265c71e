r"""Scripts for what people do by IMAP with mail that is kept already: APPEND, COPY, MOVE, changes of flags.

A happening (mailbox.happenings) is an entry of the queue's route "imapsieve", accepted before the command is answered:
so it outlives a crash, belongs to one worker, and is tried again while the store cannot write. Each message of it is a
run of its own. What a run sends carries a key, what it files a mark (as `sorting` has it), and flags are set for what
they are: doing it twice changes nothing. All of it goes past `mailbox.happenings`, so no script ever starts another.
A message that has left the mailbox meanwhile is passed over.
Owns: nothing. Trusts: the queue's route; scripts and messages as little as at delivery.
Standards: RFC 6785 3 and 4, RFC 6409 8 (what redirected mail lacks), RFC 5183 4.
On failure: the message stays as it is; the owner is told of each error of a script once.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import msgspec

from postroom.delivery.account_world import world_of
from postroom.delivery.one_by_one import OneByOne
from postroom.delivery.outgoing import Arrived
from postroom.delivery.programs import Compiled
from postroom.delivery.service import Queue
from postroom.delivery.sorting import Sorter
from postroom.delivery.work import Placement, Work
from postroom.mailbox.happenings import Cause, Happening
from postroom.mailbox.service import Account, Mailboxes
from postroom.message.dates import format_date
from postroom.message.index import MessageIndex
from postroom.queue.outcome import Kind, Outcome
from postroom.sieve.actions import Keep, Result
from postroom.sieve.describe import describe
from postroom.sieve.mail import Header
from postroom.sieve.world import Environment
from postroom.store.api import (
    AccountRow,
    DeliveredAlready,
    DirectoryStore,
    Entry,
    FlagChange,
    FlagOp,
    MailboxInfo,
    NewEntry,
    NewRecipient,
    OverQuota,
    Page,
    Recipient,
    Rendered,
    Snapshot,
    StoreError,
)
from postroom.values.content import Content
from postroom.values.flags import BITS, EIGHT_BIT, NAMES

#: the queue's name for this work
ROUTE: Final = "imapsieve"
_MOST_TOLD: Final = 12
_NOTHING: Final = (Keep(implicit=True),)


@dataclass(frozen=True, slots=True)
class _Scene:
    """What holds for all messages of a happening. actor: log-in of who did it."""

    entry: Entry
    what: Happening
    row: AccountRow
    account: Account
    info: MailboxInfo
    compiled: Compiled
    actor: str


@dataclass(frozen=True, slots=True)
class _Message:
    """One of them, where it lies. flags: names of all it has; page, place: its columns."""

    uid: int
    page: Page
    place: int
    flags: tuple[str, ...]
    rendered: Rendered
    content: Content


class Reacting(OneByOne):
    """One per worker. Give `take` to the queue as the consumer of ROUTE, and `note` to mailbox.happenings."""

    def __init__(self, queue: Queue, mailboxes: Mailboxes, directory: DirectoryStore, sorter: Sorter) -> None:
        super().__init__(queue)
        self._mailboxes = mailboxes
        self._directory = directory
        self._sorter = sorter

    async def note(self, what: Happening) -> None:
        """Keep it until its script has run. Raises StoreError."""
        row = await self._directory.account(what.account)
        if row is None:
            return
        means = self._sorter.outgoing.means
        await means.queue.accept(
            NewEntry(
                id=means.queue.new_id(),
                sender=row.login,
                recipients=(NewRecipient(address=row.login, route=ROUTE, notify="NEVER"),),
                content=Content.of(msgspec.json.encode(what)),
                received=means.clock.now(),
            )
        )

    async def outcomes(self, entry: Entry, recipients: Sequence[Recipient]) -> Sequence[Outcome]:
        """Run the script on each message of the happening."""
        kind, status, reply = Kind.DELIVERED, "2.0.0", "Done"
        try:
            await self._run(entry)
        except OverQuota:
            kind, status, reply = Kind.DEFERRED, "4.2.2", "The mailbox is full"
        except Exception as fault:  # a fault of ours must not end the work for others
            event = self._sorter.outgoing.means.event
            reason = str(fault) if isinstance(fault, StoreError) else repr(fault)
            event("delivery.fault", queue_id=entry.id, recipient=recipients[0].address, reason=reason)
            kind, status, reply = Kind.DEFERRED, "4.3.0", "The mailbox is out of order"
        return [Outcome(recipient=each, kind=kind, status=status, reply=reply) for each in recipients]

    async def _run(self, entry: Entry) -> None:
        what = msgspec.json.decode(entry.content.read(), type=Happening)
        row = await self._directory.account(what.account)
        if row is None:
            return
        account = await self._mailboxes.open(row)
        info = next((each for each in await account.store.mailboxes() if each.id == what.mailbox), None)
        compiled = await self._sorter.programs.named(account, what.script, site=what.site)
        if info is None or compiled is None:
            return  # RFC 6785 2.3.1: a script that is not there is no error
        actor = await self._directory.account(what.actor)
        scene = _Scene(entry, what, row, account, info, compiled, actor.login if actor is not None else "")
        for uid in what.uids:
            message = await _message(scene, uid)
            if message is not None:
                await self._react(scene, message)

    async def _react(self, scene: _Scene, message: _Message) -> None:
        mail = _arrived(scene, message)
        result = await self._result(scene, message, mail)
        if not result.error and result.actions == (Keep(implicit=True, flags=message.flags),):
            return
        flags: tuple[str, ...] | None = None
        stays = bool(result.error)

        async def stay(_flags: object, _form: object) -> None:  # what could not be filed or passed on
            nonlocal stays
            stays = True

        work = Work(self._sorter.outgoing, scene.account, mail, await _placement(scene, message), stay)
        for action in result.actions:
            if isinstance(action, Keep):
                stays, flags = True, None if result.error else action.flags
            else:
                await work.do(action)
        error = result.error or work.error
        if error:
            script = scene.compiled
            await work.explain(script.name, script.serial, error, result.line, kept="Messages stay as they are")
        if not work.idle:
            with suppress(DeliveredAlready):  # a crash came between this and the flags
                await work.file()
        await _flag(scene, message, (*message.flags, "\\Deleted") if not stays else flags)
        self._tell(scene, message, result, error)

    def _tell(self, scene: _Scene, message: _Message, result: Result, error: str) -> None:
        self._sorter.outgoing.means.event(
            "sieve.reacted",
            queue_id=f"{scene.entry.id}.{message.uid}",
            recipient=scene.row.login,
            login=scene.actor,
            cause=str(scene.what.cause),
            mailbox=scene.info.name,
            uid=message.uid,
            script=scene.compiled.name,
            actions=[describe(each)[:200] for each in result.actions[:_MOST_TOLD]],
            reason=error,
        )

    async def _result(self, scene: _Scene, message: _Message, mail: Arrived) -> Result:
        """What the script wants. Raises StoreError."""
        program, what = scene.compiled.program, scene.what
        if program is None:
            return Result(actions=_NOTHING, error=f"it cannot be run: {scene.compiled.fault}")
        now, zone = self._sorter.moment()
        whose = scene.row.login, scene.actor
        items = {**self._sorter.items, **imap_items(whose, what.cause, scene.info.name, what.flags)}
        spam, virus = self._sorter.scores(mail, program)
        environment = Environment(
            recipient=scene.row.login,
            now=now,
            zone=zone,
            items=items,
            spam=spam,
            virus=virus,
            imap=True,
            flags=message.flags,
        )
        world = await world_of(scene.account.store, program.asks, now)
        return await self._sorter.executed(program, mail, message.rendered.parts, environment, world)


def imap_items(whose: tuple[str, str], cause: Cause, mailbox: str, flags: Sequence[str]) -> dict[str, str]:
    """What the environment test knows of something that was done by IMAP: RFC 6785 4.3 to 4.6.

    whose: the log-in of the mailbox's owner, and of who did it; flags: those that were changed.
    """
    owner, actor = whose
    return {
        "domain": owner.rpartition("@")[2],
        "location": "MS",
        "phase": "post",
        "imap.user": actor,
        "imap.email": actor,
        "imap.cause": str(cause),
        "imap.mailbox": mailbox,
        "imap.changedflags": " ".join(flags),
    }


async def _message(scene: _Scene, uid: int) -> _Message | None:
    """None when it is not there any more. Raises StoreError."""
    store = scene.account.store
    snapshot = await store.snapshot(scene.info.id)
    seq = snapshot.seq(uid)
    if seq is None:
        return None
    page, place = snapshot.locate(seq)
    rendered = await store.rendered([page.messages[place]])
    if not rendered:
        return None
    content = await store.content(page.messages[place])
    return _Message(uid, page, place, flag_names(snapshot, page, place), rendered[0], content)


def flag_names(snapshot: Snapshot, page: Page, place: int) -> tuple[str, ...]:
    """All that a message has."""
    system = [name.decode() for bit, name in NAMES.items() if page.flags[place] & bit]
    return (*system, *snapshot.keyword_names(page.keywords[place]))


async def _placement(scene: _Scene, message: _Message) -> Placement:
    """What is known of the message, so that a copy of it need not be looked into again. Raises StoreError."""
    row = message.rendered
    references = await scene.account.store.columns([row.message], "references")
    index = MessageIndex(
        envelope=row.envelope,
        structure=row.structure,
        bodystructure=row.bodystructure,
        parts=row.parts,
        header=row.header,
        references=references[0],
        eight_bit=bool(message.page.flags[message.place] & EIGHT_BIT),
    )
    return Placement(mailbox=scene.info.name, keywords=(), index=index)


def _arrived(scene: _Scene, message: _Message) -> Arrived:
    """The message as if it had come to the owner from himself: RFC 6785 3.4."""
    recipient = Recipient(index=0, address=scene.row.login, route="local")
    header = message.content.read(0, message.rendered.header)
    content = _without_delivery(message.content, header)
    content = content.with_prefix(_missing(scene, message, Header(header)))
    entry = Entry(
        id=f"{scene.entry.id}.{message.uid}",
        slot=scene.entry.slot,
        sender=scene.row.login,
        received=float(message.page.dates[message.place]),
        size=content.size,
        content=content,
        recipients=(recipient,),
        body="8BITMIME",
        smtputf8=not header.isascii(),
    )
    return Arrived(
        entry=entry, recipient=recipient, row=scene.row, content=message.content, header=message.rendered.header
    )


def _without_delivery(content: Content, header: bytes) -> Content:
    """Without the fields that delivery to this mailbox has put in front."""
    lead = 0
    for name in (b"return-path:", b"delivered-to:"):
        if header[lead : lead + len(name)].lower() == name:
            lead = header.find(b"\n", lead) + 1
    if not content.path:
        return Content.of(content.data[lead:])
    if lead <= len(content.prefix):
        return Content(size=content.size - lead, path=content.path, prefix=content.prefix[lead:], digest=content.digest)
    return content


def _missing(scene: _Scene, message: _Message, header: Header) -> bytes:
    """RFC 6409 8: fields without which mail cannot be sent on."""
    login = scene.row.login
    fields = {
        "from": f"From: <{login}>",
        "date": f"Date: {format_date(float(message.page.dates[message.place]))}",
        "message-id": f"Message-ID: <{scene.entry.id}.{message.uid}@{login.rpartition('@')[2]}>",
    }
    return "".join(f"{field}\r\n" for name, field in fields.items() if not header.has(name)).encode()


async def _flag(scene: _Scene, message: _Message, flags: tuple[str, ...] | None) -> None:
    """The message has these flags from now on; None: those it has. Raises StoreError."""
    if flags is None:
        return
    old, new = ({flag.lower(): flag for flag in each} for each in (message.flags, flags))
    for op, names in ((FlagOp.ADD, new.keys() - old.keys()), (FlagOp.REMOVE, old.keys() - new.keys())):
        bits, words = 0, []
        for name in sorted(names):
            bit = BITS.get(name.encode())
            bits |= bit or 0
            if bit is None:
                words.append((new if op is FlagOp.ADD else old)[name])
        if names:
            change = FlagChange(op=op, bits=bits, keywords=tuple(words))
            await scene.account.store.store_flags(scene.info.id, [message.uid], change)
