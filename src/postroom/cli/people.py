"""What the commands about domains, accounts and aliases share: the directory, its errors, passwords."""

from __future__ import annotations

import secrets
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from postroom.cli.codes import CommandFailed, Exit
from postroom.cli.site import Site, open_store, poke

if TYPE_CHECKING:  # --help has 150 ms: rooms are loaded when they are needed
    from postroom.identity.directory import Directory
    from postroom.policy.allowance import Allowance
    from postroom.store.api import AccountRow, AccountStore, DirectoryStore, Store

F = TypeVar("F", bound=Callable[..., Any])

#: by the name of the error
_CODES = {
    "NoSuchDomain": Exit.NOT_FOUND,
    "NoSuchAccount": Exit.NOT_FOUND,
    "NoSuchAlias": Exit.NOT_FOUND,
    "NoSuchGroup": Exit.NOT_FOUND,
    "AddressTaken": Exit.NO_CHANGE,
    "BadValue": Exit.USAGE,
}


@asynccontextmanager
async def directory(site: Site, *, changes: bool = False) -> AsyncIterator[tuple[Directory, Store]]:
    """The site's directory; after a change the running workers look at their sessions again."""
    from postroom.identity.directory import Directory
    from postroom.identity.errors import DirectoryError
    from postroom.identity.hashing import InlineHasher
    from postroom.values.clock import SystemClock

    async with open_store(site) as store:
        try:
            yield Directory(store, InlineHasher(site.config.passwords), SystemClock(), site.config.passwords), store
        except DirectoryError as fault:
            raise CommandFailed(_CODES.get(type(fault).__name__, Exit.FAILED), fault.text, fault.advice) from fault
    if changes:
        poke(site, "directory")


async def named_domain(people: Directory, name: str) -> str:
    """The domain that an option chooses, as the store names it; "" for all. Raises NoSuchDomain."""
    return (await people.domain(name)).name if name else ""


async def allowance(site: Site, store: Store, row: AccountRow) -> Allowance:
    """What an account may hold."""
    from postroom.policy.allowance import configured, resolve

    domain = await store.directory.domain(row.login.rpartition("@")[2])
    return resolve(row, domain, configured(site.config.mailboxes))


@asynccontextmanager
async def mail_of(site: Site, login: str) -> AsyncIterator[tuple[AccountRow, AccountStore]]:
    """An account, with the quotas that hold for it, and its mailboxes; workers hear of what is changed there."""
    async with shared_mail(site, login, changes=False) as (_, row, account):
        yield row, account


@asynccontextmanager
async def shared_mail(
    site: Site, login: str, *, changes: bool
) -> AsyncIterator[tuple[DirectoryStore, AccountRow, AccountStore]]:
    """The same with the directory, for rights on its mailboxes; after a change sessions look at theirs again."""
    from postroom.mailbox.errors import BadIdentifier, BadName, MailboxError, NoSuchMailbox, UnknownIdentifier
    from postroom.store.api import OverQuota

    async with directory(site, changes=changes) as (people, store):
        row = await people.account(login)
        try:
            may = await allowance(site, store, row)
            row = replace(row, quota=may.octets, quota_messages=may.messages)
            yield store.directory, row, await store.account(row.id)
        except NoSuchMailbox as fault:
            advice = f"See: postroom mailbox list {row.login}"
            raise CommandFailed(Exit.NOT_FOUND, _sentence(fault), advice) from fault
        except UnknownIdentifier as fault:
            raise CommandFailed(Exit.NOT_FOUND, _sentence(fault)) from fault
        except MailboxError as fault:
            code = Exit.USAGE if isinstance(fault, BadName | BadIdentifier) else Exit.FAILED
            raise CommandFailed(code, _sentence(fault)) from fault
        except OverQuota as fault:
            advice = f"To give it more room: postroom user set {row.login} --quota SIZE"
            raise CommandFailed(Exit.FAILED, str(fault), advice) from fault


def _sentence(fault: Exception) -> str:
    """Within a line that has begun."""
    text = str(fault)
    return text[:1].lower() + text[1:]


def password_options(function: F) -> F:
    """--password-stdin, --password-file, --generate; without any, a person is asked."""
    for option in (
        click.option("--generate", is_flag=True, help="Make a password and print it."),
        click.option("--password-stdin", is_flag=True, help="Read the password from standard input (first line)."),
        click.option(
            "--password-file",
            type=click.Path(exists=True, dir_okay=False),
            help="Read it from the first line of a file.",
        ),
    ):
        function = option(function)
    return function


def _first_line(file: str) -> str:
    try:
        return (Path(file).read_text(encoding="utf-8").splitlines() or [""])[0]
    except UnicodeDecodeError:
        raise click.BadParameter(f"{file} is no UTF-8 text", param_hint="--password-file") from None


def read_password(options: dict[str, Any]) -> tuple[str, bool]:
    """(the password, whether it was made here). Raises click.UsageError when nobody can be asked."""
    generate, stdin, file = (options.pop(name) for name in ("generate", "password_stdin", "password_file"))
    if generate:
        return "-".join(secrets.token_hex(2) for _ in range(4)), True
    if stdin:
        return sys.stdin.readline().rstrip("\r\n"), False
    if file:
        return _first_line(file), False
    if not sys.stdin.isatty():
        raise click.UsageError("Give the password with --password-stdin or --password-file, or take --generate.")
    text: str = click.prompt("Password", hide_input=True, confirmation_prompt="Once more", err=True)
    return text, False
