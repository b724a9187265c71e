"""`postroom mailbox deleted` and `postroom mailbox undo`: mail that was deleted, and bringing it back."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from postroom.cli.amounts import parse_when
from postroom.cli.codes import CommandFailed, Exit
from postroom.cli.output import counted, emit_json, json_option, line, moment, octets, say, table
from postroom.cli.people import mail_of
from postroom.cli.site import Site, config_option, find_site, run

if TYPE_CHECKING:  # --help has 150 ms
    from postroom.mailbox.deleted import DeletedMessage, Wanted
    from postroom.store.api import Placing, Restored, Undone

F = TypeVar("F", bound=Callable[..., Any])


@click.group(short_help="Mail that was deleted.")
def deleted() -> None:
    """Mail that was deleted, in any way, also with its mailbox. It can be brought back for retention.expunged_days."""


def _filters(function: F) -> F:
    for option in (
        config_option,
        json_option,
        click.option("--subject", default="", metavar="TEXT", help="Only with this in the subject."),
        click.option("--from", "sender", default="", metavar="TEXT", help="Only from a sender with this in it."),
        click.option("--until", default="", metavar="WHEN", help="Only what was deleted before this."),
        click.option("--since", default="", metavar="WHEN", help="Only what was deleted since 2h, 3d, or a date."),
        click.option("--mailbox", default="", metavar="NAME", help="Only what was in this mailbox."),
    ):
        function = option(function)
    return function


def _wanted(options: dict[str, Any], ids: Sequence[str] = ()) -> Wanted:
    from postroom.mailbox.deleted import Wanted

    now = time.time()
    return Wanted(
        ids=frozenset(ids),
        mailbox=options["mailbox"],
        since=parse_when(options["since"], now, "--since"),
        until=parse_when(options["until"], now, "--until"),
        sender=options["sender"],
        subject=options["subject"],
    )


def _plain(one: DeletedMessage) -> dict[str, Any]:
    return {
        "id": one.id,
        "deleted": one.time,
        "mailbox": one.mailbox.name,
        "mailbox_deleted": not one.alive,
        "uid": one.uid,
        "from": one.sender,
        "subject": one.subject,
        "message_id": one.message_id,
        "received": one.received,
        "size": one.size,
        "still_in": list(one.still_in),
        "came_from": one.came_from.name if one.came_from is not None else None,
    }


def _print(found: Sequence[DeletedMessage]) -> None:
    table(
        ("ID", "DELETED", "MAILBOX", "FROM", "SUBJECT", "SIZE"),
        [
            (
                one.id,
                moment(one.time),
                line(one.mailbox.name, 30) + ("" if one.alive else " (deleted)"),
                line(one.sender, 32) or "-",
                line(one.subject, 48) or "-",
                octets(one.size),
            )
            for one in found
        ],
    )


@deleted.command("list", short_help="List mail that was deleted.")
@click.argument("account", metavar="ACCOUNT")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="How many, newest first.")
@_filters
def list_(account: str, limit: int, as_json: bool, config_file: str | None, **options: Any) -> None:
    """List mail of an account that was deleted and can be brought back, the last deleted first."""
    from postroom.mailbox.deleted import find

    site = find_site(config_file)
    wanted = _wanted(options)

    async def work() -> list[DeletedMessage]:
        async with mail_of(site, account) as (_, mail):
            return await find(mail, wanted, limit + 1)

    found = run(work())
    more, found = len(found) > limit, found[:limit]
    if as_json:
        emit_json(messages=[_plain(one) for one in found], more=more)
        return
    _print(found)
    if more:
        say(f"the last {limit} are shown; there are more (--limit)")
    elif not found:
        days = site.config.retention.expunged_days
        say(f"nothing like that was deleted within {days:g} days")
    else:
        say(f"To bring some back: postroom mailbox deleted restore {account} ID...")


@deleted.command(short_help="Bring deleted mail back.")
@click.argument("account", metavar="ACCOUNT")
@click.argument("ids", nargs=-1, metavar="[ID|MESSAGE-ID]...")
@click.option("--all", "everything", is_flag=True, help="Everything that can be brought back.")
@click.option("--to", default="", metavar="MAILBOX", help="Into this mailbox instead of those they were in.")
@click.option("--origin", is_flag=True, help="What was in Trash or Junk goes to where it was before it came there.")
@click.option("--dry-run", "--plan", "dry", is_flag=True, help="Only say what would be done.")
@_filters
def restore(account: str, ids: tuple[str, ...], as_json: bool, config_file: str | None, **options: Any) -> None:
    """Bring deleted mail back into the mailboxes it was in, with its flags and dates.

    Name messages by the ids of `deleted list` or by Message-ID, or choose them with the options. A mailbox that is gone
    is made again. Mail programs see it at once.
    """
    site = find_site(config_file)
    dry = options["dry"]
    if not (ids or any(options[key] for key in ("everything", "mailbox", "since", "until", "sender", "subject"))):
        raise click.UsageError("Say which: ids, --mailbox, --since, --until, --from, --subject, or --all.")
    found, placings, done = run(_restore(site, account, _wanted(options, ids), options))
    missing = sorted(set(ids) - {one.id for one in found} - {one.message_id for one in found})
    if not found:
        raise CommandFailed(
            Exit.NOT_FOUND,
            "no deleted mail like that can be brought back",
            f"See: postroom mailbox deleted list {account}",
        )
    tell_restored(account, placings, done, as_json=as_json, messages=[_plain(one) for one in found], missing=missing)
    if dry and not as_json:
        _print(found)
    if missing:
        raise CommandFailed(Exit.PARTLY, f"not found among deleted mail: {line(', '.join(missing))}")


async def _restore(
    site: Site, account: str, wanted: Wanted, options: dict[str, Any]
) -> tuple[list[DeletedMessage], list[Placing], Restored | None]:
    from postroom.mailbox.deleted import back_to, find

    async with mail_of(site, account) as (row, mail):
        found = await find(mail, wanted)
        placings = back_to(found, await mail.mailboxes(), options["to"], origin=options["origin"])
        if options["dry"] or not found:
            return found, placings, None
        done = await mail.restore(placings, quota=row.quota, quota_messages=row.quota_messages)
        return found, placings, done


def tell_restored(
    account: str, placings: Sequence[Placing], done: Restored | None, *, as_json: bool, **more: Any
) -> None:
    """What was brought back, or would be."""
    counts = {one.name: len(one.uids) for one in done.placed} if done else {
        one.target: sum(len(source.uids) for source in one.sources) for one in placings
    }  # fmt: skip
    if as_json:
        emit_json(
            restore=done.id if done else None,
            dry_run=done is None,
            mailboxes=[
                {"name": one.name, "uidvalidity": one.uidvalidity, "uids": list(one.uids), "made": bool(one.made)}
                for one in done.placed
            ]
            if done
            else [{"name": name, "messages": count} for name, count in counts.items()],
            **more,
        )
        return
    for name, count in counts.items():
        say(f"{line(name)}: {counted(count, 'message')} {'brought back' if done else 'would be brought back'}")
    if done:
        say(f"Undo: postroom mailbox undo {account} {done.id}")


@click.command(short_help="Undo a restore.")
@click.argument("account", metavar="ACCOUNT")
@click.argument("restore", type=click.IntRange(1), required=False, metavar="[NUMBER]")
@json_option
@config_option
def undo(account: str, restore: int | None, as_json: bool, config_file: str | None) -> None:
    """Take away again what was brought back last, or by the restore of this number.

    What was moved elsewhere since stays. What is taken away counts as deleted now, so it can be brought back once more.
    """
    site = find_site(config_file)

    async def work() -> tuple[int, Undone]:
        async with mail_of(site, account) as (_, mail):
            known = [one.id for one in await mail.restores()]
            if not known or (restore or known[-1]) not in known:
                raise CommandFailed(
                    Exit.NOT_FOUND, "there is no such restore to undo" if restore else "nothing to undo"
                )
            number = restore or known[-1]
            return number, await mail.undo_restore(number)

    number, undone = run(work())
    if as_json:
        emit_json(restore=number, messages=undone.messages, mailboxes=list(undone.mailboxes))
        return
    gone = f", and {line(', '.join(undone.mailboxes))}" if undone.mailboxes else ""
    say(f"taken away again: {counted(undone.messages, 'message')}{gone}")
