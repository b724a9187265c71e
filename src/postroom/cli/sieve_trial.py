"""`postroom sieve test`: runs a script on messages and only says what it would do."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from postroom.app.sieve import environment_items, local_zone
from postroom.cli.amounts import parse_when
from postroom.cli.codes import CommandFailed, Exit
from postroom.delivery.account_world import world_of
from postroom.delivery.reacting import flag_names, imap_items
from postroom.delivery.sorting import spam_of, virus_of
from postroom.mailbox.happenings import Cause, script_of
from postroom.mailbox.names import normalize
from postroom.mailbox.scripts import domain_of, library_of, site_texts
from postroom.sieve.actions import Keep, Result, Vacation
from postroom.sieve.compiler import compile_script
from postroom.sieve.courtesy import why_silent
from postroom.sieve.describe import describe
from postroom.sieve.faults import BadScript
from postroom.sieve.interpreter import run_program
from postroom.sieve.mail import Header, Mail
from postroom.sieve.run import Limits
from postroom.sieve.world import Environment
from postroom.store.api import AccountRow, AccountStore, DirectoryStore, NotFound


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something done by IMAP (RFC 6785). site: the server's script for mailboxes without one; actor: who did it, "" for
    the owner; changed: flags, for FLAG; flags: those that messages of files have.
    """

    cause: Cause
    site: str = ""
    actor: str = ""
    changed: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """files: messages; without any, those in the mailbox since a time; script: name or file, "" is the active one, or
    that of the mailbox for an event; event: None for mail that comes in.
    """

    files: tuple[str, ...]
    script: str
    mailbox: str
    since: str
    sender: str | None
    event: Event | None = None


@dataclass(frozen=True, slots=True)
class _Message:
    name: str
    received: float
    octets: bytes
    flags: tuple[str, ...] = ()


async def trial(
    row: AccountRow, account: AccountStore, directory: DirectoryStore, wanted: Trial, limits: Limits
) -> list[dict[str, Any]]:
    """What the script would do with each message. Raises CommandFailed, StoreError."""
    text = await _text(row, account, directory, wanted)
    domain = await directory.domain(domain_of(row.login))
    try:
        library = await library_of(account.filters, text, directory, domain_of(row.login))
        program = compile_script(text, library, limits)
    except BadScript as bad:
        raise CommandFailed(Exit.FAILED, f"the script has faults; the first: {bad.faults[0]}") from bad
    now = time.time()
    world = await world_of(account, program.asks, now)
    found: list[dict[str, Any]] = []
    async for one in _messages(account, wanted, now):
        mail = Mail.of(one.octets)
        environment = _environment(row, wanted, one, mail, "+" if domain is None else domain.separators)
        result = run_program(program, mail, environment, world, limits, time.monotonic)
        actions = _told(result, mail, environment.sender, row.login)
        if wanted.event is not None and not result.error and not any(isinstance(act, Keep) for act in result.actions):
            actions.append("the message is marked \\Deleted, for nothing keeps it")
        found.append(
            {
                "message": one.name,
                "subject": " ".join(mail.header().values("subject")[:1]),
                "actions": actions,
                "error": f"line {result.line}: {result.error}" if result.error else "",
            }
        )
    return found


def _environment(row: AccountRow, wanted: Trial, one: _Message, mail: Mail, separators: str) -> Environment:
    """As delivery makes it, or as for what is done by IMAP."""
    header = mail.header()
    own, items = row.login.rpartition("@"), environment_items("localhost")
    octets = header.octets
    told = Environment(
        recipient=row.login,
        now=one.received,
        zone=local_zone(one.received),
        items={**items, "domain": own[2]},
        separators=separators,
        name=own[0],
        spam=spam_of(octets),
        virus=virus_of(octets),
    )
    event = wanted.event
    if event is not None:
        whose = row.login, event.actor or row.login
        by_imap = imap_items(whose, event.cause, normalize(wanted.mailbox), event.changed)
        return replace(told, items={**items, **by_imap}, imap=True, flags=one.flags or event.flags)
    paths = [address.address for address in header.addresses("return-path")[:1]]
    sender = wanted.sender if wanted.sender is not None else paths[0] if paths else ""
    return replace(told, sender=sender, recipient=_recipient(header, row.login, separators))


def _recipient(header: Header, login: str, separators: str) -> str:
    """The address it was delivered to, when that is one of the account with a detail."""
    local, _, domain = login.rpartition("@")
    for address in [one.address for one in header.addresses("delivered-to")[:1]]:
        to, _, its_domain = address.rpartition("@")
        rest = to[len(local) :]
        if its_domain.lower() == domain and to[: len(local)].lower() == local and rest[:1] and rest[0] in separators:
            return address
    return login


def _told(result: Result, mail: Mail, sender: str, login: str) -> list[str]:
    told: list[str] = []
    for action in result.actions:
        text = describe(action)
        if isinstance(action, Vacation):
            own = {login.lower(), *(each.lower() for each in action.addresses)}
            reason = why_silent(mail.header(), sender, own)
            text += f" (not sent: {reason})" if reason else ""
        told.append(text)
    return told


async def _text(row: AccountRow, account: AccountStore, directory: DirectoryStore, wanted: Trial) -> bytes:
    octets = _octets(wanted.script)
    if octets is not None:
        return octets
    name, site = wanted.script, False
    advice = "Name one with --script, a name or a file."
    if not name and wanted.event is not None:
        name, site = await script_of(account, await _box(account, wanted.mailbox), wanted.event.site)
        if not name:
            raise CommandFailed(Exit.NOT_FOUND, f"the mailbox {wanted.mailbox!r} names no script", advice)
    name = name or (await account.filters.filter()).active
    if not name:
        raise CommandFailed(Exit.NOT_FOUND, f"{row.login} has no active script", advice)
    try:
        return await account.filters.script(name)
    except NotFound as fault:
        texts = await site_texts(directory, domain_of(row.login)) if site else {}
        if name in texts:
            return texts[name]
        raise CommandFailed(Exit.NOT_FOUND, str(fault), f"See: postroom sieve list {row.login}") from fault


def _octets(file: str) -> bytes | None:
    """Of a file; None when there is none."""
    return Path(file).read_bytes() if file and Path(file).is_file() else None


async def _box(account: AccountStore, name: str) -> int:
    """Its id. Raises CommandFailed."""
    info = await account.mailbox(normalize(name))
    if info is None:
        raise CommandFailed(Exit.NOT_FOUND, f"there is no mailbox {name!r}")
    return info.id


async def _messages(account: AccountStore, wanted: Trial, now: float) -> AsyncIterator[_Message]:
    if wanted.files:
        for file in wanted.files:
            yield _Message(file, now, _octets(file) or b"")
        return
    since = parse_when(wanted.since, now, "--since") or 0.0
    snapshot = await account.snapshot(await _box(account, wanted.mailbox))
    for page in snapshot.pages:
        for place, (uid, message, date) in enumerate(zip(page.uids, page.messages, page.dates, strict=True)):
            if date >= since:
                octets = (await account.content(message)).read()
                flags = flag_names(snapshot, page, place)
                yield _Message(f"{normalize(wanted.mailbox)} {uid}", float(date), octets, flags)
