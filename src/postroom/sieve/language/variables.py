"""set, and the test string.

Standards: RFC 5229 4, 5, 6; RFC 6609 3.4.2 (the namespace global); RFC 5435 6 (:encodeurl);
draft-ietf-sieve-regex (:quoteregex).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from postroom.sieve.comparators import ascii_upper
from postroom.sieve.faults import ScriptError
from postroom.sieve.matching import counting, matcher
from postroom.sieve.texts import LONGEST_NAME, NAME, get, get_all
from postroom.sieve.words import MATCH, Call, Kind, Question, Step, TagWord, Word

if TYPE_CHECKING:
    from postroom.sieve.run import Run

_LOWER: Final = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}
_WILD: Final = re.compile(r"([*?\\])")
_REGEX_SPECIAL: Final = re.compile(r"([.\[\](){}*+?|^$\\])")


@dataclass(frozen=True, slots=True)
class Name:
    """A variable, local or shared among scripts."""

    name: str
    shared: bool

    def value(self, run: Run) -> str:
        """What it holds, "" when nothing."""
        return (run.globals if self.shared else run.variables).get(self.name, "")


def variable_name(call: Call, number: int, item: int = 0) -> Name:
    """The variable an argument names; a fault when it cannot be one (RFC 5229 4)."""
    texts = call.texts(number)
    at = call.place(number, item)
    if not call.scope.allows("variables"):
        call.fault("variables are not required", 'add "variables" to require', at)
    text = call.constant(texts[item] if texts else "", "the name of a variable", at) or ""
    name = text.lower()
    shared = name in call.scope.shared
    if name.startswith("global.") and call.scope.allows("include"):
        name, shared = name.removeprefix("global."), True
    if not NAME.fullmatch(name) or len(name) > LONGEST_NAME:
        call.fault(f'"{text[:60]}" cannot be the name of a variable', "letters, digits and _, no digit first", at)
    if not shared:
        call.scope.assigned.add(name)
    return Name(name, shared)


def assign(run: Run, name: Name, value: str) -> None:
    """RFC 5229 6: cut what is too long. Raises ScriptError when there are too many variables."""
    limits = run.limits
    variables = run.globals if name.shared else run.variables
    if name.name not in variables and len(variables) >= limits.variables:
        raise ScriptError(f"the script has more than {limits.variables} variables")
    variables[name.name] = value[: limits.value]


def _lower(text: str) -> str:
    return text.translate(_LOWER)


def _first(change: Callable[[str], str]) -> Callable[[str], str]:
    return lambda text: change(text[:1]) + text[1:]


def _length(text: str) -> str:
    return str(len(text))


#: RFC 5229 4.1: (precedence, modifier); the highest is applied first
_MODIFIERS: Final[dict[str, tuple[int, Callable[[str], str]]]] = {
    "lower": (40, _lower),
    "upper": (40, ascii_upper),
    "lowerfirst": (30, _first(_lower)),
    "upperfirst": (30, _first(ascii_upper)),
    "quotewildcard": (20, lambda text: _WILD.sub(r"\\\1", text)),
    "quoteregex": (20, lambda text: _REGEX_SPECIAL.sub(r"\\\1", text)),
    "encodeurl": (15, lambda text: quote(text.encode("utf-8", "replace"), safe="")),
    "length": (10, _length),
}
_GROUPS: Final = {40: "change of case", 30: "change of the first letter", 20: "quoting", 15: "encoding", 10: "length"}
_NEEDS: Final = {"quoteregex": "regex", "encodeurl": "enotify"}
MODIFIERS: Final = tuple(
    TagWord(
        name=name,
        needs=_NEEDS.get(name, ""),
        group=_GROUPS[rank],
    )
    for name, (rank, _) in _MODIFIERS.items()
)


def modifiers(call: Call) -> list[Callable[[str], str]]:
    """What is done to a value before it is kept, in order."""
    used = sorted((-rank, number) for number, (name, (rank, _)) in enumerate(_MODIFIERS.items()) if call.has(name))
    changes = [change for _, change in _MODIFIERS.values()]
    return [changes[number] for _, number in used]


def _set(call: Call) -> Step:
    name = variable_name(call, 0)
    value = call.text(1)
    changes = modifiers(call)
    if isinstance(value, str) and len(value) > call.scope.limits.value:
        call.fault(f"a variable holds {call.scope.limits.value} characters at most", at=call.place(1))

    def set_variable(run: Run) -> None:
        text = get(value, run)
        for change in changes:
            text = change(text)
        assign(run, name, text)

    return set_variable


def _string(call: Call) -> Question:
    sources = call.texts(0)
    match = matcher(call, 1)
    if counting(call):
        # RFC 5229 5: an empty string counts nothing
        return lambda run: match(run, [text for text in get_all(sources, run) if text])
    return lambda run: match(run, get_all(sources, run))


COMMANDS: Final = (
    Word(
        name="set",
        build=_set,
        usage='set "name" "value";',
        takes=(Kind.STRING, Kind.STRING),
        tags=MODIFIERS,
        needs=("variables",),
    ),
)
TESTS: Final = (
    Word(
        name="string",
        build=_string,
        usage='string "${name}" "key"',
        takes=(Kind.STRINGS, Kind.STRINGS),
        tags=MATCH,
        needs=("variables",),
    ),
)
