"""Commands and tests as data: what each takes, what it needs, and the function that builds it.

A builder gets a Call, checked against its Word, and gives a step (commands) or a question (tests): functions of the
run. Faults it finds are told to the scope; what it gives then is never run.
Standards: RFC 5228 2.6 (arguments), 2.9 (commands), 2.10.5 (extensions).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

from postroom.sieve.syntax import Argument, Command, Number, Strings, Test
from postroom.sieve.texts import Text, Texts

if TYPE_CHECKING:
    from postroom.sieve.run import Run
    from postroom.sieve.scope import Scope

Step: TypeAlias = "Callable[[Run], None]"
Question: TypeAlias = "Callable[[Run], bool]"


def ALWAYS(run: Run) -> bool:  # noqa: N802  a constant that can be called
    """A question that ihave answers with yes when the script is compiled."""
    return True


def NEVER(run: Run) -> bool:  # noqa: N802
    """A question that ihave answers with no."""
    return False


class Kind(StrEnum):
    """What an argument is."""

    STRING = "string"
    STRINGS = "string list"
    NUMBER = "number"


class Tests(StrEnum):
    """The tests a word takes."""

    NONE = "no test"
    ONE = "one test"
    MANY = "tests in parentheses"


@dataclass(frozen=True, slots=True, kw_only=True)
class TagWord:
    """A tag. group: of a group only one may stand in a call; needs: the extension it belongs to; value: what follows.

    any_needs: several extensions bring it, one is enough.
    """

    name: str
    needs: str = ""
    value: Kind | None = None
    group: str = ""
    any_needs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """A command or test. needs: any of these extensions brings it; usage: how it is written, for advice.

    optional, trailing: how many of the first, or of the last, arguments may be left out.
    """

    name: str
    build: Callable[[Call], Callable[[Run], object]]
    usage: str
    takes: tuple[Kind, ...] = ()
    optional: int = 0
    trailing: int = 0
    tags: tuple[TagWord, ...] = ()
    needs: tuple[str, ...] = ()
    tests: Tests = Tests.NONE
    block: bool = False


class Included(Protocol):
    """A script that was compiled."""

    @property
    def steps(self) -> tuple[Step, ...]:
        """What it does."""
        ...

    @property
    def requires(self) -> frozenset[str]:
        """The extensions its `require` names."""
        ...


class Blocks(Protocol):
    """What builders of control structures need: the compiler."""

    def steps(self, commands: Sequence[Command], scope: Scope) -> tuple[Step, ...]:
        """The steps of a block."""
        ...

    def question(self, test: Test, scope: Scope) -> Question:
        """A test."""
        ...

    def include(self, name: str, personal: bool) -> Included | None:
        """The program of an included script, None when there is none. Raises BadScript."""
        ...

    def program(self, name: str, personal: bool) -> Included | None:
        """The same for one that was asked for before, when it is run."""
        ...


@dataclass(slots=True, kw_only=True)
class Call:
    """One use of a word. values: of tags that have one; arguments: as the word takes them, None for those left out."""

    word: Word
    at: int
    scope: Scope
    compiler: Blocks
    tags: dict[str, int] = field(default_factory=dict)
    values: dict[str, Argument] = field(default_factory=dict)
    arguments: tuple[Argument | None, ...] = ()
    tests: tuple[Test, ...] = ()
    block: tuple[Command, ...] = ()

    def fault(self, text: str, advice: str = "", at: int | None = None) -> None:
        """Tell what is wrong, at this call or at a place."""
        self.scope.fault(self.at if at is None else at, text, advice)

    def has(self, tag: str) -> bool:
        """Does the tag stand there."""
        return tag in self.tags

    def given(self, number: int) -> bool:
        """Is the argument there."""
        return self.arguments[number] is not None

    def texts(self, number: int) -> Texts:
        """The strings of an argument; none when it was left out."""
        return self._texts(self.arguments[number])

    def text(self, number: int) -> Text:
        """The string of an argument, "" when it was left out."""
        found = self.texts(number)
        return found[0] if found else ""

    def number(self, number: int) -> int:
        """The number of an argument."""
        found = self.arguments[number]
        return found.value if isinstance(found, Number) else 0

    def tag_texts(self, tag: str) -> Texts | None:
        """The strings behind a tag, None when it does not stand there."""
        return self._texts(self.values[tag]) if tag in self.values else None

    def tag_text(self, tag: str) -> Text | None:
        """The string behind a tag, None when it does not stand there."""
        found = self.tag_texts(tag)
        return found[0] if found else None

    def tag_number(self, tag: str) -> int | None:
        """The number behind a tag."""
        found = self.values.get(tag)
        return found.value if isinstance(found, Number) else None

    def constant(self, text: Text | None, what: str, at: int | None = None) -> str | None:
        """A string that may have no variables; None is passed through."""
        if text is None or isinstance(text, str):
            return text
        self.fault(f"{what} cannot have variables in it", "write it out", at)
        return ""

    def place(self, number: int, item: int = 0) -> int:
        """Where an argument stands, or one of its strings."""
        found = self.arguments[number]
        if isinstance(found, Strings):
            return found.place(item)
        return self.at if found is None else found.at

    def place_of(self, tag: str) -> int:
        """Where a tag stands."""
        return self.tags.get(tag, self.at)

    def line(self) -> int:
        """The line of this call."""
        return self.scope.lines.line(self.at)

    def _texts(self, argument: Argument | None) -> Texts:
        if not isinstance(argument, Strings):
            return ()
        return tuple(self.scope.text(item, argument.place(number)) for number, item in enumerate(argument.items))


#: RFC 5228 2.7.1, RFC 5231 4, draft-ietf-sieve-regex
MATCH: Final = (
    TagWord(name="is", group="match type"),
    TagWord(name="contains", group="match type"),
    TagWord(name="matches", group="match type"),
    TagWord(name="regex", group="match type", needs="regex"),
    TagWord(name="count", group="match type", needs="relational", value=Kind.STRING),
    TagWord(name="value", group="match type", needs="relational", value=Kind.STRING),
    TagWord(name="comparator", value=Kind.STRING),
)
#: RFC 5228 2.7.4, RFC 5233 4
ADDRESS_PART: Final = (
    TagWord(name="all", group="address part"),
    TagWord(name="localpart", group="address part"),
    TagWord(name="domain", group="address part"),
    TagWord(name="user", group="address part", needs="subaddress"),
    TagWord(name="detail", group="address part", needs="subaddress"),
)
#: RFC 5260 6
INDEX: Final = (TagWord(name="index", needs="index", value=Kind.NUMBER), TagWord(name="last", needs="index"))
