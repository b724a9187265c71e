"""`postroom report`: what others report about our domains, and what we report to others."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

import click

from postroom.cli.amounts import parse_span
from postroom.cli.codes import CommandFailed, Exit
from postroom.cli.output import counted, emit_json, json_option, moment, octets, say, table
from postroom.cli.site import Site, config_option, find_site, open_store, poke, run

if TYPE_CHECKING:
    from postroom.app.dmarc_view import View
    from postroom.app.tls_view import TlsView
    from postroom.store.api import KeptReport, Store

F = TypeVar("F", bound=Callable[..., Any])
_DAY = 86400.0
_SHOWN = 20


@click.group(short_help="Reports about mail: received and sent.")
def command() -> None:
    """What other servers report about mail and connections of your domains, and what yours reports to them.

    Reports come to dmarc-reports@, tls-reports@ and feedback-reports@ of each hosted domain.
    """


def _since_options(function: F) -> F:
    for option in (
        click.option("--unproven", is_flag=True, help="Count reports whose sender is not proven, too."),
        click.option("--since", default="30d", help="How far back: 7d, 30d. [30d]"),
    ):
        function = option(function)
    return function


async def _domains(store: Store, domain: str | None) -> list[str]:
    """The domain, or all of them. Raises CommandFailed."""
    if domain is None:
        return sorted(row.name for row in await store.directory.domains())
    row = await store.directory.domain(domain.lower())
    if row is None:
        raise CommandFailed(Exit.NOT_FOUND, f"{domain} is not hosted here", "See them: postroom domain list")
    return [row.name]


def _opened(kept: Sequence[KeptReport], kind: type[Any]) -> list[tuple[KeptReport, Any]]:
    """Those that can be read, each once, whoever sent it."""
    from postroom.delivery.report_reading import unpack

    found: dict[tuple[str, str], tuple[KeptReport, Any]] = {}
    for one in sorted(kept, key=lambda one: not one.proven):
        try:
            found.setdefault((one.org, one.id), (one, unpack(one.data, kind)))
        except ValueError as fault:
            say(f"a report of {one.org} cannot be read: {fault}")
    return list(found.values())


def _reporter(kept: KeptReport) -> str:
    return kept.proven or f"{kept.org or '?'} (unproven)"


def _query(kind: str, domain: str, since: str, *, unproven: bool) -> Any:
    from postroom.store.api import ReportQuery

    return ReportQuery(kind=kind, domain=domain, since=time.time() - parse_span(since), unproven=unproven)


# received


@command.command(short_help="Who sends as your domains, with and without proof.")
@click.argument("domain", required=False)
@_since_options
@click.option("--no-dns", is_flag=True, help="Do not look up who the addresses are.")
@json_option
@config_option
def dmarc(domain: str | None, since: str, unproven: bool, no_dns: bool, as_json: bool, config_file: str | None) -> None:
    """Sum up DMARC reports by source: how much mail came from where, what was proven, and what to do about it."""
    site = find_site(config_file)

    async def work() -> list[View]:
        from postroom.mailauth.dmarc.aggregate import Aggregate

        async with open_store(site) as store:
            found = {}
            for name in await _domains(store, domain):
                kept = await store.reports.find(_query("dmarc", name, since, unproven=unproven))
                found[name] = [(_reporter(one), report) for one, report in _opened(kept, Aggregate)]
        return [await _dmarc_view(site, name, told, ask=not no_dns) for name, told in found.items()]

    views = run(work())
    if as_json:
        emit_json(domains=[_dmarc_plain(one) for one in views])
        return
    for view in views:
        _print_dmarc(view)


async def _dmarc_view(site: Site, domain: str, told: Sequence[tuple[str, Any]], *, ask: bool) -> View:
    from postroom.app.dmarc_view import Known, addresses, view
    from postroom.app.facts import resolver
    from postroom.cli.report_names import look_up, own_addresses

    known = Known(own=own_addresses(site.config))
    if ask and told:
        dns = resolver(site.config)
        try:
            known = await look_up(dns, site.config, domain, addresses(report for _, report in told))
        finally:
            dns.close()
    return view(domain, told, known)


def _dmarc_plain(view: View) -> dict[str, Any]:
    from postroom.app.dmarc_view import advice, sentences

    return {
        "domain": view.domain,
        "reports": view.reports,
        "since": view.since,
        "until": view.until,
        "messages": view.messages,
        "unproven": view.unproven,
        "policy": view.published.policy if view.published else None,
        "reporters": dict(view.reporters),
        "sources": [
            {
                "ip": one.ip,
                "name": one.who,
                "own": one.own,
                "allowed_by": one.allowed,
                "messages": one.count,
                "proven": one.proven,
                "spf": one.spf,
                "dkim": one.dkim,
                "forwarded": one.forwarded,
                "dispositions": dict(one.dispositions),
                "reporters": sorted(one.reporters),
                "proves_instead": sorted(one.signers | one.senders),
            }
            for one in view.sources
        ],
        "sentences": sentences(view),
        "advice": advice(view),
    }


def _print_dmarc(view: View) -> None:
    from postroom.app.dmarc_view import advice, sentences

    if not view.reports:
        click.echo(f"{view.domain}: {advice(view)}")
        return
    click.echo(
        f"{view.domain}: {counted(view.messages, 'message')}, {view.unproven:,} without proof; "
        f"{counted(view.reports, 'report')} of {', '.join(list(view.reporters)[:5])}, {_days(view.since, view.until)}\n"
    )
    table(
        ("SOURCE", "NAME", "MESSAGES", "PROVEN", "SPF", "DKIM", "DONE"),
        [
            (one.ip, _name(one.own, one.who or one.allowed), one.count, one.proven, one.spf, one.dkim, _done(one))
            for one in view.sources[:_SHOWN]
        ],
    )
    if len(view.sources) > _SHOWN:
        click.echo(f"… and {len(view.sources) - _SHOWN} more; all of them: --json")
    click.echo()
    for line in sentences(view)[:_SHOWN]:
        click.echo(f"- {line}")
    click.echo(f"\n{advice(view)}\n")


def _name(own: bool, who: str) -> str:
    return f"{who or '-'}{' (your server)' if own else ''}"


def _done(one: Any) -> str:
    return ", ".join(f"{name} {count}" for name, count in one.dispositions.most_common())


def _days(since: float, until: float) -> str:
    first, last = (datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d") for at in (since, until))
    return first if first == last else f"{first} to {last}"


@command.command(short_help="How connections to your servers were protected.")
@click.argument("domain", required=False)
@_since_options
@json_option
@config_option
def tls(domain: str | None, since: str, unproven: bool, as_json: bool, config_file: str | None) -> None:
    """Sum up TLS reports: sessions that were fine, those that failed, why, and how to mend it."""
    site = find_site(config_file)

    async def work() -> list[TlsView]:
        from postroom.app.tls_view import view
        from postroom.message.tlsrpt import TlsReport

        async with open_store(site) as store:
            views = []
            for name in await _domains(store, domain):
                kept = await store.reports.find(_query("tls", name, since, unproven=unproven))
                views.append(view(name, [(_reporter(one), told) for one, told in _opened(kept, TlsReport)]))
            return views

    views = run(work())
    if as_json:
        emit_json(domains=[_tls_plain(one) for one in views])
        return
    for one in views:
        _print_tls(one)


def _tls_plain(view: TlsView) -> dict[str, Any]:
    return {
        "domain": view.domain,
        "reports": view.reports,
        "since": view.since,
        "until": view.until,
        "successes": view.successes,
        "failures": view.failed,
        "policies": {name: {"successes": good, "failures": bad} for name, (good, bad) in view.policies.items()},
        "reporters": dict(view.reporters),
        "details": [
            {
                "type": one.type,
                "mx": one.mx,
                "sessions": one.count,
                "reporters": list(one.senders),
                "info": one.info,
                "fix": one.fix.replace("DOMAIN", view.domain),
            }
            for one in view.failures
        ],
    }


def _print_tls(view: TlsView) -> None:
    if not view.reports:
        click.echo(f"{view.domain}: No reports yet. They come a day after the TLSRPT record is published.")
        return
    click.echo(
        f"{view.domain}: {view.successes:,} sessions were fine, {view.failed:,} failed; "
        f"{counted(view.reports, 'report')} of {', '.join(list(view.reporters)[:5])}, {_days(view.since, view.until)}"
    )
    if not view.failures:
        return
    click.echo()
    rows = [(one.type, one.mx or "-", one.count, ", ".join(one.senders[:3])) for one in view.failures[:_SHOWN]]
    table(("FAILURE", "SERVER", "SESSIONS", "TOLD BY"), rows)
    click.echo()
    for name, fix in {one.type: one.fix for one in view.failures[:_SHOWN]}.items():
        click.echo(f"- {name}: {fix.replace('DOMAIN', view.domain)}")
    click.echo()


@command.command(short_help="Complaints of readers, and failures, message by message.")
@click.argument("domain", required=False)
@_since_options
@json_option
@config_option
def feedback(domain: str | None, since: str, unproven: bool, as_json: bool, config_file: str | None) -> None:
    """List feedback reports: complaints (RFC 5965) and failures of authentication (RFC 6591), newest first."""
    site = find_site(config_file)

    async def work() -> list[tuple[KeptReport, Any]]:
        from postroom.message.feedback import Feedback

        async with open_store(site) as store:
            found = []
            for name in await _domains(store, domain):
                found += await store.reports.find(_query("feedback", name, since, unproven=unproven))
        return sorted(_opened(found, Feedback), key=lambda one: -one[0].received)

    rows = run(work())
    if as_json:
        import msgspec

        emit_json(
            feedback=[
                {"received": kept.received, "domain": kept.domain, "proven": kept.proven, **msgspec.to_builtins(told)}
                for kept, told in rows
            ]
        )
        return
    table(
        ("RECEIVED", "KIND", "FROM", "SOURCE", "SENDER", "RECIPIENT", "SUBJECT"),
        [
            (
                moment(kept.received),
                told.failure or told.type,
                _reporter(kept),
                told.source_ip or "-",
                told.mail_from or told.author or "-",
                ", ".join(told.rcpt_to[:2]) or "-",
                told.subject[:60],
            )
            for kept, told in rows
        ],
        none="no feedback",
    )


# sent


@command.command(short_help="Send a day's reports now, or show what would go.")
@click.option("--day", help="The day (UTC), YYYY-MM-DD. [yesterday]")
@click.option("--dry-run", is_flag=True, help="Only show what would go, and what has gone.")
@json_option
@config_option
def send(day: str | None, dry_run: bool, as_json: bool, config_file: str | None) -> None:
    """Send the reports about a day to the domains that asked for them.

    The running server does this by itself some hours after midnight (UTC). No report leaves twice.
    """
    site = find_site(config_file)
    name = _past_day(day)
    if not dry_run:
        answers = poke(site, "reports", day=name)
        if not answers:
            raise CommandFailed(Exit.UNREACHABLE, "no server runs here", "See what would go: --dry-run")
        if not any(answer.get("done") for answer in answers):
            raise CommandFailed(Exit.TRY_LATER, "the server is making reports already")
        if as_json:
            emit_json(day=name, asked=True)
        say(f"The server sends the reports about {name} now. See them: postroom report send --day {name} --dry-run")
        return
    rows = run(_would_go(site, name))
    if as_json:
        emit_json(day=name, reports=rows)
        return
    heads = ("KIND", "DOMAIN", "TO", "MESSAGES", "SIZE", "STATE")
    table(
        heads,
        [(row["kind"], row["domain"], _to(row), row["messages"], _size(row), row["state"]) for row in rows],
        none=f"nothing to report about {name}",
    )


def _past_day(day: str | None) -> str:
    from postroom.queue.daily import ReportDay

    today = ReportDay.of(time.time())
    if day is None:
        return today.before(1).name
    try:
        found = ReportDay.named(day)
    except ValueError:
        raise click.BadParameter(f"{day!r} is no day; write 2026-01-31", param_hint="--day") from None
    if found.begin >= today.begin:
        raise click.BadParameter(f"{day} is not over yet (UTC)", param_hint="--day")
    return found.name


def _to(row: dict[str, Any]) -> str:
    return ", ".join(row["to"]) or "-"


def _size(row: dict[str, Any]) -> str:
    return octets(row["octets"]) if row["octets"] else "-"


async def _would_go(site: Site, name: str) -> list[dict[str, Any]]:
    from postroom.app.daily import CannotReport, submitter
    from postroom.app.facts import resolver
    from postroom.app.reporters import makers
    from postroom.queue.daily import ReportDay, Unsent

    poke(site, "flush")
    rows = []
    dns = resolver(site.config)
    try:
        async with open_store(site) as store:
            who = await submitter(site.config, store)
            for maker in makers(store, dns):
                sent = {one.name: one for one in await store.reports.sent(maker.kind, name)}
                async for one in maker.reports(ReportDay.named(name), who):
                    row: dict[str, Any] = {"kind": maker.kind, "domain": one.name}
                    if isinstance(one, Unsent):
                        row |= {"to": [], "messages": 0, "octets": 0, "state": f"not sent: {one.reason}"}
                    else:
                        state = "sent" if one.name in sent and sent[one.name].queued else "would go"
                        to = [*one.to, *one.post]
                        row |= {"to": to, "messages": one.messages, "octets": len(one.octets), "state": state}
                    rows.append(row)
    except CannotReport as fault:
        raise CommandFailed(Exit.FAILED, str(fault)) from fault
    finally:
        dns.close()
    return rows
