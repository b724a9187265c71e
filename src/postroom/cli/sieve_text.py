"""Scripts as the commands about them read them, and their faults as people and programs are told of them."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from postroom.cli.codes import Exit
from postroom.cli.output import emit_json, line

if TYPE_CHECKING:  # --help has 150 ms
    from postroom.sieve.faults import Fault

#: the type of an argument that read_file takes
SCRIPT_FILE = click.Path(exists=True, dir_okay=False, allow_dash=True)


def read_file(file: str) -> bytes:
    """A file, or standard input for -."""
    if file != "-":
        return Path(file).read_bytes()
    return sys.stdin.buffer.read() if hasattr(sys.stdin, "buffer") else sys.stdin.read().encode()


def told(faults: Sequence[Fault], where: str) -> None:
    """Print what is wrong with a script."""
    for fault in faults:
        advice = f"  ({fault.advice})" if fault.advice else ""
        click.echo(f"{where}:{fault.line}:{fault.column}: {line(fault.text)}{line(advice)}")


def plain(faults: Sequence[Fault]) -> list[dict[str, Any]]:
    """The same for programs."""
    return [
        {"line": fault.line, "column": fault.column, "text": fault.text, "advice": fault.advice} for fault in faults
    ]


@contextmanager
def faults_told(where: str, *, as_json: bool) -> Iterator[None]:
    """A script with faults is not taken: they are told, and the command ends with 1."""
    from postroom.sieve.faults import BadScript

    try:
        yield
    except BadScript as bad:
        if as_json:
            emit_json(ok=False, faults=plain(bad.faults))
        else:
            told(bad.faults, where)
        raise SystemExit(Exit.FAILED) from bad
