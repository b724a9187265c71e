"""`postroom user app-password`: a password of its own for each program or device of a person."""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING, Any, Final

import click

from postroom.cli.codes import CommandFailed, Exit
from postroom.cli.output import emit_json, json_option, line, moment, say, table
from postroom.cli.people import directory
from postroom.cli.site import Site, config_option, find_site, run
from postroom.cli.user_token import ends, until

if TYPE_CHECKING:  # --help has 150 ms
    from postroom.store.api import Store, TokenRow

_PROTOCOLS: Final = ("imap", "pop3", "smtp", "sieve")


@click.group("app-password", short_help="Passwords for single programs: add, list, rm.")
def app_password() -> None:
    """App passwords: one for each program or device, so that one can be taken back without touching the others.

    They are made here, open IMAP, POP3, submission and ManageSieve (or some of them), and nothing else.
    """


def _plain(row: TokenRow, used: dict[str, float]) -> dict[str, Any]:
    return {
        "id": row.id,
        "name": row.name,
        "protocols": list(row.scopes),
        "networks": list(row.networks),
        "created": row.created,
        "expires": row.expires or None,
        "used": used,
    }


def _used(store: Store, account: str) -> dict[str, dict[str, float]]:
    """When each was used last for which service, as far as it was within 90 days."""
    from postroom.policy.suspicion import USED

    found: dict[str, dict[str, float]] = {}
    for place, _, last in store.limits.places(account):
        if place.startswith(USED):
            name, _, service = place.removeprefix(USED).partition(" ")
            found.setdefault(name, {})[service] = last
    return found


@app_password.command()
@click.argument("login", metavar="ADDRESS")
@click.option("--name", default="", help="The program or device, such as Phone.")
@click.option(
    "--protocols", default="", metavar="LIST", help="What it opens: imap,pop3,smtp,sieve, or some of them. [all]"
)
@click.option("--from", "networks", multiple=True, metavar="NETWORK", help="Only from there; may be repeated.")
@click.option("--expires", default="", metavar="WHEN", help="90d, or a date like 2027-01-31. [never]")
@json_option
@config_option
def add(login: str, as_json: bool, config_file: str | None, **asked: Any) -> None:
    """Make an app password. It is shown once, now; only a digest and SCRAM keys are kept.

    \b
        postroom user app-password add ann@example.org --name Phone --protocols imap,smtp
    """
    from postroom.identity.app_passwords import Wish

    now = time.time()
    protocols = (
        tuple(one.strip().lower() for one in asked["protocols"].split(",")) if asked["protocols"] else _PROTOCOLS
    )
    wish = Wish(
        name=asked["name"].strip(), protocols=protocols, networks=asked["networks"], expires=ends(asked["expires"], now)
    )

    async def work(site: Site) -> tuple[str, TokenRow]:
        from postroom.identity.app_passwords import add as make

        async with directory(site) as (people, store):
            return await make(
                store.directory,
                await people.account(login),
                wish,
                now,
                secrets.token_bytes(34),
                site.config.passwords,
            )

    text, row = run(work(find_site(config_file)))
    if as_json:
        emit_json(**_plain(row, {}), password=text)
        return
    say(
        f"app password {row.id} of {line(login)} for {', '.join(row.scopes)}; it is not shown again."
        f" Undo: postroom user app-password rm {line(login)} {row.id}"
    )
    click.echo(text)


@app_password.command("list")
@click.argument("login", metavar="ADDRESS")
@json_option
@config_option
def list_(login: str, as_json: bool, config_file: str | None) -> None:
    """List an account's app passwords, and when each was used last."""

    async def work(site: Site) -> tuple[list[TokenRow], dict[str, dict[str, float]]]:
        from postroom.identity.app_passwords import of

        async with directory(site) as (people, store):
            account = (await people.account(login)).id
            return await of(store.directory, account), _used(store, account)

    rows, used = run(work(find_site(config_file)))
    if as_json:
        emit_json(app_passwords=[_plain(row, used.get(row.id, {})) for row in rows])
        return
    now = time.time()
    heads = ("ID", "NAME", "FOR", "FROM", "SINCE", "UNTIL", "LAST USED")
    cells = [
        (
            row.id,
            row.name or "-",
            " ".join(row.scopes),
            " ".join(row.networks) or "anywhere",
            moment(row.created),
            until(row, now),
            _last(used.get(row.id, {})),
        )
        for row in rows
    ]
    table(heads, cells)
    if not rows:
        say(f"no app passwords yet; make one: postroom user app-password add {line(login)} --name Phone")


def _last(used: dict[str, float]) -> str:
    service, at = max(used.items(), key=lambda one: one[1], default=("", 0.0))
    return f"{moment(at)} ({service})" if at else "not within 90 days"


@app_password.command()
@click.argument("login", metavar="ADDRESS")
@click.argument("app_password_ids", metavar="[ID]...", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All of them.")
@json_option
@config_option
def rm(login: str, app_password_ids: tuple[str, ...], everything: bool, as_json: bool, config_file: str | None) -> None:
    """Take app passwords back. They open nothing from now on, and sessions that they opened end at once."""
    if bool(app_password_ids) == everything:
        raise click.UsageError("Name ids, or take --all.")

    async def work(site: Site) -> list[str]:
        from postroom.identity.app_passwords import of

        async with directory(site, changes=True) as (people, store):
            account = await people.account(login)
            known = [row.id for row in await of(store.directory, account.id)]
            gone = known if everything else list(dict.fromkeys(app_password_ids))
            missing = [one for one in gone if one not in known]
            if missing:
                advice = f"See: postroom user app-password list {account.login}"
                text = f"{account.login} has no app password {missing[0][:40]}"
                raise CommandFailed(Exit.NOT_FOUND, text, advice)
            for one in gone:
                await store.directory.remove_token(account.id, one)
            return gone

    gone = run(work(find_site(config_file)))
    if as_json:
        emit_json(ids=gone, removed=True)
    else:
        say(f"{', '.join(gone) or 'none'}: refused from now on")
