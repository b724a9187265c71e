"""`postroom queue`: mail that was accepted and has not arrived yet.

The same filters everywhere: entry ids, --sender, --recipient, --domain, --state, --older-than.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from postroom.cli.amounts import parse_span
from postroom.cli.codes import CommandFailed, Exit
from postroom.cli.output import confirm, emit_json, json_option, moment, octets, record, say, table
from postroom.cli.site import Site, config_option, find_site, open_store, poke, run

if TYPE_CHECKING:  # --help has 150 ms: rooms are loaded when they are needed
    from postroom.queue.administration import Administration
    from postroom.store.api import Entry, QueueFilter, Recipient, Store

F = TypeVar("F", bound=Callable[..., Any])
Act = Callable[["Administration"], Awaitable[int]]
#: RecipientState, and what `reroute` takes for the configured way
_WAITING: Final = "waiting"
_HELD: Final = "held"
_USUAL: Final = "usual"
_TLS = {"required": "demanded all the way (REQUIRETLS)", "optional": "as well as it goes (TLS-Required: No)"}


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
            type=click.Choice([_WAITING, _HELD], case_sensitive=False),
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
    before = time.time() - parse_span(age, "--older-than") if age else None
    from postroom.store.api import QueueFilter, RecipientState

    return QueueFilter(
        ids=tuple(options["ids"]),
        sender=options["sender"],
        recipient=options["recipient"],
        domain=options["domain"].lower(),
        state=options["state"] and RecipientState(options["state"]),
        older_than=before,
    )


def _plain(entry: Entry) -> dict[str, Any]:
    from msgspec import to_builtins

    return {
        "id": entry.id,
        "sender": entry.sender,
        "received": entry.received,
        "size": entry.size,
        "worker": entry.slot,
        "release": entry.release or None,
        "tls": entry.tls,
        "recipients": [
            {
                "address": one.address,
                "route": one.route,
                "state": str(one.state),
                "attempts": one.attempts,
                "next_try": one.next_try,
                "last_reply": one.last_reply,
                "nexthop": one.nexthop,
                "forwarded_for": one.forwarder,
                "tries": [to_builtins(each) for each in one.history],
            }
            for one in entry.recipients
        ],
    }


def _administration(store: Store) -> Administration:
    from postroom.queue.administration import Administration

    return Administration(store.queue)


async def _retry_all(queue: Administration) -> int:
    from postroom.store.api import QueueFilter

    return await queue.retry(QueueFilter())


async def _entries(site: Site, which: QueueFilter) -> list[Entry]:
    async with open_store(site) as store:
        return await _administration(store).list(which)


def _state(entry: Entry, one: Recipient) -> str:
    """In one word; what has a date (FUTURERELEASE) is neither late nor in trouble."""
    scheduled = entry.release and not one.attempts and one.state == _WAITING
    return "scheduled" if scheduled else str(one.state)


async def _one(site: Site, entry: str) -> tuple[Entry, str]:
    """An entry, and the login that handed it in ("" for mail from outside)."""
    from postroom.store.api import NotFound

    async with open_store(site) as store:
        try:
            found = await _administration(store).show(entry)
        except NotFound as fault:
            raise CommandFailed(Exit.NOT_FOUND, str(fault), "See: postroom queue list") from None
        account = found.account
        row = await store.directory.account(account) if account else None
        return found, row.login if row else account


@command.command("list")
@click.option("--limit", type=click.IntRange(1), help="Show the oldest so many. [all]")
@_filters
def list_(as_json: bool, config_file: str | None, limit: int | None, **options: Any) -> None:
    """List messages that wait or are held, oldest first."""
    entries = run(_entries(find_site(config_file), replace(_which(options), limit=limit)))
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
            _state(entry, one),
            one.attempts,
            moment(one.next_try) if one.state == _WAITING else "-",
            one.last_reply or "-",
        )
        for entry in entries
        for one in entry.recipients
        if one.state in {_WAITING, _HELD}
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
        *([("not before", moment(entry.release))] if entry.release else []),
        *([("TLS", _TLS[entry.tls])] if entry.tls else []),
        ("handed in by", f"{login} at {entry.peer}" if login else entry.peer or "this server"),
    ])  # fmt: skip
    for one in entry.recipients:
        click.echo()
        record([
            ("to", one.address),
            ("state", _state(entry, one)),
            *([("forwarded for", one.forwarder)] if one.forwarder else []),
            *([("goes by", one.nexthop)] if one.nexthop else []),
            ("tries", one.attempts),
            ("next try", moment(one.next_try) if one.state == _WAITING else "-"),
            ("last reply", one.last_reply or "-"),
            *[("" if number else "history", f"{moment(each.at)}  {each.reply}") for number, each in
              enumerate(one.history)],
        ])  # fmt: skip
    if options["header"]:
        head = entry.content.read(0, 65536).partition(b"\r\n\r\n")[0]
        click.echo("\n" + head.decode("utf-8", "replace").replace("\r\n", "\n"))


async def _change(site: Site, act: Act) -> int:
    async with open_store(site) as store:
        return await act(_administration(store))


def _apply(options: dict[str, Any], act: Act, done: str, already: str = "") -> None:
    """already: what messages are that match and need no change."""
    site, as_json = find_site(options["config_file"]), options["as_json"]
    changed = run(_change(site, act))
    poke(site, "queue")
    if as_json:
        emit_json(changed=changed)
    elif changed:
        say(f"{changed} message{'s' * (changed != 1)} {done}")
    if not changed:
        if already and run(_entries(site, _which(options))):
            raise CommandFailed(Exit.NO_CHANGE, f"nothing to change: {already}")
        raise CommandFailed(Exit.NOT_FOUND, "nothing in the queue matches", "See: postroom queue list")


def _tell_dates(options: dict[str, Any]) -> None:
    """What has a date (FUTURERELEASE) is not sent before it, whoever asks."""
    if options["as_json"]:
        return
    now = time.time()
    later = [one for one in run(_entries(find_site(options["config_file"]), _which(options))) if one.release > now]
    if later:
        first = moment(min(entry.release for entry in later))
        say(f"{len(later)} message{'s' * (len(later) != 1)} of these must not be sent yet: not before {first}")


def _need_choice(options: dict[str, Any], verb: str) -> None:
    if not any(options[name] for name in ("ids", "sender", "recipient", "domain", "state", "older_than")):
        which = "ids, or --sender, --recipient, --domain, --state, --older-than"
        raise click.UsageError(f"Say which messages to {verb}: {which}.")


@command.command()
@_filters
def retry(**options: Any) -> None:
    """Try messages again now; what is held or has a date stays."""
    _need_choice(options, "retry")
    if options["state"] == _HELD:
        raise click.UsageError("Held messages are not tried; let them go on with: postroom queue release.")
    which = _which(options)
    _apply(options, lambda queue: queue.retry(which), "will be tried now", "held; see release")
    _tell_dates(options)


@command.command()
@_filters
def hold(**options: Any) -> None:
    """Keep messages from being tried until they are released."""
    _need_choice(options, "hold")
    which = _which(options)
    undo = f"postroom queue release {' '.join(options['ids']) or 'with the same filters'}"
    _apply(options, lambda queue: queue.hold(which), f"held; undo: {undo}", "held already")


@command.command()
@_filters
def release(**options: Any) -> None:
    """Let held messages go on."""
    _need_choice(options, "release")
    which = _which(options)
    _apply(options, lambda queue: queue.release(which), "released", "not held")
    _tell_dates(options)


@command.command()
@click.option("--to", "place", required=True, metavar="PLACE", help="HOST, HOST:PORT, mx, or usual (as configured).")
@_filters
def reroute(place: str, **options: Any) -> None:
    """Send messages another way: to a host, by MX, or as configured."""
    _need_choice(options, "reroute")
    _check_place(place)
    which = _which(options)
    _apply(options, lambda queue: queue.reroute(which, place), f"rerouted to {place}")


def _check_place(place: str) -> None:
    host, colon, port = place.rpartition(":")
    if colon and "]" not in port and (not port.isdigit() or not 0 < int(port) < 65536):
        raise click.BadParameter(f"{port!r} is no port", param_hint="--to")
    if not (host or place).strip("[]") or " " in place:
        raise click.BadParameter(f"write HOST, HOST:PORT, mx or {_USUAL}", param_hint="--to")


@command.command()
@click.option("--yes", is_flag=True, help="Do not ask.")
@_filters
def drop(**options: Any) -> None:
    """Remove messages for good, telling nobody."""
    _need_choice(options, "drop")
    which = _which(options)
    found = run(_entries(find_site(options["config_file"]), which))
    if found:
        confirm(f"Remove {len(found)} message(s) for good? Their senders are not told.", yes=options["yes"])
    _apply(options, lambda queue: queue.drop(which), "removed")


@command.command()
@json_option
@config_option
def flush(**options: Any) -> None:
    """Try everything that waits now; what is held or has a date stays."""
    site = find_site(options["config_file"])
    changed = run(_change(site, _retry_all))
    poke(site, "queue")
    if options["as_json"]:
        emit_json(changed=changed)
    else:
        say(f"{changed} message{'s' * (changed != 1)} will be tried now")
