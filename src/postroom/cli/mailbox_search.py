"""`postroom mailbox search`: messages of an account by the query language."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from postroom.cli.codes import Exit
from postroom.cli.output import emit_json, json_option, moment, octets, say, table
from postroom.cli.people import directory
from postroom.cli.site import Site, config_option, find_site, run

if TYPE_CHECKING:
    from postroom.index.query import Node
    from postroom.mailbox.finding import Hit
    from postroom.store.api import AccountStore

_SHOWN = 50
_WIDEST = 60


@click.command()
@click.argument("login", metavar="LOGIN")
@click.argument("words", nargs=-1, metavar="[QUERY]...")
@click.option("--limit", "most", type=click.IntRange(1), default=_SHOWN, help=f"Show so many, newest first. [{_SHOWN}]")
@json_option
@config_option
def search(login: str, words: tuple[str, ...], most: int, as_json: bool, config_file: str | None) -> None:
    """Find messages in all mailboxes of an account.

    Words and "phrases" must all be there; OR, - (not) and ( ) combine. Fields: from: to: cc: with: subject: body:
    filename: list: header: in: is: has: larger: smaller: before: after: on: older_than: newer_than: msgid: keyword:

    \b
        postroom mailbox search ann@example.org 'from:ben has:pdf after:2026-01'
        postroom mailbox search ann@example.org '"annual report" -in:trash'

    Exit code 3: nothing was found.
    """
    query = _parsed(" ".join(words))
    site = find_site(config_file)
    started = time.monotonic()
    found, shown = run(_search(site, login, query, most))
    if as_json:
        emit_json(total=found, shown=len(shown), seconds=round(time.monotonic() - started, 3), messages=shown)
    else:
        heads = ("MAILBOX", "UID", "RECEIVED", "SIZE", "FROM", "SUBJECT")
        table(heads, [_row(one) for one in shown])
        more = f", the newest {len(shown)} are shown (--limit)" if len(shown) < found else ""
        say(f"{found} message{'s' * (found != 1)} found{more}")
    if not found:
        click.get_current_context().exit(Exit.NOT_FOUND)


def _parsed(words: str) -> Node:
    from postroom.index.query import BadQuery, parse

    try:
        return parse(words)
    except BadQuery as fault:
        where = f"{words}\n{' ' * fault.at}^\n" if len(words) <= _WIDEST and words.isprintable() else ""
        raise click.UsageError(f"{fault.text}.\n{where}{fault.advice}".rstrip()) from None


async def _search(site: Site, login: str, query: Node, most: int) -> tuple[int, list[dict[str, Any]]]:
    """How many there are, and those that are shown."""
    from postroom.mailbox.finding import When, find
    from postroom.mailbox.search import Pace
    from postroom.values.clock import SystemClock

    clock = SystemClock()
    async with directory(site) as (people, store):
        account = await store.account((await people.account(login)).id)
        hits = await find(query, account, When(clock.now()), Pace(clock))
        return len(hits), await _shown(account, hits[:most])


async def _shown(account: AccountStore, hits: list[Hit]) -> list[dict[str, Any]]:
    from postroom.mailbox import envelope
    from postroom.values.flags import NAMES

    envelopes = await account.columns([hit.message for hit in hits], "envelope")
    return [
        {
            "mailbox": hit.mailbox.name,
            "uid": hit.uid,
            "id": hit.message,
            "received": hit.received,
            "size": hit.size,
            "flags": [name.decode() for bit, name in NAMES.items() if hit.flags & bit],
            "from": envelope.text(printed, envelope.FROM) or "",
            "subject": envelope.text(printed, envelope.SUBJECT) or "",
        }
        for hit, printed in zip(hits, envelopes, strict=True)
    ]


def _row(one: dict[str, Any]) -> tuple[object, ...]:
    texts = [_harmless(one[name])[:_WIDEST] for name in ("from", "subject")]
    return (_harmless(one["mailbox"]), one["uid"], moment(one["received"]), octets(one["size"]), *texts)


def _harmless(text: str) -> str:
    """What strangers wrote must not steer a terminal."""
    return "".join(char if char.isprintable() else " " for char in text)
