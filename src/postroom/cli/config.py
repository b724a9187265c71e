"""`postroom config`: check, show and explain the configuration."""

from __future__ import annotations

import difflib
import sys
from pathlib import Path

import click
import msgspec

from postroom.cli.codes import CommandFailed, Exit
from postroom.cli.output import emit_json, json_option, say
from postroom.cli.site import config_option, find_site


@click.group(short_help="The configuration.")
def command() -> None:
    """Check, show and explain the configuration."""


@command.command()
@json_option
@config_option
def check(as_json: bool, config_file: str | None) -> None:
    """Look the file over: values, ports, certificates, folders.

    Exit code 78 when the server would not start; warnings alone end with 0.
    """
    from postroom.config import check as look_over
    from postroom.wire.imap.capability import OPTIONAL

    site = find_site(config_file)
    problems = look_over(site.config, capabilities=OPTIONAL)
    if as_json:
        emit_json(
            file=str(site.path),
            ok=not any(one.fatal for one in problems),
            problems=[{"key": one.key, "cause": one.cause, "fix": one.fix, "fatal": one.fatal} for one in problems],
        )
    else:
        for problem in problems:
            click.echo(str(problem))
        say(f"{site.path}: {'all is well' if not problems else f'{len(problems)} problem(s)'}")
    if any(problem.fatal for problem in problems):
        sys.exit(Exit.BAD_CONFIG)


@command.command()
@json_option
@config_option
def show(as_json: bool, config_file: str | None) -> None:
    """Print every option with its value, defaults included."""
    from postroom.config import describe
    from postroom.config.manual import toml

    site = find_site(config_file)
    if as_json:
        emit_json(file=str(site.path), config=msgspec.to_builtins(site.config))
        return
    for one in describe():
        section, name = one.key.split(".", 1)
        if not isinstance(getattr(site.config, section), tuple):
            click.echo(f"{one.key} = {toml(getattr(getattr(site.config, section), name))}")
    for section in ("listener", "route", "source", "webhook"):
        for number, table in enumerate(getattr(site.config, section)):
            values = " ".join(f"{key}={toml(value)}" for key, value in msgspec.structs.asdict(table).items())
            click.echo(f"{section}[{number}] {values}")


@command.command()
@click.argument("key", default="")
@json_option
def describe(key: str, as_json: bool) -> None:
    """Explain options. KEY is one (relay.host) or a section (relay); without it, all are explained."""
    from postroom.config import describe as explain

    try:
        found = explain(key)
    except KeyError:
        names = [one.key for one in explain()]
        near = difflib.get_close_matches(key, [*names, *{name.split(".")[0] for name in names}], n=3)
        raise CommandFailed(
            Exit.NOT_FOUND,
            f"there is no option {key}",
            f"Did you mean {' or '.join(near)}?" if near else "All of them: postroom config describe",
        ) from None
    if as_json:
        emit_json(options=[msgspec.to_builtins(one) for one in found])
        return
    for one in found:
        click.echo(f"{one.key}  ({one.type}{f', default {one.default}' if one.default else ', required'})")
        click.echo(f"    {one.description}")


@command.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path), required=False)
def sample(file: Path | None) -> None:
    """Print a commented file with every option. With FILE, write it there if that does not exist yet."""
    from postroom.config import sample as write

    text = write()
    if file is None:
        click.echo(text, nl=False)
    elif file.exists():
        raise CommandFailed(Exit.NO_CHANGE, f"{file} is there already")
    else:
        file.write_text(text)
