"""`postroom queue`: mail that was accepted and has not arrived yet.

The same filters everywhere: entry ids, --sender, --recipient, --domain, --state, --older-than.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

import click

from postroom.cli.codes import CommandFailed, Exit
from postroom.cli.output import confirm, emit_json, json_option, moment, octets, record, say, table
from postroom.cli.site import Site, config_option, find_site, open_store, poke, run
from postroom.store.api import Entry, QueueFilter, RecipientState

F = TypeVar("F", bound=Callable[..., Any])
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@click.group(short_help="Mail on its way.")
def command() -> None:
    """Mail that was accepted and has not arrived yet."""


def _filters(function: F) -> F:
    options = (
        click.argument("ids", nargs=-1, metavar="[ID]..."),
        click.option("--sender", default="", help="Only mail whose envelope sender contains this."),
        click.option("--recipient", default="", help="Only mail with a recipient containing this."),
        click.option("--domain", default="", help="Only mail for this recipient domain."),
        click.option(
            "--state",
            type=click.Choice([RecipientState.WAITING.value, RecipientState.HELD.value], case_sensitive=False),
            help="Only mail that waits for its next try, or that is held.",
        ),
        click.option("--older-than", default="", metavar="AGE", help="Only mail older than 30m, 4h, 2d."),
        json_option,
        config_option,
    )
    for option in reversed(options):
        function = option(function)
    return function


def _which(options: dict[str, Any]) -> QueueFilter:
    age = options["older_than"]
    before = None
    if age:
        try:
            before = time.time() - float(age[:-1]) * UNITS[age[-1]]
        except (KeyError, ValueError):
            raise click.BadParameter("write 30m, 4h or 2d", param_hint="--older-than") from None
    return QueueFilter(
        ids=tuple(options["ids"]),
        sender=options["sender"],
        recipient=options["recipient"],
        domain=options["domain"].lower(),
        state=options["state"] and RecipientState(options["state"]),
        older_than=before,
    )


def _plain(entry: Entry) -> dict[str, Any]:
    return {
        "id": entry.id,
        "sender": entry.sender,
        "received": entry.received,
        "size": entry.size,
        "worker": entry.slot,
        "recipients": [
            {
                "address": one.address,
                "route": one.route,
                "state": str(one.state),
                "attempts": one.attempts,
                "next_try": one.next_try,
                "last_reply": one.last_reply,
            }
            for one in entry.recipients
        ],
    }


async def _entries(site: Site, which: QueueFilter) -> list[Entry]:
    async with open_store(site) as store:
        return await store.queue.entries(which)


async def _one(site: Site, entry: str) -> tuple[Entry, str]:
    """An entry, and the login that handed it in ("" for mail from outside)."""
    async with open_store(site) as store:
        found = await store.queue.entries(QueueFilter(ids=(entry,)))
        if not found:
            raise CommandFailed(Exit.NOT_FOUND, f"no message {entry} in the queue", "See: postroom queue list")
        account = found[0].account
        row = await store.directory.account(account) if account else None
        return found[0], row.login if row else account


@command.command("list")
@_filters
def list_(as_json: bool, config_file: str | None, **options: Any) -> None:
    """List messages that wait or are held, oldest first."""
    entries = run(_entries(find_site(config_file), _which(options)))
    if as_json:
        emit_json(entries=[_plain(entry) for entry in entries])
        return
    rows = [
        (
            entry.id,
            moment(entry.received),
            octets(entry.size),
            f"<{entry.sender}>",
            one.address,
            one.state,
            one.attempts,
            moment(one.next_try) if one.state is RecipientState.WAITING else "-",
            one.last_reply or "-",
        )
        for entry in entries
        for one in entry.recipients
        if one.state in {RecipientState.WAITING, RecipientState.HELD}
    ]
    table(("ID", "RECEIVED", "SIZE", "FROM", "TO", "STATE", "TRIES", "NEXT TRY", "LAST REPLY"), rows)
    say(f"{len(entries)} message{'s' * (len(entries) != 1)} in the queue")


@command.command()
@click.argument("id")
@click.option("--header", is_flag=True, help="Print the message's header too.")
@click.option("--message", is_flag=True, help="Print the whole message and nothing else.")
@json_option
@config_option
def show(**options: Any) -> None:
    """Show one message. For each recipient: state, tries, and the last reply."""
    site = find_site(options["config_file"])
    entry, login = run(_one(site, options["id"]))
    if options["message"]:
        click.echo(entry.content.read(), nl=False)
        return
    if options["as_json"]:
        emit_json(**_plain(entry), login=login, peer=entry.peer)
        return
    record([
        ("id", entry.id),
        ("from", f"<{entry.sender}>"),
        ("received", moment(entry.received)),
        ("size", octets(entry.size)),
        ("handed in by", f"{login} at {entry.peer}" if login else entry.peer or "this server"),
    ])  # fmt: skip
    for one in entry.recipients:
        click.echo()
        record([
            ("to", one.address),
            ("state", one.state),
            ("tries", one.attempts),
            ("next try", moment(one.next_try) if one.state is RecipientState.WAITING else "-"),
            ("last reply", one.last_reply or "-"),
        ])  # fmt: skip
    if options["header"]:
        head = entry.content.read(0, 65536).partition(b"\r\n\r\n")[0]
        click.echo("\n" + head.decode("utf-8", "replace").replace("\r\n", "\n"))


async def _change(site: Site, which: QueueFilter, state: RecipientState | None, next_try: float | None) -> int:
    async with open_store(site) as store:
        return await store.queue.change(which, state, next_try)


def _apply(options: dict[str, Any], state: RecipientState | None, next_try: float | None, done: str) -> None:
    site = find_site(options.pop("config_file"))
    as_json = options.pop("as_json")
    options.pop("yes", None)
    changed = run(_change(site, _which(options), state, next_try))
    poke(site, "queue")
    if as_json:
        emit_json(changed=changed)
    elif changed:
        say(f"{changed} message{'s' * (changed != 1)} {done}")
    if not changed:
        raise CommandFailed(Exit.NOT_FOUND, "nothing in the queue matches", "See: postroom queue list")


def _need_choice(options: dict[str, Any], verb: str) -> None:
    if not any(options[name] for name in ("ids", "sender", "recipient", "domain", "state", "older_than")):
        which = "ids, or --sender, --recipient, --domain, --state, --older-than"
        raise click.UsageError(f"Say which messages to {verb}: {which}.")


@command.command()
@_filters
def retry(**options: Any) -> None:
    """Try messages again now; what is held stays held (see release)."""
    _need_choice(options, "retry")
    if options["state"] == RecipientState.HELD:
        raise click.UsageError("Held messages are not tried; let them go on with: postroom queue release.")
    options["state"] = RecipientState.WAITING
    _apply(options, None, 0.0, "will be tried now")


@command.command()
@_filters
def hold(**options: Any) -> None:
    """Keep messages from being tried until they are released."""
    _need_choice(options, "hold")
    _apply(options, RecipientState.HELD, None, "held; undo: postroom queue release")


@command.command()
@_filters
def release(**options: Any) -> None:
    """Let held messages go on."""
    _need_choice(options, "release")
    _apply(options, RecipientState.WAITING, 0.0, "released")


@command.command()
@click.option("--yes", is_flag=True, help="Do not ask.")
@_filters
def drop(**options: Any) -> None:
    """Remove messages for good, telling nobody."""
    _need_choice(options, "drop")
    site = find_site(options["config_file"])
    found = run(_entries(site, _which(options)))
    if found:
        confirm(f"Remove {len(found)} message(s) for good? Their senders are not told.", yes=options["yes"])
    _apply(options, RecipientState.DROPPED, None, "removed")


@command.command()
@json_option
@config_option
def flush(**options: Any) -> None:
    """Try everything that waits now; what is held stays held."""
    site = find_site(options["config_file"])
    changed = run(_change(site, QueueFilter(state=RecipientState.WAITING), None, 0.0))
    poke(site, "queue")
    if options["as_json"]:
        emit_json(changed=changed)
    else:
        say(f"{changed} message{'s' * (changed != 1)} will be tried now")
