"""`postroom index`: the full-text indexes of accounts."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import click

from postroom.cli.codes import CommandFailed, Exit
from postroom.cli.output import counted, emit_json, json_option, octets, say, table
from postroom.cli.people import directory
from postroom.cli.site import Site, config_option, find_site, poke, run

if TYPE_CHECKING:
    from postroom.store.api import AccountRow, Store

#: seconds between two looks at how far the server is, and without any progress before that is said
_LOOK_SECONDS = 0.2
_STUCK_SECONDS = 30.0


@click.group(short_help="Full-text indexes of accounts.")
def command() -> None:
    """The full-text indexes that searches ask first.

    They are kept by the running server and made anew by themselves when they are damaged or missing. A search finds the
    same without them, only slower.
    """


@command.command()
@click.argument("login", metavar="[LOGIN]", required=False)
@json_option
@config_option
def show(login: str | None, as_json: bool, config_file: str | None) -> None:
    """Say how far the indexes are: of one account, or of all."""
    site = find_site(config_file)
    found = run(_look(site, login))
    if as_json:
        emit_json(accounts=found)
        return
    heads = ("LOGIN", "MESSAGES", "INDEXED", "BEHIND", "ATTACHMENTS TO READ", "SEGMENTS", "SIZE", "")
    rows = [
        (
            one["login"],
            one["messages"],
            one["indexed"],
            one["behind"],
            one["attachments_waiting"],
            one["segments"],
            octets(one["size"]),
            one["damaged"] or "",
        )
        for one in found
    ]
    table(heads, rows)


async def _look(site: Site, login: str | None) -> list[dict[str, Any]]:
    async with directory(site) as (people, store):
        rows = [await people.account(login)] if login else [row async for row in _everybody(store)]
        found = [await _state(store, row) for row in rows]
    for row, one in zip(rows, found, strict=True):
        if one["damaged"]:
            poke(site, "index", first=True, account=row.id)
    return found


async def _everybody(store: Store) -> AsyncIterator[AccountRow]:
    for row in sorted(await store.directory.accounts(), key=lambda row: row.login):
        yield row


async def _state(store: Store, row: AccountRow) -> dict[str, Any]:
    from postroom.index.lookup import FORM
    from postroom.store.api import IndexDamaged, IndexState

    account = await store.account(row.id)
    damaged = ""
    try:
        with account.index.read() as reading:
            state = reading.state
        if state.form != FORM:
            state = IndexState()
    except IndexDamaged as fault:
        state, damaged = IndexState(), str(fault)
    messages = await account.messages(0, 1 << 62)
    behind = sum(message > state.until for message in messages)
    account.index.close()
    return {
        "login": row.login,
        "messages": len(messages),
        "indexed": len(messages) - behind,
        "behind": behind,
        "attachments_waiting": len(state.waiting),
        "segments": len(state.segments),
        "size": sum(segment.size for segment in state.segments),
        "damaged": damaged,
    }


@command.command()
@click.argument("login", metavar="[LOGIN]", required=False)
@click.option("--all", "everybody", is_flag=True, help="The indexes of all accounts.")
@json_option
@config_option
def rebuild(login: str | None, everybody: bool, as_json: bool, config_file: str | None) -> None:
    """Make an index anew: of one account, or of all.

    The server goes on meanwhile, and searches find everything. Without a running server the work is done here.
    """
    if bool(login) == everybody:
        raise click.UsageError("Say which: a LOGIN, or --all.")
    site = find_site(config_file)
    started = time.monotonic()
    done = run(_rebuild(site, login, quiet=as_json))
    if as_json:
        emit_json(accounts=done, seconds=round(time.monotonic() - started, 3))
    else:
        messages = sum(one["indexed"] for one in done)
        say(f"{len(done)} index{'es' * (len(done) != 1)} made anew: {counted(messages, 'message')}")


async def _rebuild(site: Site, login: str | None, *, quiet: bool) -> list[dict[str, Any]]:
    async with directory(site) as (people, store):
        rows = [await people.account(login)] if login else [row async for row in _everybody(store)]
        return [await _one(site, store, row, quiet=quiet) for row in rows]


async def _one(site: Site, store: Store, row: AccountRow, *, quiet: bool) -> dict[str, Any]:
    from postroom.app.runfolder import INDEX_LOCK, RunFolder

    folder = RunFolder(site.data)
    folder.create()
    lock = folder.lock(INDEX_LOCK)
    if lock.take():
        try:
            await _here(site, store, row, quiet=quiet)
        finally:
            lock.release()
    else:
        answers = await asyncio.to_thread(poke, site, "index", first=True, account=row.id)
        if not any(answer.get("ok") for answer in answers):
            raise CommandFailed(
                Exit.TRY_LATER, "the server does not answer", "See: postroom status. Or stop it, and give this again."
            )
        await _watch(store, row, quiet=quiet)
    _tell(row.login, None, quiet=quiet)
    return await _state(store, row)


async def _here(site: Site, store: Store, row: AccountRow, *, quiet: bool) -> None:
    """Do it in this process."""
    from postroom.index.extraction.service import Extractor
    from postroom.index.keeper import Keeper
    from postroom.values.clock import SystemClock

    account = await store.account(row.id)
    account.index.drop()
    reader = Extractor() if site.config.index.attachments else None
    try:
        keeper = Keeper(account, SystemClock(), reader=reader)
        while await keeper.step():
            _tell(row.login, await _state(store, row), quiet=quiet)
    finally:
        if reader is not None:
            await reader.close()


async def _watch(store: Store, row: AccountRow, *, quiet: bool) -> None:
    """Wait until the server has done it. Raises CommandFailed when nothing goes on."""
    last, changed = -1, time.monotonic()
    await asyncio.sleep(_LOOK_SECONDS)
    while (state := await _state(store, row))["behind"]:
        _tell(row.login, state, quiet=quiet)
        if state["indexed"] != last:
            last, changed = state["indexed"], time.monotonic()
        elif time.monotonic() - changed > _STUCK_SECONDS:
            raise CommandFailed(
                Exit.TRY_LATER,
                f"nothing has gone on for {_STUCK_SECONDS:.0f} seconds",
                "The server will do it when it can. How far it is: postroom index show",
            )
        await asyncio.sleep(_LOOK_SECONDS)


def _tell(login: str, state: dict[str, Any] | None, *, quiet: bool) -> None:
    """A line that is written over, for a person at a terminal."""
    if quiet or not sys.stderr.isatty():
        return
    text = "" if state is None else f"{login}: {state['indexed']} of {state['messages']} messages"
    click.echo(f"\r\x1b[K{text}", nl=False, err=True)
