"""`postroom filter learn`: what wanted and unwanted mail looks like, from mailboxes and from files."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from postroom.cli.codes import CommandFailed, Exit
from postroom.cli.output import emit_json, json_option, say
from postroom.cli.people import directory
from postroom.cli.site import Site, config_option, find_site, run

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from postroom.store.api import AccountRow, Store

_BATCH = 50  # messages that are written at once


@click.command("learn", short_help="Learn spam or ham from mailboxes and files.")
@click.argument("kind", type=click.Choice(["spam", "ham"]))
@click.argument("where", nargs=-1, required=True, metavar="LOGIN MAILBOX... | PATH...")
@click.option("--for", "login", default="", metavar="LOGIN", help="Files count for this person, too.")
@json_option
@config_option
def command(kind: str, where: tuple[str, ...], login: str, as_json: bool, config_file: str | None) -> None:
    """Learn unwanted (spam) or wanted (ham) mail.

    From mailboxes of a person (ann@example.org Junk), or from files: mbox, Maildir, folders of messages.

    It counts for everybody, and for the person whose mailboxes they are. Learning a message twice changes nothing, and
    learning it as the other takes the first back.
    """
    site = find_site(config_file)
    if "@" in where[0] and not Path(where[0]).exists():
        if login:
            raise click.UsageError("--for is for files: mailboxes count for their owner.")
        if len(where) == 1:
            raise click.UsageError(f"Name mailboxes of {where[0]}: postroom filter learn {kind} {where[0]} Junk")
        learned, seen = run(_mailboxes(site, where[0], where[1:], kind == "spam"))
    else:
        for path in where:
            if not Path(path).exists():
                raise CommandFailed(Exit.NOT_FOUND, f"there is no file or folder {path}")
        learned, seen = run(_files(site, where, kind == "spam", login))
    if as_json:
        emit_json(kind=kind, messages=seen, learned=learned)
    else:
        say(f"{learned} of {seen} message{'s' * (seen != 1)} learned, the others were known")


async def _mailboxes(site: Site, login: str, names: Sequence[str], spam: bool) -> tuple[int, int]:
    from postroom.cli.people import mail_of
    from postroom.cli.site import open_store
    from postroom.filter.training import Trainer
    from postroom.values.clock import SystemClock

    learned = seen = 0
    async with mail_of(site, login) as (row, mail), open_store(site) as store:
        trainer = Trainer(store, SystemClock(), _unheard, site.config.server.hostname)
        for name in names:
            info = await mail.mailbox(name)
            if info is None:
                advice = f"See: postroom mailbox list {login}"
                raise CommandFailed(Exit.NOT_FOUND, f"{login} has no mailbox {name}", advice)
            snapshot = await mail.snapshot(info.id)
            uids: list[int] = [uid for page in snapshot.pages for uid in page.uids]
            for number, uid in enumerate(uids, 1):
                learned += await trainer.learn(row.id, info.id, [uid], spam)
                seen += 1
                progress(name, number, len(uids))
    return learned, seen


async def _files(site: Site, paths: Sequence[str], spam: bool, login: str) -> tuple[int, int]:
    from postroom.filter.mailfiles import messages

    learned = seen = 0
    async with directory(site) as (people, store):
        row = await people.account(login) if login else None
        for path in paths:
            try:
                for batch in _batches(messages(Path(path))):
                    learned += await _learn(store, row, batch, spam)
                    seen += len(batch)
                    progress(path, seen)
            except OSError as fault:
                text = f"{fault.filename or path}: {fault.strerror or fault}"
                raise CommandFailed(Exit.FAILED, text, f"{learned} were learned before; run it again.") from fault
    return learned, seen


def _batches(found: Iterator[bytes]) -> Iterator[list[bytes]]:
    batch: list[bytes] = []
    size = 0
    for octets in found:
        batch.append(octets)
        size += len(octets)
        if len(batch) >= _BATCH or size > 8 * 1024 * 1024:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


async def _learn(store: Store, row: AccountRow | None, batch: Sequence[bytes], spam: bool) -> int:
    """How many were new to everybody."""
    import time
    from hashlib import sha256

    from postroom.filter.tokens import read
    from postroom.store.api import EVERYBODY, Lesson
    from postroom.values.content import Content

    lessons = [
        Lesson(id=sha256(octets).hexdigest(), tokens=tuple(read(Content.of(octets))[1]), spam=spam) for octets in batch
    ]
    if row is not None:
        await store.training.learn(row.id, lessons, time.time())
    return await store.training.learn(EVERYBODY, lessons, time.time())


def progress(name: str, number: int, of: int = 0) -> None:
    """A line on a terminal, for what takes a while; of: 0 when nobody knows."""
    if not sys.stderr.isatty():
        return
    if of >= 50 and (number % 20 == 0 or number == of):
        click.echo(f"\rLearning {name}: {number} of {of}", nl=number == of, err=True)
    elif not of:
        click.echo(f"\rLearning {name}: {number}", nl=False, err=True)


def _unheard(name: str, /, **fields: object) -> None:
    """Faults of a command are raised."""
