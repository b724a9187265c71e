"""`postroom check`: the store's invariants, account by account, beside a running server; and mending them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from postroom.cli.codes import CommandFailed, Exit
from postroom.cli.output import emit_json, json_option, say
from postroom.cli.site import Site, config_option, find_site, open_store, run

if TYPE_CHECKING:
    from postroom.store.api import Finding, Store


@click.command()
@click.option("--user", "login", default="", metavar="ADDRESS", help="Only this account. [all, and the queue]")
@click.option("--repair", is_flag=True, help="Mend what can be made anew from the rest.")
@json_option
@config_option
def command(login: str, repair: bool, as_json: bool, config_file: str | None) -> None:
    """Look for damage in the store: order of UIDs, counts, sizes, every body present and whole.

    It changes nothing, unless --repair is given: then counters, indexes and whatever else follows from the mail is made
    anew, and what belongs to nobody goes. Mail is never thrown away: messages that no mailbox names are put into "Found
    by repair". Both may run beside the server.

    Exit code 0 when all is well (again), 1 when something was found that stays.
    """
    mended, findings = run(_check(find_site(config_file), login, repair=repair, quiet=as_json))
    if as_json:
        emit_json(ok=not findings, findings=[*map(_plain, findings)], mended=[*map(_plain, mended)])
    else:
        for finding in mended:
            click.echo(f"mended: {finding.place}: {finding.what}")
        for finding in findings:
            click.echo(f"{finding.place}: {finding.what}")
        say(_summary(len(mended), findings, repair=repair))
    if findings:
        sys.exit(Exit.FAILED)


def _plain(finding: Finding) -> dict[str, Any]:
    return {"place": finding.place, "what": finding.what, "mendable": finding.mendable}


def _summary(mended: int, findings: list[Finding], *, repair: bool) -> str:
    if not findings:
        return f"{mended} finding(s) mended; all is well" if mended else "all is well"
    told = f"{len(findings)} finding(s)"
    mendable = sum(finding.mendable for finding in findings)
    if repair:
        return f"{mended} mended; {told} stay. What is lost is in the backup: see docs/operations.md, Restore"
    return f"{told}; {mendable} can be mended: postroom check --repair" if mendable else told


async def _check(site: Site, login: str, *, repair: bool, quiet: bool) -> tuple[list[Finding], list[Finding]]:
    """What was mended, and what is still wrong."""
    async with open_store(site) as store:
        account = await _account(store, login) if login else None
        findings = await _look(store, account, quiet=quiet)
        if not repair or not any(finding.mendable for finding in findings):
            return [], findings
        await store.repair(account)
        left = await _look(store, account, quiet=quiet)
        return [finding for finding in findings if finding not in left], left


async def _account(store: Store, login: str) -> str:
    for row in await store.directory.accounts():
        if row.login == login.lower():
            return row.id
    raise CommandFailed(Exit.NOT_FOUND, f"there is no account {login}")


async def _look(store: Store, account: str | None, *, quiet: bool) -> list[Finding]:
    show = account is None and sys.stderr.isatty() and not quiet

    def progress(number: int, of: int) -> None:
        if show:
            click.echo(f"\r\x1b[Kaccount {number} of {of}", nl=False, err=True)

    findings = [finding async for finding in store.check(account, progress)]
    if show:
        click.echo("\r\x1b[K", nl=False, err=True)
    return findings
