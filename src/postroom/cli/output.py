"""How results look: tables for people, one line of JSON for programs.

JSON carries `"schema": 1`; fields are only ever added. Tables are aligned by spaces and have no boxes, so that they
can be cut and sorted. Times are local and to the second for people, Unix seconds in JSON.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

#: characters of a line of a message
LONGEST = 600

json_option: Callable[[F], F] = click.option(
    "--json", "as_json", is_flag=True, help="Print the result as one line of JSON."
)


def emit_json(**fields: Any) -> None:
    """One line of JSON on standard output, at once."""
    import msgspec  # --help has 150 ms

    click.echo(msgspec.json.encode({"schema": 1, **fields}, enc_hook=str).decode())


def table(heads: Sequence[str], rows: Iterable[Sequence[object]], *, none: str = "") -> None:
    """Aligned columns. none: what the person is told instead of heads when there is nothing to show."""
    lines = [[line(str(cell)) for cell in row] for row in rows]
    if not lines:
        if none:
            say(none)
        return
    widths = [max(len(head), *(len(cells[place]) for cells in lines)) for place, head in enumerate(heads)]
    for cells in [list(heads), *lines]:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip())


def record(pairs: Iterable[tuple[str, object]]) -> None:
    """Names and values of one thing, one a line."""
    known = list(pairs)
    width = max((len(name) for name, _ in known), default=0)
    for name, value in known:
        click.echo(f"{name.ljust(width)}  {line(str(value))}")


def say(text: str) -> None:
    """A message for the person, on standard error. What was typed may stand in it: it must not fill the screen."""
    for part in text.splitlines() or [""]:
        click.echo(line(part, LONGEST), err=True)


def counted(number: int, what: str, many: str = "") -> str:
    """ "1 message", "2,000 messages"; many: the plural, where it is not `what` with an "s"."""
    return f"{number:,} {what if number == 1 else many or f'{what}s'}"


def line(text: str, most: int = 0) -> str:
    """A text of somebody else's on one line of a terminal, which it must not steer; most: characters, 0 for all."""
    plain = "".join(char if char.isprintable() else "\ufffd" for char in text)
    return plain[: most - 1] + "\u2026" if most and len(plain) > most else plain


def moment(seconds: float) -> str:
    """A time for people."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds)) if seconds else "never"


def octets(count: float) -> str:
    """A size for people: 1.5 MiB."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


def limit(value: int) -> str:
    """A limit for people."""
    return "as configured" if value < 0 else str(value) if value else "any number of"


def operator() -> str:
    """Who gives the command, as the audit record has it: behind sudo the person who called it."""
    from postroom.cli.auditing import who

    told = who()
    return str(told.get("sudo") or told.get("login") or told["user"])


def confirm(question: str, *, yes: bool) -> None:
    """Ask before what cannot be undone; without a terminal --yes is needed. Raises click.Abort or UsageError."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise click.UsageError(f"{question} Say --yes to do it without being asked.")
    click.confirm(question, abort=True, err=True)
