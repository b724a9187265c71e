"""`postroom sieve test`: runs a script on messages and only says what it would do."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from postroom.app.sieve import environment_items, local_zone
from postroom.cli.codes import CommandFailed, Exit
from postroom.cli.when import parse_when
from postroom.delivery.account_world import world_of
from postroom.mailbox.names import normalize
from postroom.mailbox.scripts import domain_of, library_of
from postroom.sieve.actions import Result, Vacation
from postroom.sieve.compiler import compile_script
from postroom.sieve.courtesy import why_silent
from postroom.sieve.describe import describe
from postroom.sieve.faults import BadScript
from postroom.sieve.interpreter import run_program
from postroom.sieve.mail import Mail
from postroom.sieve.run import Limits
from postroom.sieve.world import Environment
from postroom.store.api import AccountRow, AccountStore, DirectoryStore, NotFound


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """files: messages; without any, those in the mailbox since a time; script: name or file, "" is the active one."""

    files: tuple[str, ...]
    script: str
    mailbox: str
    since: str
    sender: str | None


async def trial(
    row: AccountRow, account: AccountStore, directory: DirectoryStore, wanted: Trial, limits: Limits
) -> list[dict[str, Any]]:
    """What the script would do with each message. Raises CommandFailed, StoreError."""
    text = await _text(row, account, wanted.script)
    try:
        library = await library_of(account.filters, text, directory, domain_of(row.login))
        program = compile_script(text, library, limits)
    except BadScript as bad:
        raise CommandFailed(Exit.FAILED, f"the script has faults; the first: {bad.faults[0]}") from bad
    now = time.time()
    world = await world_of(account, program.asks, now)
    found: list[dict[str, Any]] = []
    async for name, received, octets in _messages(account, wanted, now):
        mail = Mail.of(octets)
        header = mail.header()
        paths = [address.address for address in header.addresses("return-path")[:1]]
        sender = wanted.sender if wanted.sender is not None else paths[0] if paths else ""
        environment = Environment(
            sender=sender,
            recipient=row.login,
            now=received,
            zone=local_zone(received),
            items=environment_items("localhost"),
        )
        result = run_program(program, mail, environment, world, limits, time.monotonic)
        found.append(
            {
                "message": name,
                "subject": " ".join(header.values("subject")[:1]),
                "actions": _told(result, mail, sender, row.login),
                "error": f"line {result.line}: {result.error}" if result.error else "",
            }
        )
    return found


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


async def _text(row: AccountRow, account: AccountStore, script: str) -> bytes:
    octets = _octets(script)
    if octets is not None:
        return octets
    name = script or (await account.filters.filter()).active
    if not name:
        raise CommandFailed(
            Exit.NOT_FOUND, f"{row.login} has no active script", "Name one with --script, a name or a file."
        )
    try:
        return await account.filters.script(name)
    except NotFound as fault:
        raise CommandFailed(Exit.NOT_FOUND, str(fault), f"See: postroom sieve list {row.login}") from fault


def _octets(file: str) -> bytes | None:
    """Of a file; None when there is none."""
    return Path(file).read_bytes() if file and Path(file).is_file() else None


async def _messages(account: AccountStore, wanted: Trial, now: float) -> AsyncIterator[tuple[str, float, bytes]]:
    if wanted.files:
        for file in wanted.files:
            yield file, now, _octets(file) or b""
        return
    since = parse_when(wanted.since, now, "--since") or 0.0
    info = await account.mailbox(normalize(wanted.mailbox))
    if info is None:
        raise CommandFailed(Exit.NOT_FOUND, f"there is no mailbox {wanted.mailbox!r}")
    snapshot = await account.snapshot(info.id)
    for page in snapshot.pages:
        for uid, message, date in zip(page.uids, page.messages, page.dates, strict=True):
            if date >= since:
                content = await account.content(message)
                yield f"{info.name} {uid}", float(date), content.read()
