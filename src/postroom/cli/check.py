"""`postroom check`: the store's invariants, account by account, while the server may go on running."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from postroom.cli.codes import CommandFailed, Exit
from postroom.cli.output import emit_json, json_option, say
from postroom.cli.site import Site, config_option, find_site, open_store, run

if TYPE_CHECKING:
    from postroom.store.api import Finding


@click.command()
@click.option("--user", "login", default="", metavar="ADDRESS", help="Only this account. [all, and the queue]")
@json_option
@config_option
def command(login: str, as_json: bool, config_file: str | None) -> None:
    """Look for damage in the store: order of UIDs, counts, sizes, every body present and whole.

    Exit code 0 when all is well, 1 when something was found. It changes nothing and may run beside the server.
    """
    findings = run(_check(find_site(config_file), login, quiet=as_json))
    if as_json:
        emit_json(ok=not findings, findings=[{"place": f.place, "what": f.what} for f in findings])
    else:
        for finding in findings:
            click.echo(f"{finding.place}: {finding.what}")
        say("all is well" if not findings else f"{len(findings)} finding(s)")
    if findings:
        sys.exit(Exit.FAILED)


async def _check(site: Site, login: str, *, quiet: bool) -> list[Finding]:
    async with open_store(site) as store:
        rows = await store.directory.accounts()
        if login:
            rows = [row for row in rows if row.login == login.lower()]
            if not rows:
                raise CommandFailed(Exit.NOT_FOUND, f"there is no account {login}")
            return [finding async for finding in store.check(rows[0].id)]
        show = sys.stderr.isatty() and not quiet

        def progress(number: int, of: int) -> None:
            if show:
                click.echo(f"\r\x1b[Kaccount {number} of {of}", nl=False, err=True)

        findings = [finding async for finding in store.check(progress=progress)]
        if show:
            click.echo("\r\x1b[K", nl=False, err=True)
        return findings
