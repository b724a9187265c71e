"""setflag, addflag, removeflag, hasflag.

Standards: RFC 5232.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final

from postroom.sieve.language.variables import assign, variable_name
from postroom.sieve.matching import matcher
from postroom.sieve.texts import get_all
from postroom.sieve.words import MATCH, Call, Kind, Question, Step, Word

if TYPE_CHECKING:
    from postroom.sieve.run import Run

#: RFC 5232 2: what is no flag of IMAP is ignored, and so is what IMAP does not let anybody set
_KEYWORD: Final = re.compile(r"[!#-$&'+-\[^-z|}~]+")
_SPELLING: Final = {name.lower(): name for name in ("\\Answered", "\\Flagged", "\\Deleted", "\\Seen", "\\Draft")}
#: flags of one list
_MOST: Final = 128


def flags_of(texts: Iterable[str]) -> tuple[str, ...]:
    """The flags in strings, each once, in the order they first stand in."""
    found: dict[str, str] = {}
    for text in texts:
        for word in text.split():
            key = word.lower()
            if len(found) < _MOST and (key in _SPELLING or _KEYWORD.fullmatch(word)):
                found.setdefault(key, _SPELLING.get(key, word))
    return tuple(found.values())


_Change = Callable[[tuple[str, ...], tuple[str, ...]], tuple[str, ...]]


def _added(now: tuple[str, ...], more: tuple[str, ...]) -> tuple[str, ...]:
    return flags_of((*now, *more))


def _removed(now: tuple[str, ...], less: tuple[str, ...]) -> tuple[str, ...]:
    gone = {flag.lower() for flag in less}
    return tuple(flag for flag in now if flag.lower() not in gone)


def _set(_now: tuple[str, ...], flags: tuple[str, ...]) -> tuple[str, ...]:
    return flags


def _changing(change: _Change) -> Callable[[Call], Step]:
    def build(call: Call) -> Step:
        flags = call.texts(1)
        if not call.given(0):

            def internal(run: Run) -> None:
                run.flags = change(run.flags, flags_of(get_all(flags, run)))

            return internal
        name = variable_name(call, 0)

        def variable(run: Run) -> None:
            now = flags_of((name.value(run),))
            assign(run, name, " ".join(change(now, flags_of(get_all(flags, run)))))

        return variable

    return build


def _hasflag(call: Call) -> Question:
    names = [variable_name(call, 0, number) for number in range(len(call.texts(0)))] if call.given(0) else None
    match = matcher(call, 1, split=True)

    def hasflag(run: Run) -> bool:
        if names is None:
            return match(run, run.flags)
        lists = [flags_of((name.value(run),)) for name in names]
        return match(run, [flag for flags in lists for flag in flags])

    return hasflag


def _usage(name: str) -> str:
    return f'{name} ["variable"] "\\\\Seen";'


COMMANDS: Final = tuple(
    Word(
        name=name,
        build=_changing(change),
        usage=_usage(name),
        takes=(Kind.STRING, Kind.STRINGS),
        optional=1,
        needs=("imap4flags",),
    )
    for name, change in (("setflag", _set), ("addflag", _added), ("removeflag", _removed))
)
TESTS: Final = (
    Word(
        name="hasflag",
        build=_hasflag,
        usage='hasflag ["variables"] "\\\\Seen"',
        takes=(Kind.STRINGS, Kind.STRINGS),
        optional=1,
        tags=MATCH,
        needs=("imap4flags",),
    ),
)
