"""`postroom user token`: access tokens, which programs show instead of a password."""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING, Any

import click

from postroom.cli.amounts import parse_span, parse_when
from postroom.cli.codes import CommandFailed, Exit
from postroom.cli.output import emit_json, json_option, moment, say, table
from postroom.cli.people import directory
from postroom.cli.site import config_option, find_site, run

if TYPE_CHECKING:
    from postroom.store.api import TokenRow

_SCOPES = ("send", "read-events")


@click.group(short_help="Access tokens for programs: add, list, rm.")
def token() -> None:
    """Access tokens: programs use them in the HTTP interface instead of a password."""


def _plain(row: TokenRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "name": row.name,
        "scopes": list(row.scopes),
        "created": row.created,
        "expires": row.expires or None,
    }


def ends(text: str, now: float) -> float:
    """When a token ends: 90d from now, or a date; "" is never. Raises click.BadParameter."""
    if not text or text.lower() in {"never", "none"}:
        return 0.0
    at = now + parse_span(text) if text[-1:].isalpha() else parse_when(text, now, "--expires")
    if at <= now:
        raise click.BadParameter("that has passed already", param_hint="--expires")
    return at


@token.command()
@click.argument("login", metavar="ADDRESS")
@click.option("--name", default="", help="What it is for, such as the program's name.")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice(_SCOPES),
    help="send: send, and look at or cancel what was sent; read-events: only look. May be repeated. [send]",
)
@click.option("--expires", default="", metavar="WHEN", help="90d, or a date like 2027-01-31. [never]")
@json_option
@config_option
def add(login: str, name: str, scopes: tuple[str, ...], expires: str, as_json: bool, config_file: str | None) -> None:
    """Make a token. It is shown once, now; only its SHA-256 is kept."""
    from postroom.identity.errors import BadValue
    from postroom.identity.tokens import MOST, Wish, make, of

    now = time.time()
    wish = Wish(name=name, scopes=scopes or ("send",), expires=ends(expires, now))
    site = find_site(config_file)

    async def work() -> tuple[str, TokenRow]:
        async with directory(site) as (people, store):
            account = await people.account(login)
            if len(await of(store.directory, account.id)) >= MOST:
                raise BadValue(f"{account.login} has {MOST} tokens", "Remove some: postroom user token rm")
            text, row = make(account, wish, now, secrets.token_bytes(32))
            await store.directory.put_token(row)
            return text, row

    text, row = run(work())
    if as_json:
        emit_json(**_plain(row), token=text)
        return
    say(f"token {row.id} of {login}; it is not shown again. Undo: postroom user token rm {login} {row.id}")
    click.echo(text)


@token.command("list")
@click.argument("login", metavar="ADDRESS")
@json_option
@config_option
def list_(login: str, as_json: bool, config_file: str | None) -> None:
    """List an account's tokens."""
    site = find_site(config_file)

    async def work() -> list[TokenRow]:
        from postroom.identity.tokens import of

        async with directory(site) as (people, store):
            return await of(store.directory, (await people.account(login)).id)

    rows = run(work())
    if as_json:
        emit_json(tokens=[_plain(row) for row in rows])
        return
    now = time.time()
    table(
        ("ID", "NAME", "MAY", "SINCE", "UNTIL"),
        [(row.id, row.name or "-", " ".join(row.scopes), moment(row.created), until(row, now)) for row in rows],
        none=f"no tokens yet; make one: postroom user token add {login}",
    )


def until(row: TokenRow, now: float) -> str:
    """When a token ends, for people."""
    if not row.expires:
        return "-"
    return f"{moment(row.expires)}{' (over)' if row.expires <= now else ''}"


@token.command()
@click.argument("login", metavar="ADDRESS")
@click.argument("token_id", metavar="ID")
@json_option
@config_option
def rm(login: str, token_id: str, as_json: bool, config_file: str | None) -> None:
    """Remove a token. It is refused from now on."""
    from postroom.identity.tokens import of
    from postroom.store.api import NotFound

    site = find_site(config_file)

    async def work() -> None:
        async with directory(site) as (people, store):
            account = await people.account(login)
            known = [row for row in await of(store.directory, account.id) if row.id == token_id]
            if not known:
                raise CommandFailed(
                    Exit.NOT_FOUND, f"{account.login} has no token {token_id}", f"See: postroom user token list {login}"
                )
            try:
                await store.directory.remove_token(account.id, token_id)
            except NotFound as fault:
                raise CommandFailed(Exit.NOT_FOUND, str(fault)) from fault

    run(work())
    if as_json:
        emit_json(id=token_id, removed=True)
    else:
        say(f"token {token_id} is refused from now on")
