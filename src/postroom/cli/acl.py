"""`postroom acl`: who may do what with an account's mailboxes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from postroom.cli.codes import CommandFailed, Exit
from postroom.cli.output import emit_json, json_option, say, table
from postroom.cli.people import shared_mail
from postroom.cli.site import config_option, find_site, run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from postroom.store.api import AccountStore, RightsChange

#: how the top level is called, whose rights new mailboxes begin with
TOP = "(new mailboxes)"


@click.group(short_help="Who may do what with an account's mailboxes.")
def command() -> None:
    """Who may do what with an account's mailboxes (RFC 4314). Owners have all rights, and are not listed.

    \b
    Rights are letters, or a word for the usual sets:
      l  see it in the list     i  put mail into it     t  mark mail as deleted
      r  read it                k  make mailboxes in it e  remove what is marked
      s  mark as read           x  remove or rename it  p  (nothing here)
      w  set other marks        a  say who may
      read = lrs   write = lrswipkxte   manage = lrswipkxtea

    WHO is an account, group:sales@example.org, or anyone (of the domain); with a dash in front it takes away.
    """


_mailbox = click.argument("mailbox", default="")
_owner = click.argument("address")


def parse_change(text: str) -> RightsChange:
    """ "lrs", "+w", "-t", or a word. Raises click.BadParameter."""
    from postroom.mailbox.members import ROLES
    from postroom.store.api import FlagOp, RightsChange
    from postroom.values import rights

    op = {"+": FlagOp.ADD, "-": FlagOp.REMOVE}.get(text[:1], FlagOp.REPLACE)
    word = text if op is FlagOp.REPLACE else text[1:]
    try:
        return RightsChange(op, ROLES[word] if word in ROLES else rights.parse(word))
    except ValueError as fault:
        raise click.BadParameter(
            f"{str(fault)!r} is no right; write letters of {rights.LETTERS}, or {', '.join(ROLES)}"
        ) from None


async def boxes_of(store: AccountStore, mailbox: str, everywhere: bool) -> dict[int, str]:
    """Ids and names of what a command is about. Raises CommandFailed."""
    from postroom.mailbox import names

    known = {info.id: info.name for info in await store.mailboxes()}
    if everywhere:
        return {0: "", **known}
    wanted = names.normalize(mailbox)
    found = {number: name for number, name in known.items() if name == wanted}
    if not found:
        raise CommandFailed(Exit.NOT_FOUND, f"there is no mailbox {mailbox!r}", "The names: postroom acl list ADDRESS")
    return found


@command.command("list")
@_owner
@_mailbox
@json_option
@config_option
def list_(address: str, mailbox: str, as_json: bool, config_file: str | None) -> None:
    """List who has rights on an account's mailboxes, or on one."""
    site = find_site(config_file)

    async def work() -> list[dict[str, Any]]:
        from postroom.values import rights

        async with shared_mail(site, address, changes=False) as (_, _owner, account):
            acls = await account.acls()
            boxes = await boxes_of(account, mailbox, not mailbox)
            return [
                {"mailbox": name, "identifier": identifier, "rights": rights.letters(bits)}
                for number, name in boxes.items()
                for identifier, bits in sorted(acls.get(number, {}).items())
            ]

    rows = run(work())
    if as_json:
        emit_json(acl=rows)
        return
    table(
        ("MAILBOX", "WHO", "RIGHTS"),
        [(row["mailbox"] or TOP, row["identifier"], row["rights"]) for row in rows],
        none=f"nobody but the owner has rights there; give some: postroom acl set {address} INBOX ben@example.org read",
    )


@command.command("set")
@_owner
@click.argument("who")
@click.argument("rights")
@click.option("--mailbox", default="INBOX", show_default=True, metavar="NAME", help="The mailbox.")
@click.option("--all", "everywhere", is_flag=True, help="All mailboxes of the account, and those made later.")
@json_option
@config_option
def set_(  # noqa: PLR0913 - options of a command
    address: str, who: str, rights: str, mailbox: str, everywhere: bool, as_json: bool, config_file: str | None
) -> None:
    """Give WHO these RIGHTS; +w adds, -t takes away."""
    change = parse_change(rights)
    site = find_site(config_file)

    async def work() -> dict[str, Any]:
        from postroom.mailbox import acl

        async with shared_mail(site, address, changes=True) as (directory, row, account):
            boxes = await boxes_of(account, mailbox, everywhere)
            identifier = await acl.known(directory, who, row)
            await acl.grant(directory, account, list(boxes), identifier, change)
            return {"address": row.login, **await _held(account, list(boxes), identifier)}

    _tell(run(work()), as_json)


@command.command()
@_owner
@click.argument("who")
@click.option("--mailbox", default="INBOX", show_default=True, metavar="NAME", help="The mailbox.")
@click.option("--all", "everywhere", is_flag=True, help="All mailboxes of the account, and those made later.")
@json_option
@config_option
def rm(address: str, who: str, mailbox: str, everywhere: bool, as_json: bool, config_file: str | None) -> None:
    """Take WHO out of the rights on a mailbox."""
    site = find_site(config_file)

    async def work() -> dict[str, Any]:
        from postroom.mailbox import acl
        from postroom.store.api import FlagOp, RightsChange

        async with shared_mail(site, address, changes=True) as (directory, row, account):
            boxes = await boxes_of(account, mailbox, everywhere)
            identifier = acl.normal(who, acl.domain_of(row.login))
            acls = await account.acls()
            held = [box for box in boxes if identifier in acls.get(box, {})]
            if not held:
                raise CommandFailed(Exit.NO_CHANGE, f"{identifier} has no rights there")
            await acl.grant(directory, account, held, identifier, RightsChange(FlagOp.REPLACE, 0))
            return {"address": row.login, **await _held(account, held, identifier)}

    _tell(run(work()), as_json)


async def _held(account: AccountStore, boxes: Sequence[int], identifier: str) -> dict[str, Any]:
    from postroom.values import rights

    acls = await account.acls()
    held = {rights.letters(acls.get(box, {}).get(identifier, 0)) for box in boxes}
    return {
        "identifier": identifier,
        "rights": held.pop() if len(held) == 1 else None,
        "mailboxes": len(boxes) - (0 in boxes),
    }


def _tell(done: dict[str, Any], as_json: bool) -> None:
    if as_json:
        emit_json(**done)
        return
    rights = "different rights" if done["rights"] is None else done["rights"] or "no rights"
    boxes = "1 mailbox" if done["mailboxes"] == 1 else f"{done['mailboxes']} mailboxes"
    say(f"{done['identifier']} has {rights} on {boxes} of {done['address']} now")
