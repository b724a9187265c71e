"""The commands: when each may be used, and what its arguments are.

Standards: RFC 5804 2.
On failure: BadCommand, with what to answer.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Flag, auto
from typing import Final, TypeAlias

from postroom.wire.managesieve.framer import Word
from postroom.wire.sasl.exchange import Authenticate, AuthResponse


class BadCommand(Exception):
    """The command cannot be taken; the text is for the client."""


class State(Flag):
    """Before and after the log-in."""

    NOT_AUTHENTICATED = auto()
    AUTHENTICATED = auto()


ANY: Final = State.NOT_AUTHENTICATED | State.AUTHENTICATED


@dataclass(frozen=True, slots=True)
class StartTls:
    """TLS begins when the answer is sent."""


@dataclass(frozen=True, slots=True)
class Logout:
    """The client goes."""


@dataclass(frozen=True, slots=True)
class Capability:
    """What the server can."""


@dataclass(frozen=True, slots=True)
class Noop:
    """tag: to be repeated in the answer (RFC 5804 2.13)."""

    tag: bytes | None


@dataclass(frozen=True, slots=True)
class Unauthenticate:
    """RFC 5804 2.14.1."""


@dataclass(frozen=True, slots=True)
class HaveSpace:
    name: str
    size: int


@dataclass(frozen=True, slots=True)
class PutScript:
    name: str
    text: bytes


@dataclass(frozen=True, slots=True)
class CheckScript:
    text: bytes


@dataclass(frozen=True, slots=True)
class ListScripts:
    """All of them."""


@dataclass(frozen=True, slots=True)
class SetActive:
    """name "": none is active."""

    name: str


@dataclass(frozen=True, slots=True)
class GetScript:
    name: str


@dataclass(frozen=True, slots=True)
class DeleteScript:
    name: str


@dataclass(frozen=True, slots=True)
class RenameScript:
    name: str
    new: str


Event: TypeAlias = (
    Authenticate
    | AuthResponse
    | StartTls
    | Logout
    | Capability
    | Noop
    | Unauthenticate
    | HaveSpace
    | PutScript
    | CheckScript
    | ListScripts
    | SetActive
    | GetScript
    | DeleteScript
    | RenameScript
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A row of the table. takes: kinds of arguments; optional: how many of the last may be missing."""

    states: State
    takes: tuple[str, ...]
    make: Callable[[Sequence[bytes]], Event]
    optional: int = 0


def decode_base64(octets: bytes) -> bytes:
    """Raises BadCommand."""
    try:
        return base64.b64decode(octets, validate=True)
    except (binascii.Error, ValueError):
        raise BadCommand("That is no base64") from None


def _text(octets: bytes) -> str:
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        raise BadCommand("Names of scripts are UTF-8") from None


def _authenticate(given: Sequence[bytes]) -> Event:
    initial = decode_base64(given[1]) if len(given) > 1 else None
    return Authenticate(given[0].decode("latin-1").upper()[:40], initial)


_IN: Final = State.AUTHENTICATED
_OUT: Final = State.NOT_AUTHENTICATED
COMMANDS: Final = {
    b"AUTHENTICATE": Command(states=_OUT, takes=("string", "string"), optional=1, make=_authenticate),
    b"STARTTLS": Command(states=_OUT, takes=(), make=lambda given: StartTls()),
    b"LOGOUT": Command(states=ANY, takes=(), make=lambda given: Logout()),
    b"CAPABILITY": Command(states=ANY, takes=(), make=lambda given: Capability()),
    b"NOOP": Command(states=ANY, takes=("string",), optional=1, make=lambda given: Noop(given[0] if given else None)),
    b"UNAUTHENTICATE": Command(states=_IN, takes=(), make=lambda given: Unauthenticate()),
    b"HAVESPACE": Command(
        states=_IN, takes=("string", "number"), make=lambda given: HaveSpace(_text(given[0]), int(given[1][:18]))
    ),
    b"PUTSCRIPT": Command(
        states=_IN, takes=("string", "string"), make=lambda given: PutScript(_text(given[0]), given[1])
    ),
    b"CHECKSCRIPT": Command(states=_IN, takes=("string",), make=lambda given: CheckScript(given[0])),
    b"LISTSCRIPTS": Command(states=_IN, takes=(), make=lambda given: ListScripts()),
    b"SETACTIVE": Command(states=_IN, takes=("string",), make=lambda given: SetActive(_text(given[0]))),
    b"GETSCRIPT": Command(states=_IN, takes=("string",), make=lambda given: GetScript(_text(given[0]))),
    b"DELETESCRIPT": Command(states=_IN, takes=("string",), make=lambda given: DeleteScript(_text(given[0]))),
    b"RENAMESCRIPT": Command(
        states=_IN, takes=("string", "string"), make=lambda given: RenameScript(_text(given[0]), _text(given[1]))
    ),
}


def parse(words: Sequence[Word], state: State) -> Event:
    """The event of a command. Raises BadCommand."""
    if not words or words[0].kind != "atom":
        raise BadCommand("A command is a word")
    name = words[0].octets.upper()
    command = COMMANDS.get(name)
    if command is None:
        raise BadCommand("There is no such command")
    if state not in command.states:
        when = "Log in first" if state is State.NOT_AUTHENTICATED else "You are logged in already"
        raise BadCommand(when)
    given = words[1:]
    kinds = [word.kind for word in given]
    least = len(command.takes) - command.optional
    if not least <= len(given) <= len(command.takes) or kinds != list(command.takes[: len(given)]):
        usage = ", ".join(command.takes) or "no arguments"
        raise BadCommand(f"{name.decode('ascii')} takes {usage}")
    return command.make([word.octets for word in given])
