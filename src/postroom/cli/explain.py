"""`postroom explain`: why SPF, DKIM, ARC or DMARC says what it says, step by step.

For a person: a message file or values, asked of the live DNS or of a zone file. For programs: --json, or --batch (see
explain_batch). Nothing is changed anywhere, and no server needs to run.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from postroom.cli.codes import CommandFailed, Exit
from postroom.cli.output import emit_json, json_option, record
from postroom.cli.site import PLACES, config_option, find_site, run

if TYPE_CHECKING:
    from postroom.cli.explain_message import Proofs
    from postroom.mailauth.dmarc import Identifier
    from postroom.values.dns import Dns

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")


@click.group(
    invoke_without_command=True, short_help="Why SPF, DKIM, ARC or DMARC says what it says; what TLS must prove."
)
@click.option("--batch", is_flag=True, help="Answer JSON lines from standard input; uses no network.")
@click.pass_context
def command(context: click.Context, batch: bool) -> None:
    """Why SPF, DKIM, ARC or DMARC says what it says, step by step.

    Asks the live DNS, or the zone data of a file (--zone). A message is a file as it was received; "-" is standard
    input. --batch is for programs; docs/operations.md describes its requests.
    """
    if batch:
        from postroom.cli.explain_batch import run_batch

        if context.invoked_subcommand:
            raise click.UsageError("--batch stands alone: each request names its check.")
        run_batch(sys.stdin.buffer, sys.stdout.buffer)
    elif context.invoked_subcommand is None:
        click.echo(context.get_help(), err=True)
        context.exit(Exit.USAGE)


def _together(*options: Callable[[F], F]) -> Callable[[F], F]:
    def all_of(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return all_of


_asked_of = _together(
    click.option("--zone", type=click.Path(dir_okay=False), help="A JSON file that stands for the DNS."),
    click.option("--dns", "servers", multiple=True, metavar="SERVER", help="DNS server to ask; may be repeated."),
    json_option,
    config_option,
)
_session = _together(
    click.option("--ip", default="", help="Address of the sending host."),
    click.option("--from", "sender", metavar="ADDRESS", help="Envelope sender; empty for the null sender."),
    click.option("--helo", default="", help="Name the host gave in EHLO."),
)
_MESSAGE = click.Path(dir_okay=False, allow_dash=True)


def _servers(options: dict[str, Any]) -> Sequence[str]:
    """--dns, else what the configuration says where there is one, else the system's."""
    from pathlib import Path

    if options["servers"]:
        return tuple(options["servers"])
    if options["config_file"] or any(Path(place).exists() for place in PLACES):
        return find_site(options["config_file"]).config.server.dns
    return ()


def _zone(path: str) -> Dns:
    import msgspec

    from postroom.mailauth.zone import BadZone, ZoneData

    try:
        with open(path, "rb") as file:
            return ZoneData(msgspec.json.decode(file.read()))
    except (msgspec.DecodeError, BadZone) as fault:
        raise CommandFailed(Exit.FAILED, f"{path} is no zone data: {fault}") from fault


def _ask(options: dict[str, Any], work: Callable[[Dns], Coroutine[Any, Any, T]]) -> T:
    """Run a check with the DNS that the options name."""
    if options["zone"]:
        return run(work(_zone(options["zone"])))
    servers = _servers(options)

    async def live() -> T:
        from postroom.net.resolver import Resolver
        from postroom.values.clock import SystemClock

        try:
            resolver = Resolver(servers, SystemClock())
        except ValueError as fault:
            raise click.BadParameter(str(fault), param_hint="--dns") from fault
        try:
            return await work(resolver)
        finally:
            resolver.close()

    return run(live())


def _tell(head: str, steps: Sequence[str], pairs: Sequence[tuple[str, object]]) -> None:
    """What was done, step by step, and what came of it."""
    click.echo(head)
    for number, step in enumerate(steps, 1):
        click.echo(f"{number:4}. {step}")
    click.echo()
    record([pair for pair in pairs if pair[1] != ""])


def _fields(found: object) -> dict[str, Any]:
    import msgspec

    fields: dict[str, Any] = msgspec.to_builtins(found, enc_hook=str)
    return fields


@command.command()
@click.argument("message", required=False, type=_MESSAGE)
@_session
@click.option("--receiver", default="unknown", help="Name of the receiving host, for the owner's explanation.")
@click.option("--identity", type=click.Choice(["mailfrom", "helo"]), default="mailfrom", help="What to check.")
@_asked_of
def spf(message: str | None, **options: Any) -> None:
    """May this host send for this domain? (RFC 7208)

    From a message, the address and the name of the host come from its first Received field and the sender from
    Return-Path; options override them.
    """
    import time

    from postroom.cli.explain_message import read_message, session_of
    from postroom.mailauth import spf as check

    facts = session_of(read_message(message)[0] if message else b"", options)
    now = int(time.time())

    async def work(dns: Dns) -> check.SpfResult:
        if options["identity"] == "helo":
            return await check.check_helo(dns, facts.ip, facts.helo, options["receiver"], now)
        return await check.check(dns, facts.ip, facts.helo, facts.sender or "", options["receiver"], now)

    try:
        found = _ask(options, work)
    except ValueError as fault:
        raise click.BadParameter(str(fault), param_hint="--ip") from fault
    if options["as_json"]:
        emit_json(check="spf", ip=facts.ip, helo=facts.helo, sender=facts.sender, **_fields(found))
        return
    who = f"<{facts.sender}>" if found.identity == "mailfrom" else f"the HELO name {facts.helo or '(none)'}"
    pairs = [
        ("result", found.result),
        ("because", found.reason),
        ("mechanism", found.mechanism),
        ("lookups", f"{found.lookups} of 10"),
        ("the owner says", found.explanation),
    ]
    _tell(f"May {facts.ip} send for {who}?", found.steps, pairs)


@command.command()
@click.argument("message", type=_MESSAGE)
@click.option("--time", "now", type=int, help="Unix seconds to check expiry at [default: now].")
@_asked_of
def dkim(message: str, now: int | None, **options: Any) -> None:
    """Who signed this message, and do the signatures hold? (RFC 6376)"""
    from postroom.cli.explain_message import read_message, signatures_of

    octets = read_message(message)
    found = _ask(options, lambda dns: signatures_of(octets, dns, now))
    if options["as_json"]:
        emit_json(check="dkim", results=[_fields(one) for one in found])
        return
    if not found:
        click.echo("The message is not signed.")
    for number, one in enumerate(found, 1):
        if number > 1:
            click.echo()
        pairs = [
            ("result", one.result),
            ("because", one.reason),
            ("key", f"{one.algorithm}, {one.key_bits} bits" if one.key_bits else ""),
        ]
        _tell(f"Signature {number}: {one.domain or '(no domain)'}, selector {one.selector or '-'}", one.steps, pairs)


@command.command()
@click.argument("message", type=_MESSAGE)
@click.option("--time", "now", type=int, help="Unix seconds to check expiry at [default: now].")
@_asked_of
def arc(message: str, now: int | None, **options: Any) -> None:
    """Who passed this message on, and do the seals hold? (RFC 8617)"""
    import time

    from postroom.cli.explain_message import read_message
    from postroom.mailauth.arc import ArcVerifier

    header, body = read_message(message)
    verifier = ArcVerifier(header)
    verifier.body(body)
    found = _ask(options, lambda dns: verifier.result(dns, int(time.time()) if now is None else now))
    if options["as_json"]:
        emit_json(check="arc", **_fields(found))
        return
    _tell("Does the chain of ARC seals hold?", found.steps, [("result", found.result), ("because", found.reason)])


@command.command()
@click.argument("message", required=False, type=_MESSAGE)
@click.option("--domain", default="", help="Without a message: the domain in From.")
@click.option("--spf", "by_spf", default="", metavar="RESULT:DOMAIN", help="Result of SPF, such as pass:example.org.")
@click.option("--dkim", multiple=True, metavar="RESULT:DOMAIN", help="Result of a signature; may be repeated.")
@_session
@_asked_of
def dmarc(message: str | None, **options: Any) -> None:
    """Is From proven, and what does its owner want? (RFC 9989)

    From a message, SPF and DKIM are checked first; without one, give --domain and the results.
    """
    from postroom.mailauth import dmarc as check

    asked = _message_proofs(message, options) if message else _given_proofs(options)

    async def work(dns: Dns) -> check.DmarcResult:
        proofs = await asked(dns)
        return await check.evaluate(dns, proofs.domain, proofs.spf, proofs.dkims)

    try:
        found = _ask(options, work)
    except ValueError as fault:
        raise click.BadParameter(str(fault), param_hint="--ip") from fault
    if options["as_json"]:
        emit_json(check="dmarc", **_fields(found))
        return
    pairs = [
        ("result", found.result),
        ("policy", f"{found.policy}{' (lowered by t=y)' if found.policy != found.requested else ''}"),
        ("because", found.reason),
        ("policy is at", f"_dmarc.{found.policy_domain}" if found.policy_domain else ""),
        ("organisation", found.organization),
    ]
    _tell(f"Is {found.domain} in From proven?", found.steps, pairs)


@command.command()
@click.argument("message", type=_MESSAGE)
@click.option("--for", "login", default="", metavar="LOGIN", help="As this person's filter would judge it.")
@click.option("--no-scanners", is_flag=True, help="Do not ask ClamAV and rspamd.")
@_asked_of
def spam(message: str, login: str, no_scanners: bool, **options: Any) -> None:
    """Is it spam, and why?

    Judged with the rules, training and lists of this site, as mail from outside would be. Give the message as it was
    delivered, or as `quarantine show --message` prints it: what was proven then (SPF, DKIM, DMARC) is in its fields.
    Each source of evidence is named, also where it says nothing; ClamAV and rspamd are asked where they are configured.
    """
    from postroom.cli.explain_message import read_message
    from postroom.cli.explain_spam import explain_spam, fate, plain

    site = find_site(options["config_file"])
    octets = b"".join(read_message(message))
    found = _ask(options, lambda dns: explain_spam(site, octets, login, dns, scanners=not no_scanners))
    if options["as_json"]:
        emit_json(**plain(found))
        return
    judgement = found.judgement
    score, (says, bounds) = judgement.told(), fate(judgement)
    names = ("junk", "quarantine", "refuse") if judgement.bounds else ("junk",)
    shown = [(f"{name} from", f"{getattr(bounds, name):g}" if getattr(bounds, name) else "never") for name in names]
    pairs = [("score", f"{score.points:g}"), *shown, ("so", says), *found.sources]
    _tell("Is it spam?", [str(one) for one in score.reasons], pairs)


@command.command()
@click.argument("domain")
@_asked_of
def tls(domain: str, **options: Any) -> None:
    """What must a domain's servers prove? (RFC 7672, RFC 8461)

    Asks for DANE records and fetches the MTA-STS policy, as sending to the domain would; no mail server is contacted.
    """
    from postroom.cli.explain_tls import explain_tls
    from postroom.values.address import BadAddress, parse_domain

    try:
        name = parse_domain(domain)
    except BadAddress as fault:
        raise click.BadParameter(str(fault), param_hint="DOMAIN") from fault
    found = _ask(options, lambda dns: explain_tls(dns, name, offline=bool(options["zone"])))
    if options["as_json"]:
        emit_json(check="tls", **_fields(found))
        return
    _tell(f"How is mail to {name} protected?", found.steps, [])


def _message_proofs(message: str, options: dict[str, Any]) -> Callable[[Dns], Coroutine[Any, Any, Proofs]]:
    """What a message proves. Where nobody knows the session, SPF is left out. Raises UsageError."""
    from postroom.cli.explain_message import envelope_of, proofs_of, read_message, session_of

    octets = read_message(message)
    known = envelope_of(octets[0])
    facts = session_of(octets[0], options) if options["ip"] or (known.ip and known.sender is not None) else None
    return lambda dns: proofs_of(octets, facts, dns)


def _given_proofs(options: dict[str, Any]) -> Callable[[Dns], Coroutine[Any, Any, Proofs]]:
    from postroom.cli.explain_message import Proofs

    if not options["domain"]:
        raise click.UsageError("Give a message, or --domain with --spf and --dkim.")
    by_spf = _identifier(options["by_spf"], "--spf") if options["by_spf"] else None
    dkims = tuple(_identifier(one, "--dkim") for one in options["dkim"])

    async def given(_: Dns) -> Proofs:
        return Proofs(options["domain"], by_spf, dkims)

    return given


def _identifier(text: str, option: str) -> Identifier:
    from postroom.mailauth.dmarc import Identifier

    result, colon, domain = text.partition(":")
    if not colon or not result or not domain:
        raise click.BadParameter("write RESULT:DOMAIN, such as pass:example.org", param_hint=option)
    return Identifier(result.lower(), domain)
