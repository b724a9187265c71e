"""`postroom share`: mailboxes for several people, without a log-in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from postroom.cli import quotas
from postroom.cli.acl import parse_change
from postroom.cli.codes import CommandFailed, Exit
from postroom.cli.output import confirm, counted, emit_json, json_option, moment, octets, record, say, table
from postroom.cli.people import directory, named_domain, shared_mail
from postroom.cli.site import Site, config_option, find_site, run

if TYPE_CHECKING:
    from collections.abc import Callable

    from postroom.store.api import AccountRow, DirectoryStore, MailboxInfo, Store


@click.group(short_help="Mailboxes for several people, without a log-in.")
def command() -> None:
    """Mailboxes that take mail for an address, and that members read together. Nobody logs in to them.

    Members find them as Shared/support@example.org in their mail programs, at once. The same members can be given
    rights on a person's account: it appears as Users/ann@example.org.
    """


def _members(function: Callable[..., Any]) -> Callable[..., Any]:
    """--member, --group."""
    for option in (
        click.option("--group", "groups", multiple=True, metavar="GROUP", help="A group; may be repeated."),
        click.option("--member", "people", multiple=True, metavar="ADDRESS", help="An account; may be repeated."),
    ):
        function = option(function)
    return function


_rights = click.option(
    "--rights",
    default="write",
    show_default=True,
    help="What they may do: read, write, manage, or letters (postroom acl --help).",
)


_send = click.option(
    "--send",
    type=click.Choice(["as", "on-behalf", "no"]),
    default=None,
    help="May they send as it, only on its behalf, or not. [as, when it is shared and they may write]",
)
#: as the directory has them
_MODES = {"as": "as", "on-behalf": "behalf"}


def _identifiers(people: tuple[str, ...], groups: tuple[str, ...]) -> list[str]:
    return [*people, *[f"group:{group.removeprefix('group:')}" for group in groups]]


async def _describe(site: Site, address: str) -> dict[str, Any]:
    from postroom.mailbox.members import members
    from postroom.values import rights

    async with shared_mail(site, address, changes=False) as (known, row, account):
        usage = await account.usage()
        modes = await known.delegates(row.id)
        rows = {one.identifier: one for one in await members(account)}
        return {
            **_plain(row),
            "holds": quotas.holds((row.quota, row.quota_messages), usage.octets, usage.messages),
            "used": usage.octets,
            "messages": usage.messages,
            "members": [
                {
                    "identifier": who,
                    "rights": rights.letters(rows[who].rights) if who in rows else "",
                    "differs": who in rows and rows[who].differs,
                    "send": {"as": "as", "behalf": "on-behalf"}.get(modes.get(who, ""), "no"),
                }
                for who in sorted(rows.keys() | modes.keys())
            ],
            "mailboxes": [
                {
                    "name": box.name,
                    "messages": box.messages,
                    "unseen": box.unseen,
                    "size": box.size,
                    "seen": _seen(row, box),
                }
                for box in await account.mailboxes()
            ],
        }


def _seen(row: AccountRow, box: MailboxInfo) -> str:
    """Whose marks as read are."""
    return box.seen.value or ("shared" if row.shared else "private")


def _plain(row: AccountRow) -> dict[str, Any]:
    return {
        "address": row.login,
        "id": row.id,
        "name": row.name,
        "shared": row.shared,
        "disabled": row.disabled,
        "sent_copies": row.sent_copies,
        "quota": row.quota,
        "created": row.created,
    }


@command.command()
@click.argument("address")
@_members
@_rights
@_send
@click.option("--name", default="", help="What it is called for people.")
@quotas.account_options
@json_option
@config_option
def add(address: str, as_json: bool, config_file: str | None, **options: Any) -> None:
    """Make a shared mailbox, with members."""
    change = parse_change(options["rights"])
    limits = {key: value for key, value in options.items() if key.startswith("quota") and value is not None}
    quotas.read_quotas(limits)
    who = _identifiers(options["people"], options["groups"])
    site = find_site(config_file)

    async def work() -> dict[str, Any]:
        async with directory(site, changes=True) as (people, store):
            await _must_exist(store, address, who)  # before anything is made
            row = await people.add_shared(address, name=options["name"], quota=limits.pop("quota", -1))
            if limits:
                await people.set_account(row.login, **limits)
        await _join(site, address, who, change.rights, options["send"])
        return await _describe(site, address)

    found = run(work())
    if as_json:
        emit_json(**found)
        return
    members = counted(len(who), "member")
    say(f"{found['address']} takes mail now, for {members}. Undo: postroom share rm {found['address']}")
    if not who:
        say(f"Give it members: postroom share join {found['address']} --member ann@example.org")


async def _must_exist(store: Store, address: str, who: list[str]) -> None:
    """Raises CommandFailed for members nobody knows."""
    from postroom.mailbox import acl
    from postroom.mailbox.errors import MailboxError
    from postroom.store.api import AccountRow

    nobody = AccountRow(id="", login=address, created=0.0, shared=True)
    for one in who:
        try:
            await acl.known(store.directory, one, nobody)
        except MailboxError as fault:
            raise CommandFailed(Exit.NOT_FOUND, str(fault), "See: postroom user list, postroom group list") from fault


async def _join(site: Site, address: str, who: list[str], rights: int, send: str | None) -> None:
    from postroom.mailbox.members import join as give
    from postroom.values.rights import WRITE

    async with shared_mail(site, address, changes=True) as (known, row, account):
        if send is None:
            send = "as" if row.shared and rights & WRITE else "no"
        for one in who:
            identifier = await give(known, account, row, one, rights)
            await _let_send(known, row, identifier, send)


async def _let_send(directory: DirectoryStore, row: AccountRow, identifier: str, send: str) -> None:
    """From now on; nobody but people and groups can send."""
    if send in _MODES and (identifier == "anyone" or identifier.startswith("-")):
        raise CommandFailed(Exit.USAGE, f"{identifier} cannot be let send", "Name people or groups, or take --send no.")
    if send in _MODES:
        await directory.put_delegate(row.id, identifier, _MODES[send])
    elif identifier in await directory.delegates(row.id):
        await directory.remove_delegate(row.id, identifier)


@command.command("list")
@click.option("--domain", default="", help="Only those of this domain.")
@json_option
@config_option
def list_(domain: str, as_json: bool, config_file: str | None) -> None:
    """List shared mailboxes."""
    site = find_site(config_file)

    async def work() -> list[dict[str, Any]]:
        async with directory(site) as (people, store):
            rows = [row for row in await store.directory.accounts(await named_domain(people, domain)) if row.shared]
        return [await _describe(site, row.login) for row in rows]

    rows = run(work())
    if as_json:
        emit_json(shares=rows)
        return
    table(
        ("ADDRESS", "NAME", "HOLDS", "MEMBERS"),
        [
            (
                row["address"],
                row["name"] or "-",
                octets(row["used"]),
                ", ".join(one["identifier"] for one in row["members"]) or "-",
            )
            for row in rows
        ],
        none="no shared mailboxes yet; make one: postroom share add support@example.org --member ann@example.org",
    )


@command.command()
@click.argument("address")
@json_option
@config_option
def show(address: str, as_json: bool, config_file: str | None) -> None:
    """Show an account's members and their rights; also of a person's."""
    found = run(_describe(find_site(config_file), address))
    if as_json:
        emit_json(**found)
        return
    record([
        ("address", found["address"]),
        ("name", found["name"] or "-"),
        ("kind", "shared, nobody logs in" if found["shared"] else "a person's, who has all rights"),
        ("state", "disabled" if found["disabled"] else "on"),
        ("holds", found["holds"]),
        ("read is", _seen_by(found["mailboxes"])),
        ("sent as it", "is filed in its Sent, too" if found["sent_copies"] else "is filed by who sends it only"),
        ("since", moment(found["created"])),
    ])  # fmt: skip
    click.echo()
    table(
        ("MEMBER", "RIGHTS", "SENDS", ""),
        [
            (one["identifier"], _role(one["rights"]), one["send"], "others on some mailboxes" if one["differs"] else "")
            for one in found["members"]
        ],
    )


def _seen_by(boxes: list[dict[str, Any]]) -> str:
    kinds = {box["seen"] for box in boxes}
    if len(kinds) > 1:
        return f"shared in {', '.join(box['name'] for box in boxes if box['seen'] == 'shared')}, else each one's own"
    return "what anybody has read" if kinds == {"shared"} else "what each one has read"


def _role(letters: str) -> str:
    from postroom.mailbox.members import role
    from postroom.values import rights

    word = role(rights.parse(letters))
    return f"{word} ({letters})" if word != letters else letters or "none on new mailboxes"


@command.command("set")
@click.argument("address")
@click.option("--name", default=None, help="What it is called for people.")
@quotas.account_options
@click.option(
    "--sent-copies/--no-sent-copies",
    default=None,
    help="Whether what members send as it is filed in its Sent, too. [yes; no in a person's]",
)
@click.option(
    "--seen",
    type=click.Choice(["shared", "private"]),
    default=None,
    help="Whether what one has read is read for all, or each has an own mark. [shared; private in a person's]",
)
@click.option("--mailbox", default="", metavar="NAME", help="With --seen: only this mailbox. [all]")
@json_option
@config_option
def set_(address: str, as_json: bool, config_file: str | None, **options: Any) -> None:
    """Change a shared mailbox."""
    seen, mailbox = options.pop("seen"), options.pop("mailbox")
    changes = {key: value for key, value in options.items() if value is not None}
    if not changes and not seen:
        raise click.UsageError("Say what to change: one of the options that --help shows.")
    if mailbox and not seen:
        raise click.UsageError("--mailbox goes with --seen.")
    quotas.read_quotas(changes)
    site = find_site(config_file)

    async def work() -> dict[str, Any]:
        async with directory(site, changes=True) as (people, _):
            if changes:
                await people.set_account((await people.account(address)).login, **changes)
        if seen:
            await _set_seen(site, address, mailbox, seen)
        return await _describe(site, address)

    found = run(work())
    if as_json:
        emit_json(**found)
    else:
        say(f"{found['address']} is changed")


async def _set_seen(site: Site, address: str, mailbox: str, seen: str) -> None:
    from postroom.cli.acl import boxes_of
    from postroom.store.api import SeenMode

    async with shared_mail(site, address, changes=True) as (_, _row, account):
        for number in await boxes_of(account, mailbox, not mailbox):
            if number:
                await account.marks.set_mode(number, SeenMode(seen))


@command.command()
@click.argument("address")
@_members
@_rights
@_send
@json_option
@config_option
def join(address: str, as_json: bool, config_file: str | None, **options: Any) -> None:
    """Give members rights on all mailboxes of an account.

    Those that will be made are included. It may be a person's account, too.
    """
    who, change = _asked(options), parse_change(options["rights"])
    site = find_site(config_file)

    async def work() -> dict[str, Any]:
        await _join(site, address, who, change.rights, options["send"])
        return await _describe(site, address)

    found = run(work())
    if as_json:
        emit_json(**found)
    else:
        say(f"{', '.join(who)}: {_role(_letters(change.rights))} on all mailboxes of {found['address']} now")


def _letters(bits: int) -> str:
    from postroom.values import rights

    return rights.letters(bits)


def _asked(options: dict[str, Any]) -> list[str]:
    who = _identifiers(options["people"], options["groups"])
    if not who:
        raise click.UsageError("Say who: --member ADDRESS, --group GROUP.")
    return who


@command.command()
@click.argument("address")
@_members
@json_option
@config_option
def leave(address: str, as_json: bool, config_file: str | None, **options: Any) -> None:
    """Take all rights on an account's mailboxes from members. They see it no more, at once."""
    who = _asked(options)
    site = find_site(config_file)

    async def work() -> dict[str, Any]:
        from postroom.mailbox.members import leave as take

        async with shared_mail(site, address, changes=True) as (known, row, account):
            for one in who:
                await _let_send(known, row, await take(known, account, row, one), "no")
        return await _describe(site, address)

    found = run(work())
    if as_json:
        emit_json(**found)
    else:
        say(f"{', '.join(who)} have no rights of their own at {found['address']} any more")


@command.command()
@click.argument("address")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@config_option
def rm(address: str, yes: bool, as_json: bool, config_file: str | None) -> None:
    """Remove a shared mailbox with all its mail."""
    site = find_site(config_file)

    async def work() -> AccountRow:
        async with directory(site, changes=True) as (people, store):
            row = await people.account(address)
            if not row.shared:
                raise CommandFailed(
                    Exit.FAILED, f"{row.login} is a person's account", f"To remove it: postroom user rm {row.login}"
                )
            usage = await (await store.account(row.id)).usage()
            confirm(
                f"Remove {row.login} with {counted(usage.messages, 'message')} ({octets(usage.octets)}) for good?",
                yes=yes,
            )
            return (await people.remove_account(row.login))[0]

    row = run(work())
    if as_json:
        emit_json(**_plain(row), removed=True)
    else:
        say(f"{row.login} is gone with its mail; mail for it is refused from now on")
