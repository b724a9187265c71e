"""`postroom mailbox list|show|restore`: mailboxes as they are, and as they were at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import chain, count
from typing import TYPE_CHECKING, Any, TypeVar

import click

from postroom.cli.amounts import parse_when
from postroom.cli.codes import CommandFailed, Exit
from postroom.cli.mailbox_deleted import tell_restored
from postroom.cli.output import counted, emit_json, json_option, line, moment, octets, say, table
from postroom.cli.people import mail_of
from postroom.cli.site import Site, config_option, find_site, run

if TYPE_CHECKING:  # --help has 150 ms
    from postroom.mailbox.past import PastSnapshot
    from postroom.store.api import AccountStore, Placing, Restored

F = TypeVar("F", bound=Callable[..., Any])

_SECONDS_OF_DAY = 86_400.0
_SLICE = 1000

at_option: Callable[[F], F] = click.option(
    "--at", "at", default="", metavar="WHEN", help="As it was 2h ago, 3d ago, or at a date such as 2026-11-21T14:30."
)


def _when(site: Site, text: str) -> float:
    """0 for now. Raises CommandFailed for what is too long ago to be known."""
    now = time.time()
    at = parse_when(text, now, "--at")
    days = site.config.retention.expunged_days
    if at and at < now - days * _SECONDS_OF_DAY:
        raise CommandFailed(
            Exit.USAGE,
            f"what was in mailboxes before {moment(now - days * _SECONDS_OF_DAY)} is not known any more",
            f"What is deleted is kept for {days:g} days (retention.expunged_days).",
        )
    return min(at, now)


def _plain(past: PastSnapshot, at: float) -> dict[str, Any]:
    life = past.mailbox.life
    return {
        "name": past.mailbox.name,
        "name_now": None if life.deleted else life.name,
        "deleted": life.deleted or None,
        "messages": len(past.snapshot),
        "unseen": past.unseen,
        "size": past.size,
        "gone_since": past.gone if at else 0,
        "special_use": life.special_use,
        "uidvalidity": life.uidvalidity,
    }


def _holds(row: dict[str, Any]) -> str:
    return f"{line(row['name'])}: {counted(row['messages'], 'message')}, {octets(row['size'])}"


def _since(row: dict[str, Any]) -> str:
    if row["deleted"]:
        return f"deleted {moment(row['deleted'])}"
    return f"now {line(row['name_now'], 40)}" if row["name_now"] != row["name"] else "-"


async def _all(mail: AccountStore, at: float) -> list[PastSnapshot]:
    from postroom.mailbox.past import mailboxes_at, snapshot_at

    then = at or time.time()
    return [await snapshot_at(mail, box, then) for box in await mailboxes_at(mail, then)]


@click.command("list", short_help="List mailboxes, also as they were.")
@click.argument("account", metavar="ACCOUNT")
@at_option
@json_option
@config_option
def list_(account: str, at: str, as_json: bool, config_file: str | None) -> None:
    """List an account's mailboxes, now or as they were at a time.

    The past reaches back retention.expunged_days. Which messages were read is told as it is now, or was when they left.
    """
    site = find_site(config_file)
    when = _when(site, at)

    async def work() -> list[dict[str, Any]]:
        async with mail_of(site, account) as (_, mail):
            return [_plain(past, when) for past in await _all(mail, when)]

    rows = run(work())
    if as_json:
        emit_json(at=when or None, mailboxes=rows)
        return
    heads = ("MAILBOX", "MESSAGES", "UNREAD", "SIZE", *(("GONE SINCE", "MAILBOX SINCE") if when else ()))
    table(
        heads,
        [
            (
                line(row["name"], 60),
                row["messages"],
                row["unseen"],
                octets(row["size"]),
                *((row["gone_since"], _since(row)) if when else ()),
            )
            for row in rows
        ],
    )
    if when:
        say(f"as of {moment(when)}. To bring one back: postroom mailbox restore {account} MAILBOX --at {at}")


@click.command(short_help="Show a mailbox, also as it was.")
@click.argument("account", metavar="ACCOUNT")
@click.argument("mailbox", metavar="MAILBOX")
@at_option
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="How many messages, newest first.")
@json_option
@config_option
def show(account: str, mailbox: str, at: str, limit: int, as_json: bool, config_file: str | None) -> None:
    """Show what is in a mailbox, or was at a time, the last that came in first."""
    site = find_site(config_file)
    when = _when(site, at)

    async def work() -> tuple[dict[str, Any], list[dict[str, Any]]]:
        from postroom.mailbox.past import mailbox_at, snapshot_at

        async with mail_of(site, account) as (_, mail):
            then = when or time.time()
            past = await snapshot_at(mail, await mailbox_at(mail, mailbox, then), then)
            return _plain(past, when), await _messages(mail, past, limit)

    row, messages = run(work())
    if as_json:
        emit_json(at=when or None, mailbox=row, messages=messages)
        return
    say(f"{_holds(row)}{f', {_since(row)}' if when else ''}")
    table(
        ("UID", "RECEIVED", "FROM", "SUBJECT", "SIZE", *(("LEFT",) if when else ())),
        [
            (
                one["uid"],
                moment(one["received"]),
                line(one["from"], 32) or "-",
                line(one["subject"], 48) or "-",
                octets(one["size"]),
                *((_left(one),) if when else ()),
            )
            for one in messages
        ],
    )
    if len(messages) < row["messages"]:
        say(f"the last {len(messages)} are shown; there are more (--limit)")


def _left(one: dict[str, Any]) -> str:
    if one["left"] is None:
        return "-"
    return f"{moment(one['left'])} {'moved' if one['moved'] else 'deleted'}"


async def _messages(mail: AccountStore, past: PastSnapshot, limit: int) -> list[dict[str, Any]]:
    from postroom.mailbox import envelope

    left = {one.modseq: one for one in await mail.departures(past.mailbox.life.id)}
    snapshot = past.snapshot
    found: list[dict[str, Any]] = []
    for seq in range(len(snapshot), max(len(snapshot) - limit, 0), -1):
        page, place = snapshot.locate(seq)
        gone = left.get(past.departures[seq - 1])
        found.append(
            {
                "uid": page.uids[place],
                "message": page.messages[place],
                "received": page.dates[place],
                "came": page.saved[place],
                "size": page.sizes[place],
                "left": gone.time if gone else None,
                "moved": gone.moved if gone else False,
            }
        )
    for start in range(0, len(found), _SLICE):
        part = found[start : start + _SLICE]
        texts = await mail.columns([one.pop("message") for one in part], "envelope")
        for one, text in zip(part, texts, strict=True):
            one["from"] = envelope.text(text, envelope.FROM) or ""
            one["subject"] = envelope.text(text, envelope.SUBJECT) or ""
    return found


@click.command(short_help="Bring mailboxes back as they were.")
@click.argument("account", metavar="ACCOUNT")
@click.argument("names", nargs=-1, metavar="[MAILBOX]...")
@click.option("--at", "at", required=True, metavar="WHEN", help="As it was 2h ago, 3d ago, or at a date or time.")
@click.option("--all", "everything", is_flag=True, help="Every mailbox there was.")
@click.option("--below", is_flag=True, help="With the mailboxes that were below.")
@click.option("--to", default="", metavar="MAILBOX", help='Below this mailbox. ["Restored <date>"]')
@click.option("--dry-run", "--plan", "dry", is_flag=True, help="Only say what would be done.")
@json_option
@config_option
def restore(account: str, names: tuple[str, ...], as_json: bool, config_file: str | None, **options: Any) -> None:
    """Bring mailboxes back as they were at a time, as copies in a new folder: nothing there is now is changed.

    Messages keep their dates. Their flags are those they have now, or had when they left.
    """
    if not (names or options["everything"]):
        raise click.UsageError("Say which mailboxes, or --all.")
    site = find_site(config_file)
    when = _when(site, options["at"])
    dry = options["dry"]
    pasts, placings, done = run(_restore(site, account, names, when, options))
    rows = [_plain(past, when) for past in pasts]
    if not as_json:
        for row in rows:
            say(f"as of {moment(when)}, {_holds(row)}")
    tell_restored(account, placings, None if dry else done, as_json=as_json, at=when, sources=rows)


def _stamp(when: float) -> str:
    """As part of a mailbox name: without a colon, which some programs' files cannot have."""
    local = datetime.fromtimestamp(when).astimezone()
    return local.strftime("%Y-%m-%d") if (local.hour, local.minute) == (0, 0) else local.strftime("%Y-%m-%d %H.%M")


def _unused(when: float, known: Sequence[str]) -> str:
    """A name for the new folder."""
    name = f"Restored {_stamp(when)}"
    names = chain([name], (f"{name} ({number})" for number in count(2)))
    return next(one for one in names if one not in known)


async def _restore(
    site: Site, account: str, names: Sequence[str], when: float, options: dict[str, Any]
) -> tuple[list[PastSnapshot], list[Placing], Restored | None]:
    from postroom.mailbox.names import check
    from postroom.mailbox.past import as_it_was, mailbox_at, mailboxes_at, snapshot_at

    async with mail_of(site, account) as (row, mail):
        boxes = await mailboxes_at(mail, when)
        if not options["everything"]:
            chosen = [(await mailbox_at(mail, name, when)).name for name in names]
            above = tuple(f"{name}/" for name in chosen) if options["below"] else ()
            boxes = [box for box in boxes if box.name in chosen or (above and box.name.startswith(above))]
        pasts = [await snapshot_at(mail, box, when) for box in boxes]
        to = check(options["to"]) if options["to"] else _unused(when, [info.name for info in await mail.mailboxes()])
        placings = as_it_was(pasts, to)
        for placing in placings:
            check(placing.target)
        if options["dry"]:
            return pasts, placings, None
        done = await mail.restore(placings, quota=row.quota, quota_messages=row.quota_messages)
        return pasts, placings, done
