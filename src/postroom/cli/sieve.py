"""`postroom sieve`: the scripts that sort people's mail."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from postroom.cli import sieve_site
from postroom.cli.codes import CommandFailed, Exit
from postroom.cli.output import counted, emit_json, json_option, line, moment, octets, say, table
from postroom.cli.people import shared_mail
from postroom.cli.sieve_text import SCRIPT_FILE, faults_told, plain, read_file, told
from postroom.cli.site import Site, config_option, find_site, poke, run

if TYPE_CHECKING:  # --help has 150 ms
    from postroom.cli.sieve_trial import Event
    from postroom.mailbox.scripts import Scripts
    from postroom.sieve.faults import Fault
    from postroom.sieve.run import Limits
    from postroom.store.api import AccountRow, AccountStore

_SHOWN = 80


@click.group(name="sieve", short_help="Filters of people's mail.")
def command() -> None:
    """Scripts (Sieve, RFC 5228) that sort an account's mail. One of them at most is active."""


command.add_command(sieve_site.command)


def limits_of(site: Site) -> Limits:
    """How much a script may do here."""
    from postroom.app.sieve import sieve_limits

    return sieve_limits(site.config)


@asynccontextmanager
async def scripts_of(site: Site, login: str) -> AsyncIterator[tuple[AccountRow, AccountStore, Scripts]]:
    """An account's scripts, to be changed; what goes wrong is told as commands tell it."""
    from postroom.cli.people import directory
    from postroom.mailbox.scripts import BadScriptName, Scripts
    from postroom.store.api import NotFound, OverQuota, ScriptActive, ScriptExists, ScriptLimits, TooManyScripts

    kept = ScriptLimits(count=site.config.sieve.scripts, octets=site.config.sieve.storage)
    async with directory(site, changes=True) as (people, store):
        row = await people.account(login)
        account = await store.account(row.id)
        advice = f"See: postroom sieve list {row.login}"
        try:
            yield row, account, Scripts(account, store.directory, limits_of(site), kept)
        except NotFound as fault:
            raise CommandFailed(Exit.NOT_FOUND, str(fault), advice) from fault
        except ScriptExists as fault:
            raise CommandFailed(Exit.NO_CHANGE, f"there is a script {fault} already", advice) from fault
        except ScriptActive as fault:
            off = f"Switch it off first: postroom sieve activate {row.login} --none"
            raise CommandFailed(Exit.FAILED, f"{fault} is active", off) from fault
        except BadScriptName as fault:
            raise CommandFailed(Exit.USAGE, str(fault)) from fault
        except (TooManyScripts, OverQuota) as fault:
            raise CommandFailed(Exit.FAILED, str(fault), "Remove scripts that are not used any more.") from fault


@command.command(short_help="Say what is wrong with a script.")
@click.argument("what", metavar="FILE|ACCOUNT")
@click.argument("name", required=False, default="")
@config_option
@json_option
def check(what: str, name: str, as_json: bool, config_file: str | None) -> None:
    """Say what is wrong with a script, each fault with its line and column.

    FILE is a file, or - for standard input. With the log-in of an account its active script is looked at, or the one
    that is named. Ends with 1 when there are faults.
    """
    where = what
    if what == "-" or Path(what).is_file():
        from postroom.sieve.compiler import check as faults_of

        faults = faults_of(read_file(what))
    elif "@" not in what:
        advice = "Give a file, - for standard input, or the log-in of an account."
        raise CommandFailed(Exit.NOT_FOUND, f"there is no file {what}", advice)
    else:
        site = find_site(config_file)

        async def work() -> tuple[str, tuple[Fault, ...]]:
            async with scripts_of(site, what) as (_, account, scripts):
                chosen = name or (await account.filters.filter()).active
                if not chosen:
                    raise CommandFailed(Exit.NOT_FOUND, f"{what} has no active script")
                return chosen, await scripts.faults(await scripts.get(chosen))

        where, faults = run(work())
    if as_json:
        emit_json(ok=not faults, faults=plain(faults))
    elif faults:
        told(faults, where)
    else:
        say("nothing is wrong with it")
    if faults:
        raise SystemExit(Exit.FAILED)


@command.command(short_help="Keep a script.")
@click.argument("account")
@click.argument("name")
@click.argument("file", type=SCRIPT_FILE)
@click.option("--activate", is_flag=True, help="It sorts mail from now on.")
@config_option
@json_option
def put(account: str, name: str, file: str, activate: bool, as_json: bool, config_file: str | None) -> None:
    """Keep a script of an account under a name, in place of one of this name. A script with faults is not taken."""
    site, text = find_site(config_file), read_file(file)

    async def work() -> None:
        async with scripts_of(site, account) as (_, _, scripts):
            await scripts.put(name, text)
            if activate:
                await scripts.activate(name)

    with faults_told(file, as_json=as_json):
        run(work())
    poke(site, "directory")
    if as_json:
        emit_json(ok=True, account=account, script=name, active=activate, faults=[])
    else:
        say(f"kept{' and active' if activate else ''}: {name}")


@command.command("list", short_help="List an account's scripts.")
@click.argument("account")
@config_option
@json_option
def list_(account: str, as_json: bool, config_file: str | None) -> None:
    """List an account's scripts; the active one is marked."""
    site = find_site(config_file)

    async def work() -> list[Any]:
        async with scripts_of(site, account) as (_, _, scripts):
            return await scripts.all()

    found = run(work())
    if as_json:
        emit_json(
            scripts=[
                {"name": one.name, "size": one.size, "active": one.active, "changed": one.changed} for one in found
            ]
        )
        return
    heads = ("", "SCRIPT", "SIZE", "CHANGED")
    table(
        heads,
        [("*" if one.active else "", line(one.name), octets(one.size), moment(one.changed)) for one in found],
        none=f"{account} has no scripts",
    )


@command.command(short_help="Print a script.")
@click.argument("account")
@click.argument("name", required=False, default="")
@config_option
@json_option
def show(account: str, name: str, as_json: bool, config_file: str | None) -> None:
    """Print a script of an account, the active one when none is named."""
    site = find_site(config_file)

    async def work() -> tuple[str, bool, bytes]:
        async with scripts_of(site, account) as (_, kept, scripts):
            active = (await kept.filters.filter()).active
            chosen = name or active
            if not chosen:
                raise CommandFailed(Exit.NOT_FOUND, f"{account} has no active script")
            return chosen, chosen == active, await scripts.get(chosen)

    chosen, active, text = run(work())
    if as_json:
        emit_json(name=chosen, active=active, text=text.decode("utf-8", "replace"))
    else:
        click.echo(text.decode("utf-8", "replace"), nl=not text.endswith(b"\n"))


@command.command(short_help="Choose the script that sorts mail.")
@click.argument("account")
@click.argument("name", required=False, default="")
@click.option("--none", "none", is_flag=True, help="No script sorts mail any more.")
@config_option
@json_option
def activate(account: str, name: str, none: bool, as_json: bool, config_file: str | None) -> None:
    """Choose the script that sorts an account's mail from now on."""
    if bool(name) == none:
        raise click.UsageError("Name a script, or say --none.")
    site = find_site(config_file)

    async def work() -> None:
        async with scripts_of(site, account) as (_, _, scripts):
            await scripts.activate(name)

    run(work())
    if as_json:
        emit_json(account=account, active=name)
    else:
        say(f"{name} sorts the mail of {account}" if name else f"no script sorts the mail of {account}")


@command.command(short_help="Give a script another name.")
@click.argument("account")
@click.argument("name")
@click.argument("new")
@config_option
@json_option
def rename(account: str, name: str, new: str, as_json: bool, config_file: str | None) -> None:
    """Give a script of an account another name; an active one stays active."""
    site = find_site(config_file)

    async def work() -> None:
        async with scripts_of(site, account) as (_, _, scripts):
            await scripts.rename(name, new)

    run(work())
    emit_json(account=account, script=new) if as_json else say(f"{name} is called {new} now")


@command.command(short_help="Remove a script.")
@click.argument("account")
@click.argument("name")
@config_option
@json_option
def rm(account: str, name: str, as_json: bool, config_file: str | None) -> None:
    """Remove a script of an account. The active one must be switched off before."""
    site = find_site(config_file)

    async def work() -> None:
        async with scripts_of(site, account) as (_, _, scripts):
            await scripts.remove(name)

    run(work())
    emit_json(account=account, removed=name) if as_json else say(f"removed: {name}")


def _event(site: Site, asked: dict[str, Any]) -> Event | None:
    from postroom.cli.sieve_trial import Event
    from postroom.mailbox.happenings import Cause

    more = {"--changed-flags": asked["changed_flags"], "--flags": asked["flags"], "--by": asked["actor"]}
    if asked["event"] is None:
        for option, value in more.items():
            if value:
                raise click.BadParameter("it goes with --event", param_hint=option)
        return None
    if bool(asked["changed_flags"]) != (asked["event"] == "flag"):
        raise click.BadParameter("it goes with --event flag, and that with it", param_hint="--changed-flags")
    if asked["sender"] is not None:
        raise click.BadParameter("what is done by IMAP has no envelope", param_hint="--from")
    return Event(
        cause=Cause(asked["event"].upper()),
        site=site.config.sieve.imap_script,
        actor=asked["actor"],
        changed=tuple(asked["changed_flags"].split()),
        flags=tuple(asked["flags"].split()),
    )


@command.command(short_help="Say what a script would do.")
@click.argument("account")
@click.argument("messages", nargs=-1, type=click.Path(exists=True, dir_okay=False))
@click.option("--script", "script", default="", metavar="NAME|FILE", help="Not the active one but this.")
@click.option("--mailbox", default="INBOX", show_default=True, help="Without files: the mail that lies here.")
@click.option("--since", default="90d", show_default=True, metavar="WHEN", help="Mail that came since then.")
@click.option("--from", "sender", default=None, metavar="ADDRESS", help="The envelope sender instead of Return-Path.")
@click.option(
    "--event",
    type=click.Choice(["append", "copy", "flag"]),
    help="As if that were done by IMAP in --mailbox, with the script it names.",
)
@click.option("--changed-flags", default="", metavar="FLAGS", help=r"With --event flag: which, as '\Seen $Junk'.")
@click.option("--flags", default="", metavar="FLAGS", help="With --event: those that messages of files have.")
@click.option("--by", "actor", default="", metavar="LOGIN", help="With --event: who does it, if not the owner.")
@config_option
@json_option
def test(
    account: str, messages: tuple[str, ...], script: str, as_json: bool, config_file: str | None, **o: Any
) -> None:
    """Say what a script would do with message files, or with the mail of the last 90 days. Nothing is changed.

    \b
        postroom sieve test ann@example.org --event flag --changed-flags '$Junk'
    """
    from postroom.cli.sieve_trial import Trial, trial

    site = find_site(config_file)
    event = _event(site, o)
    mailbox, since, sender = o["mailbox"], o["since"], o["sender"]
    wanted = Trial(files=messages, script=script, mailbox=mailbox, since=since, sender=sender, event=event)

    async def work() -> list[dict[str, Any]]:
        async with shared_mail(site, account, changes=False) as (directory, row, kept):
            return await trial(row, kept, directory, wanted, limits_of(site))

    found = run(work())
    if as_json:
        emit_json(messages=found)
        return
    for one in found:
        told = "; ".join(one["actions"]) + (f"  [{one['error']}]" if one["error"] else "")
        click.echo(f"{line(one['message'], 40)}  {line(one['subject'], 48)}\n    {line(told)}")
    counts: dict[str, int] = {}
    for one in found:
        for action in one["actions"]:
            counts[action] = counts.get(action, 0) + 1
    if len(found) > 1:
        click.echo("")
        table(("TIMES", "ACTION"), [(count, line(what, _SHOWN)) for what, count in sorted(counts.items())])
    say(f"{counted(len(found), 'message')}; nothing was changed")
