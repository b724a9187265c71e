"""`postroom dns`: what to publish for a hosted domain, whether the DNS shows it, and the domain's DKIM keys."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from postroom.cli.codes import Exit
from postroom.cli.output import emit_json, json_option, moment, record, say, table
from postroom.cli.people import directory
from postroom.cli.site import Site, config_option, find_site, run

if TYPE_CHECKING:
    from postroom.identity.records import Record
    from postroom.identity.records import Site as Facts
    from postroom.identity.records_check import Finding
    from postroom.store.api import SigningKeyRow

_MARKS = {"ok": "ok", "missing": "MISSING", "different": "WRONG", "unknown": "?"}


@click.group(short_help="DNS records of hosted domains.")
def command() -> None:
    """What to publish for a hosted domain, and whether the DNS shows it."""


async def _wanted(site: Site, name: str) -> tuple[str, list[Record], Facts]:
    from postroom.app.facts import site_facts
    from postroom.identity.records import records
    from postroom.identity.rotation import published

    async with directory(site) as (people, store):
        domain = (await people.domain(name)).name
        keys = published(await store.directory.signing_keys(domain))
    facts = site_facts(site.config)
    return domain, records(domain, keys, facts), facts


@command.command()
@click.argument("domain")
@click.option(
    "--form",
    type=click.Choice(["rows", "zone"]),
    default="rows",
    help="rows: as a provider's web form asks for them; zone: lines for a zone file. [rows]",
)
@json_option
@config_option
def show(domain: str, form: str, as_json: bool, config_file: str | None) -> None:
    """Print every record to publish for a domain."""
    from postroom.identity.records import provider_rows, zone_file

    name, wanted, _ = run(_wanted(find_site(config_file), domain))
    if as_json:
        emit_json(
            domain=name,
            records=[{**asdict(one), "zone_value": one.zone_value()} for one in wanted],
        )
    elif form == "zone":
        click.echo(zone_file(name, wanted), nl=False)
    else:
        rows = provider_rows(name, wanted)
        table(
            ("NEED", "TYPE", "NAME", "PRIORITY", "VALUE"),
            [(one.need, *row) for one, row in zip(wanted, rows, strict=True)],
        )
        say(f"When they are published: postroom dns check {name}")


@command.command(short_help="Compare with what the DNS says.")
@click.argument("domain")
@json_option
@config_option
def check(domain: str, as_json: bool, config_file: str | None) -> None:
    """Compare with what the DNS says; each difference with its cause and the fix.

    Exit code 1 when something that must be there is missing or wrong, 75 when the DNS did not answer.
    """
    from postroom.app.facts import resolver
    from postroom.identity.records_check import check as compare

    site = find_site(config_file)

    async def work() -> tuple[str, list[Finding]]:
        name, wanted, facts = await _wanted(site, domain)
        dns = resolver(site.config)
        try:
            return name, await compare(dns, name, wanted, facts)
        finally:
            dns.close()

    name, findings = run(work())
    if as_json:
        emit_json(domain=name, ok=not _bad(findings), findings=[asdict(one) for one in findings])
    else:
        _print_findings(findings)
    if _bad(findings):
        sys.exit(Exit.FAILED)
    if any(one.state == "unknown" for one in findings):
        sys.exit(Exit.TRY_LATER)


def _bad(findings: list[Finding]) -> bool:
    return any(one.need == "must" and one.state in ("missing", "different") for one in findings)


def _print_findings(findings: list[Finding]) -> None:
    table(("STATE", "NEED", "TYPE", "NAME"), [(_MARKS[one.state], one.need, one.type, one.name) for one in findings])
    for one in findings:
        if one.cause:
            click.echo(f"\n{one.name} {one.type}: {one.cause}")
            if one.fix:
                click.echo(f"  {one.fix}")
    wrong = [one.need for one in findings if one.state in ("missing", "different")]
    needed = sum(need != "may" for need in wrong)
    optional = f"; {len(wrong) - needed} more may be published" if len(wrong) > needed else ""
    say(f"\n{len(findings)} records, {f'{needed} to mend' if needed else 'all is well'}{optional}")


@command.command()
@click.argument("domain")
@json_option
@config_option
def keys(domain: str, as_json: bool, config_file: str | None) -> None:
    """List a domain's DKIM keys and what they do now."""
    site = find_site(config_file)

    async def work() -> tuple[SigningKeyRow, ...]:
        async with directory(site) as (people, store):
            return await store.directory.signing_keys((await people.domain(domain)).name)

    rows = [_plain(row) for row in run(work())]
    if as_json:
        emit_json(keys=rows)
        return
    table(
        ("SELECTOR", "ALGORITHM", "STATE", "SINCE"),
        [(row["selector"], row["algorithm"], row["state"], moment(row["since"])) for row in rows],
        none=f"no keys yet; make them: postroom dns rotate {domain}",
    )


def _plain(row: SigningKeyRow) -> dict[str, Any]:
    return {"selector": row.selector, "algorithm": row.algorithm, "state": row.state.value, "since": row.since}


@command.command()
@click.argument("domain")
@click.option("--now", is_flag=True, help="Sign with the waiting keys at once, without waiting for the DNS.")
@json_option
@config_option
def rotate(domain: str, now: bool, as_json: bool, config_file: str | None) -> None:
    """Make new DKIM keys for a domain.

    They sign once the DNS shows them (the running server looks every hour); the old ones stay published some days.
    """
    from postroom.identity.rotation import Rotation
    from postroom.values.clock import SystemClock

    site = find_site(config_file)

    async def work() -> tuple[str, tuple[SigningKeyRow, ...]]:
        async with directory(site, changes=True) as (people, store):
            name = (await people.domain(domain)).name
            rotation = Rotation(store.directory, site.config.signing, SystemClock())
            rows = await rotation.begin(name)
            return name, await rotation.switch(name) if now else rows

    name, rows = run(work())
    if as_json:
        emit_json(domain=name, keys=[_plain(row) for row in rows])
        return
    record([(row.selector, row.state.value) for row in rows])
    say(f"Publish them: postroom dns show {name}")
