"""One run of a script on one message: what it has found out, what it has decided, and how much it may still do.

A run is made of steps. Each takes one unit of budget and more for long texts, a unit being about a microsecond, and
now and then the clock is looked at. So no script and no message keep a worker for longer than the limits say.
Standards: RFC 5228 2.10 (actions, limits), RFC 5229 3 and 6 (variables).
On failure: ScriptError ends a run.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from postroom.sieve.actions import (
    AS_IT_CAME,
    Action,
    Discard,
    FileInto,
    Form,
    Keep,
    Notify,
    Redirect,
    Reject,
    Remember,
    Vacation,
)
from postroom.sieve.extensions import ONLY_AT_DELIVERY
from postroom.sieve.faults import OutOfBudget, ScriptError
from postroom.sieve.mail import Header, Mail, Section

if TYPE_CHECKING:
    from postroom.sieve.world import Environment, World

#: units between two looks at the clock
_LOOK_EVERY: Final = 20_000
#: characters that one unit of budget pays for
PER_UNIT_SHIFT: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """script: octets of its text; actions, redirects: of one run; steps: units of budget; seconds: of the clock.

    variables: how many there may be; value: characters of one; scripts, depth: of included scripts; header: octets
    that editheader may add; text: characters of a body that are looked at.
    """

    script: int = 1024 * 1024
    actions: int = 32
    redirects: int = 4
    steps: int = 5_000_000
    seconds: float = 5.0
    variables: int = 256
    value: int = 16 * 1024
    scripts: int = 64
    depth: int = 10
    header: int = 64 * 1024
    text: int = 8 * 1024 * 1024


DEFAULT: Final = Limits()


class Run:
    """The state of one run. Steps of the program change it."""

    __slots__ = (
        "_clock",
        "_deadline",
        "actions",
        "added",
        "env",
        "flags",
        "fuel",
        "globals",
        "header",
        "included",
        "kept",
        "limits",
        "line",
        "look_at",
        "mail",
        "matches",
        "part",
        "redirects",
        "remembered",
        "sections",
        "stack",
        "variables",
        "world",
    )

    def __init__(
        self, mail: Mail, env: Environment, world: World, limits: Limits, clock: Callable[[], float] | None
    ) -> None:
        self.mail = mail
        self.env = env
        self.world = world
        self.limits = limits
        self.fuel = limits.steps
        self._clock = clock
        self._deadline = 0.0 if clock is None else clock() + limits.seconds
        self.look_at = self.fuel - _LOOK_EVERY
        self.header: Header = mail.header()
        self.part: Section | None = None  # of foreverypart
        self.sections: list[Section] | None = None  # the parts as they are now, once asked for
        self.variables: dict[str, str] = {}
        self.globals: dict[str, str] = {}
        self.matches: tuple[str, ...] = ()
        self.flags: tuple[str, ...] = env.flags
        self.actions: list[Action] = []
        self.kept = True  # the implicit keep still holds
        self.redirects = 0
        self.added = 0  # octets of fields
        self.line = 0
        self.remembered: dict[str, Remember] = {}
        self.included: set[tuple[str, bool]] = set()
        self.stack: list[tuple[str, bool]] = []  # scripts around the one that runs

    def suits(self, words: Collection[str]) -> None:
        """RFC 6785 3.11, 4.6: may these extensions be used now? Raises ScriptError."""
        if self.env.imap:
            for word in sorted(ONLY_AT_DELIVERY.intersection(words)):
                raise ScriptError(f"{word} is for mail that arrives, not for what is done by IMAP")

    def spend(self, units: int) -> None:
        """Take units from the budget. Raises OutOfBudget."""
        self.fuel -= units
        if self.fuel < self.look_at:
            self.look()

    def look(self) -> None:
        """Once `fuel` is below `look_at`: may the run go on. Raises OutOfBudget."""
        if self.fuel < 0:
            raise OutOfBudget("the script took too many steps")
        if self._clock is not None and self._clock() > self._deadline:
            raise OutOfBudget(f"the script ran for more than {self.limits.seconds:g} seconds")
        self.look_at = min(self.fuel, self.look_at) - _LOOK_EVERY

    def form(self) -> Form:
        """The message as the script has made it by now."""
        if not self.header.edited and self.sections is None:
            return AS_IT_CAME
        return self._made()

    def _made(self) -> Form:
        header = self.header.octets if self.header.edited else None
        sections = self.sections
        if sections is None or all(section.octets is None for section in sections):
            return Form(header) if header is not None else AS_IT_CAME
        return Form(header, self.mail.rebuilt(sections))

    def act(self, action: Action) -> None:
        """An action, in its turn. Raises ScriptError when it is one too many."""
        if len(self.actions) >= self.limits.actions:
            raise ScriptError(f"the script takes more than {self.limits.actions} actions")
        if isinstance(action, Redirect):
            self.redirects += 1
            if self.redirects > self.limits.redirects:
                raise ScriptError(f"the script redirects to more than {self.limits.redirects} addresses")
        self.actions.append(action)

    def remember(self, action: Remember) -> None:
        """RFC 7352 3: once the run has ended well, it was seen."""
        if len(self.remembered) < self.limits.actions:
            self.remembered[action.key] = action

    def outcome(self) -> tuple[Action, ...]:
        """All actions, each mailbox once, and the implicit keep. Raises ScriptError for a mixture that cannot be."""
        return (*self._done(), *self.remembered.values())

    def _done(self) -> tuple[Action, ...]:
        actions = self.actions
        if not actions:
            return (Keep(flags=self.flags, form=self.form(), implicit=True),)
        if self.kept:
            actions = [*actions, Keep(flags=self.flags, form=self.form(), implicit=True)]
        if len(actions) == 1:
            return tuple(actions)
        _check_mixture(actions)
        return _each_mailbox_once(actions, "" if self.env.imap else "INBOX")


def _check_mixture(actions: list[Action]) -> None:
    """RFC 5429 2.4: a message is not refused and taken at once."""
    refusals = sum(isinstance(action, Reject) for action in actions)
    if not refusals:
        return
    if refusals > 1:
        raise ScriptError("the script rejects the message twice")
    for action in actions:
        if isinstance(action, Keep | FileInto | Redirect | Vacation):
            what = type(action).__name__.lower()
            raise ScriptError(f"the script rejects the message and also takes it ({what})")


def _each_mailbox_once(actions: list[Action], home: str) -> tuple[Action, ...]:
    """RFC 5228 2.10.3, and RFC 5232 3: the last list of flags wins. So it is with redirects to one address.

    home: where `keep` files; "": a place of its own (RFC 6785 3.3: fileinto makes a new message, wherever).
    """
    done: dict[object, int] = {}
    found: list[Action] = []
    for action in actions:
        key: object
        if isinstance(action, Keep):
            key = home, "", ""
        elif isinstance(action, FileInto):
            target = action.target
            key = "INBOX" if target.name.upper() == "INBOX" else target.name, target.special, target.id
        elif isinstance(action, Redirect):
            key = action.address.lower()
        elif isinstance(action, Discard):
            continue
        elif isinstance(action, Notify):
            key = action  # RFC 5436 2.7: nobody is told the same twice
        else:
            found.append(action)
            continue
        place = done.setdefault(key, len(found))
        if place == len(found):
            found.append(action)
        elif isinstance(action, Keep | FileInto):
            earlier = found[place]
            if isinstance(earlier, Keep | FileInto):
                found[place] = replace(earlier, flags=action.flags)
    return tuple(found) or (Discard(),)
