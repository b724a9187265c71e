"""`postroom rules`: what people want done with their mail, without writing Sieve."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from postroom.cli.codes import CommandFailed, Exit
from postroom.cli.output import emit_json, json_option, say
from postroom.cli.sieve import scripts_of
from postroom.cli.sieve_text import read_file
from postroom.cli.site import config_option, find_site, poke, run

if TYPE_CHECKING:  # --help has 150 ms
    from postroom.mailbox.scripts import Scripts
    from postroom.sieve.rules import Rules
    from postroom.store.api import AccountStore


@click.group(name="rules", short_help="Rules, answers while away, forwarding.")
def command() -> None:
    """What an account wants done with its mail: if … then …, an answer while away, forwarding.

    They are kept as the Sieve script "rules" and read back from it; a client may look at it too.
    """


_file = click.Path(exists=True, dir_okay=False, allow_dash=True)
_replace = click.option("--replace", is_flag=True, help="Even when another script sorts the mail now.")


async def _load(account: str, scripts: Scripts) -> Rules:
    from postroom.sieve.rules import SCRIPT, NotRules, Rules, read
    from postroom.store.api import NotFound

    try:
        return read((await scripts.get(SCRIPT)).decode("utf-8", "replace"))
    except NotFound:
        return Rules()
    except NotRules as fault:
        advice = f"Keep it under another name: postroom sieve rename {account} {SCRIPT} NAME"
        raise CommandFailed(Exit.FAILED, f"the script {SCRIPT} of {account} is not ours: {fault}", advice) from fault


async def _keep(account: str, kept: AccountStore, scripts: Scripts, rules: Rules, *, replace: bool) -> None:
    from postroom.sieve.faults import BadScript
    from postroom.sieve.rules import SCRIPT, BadRules, check_forwards, write

    active = (await kept.filters.filter()).active
    if active not in ("", SCRIPT) and not replace:
        advice = "With --replace rules sort it instead; the script is kept."
        raise CommandFailed(Exit.FAILED, f"the script {active} sorts the mail of {account}", advice)
    try:
        check_forwards(rules, account, scripts.limits.redirects)
        _check_mailboxes(rules)
        await scripts.put(SCRIPT, write(rules).encode())
    except BadRules as fault:
        raise CommandFailed(Exit.USAGE, str(fault)) from fault
    except BadScript as fault:
        raise CommandFailed(Exit.USAGE, fault.faults[0].text, fault.faults[0].advice) from fault
    if active != SCRIPT:
        await scripts.activate(SCRIPT)


def _check_mailboxes(rules: Rules) -> None:
    """Raises BadRules for a mailbox that cannot be made."""
    from postroom.mailbox.errors import BadName
    from postroom.mailbox.names import check
    from postroom.sieve.rules import BadRules

    for name in [one.value for rule in rules.rules for one in rule.then if one.what == "file"]:
        try:
            check(name)
        except BadName as fault:
            raise BadRules(f"{name!r} cannot be the name of a mailbox: {fault}") from None


def _change(config_file: str | None, account: str, change: Callable[[Rules], Rules], *, replace: bool) -> Rules:
    site = find_site(config_file)

    async def work() -> Rules:
        async with scripts_of(site, account) as (_, kept, scripts):
            rules = change(await _load(account, scripts))
            await _keep(account, kept, scripts, rules, replace=replace)
            return rules

    rules = run(work())
    poke(site, "directory")
    return rules


def _tell(rules: Rules, account: str, as_json: bool, *, active: bool = True) -> None:
    import msgspec

    from postroom.cli.rules_text import printed

    if as_json:
        emit_json(account=account, active=active, rules=msgspec.to_builtins(rules))
        return
    for text in printed(rules):
        click.echo(text)
    if rules == type(rules)():
        say(f"{account} has no rules")
    elif not active:
        say("they are not active")


@command.command(short_help="Print an account's rules.")
@click.argument("account")
@config_option
@json_option
def show(account: str, as_json: bool, config_file: str | None) -> None:
    """Print an account's rules, in the order they are done."""
    site = find_site(config_file)

    async def work() -> tuple[Rules, bool]:
        from postroom.sieve.rules import SCRIPT

        async with scripts_of(site, account) as (_, kept, scripts):
            return await _load(account, scripts), (await kept.filters.filter()).active == SCRIPT

    rules, active = run(work())
    _tell(rules, account, as_json, active=active)


@command.command("set", short_help="Take all rules from a file.")
@click.argument("account")
@click.argument("file", type=_file)
@_replace
@config_option
@json_option
def set_(account: str, file: str, replace: bool, as_json: bool, config_file: str | None) -> None:
    """Take all of an account's rules from a file, or - for standard input: the field `rules` of show --json."""
    import msgspec

    from postroom.sieve.rules import Rules

    try:
        rules = msgspec.json.decode(read_file(file), type=Rules)
    except (msgspec.DecodeError, UnicodeDecodeError) as fault:
        raise CommandFailed(Exit.USAGE, f"{file}: {fault}") from fault
    _tell(_change(config_file, account, lambda _: rules, replace=replace), account, as_json)


@command.command(short_help="Add a rule.")
@click.argument("account")
@click.argument("name")
@click.option("--if", "when", multiple=True, metavar="CONDITION", help="FIELD [not] OP VALUE; may be repeated.")
@click.option("--then", "then", multiple=True, required=True, metavar="DEED", help="What is done; may be repeated.")
@click.option("--any", "any_", is_flag=True, help="One of the conditions is enough.")
@click.option("--go-on", is_flag=True, help="Later rules are looked at too.")
@click.option("--off", is_flag=True, help="Keep it, but do not use it yet.")
@click.option("--first", is_flag=True, help="Before the other rules.")
@_replace
@config_option
@json_option
def add(account: str, name: str, replace: bool, as_json: bool, config_file: str | None, **o: Any) -> None:
    """Add a rule, in place of one of this name.

    \b
    FIELD is from, to, subject, list or header:NAME, OP contains, is or matches;
    or: domain is, body contains, size over, size under.
    DEED is file MAILBOX, flag FLAG, forward ADDRESS, forward-only ADDRESS,
    reject TEXT, discard or keep.

    \b
    Example:
      postroom rules add ann@example.org python \\
        --if "list contains python.org" --then "file Lists/Python"
    """
    from msgspec.structs import replace as changed

    from postroom.cli.rules_text import condition, deed
    from postroom.sieve.rules import Rule

    when, then = tuple(condition(text) for text in o["when"]), tuple(deed(text) for text in o["then"])
    rule = Rule(name=name, when=when, then=then, any=o["any_"], stop=not o["go_on"], on=not o["off"])

    def change(rules: Rules) -> Rules:
        places = [place for place, each in enumerate(rules.rules) if each.name == name]
        others = [each for each in rules.rules if each.name != name]
        others.insert(0 if o["first"] else places[0] if places else len(others), rule)
        return changed(rules, rules=tuple(others))

    _tell(_change(config_file, account, change, replace=replace), account, as_json)


@command.command(short_help="Remove a rule.")
@click.argument("account")
@click.argument("name")
@_replace
@config_option
@json_option
def rm(account: str, name: str, replace: bool, as_json: bool, config_file: str | None) -> None:
    """Remove a rule of an account."""
    from msgspec.structs import replace as changed

    def change(rules: Rules) -> Rules:
        others = tuple(each for each in rules.rules if each.name != name)
        if len(others) == len(rules.rules):
            raise CommandFailed(Exit.NOT_FOUND, f"there is no rule {name}", f"See: postroom rules show {account}")
        return changed(rules, rules=others)

    _tell(_change(config_file, account, change, replace=replace), account, as_json)


@command.command(short_help="Answer while away.")
@click.argument("account")
@click.option("--text", type=_file, help="What is answered; - for standard input.")
@click.option("--outside", type=_file, help="What is answered to others than colleagues.")
@click.option("--domain", "domains", multiple=True, help="Who writes from here is a colleague; may be repeated.")
@click.option("--subject", default="", help="Of the answer.")
@click.option("--from", "start", default="", metavar="DAY", help="The first day, as 2026-12-24.")
@click.option("--until", default="", metavar="DAY", help="The last day.")
@click.option("--days", default=7, show_default=True, help="The same sender is answered again after so many days.")
@click.option("--address", "addresses", multiple=True, help="Another address of this person; may be repeated.")
@click.option("--off", is_flag=True, help="No answers any more.")
@_replace
@config_option
@json_option
def away(account: str, replace: bool, as_json: bool, config_file: str | None, **o: Any) -> None:
    """Answer mail while a person is away: once to each sender, never to lists and programs.

    With --outside colleagues, who write from one of the domains, get another text than all the others; the account's
    own domain is taken when none is given.
    """
    from msgspec.structs import replace as changed

    from postroom.sieve.rules import Away

    if bool(o["text"]) == o["off"]:
        raise click.UsageError("Give a --text, or say --off.")
    new: Away | None = None
    if o["text"]:
        text, outside = (
            read_file(o[name]).decode("utf-8", "replace") if o[name] else "" for name in ("text", "outside")
        )
        domains = o["domains"] or ((account.rpartition("@")[2],) if outside else ())
        taken = {name: o[name] for name in ("subject", "start", "until", "days", "addresses")}
        new = Away(text=text, outside=outside, domains=domains, **taken)
    _tell(_change(config_file, account, lambda rules: changed(rules, away=new), replace=replace), account, as_json)


@command.command(short_help="Forward all mail.")
@click.argument("account")
@click.argument("addresses", nargs=-1)
@click.option("--only", is_flag=True, help="Nothing is kept here.")
@click.option("--off", is_flag=True, help="Nothing is forwarded any more.")
@_replace
@config_option
@json_option
def forward(
    account: str, addresses: tuple[str, ...], replace: bool, as_json: bool, config_file: str | None, **o: Any
) -> None:
    """Forward all mail of an account to other addresses; it is kept here too, unless --only is said."""
    from msgspec.structs import replace as changed

    from postroom.sieve.rules import Forward

    if bool(addresses) == o["off"]:
        raise click.UsageError("Give addresses, or say --off.")
    new = Forward(to=addresses, copy=not o["only"]) if addresses else None
    _tell(_change(config_file, account, lambda rules: changed(rules, forward=new), replace=replace), account, as_json)
