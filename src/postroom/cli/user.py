"""`postroom user`: accounts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from postroom.cli import quotas
from postroom.cli.amounts import parse_limit
from postroom.cli.codes import CommandFailed, Exit
from postroom.cli.output import confirm, counted, emit_json, json_option, limit, moment, octets, record, say, table
from postroom.cli.people import allowance, directory, named_domain, password_options, read_password
from postroom.cli.site import Site, config_option, find_site, run
from postroom.cli.user_app_password import app_password
from postroom.cli.user_deleted import deleted
from postroom.cli.user_token import token

if TYPE_CHECKING:
    from postroom.store.api import AccountRow, Store

_REALMS = {"domain": "quotas of its domain", "server": "quotas of everybody"}
_RECOVER = {"off": "off", "deleted": "deleted mail", "all": "deleted mail and other days"}
_LIMIT_HELP = "A day: a number, none, or default."


@click.group(short_help="Accounts.")
def command() -> None:
    """Accounts: people and roles with mailboxes. They log in with their full address."""


command.add_command(token)
command.add_command(app_password)
command.add_command(deleted)


def _plain(row: AccountRow, used: int | None = None, messages: int | None = None) -> dict[str, Any]:
    plain = {
        "login": row.login,
        "id": row.id,
        "name": row.name,
        "created": row.created,
        "disabled": row.disabled,
        "receives": row.receives or not row.disabled,
        "has_password": bool(row.password),
        "shared": row.shared,
        "quota": row.quota,
        "quota_messages": row.quota_messages,
        "quota_mailboxes": row.quota_mailboxes,
        "quota_annotations": row.quota_annotations,
        "administers": row.administers,
        "detail_folders": row.detail_folders,
        "past": row.past,
        "imap_without": list(row.imap_without),
        "pop3_delete": row.pop3_delete,
        "pop3_seen": row.pop3_seen,
        "pop3_last_login": row.pop3_last_login,
        "daily_messages": row.daily_messages,
        "daily_recipients": row.daily_recipients,
        "daily_new": row.daily_new,
    }
    return plain if used is None else {**plain, "used": used, "messages": messages}


@command.command()
@click.argument("login", metavar="ADDRESS")
@click.option("--name", default="", help="The person's name.")
@quotas.account_options
@quotas.administers_option
@password_options
@json_option
@config_option
def add(login: str, name: str, as_json: bool, config_file: str | None, **options: Any) -> None:
    """Make an account. Its mailboxes are Inbox, Drafts, Sent, Trash, Junk and Archive."""
    site = find_site(config_file)
    password, made = read_password(options)
    limits = {key: value for key, value in options.items() if value is not None}
    quotas.read_quotas(limits)

    async def work() -> AccountRow:
        async with directory(site, changes=True) as (people, _):
            row = await people.add_account(login, password, name=name, quota=limits.pop("quota", -1))
            return await people.set_account(row.login, **limits) if limits else row

    row = run(work())
    if as_json:
        emit_json(**_plain(row), **({"password": password} if made else {}))
        return
    say(f"{row.login} can log in now. Undo: postroom user disable {row.login}")
    if made:
        click.echo(password)


@command.command("list")
@click.option("--domain", default="", help="Only accounts of this domain.")
@json_option
@config_option
def list_(domain: str, as_json: bool, config_file: str | None) -> None:
    """List accounts. What they use is seldom more than some seconds old."""
    site = find_site(config_file)

    async def work() -> list[dict[str, Any]]:
        async with directory(site) as (people, store):
            known = {one.account: one for one in store.usage.all()}
            return [
                {
                    **_plain(row),
                    "used": known[row.id].octets if row.id in known else None,
                    "messages": known[row.id].messages if row.id in known else None,
                    "percent": known[row.id].percent if row.id in known else None,
                }
                for row in await store.directory.accounts(await named_domain(people, domain))
            ]

    rows = run(work())
    if as_json:
        emit_json(users=rows)
        return
    table(
        ("ADDRESS", "NAME", "USED", "QUOTA", "POP3 DELETE", "STATE"),
        [
            (
                row["login"],
                row["name"] or "-",
                _used(row),
                quotas.shown(row["quota"]),
                row["pop3_delete"],
                _state(row),
            )
            for row in rows
        ],
        none="no accounts yet; make one: postroom user add ann@example.org",
    )


def _used(row: dict[str, Any]) -> str:
    if row["used"] is None:
        return "-"
    return f"{octets(row['used'])} ({row['percent']} %)" if row["percent"] else octets(row["used"])


async def _show(site: Site, login: str) -> dict[str, Any]:
    async with directory(site) as (people, store):
        row = await people.account(login)
        account = await store.account(row.id)
        usage = await account.usage()
        may = await allowance(site, store, row)
        boxes = [
            {"name": box.name, "messages": box.messages, "unseen": box.unseen, "size": box.size}
            for box in await account.mailboxes()
        ]
        frozen = store.limits.rules().frozen.get(row.id)
        return {
            **_plain(row, usage.octets, usage.messages),
            "may_hold": quotas.plain(may),
            "holds": quotas.holds((may.octets, may.messages), usage.octets, usage.messages),
            "annotations": await account.annotation_octets(),
            "frozen": list(frozen.reasons) if frozen is not None else None,
            "mailboxes": boxes,
        }


def _state(found: dict[str, Any]) -> str:
    if found["disabled"]:
        return "disabled, receives mail" if found["receives"] else "disabled"
    return "shared" if found["shared"] else "on" if found["has_password"] else "no password"


def _sending(found: dict[str, Any]) -> str:
    """May it send, and how much?"""
    if found["frozen"] is not None:
        return f"stopped: {'; '.join(found['frozen'])} (see: postroom limit show {found['login']})"
    kinds = (("daily_messages", "messages"), ("daily_recipients", "recipients"), ("daily_new", "new recipients"))
    own = [f"{limit(found[key])} {what}" for key, what in kinds if found[key] >= 0]
    return f"{', '.join(own)} a day" if own else "as configured"


@command.command()
@click.argument("login", metavar="ADDRESS")
@json_option
@config_option
def show(login: str, as_json: bool, config_file: str | None) -> None:
    """Show one account and its mailboxes."""
    found = run(_show(find_site(config_file), login))
    if as_json:
        emit_json(**found)
        return
    may = found["may_hold"]
    record([
        ("address", found["login"]),
        ("name", found["name"] or "-"),
        ("state", _state(found)),
        ("holds", found["holds"]),
        ("mailboxes", f"{len(found['mailboxes'])} of {may['mailboxes'] or 'any number'}"),
        ("annotations", f"{octets(found['annotations'])} of {quotas.shown(may['annotations'])}"),
        *([("administers", _REALMS[found["administers"]])] if found["administers"] else []),
        ("limits on sending", _sending(found)),
        ("POP3 delete", found["pop3_delete"]),
        ("POP3 marks as read", "yes" if found["pop3_seen"] else "no"),
        ("IMAP without", " ".join(found["imap_without"]) or "-"),
        ('folder "Recover"', _RECOVER[found["past"]]),
        *([("last POP3 log-in", moment(found["pop3_last_login"]))] if found["pop3_last_login"] else []),
        ("since", moment(found["created"])),
        ("id", found["id"]),
    ])  # fmt: skip
    click.echo()
    table(
        ("MAILBOX", "MESSAGES", "UNREAD", "SIZE"),
        [(box["name"], box["messages"], box["unseen"], octets(box["size"])) for box in found["mailboxes"]],
    )


@command.command("set")
@click.argument("login", metavar="ADDRESS")
@click.option("--name", default=None, help="The person's name.")
@quotas.account_options
@quotas.administers_option
@click.option(
    "--pop3-delete",
    type=click.Choice(["delete", "trash", "keep"]),
    default=None,
    help="What a POP3 deletion does: delete it, move it to Trash, or keep it and hide it from POP3. [delete]",
)
@click.option(
    "--pop3-seen/--no-pop3-seen", default=None, help="Whether fetching by POP3 marks a message as read. [yes]"
)
@click.option(
    "--imap-without",
    multiple=True,
    metavar="NAME",
    help="IMAP capability its programs are not offered from the next log-in on, such as QRESYNC; may be repeated."
    " These replace those set before; none offers all.",
)
@click.option(
    "--detail-folders",
    type=click.Choice(["domain", "off", "existing", "create"]),
    default=None,
    help="Whether the detail of its address (ann+lists@) names the mailbox for new mail. [as its domain has it]",
)
@click.option(
    "--past",
    type=click.Choice(["off", "deleted", "all"]),
    default=None,
    help='What the read-only folder "Recover" of its IMAP programs shows: nothing, deleted mail, or also its mailboxes'
    " as they were on other days. From the next log-in on. [off]",
)
@click.option("--daily-messages", default=None, metavar="LIMIT", help=f"Messages it may send outside. {_LIMIT_HELP}")
@click.option("--daily-recipients", default=None, metavar="LIMIT", help=f"Recipients outside. {_LIMIT_HELP}")
@click.option("--daily-new", default=None, metavar="LIMIT", help=f"Recipients outside never written to. {_LIMIT_HELP}")
@json_option
@config_option
def set_(login: str, as_json: bool, config_file: str | None, **options: Any) -> None:
    """Change an account's name, quotas, or rules."""
    changes = {key: value for key, value in options.items() if value not in (None, ())}
    if not changes:
        raise click.UsageError("Say what to change: one of the options that --help shows.")
    quotas.read_quotas(changes)
    for key in ("daily_messages", "daily_recipients", "daily_new"):
        if key in changes:
            changes[key] = parse_limit(changes[key])
    if changes.get("detail_folders") == "domain":
        changes["detail_folders"] = ""
    if changes.get("imap_without") == ("none",):
        changes["imap_without"] = ()
    site = find_site(config_file)

    async def work() -> AccountRow:
        async with directory(site, changes=True) as (people, store):
            if changes.get("past", "off") != "off":
                await _check_recover(store, await people.account(login))
            return await people.set_account(login, **changes)

    _tell(run(work()), as_json, "changed")


@command.command()
@click.argument("login", metavar="ADDRESS")
@password_options
@json_option
@config_option
def passwd(login: str, as_json: bool, config_file: str | None, **options: Any) -> None:
    """Set an account's password. Sessions that are open stay open."""
    site = find_site(config_file)
    password, made = read_password(options)

    async def work() -> AccountRow:
        async with directory(site, changes=True) as (people, _):
            return await people.set_password(login, password)

    _tell(run(work()), as_json, "the password is set", **({"password": password} if made else {}))
    if made and not as_json:
        click.echo(password)


async def _check_recover(store: Store, row: AccountRow) -> None:
    """Raises CommandFailed when a mailbox of its own has the name of the folder of what was."""
    for box in await (await store.account(row.id)).mailboxes():
        if box.name.partition("/")[0] == "Recover":
            raise CommandFailed(
                Exit.FAILED, f"{row.login} has a mailbox {box.name} already", "Let its owner rename it first."
            )


def _tell(row: AccountRow, as_json: bool, text: str, **more: Any) -> None:
    if as_json:
        emit_json(**_plain(row), **more)
    else:
        say(text)


def _switch(login: str, config_file: str | None, *, disabled: bool, receives: bool = False) -> AccountRow:
    site = find_site(config_file)

    async def work() -> AccountRow:
        async with directory(site, changes=True) as (people, _):
            row = await people.account(login)
            if (row.disabled, row.receives) == (disabled, receives):
                raise CommandFailed(Exit.NO_CHANGE, f"{row.login} is {'disabled' if disabled else 'enabled'} already")
            return await people.disable(login, disabled, receives=receives)

    return run(work())


@command.command()
@click.argument("login", metavar="ADDRESS")
@click.option("--receive/--no-receive", "receives", default=False, help="Take in new mail, or refuse it. [refuse]")
@json_option
@config_option
def disable(login: str, receives: bool, as_json: bool, config_file: str | None) -> None:
    """Lock an account. Nobody can log in, open IMAP sessions end, new mail for it is refused; its mail stays."""
    row = _switch(login, config_file, disabled=True, receives=receives)
    _tell(row, as_json, f"{row.login} is disabled. Undo: postroom user enable {row.login}")


@command.command()
@click.argument("login", metavar="ADDRESS")
@json_option
@config_option
def enable(login: str, as_json: bool, config_file: str | None) -> None:
    """Unlock an account."""
    row = _switch(login, config_file, disabled=False)
    _tell(row, as_json, f"{row.login} can log in again")


@command.command()
@click.argument("login", metavar="ADDRESS")
@click.option("--purge", is_flag=True, help="Remove its mail at once, for good.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@config_option
def rm(login: str, purge: bool, yes: bool, as_json: bool, config_file: str | None) -> None:
    """Remove an account. Its mail is kept for retention.accounts_days, in which it can be brought back.

    Meanwhile mail for its address is refused. What it shared with others is not to be seen any more.
    """
    site = find_site(config_file)
    found = run(_show(site, login))
    days = 0.0 if purge else site.config.retention.accounts_days
    how = f"? It can be brought back for {days:g} days." if days else " for good?"
    confirm(
        f"Remove {found['login']} with {counted(found['messages'], 'message')} ({octets(found['used'])}){how}", yes=yes
    )

    async def work() -> AccountRow:
        async with directory(site, changes=True) as (people, _):
            if not days:
                return (await people.remove_account(login))[0]
            return (await people.delete_account(login)).row

    undo = f". Undo, within {days:g} days: postroom user deleted restore {found['login']}" if days else ""
    _tell(run(work()), as_json, f"{found['login']} is gone{undo}", removed=True, purged=not days)
