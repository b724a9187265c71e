"""`postroom mailbox saved`: searches that people's mail programs show as folders."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from postroom.cli.codes import CommandFailed, Exit
from postroom.cli.mailbox_search import QUERIES, joined, parsed
from postroom.cli.output import emit_json, json_option, line, say, table
from postroom.cli.people import mail_of
from postroom.cli.site import Site, config_option, find_site, run

if TYPE_CHECKING:  # --help has 150 ms
    from postroom.store.api import AccountStore, SavedSearch


@click.group(short_help="Searches as folders.")
def saved() -> None:
    """Searches that mail programs show as folders below "Searches", from the next log-in on.

    A folder holds what the search finds at the moment, in all mailboxes. It can be read and copied from; messages are
    changed and deleted where they are.
    """


@saved.command("list")
@click.argument("account", metavar="ACCOUNT")
@json_option
@config_option
def list_(account: str, as_json: bool, config_file: str | None) -> None:
    """List the searches of an account."""

    async def work(site: Site) -> list[SavedSearch]:
        async with mail_of(site, account) as (_, mail):
            return await mail.saved.all()

    found = run(work(find_site(config_file)))
    if as_json:
        emit_json(searches=[{"name": one.name, "query": one.query} for one in found])
        return
    table(
        ("NAME", "QUERY"),
        [(line(one.name), line(one.query)) for one in found],
        none=f"there are none; to make one: postroom mailbox saved add {account} NAME QUERY",
    )


@saved.command(context_settings=QUERIES)
@click.argument("account", metavar="ACCOUNT")
@click.argument("name", metavar="NAME")
@click.argument("words", nargs=-1, required=True, metavar="QUERY...")
@json_option
@config_option
def add(account: str, name: str, words: tuple[str, ...], as_json: bool, config_file: str | None) -> None:
    """Keep a search, or give one another query.

    \b
        postroom mailbox saved add ann@example.org Unpaid 'subject:invoice is:flagged -in:trash'
    """
    query = joined(words)
    parsed(query)

    async def work(site: Site) -> str:
        async with mail_of(site, account) as (_, mail):
            return await _put(mail, name, query)

    kept = run(work(find_site(config_file)))
    if as_json:
        emit_json(name=kept, query=query)
    else:
        say(f'mail programs show it as "Searches/{line(kept)}" from the next log-in on')


async def _put(mail: AccountStore, name: str, query: str) -> str:
    from postroom.mailbox.errors import BadName
    from postroom.mailbox.saved import SEARCHES, checked_name
    from postroom.store.api import LONGEST_QUERY, TooManySearches

    if len(query) > LONGEST_QUERY:
        raise click.BadParameter(f"a query has at most {LONGEST_QUERY} characters", param_hint="QUERY")
    top = SEARCHES.removesuffix("/")
    if await mail.mailbox(top) is not None:
        raise CommandFailed(
            Exit.NO_CHANGE, f"the account has a mailbox {top} of its own", "Rename that first, in a mail program."
        )
    try:
        return (await mail.saved.put(checked_name(name), query)).name
    except BadName as fault:
        raise click.BadParameter(str(fault), param_hint="NAME") from None
    except TooManySearches as fault:
        raise CommandFailed(Exit.NO_CHANGE, str(fault), "Remove one: postroom mailbox saved rm") from None


@saved.command()
@click.argument("account", metavar="ACCOUNT")
@click.argument("name", metavar="NAME")
@json_option
@config_option
def rm(account: str, name: str, as_json: bool, config_file: str | None) -> None:
    """Forget a search; no message is touched."""
    from postroom.store.api import NotFound

    async def work(site: Site) -> None:
        async with mail_of(site, account) as (_, mail):
            try:
                await mail.saved.remove(name)
            except NotFound:
                raise CommandFailed(Exit.NOT_FOUND, f"there is no search {name}") from None

    run(work(find_site(config_file)))
    if as_json:
        emit_json(name=name)
    else:
        say(f"{line(name)} is forgotten")
