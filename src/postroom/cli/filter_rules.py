"""`postroom filter rules`: what is in force, can a file be used, and newer rules in place of the built-in ones."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from postroom.cli.codes import CommandFailed, Exit
from postroom.cli.output import counted, emit_json, json_option, say, table
from postroom.cli.site import Site, config_option, find_site, poke

if TYPE_CHECKING:
    from postroom.filter.rules import Rules


@click.group("rules", invoke_without_command=True, short_help="Rules with points: list, check, update, undo.")
@click.option("--built-in", "built", is_flag=True, help="Print the file of built-in rules, to copy from.")
@json_option
@config_option
@click.pass_context
def command(context: click.Context, built: bool, as_json: bool, config_file: str | None) -> None:
    """Rules with points. Without a command: list those in force.

    They are the built-in ones, or newer ones in their place (update), with those of your own file (filter.rules in the
    configuration) over them: a rule of the same name replaces one, points = 0 switches it off.
    """
    if context.invoked_subcommand is None:
        _list(built, as_json, config_file)
    elif built:
        raise click.UsageError("--built-in stands alone.")


@command.command("list")
@json_option
@config_option
def list_(as_json: bool, config_file: str | None) -> None:
    """List the rules that are in force."""
    _list(False, as_json, config_file)


def _list(built: bool, as_json: bool, config_file: str | None) -> None:
    if built:
        from postroom.filter.rules import built_in

        click.echo(built_in(), nl=False)
        return
    found = _in_force(find_site(config_file))
    if as_json:
        rows = [{"name": one.name, "where": one.where, "points": one.points, "text": one.text} for one in found.rules]
        emit_json(version=found.version, rules=rows)
        return
    rows_shown = [(one.name, one.where, f"{one.points:+g}", one.text) for one in found.rules]
    table(("RULE", "WHERE", "POINTS", "SAYS"), rows_shown)
    say(f"version {found.version}")


def _in_force(site: Site) -> Rules:
    from postroom.app.rules_file import read_rules
    from postroom.config import ConfigError

    try:
        return read_rules(site.config)
    except ConfigError as fault:
        raise CommandFailed(Exit.FAILED, str(fault)) from fault


def _loaded(site: Site, path: str) -> tuple[str, Rules]:
    """A file in the place of the built-in rules, with the administrator's own over it. Raises CommandFailed."""
    from postroom.app.rules_file import own, read
    from postroom.config import ConfigError
    from postroom.filter.rules import BadRules, load

    try:
        text = read(Path(path))
        return text, load([text, *own(site.config)])
    except OSError as fault:
        raise CommandFailed(Exit.NOT_FOUND, f"{path}: {fault.strerror or fault}") from fault
    except (UnicodeDecodeError, BadRules, ConfigError) as fault:
        raise CommandFailed(Exit.FAILED, f"{path}: {fault}", "Nothing was changed.") from fault


@command.command()
@click.argument("path", required=False, default="", metavar="[FILE]")
@json_option
@config_option
def check(path: str, as_json: bool, config_file: str | None) -> None:
    """Can a file of rules be used? Without one: can those in force."""
    from postroom.filter.rules import cut_short

    site = find_site(config_file)
    found = _loaded(site, path)[1] if path else _in_force(site)
    short = dict(cut_short(found))
    if as_json:
        emit_json(version=found.version, rules=len(found.rules), cut_short=short)
        return
    for name, most in short.items():
        say(f"{name} sees the first {most:,} characters only: on more its pattern could take long")
    say(f"{counted(len(found.rules), 'rule')}, version {found.version}: all can be used")


@command.command()
@click.argument("path", metavar="FILE")
@click.option("--older", is_flag=True, help="Also when it is not newer than what is in force.")
@json_option
@config_option
def update(path: str, older: bool, as_json: bool, config_file: str | None) -> None:
    """Put newer rules in the place of the built-in ones.

    They are checked first, and a running server works by them at once. Your own file stands over them as before.
    """
    from postroom.app.rules_file import RulesFile, base
    from postroom.filter.rules import built_in, load

    site = find_site(config_file)
    text, found = _loaded(site, path)
    before, after = load([base(site.config)[0]]), load([text])
    if not after.version:
        raise CommandFailed(
            Exit.FAILED, f"{path} has no version", "Write one above its first rule: version = 2026112301"
        )
    least = load([built_in()]).version if older else before.version
    if after.version <= least:
        kind = "built-in rules have" if older else "rules in force have"
        raise CommandFailed(
            Exit.NO_CHANGE,
            f"{path} has version {after.version}, the {kind} {least}",
            "" if older else "To go back to older ones: --older, or postroom filter rules undo.",
        )
    _change(site, lambda: RulesFile(site.config.server.data).install(text))
    _told(before, after, found, as_json)


@command.command()
@json_option
@config_option
def undo(as_json: bool, config_file: str | None) -> None:
    """Take the last update back; once more, and it is as it was."""
    from postroom.app.rules_file import RulesFile, base
    from postroom.filter.rules import load

    site = find_site(config_file)
    before = load([base(site.config)[0]])
    if not _change(site, RulesFile(site.config.server.data).undo):
        raise CommandFailed(Exit.NO_CHANGE, "the rules were never updated")
    _told(before, load([base(site.config)[0]]), _in_force(site), as_json)


def _change(site: Site, work: Any) -> Any:
    """As the server's user; the running server works by it at once. Raises CommandFailed."""
    from postroom.app.privileges import become_user
    from postroom.config import ConfigError

    if not site.data.is_dir():
        raise CommandFailed(
            Exit.NOT_FOUND, f"there is no data folder {site.data}", f"Make it: postroom init {site.path.parent}"
        )
    try:
        become_user(site.config)
        done = work()
    except ConfigError as fault:
        raise CommandFailed(Exit.BAD_CONFIG, str(fault)) from fault
    except PermissionError as fault:
        raise CommandFailed(
            Exit.NO_PERMISSION, f"{fault.filename}: permission denied", "Run this as the server's user or as root."
        ) from fault
    except OSError as fault:
        raise CommandFailed(Exit.FAILED, f"the rules cannot be written: {fault}") from fault
    poke(site, "reload", first=True)
    return done


def _told(before: Rules, after: Rules, found: Rules, as_json: bool) -> None:
    old, new = ({one.name: one for one in rules.rules} for rules in (before, after))
    added, gone = sorted(new.keys() - old.keys()), sorted(old.keys() - new.keys())
    changed = sorted(name for name in new.keys() & old.keys() if new[name] != old[name])
    if as_json:
        emit_json(version=after.version, rules=len(found.rules), added=added, changed=changed, removed=gone)
        return
    what = f"{len(added)} new, {len(changed)} changed, {len(gone)} gone"
    say(f"rules of version {after.version} are in force: {what}. Undo: postroom filter rules undo")
