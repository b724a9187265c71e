"""A script as a tree: what stands where, before anybody asks what it means.

Two trees are equal when they say the same; places are not compared.
Standards: RFC 5228 8.2.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Strings:
    """A string or a list of strings. at: its place; places: of each string."""

    items: tuple[str, ...]
    listed: bool = False
    at: int = field(default=0, compare=False)
    places: tuple[int, ...] = field(default=(), compare=False)

    def place(self, number: int) -> int:
        """Where the string of this number stands."""
        return self.places[number] if number < len(self.places) else self.at


@dataclass(frozen=True, slots=True)
class Number:
    """A number, its quantifier multiplied in."""

    value: int
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Tag:
    """A tag without its colon, lower case."""

    name: str
    at: int = field(default=0, compare=False)


Argument: TypeAlias = Strings | Number | Tag


@dataclass(frozen=True, slots=True)
class Test:
    """A test. listed: its tests stand in parentheses."""

    name: str
    arguments: tuple[Argument, ...] = ()
    tests: tuple[Test, ...] = ()
    listed: bool = False
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Command:
    """A command; block None: it ends with a semicolon. comments: those before and in it; after: before its "}"."""

    name: str
    arguments: tuple[Argument, ...] = ()
    tests: tuple[Test, ...] = ()
    listed: bool = False
    block: tuple[Command, ...] | None = None
    comments: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Script:
    """after: comments behind the last command."""

    commands: tuple[Command, ...]
    after: tuple[str, ...] = ()
