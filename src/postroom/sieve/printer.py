"""Prints a tree as a script that people can read; what is printed is read back as the same tree.

Standards: RFC 5228 8.1, 8.2.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from postroom.sieve.syntax import Argument, Command, Number, Script, Tag, Test

_INDENT = "    "
_WIDTH = 100
#: characters of a list above which each string has a line of its own
_LONG_LIST = 80


def dump(script: Script) -> str:
    """The text of a script, with LF; commands that belong together stay together."""
    lines = [*_commands(script.commands, ""), *_comments(script.after, "")]
    return "\n".join(lines) + "\n" if lines else ""


def _commands(commands: Iterable[Command], indent: str) -> Iterator[str]:
    for command in commands:
        yield from _comments(command.comments, indent)
        head = command.name + _tail(command.arguments, command.tests, command.listed, indent)
        if command.block is None:
            yield f"{indent}{head};"
            continue
        yield f"{indent}{head} {{"
        yield from _commands(command.block, indent + _INDENT)
        yield from _comments(command.after, indent + _INDENT)
        yield f"{indent}}}"


def _comments(comments: Iterable[str], indent: str) -> Iterator[str]:
    for comment in comments:
        yield indent + comment


def _tail(arguments: Iterable[Argument], tests: tuple[Test, ...], listed: bool, indent: str) -> str:
    words = [_argument(each, indent) for each in arguments]
    if listed:
        inner = indent + _INDENT
        printed = [_test(test, inner) for test in tests]
        flat = ", ".join(printed)
        if len(flat) + len(indent) > _WIDTH or "\n" in flat:
            flat = ",".join(f"\n{inner}{each}" for each in printed)
        words.append(f"({flat})")
    elif tests:
        words.append(_test(tests[0], indent))
    out = ""
    for word in words:
        out += word if out.endswith("\n.\n") else " " + word
    return out


def _test(test: Test, indent: str) -> str:
    return test.name + _tail(test.arguments, test.tests, test.listed, indent)


def _argument(argument: Argument, indent: str) -> str:
    if isinstance(argument, Tag):
        return ":" + argument.name
    if isinstance(argument, Number):
        return number(argument.value)
    if not argument.listed:
        return string(argument.items[0])
    items = [quoted(item) for item in argument.items]
    flat = ", ".join(items)
    if len(flat) > _LONG_LIST and len(items) > 1:
        inner = indent + _INDENT
        return "[" + ",".join(f"\n{inner}{item}" for item in items) + f"\n{indent}]"
    return f"[{flat}]"


def number(value: int) -> str:
    """With the largest quantifier that leaves nothing over."""
    for letter, scale in (("G", 2**30), ("M", 2**20), ("K", 2**10)):
        if value and value % scale == 0:
            return f"{value // scale}{letter}"
    return str(value)


def string(value: str) -> str:
    """A string as a script has it: several whole lines as text:, everything else in quotes."""
    if not value.endswith("\r\n") or value.count("\r\n") < 2 or value.count("\r") != value.count("\r\n"):
        return quoted(value)
    lines = value.split("\r\n")
    return "text:\n" + "\n".join([f".{line}" if line.startswith(".") else line for line in lines]) + ".\n"


def quoted(value: str) -> str:
    """In quotes (RFC 5228 2.4.2)."""
    if value.count("\r") == value.count("\r\n"):
        value = value.replace("\r\n", "\n")
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
